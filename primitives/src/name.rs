//! Names of locks, queues and caches, and keys in caches: paths such as `billing/invoices/2031`.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::limits::NAME_BYTES_MAX;

/// A checked name. To have one is proof that it keeps the rules: 1 to 512 bytes, printable, no
/// empty segment between slashes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// Checks `raw` against the rules.
    ///
    /// # Errors
    /// Says which rule was broken, with the value, and what to do.
    pub fn parse(raw: &str) -> Result<Self, NameError> {
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
        fmt::Debug::fmt(&*self.0, f)
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
        for good in ["a", "a/b", "jobs/nightly 2031", "ключ", longest.as_str()] {
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
        ] {
            assert_eq!(Name::parse(bad), Err(want));
        }
    }
}
