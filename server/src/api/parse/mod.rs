//! From the words of the wire to checked types. Nothing behind this door checks again.

pub(super) mod caches;
pub(super) mod locks;
pub(super) mod queues;

use holdfast_primitives::{
    self as machine, Command, Name, Request as Parsed, Seq, Token, check_session,
};
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::request::Operation;
use holdfast_proto::v1::{Error, Guard, OpenRequest, Request};
use sha2::{Digest, Sha256};

use super::errors::{self, error};
use crate::limits::{SECRET_BYTES_MAX, SECRET_BYTES_MIN};

pub(super) fn name(raw: &str) -> Result<Name, Error> {
    Name::parse(raw).map_err(|e| error(ErrorCode::InvalidName, e.to_string()))
}

fn invalid(message: impl Into<String>) -> Error {
    error(ErrorCode::InvalidRequest, message)
}

/// A number on the wire that has no meaning here.
fn unknown(what: &str, number: i32) -> Error {
    invalid(format!("{what} {number} is not one that this server knows: is the server older?"))
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
        Some(Operation::AcquireLock(acquire)) => locks::acquire_lock(acquire),
        Some(Operation::ReleaseLock(release)) => locks::release_lock(release),
        Some(Operation::CancelAcquire(cancel)) => locks::cancel_acquire(&cancel),
        Some(Operation::UpgradeLock(upgrade)) => locks::upgrade_lock(&upgrade),
        Some(Operation::DowngradeLock(downgrade)) => locks::downgrade_lock(&downgrade),
        Some(Operation::Enqueue(enqueue)) => queues::enqueue(enqueue),
        Some(Operation::Consume(consume)) => queues::consume(&consume),
        Some(Operation::Claim(claim)) => queues::claim(&claim),
        Some(Operation::EndQueueRequest(end)) => queues::end_queue_request(&end),
        Some(Operation::Settle(settle)) => queues::settle(&settle),
        Some(Operation::Extend(extend)) => queues::extend(&extend),
        Some(Operation::CacheFill(fill)) => caches::fill(&fill),
        Some(Operation::CacheWrite(write)) => caches::write(write, false),
        Some(Operation::CacheFlush(flush)) => caches::flush(flush),
        Some(Operation::CacheLetGo(let_go)) => caches::let_go(&let_go),
        Some(Operation::CacheGiveUp(give_up)) => caches::give_up(&give_up),
        Some(Operation::EndCacheRequest(end)) => caches::end(&end),
        Some(Operation::CacheSweep(sweep)) => caches::sweep(sweep),
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
