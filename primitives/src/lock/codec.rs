//! The bytes of what is particular to locks: modes, wishes, terms and guards. Used by the log, by
//! the snapshot, and by the answers in it.

use crate::codec::{DecodeError, Reader, put_len, put_str, put_u64};
use crate::lock::{Guard, Mode, Names, Policy, Terms, Want, Wants};
use crate::queue::codec::{put_bool, read_bool};

const EXCLUSIVE: u8 = 0;
const SHARED: u8 = 1;
const PERMITS: u8 = 2;

const REENTRANT: u8 = 1;
const OWN_FLOW: u8 = 1 << 1;
const WOUND_WAIT: u8 = 1 << 2;
const WAIT_DIE: u8 = 1 << 3;
const DELAYED: u8 = 1 << 4;

pub(crate) fn put_mode(out: &mut Vec<u8>, mode: Mode) {
    match mode {
        Mode::Exclusive => out.push(EXCLUSIVE),
        Mode::Shared => out.push(SHARED),
        Mode::Permits { count, of } => {
            out.push(PERMITS);
            put_u64(out, count.into());
            put_u64(out, of.into());
        }
    }
}

pub(crate) fn put_wants(out: &mut Vec<u8>, wants: &Wants) {
    put_len(out, wants.len());
    for want in wants {
        put_str(out, want.name.as_str());
        put_mode(out, want.mode);
    }
}

pub(crate) fn put_names(out: &mut Vec<u8>, names: &Names) {
    put_len(out, names.len());
    for name in names {
        put_str(out, name.as_str());
    }
}

/// One byte of flags, and the delay if there is one.
pub(crate) fn put_terms(out: &mut Vec<u8>, terms: Terms) {
    let policy = match terms.policy {
        Policy::Detect => 0,
        Policy::WoundWait => WOUND_WAIT,
        Policy::WaitDie => WAIT_DIE,
    };
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let delayed = terms.delay_ms > 0;
    out.push(
        policy
            | flag(terms.reentrant, REENTRANT)
            | flag(terms.own_flow, OWN_FLOW)
            | flag(delayed, DELAYED),
    );
    if delayed {
        put_u64(out, terms.delay_ms.into());
    }
}

pub(crate) fn put_optional_guard(out: &mut Vec<u8>, guard: Option<&Guard>) {
    put_bool(out, guard.is_some());
    if let Some(guard) = guard {
        put_guard(out, guard);
    }
}

pub(crate) fn read_optional_guard(
    reader: &mut Reader<'_>,
) -> Result<Option<Box<Guard>>, DecodeError> {
    let has_guard = read_bool(reader, "guard")?;
    Ok(has_guard.then(|| read_guard(reader)).transpose()?.map(Box::new))
}

pub(crate) fn put_guard(out: &mut Vec<u8>, guard: &Guard) {
    put_str(out, guard.name.as_str());
    put_u64(out, guard.token.get());
}

pub(crate) fn read_mode(reader: &mut Reader<'_>) -> Result<Mode, DecodeError> {
    match reader.u8()? {
        EXCLUSIVE => Ok(Mode::Exclusive),
        SHARED => Ok(Mode::Shared),
        PERMITS => {
            let count = reader.u32()?;
            Ok(Mode::permits(count, reader.u32()?)?)
        }
        tag => Err(DecodeError::UnknownTag { what: "mode", tag }),
    }
}

pub(crate) fn read_wants(reader: &mut Reader<'_>) -> Result<Wants, DecodeError> {
    let wants = reader.list(|reader| {
        let name = reader.name()?;
        Ok(Want { name, mode: read_mode(reader)? })
    })?;
    Ok(Wants::sorted(wants.into())?)
}

pub(crate) fn read_names(reader: &mut Reader<'_>) -> Result<Names, DecodeError> {
    Ok(Names::sorted(reader.list(Reader::name)?)?)
}

pub(crate) fn read_terms(reader: &mut Reader<'_>) -> Result<Terms, DecodeError> {
    let flags = reader.u8()?;
    let policy = match flags & (WOUND_WAIT | WAIT_DIE) {
        0 => Policy::Detect,
        WOUND_WAIT => Policy::WoundWait,
        WAIT_DIE => Policy::WaitDie,
        _ => return Err(DecodeError::UnknownTag { what: "policy", tag: flags }),
    };
    if flags > (REENTRANT | OWN_FLOW | WAIT_DIE | WOUND_WAIT | DELAYED) {
        return Err(DecodeError::UnknownTag { what: "terms", tag: flags });
    }
    let delay_ms = if flags & DELAYED == 0 { 0 } else { reader.u32()? };
    if flags & DELAYED != 0 && delay_ms == 0 {
        return Err(DecodeError::NotShortest { what: "a delay" });
    }
    let (reentrant, own_flow) = (flags & REENTRANT != 0, flags & OWN_FLOW != 0);
    Ok(Terms { reentrant, own_flow, policy, delay_ms })
}

pub(crate) fn read_guard(reader: &mut Reader<'_>) -> Result<Guard, DecodeError> {
    let name = reader.name()?;
    Ok(Guard { name, token: reader.token()? })
}
