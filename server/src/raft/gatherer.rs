//! Makes batches of submissions and hands them to the log.
//!
//! A lone request goes out at once. While others are on their way, a batch goes out when it is
//! worth its cost ([`Underway::is_worth`]) or when one of them has come home, so batches grow with
//! load.
//!
//! Only those have time who will have to stand in line anyway. They go out with whoever comes next,
//! who is mostly the one whose release lets the line move on, or after [`PATIENCE`]. For anybody
//! else there is no timer.
//!
//! Invariants:
//! - A batch is stamped for one leader, and the log takes it from that leader only: the lease clock
//!   says why.
//! - The requests of a stream go to one leader, so that none is carried out before an earlier one.
//! - Who was elected just now hands in nothing before a quorum has heeded it, since it would be
//!   refused.
//! - Nothing waits for what was under way as an earlier leader. That may come home late, when the
//!   next leader reaches this node. While this node is cut off, nothing is taken, and whoever waits
//!   is told that the outcome is not known.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use holdfast_primitives::{Batch, DiskState};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::applier::SharedMachine;
use super::lease_clock::LeaseClock;
use super::proposer::{Limits, NoOutcome, Replies, ReplyTo, Submission};
use super::types::{BatchBytes, LeaderId, OnComplete};
use crate::metrics::Metrics;

mod log;

use log::Log;
pub(super) use log::RaftLog;

/// How long those who will have to stand in line wait for company. Whoever stands before them must
/// be granted and give back first, and that takes them along.
const PATIENCE: Duration = Duration::from_millis(2);

/// Gathers what is submitted.
pub(super) struct Gatherer<L> {
    log: L,
    machine: SharedMachine,
    clock: Arc<LeaseClock>,
    limits: Limits,
    waiting: mpsc::Receiver<Submission>,
    /// As whom this node leads, if it does.
    leader: Option<LeaderId>,
    /// What is on its way from that leader.
    underway: Arc<Underway>,
    /// Who waits for what is on its way, whoever led then.
    waiting_out: VecDeque<Weak<Waiting>>,
    /// Taken from the channel, but the batch was full.
    held_over: Option<Submission>,
    metrics: Arc<Metrics>,
}

impl<L: Log> Gatherer<L> {
    pub(super) fn new(
        log: L,
        machine: SharedMachine,
        clock: Arc<LeaseClock>,
        limits: Limits,
        waiting: mpsc::Receiver<Submission>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (leader, underway) = (None, Arc::default());
        let (held_over, waiting_out) = (None, VecDeque::new());
        Self {
            log,
            machine,
            clock,
            limits,
            waiting,
            leader,
            underway,
            waiting_out,
            held_over,
            metrics,
        }
    }

    /// Runs until nobody can submit any more.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.next().await {
            // Once around the scheduler: whoever has something to submit does so now, and
            // connections that have become readable are read. It costs a lone request about a
            // microsecond, and makes batches where every client has a connection of its own.
            tokio::task::yield_now().await;
            let mut batch = Gathered::new(first);
            self.gather(&mut batch);
            self.follow();
            let mut patience = pin!(tokio::time::sleep(PATIENCE));
            while !self.underway.is_worth(&batch, self.limits) || !self.log.takes_writes() {
                tokio::select! {
                    biased;
                    () = &mut patience, if batch.has_time => batch.has_time = false,
                    () = self.underway.home.notified() => {}
                    () = self.log.changed() => {}
                    more = self.waiting.recv(), if self.held_over.is_none() => match more {
                        Some(more) => {
                            self.held_over = Some(more);
                            tokio::task::yield_now().await;
                        }
                        None => return,
                    },
                }
                self.gather(&mut batch);
                self.follow();
            }
            self.propose(batch).await;
        }
    }

    /// Another leader, even if it is this node again, begins with nothing under way.
    fn follow(&mut self) {
        let leader = self.log.leader();
        if self.leader != leader {
            self.leader = leader;
            self.underway = Arc::default();
        }
        if self.log.is_cut_off() {
            // Dropped, they say that the outcome is not known.
            let waiting = self.waiting_out.drain(..).filter_map(|waiting| waiting.upgrade());
            waiting.for_each(|waiting| drop(waiting.take()));
        }
    }

    async fn propose(&mut self, batch: Gathered) {
        if self.log.is_cut_off() {
            let why = NoOutcome::NotLeader(None);
            batch.submissions.into_iter().for_each(|s| s.reply_to.no_outcome(&why));
            return;
        }
        let applied = self.machine.read().machine.clock();
        let proposed_at = self.clock.read(self.leader, applied);
        let Some(batch) = batch.of_one_leader(self.leader) else { return };
        let sections = batch.submissions.iter().map(|s| s.section.as_slice());
        let room = self.log.room();
        let (count, disk) = (batch.submissions.len(), room.state());
        let mut bytes = Bytes::from(Batch::assemble(proposed_at, disk, count, sections));
        if disk != DiskState::Roomy {
            bytes = without_what_is_refused(&bytes);
        }
        room.take(bytes.len());
        let (metrics, oldest) = (self.metrics.clone(), batch.oldest);
        metrics.batch_commands.record(batch.commands as f64);
        metrics.batch_bytes.record(bytes.len() as f64);
        metrics.batches_in_flight.increment(1);
        let trip = Underway::depart(&self.underway, batch.commands);
        let trip = (trip, InFlight(metrics));
        let waiting = batch.submissions.into_iter().map(|s| (s.commands, s.reply_to));
        let waiting = Arc::new(Waiting(Mutex::new(Some(Replies(waiting.collect())))));
        self.note_waiting(&waiting);
        // Dropped without a call, it answers all the same: `Replies` sees to that.
        let done = OnComplete(Box::new(move |result| {
            trip.1.0.came_home(&result, oldest);
            drop(trip);
            if let Some(replies) = waiting.take() {
                replies.complete(result);
            }
        }));
        self.log.write(BatchBytes(bytes), self.leader, done).await;
    }

    /// Batches come home in the order in which they went out, so the front is soon swept.
    fn note_waiting(&mut self, waiting: &Arc<Waiting>) {
        while self.waiting_out.front().is_some_and(|first| first.strong_count() == 0) {
            self.waiting_out.pop_front();
        }
        self.waiting_out.push_back(Arc::downgrade(waiting));
    }

    async fn next(&mut self) -> Option<Submission> {
        if let Some(submission) = self.held_over.take() {
            return Some(submission);
        }
        loop {
            tokio::select! {
                biased;
                next = self.waiting.recv() => return next,
                () = self.log.changed() => self.follow(),
            }
        }
    }

    /// Adds what is waiting, up to the limits.
    fn gather(&mut self, batch: &mut Gathered) {
        loop {
            let next = match self.held_over.take() {
                Some(next) => next,
                None => match self.waiting.try_recv() {
                    Ok(next) => next,
                    Err(_) => return,
                },
            };
            if batch.commands + next.commands > self.limits.commands
                || batch.bytes + next.section.len() > self.limits.bytes
            {
                self.held_over = Some(next);
                batch.is_full = true;
                return;
            }
            batch.add(next);
        }
    }
}

/// A batch in the making.
struct Gathered {
    submissions: Vec<Submission>,
    commands: usize,
    bytes: usize,
    is_full: bool,
    /// When the first of them was handed in.
    oldest: Instant,
    /// Everybody in it will have to stand in line.
    has_time: bool,
}

impl Gathered {
    fn new(first: Submission) -> Self {
        let (commands, bytes) = (first.commands, first.section.len());
        let (has_time, oldest) = (first.has_time, first.at);
        Self { submissions: vec![first], commands, bytes, is_full: false, oldest, has_time }
    }

    /// Without what came by a stream whose earlier requests went to another leader. `None`: nothing
    /// is left.
    fn of_one_leader(mut self, leader: Option<LeaderId>) -> Option<Self> {
        let is_late = |submission: &mut Submission| match &submission.reply_to {
            ReplyTo::Stream { outbox, .. } => leader.is_none_or(|leader| !outbox.may_go_to(leader)),
            ReplyTo::Call { .. } | ReplyTo::Caller(_) => false,
        };
        for late in self.submissions.extract_if(.., is_late) {
            self.commands -= late.commands;
            late.reply_to.no_outcome(&NoOutcome::NotLeader(None));
        }
        (!self.submissions.is_empty()).then_some(self)
    }

    fn add(&mut self, next: Submission) {
        self.commands += next.commands;
        self.bytes += next.section.len();
        self.has_time &= next.has_time;
        self.submissions.push(next);
    }
}

/// On a full disk there is no hurry.
fn without_what_is_refused(batch: &Bytes) -> Bytes {
    let mut batch = Batch::decode(batch).expect("it was assembled just now");
    batch.empty_what_is_refused();
    batch.encode().into()
}

/// The batches that are on their way to the quorum from one leader.
#[derive(Default)]
struct Underway {
    batches: AtomicUsize,
    commands: AtomicUsize,
    /// One has come home.
    home: Notify,
}

impl Underway {
    /// A batch costs about as much as a hundred commands, so while many commands are under way, a
    /// few more wait for company until they are as many. Those who have time always do.
    fn is_worth(&self, batch: &Gathered, limits: Limits) -> bool {
        let batches = self.batches.load(Ordering::Acquire);
        let commands = self.commands.load(Ordering::Acquire);
        let is_big = batch.is_full || batch.commands >= commands;
        let has_time = batch.has_time && !batch.is_full;
        !has_time && (batches == 0 || (batches < limits.in_flight && is_big))
    }

    fn depart(underway: &Arc<Self>, commands: usize) -> Trip {
        underway.batches.fetch_add(1, Ordering::AcqRel);
        underway.commands.fetch_add(commands, Ordering::AcqRel);
        Trip { underway: underway.clone(), commands }
    }
}

/// Those who wait for one batch, until they are told something.
struct Waiting(Mutex<Option<Replies>>);

impl Waiting {
    fn take(&self) -> Option<Replies> {
        self.0.lock().expect("no holder of this lock panics").take()
    }
}

/// Counted as under way until it is dropped.
struct InFlight(Arc<Metrics>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.batches_in_flight.decrement(1);
    }
}

/// One batch under way. Dropped when its fate is known.
struct Trip {
    underway: Arc<Underway>,
    commands: usize,
}

impl Drop for Trip {
    fn drop(&mut self) {
        self.underway.batches.fetch_sub(1, Ordering::AcqRel);
        self.underway.commands.fetch_sub(self.commands, Ordering::AcqRel);
        self.underway.home.notify_one();
    }
}

#[cfg(test)]
mod tests;
