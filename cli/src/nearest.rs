//! What was meant by a word with a slip in it.

/// The one that is most like the word, if it is so much like it that it was probably meant.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |one: &&str| strsim::damerau_levenshtein(word, one);
    known.min_by_key(distance).filter(|one| distance(one) <= 1 + one.len() / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_alike_was_meant() {
        let check = |word: &str, expect: Option<&str>| {
            let known = ["info", "heartbeat_ms"];
            assert_eq!(nearest(word, known.into_iter()), expect, "{word}");
        };
        check("inof", Some("info"));
        check("heartbeat", Some("heartbeat_ms"));
        check("foo", None);
        check("", None);
    }
}
