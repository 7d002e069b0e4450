//! What is asked of locks.

use holdfast_primitives::limits::LOCK_DELAY_MS_MAX;
use holdfast_primitives::{Command, Mode, Name, Names, Policy, Seq, Terms, Token, Want, Wants};
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::{
    AcquireLock, CancelAcquire, DeadlockPolicy, DowngradeLock, Error, ForceReleaseRequest,
    LockMode, LockWant, ReleaseLock, UpgradeLock,
};

use super::name;
use crate::api::errors::error;

pub(in crate::api) fn acquire_lock(acquire: AcquireLock) -> Result<Command, Error> {
    let first = Want { name: name(&acquire.name)?, mode: mode_of(&acquire)? };
    let terms = terms(&acquire)?;
    let wants = if acquire.also.is_empty() {
        Wants::one(first.name, first.mode)
    } else {
        let also = acquire.also.iter().map(want);
        let all: Result<Vec<Want>, Error> = std::iter::once(Ok(first)).chain(also).collect();
        Wants::all(all?).map_err(|e| error(ErrorCode::InvalidRequest, e.to_string()))?
    };
    if terms.reentrant && (wants.len() > 1 || matches!(wants.first().mode, Mode::Permits { .. })) {
        return Err(error(
            ErrorCode::InvalidRequest,
            "`reentrant` is for one lock, exclusive or shared: ask for permits by number, and for \
             several locks one by one",
        ));
    }
    Ok(Command::AcquireLock { wants, wait_ms: acquire.wait_ms, terms })
}

fn mode_of(acquire: &AcquireLock) -> Result<Mode, Error> {
    mode(acquire.mode, acquire.permits, acquire.capacity)
}

fn want(want: &LockWant) -> Result<Want, Error> {
    let mode = mode(want.mode, want.permits, want.capacity)?;
    Ok(Want { name: name(&want.name)?, mode })
}

fn mode(mode: i32, permits: u32, capacity: u32) -> Result<Mode, Error> {
    let mode = LockMode::try_from(mode).map_err(|_| {
        error(
            ErrorCode::InvalidRequest,
            format!("lock mode {mode} is not one that this server knows: is the server older?"),
        )
    })?;
    match mode {
        LockMode::Permits => Mode::permits(permits.max(1), capacity)
            .map_err(|e| error(ErrorCode::InvalidRequest, e.to_string())),
        LockMode::Exclusive | LockMode::Shared if permits > 0 || capacity > 0 => Err(error(
            ErrorCode::InvalidRequest,
            "`permits` and `capacity` belong to the mode LOCK_MODE_PERMITS: leave them out, or ask \
             in that mode",
        )),
        LockMode::Exclusive => Ok(Mode::Exclusive),
        LockMode::Shared => Ok(Mode::Shared),
    }
}

fn terms(acquire: &AcquireLock) -> Result<Terms, Error> {
    let policy = match DeadlockPolicy::try_from(acquire.deadlock_policy) {
        Ok(DeadlockPolicy::Detect) => Policy::Detect,
        Ok(DeadlockPolicy::WoundWait) => Policy::WoundWait,
        Ok(DeadlockPolicy::WaitDie) => Policy::WaitDie,
        Err(_) => {
            return Err(error(
                ErrorCode::InvalidRequest,
                format!("deadlock policy {} is not known: is the server older?", {
                    acquire.deadlock_policy
                }),
            ));
        }
    };
    if acquire.delay_ms > LOCK_DELAY_MS_MAX {
        return Err(error(
            ErrorCode::InvalidRequest,
            format!(
                "a delay of {} ms is over the limit of {LOCK_DELAY_MS_MAX} ms",
                acquire.delay_ms
            ),
        ));
    }
    Ok(Terms {
        reentrant: acquire.reentrant,
        own_flow: acquire.concurrent,
        policy,
        delay_ms: acquire.delay_ms,
    })
}

pub(in crate::api) fn release_lock(release: ReleaseLock) -> Result<Command, Error> {
    let first = name(&release.name)?;
    let names = if release.also.is_empty() {
        Names::one(first)
    } else {
        let also = release.also.iter().map(|raw| name(raw));
        let all: Result<Vec<Name>, Error> = std::iter::once(Ok(first)).chain(also).collect();
        Names::all(all?).map_err(|e| error(ErrorCode::InvalidRequest, e.to_string()))?
    };
    Ok(Command::ReleaseLock { names, token: Token::new(release.token) })
}

pub(in crate::api) fn upgrade_lock(upgrade: &UpgradeLock) -> Result<Command, Error> {
    let (name, token) = (name(&upgrade.name)?, Token::new(upgrade.token));
    Ok(Command::UpgradeLock { name, token, wait_ms: upgrade.wait_ms })
}

pub(in crate::api) fn downgrade_lock(downgrade: &DowngradeLock) -> Result<Command, Error> {
    let (name, token) = (name(&downgrade.name)?, Token::new(downgrade.token));
    Ok(Command::DowngradeLock { name, token })
}

pub(in crate::api) fn force_release(force: &ForceReleaseRequest) -> Result<Command, Error> {
    let token = (force.token > 0).then_some(Token::new(force.token));
    Ok(Command::ForceRelease { name: name(&force.name)?, token })
}

pub(in crate::api) fn cancel_acquire(cancel: &CancelAcquire) -> Result<Command, Error> {
    Ok(Command::CancelAcquire { name: name(&cancel.name)?, seq: Seq::new(cancel.seq) })
}
