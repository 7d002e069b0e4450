//! What all unary calls of a session have in common: whose they are, their numbers, their outcomes.

use std::sync::Arc;

use holdfast_primitives::{
    Command, Guard, Outcome, Rejection, Request as Numbered, Section, Seq, SessionId,
};
use holdfast_proto::v1 as wire;
use holdfast_proto::{ErrorCode, status_of};
use tonic::Status;

use super::waiting_call::WaitingCall;
use super::{errors, parse};
use crate::router::Router;
use crate::session::Sessions;

/// Sends the call to the leader and returns its answer, unless this node leads. What is left of the
/// function is carried out here.
macro_rules! at_leader {
    ($router:expr, $client:ident, $request:ident, $call:ident) => {
        at_leader!($router, $client, $request, $call, Write)
    };
    ($router:expr, $client:ident, $request:ident, $call:ident, $kind:ident) => {
        let search = $router.find_leader(crate::router::CallKind::$kind);
        while let Some((channel, request)) = search.elsewhere(&$request).await? {
            let mut leader = $client::new(channel).max_decoding_message_size(usize::MAX);
            if let Some(answer) = search.forward(leader.$call(request)).await {
                return answer;
            }
        }
    };
}
pub(super) use at_leader;

/// As `at_leader`, for a read: one that is content with the local state stays here. Says what kind
/// of read it is.
macro_rules! read_at_leader {
    ($router:expr, $client:ident, $request:ident, $call:ident) => {{
        let read = crate::router::Consistency::of(&$request);
        if read == crate::router::Consistency::Linearizable {
            at_leader!($router, $client, $request, $call, Read);
        }
        read
    }};
}
pub(super) use read_at_leader;

/// Carries such calls out at the leader.
pub(super) struct Calls {
    pub(super) router: Router,
    sessions: Arc<Sessions>,
}

/// All that a section says beside its command.
pub(super) struct Numbers {
    session: SessionId,
    seq: Seq,
    confirmed: Seq,
    guard: Option<Guard>,
}

impl Calls {
    /// Calls that write and read through `router`.
    pub(super) fn new(router: Router, sessions: Arc<Sessions>) -> Self {
        Self { router, sessions }
    }

    /// Makes sure that the session is the caller's. Found here, it is; not found, it may just not
    /// have been applied here yet.
    pub(super) async fn owned(&self, id: u64, secret: &[u8]) -> Result<SessionId, Status> {
        let session = SessionId::new(id);
        let hash = parse::secret(secret).map_err(|e| status_of(&e))?;
        let look = || self.router.machine.read().machine.owns(session, &hash);
        let mut found = look();
        if found.is_none() {
            self.router.barrier.wait().await.map_err(|why| errors::no_barrier(&why))?;
            found = look();
        }
        let rejection = match found {
            Some(true) => return Ok(session),
            Some(false) => Rejection::WrongSecret { session },
            None => Rejection::UnknownSession { session },
        };
        Err(status_of(&errors::rejection(&rejection)))
    }

    /// Carries out what has nothing to tell but that it was done.
    pub(super) async fn done(&self, numbers: Numbers, command: Command) -> Result<(), Status> {
        let seq = numbers.seq.get();
        match self.router.propose_one(&numbers.section(command)).await? {
            Outcome::Done => Ok(()),
            outcome => Err(unexpected_by(seq, &outcome)),
        }
    }

    /// Carries out what belongs to no session, and has nothing to tell but that it was done.
    pub(super) async fn administer(&self, command: Command) -> Result<(), Status> {
        match self.router.propose_one(&Section::anonymous(command)).await? {
            Outcome::Done => Ok(()),
            outcome => Err(unexpected(&outcome)),
        }
    }

    /// Asks for something, and waits for it where that was asked for.
    pub(super) async fn outcome(
        &self,
        numbers: Numbers,
        command: Command,
        waits: bool,
    ) -> Result<Outcome, Status> {
        if numbers.seq == Seq::NONE && waits {
            return Err(errors::status(
                ErrorCode::InvalidRequest,
                "a call that may wait needs a number (`seq`), so that it can be withdrawn; or set \
                 `wait_ms` to 0",
            ));
        }
        let (session, seq) = (numbers.session, numbers.seq);
        let section = numbers.section(command);
        let call = WaitingCall { proposer: &self.router.proposer, sessions: &self.sessions };
        call.outcome(session, seq, section).await
    }
}

impl Numbers {
    pub(super) fn of(
        session: SessionId,
        seq: u64,
        confirmed: u64,
        guard: Option<wire::Guard>,
    ) -> Result<Self, Status> {
        let guard = guard.map(|guard| parse::guard(&guard)).transpose();
        let guard = guard.map_err(|e| status_of(&e))?;
        Ok(Self { session, seq: Seq::new(seq), confirmed: Seq::new(confirmed), guard })
    }

    /// The request's own.
    pub(super) fn seq(&self) -> u64 {
        self.seq.get()
    }

    pub(super) fn section(self, command: Command) -> Section {
        let Self { session, seq, confirmed, guard } = self;
        Section { session, confirmed, requests: vec![Numbered { seq, guard, command }] }
    }
}

/// What was parsed, or the status that says what is wrong with it.
pub(super) fn parsed<T>(result: Result<T, wire::Error>) -> Result<T, Status> {
    result.map_err(|error| status_of(&error))
}

/// The status for an outcome that is not the wanted one: a rejection, as a rule.
pub(super) fn unexpected(outcome: &Outcome) -> Status {
    match outcome {
        Outcome::Rejected(rejection) => status_of(&errors::rejection(rejection)),
        other => {
            tracing::error!(?other, "an outcome makes no sense here");
            errors::status(ErrorCode::Internal, "the server answered out of turn")
        }
    }
}

/// The same for a request that may have a number: what is remembered under that may be the answer
/// to something else.
pub(super) fn unexpected_by(seq: u64, outcome: &Outcome) -> Status {
    match outcome {
        Outcome::Rejected(_) => unexpected(outcome),
        _ if seq == 0 => unexpected(outcome),
        _ => errors::status(
            ErrorCode::InvalidRequest,
            format!(
                "number {seq} of this session was another request, with an answer of another kind: \
                 give each request a number of its own"
            ),
        ),
    }
}
