//! Names of locks, queues and caches, and keys in caches: paths such as `billing/invoices/2031`.

use std::borrow::Borrow;
use std::fmt;

use smol_str::SmolStr;

use crate::limits::NAME_BYTES_MAX;

/// A checked name. To have one is proof that it keeps the rules: 1 to 512 bytes, printable, no
/// empty segment between slashes.
///
/// Short ones are kept in place, not behind a pointer: to compare two of them is most of what a
/// command does with names, and each pointer would be one more way into memory that is cold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(SmolStr);

impl Name {
    /// Checks `raw` against the rules.
    ///
    /// # Errors
    /// Says which rule was broken, with the value, and what to do.
    pub fn parse(raw: &str) -> Result<Self, NameError> {
        if is_plain(raw) && raw.len() <= NAME_BYTES_MAX {
            return Ok(Self(raw.into()));
        }
        if raw.is_empty() {
            return Err(NameError::Empty);
        }
        if raw.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong { bytes: raw.len() });
        }
        if let Some(at) = raw.find(|c: char| c.is_control()) {
            return Err(NameError::NotPrintable { at });
        }
        if raw.split('/').any(str::is_empty) {
            return Err(NameError::EmptySegment { name: raw.to_owned() });
        }
        Ok(Self(raw.into()))
    }

    /// Where names begin that start with `prefix`: for ranges only, since it need not be a name.
    pub(crate) fn bound(prefix: &str) -> Self {
        Self(prefix.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether these are printable ASCII characters in segments that are not empty. Most names are, and
/// every command has one or two, so they are looked at only once.
fn is_plain(raw: &str) -> bool {
    let mut before = b'/';
    let is_good = |byte: u8| {
        let is_good = matches!(byte, b' '..=b'~') && (byte != b'/' || before != b'/');
        before = byte;
        is_good
    };
    raw.bytes().all(is_good) && before != b'/'
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There was nothing.
    #[error("the name is empty: give it 1 to {NAME_BYTES_MAX} bytes")]
    Empty,
    /// More than the limit.
    #[error("the name has {bytes} bytes, which is over the limit of {NAME_BYTES_MAX}: shorten it")]
    TooLong {
        /// How long it was.
        bytes: usize,
    },
    /// A control character.
    #[error("the name has a control character at byte {at}: use printable characters only")]
    NotPrintable {
        /// Where it stands.
        at: usize,
    },
    /// Two slashes in a row, or one at an end.
    #[error("the name {name:?} has an empty segment: remove the leading, trailing or doubled '/'")]
    EmptySegment {
        /// The whole name.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_hold_at_their_edges() {
        let longest = "n".repeat(NAME_BYTES_MAX);
        for good in ["a", "a/b", "jobs/nightly 2031", "~", "ключ", "ключ/b", longest.as_str()]
        {
            assert_eq!(Name::parse(good).map(|n| n.to_string()), Ok(good.to_owned()));
        }
        let over = "n".repeat(NAME_BYTES_MAX + 1);
        for (bad, want) in [
            ("", NameError::Empty),
            (over.as_str(), NameError::TooLong { bytes: NAME_BYTES_MAX + 1 }),
            ("a\nb", NameError::NotPrintable { at: 1 }),
            ("/a", NameError::EmptySegment { name: "/a".into() }),
            ("a/", NameError::EmptySegment { name: "a/".into() }),
            ("a//b", NameError::EmptySegment { name: "a//b".into() }),
            ("/", NameError::EmptySegment { name: "/".into() }),
            ("a\u{7f}", NameError::NotPrintable { at: 1 }),
        ] {
            assert_eq!(Name::parse(bad), Err(want));
        }
    }
}
