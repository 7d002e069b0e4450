//! Numbers of things in sentences.

/// A number with its noun: `1 entry`, `2 entries`.
pub(crate) fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {noun}s"),
    }
}

/// The verb that goes with a number: `1 waits`, `2 wait`.
pub(crate) fn agreed(
    number: impl TryInto<u64>,
    singular: &'static str,
    plural: &'static str,
) -> &'static str {
    if number.try_into().is_ok_and(|number| number == 1) { singular } else { plural }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_and_verbs_follow_their_number() {
        let check = |number: u64, noun: &str, expect: &str| {
            let sentence = format!("{} {}", counted(number, noun), agreed(number, "is", "are"));
            assert_eq!(sentence, expect);
        };
        check(0, "message", "0 messages are");
        check(1, "message", "1 message is");
        check(2, "message", "2 messages are");
        check(1, "entry", "1 entry is");
        check(5, "entry", "5 entries are");
    }
}
