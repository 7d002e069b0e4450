//! The task that owns a session's stream.
//!
//! It turns in a loop: look at the lease, fail what is overdue, send what can be sent, wait for
//! the next event. The lease comes first in every turn, so that nobody is told of a grant, or
//! fails a request, before those who hold locks know that they have lost them.
//!
//! The channel of asks is unbounded so that a guard can be dropped anywhere, yet it is bounded by
//! its callers: each waits for the answer to its request, and a release or withdrawal without a
//! caller follows a request that was waited for.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::future::OptionFuture;
use holdfast_proto::v1::{CacheRecall, ClientFrame, ServerFrame};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::transport::Channel;

use super::ending::{Closing, End};
use super::frames::{LINES_LET_GO_MAX, REQUESTS_PER_FRAME_MAX};
use super::heartbeat::Heartbeat;
use super::link::{Link, Parting};
use super::moving::LinkState;
use super::pending::{Effect, Pending};
use super::{Ask, CacheAsk, Operation};
use crate::builder::Settings;
use crate::caches::LineAnswer;
use crate::endpoints::Rotation;
use crate::lease::Lease;
use crate::session::SessionState;

/// Most asks that are taken in one go.
const ASKS_PER_TURN_MAX: usize = 4_096;

/// A timer may fire a little before the clock that it stands for shows the time.
const TIMER_SLACK: Duration = Duration::from_millis(1);

/// Owns the stream, the requests on their way, and the lease.
pub(crate) struct Actor {
    pub(super) settings: Arc<Settings>,
    pub(super) state: Arc<SessionState>,
    pub(super) secret: Bytes,
    pub(super) lease: Lease,
    pub(super) asks: mpsc::UnboundedReceiver<Ask>,
    pub(super) inbox: Vec<Ask>,
    pub(super) pending: Pending,
    pub(super) heartbeat: Heartbeat,
    pub(super) rotation: Rotation,
    pub(super) link: LinkState,
    /// For calls beside the stream.
    pub(super) channel: watch::Sender<Option<Channel>>,
    pub(super) closing: Option<Closing>,
    pub(super) handles_are_gone: bool,
    pub(super) timer: Pin<Box<Sleep>>,
    /// When the lease will be over, on the timer's clock.
    pub(super) lease_until: Instant,
}

enum Event {
    Timer,
    Frame(Result<Option<ServerFrame>, Status>),
    Attached(Result<Box<Link>, Parting>),
    Asks,
    HandlesGone,
    Room,
    /// The leader, through another node so far, can be reached itself.
    WayToLeader(String),
}

pub(super) type Turn = ControlFlow<End>;

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
            pending: Pending::new(state.clone()),
            heartbeat: Heartbeat::new(lease, now),
            rotation,
            link: LinkState::Up(Box::new(link)),
            channel,
            closing: None,
            handles_are_gone: false,
            timer: Box::pin(tokio::time::sleep_until(now)),
            lease_until: state.deadline(),
            state,
        };
        (actor, channels)
    }

    /// Runs until the session is over.
    pub(crate) async fn run(mut self) {
        let mut turn = self.on_first_frame();
        let mut now = Instant::now();
        loop {
            match turn {
                ControlFlow::Continue(()) => turn = self.turn(&mut now).await,
                ControlFlow::Break(end) => return self.finish(end),
            }
        }
    }

    /// `now` is when the last turn's event came, and then when this one's did.
    async fn turn(&mut self, now: &mut Instant) -> Turn {
        let due = *now + self.settings.request_timeout;
        self.pending.expire(*now, due);
        let has_room = self.flush(*now);
        self.arm(*now);
        let event = self.next_event(has_room).await;
        if matches!(event, Event::Asks) && self.pending.is_under_way() {
            // One round of the scheduler, so that whoever else is ready can ask too: this is what
            // makes batches. A request that is alone has nobody to wait for.
            tokio::task::yield_now().await;
        }
        *now = Instant::now();
        let now = *now;
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
            Event::HandlesGone => {
                self.handles_are_gone = true;
                self.close(None, now);
            }
            Event::Room => {}
            Event::WayToLeader(leader) => {
                self.rotation.reaches(&leader);
                self.part(Parting::to_leader(leader), now);
            }
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
        let is_open = !self.handles_are_gone;
        let asks = self.asks.recv_many(&mut self.inbox, ASKS_PER_TURN_MAX);
        let asked = |count| {
            if count == 0 { Event::HandlesGone } else { Event::Asks }
        };
        match &mut self.link {
            LinkState::Up(link) => {
                let Link { wire, way_to_leader, .. } = &mut **link;
                let way = OptionFuture::from(way_to_leader.as_mut());
                tokio::select! {
                    biased;
                    () = &mut self.timer => Event::Timer,
                    event = poll_fn(|cx| match wire.poll_frame(cx) {
                        Poll::Ready(frame) => Poll::Ready(Event::Frame(frame)),
                        Poll::Pending if !has_room && wire.has_room() => Poll::Ready(Event::Room),
                        Poll::Pending => Poll::Pending,
                    }) => event,
                    count = asks, if is_open => asked(count),
                    Some(leader) = way => Event::WayToLeader(leader),
                }
            }
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
        let owed_since = self.owed_since();
        let LinkState::Up(link) = &mut self.link else {
            return true;
        };
        loop {
            let end_is_due = self.pending.is_flushed()
                && self.closing.as_ref().is_some_and(|closing| !closing.is_said);
            let renewal_is_due = self.heartbeat.is_due(now, owed_since);
            if !self.pending.has_work() && !end_is_due && !renewal_is_due {
                return true;
            }
            if !link.wire.has_room() {
                return false;
            }
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
            if frame.renew != 0 || frame.end {
                frame.cache_use = self.state.caches().report();
            }
            // Requests that nobody waits for any more may leave nothing to send.
            if !frame.requests.is_empty() || frame.renew != 0 || frame.end {
                link.wire.send(&frame);
            }
        }
    }

    /// Sets the timer for whatever is due first. It may fire early, never late.
    fn arm(&mut self, now: Instant) {
        if self.lease_until <= now {
            self.lease_until = self.state.deadline().max(now + TIMER_SLACK);
        }
        let mut wake = self.lease_until;
        wake = self.pending.next_due().map_or(wake, |due| wake.min(due));
        wake = self.closing.as_ref().map_or(wake, |closing| wake.min(closing.by));
        if let LinkState::Up(_) = self.link {
            let wake_at = self.heartbeat.wake_at(now, self.owed_since());
            wake = wake.min(wake_at.max(now + TIMER_SLACK));
        }
        if wake < self.timer.deadline() || self.timer.is_elapsed() {
            self.timer.as_mut().reset(wake);
        }
    }

    /// Since when somebody waits for a reply, if somebody does.
    fn owed_since(&self) -> Option<Instant> {
        self.pending.next_due()?.checked_sub(self.settings.request_timeout)
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
                Ask::Request { reply: Some(reply), .. } if self.closing.is_some() => {
                    let _ = reply.send(Err(self.state.lost_error()));
                }
                Ask::Request { operation, reply } => self.pending.push(operation, reply, due),
                Ask::Withdraw { wish, grant } => self.pending.withdraw(&wish, &grant, due),
                Ask::EndQueueRequest { queue, number } => {
                    self.pending.end_queue_request(&queue, &number, due);
                }
                Ask::Leave { token } => self.pending.left(token),
                Ask::EndCacheRequest { cache, key, number } => {
                    self.pending.end_cache_request(&cache, &key, &number, due);
                }
                // To close gives back what was written.
                Ask::GiveBack { .. } if self.closing.is_some() => {}
                Ask::GiveBack { cache, lines } => self.pending.give_back(&cache, lines, due),
                Ask::Close { reply } => self.close(Some(reply), now),
            }
        }
        self.inbox = inbox;
    }

    pub(super) fn on_frame(&mut self, frame: ServerFrame, now: Instant) -> Turn {
        self.heartbeat.heard(now);
        self.state.received().count(&frame);
        if let Some(deadline) = self.heartbeat.renewed(frame.renewed) {
            self.extend(deadline);
        }
        if let Some(attached) = frame.attached {
            self.pending.attached(attached.tokens, &attached.consumers);
        }
        let mut again = None;
        for reply in frame.replies {
            match self.pending.on_reply(reply) {
                Effect::Settled => {}
                Effect::Again(parting) => again = Some(parting),
                Effect::SessionGone(message) => return ControlFlow::Break(self.gone(message)),
            }
        }
        self.pending.on_signals(&frame.signals);
        if !frame.pushes.is_empty() {
            let due = now + self.settings.request_timeout;
            self.pending.on_pushes(frame.pushes, now, due);
        }
        if !frame.recalls.is_empty() {
            self.on_recalls(&frame.recalls, now);
        }
        if frame.ended {
            return ControlFlow::Break(End::Closed);
        }
        match frame.goodbye.map(Parting::from_wire).or(again) {
            Some(parting) => self.on_parting(parting, now),
            None => ControlFlow::Continue(()),
        }
    }

    /// Lets copies go, and only then says so. After the replies of the same frame: a copy that is
    /// meant may have come with one of them.
    fn on_recalls(&mut self, recalls: &[CacheRecall], now: Instant) {
        let due = now + self.settings.request_timeout;
        let mut let_go: BTreeMap<&str, Vec<(Arc<str>, u64)>> = BTreeMap::new();
        for recall in recalls {
            let key: Arc<str> = recall.key.as_str().into();
            match self.state.caches().recall(recall) {
                LineAnswer::LetGo { up_to } => {
                    let_go.entry(&recall.cache).or_default().push((key, up_to));
                }
                LineAnswer::GiveBack(back) => {
                    let ask = CacheAsk::GiveBack { key, back };
                    let cache = recall.cache.as_str().into();
                    self.pending.push(Operation::of_cache(&cache, ask), None, due);
                }
            }
        }
        for (cache, lines) in let_go {
            let cache = cache.into();
            for lines in lines.chunks(LINES_LET_GO_MAX) {
                let ask = CacheAsk::LetGo { lines: lines.to_vec() };
                self.pending.push(Operation::of_cache(&cache, ask), None, due);
            }
        }
    }

    pub(super) fn on_parting(&mut self, parting: Parting, now: Instant) -> Turn {
        if parting.is_final() {
            return ControlFlow::Break(self.gone(parting.message));
        }
        self.part(parting, now);
        ControlFlow::Continue(())
    }

    pub(super) fn extend(&mut self, deadline: Duration) {
        self.state.extend(deadline);
        self.lease_until = self.state.deadline();
    }
}
