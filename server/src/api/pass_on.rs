//! A session's stream on its way to the leader through a node that does not lead, for a client that
//! cannot reach the leader itself. What both sides say is passed on as it comes.
//!
//! It ends with either side, and when this node knows another leader: the client looks for that one
//! then. It comes in at the leader's peer port, where nothing is passed on again.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::select;
use holdfast_proto::{Connection, SESSION};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tonic::Status;

use crate::limits::{FAREWELL_WITHIN, TAKEN_WITHIN};
use crate::raft::types::Peer;
use crate::router::{FORWARDED, Place, Router};

/// How long it may take to be let in by the leader.
const LET_IN_WITHIN: Duration = Duration::from_millis(400);

/// How much is passed on at once.
const PIECE_BYTES: usize = 16 << 10;

/// A stream that has begun at the leader.
pub(super) struct Detour {
    leader: Peer,
    connection: Box<dyn Connection>,
    /// What has come already.
    came: Bytes,
}

impl Detour {
    /// Begins a stream, if the node leads that clients reach at this address, and lets it in.
    /// Whoever asks for another has not heard yet who leads, and may well reach that one.
    pub(super) async fn begin(router: &Router, address: &HeaderValue) -> Option<Self> {
        let Place::There(leader) = router.leader() else { return None };
        if leader.client_addr.as_bytes() != address.as_bytes() {
            return None;
        }
        let beginning = async {
            let address = &leader.peer_addr;
            let dialled = router.dialer().open(address).await;
            let connection = dialled.map_err(|e| Status::unavailable(format!("{address}: {e}")))?;
            let forwarded = (HeaderName::from_static(FORWARDED), HeaderValue::from_static("1"));
            SESSION.ask(connection, address, HeaderMap::from_iter([forwarded])).await
        };
        let begun = tokio::select! {
            // Not by chance, so that a simulation can be repeated.
            biased;
            begun = timeout(LET_IN_WITHIN, beginning) => {
                begun.unwrap_or_else(|_| Err(Status::unavailable("it takes too long")))
            }
            () = router.leads_no_longer(&leader) => Err(Status::unavailable("it leads no longer")),
        };
        let begun = begun.inspect_err(|status| {
            tracing::debug!("a session is not passed on to the leader: {}", status.message());
        });
        begun.ok().map(|(connection, came)| Self { leader, connection, came })
    }

    /// Passes on what is said until either side has ended, or this is not the way to the leader any
    /// more.
    pub(super) async fn carry(self, client: impl AsyncRead + AsyncWrite, router: &Router) {
        let Self { leader, connection, came } = self;
        let (from_client, to_client) = tokio::io::split(client);
        let (from_leader, to_leader) = tokio::io::split(connection);
        let up = pass_on(from_client, to_leader, Bytes::new());
        let down = pass_on(from_leader, to_client, came);
        tokio::select! {
            biased;
            () = both(up, down) => {}
            () = router.leads_no_longer(&leader) => {}
        }
    }
}

/// When one way has come to its end there may still be something on the other, for a moment.
async fn both(
    one: impl Future<Output = io::Result<()>>,
    other: impl Future<Output = io::Result<()>>,
) {
    let (one, other) = (pin!(one), pin!(other));
    let (ended, rest) = select(one, other).await.factor_first();
    if ended.is_ok() {
        timeout(FAREWELL_WITHIN, rest).await.map(drop).ok();
    }
}

/// Passes on `came` and all that follows. Whoever takes nothing for too long is given up.
async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    came: Bytes,
) -> io::Result<()> {
    let mut piece = came.to_vec();
    let mut length = piece.len();
    piece.resize(PIECE_BYTES.max(length), 0);
    loop {
        let taken = async {
            to.write_all(&piece[..length]).await?;
            to.flush().await
        };
        timeout(TAKEN_WITHIN, taken).await??;
        length = from.read(&mut piece).await?;
        if length == 0 {
            return timeout(TAKEN_WITHIN, to.shutdown()).await?;
        }
    }
}
