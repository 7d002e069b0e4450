//! `holdfast lock`: holds a lock, most often while a command runs.
//!
//! Whatever happens (the command ends, a signal comes, the lock is lost) the command has ended
//! before the lock is released.

use std::time::Duration;

use holdfast_proto::ErrorCode;

use super::lock_child::{Child, ChildEnd};
use crate::args::LockArgs;
use crate::failure::{Failure, LOCK_FAILED, LOCK_LOST, LOCK_NOT_FREE, OK};
use crate::signals::Endings;
use crate::{client, duration, output};
use holdfast_client::{Client, Error, LockGuard};

/// How long a release may take. If it takes longer the end of the session releases.
const UNLOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes the lock, runs the command or waits for a signal, and releases the lock.
pub(crate) async fn run(args: &LockArgs) -> Result<u8, Failure> {
    let mut endings = Endings::listen()?;
    let purpose = match args.command.first() {
        Some(command) => format!("holdfast lock -- {}", command.to_string_lossy()),
        None => "holdfast lock".into(),
    };
    let client = tokio::select! {
        connected = client::connect(&args.endpoints, &purpose, args.ttl) => {
            connected.map_err(|failure| failure.with_code(LOCK_FAILED))?
        }
        ending = endings.next() => return Ok(ending.exit_code()),
    };
    let outcome = tokio::select! {
        acquired = acquire(&client, args) => acquired,
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

async fn acquire(client: &Client, args: &LockArgs) -> Result<LockGuard, Failure> {
    let mutex = client.mutex(args.name.as_str());
    let acquired = match args.timeout {
        _ if args.no_wait => mutex.try_lock().await,
        Some(timeout) => mutex.lock_timeout(timeout).await,
        None => mutex.lock().await.map(Some),
    };
    let acquired = acquired.map_err(|error| {
        client::failed(&format!("cannot take the lock {:?}", args.name), &error)
            .with_code(LOCK_FAILED)
    })?;
    acquired.ok_or_else(|| {
        let waited = match args.timeout {
            Some(timeout) => {
                let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                format!("did not become free within {}", duration::show(ms))
            }
            None => "is held by somebody else".into(),
        };
        Failure::new(
            LOCK_NOT_FREE,
            format!("the lock {:?} {waited}; see `holdfast locks` for who holds it", args.name),
        )
    })
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
        args.name,
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
        [("HOLDFAST_LOCK", args.name.clone()), ("HOLDFAST_TOKEN", guard.token().to_string())];
    let child = Child::start(&args.command, variables)?;
    match child.run(lost, args.grace, endings).await? {
        ChildEnd::Own(code) => Ok(code),
        ChildEnd::LockLost => Err(lost_failure(args)),
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
        "it is not known whether the lock {:?} was released: {reason}; it is free after {} at the \
         latest",
        args.name,
        duration::show(u64::try_from(args.ttl.as_millis()).unwrap_or(u64::MAX)),
    ));
}

fn lost_failure(args: &LockArgs) -> Failure {
    Failure::new(
        LOCK_LOST,
        format!(
            "the lock {:?} was lost while it was held; see `holdfast status`, and check what was \
             done without it",
            args.name
        ),
    )
}
