//! The bytes of a cache and of a line in a snapshot.

use std::collections::VecDeque;

use super::codec::{
    put_fill, put_kept, put_line_name, put_settings, read_fill, read_kept, read_line_name,
    read_settings,
};
use super::copies::Copy;
use super::state::{Busy, Cache, Line, Load, LoadWait, Removal, Sweep, Turn, Value, What};
use super::{CacheTotals, LineName};
use crate::codec::{DecodeError, Reader, put_len, put_option, put_str, put_u64};
use crate::lock::codec::{put_optional_guard, read_optional_guard};
use crate::queue::codec::{put_bool, read_bool};
use crate::{Name, Revision, Timestamp, Token};

const FILL: u8 = 0;
const WRITE: u8 = 1;
const EXPIRED: u8 = 2;
const EVICTED: u8 = 3;
const SWEPT: u8 = 4;

pub(crate) fn put_cache(out: &mut Vec<u8>, name: &Name, cache: &Cache) {
    put_str(out, name.as_str());
    put_settings(out, &cache.settings);
    let CacheTotals { fills, writes, recalls, expired, evicted } = cache.totals;
    [fills, writes, recalls, expired, evicted].into_iter().for_each(|total| put_u64(out, total));
    put_len(out, cache.sweeps.len());
    for (ticket, sweep) in &cache.sweeps {
        put_u64(out, ticket.get());
        put_u64(out, sweep.session.get());
        put_u64(out, sweep.seq.get());
        put_u64(out, sweep.left.into());
        put_u64(out, sweep.count.into());
        put_bool(out, sweep.more);
    }
}

pub(crate) fn read_cache(reader: &mut Reader<'_>) -> Result<(Name, Cache), DecodeError> {
    let name = reader.name()?;
    let settings = read_settings(reader)?;
    let totals = CacheTotals {
        fills: reader.u64()?,
        writes: reader.u64()?,
        recalls: reader.u64()?,
        expired: reader.u64()?,
        evicted: reader.u64()?,
    };
    let sweeps = reader.list(|reader| {
        let ticket = reader.token()?;
        let sweep = Sweep {
            session: reader.session()?,
            seq: reader.seq()?,
            left: reader.u32()?,
            count: reader.u32()?,
            more: read_bool(reader, "more")?,
        };
        Ok((ticket, sweep))
    })?;
    if !sweeps.is_sorted_by(|(a, _), (b, _)| a < b) {
        return Err(DecodeError::OutOfOrder { what: "sweeps" });
    }
    Ok((name, Cache { settings, totals, sweeps: sweeps.into_iter().collect() }))
}

/// Without the copies of its value if they are to be forgotten.
pub(crate) fn put_line(out: &mut Vec<u8>, name: &LineName, line: &Line, forget_copies: bool) {
    put_line_name(out, name);
    put_bool(out, line.value.is_some());
    if let Some(value) = &line.value {
        put_u64(out, value.version.get());
        put_len(out, value.body.len());
        out.extend_from_slice(&value.body);
        put_option(out, value.expires.map(Timestamp::as_millis));
        put_bool(out, value.is_leaving);
    }
    let forget_copies = forget_copies && line.value.is_some();
    let copies = line.copies.iter().filter(|_| !forget_copies);
    put_len(out, if forget_copies { 0 } else { line.copies.len() });
    for copy in copies {
        put_u64(out, copy.session.get());
        put_u64(out, copy.since.get());
        put_bool(out, copy.is_owned);
        put_option(out, copy.asked.map(Revision::get));
    }
    put_bool(out, line.busy.is_some());
    if let Some(busy) = &line.busy {
        put_busy(out, busy);
    }
}

fn put_busy(out: &mut Vec<u8>, busy: &Busy) {
    put_len(out, busy.turns.len());
    busy.turns.iter().for_each(|turn| put_turn(out, turn));
    put_bool(out, busy.load.is_some());
    if let Some(load) = &busy.load {
        put_u64(out, load.session.get());
        put_u64(out, load.seq.get());
        put_u64(out, load.token.get());
        put_option(out, load.deadline.map(Timestamp::as_millis));
    }
    put_len(out, busy.load_waits.len());
    for wait in &busy.load_waits {
        put_u64(out, wait.ticket.get());
        put_u64(out, wait.session.get());
        put_u64(out, wait.seq.get());
        put_u64(out, wait.lease_ms);
        put_optional_guard(out, wait.guard.as_deref());
    }
}

fn put_turn(out: &mut Vec<u8>, turn: &Turn) {
    put_u64(out, turn.ticket.get());
    put_u64(out, turn.session.get());
    put_u64(out, turn.seq.get());
    put_optional_guard(out, turn.guard.as_deref());
    match &turn.what {
        What::Fill(how) => {
            out.push(FILL);
            put_fill(out, *how);
        }
        What::Write(kept) => {
            out.push(WRITE);
            put_kept(out, kept);
        }
        What::Remove(removal) => {
            let (tag, number) = match removal {
                Removal::Expired(version) => (EXPIRED, version.get()),
                Removal::Evicted(version) => (EVICTED, version.get()),
                Removal::Swept(ticket) => (SWEPT, ticket.get()),
            };
            out.push(tag);
            put_u64(out, number);
        }
    }
}

/// Until version 4 those who waited for a load had no guards.
pub(crate) fn read_line(
    reader: &mut Reader<'_>,
    version: u8,
) -> Result<(LineName, Line), DecodeError> {
    let name = read_line_name(reader)?;
    let has_value = read_bool(reader, "value")?;
    let value = has_value.then(|| read_value(reader)).transpose()?;
    let copies: Vec<Copy> = reader.list(|reader| {
        Ok(Copy {
            session: reader.session()?,
            since: reader.revision()?,
            is_owned: read_bool(reader, "owned")?,
            asked: reader.option("asked")?.map(Revision::new),
        })
    })?;
    let is_busy = read_bool(reader, "busy")?;
    let busy = is_busy.then(|| read_busy(reader, version)).transpose()?.map(Box::new);
    if !copies.is_sorted_by(|a, b| a.session < b.session) {
        return Err(DecodeError::OutOfOrder { what: "copies" });
    }
    Ok((name, Line { value, copies: copies.into_iter().collect(), busy }))
}

fn read_value(reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    let version = reader.revision()?;
    Ok(Value {
        version,
        body: reader.value()?.bytes().into(),
        expires: reader.option("expires")?.map(Timestamp::from_millis),
        is_leaving: read_bool(reader, "leaving")?,
    })
}

fn read_busy(reader: &mut Reader<'_>, version: u8) -> Result<Busy, DecodeError> {
    let turns: VecDeque<Turn> = reader.list(read_turn)?.into();
    let has_load = read_bool(reader, "load")?;
    let load = has_load.then(|| read_load(reader)).transpose()?;
    let load_waits: VecDeque<LoadWait> = reader
        .list(|reader| {
            Ok(LoadWait {
                ticket: reader.token()?,
                session: reader.session()?,
                seq: reader.seq()?,
                lease_ms: reader.u64()?,
                guard: if version < 5 { None } else { read_optional_guard(reader)? },
            })
        })?
        .into();
    if turns.is_empty() && load.is_none() && load_waits.is_empty() {
        return Err(DecodeError::NotShortest { what: "a line" });
    }
    let bytes = turns.iter().map(Turn::bytes).sum();
    Ok(Busy { turns, bytes, load, load_waits })
}

fn read_load(reader: &mut Reader<'_>) -> Result<Load, DecodeError> {
    Ok(Load {
        session: reader.session()?,
        seq: reader.seq()?,
        token: reader.token()?,
        deadline: reader.option("deadline")?.map(Timestamp::from_millis),
    })
}

fn read_turn(reader: &mut Reader<'_>) -> Result<Turn, DecodeError> {
    let (ticket, session, seq) = (reader.token()?, reader.session()?, reader.seq()?);
    let guard = read_optional_guard(reader)?;
    let what = match reader.u8()? {
        FILL => What::Fill(read_fill(reader)?),
        WRITE => What::Write(read_kept(reader)?.into()),
        EXPIRED => What::Remove(Removal::Expired(reader.revision()?)),
        EVICTED => What::Remove(Removal::Evicted(reader.revision()?)),
        SWEPT => What::Remove(Removal::Swept(Token::new(reader.u64()?))),
        tag => return Err(DecodeError::UnknownTag { what: "turn", tag }),
    };
    Ok(Turn { ticket, session, seq, guard, what })
}
