//! How a leader's log reaches the others: requests one way, answers in their order the other way,
//! on a connection that is upgraded to frames and nothing else.
//!
//! Each follower has two of them: replication keeps one for as long as it goes well, and so does
//! the heartbeat, so that nothing large is ever in its way. Everything else that peers ask each
//! other is a call of gRPC ([`super::network`], [`super::peers`]).

mod answering;
mod calling;
#[cfg(test)]
mod tests;

use holdfast_proto::FrameProtocol;

pub(crate) use answering::{Appends, Hearing};
pub(crate) use calling::Appending;

use crate::limits::PEER_FRAME_BYTES_MAX;

/// What the connection is upgraded to: `AppendRequest`s one way, `AppendReply`s the other. The
/// request for it is introduced like every call between peers.
pub const APPEND: FrameProtocol = FrameProtocol {
    name: "holdfast.peer.v1.append",
    path: "/v1/peer/append",
    frame_bytes_max: PEER_FRAME_BYTES_MAX,
};
