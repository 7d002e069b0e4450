//! One stream to one node, from dialling to the first frame that comes back.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use holdfast_proto::v1::{self, ClientFrame, ServerFrame};
use holdfast_proto::{Dialer, ErrorCode, FrameConnection, PASS_ON, SESSION, describe, error_of};
use http::header::{self, HeaderMap, HeaderValue};
use tokio::time::Instant;
use tonic::Status;
use tonic::transport::Channel;

use super::{channel, frames};
use crate::clock::Clock;
use crate::endpoints::{self, Destination, End};

/// How often to look whether the leader can be reached itself, while another node passes on what is
/// said.
const LOOK_FOR_LEADER_EVERY: Duration = Duration::from_secs(10);

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("holdfast-client/", env!("CARGO_PKG_VERSION")));

/// The connection of a session, which whoever has it drives.
pub(super) type Wire = FrameConnection<ClientFrame, ServerFrame>;

/// What a client says first.
#[derive(Clone, Debug)]
pub(crate) enum Hello {
    Open { ttl_ms: u64, name: String, secret: Bytes },
    Resume { id: u64, secret: Bytes, confirmed: u64 },
}

/// A stream that is up.
pub(crate) struct Link {
    pub(crate) endpoint: String,
    /// For calls beside the stream, which have a connection of their own.
    pub(crate) channel: Channel,
    pub(crate) session_id: u64,
    pub(crate) ttl: Duration,
    /// What the lease clock showed just before the first frame was sent.
    pub(crate) hello_reading: Duration,
    pub(super) up_since: Instant,
    /// Resolves when the leader can be reached itself, if this node passes on what is said.
    pub(super) way_to_leader: Option<BoxFuture<'static, String>>,
    pub(super) wire: Wire,
    /// Whatever else came with the first frame.
    pub(super) first: ServerFrame,
}

/// Why a node was left, or could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parting {
    /// Unset: the transport failed and the node said nothing.
    pub(crate) code: Option<ErrorCode>,
    pub(crate) message: String,
    /// Who leads, if the node said so.
    pub(crate) leader: Option<String>,
}

impl Parting {
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self { code: None, message: message.into(), leader: None }
    }

    pub(crate) fn from_wire(error: v1::Error) -> Self {
        let code = Some(error.code());
        let leader = endpoints::parse(&error.leader_endpoint).ok();
        Self { code, message: error.message, leader }
    }

    pub(crate) fn from_status(status: &Status) -> Self {
        error_of(status).map_or_else(|| Self::broken(describe(status)), Self::from_wire)
    }

    /// The leader can be reached itself again.
    pub(super) fn to_leader(leader: String) -> Self {
        let message = "there is a way to the leader itself".to_owned();
        Self { code: Some(ErrorCode::NotLeader), message, leader: Some(leader) }
    }

    /// What it says of where to go next.
    pub(crate) fn end(&self) -> End {
        match self.code {
            None => End::Unreached,
            Some(_) => End::Refused { leader: self.leader.clone() },
        }
    }

    /// Whether the session itself is gone, and not only this stream.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.code, Some(ErrorCode::UnknownSession | ErrorCode::WrongSecret))
    }
}

/// Rests as long as is wanted, dials and says `hello`, which may take so long.
pub(crate) async fn attach(
    dialer: Dialer,
    to: Destination,
    hello: Hello,
    clock: Clock,
    timeout: Duration,
) -> Result<Link, Parting> {
    tokio::time::sleep(to.rest).await;
    let attaching = async { greet(&dialer, to, hello, clock).await };
    tokio::time::timeout(timeout, attaching)
        .await
        .unwrap_or_else(|_| Err(Parting::broken(format!("no answer within {timeout:?}"))))
}

async fn greet(
    dialer: &Dialer,
    to: Destination,
    hello: Hello,
    clock: Clock,
) -> Result<Link, Parting> {
    let Destination { endpoint, pass_on_to, .. } = to;
    let broken = |error: &dyn std::error::Error| Parting::broken(describe(error));
    let channel = channel::open_later(dialer, &endpoint).map_err(|error| broken(&error))?;
    let io = dialer.open(&endpoint).await.map_err(|error| broken(&error))?;
    let first = match hello {
        Hello::Open { ttl_ms, name, secret } => frames::open(ttl_ms, &name, secret),
        Hello::Resume { id, secret, confirmed } => frames::resume(id, secret, confirmed),
    };
    let mut headers = HeaderMap::from_iter([(header::USER_AGENT, AGENT)]);
    if let Some(leader) = &pass_on_to {
        let leader = HeaderValue::from_str(leader).map_err(|error| broken(&error))?;
        headers.insert(PASS_ON, leader);
    }
    let wire = Wire::open(io, &endpoint, &SESSION, headers).await;
    let mut wire = wire.map_err(|status| Parting::from_status(&status))?;
    let hello_reading = clock.now();
    wire.send(&first);
    let first = match poll_fn(|cx| wire.poll_frame(cx)).await {
        Ok(Some(frame)) => frame,
        Ok(None) => return Err(Parting::broken("the stream ended before its first frame")),
        Err(status) => return Err(Parting::from_status(&status)),
    };
    let Some(attached) = &first.attached else {
        let goodbye = first.goodbye.map(Parting::from_wire);
        return Err(goodbye.unwrap_or_else(|| Parting::broken("the first frame says nothing")));
    };
    Ok(Link {
        endpoint,
        channel,
        session_id: attached.session_id,
        ttl: Duration::from_millis(attached.ttl_ms),
        hello_reading,
        up_since: Instant::now(),
        way_to_leader: pass_on_to.map(|leader| way_to(dialer.clone(), leader).boxed()),
        wire,
        first,
    })
}

/// Waits until this node answers.
async fn way_to(dialer: Dialer, endpoint: String) -> String {
    loop {
        tokio::time::sleep(LOOK_FOR_LEADER_EVERY).await;
        let asking = async {
            let connection = dialer.open(&endpoint).await.ok()?;
            SESSION.ask(connection, &endpoint, HeaderMap::new()).await.ok()
        };
        if let Ok(Some(_)) = tokio::time::timeout(LOOK_FOR_LEADER_EVERY, asking).await {
            return endpoint;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(code: ErrorCode, leader: &str) -> Parting {
        Parting::from_wire(v1::Error {
            code: code.into(),
            message: "why".into(),
            leader_endpoint: leader.into(),
        })
    }

    #[test]
    fn a_hint_is_read_with_or_without_a_scheme_and_may_be_absent() {
        let b = Some("b:1".to_owned());
        assert_eq!(wire(ErrorCode::NotLeader, "b:1").leader, b);
        assert_eq!(wire(ErrorCode::NotLeader, "http://b:1").leader, b);
        assert_eq!(wire(ErrorCode::NotLeader, "").leader, None);
    }

    #[test]
    fn only_the_session_s_own_end_is_final() {
        assert!(wire(ErrorCode::UnknownSession, "").is_final());
        assert!(!wire(ErrorCode::NotLeader, "").is_final());
        assert!(!wire(ErrorCode::ShuttingDown, "").is_final());
        assert!(!Parting::from_status(&Status::not_found("no such service")).is_final());
    }
}
