//! The bytes of an [`Outcome`] that a session's window remembers, as they stand in a snapshot.

use crate::cache::recorded::{
    put_cache_rejection, put_written, read_cache_rejection, read_written,
};
use crate::codec::{DecodeError, Reader, put_len, put_option, put_str, put_u64};
use crate::lock::codec::{put_mode, read_mode};
use crate::queue::codec::{put_bool, read_bool};
use crate::queue::recorded::{LAST_OF_QUEUES, put_queue_rejection, read_queue_rejection};
use crate::{Blockage, Name, Outcome, Redriven, Rejection, Token};

const DONE: u8 = 0;
const SESSION_OPENED: u8 = 1;
const SESSION_RESUMED: u8 = 2;
const GRANTED: u8 = 3;
const WAITING: u8 = 4;
const ENQUEUED: u8 = 5;
const CONSUMING: u8 = 6;
const DELIVERED: u8 = 7;
const SWEPT: u8 = 8;
const WRITTEN: u8 = 9;
const LOADING: u8 = 10;
const REDRIVEN: u8 = 11;
const UNKNOWN_SESSION: u8 = 16;
const WRONG_SECRET: u8 = 17;
const BAD_TTL: u8 = 18;
const SESSION_NAME_TOO_LONG: u8 = 19;
const ALREADY_CONFIRMED: u8 = 20;
const TOO_FAR_AHEAD: u8 = 21;
const LOCK_HELD: u8 = 22;
const WAIT_OVER: u8 = 23;
const NOT_HELD: u8 = 24;
const TOO_MANY_WAITERS: u8 = 25;
const TOO_MANY_WAITS: u8 = 26;
const MISPLACED: u8 = 27;
const LINE_AHEAD: u8 = 28;
const LOCK_DELAYED: u8 = 29;
const CAPACITY_MISMATCH: u8 = 30;
const DEADLOCK: u8 = 31;
const WOUNDED: u8 = 32;
const WAIT_DIE: u8 = 33;
const STALE_TOKEN: u8 = 34;
const WRONG_MODE: u8 = 35;
const NOBODY_HOLDS: u8 = 36;
// 37 to 61 are of queues and caches.
const DISK_FULL: u8 = 62;

pub(crate) fn put_outcome(out: &mut Vec<u8>, outcome: &Outcome) {
    match outcome {
        Outcome::Done => out.push(DONE),
        Outcome::SessionOpened { session } => put_tagged(out, SESSION_OPENED, session.get()),
        Outcome::SessionResumed { ttl_ms } => put_tagged(out, SESSION_RESUMED, *ttl_ms),
        Outcome::Granted { token } => put_tagged(out, GRANTED, token.get()),
        Outcome::Waiting { ticket, ahead } => {
            put_tagged(out, WAITING, ticket.get());
            put_u64(out, u64::from(*ahead));
        }
        Outcome::Enqueued { messages } => {
            out.push(ENQUEUED);
            put_len(out, messages.len());
            messages.iter().for_each(|message| put_u64(out, message.get()));
        }
        Outcome::Consuming { consumer } => put_tagged(out, CONSUMING, consumer.get()),
        // That there was one is all that is remembered: what it held is looked up in the state.
        Outcome::Delivered(_) => out.push(DELIVERED),
        Outcome::Swept { count, more } => {
            put_tagged(out, SWEPT, (*count).into());
            put_bool(out, *more);
        }
        Outcome::Redriven(redriven) => put_redriven(out, redriven),
        Outcome::Written(written) => {
            out.push(WRITTEN);
            put_written(out, written);
        }
        Outcome::Loading { token } => put_tagged(out, LOADING, token.get()),
        // Reads are carried out again when they are asked for again.
        Outcome::Filled(_) => out.push(DONE),
        Outcome::Rejected(rejection) => put_rejection(out, rejection),
    }
}

fn put_tagged(out: &mut Vec<u8>, tag: u8, value: u64) {
    out.push(tag);
    put_u64(out, value);
}

fn put_name(out: &mut Vec<u8>, tag: u8, name: &Name) {
    out.push(tag);
    put_str(out, name.as_str());
}

fn put_named(out: &mut Vec<u8>, tag: u8, name: &Name, value: u64) {
    put_name(out, tag, name);
    put_u64(out, value);
}

fn put_redriven(out: &mut Vec<u8>, redriven: &Redriven) {
    put_tagged(out, REDRIVEN, redriven.count.into());
    put_bool(out, redriven.more);
    put_u64(out, redriven.last.get());
    put_u64(out, redriven.left.into());
    put_bool(out, redriven.because.is_some());
    if let Some(rejection) = &redriven.because {
        put_rejection(out, rejection);
    }
}

fn read_redriven(reader: &mut Reader<'_>) -> Result<Redriven, DecodeError> {
    let count = reader.u32()?;
    let more = read_bool(reader, "more")?;
    let last = reader.revision()?;
    let left = reader.u32()?;
    let mut because = None;
    if read_bool(reader, "because")? {
        let tag = reader.u8()?;
        because = Some(read_rejection(tag, reader)?);
    }
    Ok(Redriven { count, more, last, left, because })
}

fn put_blockage(out: &mut Vec<u8>, step: &Blockage) {
    put_u64(out, step.waiter.get());
    put_str(out, step.name.as_str());
    put_mode(out, step.mode);
    put_u64(out, step.blocker.get());
    put_option(out, step.token.map(Token::get));
}

fn read_blockage(reader: &mut Reader<'_>) -> Result<Blockage, DecodeError> {
    Ok(Blockage {
        waiter: reader.session()?,
        name: reader.name()?,
        mode: read_mode(reader)?,
        blocker: reader.session()?,
        token: reader.option("token")?.map(Token::new),
    })
}

fn put_rejection(out: &mut Vec<u8>, rejection: &Rejection) {
    match rejection {
        Rejection::UnknownSession { session } => put_tagged(out, UNKNOWN_SESSION, session.get()),
        Rejection::WrongSecret { session } => put_tagged(out, WRONG_SECRET, session.get()),
        Rejection::BadTtl { ttl_ms } => put_tagged(out, BAD_TTL, *ttl_ms),
        Rejection::SessionNameTooLong { bytes } => {
            out.push(SESSION_NAME_TOO_LONG);
            put_len(out, *bytes);
        }
        Rejection::AlreadyConfirmed { seq } => put_tagged(out, ALREADY_CONFIRMED, seq.get()),
        Rejection::TooFarAhead { seq } => put_tagged(out, TOO_FAR_AHEAD, seq.get()),
        Rejection::LockHeld { name, holder } => put_named(out, LOCK_HELD, name, holder.get()),
        Rejection::LineAhead { name, first } => put_named(out, LINE_AHEAD, name, first.get()),
        Rejection::LockDelayed { name, ms } => put_named(out, LOCK_DELAYED, name, *ms),
        Rejection::CapacityMismatch { name, capacity, asked } => {
            put_named(out, CAPACITY_MISMATCH, name, u64::from(*capacity));
            put_u64(out, u64::from(*asked));
        }
        Rejection::Deadlock { name, cycle } => {
            put_name(out, DEADLOCK, name);
            put_len(out, cycle.len());
            cycle.iter().for_each(|step| put_blockage(out, step));
        }
        Rejection::Wounded { name, by } => put_named(out, WOUNDED, name, by.get()),
        Rejection::WaitDie { name, older } => put_named(out, WAIT_DIE, name, older.get()),
        Rejection::StaleToken { name, token } => put_named(out, STALE_TOKEN, name, token.get()),
        Rejection::WrongMode { name, mode } => {
            put_name(out, WRONG_MODE, name);
            put_mode(out, *mode);
        }
        Rejection::WaitOver { name } => put_name(out, WAIT_OVER, name),
        Rejection::NotHeld { name, token } => put_named(out, NOT_HELD, name, token.get()),
        Rejection::NobodyHolds { name } => put_name(out, NOBODY_HOLDS, name),
        Rejection::TooManyWaiters { name } => put_name(out, TOO_MANY_WAITERS, name),
        Rejection::TooManyWaits { session } => put_tagged(out, TOO_MANY_WAITS, session.get()),
        Rejection::DiskFull => out.push(DISK_FULL),
        Rejection::Misplaced => out.push(MISPLACED),
        Rejection::NoSuchQueue { .. }
        | Rejection::QueueExists { .. }
        | Rejection::QueueNotEmpty { .. }
        | Rejection::QueueFull { .. }
        | Rejection::MessageTooLarge { .. }
        | Rejection::BadMessageCount { .. }
        | Rejection::BadSetting(_)
        | Rejection::UnknownReceipt { .. }
        | Rejection::ForeignReceipt { .. }
        | Rejection::NothingCame { .. }
        | Rejection::QueueDeleted { .. }
        | Rejection::QueueCrowded { .. } => put_queue_rejection(out, rejection),
        Rejection::NoSuchCache { .. }
        | Rejection::CacheExists { .. }
        | Rejection::CacheNotEmpty { .. }
        | Rejection::CacheFull { .. }
        | Rejection::ValueTooLarge { .. }
        | Rejection::VersionMismatch { .. }
        | Rejection::NotACounter { .. }
        | Rejection::CounterOverflow { .. }
        | Rejection::FillWithdrawn { .. }
        | Rejection::LoadOver { .. }
        | Rejection::NotOwner { .. }
        | Rejection::LineCrowded { .. } => put_cache_rejection(out, rejection),
    }
}

pub(crate) fn read_outcome(reader: &mut Reader<'_>) -> Result<Outcome, DecodeError> {
    Ok(match reader.u8()? {
        DONE => Outcome::Done,
        SESSION_OPENED => Outcome::SessionOpened { session: reader.session()? },
        SESSION_RESUMED => Outcome::SessionResumed { ttl_ms: reader.u64()? },
        GRANTED => Outcome::Granted { token: reader.token()? },
        WAITING => Outcome::Waiting { ticket: reader.token()?, ahead: reader.u32()? },
        ENQUEUED => Outcome::Enqueued { messages: reader.list(Reader::revision)?.into() },
        CONSUMING => Outcome::Consuming { consumer: reader.token()? },
        DELIVERED => Outcome::Delivered(Vec::new()),
        SWEPT => {
            let count = reader.u32()?;
            Outcome::Swept { count, more: read_bool(reader, "more")? }
        }
        REDRIVEN => Outcome::Redriven(Box::new(read_redriven(reader)?)),
        WRITTEN => Outcome::Written(read_written(reader)?),
        LOADING => Outcome::Loading { token: reader.token()? },
        tag => Outcome::Rejected(read_rejection(tag, reader)?),
    })
}

fn read_rejection(tag: u8, reader: &mut Reader<'_>) -> Result<Rejection, DecodeError> {
    Ok(match tag {
        UNKNOWN_SESSION => Rejection::UnknownSession { session: reader.session()? },
        WRONG_SECRET => Rejection::WrongSecret { session: reader.session()? },
        BAD_TTL => Rejection::BadTtl { ttl_ms: reader.u64()? },
        SESSION_NAME_TOO_LONG => Rejection::SessionNameTooLong { bytes: reader.len()? },
        ALREADY_CONFIRMED => Rejection::AlreadyConfirmed { seq: reader.seq()? },
        TOO_FAR_AHEAD => Rejection::TooFarAhead { seq: reader.seq()? },
        LOCK_HELD => Rejection::LockHeld { name: reader.name()?, holder: reader.session()? },
        WAIT_OVER => Rejection::WaitOver { name: reader.name()? },
        NOT_HELD => Rejection::NotHeld { name: reader.name()?, token: reader.token()? },
        TOO_MANY_WAITERS => Rejection::TooManyWaiters { name: reader.name()? },
        TOO_MANY_WAITS => Rejection::TooManyWaits { session: reader.session()? },
        DISK_FULL => Rejection::DiskFull,
        MISPLACED => Rejection::Misplaced,
        LINE_AHEAD => Rejection::LineAhead { name: reader.name()?, first: reader.session()? },
        LOCK_DELAYED => Rejection::LockDelayed { name: reader.name()?, ms: reader.u64()? },
        CAPACITY_MISMATCH => Rejection::CapacityMismatch {
            name: reader.name()?,
            capacity: reader.u32()?,
            asked: reader.u32()?,
        },
        DEADLOCK => {
            let name = reader.name()?;
            Rejection::Deadlock { name, cycle: reader.list(read_blockage)? }
        }
        WOUNDED => Rejection::Wounded { name: reader.name()?, by: reader.session()? },
        WAIT_DIE => Rejection::WaitDie { name: reader.name()?, older: reader.session()? },
        STALE_TOKEN => Rejection::StaleToken { name: reader.name()?, token: reader.token()? },
        WRONG_MODE => Rejection::WrongMode { name: reader.name()?, mode: read_mode(reader)? },
        NOBODY_HOLDS => Rejection::NobodyHolds { name: reader.name()? },
        tag if tag <= LAST_OF_QUEUES => return read_queue_rejection(tag, reader),
        tag => return read_cache_rejection(tag, reader),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mode, Seq, SessionId};

    /// If this fails, the format has changed: it needs a new version.
    #[test]
    fn every_outcome_has_its_bytes() {
        let (session, token, seq) = (SessionId::new(300), Token::new(9), Seq::new(128));
        let name = Name::parse("a").expect("a good name");
        let no = Outcome::Rejected;
        let step = |token| Blockage {
            waiter: session,
            name: name.clone(),
            mode: Mode::Permits { count: 1, of: 3 },
            blocker: SessionId::new(7),
            token,
        };
        for (outcome, want) in [
            (Outcome::Done, &[0][..]),
            (Outcome::SessionOpened { session }, &[1, 0xac, 2]),
            (Outcome::SessionResumed { ttl_ms: 1 }, &[2, 1]),
            (Outcome::Granted { token }, &[3, 9]),
            (Outcome::Waiting { ticket: token, ahead: 2 }, &[4, 9, 2]),
            (no(Rejection::UnknownSession { session }), &[16, 0xac, 2]),
            (no(Rejection::WrongSecret { session }), &[17, 0xac, 2]),
            (no(Rejection::BadTtl { ttl_ms: 1 }), &[18, 1]),
            (no(Rejection::SessionNameTooLong { bytes: 257 }), &[19, 0x81, 2]),
            (no(Rejection::AlreadyConfirmed { seq }), &[20, 0x80, 1]),
            (no(Rejection::TooFarAhead { seq }), &[21, 0x80, 1]),
            (
                no(Rejection::LockHeld { name: name.clone(), holder: session }),
                &[22, 1, b'a', 0xac, 2],
            ),
            (no(Rejection::WaitOver { name: name.clone() }), &[23, 1, b'a']),
            (no(Rejection::NotHeld { name: name.clone(), token }), &[24, 1, b'a', 9]),
            (no(Rejection::TooManyWaiters { name: name.clone() }), &[25, 1, b'a']),
            (no(Rejection::TooManyWaits { session }), &[26, 0xac, 2]),
            (no(Rejection::Misplaced), &[27]),
            (
                no(Rejection::LineAhead { name: name.clone(), first: session }),
                &[28, 1, b'a', 0xac, 2],
            ),
            (no(Rejection::LockDelayed { name: name.clone(), ms: 5 }), &[29, 1, b'a', 5]),
            (
                no(Rejection::CapacityMismatch { name: name.clone(), capacity: 3, asked: 4 }),
                &[30, 1, b'a', 3, 4],
            ),
            (
                no(Rejection::Deadlock { name: name.clone(), cycle: vec![step(Some(token))] }),
                &[31, 1, b'a', 1, 0xac, 2, 1, b'a', 2, 1, 3, 7, 1, 9],
            ),
            (
                no(Rejection::Deadlock { name: name.clone(), cycle: vec![step(None)] }),
                &[31, 1, b'a', 1, 0xac, 2, 1, b'a', 2, 1, 3, 7, 0],
            ),
            (no(Rejection::Wounded { name: name.clone(), by: session }), &[32, 1, b'a', 0xac, 2]),
            (
                no(Rejection::WaitDie { name: name.clone(), older: session }),
                &[33, 1, b'a', 0xac, 2],
            ),
            (no(Rejection::StaleToken { name: name.clone(), token }), &[34, 1, b'a', 9]),
            (
                no(Rejection::WrongMode { name: name.clone(), mode: Mode::Shared }),
                &[35, 1, b'a', 1],
            ),
            (no(Rejection::NobodyHolds { name }), &[36, 1, b'a']),
            (no(Rejection::DiskFull), &[62]),
        ] {
            let mut bytes = Vec::new();
            put_outcome(&mut bytes, &outcome);
            assert_eq!(bytes, want, "{outcome:?}");
            let mut reader = Reader::new(&bytes);
            assert_eq!(read_outcome(&mut reader), Ok(outcome));
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn an_unknown_outcome_is_refused() {
        let unknown = DecodeError::UnknownTag { what: "outcome", tag: 99 };
        assert_eq!(read_outcome(&mut Reader::new(&[99])), Err(unknown));
    }
}
