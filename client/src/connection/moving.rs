//! How the task moves its stream from node to node.

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::actor::{Actor, Turn};
use super::link::{Hello, Link, Parting, attach};

/// The stream, or the attempt to have one.
pub(super) enum LinkState {
    Up(Box<Link>),
    Attaching { endpoint: String, attempt: BoxFuture<'static, Result<Box<Link>, Parting>> },
}

impl Actor {
    /// Whatever came along with the answer to the very first frame.
    pub(super) fn on_first_frame(&mut self) -> Turn {
        match &mut self.link {
            LinkState::Up(link) => {
                let first = std::mem::take(&mut link.first);
                self.on_frame(first, Instant::now())
            }
            LinkState::Attaching { .. } => Turn::Continue(()),
        }
    }

    /// Leaves the node that the stream led to, and tries the next.
    pub(super) fn part(&mut self, parting: Parting, now: Instant) {
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
        match link.way_to_leader {
            None => self.rotation.lost(&link.endpoint, lived, parting.end()),
            Some(_) => self.rotation.lost_passed_on(&link.endpoint, lived, parting.end()),
        }
        self.channel.send_replace(None);
        self.attach_next();
    }

    pub(super) fn on_refused(&mut self, parting: Parting) -> Turn {
        if let LinkState::Attaching { endpoint, .. } = &self.link {
            tracing::debug!(
                endpoint,
                session = self.state.id(),
                "resuming failed: {}",
                parting.message
            );
        }
        if parting.is_final() {
            return Turn::Break(self.gone(parting.message));
        }
        self.rotation.failed(parting.end());
        self.attach_next();
        Turn::Continue(())
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
        let attempt = attach(dialer, to, hello, clock, timeout);
        let attempt = Box::pin(async move { attempt.await.map(Box::new) });
        self.link = LinkState::Attaching { endpoint, attempt };
    }

    pub(super) fn on_attached(&mut self, link: Box<Link>, now: Instant) -> Turn {
        let (endpoint, session) = (&link.endpoint, self.state.id());
        match link.way_to_leader {
            None => tracing::debug!(endpoint, session, "resumed"),
            Some(_) => tracing::info!(endpoint, session, "the leader is reached through this node"),
        }
        self.extend(link.hello_reading + self.lease.span());
        self.heartbeat.attached(now);
        self.pending.reconnected();
        if let Some(closing) = &mut self.closing {
            closing.is_said = false;
        }
        self.channel.send_replace(Some(link.channel.clone()));
        self.link = LinkState::Up(link);
        self.on_first_frame()
    }
}
