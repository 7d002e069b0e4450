//! The rules for names, checked before anything is sent. The server has the last word.

use std::sync::Arc;

use crate::Error;

/// Longest name of a lock, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 512;

/// How much of a refused name an error repeats.
const NAME_SHOWN_CHARS: usize = 80;

/// `raw` as a shared name, or what is wrong with it.
pub(crate) fn parse(raw: &str) -> Result<Arc<str>, Error> {
    if is_plain(raw) && raw.len() <= NAME_BYTES_MAX {
        return Ok(raw.into());
    }
    let reason = if raw.is_empty() {
        format!("it is empty: give it 1 to {NAME_BYTES_MAX} bytes")
    } else if raw.len() > NAME_BYTES_MAX {
        format!("it has {} bytes, which is over the limit of {NAME_BYTES_MAX}", raw.len())
    } else if raw.contains(|c: char| c.is_control()) {
        "it has a control character: use printable characters only".to_owned()
    } else if raw.split('/').any(str::is_empty) {
        "it has an empty segment: remove the leading, trailing or doubled '/'".to_owned()
    } else {
        return Ok(raw.into());
    };
    Err(Error::InvalidName { name: raw.chars().take(NAME_SHOWN_CHARS).collect(), reason })
}

/// Whether these are printable ASCII characters in segments that are not empty. Most names are, and
/// every request has one or two, so they are looked at only once.
fn is_plain(raw: &str) -> bool {
    let mut before = b'/';
    let is_good = |byte: u8| {
        let is_good = matches!(byte, b' '..=b'~') && (byte != b'/' || before != b'/');
        before = byte;
        is_good
    };
    raw.bytes().all(is_good) && before != b'/'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_hold_at_their_edges() {
        let longest = "n".repeat(NAME_BYTES_MAX);
        for good in ["a", "a/b", "jobs/nightly 2031", "~", "ключ", "ключ/b", longest.as_str()]
        {
            assert_eq!(parse(good).as_deref(), Ok(good));
        }
        let over = "n".repeat(NAME_BYTES_MAX + 1);
        for bad in ["", over.as_str(), "a\nb", "a\u{7f}", "/", "/a", "a/", "a//b"] {
            assert!(matches!(parse(bad), Err(Error::InvalidName { .. })), "{bad:?}");
        }
    }
}
