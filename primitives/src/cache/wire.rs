//! The commands of caches as they stand in the log. Their tags follow on those in `queue/wire.rs`.
//! `wire.rs` of the crate says which are whose.

use super::LineName;
use super::codec::{
    put_cache_change, put_change, put_fill, put_line_name, put_write, read_cache_change,
    read_change, read_fill, read_line_name, read_write,
};
use crate::codec::{DecodeError, Reader, put_len, put_str, put_u64};
use crate::queue::codec::{put_bool, read_bool};
use crate::{Command, Name};

const CREATE_CACHE: u8 = 26;
const CHANGE_CACHE: u8 = 27;
const DELETE_CACHE: u8 = 28;
const SWEEP_CACHE: u8 = 29;
const FILL_LINE: u8 = 30;
const WRITE_LINE: u8 = 31;
const FLUSH_LINE: u8 = 32;
const LET_LINES_GO: u8 = 33;
const GIVE_UP_LOAD: u8 = 34;
const END_CACHE_REQUEST: u8 = 35;
const WRITE_LINE_ASKING: u8 = 36;

/// Any other command than one of caches is none of its business, and leaves no bytes.
pub(crate) fn put_cache_command(out: &mut Vec<u8>, command: &Command) {
    match command {
        Command::CreateCache { cache, settings } => {
            put_head(out, CREATE_CACHE, cache);
            put_cache_change(out, settings);
        }
        Command::ChangeCache { cache, change } => {
            put_head(out, CHANGE_CACHE, cache);
            put_cache_change(out, change);
        }
        Command::DeleteCache { cache } => put_head(out, DELETE_CACHE, cache),
        Command::SweepCache { cache, prefix, max } => {
            put_head(out, SWEEP_CACHE, cache);
            put_str(out, prefix);
            put_u64(out, (*max).into());
        }
        Command::FillLine { line, how } => {
            put_line(out, FILL_LINE, line);
            put_fill(out, *how);
        }
        Command::WriteLine { line, write } => {
            put_line(out, if write.asks_writer { WRITE_LINE_ASKING } else { WRITE_LINE }, line);
            put_write(out, write);
        }
        Command::FlushLine { line, token, change, keep } => {
            put_line(out, FLUSH_LINE, line);
            put_u64(out, token.get());
            put_bool(out, change.is_some());
            change.iter().for_each(|change| put_change(out, change));
            put_bool(out, *keep);
        }
        Command::LetLinesGo { cache, lines } => {
            put_head(out, LET_LINES_GO, cache);
            put_len(out, lines.len());
            for (key, up_to) in lines {
                put_str(out, key.as_str());
                put_u64(out, up_to.get());
            }
        }
        Command::GiveUpLoad { line, token } => {
            put_line(out, GIVE_UP_LOAD, line);
            put_u64(out, token.get());
        }
        Command::EndCacheRequest { line, seq } => {
            put_line(out, END_CACHE_REQUEST, line);
            put_u64(out, seq.get());
        }
        _ => {}
    }
}

fn put_head(out: &mut Vec<u8>, tag: u8, cache: &Name) {
    out.push(tag);
    put_str(out, cache.as_str());
}

fn put_line(out: &mut Vec<u8>, tag: u8, line: &LineName) {
    out.push(tag);
    put_line_name(out, line);
}

pub(crate) fn read_cache_command(tag: u8, reader: &mut Reader<'_>) -> Result<Command, DecodeError> {
    Ok(match tag {
        CREATE_CACHE => {
            let cache = reader.name()?;
            Command::CreateCache { cache, settings: Box::new(read_cache_change(reader)?) }
        }
        CHANGE_CACHE => {
            let cache = reader.name()?;
            Command::ChangeCache { cache, change: Box::new(read_cache_change(reader)?) }
        }
        DELETE_CACHE => Command::DeleteCache { cache: reader.name()? },
        SWEEP_CACHE => {
            let (cache, prefix) = (reader.name()?, reader.str()?.to_owned());
            Command::SweepCache { cache, prefix, max: reader.u32()? }
        }
        FILL_LINE => {
            let line = read_line_name(reader)?;
            Command::FillLine { line, how: read_fill(reader)? }
        }
        WRITE_LINE | WRITE_LINE_ASKING => {
            let line = read_line_name(reader)?;
            let write = read_write(reader, tag == WRITE_LINE_ASKING)?;
            Command::WriteLine { line, write: Box::new(write) }
        }
        FLUSH_LINE => {
            let (line, token) = (read_line_name(reader)?, reader.token()?);
            let has_change = read_bool(reader, "change")?;
            let change = has_change.then(|| read_change(reader)).transpose()?;
            Command::FlushLine { line, token, change, keep: read_bool(reader, "keep")? }
        }
        LET_LINES_GO => {
            let cache = reader.name()?;
            let lines = reader.list(|reader| Ok((reader.name()?, reader.revision()?)))?;
            Command::LetLinesGo { cache, lines }
        }
        GIVE_UP_LOAD => {
            let line = read_line_name(reader)?;
            Command::GiveUpLoad { line, token: reader.token()? }
        }
        END_CACHE_REQUEST => {
            let line = read_line_name(reader)?;
            Command::EndCacheRequest { line, seq: reader.seq()? }
        }
        tag => return Err(DecodeError::UnknownTag { what: "command", tag }),
    })
}
