//! Reads of a stream that take no copy. They are no commands: they wait for one round of the
//! barrier, together, and look at the state.

use holdfast_primitives::{Command, Fill, LineName, Outcome, Request, Section, Seq, SessionId};
use holdfast_proto::ErrorCode;
use std::sync::Arc;

use super::errors;
use crate::raft::applier::SharedMachine;
use crate::raft::barrier::{Barrier, NoBarrier};
use crate::raft::proposer::{NoOutcome, Proposer, ReplyTo};
use crate::session::Outbox;

/// What reads of one frame need.
pub(super) struct Reads {
    pub(super) session: SessionId,
    pub(super) outbox: Arc<Outbox>,
    /// What their sender has had answers to. Who only reads has no other way to say it.
    pub(super) confirmed: Seq,
    /// By number.
    pub(super) lines: Vec<(u64, LineName)>,
}

impl Reads {
    /// Takes those out of the requests that are such reads. A guard makes a command of a read.
    pub(super) fn among(requests: &mut Vec<Request>, seqs: &mut Vec<u64>) -> Vec<(u64, LineName)> {
        let mut lines = Vec::new();
        let is_read = |request: &Request| {
            let reads = matches!(request.command, Command::FillLine { how: Fill::Read, .. });
            reads && request.guard.is_none()
        };
        if !requests.iter().any(is_read) {
            return lines;
        }
        for request in requests.extract_if(.., |request| is_read(request)) {
            if let Command::FillLine { line, .. } = request.command {
                lines.push((request.seq.get(), line));
            }
        }
        seqs.clear();
        seqs.extend(requests.iter().map(|request| request.seq.get()));
        lines
    }

    /// Answers them.
    pub(super) async fn answer(self, barrier: Barrier, machine: SharedMachine, into: Proposer) {
        let Self { session, outbox, confirmed, lines } = self;
        match barrier.wait().await {
            Ok(()) => {}
            Err(NoBarrier::NotLeader(leader)) => {
                return outbox.move_on(&NoOutcome::NotLeader(leader));
            }
            Err(NoBarrier::NoQuorum) => {
                let message = "this node leads but does not hear a quorum of the members";
                return outbox.goodbye(errors::error(ErrorCode::Unavailable, message));
            }
        }
        // Only its owner can say what is in a line that is owned, so it has to be asked.
        let mut owned = Vec::new();
        let mut answers = Vec::with_capacity(lines.len());
        {
            let applied = machine.read();
            for (seq, line) in lines {
                match applied.machine.visible(&line) {
                    Some(visible) => answers.push((seq, Outcome::Filled(Box::new(visible)))),
                    None => owned.push((seq, line)),
                }
            }
        }
        if !answers.is_empty() {
            outbox.replies(answers.into_iter());
        }
        if !owned.is_empty() {
            let seqs = owned.iter().map(|(seq, _)| *seq).collect();
            let requests = owned.into_iter().map(|(seq, line)| {
                let command = Command::FillLine { line, how: Fill::Read };
                Request { seq: Seq::new(seq), guard: None, command }
            });
            let requests = requests.collect();
            let section = Section { session, confirmed, requests };
            into.submit(&section, ReplyTo::Stream { outbox, seqs }).await;
        }
    }
}
