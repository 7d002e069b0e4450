//! A unary call that may stand in line. When its caller goes away, so does its place.

use std::sync::Arc;

use holdfast_primitives::{Command, Name, Outcome, Section, Seq, SessionId, Token};
use tokio::sync::oneshot;
use tonic::Status;

use super::errors;
use crate::raft::proposer::{NoOutcome, Proposer, ReplyTo};
use crate::session::Sessions;

/// What such a call needs.
pub(super) struct WaitingCall<'a> {
    pub(super) proposer: &'a Proposer,
    pub(super) sessions: &'a Arc<Sessions>,
}

impl WaitingCall<'_> {
    /// Proposes a section of one request and waits for its final outcome. To drop the future
    /// withdraws the request.
    pub(super) async fn outcome(
        &self,
        session: SessionId,
        seq: Seq,
        section: Section,
    ) -> Result<Outcome, Status> {
        let (last, outcome) = oneshot::channel();
        let (ticket, waits) = oneshot::channel();
        let id = self.sessions.call_id();
        let name = section.requests.first().and_then(|request| asked_for(&request.command));
        let mut place = InLine {
            proposer: self.proposer.clone(),
            sessions: self.sessions.clone(),
            waits,
            session,
            id,
            withdraw: name.cloned().map(|name| (seq, name)),
        };
        let sessions = self.sessions.clone();
        let reply_to = ReplyTo::Call { session, id, last, ticket, sessions };
        self.proposer.submit(&section, reply_to).await;
        let outcome = outcome.await.unwrap_or(Err(NoOutcome::Unknown));
        place.withdraw = None;
        outcome.map_err(|why| errors::no_outcome(&why))
    }
}

/// The lock by which a request that waits can be withdrawn.
fn asked_for(command: &Command) -> Option<&Name> {
    match command {
        Command::AcquireLock { wants, .. } => Some(&wants.first().name),
        Command::UpgradeLock { name, .. } => Some(name),
        _ => None,
    }
}

struct InLine {
    proposer: Proposer,
    sessions: Arc<Sessions>,
    waits: oneshot::Receiver<Token>,
    session: SessionId,
    id: u64,
    withdraw: Option<(Seq, Name)>,
}

impl Drop for InLine {
    fn drop(&mut self) {
        let Some((seq, name)) = self.withdraw.take() else { return };
        // Another call may have asked the same by the same number since: then the place is its.
        if let Ok(ticket) = self.waits.try_recv()
            && !self.sessions.forget_call(self.session, ticket, self.id)
        {
            return;
        }
        let (proposer, session) = (self.proposer.clone(), self.session);
        tokio::spawn(async move {
            let cancel = Command::CancelAcquire { name, seq };
            let section = Section::single(session, Seq::NONE, Seq::NONE, cancel);
            if proposer.propose(&section).await.is_err() {
                tracing::debug!(%session, "a wait was not withdrawn; it ends with its session");
            }
        });
    }
}
