//! The machine's outcomes in the words of the wire.

use holdfast_primitives::{Outcome, Signal, SignalKind};
use holdfast_proto::v1::lock_signal::Kind;
use holdfast_proto::v1::reply::Outcome as Wire;
use holdfast_proto::v1::{
    CacheLoading, CacheSwept, Claimed, Consuming, Done, LockGranted, LockSignal, LockWaiting, Reply,
};

pub(crate) use super::cache_views::recall;
use super::cache_views::{filled, written};
use super::errors;
pub(crate) use super::queue_views::push;
use super::queue_views::{delivery, enqueued};

/// The answer to one numbered request.
pub(crate) fn reply(seq: u64, outcome: Outcome) -> Reply {
    let outcome = match outcome {
        Outcome::Done | Outcome::SessionOpened { .. } | Outcome::SessionResumed { .. } => {
            Wire::Done(Done {})
        }
        Outcome::Granted { token } => Wire::Granted(LockGranted { token: token.get() }),
        Outcome::Waiting { ahead, .. } => Wire::Waiting(LockWaiting { ahead }),
        Outcome::Enqueued { messages } => Wire::Enqueued(enqueued(&messages)),
        Outcome::Consuming { consumer } => Wire::Consuming(Consuming { consumer: consumer.get() }),
        Outcome::Delivered(messages) => {
            Wire::Claimed(Claimed { messages: messages.into_iter().map(delivery).collect() })
        }
        Outcome::Swept { count, more } => Wire::CacheSwept(CacheSwept { count, more }),
        // There is no such request on a stream.
        Outcome::Redriven(redriven) => {
            Wire::CacheSwept(CacheSwept { count: redriven.count, more: redriven.more })
        }
        Outcome::Filled(line) => Wire::CacheFilled(filled(*line)),
        Outcome::Loading { token } => Wire::CacheLoading(CacheLoading { token: token.get() }),
        Outcome::Written(written_to) => Wire::CacheWritten(written(written_to)),
        Outcome::Rejected(rejection) => Wire::Error(errors::rejection(&rejection)),
    };
    Reply { seq, outcome: Some(outcome) }
}

/// Something that a holder should know.
pub(crate) fn signal(signal: &Signal) -> LockSignal {
    let (kind, next_seq, next_token) = match signal.kind {
        SignalKind::Contended => (Kind::Contended, 0, 0),
        SignalKind::Wounded => (Kind::Wounded, 0, 0),
        SignalKind::Revoked => (Kind::Revoked, 0, 0),
        SignalKind::Next { seq, token } => (Kind::Next, seq.get(), token.get()),
    };
    let (token, name) = (signal.token.get(), signal.name.to_string());
    LockSignal { token, name, kind: kind.into(), next_seq, next_token }
}
