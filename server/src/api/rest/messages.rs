//! `/v1/queues/{queue}/messages` and what becomes of messages: enqueue, peek, claim, settle and
//! extend.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use holdfast_proto::v1::queues_server::Queues as _;
use holdfast_proto::v1::{self as wire, ClaimRequest, Enqueue, EnqueueRequest};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};
use serde::Deserialize;
use tonic::Request;
use utoipa::IntoParams;

use super::answer::{Answer, Answered, BYTES};
use super::asked::{Asked, At, Json, Nothing, Raw};
use super::caller::{Caller, Owner};
use super::locks::Wait;
use super::message_shapes::{
    Claimed, Delivery, Enqueued, ExtendDeliveries, MessagePlace, NewMessages, PeekedMessages,
    SeenMessage, SettleDeliveries,
};
use super::problem::Problem;
use super::span::{Span, wait_ms};
use super::{Consistency, Rest};

/// A header of a message, as `name=value`.
const MESSAGE_HEADER: HeaderName = HeaderName::from_static("holdfast-header");

/// What is written as in a path within a header of a message.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b',').add(b'=');

/// What is said of a message beside its body.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Said {
    /// Messages of one group are handled one after the other; groups in parallel.
    #[serde(default)]
    #[param(value_type = Option<String>, nullable = false, max_length = 512)]
    group: String,
    /// 0 to 9; the higher goes first.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false, maximum = 9)]
    priority: u32,
    /// How long it is withheld. Absent: as the queue is set.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[0-9]+(ms|s|m|h)$",
        example = "10m")]
    delay: Option<Span>,
    /// A second message with the same id, within the queue's window, is not added.
    #[serde(default)]
    #[param(value_type = Option<String>, nullable = false, max_length = 128)]
    dedup_id: String,
    /// How long to wait for room, up to `10m`, if the queue is full. Absent: not at all. A request
    /// that waits needs a session and an `Idempotency-Key`.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[0-9]+(ms|s|m|h)$",
        example = "30s")]
    wait: Option<Span>,
}

/// Adds a message. The body is the message's body, as it is.
///
/// Without a session, an `Idempotency-Key` is the message's dedup id.
#[utoipa::path(post, path = "/queues/{queue}/messages", tag = "queues",
    operation_id = "enqueue_message",
    params(("queue" = String, Path, description = "Its name."), Said, Caller,
        ("Holdfast-Header" = Option<String>, Header, description = "Headers of the message, as \
            `name=value`, several with commas between them or in several headers. `%`, `,`, `=` \
            and what is not printable ASCII are written as in a path.",
            example = "kind=image/png")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream",
        description = "The body of the message."),
    responses((status = 201, description = "It is in the queue.", body = Enqueued,
        headers(("Holdfast-Revision" = u64, description = "When: the number of the message.")))))]
pub(super) async fn enqueue(
    State(rest): State<Rest>,
    At(queue): At<String>,
    Asked(said): Asked<Said>,
    caller: Caller,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Answered {
    let dedup_id = match caller.key_without_session() {
        None => said.dedup_id,
        Some(key) if said.dedup_id.is_empty() || said.dedup_id == key => key.to_owned(),
        Some(key) => {
            return Err(Problem::invalid(format!(
                "without a session the Idempotency-Key is the dedup id of the message, and {key:?} \
                 is not {:?}: send one of them",
                said.dedup_id
            )));
        }
    };
    let message = wire::NewMessage {
        body,
        headers: message_headers(&headers)?,
        group: said.group,
        priority: said.priority,
        delay_ms: said.delay.map(|delay| delay.ms),
        dedup_id,
    };
    let seq = if caller.session().id == 0 { 0 } else { caller.seq()? };
    let enqueue = Enqueue { queue, messages: vec![message], wait_ms: None };
    rest.enqueued(caller, seq, enqueue, said.wait).await
}

/// Adds several messages: all of them, one after the other, or none.
#[utoipa::path(post, path = "/queues/{queue}/batches", tag = "queues",
    operation_id = "enqueue_batch",
    params(("queue" = String, Path, description = "Its name."), Wait, Caller),
    request_body = NewMessages,
    responses((status = 201, description = "They are in the queue.", body = Enqueued,
        headers(("Holdfast-Revision" = u64, description = "When: the number of the last.")))))]
pub(super) async fn enqueue_batch(
    State(rest): State<Rest>,
    At(queue): At<String>,
    Asked(Wait { wait }): Asked<Wait>,
    caller: Caller,
    Json(batch): Json<NewMessages>,
) -> Answered {
    if caller.key_without_session().is_some() {
        return Err(Problem::invalid(
            "without a session an Idempotency-Key stands for one message: give each message of the \
             batch its own dedup_id, or open a session (POST /v1/sessions)",
        ));
    }
    let seq = caller.seq()?;
    let messages = batch.read()?;
    rest.enqueued(caller, seq, Enqueue { queue, messages, wait_ms: None }, wait).await
}

impl Rest {
    async fn enqueued(
        &self,
        caller: Caller,
        seq: u64,
        enqueue: Enqueue,
        wait: Option<Span>,
    ) -> Answered {
        let wait_ms = wait_ms(wait)?;
        if wait_ms > 0 && seq == 0 {
            return Err(Problem::invalid(
                "a request that waits for room needs a session and a number within it, by which it \
                 can be withdrawn: send Holdfast-Session, Holdfast-Secret and an Idempotency-Key, \
                 or leave `wait` out",
            ));
        }
        let session = caller.session();
        let enqueued = self.services.queues.enqueue(Request::new(EnqueueRequest {
            session_id: session.id,
            secret: session.secret,
            seq,
            enqueue: Some(Enqueue { wait_ms: Some(wait_ms), ..enqueue }),
            confirmed: caller.confirmed,
            guard: caller.guard,
        }));
        let messages = enqueued.await?.into_inner().messages;
        let last = messages.last().copied().unwrap_or_default();
        Ok(Answer::json(&Enqueued { messages }).status(StatusCode::CREATED).revision(last))
    }
}

fn message_headers(headers: &HeaderMap) -> Result<Vec<wire::Header>, Problem> {
    let mut read = Vec::new();
    for value in headers.get_all(&MESSAGE_HEADER) {
        let parts = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        for part in parts.filter(|part| !part.is_empty()) {
            let header = message_header(part).ok_or_else(|| {
                Problem::invalid(format!(
                    "{:?} is no header of a message: write Holdfast-Header: name=value",
                    String::from_utf8_lossy(part)
                ))
            })?;
            read.push(header);
        }
    }
    Ok(read)
}

fn message_header(part: &[u8]) -> Option<wire::Header> {
    let equals = part.iter().position(|byte| *byte == b'=')?;
    let text = |raw| Some(percent_decode(raw).decode_utf8().ok()?.into_owned());
    Some(wire::Header { name: text(&part[..equals])?, value: text(&part[equals + 1..])? })
}

/// Which messages are shown.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Peek {
    /// Only those with a larger number.
    #[serde(default)]
    #[param(value_type = Option<u64>, nullable = false)]
    after: u64,
    /// At most so many. Default 10; at most 1,000; fewer if they are large.
    #[serde(default)]
    #[param(value_type = Option<u32>, nullable = false)]
    limit: u32,
    /// Only those in this place.
    #[param(inline, nullable = false)]
    place: Option<MessagePlace>,
    #[serde(default)]
    #[param(inline)]
    consistency: Consistency,
}

/// Looks at messages in order, without taking them.
#[utoipa::path(get, path = "/queues/{queue}/messages", tag = "queues",
    operation_id = "peek_messages",
    params(("queue" = String, Path, description = "Its name."), Peek),
    responses((status = 200, description = "They are shown.", body = PeekedMessages)))]
pub(super) async fn peek(
    State(rest): State<Rest>,
    At(queue): At<String>,
    Asked(Peek { after, limit, place, consistency }): Asked<Peek>,
) -> Answered {
    let place = place.map_or(wire::MessagePlace::Unspecified, Into::into).into();
    let (request, seen) =
        rest.reading(wire::PeekQueueRequest { queue, after, limit, place }, consistency);
    let peeked = rest.services.queues.peek(request).await?.into_inner();
    let messages = peeked.messages.into_iter().map(SeenMessage::from).collect();
    Ok(Answer::json(&PeekedMessages { messages }).revision(peeked.revision).seen(seen))
}

/// Which messages are claimed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Claim {
    /// How many at most. Default 1.
    #[param(nullable = false, minimum = 1, maximum = 1_000)]
    max: Option<u32>,
    /// How long to wait for the first, up to `10m`. Absent: not at all. A request that waits needs
    /// an `Idempotency-Key`.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[0-9]+(ms|s|m|h)$",
        example = "30s")]
    wait: Option<Span>,
    /// How long the deliveries last. Absent: as the queue is set.
    #[param(value_type = Option<String>, nullable = false, pattern = "^[0-9]+(ms|s|m|h)$",
        example = "5m")]
    visibility: Option<Span>,
}

/// Takes messages: as many as there are, or the first that comes.
///
/// They are in the session's hands until they are settled or their time is over. Who accepts
/// `application/octet-stream` and claims one message gets its body as it is, and the rest in
/// headers.
#[utoipa::path(post, path = "/queues/{queue}/claims", tag = "queues",
    operation_id = "claim_messages",
    params(("queue" = String, Path, description = "Its name."), Claim, Owner,
        ("Accept" = Option<String>, Header, description = "`application/octet-stream` for a raw \
            body.", example = "application/json")),
    responses((status = 200, description = "They are in the session's hands.",
        content((Claimed = "application/json"), (Vec<u8> = "application/octet-stream")),
        headers(
            ("Holdfast-Message" = Option<u64>, description = "With a raw body: its number."),
            ("Holdfast-Token" = Option<u64>, description = "With a raw body: of the delivery."),
            ("Holdfast-Deliveries" = Option<u32>, description = "With a raw body: how often."),
            ("Holdfast-Visible-Ms" = Option<u64>, description = "With a raw body: for how long."),
            ("Holdfast-Age-Ms" = Option<u64>, description = "With a raw body: since when."),
            ("Holdfast-Priority" = Option<u32>, description = "With a raw body."),
            ("Holdfast-Group" = Option<String>, description = "With a raw body, if in a group."),
            ("Holdfast-Header" = Option<String>, description = "With a raw body: each header."),
        ))))]
pub(super) async fn claim(
    State(rest): State<Rest>,
    At(queue): At<String>,
    Asked(asked): Asked<Claim>,
    owner: Owner,
    headers: HeaderMap,
) -> Answered {
    let max = asked.max.unwrap_or(1);
    let raw = accepts_bytes(&headers);
    if raw && max != 1 {
        return Err(Problem::invalid(format!(
            "`max` is {max}, and a raw body holds one message: accept application/json, or leave \
             `max` out"
        )));
    }
    if max == 0 {
        return Err(Problem::invalid("`max` is 0: claim 1 to 1000 messages"));
    }
    let wait_ms = wait_ms(asked.wait)?;
    owner.may_wait(wait_ms)?;
    let visibility_ms = asked.visibility.map(|span| span.ms);
    let claimed = rest.services.queues.claim(Request::new(ClaimRequest {
        session_id: owner.session.id,
        secret: owner.session.secret,
        seq: owner.seq,
        claim: Some(wire::Claim { queue, max, wait_ms: Some(wait_ms), visibility_ms }),
        confirmed: owner.confirmed,
        guard: owner.guard,
    }));
    let mut messages = claimed.await?.into_inner().messages;
    match messages.pop() {
        Some(message) if raw => Ok(raw_delivery(message)),
        last => {
            messages.extend(last);
            let messages = messages.into_iter().map(Delivery::from).collect();
            Ok(Answer::json(&Claimed { messages }))
        }
    }
}

fn accepts_bytes(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|list| list.split(','));
    kinds.any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == BYTES))
}

fn raw_delivery(message: wire::Delivery) -> Answer {
    let name = HeaderName::from_static;
    let escaped = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
    let mut answer = Answer::bytes(message.body)
        .header(name("holdfast-message"), message.message)
        .header(name("holdfast-token"), message.token)
        .header(name("holdfast-deliveries"), message.deliveries)
        .header(name("holdfast-visible-ms"), message.visible_ms)
        .header(name("holdfast-age-ms"), message.age_ms)
        .header(name("holdfast-priority"), message.priority);
    if !message.group.is_empty() {
        answer = answer.header(name("holdfast-group"), escaped(&message.group));
    }
    for header in &message.headers {
        let header = format!("{}={}", escaped(&header.name), escaped(&header.value));
        answer = answer.header(MESSAGE_HEADER, header);
    }
    answer
}

/// Ends deliveries: all of them, or none if one of them is not the session's.
#[utoipa::path(post, path = "/queues/{queue}/settle", tag = "queues",
    operation_id = "settle_messages",
    params(("queue" = String, Path, description = "Its name."), Owner),
    request_body = SettleDeliveries,
    responses((status = 204, description = "They are over.")))]
pub(super) async fn settle(
    State(rest): State<Rest>,
    At(queue): At<String>,
    Asked(Nothing {}): Asked<Nothing>,
    owner: Owner,
    Json(settle): Json<SettleDeliveries>,
) -> Answered {
    let settled = rest.services.queues.settle(Request::new(wire::SettleRequest {
        session_id: owner.session.id,
        secret: owner.session.secret,
        seq: owner.seq,
        settle: Some(settle.of(queue)),
        confirmed: owner.confirmed,
        guard: owner.guard,
    }));
    settled.await?;
    Ok(Answer::done())
}

/// Makes deliveries last longer: all of them, or none.
#[utoipa::path(post, path = "/queues/{queue}/extend", tag = "queues",
    operation_id = "extend_messages",
    params(("queue" = String, Path, description = "Its name."), Owner),
    request_body = ExtendDeliveries,
    responses((status = 204, description = "They last longer.")))]
pub(super) async fn extend(
    State(rest): State<Rest>,
    At(queue): At<String>,
    Asked(Nothing {}): Asked<Nothing>,
    owner: Owner,
    Json(extend): Json<ExtendDeliveries>,
) -> Answered {
    let extended = rest.services.queues.extend(Request::new(wire::ExtendRequest {
        session_id: owner.session.id,
        secret: owner.session.secret,
        seq: owner.seq,
        extend: Some(extend.of(queue)),
        confirmed: owner.confirmed,
        guard: owner.guard,
    }));
    extended.await?;
    Ok(Answer::done())
}
