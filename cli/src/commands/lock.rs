//! `holdfast lock`: holds a lock, most often while a command runs.
//!
//! Whatever happens (the command ends, a signal comes, the lock is lost) the command has ended
//! before the lock is released.

use std::time::Duration;

use holdfast_client::{Client, Error, LockGuard, LockSpec, Proof};
use holdfast_proto::ErrorCode;

use super::child::{Child, ChildEnd};
use super::outer::{self, LOCK_VARIABLE, TOKEN_VARIABLE};
use crate::args::LockArgs;
use crate::failure::{Failure, LOST, NOT_NOW, OK};
use crate::signals::Endings;
use crate::{client, duration, output};

/// How long a release may take. If it takes longer the end of the session releases.
const UNLOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes the lock, runs the command or waits for a signal, and releases the lock.
pub(crate) async fn run(args: &LockArgs) -> Result<u8, Failure> {
    let outer = outer::lock(args.alone)?;
    let mut endings = Endings::listen()?;
    let purpose = match args.command.first() {
        Some(command) => format!("holdfast lock -- {}", command.to_string_lossy()),
        None => "holdfast lock".into(),
    };
    let client = tokio::select! {
        connected = client::connect(&args.endpoints, &purpose, args.ttl) => connected?,
        ending = endings.next() => return Ok(ending.exit_code()),
    };
    let outcome = tokio::select! {
        acquired = acquire(&client, args, outer) => acquired,
        ending = endings.next() => {
            client::close(client).await;
            return Ok(ending.exit_code());
        }
    };
    let outcome = match outcome {
        Ok(guard) => hold(guard, args, &mut endings).await,
        Err(failure) => Err(failure),
    };
    client::close(client).await;
    outcome
}

async fn acquire(
    client: &Client,
    args: &LockArgs,
    outer: Option<Proof>,
) -> Result<LockGuard, Failure> {
    let specs = args.names.iter().map(|name| spec(name, args));
    let mut locks = client.lock_all(specs);
    if let Some(delay) = args.delay {
        locks = locks.lock_delay(delay);
    }
    if let Some(outer) = outer {
        locks = locks.under(outer);
    }
    let acquired = match args.wait {
        _ if args.no_wait => locks.try_lock().await,
        Some(timeout) => locks.lock_timeout(timeout).await,
        None => locks.lock().await.map(Some),
    };
    match acquired.map_err(|error| refused(args, &error))? {
        Some(guard) => Ok(guard),
        None => Err(not_free(args, closed(client, args).await)),
    }
}

/// The lock among them that nobody holds and that stays closed the longest, and for how long.
async fn closed<'a>(client: &Client, args: &'a LockArgs) -> Option<(&'a str, Duration)> {
    let mut closed = None;
    for name in &args.names {
        // It only makes a message better, so nobody has to hear of an error.
        let lock = client.lock_info(name).await.ok().flatten();
        let left = lock.into_iter().flat_map(|lock| lock.holders).filter_map(|h| h.closed_for);
        closed = left.map(|left| (name.as_str(), left)).chain(closed).max_by_key(|(_, left)| *left);
    }
    closed
}

fn not_free(args: &LockArgs, closed: Option<(&str, Duration)>) -> Failure {
    let show = |time| duration::show(duration::ms(time));
    let waited = match args.wait {
        Some(timeout) => format!("did not become free within {}", show(timeout)),
        None if args.names.len() > 1 => "are not all free".into(),
        None if closed.is_some() => "is not free".into(),
        None => "is held by somebody else".into(),
    };
    let closed = closed.map_or_else(String::new, |(name, left)| {
        format!(": {name:?} stays closed for {} more, because its holder expired", show(left))
    });
    let what = label(args);
    Failure::new(
        NOT_NOW,
        format!("{what} {waited}{closed}; see `holdfast locks` for who holds what"),
    )
}

fn spec(name: &str, args: &LockArgs) -> LockSpec {
    match args.permits {
        Some(of) => LockSpec::permits(name, 1, of),
        None if args.shared => LockSpec::shared(name),
        None => LockSpec::exclusive(name),
    }
}

fn refused(args: &LockArgs, error: &Error) -> Failure {
    let what = format!("cannot take {}", label(args));
    match error.code() {
        Some(ErrorCode::StaleToken) => Failure::new(
            LOST,
            format!("{what}: {error}; it was asked for under that lock, use --alone if it was not"),
        ),
        _ if error.is_deadlock() => {
            Failure::new(NOT_NOW, format!("{what}: {error}; let the outer lock go and try again"))
        }
        _ => client::failed(&what, error),
    }
}

/// How messages call what was asked for.
fn label(args: &LockArgs) -> String {
    let names: Vec<String> = args.names.iter().map(|name| format!("{name:?}")).collect();
    let noun = if names.len() == 1 { "lock" } else { "locks" };
    format!("the {noun} {}", names.join(", "))
}

/// Does what is to be done under the lock, then releases it.
async fn hold(guard: LockGuard, args: &LockArgs, endings: &mut Endings) -> Result<u8, Failure> {
    let lost = guard.lost();
    let outcome = if args.command.is_empty() {
        hold_until_told(&guard, args, lost, endings).await
    } else {
        run_command(&guard, args, lost, endings).await
    };
    let released = release(guard, args).await;
    // A loss outweighs the command's own result: what it did may not have been protected.
    match released {
        Err(failure) => outcome.and(Err(failure)),
        Ok(()) => outcome,
    }
}

async fn hold_until_told(
    guard: &LockGuard,
    args: &LockArgs,
    lost: impl Future<Output = ()>,
    endings: &mut Endings,
) -> Result<u8, Failure> {
    output::print(format!(
        "holding {} with token {}; Ctrl-C releases it\n",
        args.names.join(", "),
        guard.token()
    ))?;
    tokio::select! {
        () = lost => Err(lost_failure(args)),
        _ = endings.next() => Ok(OK),
    }
}

async fn run_command(
    guard: &LockGuard,
    args: &LockArgs,
    lost: impl Future<Output = ()>,
    endings: &mut Endings,
) -> Result<u8, Failure> {
    let variables =
        [(LOCK_VARIABLE, guard.name().to_owned()), (TOKEN_VARIABLE, guard.token().to_string())];
    let child = Child::start(&args.command, variables)?;
    match child.run(lost, args.grace, endings).await? {
        ChildEnd::Own(code) => Ok(code),
        ChildEnd::Lost => Err(lost_failure(args)),
    }
}

/// Releases the lock. Fails only if it turns out to have been lost before.
async fn release(guard: LockGuard, args: &LockArgs) -> Result<(), Failure> {
    match tokio::time::timeout(UNLOCK_TIMEOUT, guard.unlock()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if is_loss(&error) => Err(lost_failure(args)),
        Ok(Err(error)) => {
            warn_unreleased(args, &error.to_string());
            Ok(())
        }
        Err(_) => {
            warn_unreleased(args, "no answer in time");
            Ok(())
        }
    }
}

fn is_loss(error: &Error) -> bool {
    matches!(error.code(), Some(ErrorCode::NotHeld | ErrorCode::UnknownSession))
}

fn warn_unreleased(args: &LockArgs, reason: &str) {
    output::warning_line(format!(
        "it is not known whether {} was released: {reason}; it is free after {} at the latest",
        label(args),
        duration::show(duration::ms(args.ttl)),
    ));
}

fn lost_failure(args: &LockArgs) -> Failure {
    Failure::new(
        LOST,
        format!(
            "{} was lost while it was held; see `holdfast status`, and check what was done without \
             it",
            label(args)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Command, Parsed, parse};

    #[test]
    fn a_lock_that_is_closed_is_told_from_one_that_is_held() {
        let check = |line: &str, closed: Option<&str>, expect: &str| {
            let parsed = parse(line.split(' ').map(Into::into).collect());
            let Ok(Parsed::Run(command)) = parsed else { panic!("{line}: {parsed:?}") };
            let Command::Lock(args) = *command else { panic!("{line}") };
            let closed = closed.map(|name| (name, Duration::from_secs(27)));
            let failure = not_free(&args, closed);
            assert_eq!(failure.code, NOT_NOW);
            let expect = format!("{expect}; see `holdfast locks` for who holds what");
            assert_eq!(failure.to_string(), expect);
        };
        let stays = "stays closed for 27.0s more, because its holder expired";
        check("holdfast lock a --try", None, "the lock \"a\" is held by somebody else");
        check(
            "holdfast lock a --try",
            Some("a"),
            &format!("the lock \"a\" is not free: \"a\" {stays}"),
        );
        check(
            "holdfast lock a b --try",
            Some("b"),
            &format!("the locks \"a\", \"b\" are not all free: \"b\" {stays}"),
        );
        check(
            "holdfast lock a --wait 1s",
            Some("a"),
            &format!("the lock \"a\" did not become free within 1.0s: \"a\" {stays}"),
        );
    }
}
