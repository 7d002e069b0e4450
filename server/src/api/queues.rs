//! `holdfast.v1.Queues`: queues one call at a time, and what can be seen of them.

use std::sync::Arc;

use holdfast_primitives::{Command, Outcome, Redriven, Revision, Section};
use holdfast_proto::status_of;
use holdfast_proto::v1::queues_client::QueuesClient;
use holdfast_proto::v1::queues_server::Queues as Wire;
use holdfast_proto::v1::{
    ChangeQueueRequest, ChangeQueueResponse, ClaimRequest, Claimed, CreateQueueRequest,
    CreateQueueResponse, DeleteQueueRequest, DeleteQueueResponse, EnqueueRequest, Enqueued,
    ExtendRequest, ExtendResponse, GetQueueRequest, GetQueueResponse, ListQueuesRequest,
    ListQueuesResponse, PeekQueueRequest, PeekQueueResponse, PurgeQueueRequest,
    RedriveQueueRequest, SettleRequest, SettleResponse, Swept,
};
use tonic::{Request, Response, Status};

use super::calls::{Calls, Numbers, at_leader, parsed, read_at_leader, unexpected, unexpected_by};
use super::locks::listed;
use super::queue_views::{delivery, enqueued, message_info, queue_info};
use super::{errors, parse};
use crate::limits::{PEEKED_BYTES_MAX, PEEKED_DEFAULT, PEEKED_MAX};
use crate::router::Router;
use crate::session::Sessions;

/// Serves queues.
pub(crate) struct QueuesService {
    calls: Calls,
}

#[tonic::async_trait]
impl Wire for QueuesService {
    async fn enqueue(
        &self,
        request: Request<EnqueueRequest>,
    ) -> Result<Response<Enqueued>, Status> {
        at_leader!(self.calls.router, QueuesClient, request, enqueue);
        let request = request.into_inner();
        let mut enqueue = request.enqueue.unwrap_or_default();
        if request.session_id == 0 || request.seq == 0 {
            // Without a number it could not be withdrawn, so it waits only if it says so, which is
            // refused below.
            enqueue.wait_ms.get_or_insert(0);
        }
        let may_wait = enqueue.wait_ms != Some(0);
        let command = parsed(parse::queues::enqueue(enqueue))?;
        let outcome = if request.session_id == 0 {
            if may_wait {
                return Err(errors::status(
                    holdfast_proto::ErrorCode::InvalidRequest,
                    "a call without a session cannot wait for room: set `wait_ms` to 0, or open a \
                     session",
                ));
            }
            let section = anonymous(command, request.guard)?;
            self.calls.router.propose_one(&section).await?
        } else {
            let owner = self.calls.owned(request.session_id, &request.secret).await?;
            let numbers = Numbers::of(owner, request.seq, request.confirmed, request.guard)?;
            self.calls.outcome(numbers, command, may_wait).await?
        };
        match outcome {
            Outcome::Enqueued { messages } => Ok(Response::new(enqueued(&messages))),
            outcome => Err(unexpected_by(request.seq, &outcome)),
        }
    }

    async fn claim(&self, request: Request<ClaimRequest>) -> Result<Response<Claimed>, Status> {
        at_leader!(self.calls.router, QueuesClient, request, claim);
        let request = request.into_inner();
        let claim = request.claim.unwrap_or_default();
        let command = parsed(parse::queues::claim(&claim))?;
        let owner = self.calls.owned(request.session_id, &request.secret).await?;
        let numbers = Numbers::of(owner, request.seq, request.confirmed, request.guard)?;
        match self.calls.outcome(numbers, command, claim.wait_ms != Some(0)).await? {
            Outcome::Delivered(messages) => {
                let messages = messages.into_iter().map(delivery).collect();
                Ok(Response::new(Claimed { messages }))
            }
            outcome => Err(unexpected_by(request.seq, &outcome)),
        }
    }

    async fn settle(
        &self,
        request: Request<SettleRequest>,
    ) -> Result<Response<SettleResponse>, Status> {
        at_leader!(self.calls.router, QueuesClient, request, settle);
        let request = request.into_inner();
        let command = parsed(parse::queues::settle(&request.settle.unwrap_or_default()))?;
        let owner = self.calls.owned(request.session_id, &request.secret).await?;
        let numbers = Numbers::of(owner, request.seq, request.confirmed, request.guard)?;
        self.calls.done(numbers, command).await?;
        Ok(Response::new(SettleResponse {}))
    }

    async fn extend(
        &self,
        request: Request<ExtendRequest>,
    ) -> Result<Response<ExtendResponse>, Status> {
        at_leader!(self.calls.router, QueuesClient, request, extend);
        let request = request.into_inner();
        let command = parsed(parse::queues::extend(&request.extend.unwrap_or_default()))?;
        let owner = self.calls.owned(request.session_id, &request.secret).await?;
        let numbers = Numbers::of(owner, request.seq, request.confirmed, request.guard)?;
        self.calls.done(numbers, command).await?;
        Ok(Response::new(ExtendResponse {}))
    }

    async fn create(
        &self,
        request: Request<CreateQueueRequest>,
    ) -> Result<Response<CreateQueueResponse>, Status> {
        at_leader!(self.calls.router, QueuesClient, request, create);
        let request = request.into_inner();
        let queue = parsed(parse::name(&request.queue))?;
        let settings = parsed(parse::queues::settings(&request.settings.unwrap_or_default()))?;
        self.calls.administer(Command::CreateQueue { queue, settings }).await?;
        Ok(Response::new(CreateQueueResponse {}))
    }

    async fn change(
        &self,
        request: Request<ChangeQueueRequest>,
    ) -> Result<Response<ChangeQueueResponse>, Status> {
        at_leader!(self.calls.router, QueuesClient, request, change);
        let request = request.into_inner();
        let queue = parsed(parse::name(&request.queue))?;
        let change = parsed(parse::queues::settings(&request.settings.unwrap_or_default()))?;
        self.calls.administer(Command::ChangeQueue { queue, change }).await?;
        Ok(Response::new(ChangeQueueResponse {}))
    }

    async fn delete(
        &self,
        request: Request<DeleteQueueRequest>,
    ) -> Result<Response<DeleteQueueResponse>, Status> {
        at_leader!(self.calls.router, QueuesClient, request, delete);
        let request = request.into_inner();
        self.calls.administer(parsed(parse::queues::delete(&request))?).await?;
        tracing::warn!(queue = request.queue, force = request.force, "a queue was deleted");
        Ok(Response::new(DeleteQueueResponse {}))
    }

    async fn purge(&self, request: Request<PurgeQueueRequest>) -> Result<Response<Swept>, Status> {
        at_leader!(self.calls.router, QueuesClient, request, purge);
        let request = request.into_inner();
        let swept = self.swept(parsed(parse::queues::purge(&request))?).await?;
        tracing::warn!(queue = request.queue, messages = swept.count, "a queue was purged");
        Ok(Response::new(swept))
    }

    async fn redrive(
        &self,
        request: Request<RedriveQueueRequest>,
    ) -> Result<Response<Swept>, Status> {
        at_leader!(self.calls.router, QueuesClient, request, redrive);
        let command = parsed(parse::queues::redrive(request.into_inner()))?;
        Ok(Response::new(self.swept(command).await?))
    }

    async fn list(
        &self,
        request: Request<ListQueuesRequest>,
    ) -> Result<Response<ListQueuesResponse>, Status> {
        let read = read_at_leader!(self.calls.router, QueuesClient, request, list);
        let ListQueuesRequest { prefix, limit } = request.into_inner();
        let view = self.calls.router.view(read).await?;
        let (queues, truncated) = view.queues(&prefix, listed(limit));
        Ok(Response::new(ListQueuesResponse {
            queues: queues.into_iter().map(|queue| queue_info(&view, queue)).collect(),
            revision: view.revision().get(),
            truncated,
        }))
    }

    async fn get(
        &self,
        request: Request<GetQueueRequest>,
    ) -> Result<Response<GetQueueResponse>, Status> {
        let read = read_at_leader!(self.calls.router, QueuesClient, request, get);
        let name = parsed(parse::name(&request.into_inner().queue))?;
        let view = self.calls.router.view(read).await?;
        Ok(Response::new(GetQueueResponse {
            queue: view.queue(&name).map(|queue| queue_info(&view, queue)),
            revision: view.revision().get(),
        }))
    }

    async fn peek(
        &self,
        request: Request<PeekQueueRequest>,
    ) -> Result<Response<PeekQueueResponse>, Status> {
        let read = read_at_leader!(self.calls.router, QueuesClient, request, peek);
        let request = request.into_inner();
        let queue = parsed(parse::name(&request.queue))?;
        let place = parsed(parse::queues::place(request.place))?;
        let limit = match request.limit {
            0 => PEEKED_DEFAULT,
            asked => asked.min(PEEKED_MAX),
        };
        let view = self.calls.router.view(read).await?;
        let seen = view.peek(&queue, Revision::new(request.after), limit as usize, place);
        let Some(seen) = seen else {
            let rejection = holdfast_primitives::Rejection::NoSuchQueue { queue };
            return Err(status_of(&errors::rejection(&rejection)));
        };
        let (mut messages, mut bytes) = (Vec::new(), 0);
        for message in seen {
            bytes += message.body.len();
            if bytes > PEEKED_BYTES_MAX && !messages.is_empty() {
                break;
            }
            messages.push(message_info(&view, message));
        }
        Ok(Response::new(PeekQueueResponse { messages, revision: view.revision().get() }))
    }
}

impl QueuesService {
    /// A service that writes and reads through `router`.
    pub(crate) fn new(router: Router, sessions: Arc<Sessions>) -> Self {
        Self { calls: Calls::new(router, sessions) }
    }

    async fn swept(&self, command: Command) -> Result<Swept, Status> {
        match self.calls.router.propose_one(&Section::anonymous(command)).await? {
            Outcome::Swept { count, more } => Ok(Swept { count, more, ..Swept::default() }),
            Outcome::Redriven(redriven) => {
                let Redriven { count, more, last, left, because } = *redriven;
                let because = because.as_ref().map(errors::rejection);
                Ok(Swept { count, more, left, because, last: last.get() })
            }
            outcome => Err(unexpected(&outcome)),
        }
    }
}

fn anonymous(
    command: Command,
    guard: Option<holdfast_proto::v1::Guard>,
) -> Result<Section, Status> {
    let mut section = Section::anonymous(command);
    if let Some(guard) = guard {
        section.requests[0].guard = Some(parsed(parse::guard(&guard))?);
    }
    Ok(section)
}
