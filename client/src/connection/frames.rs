//! What goes into a frame.

use std::sync::Arc;

use bytes::Bytes;
use holdfast_proto::FRAME_BYTES_MAX;
use holdfast_proto::v1::request::Operation as Wire;
use holdfast_proto::v1::{
    AcquireLock, CacheChange, CacheFill, CacheFlush, CacheGiveUp, CacheLetGo, CacheSweep,
    CacheWrite, CancelAcquire, Claim, ClientFrame, Consume, DowngradeLock, EndCacheRequest,
    EndQueueRequest, Enqueue, Extend, Guard, LineUpTo, LockWant, NewMessage, OpenRequest,
    ReleaseLock, Request, SessionRef, Settle, UpgradeLock, cache_change,
};

use super::request::{CacheAsk, Operation, QueueAsk};
use crate::Proof;
use crate::locks::{Hold, LOCKS_PER_REQUEST_MAX, Wish};
use crate::name::NAME_BYTES_MAX;

/// Most requests in one frame.
pub(super) const REQUESTS_PER_FRAME_MAX: usize = 1_024;

/// How much of a frame requests may fill. One more that is as large as it can be still fits.
pub(super) const REQUEST_BYTES_PER_FRAME: usize = 1 << 20;

/// What a request takes beside its names: numbers of up to ten bytes, and tags.
const REQUEST_BYTES: usize = 96;

/// What each further lock takes beside its name.
const WANT_BYTES: usize = 24;

/// How many lines one request lets go. The server takes ten times as many, but their keys may be
/// long.
pub(crate) const LINES_LET_GO_MAX: usize = 1_000;

const _: () = assert!(LINES_LET_GO_MAX * (LINE_BYTES + NAME_BYTES_MAX) < ENQUEUE_BYTES_MAX);

/// A guard, and as many locks as one request may have.
const REQUEST_BYTES_MAX: usize =
    REQUEST_BYTES + NAME_BYTES_MAX + LOCKS_PER_REQUEST_MAX * (WANT_BYTES + NAME_BYTES_MAX);

const _: () = assert!(REQUEST_BYTES_PER_FRAME + REQUEST_BYTES_MAX < FRAME_BYTES_MAX);

/// The largest request that is sent at all: as many bytes of messages as one may bring, each with
/// what surrounds it.
pub(crate) const ENQUEUE_BYTES_MAX: usize = 6 << 20;

const _: () = assert!(REQUEST_BYTES_PER_FRAME + ENQUEUE_BYTES_MAX < FRAME_BYTES_MAX);

/// What a message takes beside its texts.
const MESSAGE_BYTES: usize = 48;

/// What a header takes beside its texts.
const HEADER_BYTES: usize = 16;

/// What a receipt takes.
const RECEIPT_BYTES: usize = 24;

/// What a line takes beside its key that is let go.
const LINE_BYTES: usize = 16;

/// The largest value that is sent.
pub(crate) const VALUE_BYTES_MAX: usize = 4 << 20;

/// The first frame of a session.
pub(super) fn open(ttl_ms: u64, name: &str, secret: Bytes) -> ClientFrame {
    let open = OpenRequest { ttl_ms, name: name.to_owned(), secret };
    ClientFrame { open: Some(open), ..ClientFrame::default() }
}

/// The first frame of a session's next stream.
pub(super) fn resume(id: u64, secret: Bytes, confirmed: u64) -> ClientFrame {
    let resume = SessionRef { id, secret };
    ClientFrame { resume: Some(resume), confirmed, ..ClientFrame::default() }
}

/// An upper bound of the size of one operation as it is sent.
pub(super) fn size_bound(operation: &Operation) -> usize {
    match operation {
        Operation::Acquire { wish, .. } => {
            let under = wish.terms.under.as_ref().map_or(0, |proof| proof.name().len());
            REQUEST_BYTES + under + names_bound(wish)
        }
        Operation::Upgrade { wish, .. }
        | Operation::Downgrade { wish, .. }
        | Operation::Release { wish, .. } => REQUEST_BYTES + names_bound(wish),
        Operation::Cancel { name, .. } => REQUEST_BYTES + name.len(),
        Operation::Queue { queue, under, ask, .. } => {
            let under = under.as_ref().map_or(0, |proof| proof.name().len());
            let rest = match ask {
                QueueAsk::Enqueue { messages, .. } => messages.iter().map(message_bound).sum(),
                QueueAsk::Settle { receipts, .. } | QueueAsk::Extend { receipts, .. } => {
                    RECEIPT_BYTES * receipts.len()
                }
                QueueAsk::Consume { .. } | QueueAsk::Claim { .. } | QueueAsk::End { .. } => 0,
            };
            REQUEST_BYTES + queue.len() + under + rest
        }
        Operation::Cache { cache, under, ask, .. } => {
            let under = under.as_ref().map_or(0, |proof| proof.name().len());
            REQUEST_BYTES + cache.len() + under + cache_bound(ask)
        }
    }
}

fn cache_bound(ask: &CacheAsk) -> usize {
    match ask {
        CacheAsk::Write { key, change, .. } | CacheAsk::Flush { key, change, .. } => {
            key.len() + body_of(change)
        }
        CacheAsk::GiveBack { key, back } => key.len() + back.change.as_ref().map_or(0, body_of),
        CacheAsk::LetGo { lines } => {
            lines.iter().map(|(key, _)| LINE_BYTES + key.len()).sum::<usize>()
        }
        CacheAsk::Fill { key, .. } | CacheAsk::GiveUp { key, .. } | CacheAsk::End { key, .. } => {
            key.len()
        }
        CacheAsk::Sweep { prefix } => prefix.len(),
    }
}

fn body_of(change: &CacheChange) -> usize {
    match &change.change {
        Some(cache_change::Change::Put(put)) => put.body.len(),
        Some(cache_change::Change::Delete(_) | cache_change::Change::Add(_)) | None => 0,
    }
}

/// An upper bound of the size of a message as it is sent.
pub(crate) fn message_bound(message: &NewMessage) -> usize {
    let headers = message.headers.iter();
    let headers: usize =
        headers.map(|header| HEADER_BYTES + header.name.len() + header.value.len()).sum();
    let texts = message.group.len() + message.dedup_id.len();
    MESSAGE_BYTES + message.body.len() + headers + texts
}

fn names_bound(wish: &Wish) -> usize {
    let also = wish.also.iter().map(|(name, _)| WANT_BYTES + name.len());
    wish.name.len() + also.sum::<usize>()
}

/// One operation as it is sent.
pub(super) fn request(seq: u64, operation: &Operation) -> Request {
    let mut guard = None;
    let operation = match operation {
        Operation::Acquire { wish, hold, wait_ms, .. } => {
            guard = wish.terms.under.as_ref().map(under);
            Wire::AcquireLock(acquire(wish, *hold, *wait_ms))
        }
        Operation::Upgrade { wish, token, wait_ms, .. } => Wire::UpgradeLock(UpgradeLock {
            name: text(&wish.name),
            token: *token,
            wait_ms: *wait_ms,
        }),
        Operation::Downgrade { wish, token } => {
            Wire::DowngradeLock(DowngradeLock { name: text(&wish.name), token: *token })
        }
        Operation::Release { wish, token, only } => {
            let mut names = wish.names().skip(only.unwrap_or(0)).map(text);
            let name = names.next().unwrap_or_default();
            let also = if only.is_some() { Vec::new() } else { names.collect() };
            Wire::ReleaseLock(ReleaseLock { name, token: *token, also })
        }
        Operation::Cancel { name, seq } => {
            Wire::CancelAcquire(CancelAcquire { name: text(name), seq: *seq })
        }
        Operation::Queue { queue, under: proof, ask, .. } => {
            guard = proof.as_ref().map(under);
            of_queue(text(queue), ask)
        }
        Operation::Cache { cache, under: proof, ask, .. } => {
            guard = proof.as_ref().map(under);
            of_cache(text(cache), ask)
        }
    };
    Request { seq, guard, operation: Some(operation) }
}

fn of_queue(queue: String, ask: &QueueAsk) -> Wire {
    match ask {
        QueueAsk::Enqueue { messages, wait_ms } => {
            Wire::Enqueue(Enqueue { queue, messages: messages.clone(), wait_ms: *wait_ms })
        }
        QueueAsk::Consume { credits, .. } => Wire::Consume(Consume { queue, credits: *credits }),
        QueueAsk::Claim { max, wait_ms, visibility_ms } => {
            let (max, wait_ms, visibility_ms) = (*max, *wait_ms, *visibility_ms);
            Wire::Claim(Claim { queue, max, wait_ms, visibility_ms })
        }
        QueueAsk::Settle { receipts, how, delay_ms } => {
            let (receipts, how) = (receipts.clone(), (*how).into());
            Wire::Settle(Settle { queue, receipts, how, delay_ms: *delay_ms })
        }
        QueueAsk::Extend { receipts, visibility_ms } => {
            let (receipts, visibility_ms) = (receipts.clone(), *visibility_ms);
            Wire::Extend(Extend { queue, receipts, visibility_ms })
        }
        QueueAsk::End { seq } => Wire::EndQueueRequest(EndQueueRequest { queue, seq: *seq }),
    }
}

fn of_cache(cache: String, ask: &CacheAsk) -> Wire {
    match ask {
        CacheAsk::Fill { key, copy, load_ms } => {
            let (copy, load_ms) = ((*copy).into(), *load_ms);
            Wire::CacheFill(CacheFill { cache, key: text(key), copy, load_ms })
        }
        CacheAsk::Write { key, change, if_version, load } => {
            let (key, change) = (text(key), Some(change.clone()));
            let (if_version, load) = (*if_version, *load);
            Wire::CacheWrite(CacheWrite { cache, key, change, if_version, load })
        }
        CacheAsk::Flush { key, token, change } => {
            let (key, change) = (text(key), Some(change.clone()));
            Wire::CacheFlush(CacheFlush { cache, key, token: *token, change, keep: true })
        }
        CacheAsk::GiveBack { key, back } => {
            let (key, change) = (text(key), back.change.clone());
            Wire::CacheFlush(CacheFlush { cache, key, token: back.token, change, keep: false })
        }
        CacheAsk::LetGo { lines } => {
            let line = |(key, up_to): &(Arc<str>, u64)| LineUpTo { key: text(key), up_to: *up_to };
            Wire::CacheLetGo(CacheLetGo { cache, lines: lines.iter().map(line).collect() })
        }
        CacheAsk::GiveUp { key, token } => {
            Wire::CacheGiveUp(CacheGiveUp { cache, key: text(key), token: *token })
        }
        CacheAsk::End { key, seq } => {
            Wire::EndCacheRequest(EndCacheRequest { cache, key: text(key), seq: *seq })
        }
        CacheAsk::Sweep { prefix } => {
            Wire::CacheSweep(CacheSweep { cache, prefix: text(prefix), max: 0 })
        }
    }
}

fn acquire(wish: &Wish, hold: Hold, wait_ms: Option<u64>) -> AcquireLock {
    let LockWant { name, mode, permits, capacity } = want(&wish.name, hold);
    AcquireLock {
        name,
        wait_ms,
        mode,
        permits,
        capacity,
        also: wish.also.iter().map(|(name, hold)| want(name, *hold)).collect(),
        reentrant: wish.terms.reentrant,
        concurrent: wish.terms.concurrent,
        deadlock_policy: wish.terms.wire_policy().into(),
        delay_ms: wish.terms.delay_ms,
    }
}

fn want(name: &Arc<str>, hold: Hold) -> LockWant {
    let Hold { mode, permits, capacity } = hold;
    LockWant { name: text(name), mode: mode.wire().into(), permits, capacity }
}

fn under(proof: &Proof) -> Guard {
    Guard { name: proof.name().to_owned(), token: proof.token() }
}

fn text(name: &Arc<str>) -> String {
    name.as_ref().into()
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1;
    use prost::Message;

    use super::*;
    use crate::locks::{LockSpec, Terms};
    use crate::{DeadlockPolicy, LockMode};

    fn encoded_len(operation: &Operation) -> usize {
        let requests = vec![request(u64::MAX, operation)];
        ClientFrame { requests, ..ClientFrame::default() }.encoded_len()
    }

    fn acquire(wish: Wish, hold: Hold) -> Operation {
        let grant = Arc::default();
        Operation::Acquire { wish: wish.into(), hold, wait_ms: Some(u64::MAX), grant }
    }

    #[test]
    fn the_largest_requests_are_within_their_bounds() {
        let long = |n: u32| format!("{n:0512}");
        let terms = Terms {
            under: Some(Proof::new(long(1), u64::MAX)),
            reentrant: true,
            concurrent: true,
            policy: DeadlockPolicy::WaitDie,
            delay_ms: u32::MAX,
        };
        let spec = |n| LockSpec::permits(long(n), u32::MAX, u32::MAX);
        for count in [1, 64] {
            let specs = (0..count).map(spec).collect();
            let (wish, hold) = Wish::all(specs, terms.clone()).expect("valid");
            let shared = Arc::new(wish.clone());
            let release = |only| Operation::Release { wish: shared.clone(), token: u64::MAX, only };
            for operation in [acquire(wish.clone(), hold), release(None), release(Some(0))] {
                let bound = size_bound(&operation);
                assert!(encoded_len(&operation) <= bound, "{operation:?}");
                assert!(bound <= REQUEST_BYTES_MAX);
            }
        }
    }

    /// How an acquire of the lock `a` looks on the wire.
    fn sent(wish: Wish, hold: Hold) -> (AcquireLock, Option<Guard>) {
        let request = request(1, &acquire(wish, hold));
        match request.operation {
            Some(Wire::AcquireLock(acquire)) => (acquire, request.guard),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_plain_lock_says_nothing_but_its_name() {
        let wish = Wish::one("a", Terms::default()).expect("valid");
        let want = AcquireLock { name: "a".into(), wait_ms: Some(u64::MAX), ..Default::default() };
        assert_eq!(sent(wish, Hold::EXCLUSIVE), (want, None));
    }

    #[test]
    fn every_term_is_sent() {
        let terms = |change: fn(&mut Terms)| {
            let mut wish = Wish::one("a", Terms::default()).expect("valid");
            change(&mut wish.terms);
            sent(wish, Hold::SHARED)
        };
        assert_eq!(terms(|_| {}).0.mode(), LockMode::Shared.wire());
        assert!(terms(|terms| terms.reentrant = true).0.reentrant);
        assert!(terms(|terms| terms.concurrent = true).0.concurrent);
        assert_eq!(terms(|terms| terms.delay_ms = 7).0.delay_ms, 7);
        let (acquire, _) = terms(|terms| terms.policy = DeadlockPolicy::WoundWait);
        assert_eq!(acquire.deadlock_policy(), v1::DeadlockPolicy::WoundWait);
        let (_, guard) = terms(|terms| terms.under = Some(Proof::new("b", 9)));
        assert_eq!(guard, Some(Guard { name: "b".into(), token: 9 }));
    }

    #[test]
    fn several_locks_are_asked_for_and_released_by_one_request() {
        let specs = vec![LockSpec::permits("c", 2, 3), LockSpec::shared("b"), "a".into()];
        let (wish, hold) = Wish::all(specs, Terms::default()).expect("valid");
        let (acquire, _) = sent(wish.clone(), hold);
        assert_eq!((acquire.name.as_str(), acquire.mode()), ("a", v1::LockMode::Exclusive));
        let [b, c] = acquire.also.as_slice() else { panic!("{acquire:?}") };
        assert_eq!((b.name.as_str(), b.mode()), ("b", v1::LockMode::Shared));
        assert_eq!((c.name.as_str(), c.permits, c.capacity), ("c", 2, 3));
        let wish = Arc::new(wish);
        for (only, name, also) in [(None, "a", 2), (Some(0), "a", 0), (Some(2), "c", 0)] {
            let operation = Operation::Release { wish: wish.clone(), token: 5, only };
            let Some(Wire::ReleaseLock(release)) = request(1, &operation).operation else {
                panic!("not a release")
            };
            assert_eq!((release.name.as_str(), release.also.len()), (name, also));
        }
    }

    #[test]
    fn an_upgrade_and_a_downgrade_name_their_grant() {
        let wish = Arc::new(Wish::one("a", Terms::default()).expect("valid"));
        let (token, grant) = (5, Arc::default());
        let up = Operation::Upgrade { wish: wish.clone(), token, wait_ms: Some(7), grant };
        let want = UpgradeLock { name: "a".into(), token, wait_ms: Some(7) };
        assert_eq!(request(1, &up).operation, Some(Wire::UpgradeLock(want)));
        let want = DowngradeLock { name: "a".into(), token };
        let down = Operation::Downgrade { wish, token };
        assert_eq!(request(1, &down).operation, Some(Wire::DowngradeLock(want)));
    }
}
