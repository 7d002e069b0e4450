//! The bytes of the outcomes of caches that a session remembers. Their tags follow on those in
//! `queue/recorded.rs`. `recorded.rs` of the crate says which are whose.

use super::codec::{put_line_name, read_line_name};
use super::{LineName, Written};
use crate::codec::{DecodeError, Reader, put_option, put_str, put_u64};
use crate::{Name, Rejection};

const NO_SUCH_CACHE: u8 = 50;
const CACHE_EXISTS: u8 = 51;
const CACHE_NOT_EMPTY: u8 = 52;
const CACHE_FULL: u8 = 53;
const VALUE_TOO_LARGE: u8 = 54;
const VERSION_MISMATCH: u8 = 55;
const NOT_A_COUNTER: u8 = 56;
const COUNTER_OVERFLOW: u8 = 57;
const LOAD_OVER: u8 = 58;
const NOT_OWNER: u8 = 59;
const LINE_CROWDED: u8 = 60;
const FILL_WITHDRAWN: u8 = 61;

/// A signed number as an unsigned one, so that small ones are short either way.
fn folded(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unfolded(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

pub(crate) fn put_written(out: &mut Vec<u8>, written: &Written) {
    put_u64(out, written.version.get());
    put_u64(out, written.replaced.get());
    put_option(out, written.sum.map(folded));
}

pub(crate) fn read_written(reader: &mut Reader<'_>) -> Result<Written, DecodeError> {
    let (version, replaced) = (reader.revision()?, reader.revision()?);
    Ok(Written { version, replaced, sum: reader.option("sum")?.map(unfolded) })
}

/// Any other rejection than one of caches is none of its business, and leaves no bytes.
pub(crate) fn put_cache_rejection(out: &mut Vec<u8>, rejection: &Rejection) {
    let of_cache = |out: &mut Vec<u8>, tag: u8, name: &Name, values: &[u64]| {
        out.push(tag);
        put_str(out, name.as_str());
        values.iter().for_each(|value| put_u64(out, *value));
    };
    let of_line = |out: &mut Vec<u8>, tag: u8, line: &LineName, values: &[u64]| {
        out.push(tag);
        put_line_name(out, line);
        values.iter().for_each(|value| put_u64(out, *value));
    };
    match rejection {
        Rejection::NoSuchCache { cache } => of_cache(out, NO_SUCH_CACHE, cache, &[]),
        Rejection::CacheExists { cache } => of_cache(out, CACHE_EXISTS, cache, &[]),
        Rejection::CacheNotEmpty { cache, lines } => {
            of_cache(out, CACHE_NOT_EMPTY, cache, &[*lines]);
        }
        Rejection::CacheFull { cache, entries, bytes } => {
            of_cache(out, CACHE_FULL, cache, &[*entries, *bytes]);
        }
        Rejection::ValueTooLarge { cache, bytes, max } => {
            of_cache(out, VALUE_TOO_LARGE, cache, &[*bytes, *max]);
        }
        Rejection::VersionMismatch { line, expected, is } => {
            of_line(out, VERSION_MISMATCH, line, &[expected.get(), is.get()]);
        }
        Rejection::NotACounter { line } => of_line(out, NOT_A_COUNTER, line, &[]),
        Rejection::CounterOverflow { line, value, added } => {
            of_line(out, COUNTER_OVERFLOW, line, &[folded(*value), folded(*added)]);
        }
        Rejection::LoadOver { line, token } => of_line(out, LOAD_OVER, line, &[token.get()]),
        Rejection::NotOwner { line, token } => of_line(out, NOT_OWNER, line, &[token.get()]),
        Rejection::LineCrowded { line } => of_line(out, LINE_CROWDED, line, &[]),
        Rejection::FillWithdrawn { line } => of_line(out, FILL_WITHDRAWN, line, &[]),
        _ => {}
    }
}

pub(crate) fn read_cache_rejection(
    tag: u8,
    reader: &mut Reader<'_>,
) -> Result<Rejection, DecodeError> {
    Ok(match tag {
        NO_SUCH_CACHE => Rejection::NoSuchCache { cache: reader.name()? },
        CACHE_EXISTS => Rejection::CacheExists { cache: reader.name()? },
        CACHE_NOT_EMPTY => Rejection::CacheNotEmpty { cache: reader.name()?, lines: reader.u64()? },
        CACHE_FULL => {
            let cache = reader.name()?;
            Rejection::CacheFull { cache, entries: reader.u64()?, bytes: reader.u64()? }
        }
        VALUE_TOO_LARGE => {
            let cache = reader.name()?;
            Rejection::ValueTooLarge { cache, bytes: reader.u64()?, max: reader.u64()? }
        }
        VERSION_MISMATCH => {
            let line = read_line_name(reader)?;
            Rejection::VersionMismatch {
                line,
                expected: reader.revision()?,
                is: reader.revision()?,
            }
        }
        NOT_A_COUNTER => Rejection::NotACounter { line: read_line_name(reader)? },
        COUNTER_OVERFLOW => {
            let line = read_line_name(reader)?;
            let (value, added) = (unfolded(reader.u64()?), unfolded(reader.u64()?));
            Rejection::CounterOverflow { line, value, added }
        }
        LOAD_OVER => {
            let line = read_line_name(reader)?;
            Rejection::LoadOver { line, token: reader.token()? }
        }
        NOT_OWNER => {
            let line = read_line_name(reader)?;
            Rejection::NotOwner { line, token: reader.token()? }
        }
        LINE_CROWDED => Rejection::LineCrowded { line: read_line_name(reader)? },
        FILL_WITHDRAWN => Rejection::FillWithdrawn { line: read_line_name(reader)? },
        tag => return Err(DecodeError::UnknownTag { what: "outcome", tag }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::{put_outcome, read_outcome};
    use crate::{Outcome, Revision, Token};

    /// If this fails, the format has changed: it needs a new version.
    #[test]
    fn every_outcome_of_caches_has_its_bytes() {
        let cache = || Name::parse("c").expect("a good name");
        let line = || LineName { cache: cache(), key: Name::parse("k").expect("a good name") };
        let (token, at) = (Token::new(9), Revision::new(300));
        let no = Outcome::Rejected;
        let written =
            |sum| Outcome::Written(Written { version: at, replaced: Revision::new(7), sum });
        for (outcome, want) in [
            (written(None), &[9, 0xac, 2, 7, 0][..]),
            (written(Some(-3)), &[9, 0xac, 2, 7, 1, 5]),
            (written(Some(3)), &[9, 0xac, 2, 7, 1, 6]),
            (no(Rejection::NoSuchCache { cache: cache() }), &[50, 1, b'c']),
            (no(Rejection::CacheExists { cache: cache() }), &[51, 1, b'c']),
            (no(Rejection::CacheNotEmpty { cache: cache(), lines: 4 }), &[52, 1, b'c', 4]),
            (
                no(Rejection::CacheFull { cache: cache(), entries: 4, bytes: 5 }),
                &[53, 1, b'c', 4, 5],
            ),
            (
                no(Rejection::ValueTooLarge { cache: cache(), bytes: 4, max: 5 }),
                &[54, 1, b'c', 4, 5],
            ),
            (
                no(Rejection::VersionMismatch { line: line(), expected: Revision::new(2), is: at }),
                &[55, 1, b'c', 1, b'k', 2, 0xac, 2],
            ),
            (no(Rejection::NotACounter { line: line() }), &[56, 1, b'c', 1, b'k']),
            (
                no(Rejection::CounterOverflow { line: line(), value: 1, added: -1 }),
                &[57, 1, b'c', 1, b'k', 2, 1],
            ),
            (no(Rejection::LoadOver { line: line(), token }), &[58, 1, b'c', 1, b'k', 9]),
            (no(Rejection::NotOwner { line: line(), token }), &[59, 1, b'c', 1, b'k', 9]),
            (no(Rejection::LineCrowded { line: line() }), &[60, 1, b'c', 1, b'k']),
            (no(Rejection::FillWithdrawn { line: line() }), &[61, 1, b'c', 1, b'k']),
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
    fn signed_numbers_fold() {
        for number in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(unfolded(folded(number)), number);
        }
    }
}
