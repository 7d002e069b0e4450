//! The bytes of what is particular to caches: settings, fills, changes and conditions. Used by the
//! log, and by the snapshot.

use super::state::{Kept, KeptChange};
use super::{CacheChange, CacheSettings, CacheWhenFull, Change, Fill, LineName, LineWrite, When};
use crate::codec::{DecodeError, Reader, put_len, put_option, put_str, put_u64};
use crate::queue::codec::{put_bool, read_bool};
use crate::{Revision, Token};

const READ: u8 = 0;
const SHARE: u8 = 1;
const OWN: u8 = 2;
const LOAD: u8 = 3;

const PUT: u8 = 0;
const DELETE: u8 = 1;
const ADD: u8 = 2;

const MAX_ENTRIES: u8 = 1;
const MAX_BYTES: u8 = 1 << 1;
const MAX_VALUE_BYTES: u8 = 1 << 2;
const TTL: u8 = 1 << 3;
const WHEN_FULL: u8 = 1 << 4;
const CHANGES: u8 = (1 << 5) - 1;

pub(crate) fn put_line_name(out: &mut Vec<u8>, line: &LineName) {
    put_str(out, line.cache.as_str());
    put_str(out, line.key.as_str());
}

pub(crate) fn read_line_name(reader: &mut Reader<'_>) -> Result<LineName, DecodeError> {
    Ok(LineName { cache: reader.name()?, key: reader.name()? })
}

pub(crate) fn put_fill(out: &mut Vec<u8>, how: Fill) {
    match how {
        Fill::Read => out.push(READ),
        Fill::Share => out.push(SHARE),
        Fill::Own => out.push(OWN),
        Fill::Load { lease_ms } => {
            out.push(LOAD);
            put_u64(out, lease_ms);
        }
    }
}

pub(crate) fn read_fill(reader: &mut Reader<'_>) -> Result<Fill, DecodeError> {
    match reader.u8()? {
        READ => Ok(Fill::Read),
        SHARE => Ok(Fill::Share),
        OWN => Ok(Fill::Own),
        LOAD => Ok(Fill::Load { lease_ms: reader.u64()? }),
        tag => Err(DecodeError::UnknownTag { what: "fill", tag }),
    }
}

pub(crate) fn put_change(out: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Put { body, ttl_ms } => put_put(out, body.bytes(), *ttl_ms),
        Change::Delete => out.push(DELETE),
        Change::Add(number) => put_add(out, *number),
    }
}

fn put_put(out: &mut Vec<u8>, body: &[u8], ttl_ms: Option<u64>) {
    out.push(PUT);
    put_len(out, body.len());
    out.extend_from_slice(body);
    put_option(out, ttl_ms);
}

fn put_add(out: &mut Vec<u8>, number: i64) {
    out.push(ADD);
    out.extend_from_slice(&number.to_le_bytes());
}

pub(crate) fn read_change(reader: &mut Reader<'_>) -> Result<Change, DecodeError> {
    match reader.u8()? {
        PUT => {
            let body = reader.value()?;
            Ok(Change::Put { body, ttl_ms: reader.option("ttl_ms")? })
        }
        DELETE => Ok(Change::Delete),
        ADD => Ok(Change::Add(reader.i64()?)),
        tag => Err(DecodeError::UnknownTag { what: "change", tag }),
    }
}

fn put_conditions(out: &mut Vec<u8>, when: When, load: Option<Token>) {
    put_option(
        out,
        match when {
            When::Always => None,
            When::Version(version) => Some(version.get()),
        },
    );
    put_option(out, load.map(Token::get));
}

fn read_conditions(reader: &mut Reader<'_>) -> Result<(When, Option<Token>), DecodeError> {
    let when = match reader.option("version")? {
        None => When::Always,
        Some(version) => When::Version(Revision::new(version)),
    };
    Ok((when, reader.option("load")?.map(Token::new)))
}

/// The command's tag says whether the writer is asked as well.
pub(crate) fn put_write(out: &mut Vec<u8>, write: &LineWrite) {
    put_change(out, &write.change);
    put_conditions(out, write.when, write.load);
}

pub(crate) fn read_write(
    reader: &mut Reader<'_>,
    asks_writer: bool,
) -> Result<LineWrite, DecodeError> {
    let change = read_change(reader)?;
    let (when, load) = read_conditions(reader)?;
    Ok(LineWrite { change, when, load, asks_writer })
}

/// As [`put_write`].
pub(crate) fn put_kept(out: &mut Vec<u8>, kept: &Kept) {
    match &kept.change {
        KeptChange::Put { body, ttl_ms } => put_put(out, body, *ttl_ms),
        KeptChange::Delete => out.push(DELETE),
        KeptChange::Add(number) => put_add(out, *number),
    }
    put_conditions(out, kept.when, kept.load);
}

pub(crate) fn read_kept(reader: &mut Reader<'_>) -> Result<Kept, DecodeError> {
    Ok(Kept::copy_of(&read_write(reader, false)?))
}

fn put_when_full(out: &mut Vec<u8>, when_full: CacheWhenFull) {
    put_bool(out, when_full == CacheWhenFull::Evict);
}

fn read_when_full(reader: &mut Reader<'_>) -> Result<CacheWhenFull, DecodeError> {
    let evicts = read_bool(reader, "when_full")?;
    Ok(if evicts { CacheWhenFull::Evict } else { CacheWhenFull::Refuse })
}

pub(crate) fn put_settings(out: &mut Vec<u8>, settings: &CacheSettings) {
    put_u64(out, settings.max_entries);
    put_u64(out, settings.max_bytes);
    put_u64(out, settings.max_value_bytes);
    put_option(out, settings.ttl_ms);
    put_when_full(out, settings.when_full);
}

pub(crate) fn read_settings(reader: &mut Reader<'_>) -> Result<CacheSettings, DecodeError> {
    Ok(CacheSettings {
        max_entries: reader.u64()?,
        max_bytes: reader.u64()?,
        max_value_bytes: reader.u64()?,
        ttl_ms: reader.option("ttl_ms")?,
        when_full: read_when_full(reader)?,
    })
}

/// A byte says which settings follow.
pub(crate) fn put_cache_change(out: &mut Vec<u8>, change: &CacheChange) {
    let said = [
        (change.max_entries.is_some(), MAX_ENTRIES),
        (change.max_bytes.is_some(), MAX_BYTES),
        (change.max_value_bytes.is_some(), MAX_VALUE_BYTES),
        (change.ttl_ms.is_some(), TTL),
        (change.when_full.is_some(), WHEN_FULL),
    ];
    out.push(said.iter().filter(|(is_said, _)| *is_said).map(|(_, bit)| bit).sum());
    for number in [change.max_entries, change.max_bytes, change.max_value_bytes] {
        number.into_iter().for_each(|number| put_u64(out, number));
    }
    change.ttl_ms.into_iter().for_each(|ttl_ms| put_option(out, ttl_ms));
    change.when_full.into_iter().for_each(|when_full| put_when_full(out, when_full));
}

pub(crate) fn read_cache_change(reader: &mut Reader<'_>) -> Result<CacheChange, DecodeError> {
    let said = reader.u8()?;
    if said & !CHANGES != 0 {
        return Err(DecodeError::UnknownTag { what: "settings", tag: said });
    }
    let mut number = |bit: u8| (said & bit != 0).then(|| reader.u64()).transpose();
    let max_entries = number(MAX_ENTRIES)?;
    let max_bytes = number(MAX_BYTES)?;
    let max_value_bytes = number(MAX_VALUE_BYTES)?;
    let ttl_ms = (said & TTL != 0).then(|| reader.option("ttl_ms")).transpose()?;
    let when_full = (said & WHEN_FULL != 0).then(|| read_when_full(reader)).transpose()?;
    Ok(CacheChange { max_entries, max_bytes, max_value_bytes, ttl_ms, when_full })
}
