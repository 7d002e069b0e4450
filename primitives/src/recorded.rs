//! The bytes of an [`Outcome`] that a session's window remembers, as they stand in a snapshot.

use crate::codec::{DecodeError, Reader, put_len, put_str, put_u64};
use crate::{Outcome, Rejection};

const DONE: u8 = 0;
const SESSION_OPENED: u8 = 1;
const SESSION_RESUMED: u8 = 2;
const GRANTED: u8 = 3;
const WAITING: u8 = 4;
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
        Outcome::Rejected(rejection) => put_rejection(out, rejection),
    }
}

fn put_tagged(out: &mut Vec<u8>, tag: u8, value: u64) {
    out.push(tag);
    put_u64(out, value);
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
        Rejection::LockHeld { name, holder } => {
            out.push(LOCK_HELD);
            put_str(out, name.as_str());
            put_u64(out, holder.get());
        }
        Rejection::WaitOver { name } => {
            out.push(WAIT_OVER);
            put_str(out, name.as_str());
        }
        Rejection::NotHeld { name, token } => {
            out.push(NOT_HELD);
            put_str(out, name.as_str());
            put_u64(out, token.get());
        }
        Rejection::TooManyWaiters { name } => {
            out.push(TOO_MANY_WAITERS);
            put_str(out, name.as_str());
        }
        Rejection::TooManyWaits { session } => put_tagged(out, TOO_MANY_WAITS, session.get()),
        Rejection::Misplaced => out.push(MISPLACED),
    }
}

pub(crate) fn read_outcome(reader: &mut Reader<'_>) -> Result<Outcome, DecodeError> {
    Ok(match reader.u8()? {
        DONE => Outcome::Done,
        SESSION_OPENED => Outcome::SessionOpened { session: reader.session()? },
        SESSION_RESUMED => Outcome::SessionResumed { ttl_ms: reader.u64()? },
        GRANTED => Outcome::Granted { token: reader.token()? },
        WAITING => Outcome::Waiting { ticket: reader.token()?, ahead: reader.u32()? },
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
        MISPLACED => Rejection::Misplaced,
        tag => return Err(DecodeError::UnknownTag { what: "outcome", tag }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Name, Seq, SessionId, Token};

    /// If this fails, the format has changed: it needs a new version.
    #[test]
    fn every_outcome_has_its_bytes() {
        let (session, token, seq) = (SessionId::new(300), Token::new(9), Seq::new(128));
        let name = Name::parse("a").expect("a good name");
        let no = Outcome::Rejected;
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
            (no(Rejection::TooManyWaiters { name }), &[25, 1, b'a']),
            (no(Rejection::TooManyWaits { session }), &[26, 0xac, 2]),
            (no(Rejection::Misplaced), &[27]),
        ] {
            let mut bytes = Vec::new();
            put_outcome(&mut bytes, &outcome);
            assert_eq!(bytes, want, "{outcome:?}");
            let mut reader = Reader::new(&bytes);
            assert_eq!(read_outcome(&mut reader), Ok(outcome));
            assert_eq!(reader.finish(), Ok(()));
        }
        let unknown = DecodeError::UnknownTag { what: "outcome", tag: 28 };
        assert_eq!(read_outcome(&mut Reader::new(&[28])), Err(unknown));
    }
}
