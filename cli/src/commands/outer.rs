//! The lock under which this program was started, by `holdfast lock`: what it does, it does on
//! behalf of that lock.

use std::env;

use holdfast_client::Proof;

use crate::failure::Failure;

/// Names the lock under which a command runs, to that command. Of several, the first by name.
pub(super) const LOCK_VARIABLE: &str = "HOLDFAST_LOCK";

/// Holds the token of that lock.
pub(super) const TOKEN_VARIABLE: &str = "HOLDFAST_TOKEN";

/// The lock that the environment names, unless it is not to count. What names no lock is a mistake:
/// without a guard more would be done than was meant.
pub(super) fn lock(alone: bool) -> Result<Option<Proof>, Failure> {
    if alone {
        return Ok(None);
    }
    let text = |name| env::var_os(name).map_or_else(String::new, |v| v.to_string_lossy().into());
    read(&text(LOCK_VARIABLE), &text(TOKEN_VARIABLE))
}

/// Reads the two variables. One that is empty is none.
fn read(name: &str, token: &str) -> Result<Option<Proof>, Failure> {
    let what = match (name, token) {
        ("", "") => return Ok(None),
        ("", token) => format!("{TOKEN_VARIABLE} is {token:?}, but {LOCK_VARIABLE} is not set"),
        (name, "") => format!("{LOCK_VARIABLE} is {name:?}, but {TOKEN_VARIABLE} is not set"),
        (name, token) => match token.parse() {
            Ok(token) => return Ok(Some(Proof::new(name, token))),
            Err(_) => format!("{TOKEN_VARIABLE} is {token:?}, which is no fencing token"),
        },
    };
    Err(Failure::usage(format!(
        "{what}; set both as `holdfast lock` does, or use --alone to ask on behalf of no lock"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_a_lock_or_none_or_is_refused() {
        let check = |name: &str, token: &str, expect: Result<Option<(&str, u64)>, &str>| {
            let got = read(name, token).map_err(|failure| (failure.code, failure.to_string()));
            match (&got, expect) {
                (Ok(proof), Ok(expect)) => {
                    assert_eq!(proof.as_ref().map(|p| (p.name(), p.token())), expect);
                }
                (Err((2, message)), Err(expect)) => {
                    assert!(
                        message.starts_with(expect) && message.contains("--alone"),
                        "{message}"
                    );
                }
                _ => panic!("{name:?}, {token:?}: {got:?}"),
            }
        };
        check("", "", Ok(None));
        check("x", "7", Ok(Some(("x", 7))));
        check("x", "abc", Err("HOLDFAST_TOKEN is \"abc\", which is no fencing token; "));
        check("x", "-1", Err("HOLDFAST_TOKEN is \"-1\", which is no fencing token; "));
        check("x", "", Err("HOLDFAST_LOCK is \"x\", but HOLDFAST_TOKEN is not set; "));
        check("", "7", Err("HOLDFAST_TOKEN is \"7\", but HOLDFAST_LOCK is not set; "));
    }
}
