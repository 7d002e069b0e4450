//! `/v1/queues`: what administrators ask of queues. Messages are in `messages.rs`.

use axum::extract::State;
use holdfast_primitives::{Name, Rejection};
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::queues_server::Queues as _;
use holdfast_proto::v1::{self as wire, QueueInfo};
use serde::Deserialize;
use tonic::Request;
use utoipa::{IntoParams, ToSchema};

use super::Rest;
use super::answer::{Answer, Answered};
use super::asked::{Asked, At, MaybeJson, Nothing};
use super::caller::Anybody;
use super::locks::Listed;
use super::problem::Problem;
use super::queue_shapes::{DeadReason, Queue, QueueList, QueueSettings, Redriven, Swept};
use super::sessions::Look;

/// Lists queues.
#[utoipa::path(get, path = "/queues", tag = "queues", operation_id = "list_queues",
    params(Listed),
    responses((status = 200, description = "They are listed.", body = QueueList)))]
pub(super) async fn list(State(rest): State<Rest>, Asked(asked): Asked<Listed>) -> Answered {
    let Listed { prefix, limit, consistency } = asked;
    let (request, seen) = rest.reading(wire::ListQueuesRequest { prefix, limit }, consistency);
    let listed = rest.services.queues.list(request).await?.into_inner();
    let body = QueueList {
        queues: listed.queues.into_iter().map(Queue::from).collect(),
        truncated: listed.truncated,
    };
    Ok(Answer::json(&body).revision(listed.revision).seen(seen))
}

/// Looks at a queue.
#[utoipa::path(get, path = "/queues/{queue}", tag = "queues", operation_id = "get_queue",
    params(("queue" = String, Path, description = "Its name."), Look),
    responses((status = 200, description = "It is there.", body = Queue)))]
pub(super) async fn get(
    State(rest): State<Rest>,
    At(queue): At<String>,
    Asked(Look { consistency }): Asked<Look>,
) -> Answered {
    let (request, seen) = rest.reading(wire::GetQueueRequest { queue: queue.clone() }, consistency);
    let found = rest.services.queues.get(request).await?.into_inner();
    let there: Result<QueueInfo, Problem> = found.queue.ok_or_else(|| no_such_queue(&queue));
    let there = there.map_err(|problem| problem.revision(found.revision))?;
    Ok(Answer::json(&Queue::from(there)).revision(found.revision).seen(seen))
}

fn no_such_queue(queue: &str) -> Problem {
    match Name::parse(queue) {
        Ok(queue) => {
            Problem::new(ErrorCode::NoSuchQueue, Rejection::NoSuchQueue { queue }.to_string())
        }
        Err(why) => Problem::new(ErrorCode::InvalidName, why.to_string()),
    }
}

/// Creates a queue. The same settings once more are as good.
#[utoipa::path(put, path = "/queues/{queue}", tag = "queues", operation_id = "create_queue",
    params(("queue" = String, Path, description = "Its name.")),
    request_body(content = Option<QueueSettings>, description = "May be left out."),
    responses((status = 204, description = "It is there.")))]
pub(super) async fn create(
    State(rest): State<Rest>,
    At(queue): At<String>,
    Asked(Nothing {}): Asked<Nothing>,
    _: Anybody,
    MaybeJson(settings): MaybeJson<QueueSettings>,
) -> Answered {
    let request = wire::CreateQueueRequest { queue, settings: Some(settings.into()) };
    rest.services.queues.create(Request::new(request)).await?;
    Ok(Answer::done())
}

/// Changes how a queue behaves. What is left out stays as it is.
#[utoipa::path(patch, path = "/queues/{queue}", tag = "queues", operation_id = "change_queue",
    params(("queue" = String, Path, description = "Its name.")),
    request_body(content = Option<QueueSettings>, description = "May be left out."),
    responses((status = 204, description = "It is changed.")))]
pub(super) async fn change(
    State(rest): State<Rest>,
    At(queue): At<String>,
    Asked(Nothing {}): Asked<Nothing>,
    _: Anybody,
    MaybeJson(settings): MaybeJson<QueueSettings>,
) -> Answered {
    let request = wire::ChangeQueueRequest { queue, settings: Some(settings.into()) };
    rest.services.queues.change(Request::new(request)).await?;
    Ok(Answer::done())
}

/// How a queue is deleted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteQueue {
    /// Even if there are messages in it.
    #[serde(default)]
    #[param(value_type = Option<bool>, nullable = false)]
    force: bool,
}

/// Deletes a queue.
#[utoipa::path(delete, path = "/queues/{queue}", tag = "queues", operation_id = "delete_queue",
    params(("queue" = String, Path, description = "Its name."), DeleteQueue),
    responses((status = 204, description = "It is gone.")))]
pub(super) async fn delete(
    State(rest): State<Rest>,
    At(queue): At<String>,
    Asked(DeleteQueue { force }): Asked<DeleteQueue>,
    _: Anybody,
) -> Answered {
    let request = wire::DeleteQueueRequest { queue, force };
    rest.services.queues.delete(Request::new(request)).await?;
    Ok(Answer::done())
}

/// How much is done at once.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AtMost {
    /// At most so many. Default, and most: 10,000.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false)]
    max: u32,
}

/// Removes messages that are not in flight, the oldest first.
#[utoipa::path(delete, path = "/queues/{queue}/messages", tag = "queues",
    operation_id = "purge_queue",
    params(("queue" = String, Path, description = "Its name."), AtMost),
    responses((status = 200, description = "How many were removed.", body = Swept)))]
pub(super) async fn purge(
    State(rest): State<Rest>,
    At(queue): At<String>,
    Asked(AtMost { max }): Asked<AtMost>,
    _: Anybody,
) -> Answered {
    let request = wire::PurgeQueueRequest { queue, max };
    let swept = rest.services.queues.purge(Request::new(request)).await?.into_inner();
    Ok(Answer::json(&Swept { count: swept.count, more: swept.more }))
}

/// Which dead letters get another chance.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Redrive {
    /// Where they go. Empty: to where they died.
    #[schema(max_length = 512)]
    to: String,
    /// Only these, by number; all if empty.
    #[schema(max_items = 10_000)]
    messages: Vec<u64>,
    /// Only those that are dead for this reason.
    reason: Option<DeadReason>,
    /// Only those of this group; all if empty.
    group: String,
    /// At most so many. Zero, and most: 10,000.
    max: u32,
    /// Only those with larger numbers: zero, then the `last` of the answer before. Without it the
    /// answer is an error if none is taken where it should go.
    after: Option<u64>,
}

/// Gives dead letters another chance.
///
/// The queue is one with parked messages, or one to which dead letters go.
#[utoipa::path(post, path = "/queues/{queue}/redrive", tag = "queues",
    operation_id = "redrive_queue",
    params(("queue" = String, Path, description = "Its name.")),
    request_body(content = Option<Redrive>, description = "May be left out."),
    responses((status = 200, description = "How many got one.", body = Redriven)))]
pub(super) async fn redrive(
    State(rest): State<Rest>,
    At(queue): At<String>,
    Asked(Nothing {}): Asked<Nothing>,
    _: Anybody,
    MaybeJson(redrive): MaybeJson<Redrive>,
) -> Answered {
    let Redrive { to, messages, reason, group, max, after } = redrive;
    let reason = reason.map_or(wire::DeadReason::Unspecified, wire::DeadReason::from).into();
    let request = wire::RedriveQueueRequest { queue, to, messages, reason, group, max, after };
    let swept = rest.services.queues.redrive(Request::new(request)).await?.into_inner();
    Ok(Answer::json(&Redriven::from(swept)))
}
