//! Which peers can be reached, for the log: a peer that is down is called many times a second.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::types::NodeId;

/// How often it is said again.
const AGAIN: Duration = Duration::from_secs(60);

/// What was said of each peer, and when. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Reached(Arc<DashMap<NodeId, (Trouble, Instant)>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// It answers, but wants nothing of this node.
    Refuses,
    Silent,
}

impl Reached {
    /// A call of the peer has failed.
    pub(super) fn not(&self, peer: NodeId, status: &Status) {
        let why = status.message();
        let trouble = match status.code() {
            Code::FailedPrecondition => Trouble::Refuses,
            _ => Trouble::Silent,
        };
        if !self.is_news(peer, trouble) {
            return tracing::debug!(peer, "a call failed: {why}");
        }
        match trouble {
            Trouble::Refuses => tracing::error!(peer, "refused by a peer: {why}"),
            Trouble::Silent => tracing::warn!(peer, "a peer cannot be reached: {why}"),
        }
    }

    /// The peer has answered.
    pub(super) fn is(&self, peer: NodeId) {
        if self.0.remove(&peer).is_some() {
            tracing::info!(peer, "a peer is reached again");
        }
    }

    fn is_news(&self, peer: NodeId, trouble: Trouble) -> bool {
        let now = Instant::now();
        let mut told = self.0.entry(peer).or_insert((trouble, now - AGAIN));
        let is_news = told.0 != trouble || now - told.1 >= AGAIN;
        if is_news {
            *told = (trouble, now);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_said_when_it_changes_and_once_a_minute() {
        tokio::time::advance(AGAIN).await;
        let reached = Reached::default();
        assert!(reached.is_news(2, Trouble::Silent));
        assert!(reached.is_news(3, Trouble::Silent), "another peer");
        for _ in 0..9 {
            tokio::time::advance(AGAIN / 10).await;
            assert!(!reached.is_news(2, Trouble::Silent));
        }
        assert!(reached.is_news(2, Trouble::Refuses), "another trouble");
        assert!(!reached.is_news(2, Trouble::Refuses));
        tokio::time::advance(AGAIN).await;
        assert!(reached.is_news(2, Trouble::Refuses), "a minute later");
        reached.is(2);
        assert!(reached.is_news(2, Trouble::Refuses), "it was reached meanwhile");
    }
}
