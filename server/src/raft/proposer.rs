//! Turns what many clients ask for into few log entries.
//!
//! ```text
//! submissions -> drain what is there -> one batch -> openraft -> (quorum) -> Applier -> outcomes
//! ```
//!
//! How they are gathered says [`super::gatherer`]. Order: submissions of one caller take effect in
//! the order in which they were made, because one task makes all proposals.
//!
//! Invariant: every submission is answered exactly once, even if the engine stops, and with the
//! outcomes of its own commands, whoever else has gone meanwhile.

use std::sync::Arc;

use holdfast_primitives::{Outcome, Request, Section, Seq, SessionId, Token};
use openraft::error::ClientWriteError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::applier::SharedMachine;
use super::gatherer::{Gatherer, RaftLog};
use super::lease_clock::LeaseClock;
use super::types::{Peer, WriteResult};
use crate::metrics::Metrics;
use crate::session::{Outbox, Sessions};
use crate::vital::Vital;

/// Bounds on what is gathered and on what is under way.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Batches on their way to the quorum.
    pub in_flight: usize,
    /// Commands in one batch.
    pub commands: usize,
    /// Bytes in one batch.
    pub bytes: usize,
}

/// How many submissions may wait to be gathered before callers have to wait.
const SUBMISSIONS_WAITING_MAX: usize = 8_192;

/// How many bytes of large submissions may wait to be gathered.
const LARGE_BYTES_WAITING_MAX: u32 = 64 << 20;

/// Smaller submissions are bounded by their number.
const LARGE_BYTES: usize = 8 << 10;

/// How many commands of a frame go into one section.
const SECTION_COMMANDS_MAX: usize = 1_024;

/// Why there is no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoOutcome {
    /// This node does not lead; nothing was done. The leader, if it is known.
    NotLeader(Option<Peer>),
    /// Whether it was done cannot be said.
    Unknown,
}

/// Where the outcomes of a submission go.
pub enum ReplyTo {
    /// To a session's stream, by the clients' own numbers.
    Stream {
        /// The stream.
        outbox: Arc<Outbox>,
        /// One number for each command.
        seqs: Vec<u64>,
    },
    /// To a unary call for one command, whose notice is wanted too if it has to wait in line.
    Call {
        /// Whose command it is.
        session: SessionId,
        /// Its number, from [`Sessions::call_id`].
        id: u64,
        /// Takes the final outcome.
        last: oneshot::Sender<Result<Outcome, NoOutcome>>,
        /// Learns the ticket, if it has to wait in line.
        ticket: oneshot::Sender<Token>,
        /// Where calls wait for their notices.
        sessions: Arc<Sessions>,
    },
    /// To somebody who waits for exactly this.
    Caller(oneshot::Sender<Result<Vec<Outcome>, NoOutcome>>),
}

impl ReplyTo {
    /// `own` are the outcomes of this submission's commands, and of no others.
    fn outcomes(self, own: &mut impl Iterator<Item = Outcome>) {
        match self {
            Self::Stream { outbox, seqs } => outbox.replies(seqs.into_iter().zip(own)),
            Self::Call { session, id, last, ticket, sessions } => match own.next() {
                Some(Outcome::Waiting { ticket: number, .. }) => {
                    sessions.await_notice(session, number, id, last);
                    if ticket.send(number).is_err() {
                        sessions.forget_call(session, number, id);
                    }
                }
                Some(outcome) => {
                    last.send(Ok(outcome)).ok();
                }
                None => {
                    last.send(Err(NoOutcome::Unknown)).ok();
                }
            },
            Self::Caller(caller) => {
                caller.send(Ok(own.collect())).ok();
            }
        }
    }

    pub(super) fn no_outcome(self, why: &NoOutcome) {
        match self {
            Self::Stream { outbox, .. } => outbox.move_on(why),
            Self::Call { last, .. } => {
                last.send(Err(why.clone())).ok();
            }
            Self::Caller(caller) => {
                caller.send(Err(why.clone())).ok();
            }
        }
    }
}

/// A section on its way into a batch.
pub(super) struct Submission {
    /// Its bytes.
    pub(super) section: Vec<u8>,
    /// How many commands are in it.
    pub(super) commands: usize,
    /// Whether all of them will have to stand in line anyway.
    pub(super) has_time: bool,
    /// When it was handed in.
    pub(super) at: Instant,
    /// Where their outcomes go.
    pub(super) reply_to: ReplyTo,
    /// Its share of what may wait, if it is large.
    pub(super) _share: Option<OwnedSemaphorePermit>,
}

/// Accepts commands for the log. Cheap to clone.
#[derive(Clone)]
pub struct Proposer {
    submissions: mpsc::Sender<Submission>,
    large: Arc<Semaphore>,
    machine: SharedMachine,
}

impl Proposer {
    /// Starts the task that makes the proposals. It ends when the last clone is dropped.
    pub(super) fn start(
        vital: &Vital,
        log: RaftLog,
        machine: SharedMachine,
        clock: Arc<LeaseClock>,
        limits: Limits,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (submissions, waiting) = mpsc::channel(SUBMISSIONS_WAITING_MAX);
        let gatherer = Gatherer::new(log, machine.clone(), clock, limits, waiting, metrics);
        vital.spawn("the gatherer of requests", gatherer.run());
        let large = Arc::new(Semaphore::new(LARGE_BYTES_WAITING_MAX as usize));
        Self { submissions, large, machine }
    }

    /// Hands in a section. Waits while too much is waiting already.
    pub async fn submit(&self, section: &Section, reply_to: ReplyTo) {
        // The machine confirms with a request, so a section without any would confirm nothing.
        debug_assert!(!section.requests.is_empty(), "a section asks for something");
        let bytes_about = section.bytes_about();
        let share = self.share(bytes_about).await;
        let mut bytes = Vec::with_capacity(bytes_about);
        section.encode_into(&mut bytes);
        let commands = section.requests.len();
        let has_time = self.has_time(section);
        let at = Instant::now();
        let submission =
            Submission { section: bytes, commands, has_time, at, reply_to, _share: share };
        if let Err(refused) = self.submissions.send(submission).await {
            refused.0.reply_to.no_outcome(&NoOutcome::NotLeader(None));
        }
    }

    /// Hands in the requests of a stream's frame, each with its number. Many make several sections,
    /// since a section is never split, and a batch of any length would hold up everything else
    /// while it is applied.
    pub async fn submit_all(
        &self,
        session: SessionId,
        confirmed: Seq,
        (mut requests, mut seqs): (Vec<Request>, Vec<u64>),
        outbox: &Arc<Outbox>,
    ) {
        while !requests.is_empty() {
            let at = requests.len().min(SECTION_COMMANDS_MAX);
            let more = (requests.split_off(at), seqs.split_off(at));
            let section = Section { session, confirmed, requests };
            self.submit(&section, ReplyTo::Stream { outbox: outbox.clone(), seqs }).await;
            (requests, seqs) = more;
        }
    }

    /// Waits until there is room for a submission of so many bytes.
    async fn share(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        if bytes < LARGE_BYTES {
            return None;
        }
        let share = u32::try_from(bytes).unwrap_or(u32::MAX).min(LARGE_BYTES_WAITING_MAX);
        self.large.clone().acquire_many_owned(share).await.ok()
    }

    /// How many sections wait to be gathered.
    pub(crate) fn waiting(&self) -> usize {
        self.submissions.max_capacity() - self.submissions.capacity()
    }

    /// Whether everything in it will have to stand in line. It is not worth waiting to know that.
    fn has_time(&self, section: &Section) -> bool {
        let mut commands = section.requests.iter().map(|request| &request.command);
        let applied = self.machine.try_read();
        applied.is_some_and(|applied| commands.all(|command| applied.machine.will_wait(command)))
    }

    /// Hands in a section and waits for its outcomes.
    ///
    /// # Errors
    /// There is no outcome, or none that can be known.
    pub async fn propose(&self, section: &Section) -> Result<Vec<Outcome>, NoOutcome> {
        let (caller, answer) = oneshot::channel();
        self.submit(section, ReplyTo::Caller(caller)).await;
        answer.await.unwrap_or(Err(NoOutcome::Unknown))
    }
}

/// Those who wait for one batch. Dropped without a result, it tells them that it is not known.
pub(super) struct Replies(pub(super) Vec<(usize, ReplyTo)>);

impl Replies {
    pub(super) fn complete(mut self, result: WriteResult) {
        let waiting = std::mem::take(&mut self.0);
        match result {
            Ok(written) => {
                let mut outcomes = written.data.0.into_iter();
                for (commands, reply_to) in waiting {
                    let mut own = outcomes.by_ref().take(commands);
                    reply_to.outcomes(&mut own);
                    // A stream that has ended takes nothing. What it leaves is nobody else's.
                    own.for_each(drop);
                }
            }
            Err(ClientWriteError::ForwardToLeader(to)) => {
                let why = NoOutcome::NotLeader(to.leader_node);
                waiting.into_iter().for_each(|(_, reply_to)| reply_to.no_outcome(&why));
            }
            Err(
                ClientWriteError::LogEntryDiscarded(_)
                | ClientWriteError::ChangeMembershipError(_)
                | ClientWriteError::PreconditionFailed(_),
            ) => {
                let why = NoOutcome::Unknown;
                waiting.into_iter().for_each(|(_, reply_to)| reply_to.no_outcome(&why));
            }
        }
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        for (_, reply_to) in self.0.drain(..) {
            reply_to.no_outcome(&NoOutcome::Unknown);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use holdfast_primitives::{Command, Name, NewMessage};
    use holdfast_proto::v1::Attached;
    use openraft::raft::ClientWriteResponse;

    use super::*;
    use crate::api::replies;
    use crate::raft::types::{LeaderId, LogId, Outcomes};
    use crate::session::OutboxStream;

    #[test]
    fn who_has_gone_leaves_no_outcome_to_the_next() {
        let [gone, here] = [(); 2].map(|()| Arc::new(Outbox::default()));
        let to = |outbox: &Arc<Outbox>, seqs: Vec<u64>| {
            (seqs.len(), ReplyTo::Stream { outbox: outbox.clone(), seqs })
        };
        let (caller, answer) = oneshot::channel();
        let waiting = vec![to(&gone, vec![1, 2]), to(&here, vec![7]), (1, ReplyTo::Caller(caller))];
        here.attached(Attached::default());
        gone.close();
        let granted = |token| Outcome::Granted { token: Token::new(token) };
        Replies(waiting).complete(Ok(ClientWriteResponse {
            log_id: LogId::new(LeaderId { term: 1, node_id: 1 }, 1),
            data: Outcomes(vec![granted(10), Outcome::Done, granted(11), granted(12)]),
            membership: None,
        }));
        let frame = OutboxStream(here).next().now_or_never().flatten();
        let frame = frame.expect("a frame waits");
        assert_eq!(frame.replies, [replies::reply(7, granted(11))]);
        assert_eq!(answer.now_or_never(), Some(Ok(Ok(vec![granted(12)]))));
    }

    fn proposer() -> (Proposer, mpsc::Receiver<Submission>) {
        let (submissions, waiting) = mpsc::channel(SUBMISSIONS_WAITING_MAX);
        let large = Arc::new(Semaphore::new(LARGE_BYTES_WAITING_MAX as usize));
        (Proposer { submissions, large, machine: SharedMachine::default() }, waiting)
    }

    #[tokio::test]
    async fn many_requests_of_a_frame_make_several_sections() {
        let (proposer, mut waiting) = proposer();
        let many = 2 * SECTION_COMMANDS_MAX + 5;
        let seqs: Vec<u64> = (1..=many as u64).collect();
        let request = |seq: &u64| Request::new(Seq::new(*seq), Command::Tick);
        let requests = seqs.iter().map(request).collect();
        let outbox = Arc::new(Outbox::default());
        let (session, confirmed) = (SessionId::new(1), Seq::new(0));
        proposer.submit_all(session, confirmed, (requests, seqs), &outbox).await;
        let mut next = 1;
        for commands in [SECTION_COMMANDS_MAX, SECTION_COMMANDS_MAX, 5] {
            let submission = waiting.try_recv().expect("there is one more");
            assert_eq!(submission.commands, commands);
            let ReplyTo::Stream { seqs, .. } = submission.reply_to else { panic!("another") };
            assert!(seqs.iter().copied().eq(next..next + commands as u64));
            next += commands as u64;
        }
        assert!(waiting.try_recv().is_err());
        proposer.submit_all(session, confirmed, Default::default(), &outbox).await;
        assert!(waiting.try_recv().is_err(), "a section of nothing");
    }

    #[tokio::test]
    async fn large_submissions_wait_for_room_and_small_ones_do_not() {
        const MESSAGES: usize = 8;
        let (proposer, mut waiting) = proposer();
        let section = |bytes: usize| {
            let message = NewMessage::new(vec![7; bytes].into()).expect("a message");
            let messages = vec![message; MESSAGES];
            let queue = Name::parse("q").expect("a name");
            let command = Command::Enqueue { queue, messages, wait_ms: Some(0) };
            Section::anonymous(command)
        };
        let submit = |bytes| {
            let (caller, _) = oneshot::channel();
            let (proposer, section) = (proposer.clone(), section(bytes));
            async move { proposer.submit(&section, ReplyTo::Caller(caller)).await }
        };
        let (megabyte, mut fit) = (1 << 20, 0);
        let mut too_many = Box::pin(submit(megabyte));
        while (&mut too_many).now_or_never().is_some() {
            fit += 1;
            assert!(fit < 100, "whatever comes is taken");
            too_many = Box::pin(submit(megabyte));
        }
        assert_eq!(fit, LARGE_BYTES_WAITING_MAX as usize / (MESSAGES * megabyte) - 1);
        assert!(submit(10).now_or_never().is_some(), "small ones wait for large ones");
        drop(waiting.try_recv().expect("one was taken"));
        assert!(too_many.now_or_never().is_some(), "there is room again");
    }
}
