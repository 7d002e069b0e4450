//! The task that owns a session's stream.
//!
//! It turns in a loop: look at the lease, fail what is overdue, send what can be sent, wait for
//! the next event. The lease comes first in every turn, so that nobody is told of a grant, or
//! fails a request, before those who hold locks know that they have lost them.
//!
//! The channel of asks is unbounded so that a guard can be dropped anywhere, yet it is bounded by
//! its callers: each waits for the answer to its request, and a release or withdrawal without a
//! caller follows a request that was waited for.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use holdfast_proto::v1::{ClientFrame, ServerFrame};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::transport::Channel;

use super::Ask;
use super::frames::REQUESTS_PER_FRAME_MAX;
use super::heartbeat::Heartbeat;
use super::link::{Hello, Link, Parting, attach};
use super::pending::{Effect, Pending};
use crate::Error;
use crate::builder::Settings;
use crate::endpoints::Rotation;
use crate::lease::Lease;
use crate::session::SessionState;

/// Most asks that are taken in one go.
const ASKS_PER_TURN_MAX: usize = 4_096;

/// A timer may fire a little before the clock that it stands for shows the time.
const TIMER_SLACK: Duration = Duration::from_millis(1);

/// Owns the stream, the requests on their way, and the lease.
pub(crate) struct Actor {
    settings: Arc<Settings>,
    state: Arc<SessionState>,
    secret: Bytes,
    lease: Lease,
    asks: mpsc::UnboundedReceiver<Ask>,
    inbox: Vec<Ask>,
    pending: Pending,
    heartbeat: Heartbeat,
    rotation: Rotation,
    link: LinkState,
    /// For calls beside the stream.
    channel: watch::Sender<Option<Channel>>,
    closing: Option<Closing>,
    timer: Pin<Box<Sleep>>,
    /// When the lease will be over, on the timer's clock.
    lease_until: Instant,
}

enum LinkState {
    Up(Box<Link>),
    Attaching {
        endpoint: String,
        attempt: BoxFuture<'static, Result<Link, Parting>>,
    },
}

/// The session is to be ended: every handle is gone, or somebody asked for it.
struct Closing {
    replies: Vec<oneshot::Sender<Result<(), Error>>>,
    by: Instant,
    /// On the stream that is up now.
    is_said: bool,
}

enum Event {
    Timer,
    Frame(Result<Option<ServerFrame>, Status>),
    Attached(Result<Link, Parting>),
    Asks,
    HandlesGone,
    Room,
}

/// How a session came to its end.
enum End {
    /// The server confirmed that it was ended, as asked.
    Closed,
    Lost(String),
}

type Turn = ControlFlow<End>;

impl Actor {
    /// The task for a session that was just opened on `link`.
    pub(crate) fn new(
        settings: Arc<Settings>,
        state: Arc<SessionState>,
        secret: Bytes,
        asks: mpsc::UnboundedReceiver<Ask>,
        rotation: Rotation,
        link: Link,
    ) -> (Self, watch::Receiver<Option<Channel>>) {
        let now = Instant::now();
        let lease = Lease::new(link.ttl);
        let (channel, channels) = watch::channel(Some(link.channel.clone()));
        let actor = Self {
            settings,
            secret,
            lease,
            asks,
            inbox: Vec::new(),
            pending: Pending::new(),
            heartbeat: Heartbeat::new(lease, now),
            rotation,
            link: LinkState::Up(Box::new(link)),
            channel,
            closing: None,
            timer: Box::pin(tokio::time::sleep_until(now)),
            lease_until: state.deadline(),
            state,
        };
        (actor, channels)
    }

    /// Runs until the session is over.
    pub(crate) async fn run(mut self) {
        let end = loop {
            if let ControlFlow::Break(end) = self.turn().await {
                break end;
            }
        };
        self.finish(end);
    }

    async fn turn(&mut self) -> Turn {
        let now = Instant::now();
        self.check_lease(now)?;
        let due = now + self.settings.request_timeout;
        self.pending.expire(now, due);
        let has_room = self.flush(now);
        self.arm(now);
        let event = self.next_event(has_room).await;
        if let Event::Asks = event {
            // One round of the scheduler, so that whoever else is ready can ask too: this is what
            // makes batches, and costs a lone request about a microsecond.
            tokio::task::yield_now().await;
        }
        let now = Instant::now();
        self.check_lease(now)?;
        match event {
            Event::Timer => self.on_timer(now),
            Event::Frame(Ok(Some(frame))) => return self.on_frame(frame, now),
            Event::Frame(Ok(None)) => self.part(Parting::broken("the stream ended"), now),
            Event::Frame(Err(status)) => {
                return self.on_parting(Parting::from_status(&status), now);
            }
            Event::Attached(Ok(link)) => return self.on_attached(link, now),
            Event::Attached(Err(parting)) => return self.on_refused(parting),
            Event::Asks => self.on_asks(now),
            Event::HandlesGone => self.close(None, now),
            Event::Room => {}
        }
        ControlFlow::Continue(())
    }

    fn check_lease(&mut self, now: Instant) -> Turn {
        if self.state.is_overdue() {
            let message = "it could not be renewed in time".to_owned();
            return ControlFlow::Break(End::Lost(message));
        }
        match &self.closing {
            Some(closing) if closing.by <= now => {
                let message = "its end was not confirmed in time".to_owned();
                ControlFlow::Break(End::Lost(message))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    async fn next_event(&mut self, has_room: bool) -> Event {
        let is_open = self
            .closing
            .as_ref()
            .is_none_or(|closing| !closing.replies.is_empty());
        let asks = self.asks.recv_many(&mut self.inbox, ASKS_PER_TURN_MAX);
        let asked = |count| {
            if count == 0 {
                Event::HandlesGone
            } else {
                Event::Asks
            }
        };
        match &mut self.link {
            LinkState::Up(link) => tokio::select! {
                biased;
                () = &mut self.timer => Event::Timer,
                frame = link.inbound.message() => Event::Frame(frame),
                count = asks, if is_open => asked(count),
                _ = link.outbound.reserve(), if !has_room => Event::Room,
            },
            LinkState::Attaching { attempt, .. } => tokio::select! {
                biased;
                () = &mut self.timer => Event::Timer,
                result = attempt => Event::Attached(result),
                count = asks, if is_open => asked(count),
            },
        }
    }

    /// Sends what can be sent. Answers false when the transport has no room for what is left.
    fn flush(&mut self, now: Instant) -> bool {
        let LinkState::Up(link) = &mut self.link else {
            return true;
        };
        loop {
            let end_is_due = self
                .closing
                .as_ref()
                .is_some_and(|closing| !closing.is_said);
            let renewal_is_due = self.heartbeat.is_due(now);
            if !self.pending.has_work() && !end_is_due && !renewal_is_due {
                return true;
            }
            let permit = match link.outbound.try_reserve() {
                Ok(permit) => permit,
                Err(mpsc::error::TrySendError::Full(())) => return false,
                // The transport has let go of the stream; reading from it will say why.
                Err(mpsc::error::TrySendError::Closed(())) => return true,
            };
            let mut frame = ClientFrame {
                requests: self.pending.next_batch(REQUESTS_PER_FRAME_MAX),
                confirmed: self.pending.confirmed(),
                ..ClientFrame::default()
            };
            if renewal_is_due {
                frame.renew = self.heartbeat.send(now, self.state.clock().now());
            }
            if let Some(closing) = &mut self.closing
                && self.pending.is_flushed()
            {
                frame.end = true;
                closing.is_said = true;
            }
            permit.send(frame);
        }
    }

    /// Sets the timer for whatever is due first. It may fire early, never late.
    fn arm(&mut self, now: Instant) {
        if self.lease_until <= now {
            self.lease_until = self.state.deadline().max(now + TIMER_SLACK);
        }
        let mut wake = self.lease_until;
        wake = self.pending.next_due().map_or(wake, |due| wake.min(due));
        wake = self
            .closing
            .as_ref()
            .map_or(wake, |closing| wake.min(closing.by));
        if let LinkState::Up(_) = self.link {
            wake = wake.min(self.heartbeat.wake_at().max(now + TIMER_SLACK));
        }
        if wake < self.timer.deadline() || self.timer.is_elapsed() {
            self.timer.as_mut().reset(wake);
        }
    }

    fn on_timer(&mut self, now: Instant) {
        if matches!(self.link, LinkState::Up(_)) && self.heartbeat.is_silent(now) {
            self.part(Parting::broken("the server was silent for too long"), now);
        }
    }

    fn on_asks(&mut self, now: Instant) {
        while self.inbox.len() < ASKS_PER_TURN_MAX
            && let Ok(ask) = self.asks.try_recv()
        {
            self.inbox.push(ask);
        }
        let due = now + self.settings.request_timeout;
        let mut inbox = std::mem::take(&mut self.inbox);
        for ask in inbox.drain(..) {
            match ask {
                Ask::Request {
                    reply: Some(reply), ..
                } if self.closing.is_some() => {
                    let _ = reply.send(Err(self.state.lost_error()));
                }
                Ask::Request { operation, reply } => self.pending.push(operation, reply, due),
                Ask::Withdraw { name, seq } => self.pending.withdraw(name, &seq, due),
                Ask::Close { reply } => self.close(Some(reply), now),
            }
        }
        self.inbox = inbox;
    }

    /// Begins to end the session. Its holders hear of that first.
    fn close(&mut self, reply: Option<oneshot::Sender<Result<(), Error>>>, now: Instant) {
        self.state.end("it was closed");
        let by = now + self.settings.request_timeout;
        let closing = self.closing.get_or_insert(Closing {
            replies: Vec::new(),
            by,
            is_said: false,
        });
        closing.replies.extend(reply);
        self.pending.abandon_acquires(&self.state.lost_error());
    }

    fn on_frame(&mut self, frame: ServerFrame, now: Instant) -> Turn {
        self.heartbeat.heard(now);
        if let Some(deadline) = self.heartbeat.renewed(frame.renewed) {
            self.extend(deadline);
        }
        let due = now + self.settings.request_timeout;
        let mut again = None;
        for reply in frame.replies {
            match self.pending.on_reply(reply, due) {
                Effect::Settled => {}
                Effect::Again(parting) => again = Some(parting),
                Effect::SessionGone(message) => return ControlFlow::Break(self.gone(message)),
            }
        }
        if frame.ended {
            return ControlFlow::Break(End::Closed);
        }
        match frame.goodbye.map(Parting::from_wire).or(again) {
            Some(parting) => self.on_parting(parting, now),
            None => ControlFlow::Continue(()),
        }
    }

    fn on_parting(&mut self, parting: Parting, now: Instant) -> Turn {
        if parting.is_final() {
            return ControlFlow::Break(self.gone(parting.message));
        }
        self.part(parting, now);
        ControlFlow::Continue(())
    }

    /// What it means that the server knows the session no more.
    fn gone(&self, message: String) -> End {
        if self.closing.is_some() {
            End::Closed
        } else {
            End::Lost(message)
        }
    }

    /// Leaves the node that the stream led to, and tries the next.
    fn part(&mut self, parting: Parting, now: Instant) {
        let LinkState::Up(link) = &self.link else {
            return;
        };
        tracing::debug!(
            endpoint = link.endpoint,
            session = self.state.id(),
            "the stream is gone: {}",
            parting.message
        );
        let lived = now.saturating_duration_since(link.up_since);
        self.rotation.lost(&link.endpoint, lived, parting.leader);
        self.channel.send_replace(None);
        self.attach_next();
    }

    fn on_refused(&mut self, parting: Parting) -> Turn {
        if let LinkState::Attaching { endpoint, .. } = &self.link {
            tracing::debug!(
                endpoint,
                session = self.state.id(),
                "resuming failed: {}",
                parting.message
            );
        }
        if parting.is_final() {
            return ControlFlow::Break(self.gone(parting.message));
        }
        self.rotation.failed(parting.leader);
        self.attach_next();
        ControlFlow::Continue(())
    }

    fn attach_next(&mut self) {
        let to = self.rotation.next();
        let dialer = self.settings.dialer.clone();
        let clock = self.state.clock();
        let timeout = self.lease.silence_max();
        let hello = Hello::Resume {
            id: self.state.id(),
            secret: self.secret.clone(),
            confirmed: self.pending.confirmed(),
        };
        let endpoint = to.endpoint.clone();
        let attempt = Box::pin(async move {
            tokio::time::sleep(to.rest).await;
            attach(dialer, to.endpoint, hello, clock, timeout).await
        });
        self.link = LinkState::Attaching { endpoint, attempt };
    }

    fn on_attached(&mut self, mut link: Link, now: Instant) -> Turn {
        tracing::debug!(
            endpoint = link.endpoint,
            session = self.state.id(),
            "resumed"
        );
        self.extend(link.hello_reading + self.lease.span());
        self.heartbeat.attached(now);
        self.pending.reconnected();
        if let Some(closing) = &mut self.closing {
            closing.is_said = false;
        }
        self.channel.send_replace(Some(link.channel.clone()));
        let first = std::mem::take(&mut link.first);
        self.link = LinkState::Up(Box::new(link));
        self.on_frame(first, now)
    }

    fn extend(&mut self, deadline: Duration) {
        self.state.extend(deadline);
        self.lease_until = self.state.deadline();
    }

    /// The session is over: first everybody who relies on it hears of it, then all requests fail.
    fn finish(&mut self, end: End) {
        let closed = match &end {
            End::Closed => {
                self.state.end("it was closed");
                Ok(())
            }
            End::Lost(reason) => {
                self.state.end(reason);
                Err(Error::Unknown {
                    message: format!("the session was to be ended, but {reason}"),
                })
            }
        };
        self.channel.send_replace(None);
        self.asks.close();
        let lost = self.state.lost_error();
        self.pending.fail_all(&lost);
        let replies = self
            .closing
            .take()
            .map(|closing| closing.replies)
            .unwrap_or_default();
        for reply in replies {
            let _ = reply.send(closed.clone());
        }
        while let Ok(ask) = self.asks.try_recv() {
            self.inbox.push(ask);
        }
        for ask in self.inbox.drain(..) {
            match ask {
                Ask::Request {
                    reply: Some(reply), ..
                } => {
                    let _ = reply.send(Err(lost.clone()));
                }
                Ask::Close { reply } => {
                    let _ = reply.send(closed.clone());
                }
                Ask::Request { reply: None, .. } | Ask::Withdraw { .. } => {}
            }
        }
    }
}

/// Also when the runtime stops the task: nobody may go on believing in locks.
impl Drop for Actor {
    fn drop(&mut self) {
        self.state.end("its connection has stopped");
    }
}
