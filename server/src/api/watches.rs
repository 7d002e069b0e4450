//! `holdfast.v1.Watches`: what changes, from this node's own state. WebSocket has the same watches
//! in another form (`watch_socket.rs`).

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use holdfast_proto::v1::watch_frame::Frame;
use holdfast_proto::v1::watches_server::Watches as Wire;
use holdfast_proto::v1::{
    Error, WatchCompacted, WatchEvents, WatchFilter, WatchFrame, WatchProgress, WatchRequest,
    WatchState, WatchSubscribed,
};
use holdfast_proto::{ErrorCode, status_of};
use tonic::{Request, Response, Status};

use super::errors;
use crate::limits::{WATCH_EVENTS_WAITING_MAX, WATCH_FILTERS_MAX, WATCH_STATE_MAX};
use crate::raft::applier::SharedMachine;
use crate::raft::types::NodeId;
use crate::watch::{Begin, Filter, Filters, Hub, Position, Subscription, Told};

/// Serves watches.
pub(crate) struct WatchesService {
    node_id: NodeId,
    hub: Hub,
    machine: SharedMachine,
}

impl WatchesService {
    /// Watches at `hub`, of what is in `machine`.
    pub(crate) fn new(node_id: NodeId, hub: Hub, machine: SharedMachine) -> Self {
        Self { node_id, hub, machine }
    }

    /// Which node this is.
    pub(super) fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// Begins a watch.
    ///
    /// # Errors
    /// The request makes no sense, or the node shuts down.
    pub(super) fn begin(&self, request: WatchRequest) -> Result<Subscription, Error> {
        let (filters, begin) = parse(request)?;
        let watch = self.hub.subscribe(&self.machine, filters, begin);
        watch.ok_or_else(|| errors::shutting_down(None))
    }
}

fn parse(request: WatchRequest) -> Result<(Filters, Begin), Error> {
    let invalid = |why: String| errors::error(ErrorCode::InvalidRequest, why);
    let WatchRequest { filters, from_revision, from_index, initial_state } = request;
    if filters.len() > WATCH_FILTERS_MAX {
        return Err(invalid(format!(
            "a watch has {} filters, and may have {WATCH_FILTERS_MAX}: open another one",
            filters.len()
        )));
    }
    let parsed = |filter: WatchFilter| match filter.prefix.len() {
        0..=holdfast_primitives::limits::NAME_BYTES_MAX => Filter::parse(filter),
        long => Err(format!(
            "a prefix has {long} bytes, and no name has more than {}",
            holdfast_primitives::limits::NAME_BYTES_MAX
        )),
    };
    let filters = filters.into_iter().map(parsed).collect::<Result<_, _>>().map_err(invalid)?;
    let begin = match (from_revision, from_index, initial_state) {
        (0, 0, false) => Begin::Now,
        (0, 0, true) => Begin::State,
        (0, index, _) => {
            return Err(invalid(format!("from_index is {index} without a from_revision")));
        }
        (from, _, true) => {
            return Err(invalid(format!(
                "from_revision is {from}, and the state was asked for as well: a watch begins \
                 either in the past or with the state of now"
            )));
        }
        (revision, index, false) => Begin::At(Position { revision, index }),
    };
    Ok((Filters::new(filters), begin))
}

/// Why a watch is over.
pub(super) fn too_slow() -> Error {
    errors::error(
        ErrorCode::TooLarge,
        format!(
            "the watch was too slow: more than {WATCH_EVENTS_WAITING_MAX} events waited for it; \
             watch again from after the last event that came, or with narrower filters"
        ),
    )
}

/// Why a watch does not begin with the state.
pub(super) fn too_much_state() -> Error {
    errors::error(
        ErrorCode::TooLarge,
        format!(
            "the state has more than {WATCH_STATE_MAX} things that the filters let through: give \
             longer prefixes, or fewer kinds, or begin without the state"
        ),
    )
}

#[tonic::async_trait]
impl Wire for WatchesService {
    type WatchStream = BoxStream<'static, Result<WatchFrame, Status>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watch = self.begin(request.into_inner()).map_err(|e| status_of(&e))?;
        let node_id = self.node_id;
        let frames = stream::unfold(Some(watch), move |watch| async move {
            let mut watch = watch?;
            let (frame, is_last) = frame(node_id, watch.next().await);
            Some((frame, (!is_last).then_some(watch)))
        });
        Ok(Response::new(frames.boxed()))
    }
}

/// What is said on the wire, and whether it is the last word.
fn frame(node_id: NodeId, told: Told) -> (Result<WatchFrame, Status>, bool) {
    let frame = match told {
        Told::Subscribed(revision) => {
            Frame::Subscribed(WatchSubscribed { node_id, revision: revision.get() })
        }
        Told::Events(events) => {
            Frame::Events(WatchEvents { events: events.iter().cloned().collect() })
        }
        Told::Progress(revision) => Frame::Progress(WatchProgress { revision: revision.get() }),
        Told::Compacted(first_revision) => Frame::Compacted(WatchCompacted { first_revision }),
        Told::State(events) => Frame::State(WatchState { events, complete_at: 0 }),
        Told::StateComplete(revision) => {
            Frame::State(WatchState { events: Vec::new(), complete_at: revision.get() })
        }
        Told::Lagged => return (Ok(WatchFrame { frame: Some(Frame::Lagged(too_slow())) }), true),
        Told::TooLarge(_) => return (Err(status_of(&too_much_state())), true),
        Told::Closed => return (Err(status_of(&errors::shutting_down(None))), true),
    };
    (Ok(WatchFrame { frame: Some(frame) }), false)
}
