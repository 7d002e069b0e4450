//! What is asked of caches.

use holdfast_primitives::limits::{LET_GO_MAX, SWEEP_MAX};
use holdfast_primitives::{
    self as machine, CacheChange, Change, Command, Fill, LineName, LineWrite, Name, Revision, Seq,
    Token, ValueBody, When,
};
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::{
    self as wire, CacheCopy, CacheFill, CacheFlush, CacheGiveUp, CacheLetGo, CacheSettings,
    CacheSweep, CacheWhenFull, CacheWrite, EndCacheRequest, Error, cache_change,
};

use super::{invalid, name, unknown};
use crate::api::errors::error;

pub(in crate::api) fn line(cache: &str, key: &str) -> Result<LineName, Error> {
    Ok(LineName { cache: name(cache)?, key: name(key)? })
}

pub(in crate::api) fn fill(fill: &CacheFill) -> Result<Command, Error> {
    let line = line(&fill.cache, &fill.key)?;
    let copy = CacheCopy::try_from(fill.copy).map_err(|_| unknown("copy", fill.copy))?;
    let how = match (copy, fill.load_ms) {
        (CacheCopy::None, None) => Fill::Read,
        (CacheCopy::Shared, None) => Fill::Share,
        (CacheCopy::Owned, None) => Fill::Own,
        (CacheCopy::Shared, Some(lease_ms)) => Fill::Load { lease_ms },
        (CacheCopy::None | CacheCopy::Owned, Some(_)) => {
            return Err(invalid("only a fill with a shared copy can ask for a load: set `copy`"));
        }
    };
    Ok(Command::FillLine { line, how })
}

pub(in crate::api) fn write(write: CacheWrite, asks_writer: bool) -> Result<Command, Error> {
    let line = line(&write.cache, &write.key)?;
    let change = write.change.ok_or_else(nothing_to_write)?;
    let write = LineWrite {
        change: parsed_change(change)?,
        when: write
            .if_version
            .map_or(When::Always, |version| When::Version(Revision::new(version))),
        load: (write.load != 0).then(|| Token::new(write.load)),
        asks_writer,
    };
    Ok(Command::WriteLine { line, write: Box::new(write) })
}

pub(in crate::api) fn flush(flush: CacheFlush) -> Result<Command, Error> {
    let line = line(&flush.cache, &flush.key)?;
    let change = flush.change.map(parsed_change).transpose()?;
    if matches!(change, Some(Change::Add(_))) {
        return Err(invalid("an owner adds in its own copy, and flushes the sum: `put` it"));
    }
    let (token, keep) = (Token::new(flush.token), flush.keep);
    Ok(Command::FlushLine { line, token, change, keep })
}

pub(in crate::api) fn let_go(let_go: &CacheLetGo) -> Result<Command, Error> {
    let cache = name(&let_go.cache)?;
    let count = let_go.lines.len();
    if !(1..=LET_GO_MAX).contains(&count) {
        return Err(invalid(format!(
            "a request that lets {count} lines go is not possible: name 1 to {LET_GO_MAX}"
        )));
    }
    let lines = let_go.lines.iter().map(|line| Ok((name(&line.key)?, Revision::new(line.up_to))));
    Ok(Command::LetLinesGo { cache, lines: lines.collect::<Result<_, Error>>()? })
}

pub(in crate::api) fn give_up(give_up: &CacheGiveUp) -> Result<Command, Error> {
    let line = line(&give_up.cache, &give_up.key)?;
    Ok(Command::GiveUpLoad { line, token: Token::new(give_up.token) })
}

pub(in crate::api) fn end(end: &EndCacheRequest) -> Result<Command, Error> {
    let line = line(&end.cache, &end.key)?;
    Ok(Command::EndCacheRequest { line, seq: Seq::new(end.seq) })
}

pub(in crate::api) fn sweep(sweep: CacheSweep) -> Result<Command, Error> {
    let cache = name(&sweep.cache)?;
    let prefix = sweep.prefix;
    if prefix.len() > machine::limits::NAME_BYTES_MAX {
        return Err(invalid(format!("no key can begin with a prefix of {} bytes", prefix.len())));
    }
    let max = if sweep.max == 0 { SWEEP_MAX } else { sweep.max };
    Ok(Command::SweepCache { cache, prefix, max })
}

pub(in crate::api) fn create(
    cache: &str,
    settings: Option<&CacheSettings>,
) -> Result<Command, Error> {
    let (cache, settings) = settings_of(cache, settings)?;
    Ok(Command::CreateCache { cache, settings })
}

pub(in crate::api) fn change(
    cache: &str,
    settings: Option<&CacheSettings>,
) -> Result<Command, Error> {
    let (cache, change) = settings_of(cache, settings)?;
    Ok(Command::ChangeCache { cache, change })
}

fn settings_of(
    cache: &str,
    settings: Option<&CacheSettings>,
) -> Result<(Name, Box<CacheChange>), Error> {
    let cache = name(cache)?;
    let settings = settings.cloned().unwrap_or_default();
    let when_full = CacheWhenFull::try_from(settings.when_full)
        .map_err(|_| unknown("when_full", settings.when_full))?;
    let change = CacheChange {
        max_entries: settings.max_entries,
        max_bytes: settings.max_bytes,
        max_value_bytes: settings.max_value_bytes,
        ttl_ms: settings.ttl_ms.map(|ttl_ms| (ttl_ms != 0).then_some(ttl_ms)),
        when_full: match when_full {
            CacheWhenFull::Unspecified => None,
            CacheWhenFull::Refuse => Some(machine::CacheWhenFull::Refuse),
            CacheWhenFull::Evict => Some(machine::CacheWhenFull::Evict),
        },
    };
    Ok((cache, Box::new(change)))
}

fn parsed_change(change: wire::CacheChange) -> Result<Change, Error> {
    match change.change {
        Some(cache_change::Change::Put(put)) => {
            let body = ValueBody::new(put.body)
                .map_err(|why| error(ErrorCode::ValueTooLarge, why.to_string()))?;
            Ok(Change::Put { body, ttl_ms: put.ttl_ms })
        }
        Some(cache_change::Change::Delete(true)) => Ok(Change::Delete),
        Some(cache_change::Change::Add(number)) => Ok(Change::Add(number)),
        Some(cache_change::Change::Delete(false)) | None => Err(nothing_to_write()),
    }
}

fn nothing_to_write() -> Error {
    invalid("the write says nothing about the value: `put`, `delete` or `add`")
}
