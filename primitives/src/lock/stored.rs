//! A lock's bytes in a snapshot: `name, holders, line`.

use crate::codec::{DecodeError, Reader, put_len, put_option, put_str, put_u64};
use crate::lock::codec::{
    put_mode, put_optional_guard, put_terms, put_wants, read_mode, read_optional_guard, read_terms,
    read_wants,
};
use crate::lock::{Class, Ghost, Holder, Holders, Lock, Mode, Place, Terms, Waiter, Wants};
use crate::{Flow, Name, SessionId, Timestamp, Token};

const UPGRADE: u8 = 0;
const PLAIN: u8 = 1;

/// What stands in the place of a waiter's upgrade.
const NOTHING: u8 = 0;
const UPGRADES: u8 = 1;
const PROMISED: u8 = 2;

/// `forget` is a fault: promises are left out.
pub(crate) fn put_lock(out: &mut Vec<u8>, name: &Name, lock: &Lock, forget: bool) {
    put_str(out, name.as_str());
    put_len(out, lock.holders.len());
    lock.holders.iter().for_each(|holder| put_holder(out, holder));
    put_len(out, lock.line.len());
    for (place, waiter) in &lock.line {
        put_waiter(out, *place, waiter, waiter.promised.filter(|_| !forget));
    }
}

fn put_holder(out: &mut Vec<u8>, holder: &Holder) {
    put_u64(out, holder.session.get());
    put_u64(out, holder.seq.get());
    put_u64(out, holder.token.get());
    put_u64(out, holder.since.as_millis());
    put_mode(out, holder.mode);
    put_u64(out, holder.flow.get());
    put_u64(out, holder.delay_ms.into());
    put_option(out, holder.wounded_by.map(SessionId::get));
    put_option(out, holder.ghost.as_ref().map(|ghost| ghost.until.as_millis()));
    if let Some(ghost) = &holder.ghost {
        out.extend_from_slice(&ghost.identity);
    }
}

fn put_waiter(out: &mut Vec<u8>, place: Place, waiter: &Waiter, promised: Option<Token>) {
    out.push(match place.class {
        Class::Upgrade => UPGRADE,
        Class::Plain => PLAIN,
    });
    put_u64(out, place.ticket.get());
    put_u64(out, waiter.session.get());
    put_u64(out, waiter.seq.get());
    put_u64(out, waiter.since.as_millis());
    put_option(out, waiter.deadline.map(Timestamp::as_millis));
    put_u64(out, waiter.ahead.into());
    put_u64(out, waiter.flow.get());
    put_wants(out, &waiter.wants);
    put_terms(out, waiter.terms);
    // An upgrade is never promised.
    let (tag, token) = match (waiter.upgrades, promised) {
        (Some(upgrades), _) => (UPGRADES, Some(upgrades)),
        (None, Some(promised)) => (PROMISED, Some(promised)),
        (None, None) => (NOTHING, None),
    };
    out.push(tag);
    token.into_iter().for_each(|token| put_u64(out, token.get()));
    put_optional_guard(out, waiter.guard.as_deref());
}

pub(crate) fn read_lock(reader: &mut Reader<'_>) -> Result<(Name, Lock), DecodeError> {
    let name = reader.name()?;
    let holders = reader.list(read_holder)?;
    let line = reader.list(read_waiter)?;
    Ok((name, lock_of(holders, line)?))
}

/// A lock as it was written when there were exclusive ones only, and no deadlocks were looked for.
pub(crate) fn read_lock_v1(reader: &mut Reader<'_>) -> Result<(Name, Lock), DecodeError> {
    let name = reader.name()?;
    let (session, seq, token) = (reader.session()?, reader.seq()?, reader.token()?);
    let holder = Holder {
        session,
        seq,
        token,
        since: reader.timestamp()?,
        mode: Mode::Exclusive,
        flow: Flow::new(token.get()),
        delay_ms: 0,
        wounded_by: None,
        ghost: None,
    };
    let line = reader.list(|reader| {
        let ticket = reader.token()?;
        let waiter = Waiter {
            session: reader.session()?,
            seq: reader.seq()?,
            since: reader.timestamp()?,
            deadline: reader.option("deadline")?.map(Timestamp::from_millis),
            ahead: reader.u32()?,
            flow: Flow::new(ticket.get()),
            wants: Wants::one(name.clone(), Mode::Exclusive),
            terms: Terms { own_flow: true, ..Terms::default() },
            upgrades: None,
            guard: None,
            promised: None,
        };
        Ok((Place { class: Class::Plain, ticket }, waiter))
    })?;
    Ok((name, lock_of(vec![holder], line)?))
}

fn lock_of(holders: Vec<Holder>, line: Vec<(Place, Waiter)>) -> Result<Lock, DecodeError> {
    if !line.is_sorted_by(|(a, _), (b, _)| a < b) {
        return Err(DecodeError::OutOfOrder { what: "a line" });
    }
    if !holders.is_sorted_by(|a, b| a.token < b.token) {
        return Err(DecodeError::OutOfOrder { what: "the holders of a lock" });
    }
    let mut lock = Lock { holders: Holders::default(), line: line.into_iter().collect() };
    holders.into_iter().for_each(|holder| lock.holders.push(holder));
    Ok(lock)
}

fn read_holder(reader: &mut Reader<'_>) -> Result<Holder, DecodeError> {
    let mut holder = Holder {
        session: reader.session()?,
        seq: reader.seq()?,
        token: reader.token()?,
        since: reader.timestamp()?,
        mode: read_mode(reader)?,
        flow: reader.flow()?,
        delay_ms: reader.u32()?,
        wounded_by: reader.option("wounded_by")?.map(SessionId::new),
        ghost: None,
    };
    if let Some(until) = reader.option("ghost")? {
        let until = Timestamp::from_millis(until);
        holder.ghost = Some(Box::new(Ghost { until, identity: reader.hash()? }));
    }
    Ok(holder)
}

fn read_waiter(reader: &mut Reader<'_>) -> Result<(Place, Waiter), DecodeError> {
    let class = match reader.u8()? {
        UPGRADE => Class::Upgrade,
        PLAIN => Class::Plain,
        tag => return Err(DecodeError::UnknownTag { what: "place", tag }),
    };
    let place = Place { class, ticket: reader.token()? };
    let mut waiter = Waiter {
        session: reader.session()?,
        seq: reader.seq()?,
        since: reader.timestamp()?,
        deadline: reader.option("deadline")?.map(Timestamp::from_millis),
        ahead: reader.u32()?,
        flow: reader.flow()?,
        wants: read_wants(reader)?,
        terms: read_terms(reader)?,
        upgrades: None,
        guard: None,
        promised: None,
    };
    match reader.u8()? {
        NOTHING => {}
        UPGRADES => waiter.upgrades = Some(reader.token()?),
        PROMISED => waiter.promised = Some(reader.token()?),
        tag => return Err(DecodeError::UnknownTag { what: "upgrades", tag }),
    }
    waiter.guard = read_optional_guard(reader)?;
    if waiter.class() != class {
        return Err(DecodeError::OutOfOrder { what: "a line" });
    }
    Ok((place, waiter))
}
