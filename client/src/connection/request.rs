//! One request, and where its answer goes.

use std::sync::Arc;

use holdfast_proto::v1::{self, CacheChange, CacheCopy, Settlement};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::caches::GivenBack;
use crate::locks::{Grant, Hold, Wish};
use crate::queues::{Inbox, Number};
use crate::{Error, Proof};

/// What a request asks for.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// `grant` learns the number of this request when it is sent, and so on. `hold` is about the
    /// first of the locks.
    Acquire {
        wish: Arc<Wish>,
        hold: Hold,
        wait_ms: Option<u64>,
        grant: Arc<Grant>,
    },
    /// `token` is what is to be replaced in `grant`.
    Upgrade {
        wish: Arc<Wish>,
        token: u64,
        wait_ms: Option<u64>,
        grant: Arc<Grant>,
    },
    Downgrade {
        wish: Arc<Wish>,
        token: u64,
    },
    /// All of the locks, or `only` the one with this index.
    Release {
        wish: Arc<Wish>,
        token: u64,
        only: Option<usize>,
    },
    Cancel {
        name: Arc<str>,
        seq: u64,
    },
    /// `number` learns the number of this request when it is sent; it is there for requests that
    /// can be withdrawn.
    Queue {
        queue: Arc<str>,
        under: Option<Proof>,
        number: Option<Arc<Number>>,
        ask: QueueAsk,
    },
    /// As a queue's.
    Cache {
        cache: Arc<str>,
        under: Option<Proof>,
        number: Option<Arc<Number>>,
        ask: CacheAsk,
    },
}

/// What a request asks of a cache.
#[derive(Clone, Debug)]
pub(crate) enum CacheAsk {
    Fill {
        key: Arc<str>,
        copy: CacheCopy,
        load_ms: Option<u64>,
    },
    Write {
        key: Arc<str>,
        change: CacheChange,
        if_version: Option<u64>,
        load: u64,
    },
    /// The copy stays.
    Flush {
        key: Arc<str>,
        token: u64,
        change: CacheChange,
    },
    /// The copy goes.
    GiveBack {
        key: Arc<str>,
        back: GivenBack,
    },
    /// Up to which revision there are no copies.
    LetGo {
        lines: Vec<(Arc<str>, u64)>,
    },
    GiveUp {
        key: Arc<str>,
        token: u64,
    },
    End {
        key: Arc<str>,
        seq: u64,
    },
    Sweep {
        prefix: Arc<str>,
    },
}

impl CacheAsk {
    /// Whether it changes what is stored, so that a guard can keep it from that.
    pub(crate) fn is_write(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Sweep { .. })
    }
}

/// What a request asks of a queue.
#[derive(Clone, Debug)]
pub(crate) enum QueueAsk {
    Enqueue { messages: Vec<v1::NewMessage>, wait_ms: Option<u64> },
    Consume { credits: u32, inbox: Inbox },
    Claim { max: u32, wait_ms: Option<u64>, visibility_ms: Option<u64> },
    Settle { receipts: Vec<v1::Receipt>, how: Settlement, delay_ms: u64 },
    Extend { receipts: Vec<v1::Receipt>, visibility_ms: u64 },
    End { seq: u64 },
}

impl Operation {
    /// Tells whoever asked by which number the request was sent.
    pub(super) fn sent_as(&self, seq: u64) {
        match self {
            Self::Acquire { grant, .. } | Self::Upgrade { grant, .. } => grant.set_seq(seq),
            Self::Queue { number: Some(number), .. } | Self::Cache { number: Some(number), .. } => {
                number.set(seq);
            }
            Self::Downgrade { .. }
            | Self::Release { .. }
            | Self::Cancel { .. }
            | Self::Queue { number: None, .. }
            | Self::Cache { number: None, .. } => {}
        }
    }

    /// What takes back the request for these locks that was sent by that number. It is found by
    /// any lock of which it was granted, but some of them may have been taken away since.
    pub(super) fn cancels(wish: &Wish, seq: u64) -> Vec<Self> {
        wish.names().map(|name| Self::Cancel { name: name.clone(), seq }).collect()
    }

    /// What takes this request back, if it was sent by that number. Such a request is of no use
    /// when nobody waits for it any more; all others must be carried out in any case.
    pub(super) fn withdrawals(&self, seq: u64) -> Vec<Self> {
        match self {
            Self::Acquire { wish, .. } | Self::Upgrade { wish, .. } => Self::cancels(wish, seq),
            Self::Queue { queue, number: Some(_), .. } => vec![Self::end_queue_request(queue, seq)],
            Self::Cache { cache, ask: CacheAsk::Fill { key, .. }, number: Some(_), .. } => {
                vec![Self::end_cache_request(cache, key, seq)]
            }
            Self::Downgrade { .. }
            | Self::Release { .. }
            | Self::Cancel { .. }
            | Self::Queue { number: None, .. }
            | Self::Cache { .. } => Vec::new(),
        }
    }

    /// Whether there are [`Operation::withdrawals`].
    pub(super) fn is_withdrawable(&self) -> bool {
        match self {
            Self::Acquire { .. } | Self::Upgrade { .. } => true,
            Self::Queue { number, .. } | Self::Cache { number, .. } => number.is_some(),
            Self::Downgrade { .. } | Self::Release { .. } | Self::Cancel { .. } => false,
        }
    }

    pub(super) fn end_cache_request(cache: &Arc<str>, key: &Arc<str>, seq: u64) -> Self {
        Self::of_cache(cache, CacheAsk::End { key: key.clone(), seq })
    }

    /// What is carried out in any case, and for nobody in particular.
    pub(crate) fn of_cache(cache: &Arc<str>, ask: CacheAsk) -> Self {
        Self::Cache { cache: cache.clone(), under: None, number: None, ask }
    }

    pub(super) fn end_queue_request(queue: &Arc<str>, seq: u64) -> Self {
        let (queue, ask) = (queue.clone(), QueueAsk::End { seq });
        Self::Queue { queue, under: None, number: None, ask }
    }
}

/// The final answer to a request that was not refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Done,
    Granted { token: u64 },
    Enqueued(Vec<u64>),
    Consuming,
    Claimed(Vec<v1::Delivery>),
    Filled(v1::CacheFilled),
    Loading { token: u64 },
    Written(v1::CacheWritten),
    Swept(v1::CacheSwept),
}

/// Where a final answer goes.
pub(crate) type ReplySender = oneshot::Sender<Result<Answer, Error>>;

/// A request with whoever waits for it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) operation: Box<Operation>,
    /// Unset: nobody waits, or not any more.
    pub(super) reply: Option<ReplySender>,
    /// When the first reply is due.
    pub(super) due: Instant,
}

impl Entry {
    pub(super) fn finish(self, answer: Result<Answer, Error>) {
        if let Some(reply) = self.reply {
            // A caller that has gone away sends a withdrawal by itself.
            let _ = reply.send(answer);
        }
    }

    pub(super) fn is_waited_for(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| !reply.is_closed())
    }

    /// A request for something that nobody waits for need not be sent at all. A release must be.
    pub(super) fn is_moot(&self) -> bool {
        self.operation.is_withdrawable() && !self.is_waited_for()
    }
}
