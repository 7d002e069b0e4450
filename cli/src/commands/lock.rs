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
        connected = client::connect(&args.endpoints, &purpose, args.ttl) => {
            connected.map_err(Failure::of_lock)?
        }
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
    acquired.map_err(|error| refused(args, &error))?.ok_or_else(|| {
        let waited = match args.wait {
            Some(timeout) => {
                format!("did not become free within {}", duration::show(duration::ms(timeout)))
            }
            None if args.names.len() == 1 => "is held by somebody else".into(),
            None => "are not all free".into(),
        };
        let what = label(args);
        Failure::new(NOT_NOW, format!("{what} {waited}; see `holdfast locks` for who holds what"))
    })
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
        _ => client::failed(&what, error).of_lock(),
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
