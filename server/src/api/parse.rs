//! From the words of the wire to checked types. Nothing behind this door checks again.

use holdfast_primitives::{Command, Name, Seq, Token, check_session};
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::request::Operation;
use holdfast_proto::v1::{AcquireLock, CancelAcquire, Error, OpenRequest, ReleaseLock, Request};
use sha2::{Digest, Sha256};

use super::errors::{self, error};
use crate::limits::{SECRET_BYTES_MAX, SECRET_BYTES_MIN};

fn name(raw: &str) -> Result<Name, Error> {
    Name::parse(raw).map_err(|e| error(ErrorCode::InvalidName, e.to_string()))
}

/// A request of a session's stream.
pub(super) fn numbered(request: &Request) -> Result<Command, Error> {
    if request.seq == 0 {
        return Err(error(
            ErrorCode::InvalidRequest,
            "a request on a stream needs a number: count them from 1",
        ));
    }
    match &request.operation {
        Some(Operation::AcquireLock(acquire)) => acquire_lock(acquire),
        Some(Operation::ReleaseLock(release)) => release_lock(release),
        Some(Operation::CancelAcquire(cancel)) => cancel_acquire(cancel),
        None => Err(error(
            ErrorCode::InvalidRequest,
            "the request names no operation that this server knows: is the server older?",
        )),
    }
}

pub(super) fn acquire_lock(acquire: &AcquireLock) -> Result<Command, Error> {
    Ok(Command::AcquireLock { name: name(&acquire.name)?, wait_ms: acquire.wait_ms })
}

pub(super) fn release_lock(release: &ReleaseLock) -> Result<Command, Error> {
    Ok(Command::ReleaseLock { name: name(&release.name)?, token: Token::new(release.token) })
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
