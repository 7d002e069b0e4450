//! Spans of time as people write them: `500ms`, `5s`, `2m`, `1h`.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::problem::Problem;
use crate::limits::LONG_POLL_MS_MAX;

/// A span of time in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) ms: u64,
}

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let ms = number.parse::<u64>().ok()?.checked_mul(unit_ms)?;
        Some(Self { ms })
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number with a unit, such as 500ms, 5s, 2m or 1h")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// How long a request waits; not at all unless it says so.
pub(super) fn wait_ms(wait: Option<Span>) -> Result<u64, Problem> {
    match wait {
        None => Ok(0),
        Some(Span { ms }) if ms > LONG_POLL_MS_MAX => Err(Problem::invalid(format!(
            "a wait of {ms} ms is over the limit of {LONG_POLL_MS_MAX} ms: wait for less, and ask \
             again when that is over"
        ))),
        Some(Span { ms }) => Ok(ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(Span::parse(text), expect.map(|ms| Span { ms }), "{text:?}");
        };
        check("500ms", Some(500));
        check("0s", Some(0));
        check("5s", Some(5_000));
        check("2m", Some(120_000));
        check("1h", Some(3_600_000));
        for bad in ["5", "s", "", "-1s", "1.5s", "5 s", "5d", "18446744073709551615h"] {
            check(bad, None);
        }
    }

    #[test]
    fn no_wait_is_longer_than_the_limit() {
        assert_eq!(wait_ms(None).ok(), Some(0));
        let longest = Span { ms: LONG_POLL_MS_MAX };
        assert_eq!(wait_ms(Some(longest)).ok(), Some(LONG_POLL_MS_MAX));
        assert!(wait_ms(Some(Span { ms: LONG_POLL_MS_MAX + 1 })).is_err());
    }
}
