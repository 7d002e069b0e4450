//! What a client knows of its session, shared between its handles and its connection.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::caches::Registry;
use crate::clock::Clock;
use crate::fault::{Fault, Faults};
use crate::traffic::Received;

/// The session of a [`Client`](crate::Client). Everything the client holds belongs to it.
///
/// ```no_run
/// # async fn example(client: holdfast_client::Client) {
/// let session = client.session();
/// println!("session {} lives for {:?} without a renewal", session.id(), session.ttl());
/// session.lost().await;
/// println!("all locks are gone");
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    state: Arc<SessionState>,
}

impl Session {
    pub(crate) fn new(state: Arc<SessionState>) -> Self {
        Self { state }
    }

    /// The id that the cluster gave.
    pub fn id(&self) -> u64 {
        self.state.id
    }

    /// How long the session lives on the server without a renewal.
    pub fn ttl(&self) -> Duration {
        self.state.ttl
    }

    /// Resolves when the session is lost for certain, was closed, or could not be renewed in time.
    /// From then on nothing that belonged to it may be relied on. The future borrows nothing.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.state.lost()
    }

    /// Until when the session certainly lives, as far as is known now. Every renewal moves it on.
    pub fn deadline(&self) -> Instant {
        self.state.deadline()
    }

    /// Whether the session certainly lives at this moment. Reads the clock, so it is right even if
    /// this process has just woken up and [`Session::lost`] has not resolved yet.
    pub fn is_alive(&self) -> bool {
        self.state.is_alive()
    }
}

/// The shared truth. Only the connection's task writes it.
#[derive(Debug)]
pub(crate) struct SessionState {
    id: u64,
    ttl: Duration,
    clock: Clock,
    /// Reading of `clock` at which the lease is over, in nanoseconds.
    deadline_ns: AtomicU64,
    lost: CancellationToken,
    lost_reason: OnceLock<String>,
    received: Received,
    caches: Registry,
    /// Nobody may read from copies any more, whatever the clock says.
    is_over: AtomicBool,
    faults: Faults,
}

impl SessionState {
    pub(crate) fn new(id: u64, ttl: Duration, clock: Clock, deadline: Duration) -> Self {
        Self {
            id,
            ttl,
            clock,
            deadline_ns: AtomicU64::new(nanos(deadline)),
            lost: CancellationToken::new(),
            lost_reason: OnceLock::new(),
            received: Received::default(),
            caches: Registry::default(),
            is_over: AtomicBool::new(false),
            faults: Faults::default(),
        }
    }

    pub(crate) fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self.caches = Registry::new(faults);
        self
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) fn received(&self) -> &Received {
        &self.received
    }

    /// What this client has of caches.
    pub(crate) fn caches(&self) -> &Registry {
        &self.caches
    }

    pub(crate) fn has_fault(&self, fault: Fault) -> bool {
        self.faults.has(fault)
    }

    /// Whether copies of lines may be believed in at this moment. Reads the clock.
    #[inline]
    pub(crate) fn may_serve(&self) -> bool {
        let is_over = self.is_over.load(Ordering::Acquire);
        (!is_over && self.clock.now_ns() < self.deadline_ns.load(Ordering::Acquire))
            || self.faults.has(Fault::ServeAfterLease)
    }

    pub(crate) fn lost(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.lost.clone().cancelled_owned()
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.clock.instant_of(self.deadline_reading())
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.lost.is_cancelled() && !self.is_overdue()
    }

    /// Whether the lease is over by the clock.
    pub(crate) fn is_overdue(&self) -> bool {
        self.clock.now() >= self.deadline_reading()
    }

    /// A renewal took effect: the lease lasts until the clock shows `deadline`, or longer.
    pub(crate) fn extend(&self, deadline: Duration) {
        self.deadline_ns.fetch_max(nanos(deadline), Ordering::AcqRel);
    }

    /// The session is over. Everybody who waits for that hears of it; the first reason counts.
    pub(crate) fn end(&self, reason: &str) {
        // The reason goes first, so that whoever sees the end can say why.
        let _ = self.lost_reason.set(reason.to_owned());
        self.is_over.store(true, Ordering::Release);
        self.lost.cancel();
    }

    /// The error for requests that come after the end.
    pub(crate) fn lost_error(&self) -> Error {
        let reason = self.lost_reason.get().map_or("its connection has stopped", String::as_str);
        Error::SessionLost { reason: reason.to_owned() }
    }

    fn deadline_reading(&self) -> Duration {
        Duration::from_nanos(self.deadline_ns.load(Ordering::Acquire))
    }
}

fn nanos(reading: Duration) -> u64 {
    u64::try_from(reading.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LeaseClock;

    #[tokio::test(start_paused = true)]
    async fn a_session_is_alive_until_its_deadline_or_its_end() {
        let second = Duration::from_secs(1);
        let clock = Clock::start(LeaseClock::Tokio);
        let state = SessionState::new(7, 10 * second, clock, second);
        assert!(state.is_alive());
        tokio::time::advance(second).await;
        assert!(!state.is_alive());
        state.extend(3 * second);
        state.extend(2 * second);
        assert!(state.is_alive());
        assert_eq!(state.deadline() - Instant::now(), 2 * second);
        state.end("first");
        state.end("second");
        assert!(!state.is_alive());
        state.lost().await;
        assert_eq!(state.lost_error(), Error::SessionLost { reason: "first".into() });
    }
}
