//! What a command that handles a message finds in its environment.

use std::collections::BTreeSet;

use holdfast_client::Message;

/// What the variables of all headers begin with.
const HEADER_PREFIX: &str = "HOLDFAST_HEADER_";

/// The variables for one message. Without a value: not to be there, because this program was itself
/// started for a message, and this is about that one.
pub(super) fn of(queue: &str, message: &Message) -> Vec<(String, Option<String>)> {
    let inherited = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let inherited = inherited.filter(|name| name.starts_with(HEADER_PREFIX));
    let mut variables: Vec<_> = inherited.map(|name| (name, None)).collect();
    variables.extend(own(queue, message));
    let of_headers = of_headers(message.headers()).into_iter();
    variables.extend(of_headers.map(|(name, value)| (name, Some(value))));
    variables
}

fn own(queue: &str, message: &Message) -> [(String, Option<String>); 5] {
    let group = message.group().unwrap_or_default();
    [
        ("HOLDFAST_QUEUE", Some(queue.to_owned())),
        ("HOLDFAST_MESSAGE", Some(message.id().to_string())),
        ("HOLDFAST_DELIVERIES", Some(message.deliveries().to_string())),
        ("HOLDFAST_GROUP", can_be_passed_on(group).then(|| group.to_owned())),
        ("HOLDFAST_RECEIPT", Some(message.receipt().to_string())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

/// With a NUL in the value of a variable no command can be started.
fn can_be_passed_on(value: &str) -> bool {
    !value.contains('\0')
}

/// Of several headers that come to the same name the first counts. A value with a NUL is left out.
fn of_headers<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    let mut names = BTreeSet::new();
    let named = headers.into_iter().map(|(name, value)| (variable(name), value));
    named
        .filter(|(name, value)| can_be_passed_on(value) && names.insert(name.clone()))
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

/// The name of the variable that holds this header.
fn variable(header: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("{HEADER_PREFIX}{}", header.chars().map(letter).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_become_names_that_a_shell_can_read() {
        let check = |header: &str, expect: &str| assert_eq!(variable(header), expect);
        check("type", "HOLDFAST_HEADER_TYPE");
        check("Content-Type", "HOLDFAST_HEADER_CONTENT_TYPE");
        check("a=b c.7", "HOLDFAST_HEADER_A_B_C_7");
        check("größe", "HOLDFAST_HEADER_GR__E");
        check("", "HOLDFAST_HEADER_");
    }

    #[test]
    fn of_like_names_the_first_counts() {
        let headers = [("a-b", "1"), ("a.b", "2"), ("nul", "\0"), ("c", "")];
        let expect = [("HOLDFAST_HEADER_A_B", "1"), ("HOLDFAST_HEADER_C", "")];
        let expect = expect.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(of_headers(headers), expect);
    }
}
