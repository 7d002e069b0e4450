//! `holdfast unlock`: takes a lock from whoever holds it.

use std::time::Duration;

use holdfast_client::{Error, LockHolder};
use holdfast_proto::ErrorCode;

use crate::args::UnlockArgs;
use crate::failure::{Failure, OK};
use crate::{client, output};

/// Only for one question and one command.
const SESSION_TTL: Duration = Duration::from_secs(10);

/// Takes the lock and says from whom.
pub(crate) async fn run(args: &UnlockArgs) -> Result<u8, Failure> {
    let client = client::connect(&args.endpoints, "holdfast unlock", SESSION_TTL).await?;
    let before = client.lock_info(&args.name).await;
    let forced = match &before {
        Ok(_) => client.force_release(&args.name, args.token).await,
        Err(_) => Ok(()),
    };
    client::close(client).await;
    let what = format!("cannot take the lock {:?} away", args.name);
    let before = before.map_err(|error| client::failed(&what, &error))?;
    let holders = before.map(|lock| lock.holders).unwrap_or_default();
    forced.map_err(|error| refused(&what, args.token, &holders, &error))?;
    for holder in &holders {
        if args.token.is_none_or(|token| token == holder.token) {
            output::print(format!("took {} from {}\n", args.name, by(holder)))?;
        }
    }
    Ok(OK)
}

/// The refusal of a token is worded for its own holder, and this is somebody else.
fn refused(what: &str, token: Option<u64>, holders: &[LockHolder], error: &Error) -> Failure {
    match (error.code(), token) {
        (Some(ErrorCode::NotHeld), Some(token)) => {
            let holders = match holders {
                [] => "nobody".into(),
                holders => holders.iter().map(by).collect::<Vec<_>>().join(", and "),
            };
            Failure::failed(format!(
                "{what}: token {token} is not in force; it is held by {holders}"
            ))
        }
        _ => client::failed(what, error),
    }
}

fn by(holder: &LockHolder) -> String {
    let session = output::session(holder.session_id, &holder.session_name);
    format!("{session}, token {}", holder.token)
}

#[cfg(test)]
mod tests {
    use holdfast_client::LockMode;

    use super::*;

    #[test]
    fn a_token_that_is_not_in_force_is_told_with_those_that_are() {
        let holder = |session_id, name: &str| LockHolder {
            session_id,
            session_name: name.into(),
            token: session_id + 10,
            held: Duration::ZERO,
            mode: LockMode::Shared,
            permits: 0,
            closed_for: None,
        };
        let error = Error::Rejected { code: ErrorCode::NotHeld, message: "why".into() };
        let check = |token, holders: &[LockHolder], expect: &str| {
            assert_eq!(refused("no", token, holders, &error).to_string(), expect);
        };
        check(
            Some(5),
            &[holder(1, ""), holder(2, "me")],
            "no: token 5 is not in force; it is held by session 1, token 11, and session 2 (me), \
             token 12",
        );
        check(Some(5), &[], "no: token 5 is not in force; it is held by nobody");
        check(None, &[], &client::failed("no", &error).to_string());
    }
}
