//! From the words of the wire to checked types. Nothing behind this door checks again.

use holdfast_primitives::limits::LOCK_DELAY_MS_MAX;
use holdfast_primitives::{
    self as machine, Command, Mode, Name, Names, Policy, Request as Parsed, Seq, Terms, Token,
    Want, Wants, check_session,
};
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::request::Operation;
use holdfast_proto::v1::{
    AcquireLock, CancelAcquire, DeadlockPolicy, DowngradeLock, Error, ForceReleaseRequest, Guard,
    LockMode, LockWant, OpenRequest, ReleaseLock, Request, UpgradeLock,
};
use sha2::{Digest, Sha256};

use super::errors::{self, error};
use crate::limits::{SECRET_BYTES_MAX, SECRET_BYTES_MIN};

pub(super) fn name(raw: &str) -> Result<Name, Error> {
    Name::parse(raw).map_err(|e| error(ErrorCode::InvalidName, e.to_string()))
}

/// A request of a session's stream.
pub(super) fn numbered(request: Request) -> Result<Parsed, Error> {
    if request.seq == 0 {
        return Err(error(
            ErrorCode::InvalidRequest,
            "a request on a stream needs a number: count them from 1",
        ));
    }
    let command = match request.operation {
        Some(Operation::AcquireLock(acquire)) => acquire_lock(acquire),
        Some(Operation::ReleaseLock(release)) => release_lock(release),
        Some(Operation::CancelAcquire(cancel)) => cancel_acquire(&cancel),
        Some(Operation::UpgradeLock(upgrade)) => upgrade_lock(&upgrade),
        Some(Operation::DowngradeLock(downgrade)) => downgrade_lock(&downgrade),
        None => Err(error(
            ErrorCode::InvalidRequest,
            "the request names no operation that this server knows: is the server older?",
        )),
    }?;
    let guard = request.guard.map(|wire| guard(&wire)).transpose()?;
    Ok(Parsed { seq: Seq::new(request.seq), guard, command })
}

pub(super) fn guard(guard: &Guard) -> Result<machine::Guard, Error> {
    Ok(machine::Guard { name: name(&guard.name)?, token: Token::new(guard.token) })
}

pub(super) fn acquire_lock(acquire: AcquireLock) -> Result<Command, Error> {
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

pub(super) fn release_lock(release: ReleaseLock) -> Result<Command, Error> {
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

pub(super) fn upgrade_lock(upgrade: &UpgradeLock) -> Result<Command, Error> {
    let (name, token) = (name(&upgrade.name)?, Token::new(upgrade.token));
    Ok(Command::UpgradeLock { name, token, wait_ms: upgrade.wait_ms })
}

pub(super) fn downgrade_lock(downgrade: &DowngradeLock) -> Result<Command, Error> {
    let (name, token) = (name(&downgrade.name)?, Token::new(downgrade.token));
    Ok(Command::DowngradeLock { name, token })
}

pub(super) fn force_release(force: &ForceReleaseRequest) -> Result<Command, Error> {
    let token = (force.token > 0).then_some(Token::new(force.token));
    Ok(Command::ForceRelease { name: name(&force.name)?, token })
}

fn cancel_acquire(cancel: &CancelAcquire) -> Result<Command, Error> {
    Ok(Command::CancelAcquire { name: name(&cancel.name)?, seq: Seq::new(cancel.seq) })
}

pub(super) fn open_session(open: OpenRequest) -> Result<Command, Error> {
    check_session(open.ttl_ms, &open.name).map_err(|rejection| errors::rejection(&rejection))?;
    let secret_hash = secret(&open.secret)?;
    Ok(Command::OpenSession { ttl_ms: open.ttl_ms, name: open.name, secret_hash })
}

/// The hash under which the machine knows a secret.
pub(super) fn secret(secret: &[u8]) -> Result<[u8; 32], Error> {
    if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.len()) {
        return Err(error(
            ErrorCode::InvalidRequest,
            format!(
                "the session's secret has {} bytes: it must have {SECRET_BYTES_MIN} to \
                 {SECRET_BYTES_MAX}, chosen at random",
                secret.len()
            ),
        ));
    }
    Ok(Sha256::digest(secret).into())
}
