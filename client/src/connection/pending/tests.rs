//! Tests of the table of pending requests.

use std::time::Duration;

use holdfast_proto::v1::request::Operation as Wire;
use holdfast_proto::v1::{Done, LockGranted, LockWaiting};
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::*;
use crate::locks::{Grant, Hold, LockSpec, Terms};
use crate::queues::Number;

mod caches;
mod grants;
mod turns;

const TIMEOUT: Duration = Duration::from_secs(10);

type Receiver = oneshot::Receiver<Result<Answer, Error>>;

/// A table with a clock of its own.
struct Table {
    pending: Pending,
    now: Instant,
}

impl Table {
    fn new() -> Self {
        Self { pending: Pending::new(crate::stand_in::state()), now: Instant::now() }
    }

    fn due(&self) -> Instant {
        self.now + TIMEOUT
    }

    fn acquire(&mut self, name: &str) -> (Receiver, Arc<Grant>) {
        self.acquire_all(&[name])
    }

    fn acquire_all(&mut self, names: &[&str]) -> (Receiver, Arc<Grant>) {
        let (reply, receiver) = oneshot::channel();
        let grant = Arc::new(Grant::default());
        let (wish, hold, wait_ms) = (wish(names), Hold::EXCLUSIVE, None);
        let operation = Operation::Acquire { wish, hold, wait_ms, grant: grant.clone() };
        self.pending.push(operation, Some(reply), self.due());
        (receiver, grant)
    }

    fn release(&mut self, name: &str) -> Receiver {
        self.release_all(&[name], 1)
    }

    fn release_all(&mut self, names: &[&str], token: u64) -> Receiver {
        let (reply, receiver) = oneshot::channel();
        let operation = Operation::Release { wish: wish(names), token, only: None };
        self.pending.push(operation, Some(reply), self.due());
        receiver
    }

    fn withdraw(&mut self, names: &[&str], grant: &Grant) {
        let due = self.due();
        self.pending.withdraw(&wish(names), grant, due);
    }

    /// Sends everything and shows it, such as `1+a 2-b 3xa1`.
    fn send(&mut self) -> String {
        let batch = self.pending.next_batch(frames::REQUESTS_PER_FRAME_MAX);
        let shown = batch.into_iter().map(|request| {
            let seq = request.seq;
            match request.operation {
                Some(Wire::AcquireLock(acquire)) => format!("{seq}+{}", acquire.name),
                Some(Wire::ReleaseLock(release)) => {
                    let names = std::iter::once(release.name).chain(release.also);
                    format!("{seq}-{}", names.collect::<Vec<_>>().join(","))
                }
                Some(Wire::UpgradeLock(upgrade)) => format!("{seq}^{}", upgrade.name),
                Some(Wire::DowngradeLock(downgrade)) => format!("{seq}v{}", downgrade.name),
                Some(Wire::CancelAcquire(cancel)) => format!("{seq}x{}{}", cancel.name, cancel.seq),
                Some(Wire::Enqueue(enqueue)) => format!("{seq}enqueue {}", enqueue.queue),
                Some(Wire::Consume(consume)) => format!("{seq}consume {}", consume.queue),
                Some(Wire::Claim(claim)) => format!("{seq}claim {}", claim.queue),
                Some(Wire::EndQueueRequest(end)) => format!("{seq}end {}{}", end.queue, end.seq),
                Some(Wire::Settle(settle)) => format!("{seq}settle {}", settle.queue),
                Some(Wire::Extend(extend)) => format!("{seq}extend {}", extend.queue),
                Some(Wire::CacheFill(fill)) => format!("{seq}fill {}", fill.key),
                Some(Wire::CacheWrite(write)) => format!("{seq}write {}", write.key),
                Some(Wire::CacheFlush(flush)) => format!("{seq}flush {}", flush.key),
                Some(Wire::CacheLetGo(go)) => format!("{seq}let go {}", go.lines.len()),
                Some(Wire::CacheGiveUp(give_up)) => format!("{seq}give up {}", give_up.key),
                Some(Wire::EndCacheRequest(end)) => format!("{seq}end {}{}", end.key, end.seq),
                Some(Wire::CacheSweep(sweep)) => format!("{seq}sweep {}", sweep.prefix),
                None => format!("{seq}?"),
            }
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    fn reply(&mut self, seq: u64, outcome: Outcome) -> Effect {
        self.pending.on_reply(Reply { seq, outcome: Some(outcome) })
    }

    fn wait(&mut self, seq: u64) {
        let effect = self.reply(seq, Outcome::Waiting(LockWaiting { ahead: 1 }));
        assert_eq!(effect, Effect::Settled);
    }

    fn grant(&mut self, seq: u64, token: u64) {
        let effect = self.reply(seq, Outcome::Granted(LockGranted { token }));
        assert_eq!(effect, Effect::Settled);
    }

    fn done(&mut self, seq: u64) {
        assert_eq!(self.reply(seq, Outcome::Done(Done {})), Effect::Settled);
    }

    fn refuse(&mut self, seq: u64, code: ErrorCode) -> Effect {
        let message = "why".to_owned();
        let leader_endpoint = "b:1".to_owned();
        self.reply(seq, Outcome::Error(v1::Error { code: code.into(), message, leader_endpoint }))
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let due = self.due();
        self.pending.expire(self.now, due);
    }

    #[track_caller]
    fn confirmed(&self, want: u64) {
        assert_eq!(self.pending.confirmed(), want);
    }
}

fn wish(names: &[&str]) -> Arc<Wish> {
    let specs = names.iter().copied().map(LockSpec::from).collect();
    Arc::new(Wish::all(specs, Terms::default()).expect("valid").0)
}

#[test]
fn numbers_have_no_gap_and_the_watermark_waits_for_the_oldest() {
    let mut table = Table::new();
    let (mut a, _) = table.acquire("a");
    let (mut b, _) = table.acquire("b");
    let mut c = table.release("c");
    assert_eq!(table.send(), "1+a 2+b 3-c");
    table.confirmed(0);
    table.done(3);
    assert_eq!(c.try_recv(), Ok(Ok(Answer::Done)));
    table.wait(2);
    table.confirmed(0);
    table.grant(1, 7);
    assert_eq!(a.try_recv(), Ok(Ok(Answer::Granted { token: 7 })));
    table.confirmed(3);
    assert_eq!(b.try_recv(), Err(TryRecvError::Empty));
    table.grant(2, 9);
    assert_eq!(b.try_recv(), Ok(Ok(Answer::Granted { token: 9 })));
    table.release("a");
    assert_eq!(table.send(), "4-a");
}

#[test]
fn replies_that_were_seen_or_never_asked_for_change_nothing() {
    let mut table = Table::new();
    let (mut a, _) = table.acquire("a");
    table.send();
    table.grant(1, 7);
    table.grant(1, 8);
    table.wait(1);
    table.done(0);
    table.done(99);
    assert_eq!(a.try_recv(), Ok(Ok(Answer::Granted { token: 7 })));
    table.confirmed(1);
    assert!(table.pending.waiting.is_empty());
}

#[test]
fn a_new_stream_repeats_in_order_what_has_no_final_reply() {
    let mut table = Table::new();
    let (_a, _) = table.acquire("a");
    let (_b, _) = table.acquire("b");
    let _c = table.release("c");
    let (mut d, _) = table.acquire("d");
    table.send();
    table.wait(4);
    table.wait(1);
    table.done(3);
    table.confirmed(1);
    let _e = table.release("e");
    table.pending.reconnected();
    assert!(!table.pending.is_flushed());
    assert_eq!(table.send(), "1+a 2+b 4+d 5-e");
    assert!(table.pending.is_flushed());
    // What is answered while it waits to be repeated is not repeated.
    table.pending.reconnected();
    table.grant(4, 5);
    assert_eq!(d.try_recv(), Ok(Ok(Answer::Granted { token: 5 })));
    assert_eq!(table.send(), "1+a 2+b 5-e");
}

#[test]
fn a_server_that_cannot_say_is_asked_again_elsewhere() {
    let mut table = Table::new();
    let (mut a, _) = table.acquire("a");
    table.send();
    for code in [ErrorCode::NotLeader, ErrorCode::Unavailable, ErrorCode::OutcomeUnknown] {
        let Effect::Again(parting) = table.refuse(1, code) else { panic!("{code:?} is final") };
        assert_eq!(parting.leader.as_deref(), Some("b:1"));
        table.pending.reconnected();
        assert_eq!(table.send(), "1+a");
    }
    assert_eq!(a.try_recv(), Err(TryRecvError::Empty));
    let gone = table.refuse(1, ErrorCode::UnknownSession);
    assert_eq!(gone, Effect::SessionGone("why".into()));
}

#[test]
fn a_withdrawn_acquire_is_cancelled_or_never_sent() {
    let mut table = Table::new();
    let (a, a_grant) = table.acquire("a");
    table.send();
    let (b, b_grant) = table.acquire("b");
    drop((a, b));
    table.withdraw(&["a"], &a_grant);
    table.withdraw(&["b"], &b_grant);
    assert_eq!(table.send(), "2xa1");
    // The order of the two is kept on the next stream.
    table.pending.reconnected();
    assert_eq!(table.send(), "1+a 2xa1");
    table.grant(1, 7);
    table.done(2);
    table.confirmed(2);
    assert_eq!(table.held(), [0_u64; 0], "nobody knows of it");
}

#[test]
fn several_locks_are_withdrawn_by_each_name() {
    let mut table = Table::new();
    let (both, grant) = table.acquire_all(&["a", "b"]);
    assert_eq!(table.send(), "1+a");
    drop(both);
    // The first may have been taken away before anybody knew that both were granted.
    table.withdraw(&["a", "b"], &grant);
    assert_eq!(table.send(), "2xa1 3xb1");
}

#[test]
fn several_locks_are_released_at_once_or_if_one_is_gone_one_by_one() {
    let mut table = Table::new();
    let mut both = table.release_all(&["a", "b"], 7);
    assert_eq!(table.send(), "1-a,b");
    table.refuse(1, ErrorCode::NotHeld);
    assert!(matches!(both.try_recv(), Ok(Err(Error::Rejected { .. }))));
    assert_eq!(table.send(), "2-a 3-b");
    table.refuse(2, ErrorCode::NotHeld);
    table.done(3);
    assert_eq!(table.send(), "");
}

#[test]
fn a_frame_ends_before_it_is_too_large() {
    use prost::Message;
    let mut table = Table::new();
    let names: Vec<String> = (0..64).map(|n| format!("{n:0512}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let _all: Vec<_> = (0..600).map(|_| table.acquire_all(&names)).collect();
    for _stream in 0..2 {
        let mut sent = 0;
        while table.pending.has_work() {
            let requests = table.pending.next_batch(frames::REQUESTS_PER_FRAME_MAX);
            sent += requests.len();
            let frame = v1::ClientFrame { requests, ..Default::default() };
            assert!(frame.encoded_len() < holdfast_proto::FRAME_BYTES_MAX);
        }
        assert_eq!(sent, 600);
        table.pending.reconnected();
    }
}

#[test]
fn what_was_sent_and_not_answered_in_time_is_unknown_and_an_acquire_is_withdrawn() {
    let mut table = Table::new();
    let (mut a, _) = table.acquire("a");
    let mut b = table.release("b");
    let (mut c, _) = table.acquire("c");
    table.send();
    table.wait(3);
    assert_eq!(table.pending.next_due(), Some(table.due()));
    table.pass(TIMEOUT - Duration::from_millis(1));
    assert_eq!(a.try_recv(), Err(TryRecvError::Empty));
    table.pass(Duration::from_millis(1));
    assert!(matches!(a.try_recv(), Ok(Err(Error::Unknown { .. }))));
    assert!(matches!(b.try_recv(), Ok(Err(Error::Unknown { .. }))));
    assert_eq!(c.try_recv(), Err(TryRecvError::Empty), "a place in line has no time-out");
    assert_eq!(table.send(), "4xa1");
    // They stay until they are answered.
    table.pending.reconnected();
    assert_eq!(table.send(), "1+a 2-b 3+c 4xa1");
    table.confirmed(0);
}

#[test]
fn what_was_never_sent_in_time_was_not_done_but_a_release_stays() {
    let mut table = Table::new();
    let mut b = table.release("b");
    let (mut a, _) = table.acquire("a");
    table.pass(TIMEOUT);
    assert!(matches!(a.try_recv(), Ok(Err(Error::Unavailable { .. }))));
    assert!(matches!(b.try_recv(), Ok(Err(Error::Unknown { .. }))));
    assert_eq!(table.pending.next_due(), None);
    let (mut c, _) = table.acquire("c");
    assert_eq!(table.pending.next_due(), Some(table.due()));
    table.pass(TIMEOUT);
    assert!(matches!(c.try_recv(), Ok(Err(Error::Unavailable { .. }))));
    assert_eq!(table.send(), "1-b");
}

#[test]
fn at_the_session_s_end_the_unsent_is_lost_and_the_sent_is_unknown() {
    let mut table = Table::new();
    let (mut a, _) = table.acquire("a");
    let (mut b, _) = table.acquire("b");
    table.send();
    table.wait(2);
    let mut c = table.release("c");
    let lost = Error::SessionLost { reason: "why".into() };
    table.pending.fail_all(&lost);
    assert!(matches!(a.try_recv(), Ok(Err(Error::Unknown { .. }))));
    assert!(matches!(b.try_recv(), Ok(Err(Error::Unknown { .. }))));
    assert_eq!(c.try_recv(), Ok(Err(lost)));
}

#[test]
fn closing_leaves_releases_alone() {
    let mut table = Table::new();
    let (mut a, _) = table.acquire("a");
    let mut b = table.release("b");
    table.send();
    let (mut c, _) = table.acquire("c");
    let mut d = table.release("d");
    let lost = Error::SessionLost { reason: "it was closed".into() };
    table.pending.abandon_grants(&lost);
    assert!(matches!(a.try_recv(), Ok(Err(Error::Unknown { .. }))));
    assert_eq!(c.try_recv(), Ok(Err(lost)));
    assert_eq!(table.send(), "3-d");
    table.done(2);
    table.done(3);
    assert_eq!(b.try_recv(), Ok(Ok(Answer::Done)));
    assert_eq!(d.try_recv(), Ok(Ok(Answer::Done)));
}

#[test]
fn numbers_do_not_run_too_far_ahead() {
    let mut table = Table::new();
    let receivers: Vec<_> = (0..WINDOW_MAX + 1).map(|_| table.release("a")).collect();
    while !table.send().is_empty() {}
    assert!(!table.pending.has_work());
    assert!(!table.pending.is_flushed());
    table.done(2);
    assert!(!table.pending.has_work());
    table.done(1);
    assert!(table.pending.has_work());
    assert_eq!(table.send(), format!("{}-a", receivers.len()));
}
