//! The leader's side: the connection that carries its log to one follower.
//!
//! The engine's replication task drives the connection: in one turn it takes what is to be sent,
//! writes it, and reads what is answered. A peer that owes an answer and stays silent is given up.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{Stream, StreamExt};
use holdfast_proto::peer::append_reply;
use holdfast_proto::{FrameConnection, peer};
use openraft::base::BoxStream;
use openraft::raft::StreamAppendError;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::APPEND;
use crate::raft::convert;
use crate::raft::network::{PeerLinks, Unreached, malformed, unreachable};
use crate::raft::riding::let_commits_ride;
use crate::raft::types::{AppendRequest, AppendResult, NodeId};

/// Pause after the first connection that was of no use.
const REST_MIN: Duration = Duration::from_millis(20);

/// Longest such pause.
const REST_MAX: Duration = Duration::from_millis(250);

type Frames = FrameConnection<peer::AppendRequest, peer::AppendReply>;

/// Sends requests to one peer, over a connection that is opened when it is first needed, and again
/// when it was of no more use.
pub(crate) struct Appending {
    target: NodeId,
    address: String,
    links: PeerLinks,
    wire: Option<Wire>,
    /// A heartbeat gives an attempt up sooner than a connection may take to be opened over a long
    /// way. The next one goes on with it.
    opening: Option<AbortOnDropHandle<Result<Frames, Status>>>,
    /// How long to wait after the last connection, unless it was of some use.
    rest: Duration,
    /// When the next one may be opened. It is a moment because the next attempt must not begin that
    /// rest anew.
    not_before: Instant,
}

impl Appending {
    /// Nothing is opened yet.
    pub(crate) fn new(target: NodeId, address: &str, links: PeerLinks) -> Self {
        Self {
            target,
            address: address.to_owned(),
            links,
            wire: None,
            opening: None,
            rest: Duration::ZERO,
            not_before: Instant::now(),
        }
    }

    /// Sends `requests`, and answers with what the peer says to each.
    pub(crate) async fn exchange(
        &mut self,
        requests: impl Stream<Item = AppendRequest> + Send + Unpin + 'static,
    ) -> Result<BoxStream<'_, Result<AppendResult, Unreached>>, Unreached> {
        let wire = match self.usable_wire().await {
            Some(wire) => wire,
            None => Wire::new(self.open().await?, self.links.timing.silence),
        };
        Ok(Box::pin(Exchange {
            begun_at: wire.sent(),
            wire: self.wire.insert(wire),
            requests: Some(let_commits_ride(requests).boxed()),
            links: &self.links,
            target: self.target,
        }))
    }

    /// The connection that is open, if it can be used again. It can also if a request was given up
    /// before its answer came: a peer whose disk is slow must not be dialled for every heartbeat.
    async fn usable_wire(&mut self) -> Option<Wire> {
        let mut wire = self.wire.take()?;
        if wire.was_of_use {
            (self.rest, self.not_before) = (Duration::ZERO, Instant::now());
        }
        // The peer may have closed it meanwhile.
        let is_open = poll_fn(|cx| {
            Poll::Ready(loop {
                match wire.frames.poll_frame(cx) {
                    Poll::Pending => break true,
                    Poll::Ready(Ok(Some(late))) => drop(wire.take(&late)),
                    Poll::Ready(_) => break false,
                }
            })
        });
        (is_open.await && !wire.is_spent).then_some(wire)
    }

    /// Opens a connection.
    async fn open(&mut self) -> Result<Frames, Unreached> {
        // The engine's own pause comes only when the transport asks for the first request, and an
        // attempt that finds nobody never does; heartbeats have none. Without this one it would
        // spin.
        tokio::time::sleep_until(self.not_before).await;
        let opening = self.opening.get_or_insert_with(|| {
            let opening = open(self.target, self.address.clone(), self.links.clone());
            AbortOnDropHandle::new(tokio::spawn(opening))
        });
        let opened = opening.await.unwrap_or_else(|e| Err(Status::internal(e.to_string())));
        self.opening = None;
        self.rest = (self.rest * 2).clamp(REST_MIN, REST_MAX);
        self.not_before = Instant::now() + self.rest;
        opened.map_err(|status| self.links.failed(self.target, &status))
    }
}

async fn open(target: NodeId, address: String, links: PeerLinks) -> Result<Frames, Status> {
    let dialling = tokio::time::timeout(links.timing.connect, links.dialer.open(&address));
    let connection = match dialling.await {
        Ok(Ok(connection)) => connection,
        Ok(Err(e)) => return Err(Status::unavailable(format!("{address}: {e}"))),
        Err(_) => return Err(Status::unavailable(format!("{address} takes no connection"))),
    };
    let headers = links.me.introduce((), target).into_parts().0.into_headers();
    let opening = Frames::open(connection, &address, &APPEND, headers);
    let silence = links.timing.silence;
    let opened = tokio::time::timeout(silence, opening).await;
    opened.unwrap_or_else(|_| {
        Err(Status::unavailable(format!("{address} did not answer within {silence:?}")))
    })
}

/// What matters of a request when its answer comes.
struct Asked {
    /// Of its leader.
    term: u64,
    sent_at: Instant,
    has_entries: bool,
}

/// A connection to a peer.
struct Wire {
    frames: Frames,
    /// The requests that have no answer yet.
    asked: VecDeque<Asked>,
    /// How many answers came.
    answered: u64,
    /// When to look whether the peer is silent.
    looks: Interval,
    /// How many requests and answers there were at the last look.
    seen: (u64, u64),
    /// Whether the peer has said anything that it could not say without having listened.
    was_of_use: bool,
    /// Whether no more answers come.
    is_spent: bool,
}

impl Wire {
    fn new(frames: Frames, silence: Duration) -> Self {
        let mut looks = tokio::time::interval_at(Instant::now() + silence, silence);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (asked, answered, seen) = (VecDeque::new(), 0, (0, 0));
        Self { frames, asked, answered, looks, seen, was_of_use: false, is_spent: false }
    }

    /// How many requests have no answer yet.
    fn owed(&self) -> u64 {
        self.asked.len() as u64
    }

    /// How many requests went out.
    fn sent(&self) -> u64 {
        self.answered + self.owed()
    }

    fn send(&mut self, request: AppendRequest) {
        self.asked.push_back(Asked {
            term: request.vote.leader_id.term,
            sent_at: Instant::now(),
            has_entries: !request.entries.is_empty(),
        });
        self.frames.send(&convert::append_out(request));
    }

    /// Takes an answer, and says to what: they come in the order of the requests.
    fn take(&mut self, reply: &peer::AppendReply) -> Option<Asked> {
        self.answered += 1;
        let is_refusal = !matches!(reply.result, Some(append_reply::Result::Matched(_)));
        // After a refusal the peer answers nothing that follows, and it never answers more than was
        // asked.
        let asked = self.asked.pop_front();
        self.is_spent |= is_refusal || asked.is_none();
        asked
    }

    /// Silence is only held against a peer that owes an answer, and did so at the last look.
    fn is_silent(&mut self) -> bool {
        let (sent, answered) = self.seen;
        self.seen = (self.sent(), self.answered);
        sent > self.answered && answered == self.answered
    }
}

/// Requests on their way out, and answers on their way in.
struct Exchange<'a> {
    wire: &'a mut Wire,
    /// How many requests went out before. Nobody waits for their answers any more.
    begun_at: u64,
    /// `None` when there are no more.
    requests: Option<BoxStream<'static, AppendRequest>>,
    links: &'a PeerLinks,
    target: NodeId,
}

impl Exchange<'_> {
    /// Takes what is to be sent, as far as there is room. Answers whether there may be more.
    fn take_requests(&mut self, cx: &mut Context<'_>) -> bool {
        while let Some(requests) = &mut self.requests {
            if !self.wire.frames.has_room() {
                return true;
            }
            match requests.poll_next_unpin(cx) {
                Poll::Ready(Some(request)) => {
                    self.wire.send(request);
                }
                Poll::Ready(None) => self.requests = None,
                Poll::Pending => return false,
            }
        }
        false
    }

    /// What the peer says, unless nobody waits for it any more.
    fn answer(&mut self, reply: peer::AppendReply) -> Option<Result<AppendResult, Unreached>> {
        let is_late = self.wire.answered < self.begun_at;
        self.links.room.heard(self.target, convert::disk_in(&reply));
        let asked = self.wire.take(&reply);
        if is_late {
            let target = self.target;
            let why = || unreachable(format!("node {target} has refused what was asked before"));
            return self.wire.is_spent.then(|| Err(why()));
        }
        let result = convert::append_result_in(reply).map_err(|e| malformed(&e));
        let term = asked.as_ref().map_or(0, |asked| asked.term);
        let result = result.and_then(|result| self.believed(result, term));
        if result.is_ok() && !self.wire.was_of_use {
            self.wire.was_of_use = true;
            self.links.reached.is(self.target);
        }
        if let (Ok(Ok(matched)), Some(Asked { sent_at, has_entries, .. })) = (&result, asked) {
            self.links.heeded.note(self.target, term, sent_at);
            let matched = matched.map_or(0, |matched| matched.index);
            if has_entries && self.links.overdue.is(matched) {
                let target = self.target;
                tracing::warn!(peer = target, matched, "too slow for the log: gets a snapshot");
                return Some(Err(unreachable(format!("node {target} is too slow for the log"))));
            }
        }
        Some(result)
    }

    /// The engine takes it for granted that a follower keeps what it has acknowledged.
    fn believed(&self, result: AppendResult, term: u64) -> Result<AppendResult, Unreached> {
        let (acknowledged, target) = (&self.links.acknowledged, self.target);
        match &result {
            Ok(Some(matched)) => acknowledged.note(target, term, matched.index),
            Err(StreamAppendError::Conflict(at))
                if acknowledged.is_lost(target, term, at.index) =>
            {
                return Err(unreachable(format!("node {target} has lost its log")));
            }
            Ok(None) | Err(_) => {}
        }
        Ok(result)
    }

    /// The peer has closed the connection.
    fn end(&mut self) -> Option<Result<AppendResult, Unreached>> {
        self.wire.is_spent = true;
        let target = self.target;
        let why = || unreachable(format!("node {target} closed a connection and owed answers"));
        (self.wire.owed() > 0).then(|| Err(why()))
    }

    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<AppendResult, Unreached>>> {
        loop {
            let has_more = self.take_requests(cx);
            match self.wire.frames.poll_frame(cx) {
                Poll::Ready(Ok(Some(reply))) => match self.answer(reply) {
                    Some(answer) => return Poll::Ready(Some(answer)),
                    None => continue,
                },
                Poll::Ready(Ok(None)) => return Poll::Ready(self.end()),
                Poll::Ready(Err(status)) => {
                    return Poll::Ready(Some(Err(self.links.failed(self.target, &status))));
                }
                Poll::Pending => {}
            }
            if self.requests.is_none() && self.wire.owed() == 0 {
                return Poll::Ready(None);
            }
            if has_more && self.wire.frames.has_room() {
                continue;
            }
            if self.wire.looks.poll_tick(cx).is_pending() {
                return Poll::Pending;
            }
            if self.wire.is_silent() {
                let (target, limit) = (self.target, self.links.timing.silence);
                let why = unreachable(format!("node {target} has been silent for {limit:?}"));
                return Poll::Ready(Some(Err(why)));
            }
        }
    }
}

impl Stream for Exchange<'_> {
    type Item = Result<AppendResult, Unreached>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.wire.is_spent {
            return Poll::Ready(None);
        }
        let answer = ready!(self.poll_answer(cx));
        self.wire.is_spent |= matches!(answer, Some(Err(_)));
        Poll::Ready(answer)
    }
}
