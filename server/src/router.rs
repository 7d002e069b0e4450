//! Where a request is carried out: here if this node leads, otherwise at the leader.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use holdfast_primitives::{Outcome, Section, View};
use holdfast_proto::{Dialer, ErrorCode};
use openraft::async_runtime::WatchReceiver;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::api::{Health, errors};
use crate::leaving::Leaving;
use crate::raft::applier::SharedMachine;
use crate::raft::barrier::Barrier;
use crate::raft::proposer::Proposer;
use crate::raft::types::{Peer, Raft};

/// Marks a call that a node has forwarded. It is not forwarded again, so that two nodes which take
/// each other for the leader do not play ball with it.
pub(crate) const FORWARDED: &str = "holdfast-forwarded";

/// How long a call waits for a leader to be known, and to be reached.
const LEADER_WITHIN: Duration = Duration::from_millis(1_500);

/// How long it waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Who leads, as far as this node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// This node.
    Here,
    /// Another one.
    There(Peer),
    /// Nobody, at the moment.
    Nowhere,
}

/// What a read is to see. Whoever reads in this process says so in the request's extensions, which
/// do not travel; whoever says nothing reads linearizably.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// All that was done before it began.
    #[default]
    Linearizable,
    /// What this node has applied, however old that is.
    Local,
}

impl Consistency {
    /// What this request asks for.
    pub fn of<T>(request: &Request<T>) -> Self {
        request.extensions().get().copied().unwrap_or_default()
    }
}

/// What a call may do at the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// It may change something, so it must not be sent again unless it certainly did not arrive.
    Write,
    /// It changes nothing, so it can be sent again.
    Read,
}

/// The ways into the log and the state. Cheap to clone.
#[derive(Clone)]
pub struct Router {
    /// Into the log.
    pub proposer: Proposer,
    /// Before the state is read.
    pub barrier: Barrier,
    /// The state.
    pub machine: SharedMachine,
    raft: Raft,
    health: Health,
    leaving: Leaving,
    dialer: Dialer,
    channels: Arc<DashMap<String, Channel>>,
}

impl Router {
    /// A router in front of `raft`.
    pub(crate) fn new(
        raft: Raft,
        proposer: Proposer,
        barrier: Barrier,
        machine: SharedMachine,
        (dialer, health, leaving): (Dialer, Health, Leaving),
    ) -> Self {
        let channels = Arc::default();
        Self { proposer, barrier, machine, raft, health, leaving, dialer, channels }
    }

    /// Who leads. Another one that has been silent for too long does not.
    pub fn leader(&self) -> Place {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        if metrics.state.is_leader() {
            return Place::Here;
        }
        if !self.health.hears_a_leader() {
            return Place::Nowhere;
        }
        let leader = metrics.current_leader.filter(|leader| *leader != metrics.id);
        leader
            .and_then(|id| metrics.membership_config.membership().get_node(&id).cloned())
            .map_or(Place::Nowhere, Place::There)
    }

    /// Begins to look for where a call is to be carried out.
    pub(crate) fn find_leader(&self, kind: CallKind) -> Search<'_> {
        Search { router: self, kind, until: Instant::now() + LEADER_WITHIN }
    }

    /// Resolves when this node does not take `leader` for the leader any more, or goes away itself.
    pub(crate) async fn leads_no_longer(&self, leader: &Peer) {
        let mut metrics = self.raft.server_metrics();
        let is_led = async {
            while matches!(self.leader(), Place::There(now) if now == *leader) {
                if metrics.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            () = is_led => {}
            () = self.leaving.begun() => {}
        }
    }

    /// How other nodes are called.
    pub(crate) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    fn channel(&self, address: &str) -> Result<Channel, Status> {
        if let Some(channel) = self.channels.get(address) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|e| {
            errors::status(ErrorCode::Internal, format!("the leader's address {address:?}: {e}"))
        })?;
        let channel = endpoint
            .connect_timeout(Duration::from_secs(1))
            .http2_keep_alive_interval(Duration::from_secs(2))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(false)
            .connect_with_connector_lazy(self.dialer.clone());
        self.channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    /// Waits until the state may be looked at by such a read.
    ///
    /// # Errors
    /// It is to be linearizable, and this node does not lead, or hears no quorum.
    pub async fn readable(&self, read: Consistency) -> Result<(), Status> {
        match read {
            Consistency::Linearizable => {
                self.barrier.wait().await.map_err(|why| errors::no_barrier(&why))
            }
            Consistency::Local => Ok(()),
        }
    }

    /// A copy of the state that stands still; to a linearizable read, as of a moment after the call
    /// came in.
    ///
    /// # Errors
    /// As [`Router::readable`].
    pub async fn view(&self, read: Consistency) -> Result<View, Status> {
        self.readable(read).await?;
        Ok(self.machine.read().machine.view())
    }

    /// Proposes a section of one command and waits for its outcome.
    ///
    /// # Errors
    /// There is none.
    pub async fn propose_one(&self, section: &Section) -> Result<Outcome, Status> {
        let outcomes = self.proposer.propose(section).await;
        let outcomes = outcomes.map_err(|why| errors::no_outcome(&why))?;
        outcomes.into_iter().next().ok_or_else(|| {
            errors::status(ErrorCode::Internal, "a command was applied without an outcome")
        })
    }
}

/// On the way to the leader with one call, whoever leads meanwhile.
pub(crate) struct Search<'a> {
    router: &'a Router,
    kind: CallKind,
    /// When to give up.
    until: Instant,
}

impl Search<'_> {
    /// `None`: carry the call out here. Otherwise the way to the leader, and the call to send.
    ///
    /// # Errors
    /// No leader is known, or the call has been forwarded already.
    pub(crate) async fn elsewhere<T: Clone>(
        &self,
        request: &Request<T>,
    ) -> Result<Option<(Channel, Request<T>)>, Status> {
        let leader = match self.leader_soon().await {
            Place::Here => return Ok(None),
            Place::There(leader) => leader,
            Place::Nowhere => return Err(holdfast_proto::status_of(&errors::not_leader(None))),
        };
        if request.metadata().contains_key(FORWARDED) {
            return Err(holdfast_proto::status_of(&errors::not_leader(Some(&leader))));
        }
        let mut forwarded = Request::new(request.get_ref().clone());
        forwarded.metadata_mut().insert(FORWARDED, tonic::metadata::MetadataValue::from(1));
        Ok(Some((self.router.channel(&leader.peer_addr)?, forwarded)))
    }

    async fn leader_soon(&self) -> Place {
        let mut metrics = self.router.raft.server_metrics();
        loop {
            let place = self.router.leader();
            if place != Place::Nowhere || Instant::now() >= self.until {
                return place;
            }
            // One that was silent may be heard again, which the engine does not tell.
            let change = tokio::time::timeout(LOOK_AGAIN, metrics.changed()).await;
            if let Ok(Err(_)) = change {
                return Place::Nowhere;
            }
        }
    }

    /// This node goes away while the call waits at the leader, which withdraws it.
    fn cut_short(&self) -> Status {
        match self.kind {
            CallKind::Read => holdfast_proto::status_of(&errors::shutting_down(None)),
            CallKind::Write => errors::status(
                ErrorCode::OutcomeUnknown,
                "this node is shutting down while the call waits at the leader: go on at another \
                 one, and send it again there if it has a number",
            ),
        }
    }

    /// Carries the call out at the leader. `None`: it was not carried out, by a node that did not
    /// lead or could not be reached, and there is time to try again. If the way there broke, the
    /// outcome of a write is not known.
    pub(crate) async fn forward<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Option<Result<tonic::Response<T>, Status>> {
        let answer = tokio::select! {
            biased;
            answer = call => answer,
            () = self.router.leaving.waits_end() => return Some(Err(self.cut_short())),
        };
        let Err(status) = answer else { return Some(answer) };
        let why = status.message();
        let (refusal, is_known_undone) = match holdfast_proto::error_of(&status) {
            Some(error) => {
                let is_known_undone = is_not_done(error.code());
                (status, is_known_undone)
            }
            None if self.kind == CallKind::Write && has_arrived(&status) => {
                let message = format!(
                    "the call was passed on to the leader and no answer came back: {why}; send it \
                     again if it has a number"
                );
                (errors::status(ErrorCode::OutcomeUnknown, message), false)
            }
            None => {
                let message = format!(
                    "the leader cannot be reached, so nothing was done: {why}; try again, here or \
                     at another node"
                );
                (errors::status(ErrorCode::Unavailable, message), true)
            }
        };
        if !is_known_undone || Instant::now() >= self.until {
            return Some(Err(refusal));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        None
    }
}

/// Whether a node says by this that it has done nothing because it does not lead, or not any more.
fn is_not_done(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NotLeader | ErrorCode::Unavailable)
}

/// Whether a call may have come to the other side before this happened.
fn has_arrived(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return false;
        }
        cause = error.source();
    }
    true
}
