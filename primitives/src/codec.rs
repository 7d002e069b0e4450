//! How numbers, texts and names become bytes, and back. Used by the log (`wire.rs`) and by the
//! snapshot (`snapshot.rs`).
//!
//! Reading is total: whatever the bytes are, the result is a value or a [`DecodeError`]. A number
//! has one spelling only, so that equal values have equal bytes.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::lock::WantsError;
use crate::{
    Flow, MessageError, Name, NameError, ReceiptsError, Revision, Seq, SessionId, Timestamp, Token,
    ValueBody, ValueTooLong,
};

/// Most entries for which memory is set aside on the word of a length field alone.
const PREALLOCATED_MAX: usize = 1_024;

/// Why bytes could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("the bytes end in the middle of a value")]
    Truncated,
    /// Bytes follow after the end.
    #[error("{bytes} bytes follow after the end of the value")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A format that this version does not know.
    #[error("format version {found} is unknown, this build reads up to version {known}")]
    UnknownVersion {
        /// What the bytes say.
        found: u8,
        /// The newest that can be read.
        known: u8,
    },
    /// A number that is too long, or not in its shortest form.
    #[error("a number is not in its shortest form or over 64 bits")]
    BadNumber,
    /// A kind that this version does not know.
    #[error("tag {tag} of {what} is unknown")]
    UnknownTag {
        /// What was being read.
        what: &'static str,
        /// What the bytes say.
        tag: u8,
    },
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// A name that breaks the rules.
    #[error(transparent)]
    BadName(#[from] NameError),
    /// Locks that cannot be wanted like this.
    #[error(transparent)]
    BadWants(#[from] WantsError),
    /// A message that is out of its limits.
    #[error(transparent)]
    BadMessage(#[from] MessageError),
    /// A value of a cache that is over the limit.
    #[error(transparent)]
    BadValue(#[from] ValueTooLong),
    /// Receipts that cannot be presented together.
    #[error(transparent)]
    BadReceipts(#[from] ReceiptsError),
    /// A list that should be sorted.
    #[error("{what} is out of order")]
    OutOfOrder {
        /// Which list.
        what: &'static str,
    },
    /// Something that is written in another way than it should be.
    #[error("{what} is not in its shortest form")]
    NotShortest {
        /// What was being read.
        what: &'static str,
    },
}

pub(crate) fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
    put_u64(out, len as u64);
}

pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Absence is one zero byte; a value has a one before it.
pub(crate) fn put_option(out: &mut Vec<u8>, value: Option<u64>) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(1);
            put_u64(out, value);
        }
    }
}

/// Reads values from the front of a slice.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// What the slice is a part of, so that large pieces need not be copied.
    whole: Option<&'a Bytes>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, whole: None }
    }

    /// Of a buffer of which [`Reader::body`] may give pieces away.
    pub(crate) fn sharing(bytes: &'a Bytes) -> Self {
        Self { rest: bytes, whole: Some(bytes) }
    }

    /// All bytes must have been read.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(DecodeError::Trailing { bytes }),
        }
    }

    /// A version that can be read.
    pub(crate) fn version(&mut self, known: RangeInclusive<u8>) -> Result<u8, DecodeError> {
        match self.u8()? {
            found if known.contains(&found) => Ok(found),
            found => Err(DecodeError::UnknownVersion { found, known: *known.end() }),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        let (&first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(first)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let part = u64::from(byte & 0x7f);
            if (part << shift) >> shift != part || (byte == 0 && shift > 0) {
                return Err(DecodeError::BadNumber);
            }
            value |= part << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::BadNumber)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.u64()?).map_err(|_| DecodeError::BadNumber)
    }

    pub(crate) fn len(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(self.u64()?).map_err(|_| DecodeError::BadNumber)
    }

    pub(crate) fn option(&mut self, what: &'static str) -> Result<Option<u64>, DecodeError> {
        match self.u8()? {
            0 => Ok(None),
            1 => Ok(Some(self.u64()?)),
            tag => Err(DecodeError::UnknownTag { what, tag }),
        }
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A piece of the buffer, not copied if the buffer can be shared.
    pub(crate) fn body(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        let taken = self.bytes(len)?;
        Ok(match self.whole {
            Some(whole) => whole.slice_ref(taken),
            None => Bytes::copy_from_slice(taken),
        })
    }

    /// A value of a cache, with its length before it. Not copied either.
    pub(crate) fn value(&mut self) -> Result<ValueBody, DecodeError> {
        let len = self.len()?;
        Ok(ValueBody::new(self.body(len)?)?)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, DecodeError> {
        let bytes = self.bytes(8)?.try_into().map_err(|_| DecodeError::Truncated)?;
        Ok(i64::from_le_bytes(bytes))
    }

    pub(crate) fn hash(&mut self) -> Result<[u8; 32], DecodeError> {
        self.bytes(32)?.try_into().map_err(|_| DecodeError::Truncated)
    }

    pub(crate) fn str(&mut self) -> Result<&'a str, DecodeError> {
        let len = usize::try_from(self.u64()?).map_err(|_| DecodeError::Truncated)?;
        std::str::from_utf8(self.bytes(len)?).map_err(|_| DecodeError::NotUtf8)
    }

    pub(crate) fn name(&mut self) -> Result<Name, DecodeError> {
        Ok(Name::parse(self.str()?)?)
    }

    pub(crate) fn session(&mut self) -> Result<SessionId, DecodeError> {
        Ok(SessionId::new(self.u64()?))
    }

    pub(crate) fn seq(&mut self) -> Result<Seq, DecodeError> {
        Ok(Seq::new(self.u64()?))
    }

    pub(crate) fn token(&mut self) -> Result<Token, DecodeError> {
        Ok(Token::new(self.u64()?))
    }

    pub(crate) fn revision(&mut self) -> Result<Revision, DecodeError> {
        Ok(Revision::new(self.u64()?))
    }

    pub(crate) fn flow(&mut self) -> Result<Flow, DecodeError> {
        Ok(Flow::new(self.u64()?))
    }

    pub(crate) fn timestamp(&mut self) -> Result<Timestamp, DecodeError> {
        Ok(Timestamp::from_millis(self.u64()?))
    }

    /// A count, and then that many values. A count that lies costs no memory: the list grows only
    /// as values are really read.
    pub(crate) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = usize::try_from(self.u64()?).map_err(|_| DecodeError::Truncated)?;
        if count > self.rest.len() {
            return Err(DecodeError::Truncated);
        }
        let mut values = Vec::with_capacity(count.min(PREALLOCATED_MAX));
        for _ in 0..count {
            values.push(read(self)?);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_u64(&mut bytes, value);
            assert_eq!(Reader::new(&bytes).u64(), Ok(value));
        }
        for (bytes, want) in [
            (&[0x80, 0x00][..], DecodeError::BadNumber),
            (&[0xff; 10], DecodeError::BadNumber),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], DecodeError::BadNumber),
            (&[0x80], DecodeError::Truncated),
            (&[], DecodeError::Truncated),
        ] {
            assert_eq!(Reader::new(bytes).u64(), Err(want), "{bytes:?}");
        }
    }

    #[test]
    fn a_lying_count_is_refused() {
        let mut bytes = Vec::new();
        put_u64(&mut bytes, u64::MAX);
        assert_eq!(Reader::new(&bytes).list(Reader::u64), Err(DecodeError::Truncated));
        assert_eq!(Reader::new(&bytes).str(), Err(DecodeError::Truncated));
    }
}
