//! Proof that something is held.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::asking::InFlight;
use super::terms::whole_ms;
use super::{Grant, Hold, LockMode, Proof, Said, Wish};
use crate::Error;
use crate::client::Inner;
use crate::connection::Operation;

/// Proof that a lock, or several at once, is held, as long as the session lives.
///
/// To drop it releases in the background: without blocking, and also after the connection was down
/// for a while. [`LockGuard::unlock`] waits for the confirmation.
#[derive(Debug)]
#[must_use = "the lock is released when its guard is dropped"]
pub struct LockGuard {
    inner: Arc<Inner>,
    wish: Arc<Wish>,
    grant: Arc<Grant>,
    token: u64,
    hold: Hold,
    is_released: bool,
}

impl LockGuard {
    pub(super) fn new(
        inner: Arc<Inner>,
        wish: Arc<Wish>,
        grant: Arc<Grant>,
        token: u64,
        hold: Hold,
    ) -> Self {
        Self { inner, wish, grant, token, hold, is_released: false }
    }

    /// The fencing token of this grant, larger than that of every grant of the lock before. Send it
    /// along with what the lock protects, so that the other side can refuse whoever comes too late,
    /// as [`Fence`](crate::Fence) does.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// The lock's name; of several locks the first by name.
    pub fn name(&self) -> &str {
        &self.wish.name
    }

    /// The names of all locks that were granted together, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.wish.names().map(AsRef::as_ref)
    }

    /// In which mode the lock is held; of several locks, the first by name.
    pub fn mode(&self) -> LockMode {
        self.hold.mode
    }

    /// Resolves when the lock is not certain to be ours any more: the session is lost, closed, or
    /// could not be renewed in time, or an administrator took the lock away (of several locks: one
    /// of them). The future borrows nothing and outlives the guard.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let session = self.inner.state.lost();
        let grant = self.grant.clone().until(Said::Lost);
        async move {
            tokio::select! {
                biased;
                () = session => {}
                () = grant => {}
            }
        }
    }

    /// Until when the session certainly lives, as far as is known now, and the lock is ours unless
    /// it is taken away. Every renewal of the session moves it on.
    pub fn deadline(&self) -> Instant {
        self.inner.state.deadline()
    }

    /// Whether the lock is certainly ours at this moment, as far as the clock can tell, and nobody
    /// has said that it was taken away. News of that takes a way through the network; the token
    /// does not.
    pub fn is_held(&self) -> bool {
        !self.grant.is_said(Said::Lost) && self.inner.state.is_alive()
    }

    /// Resolves when somebody waits for the lock, or did at some time since it was granted. For
    /// holders that hold as long as nobody else is interested. The future borrows nothing; it does
    /// not resolve when the lock is released or lost.
    ///
    /// ```no_run
    /// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
    /// let guard = client.mutex("cache/warm").lock().await?;
    /// tokio::select! {
    ///     () = guard.contended() => println!("somebody else wants it"),
    ///     () = guard.lost() => println!("stop"),
    ///     () = keep_warm() => {}
    /// }
    /// guard.unlock().await?;
    /// # Ok(())
    /// # }
    /// # async fn keep_warm() {}
    /// ```
    pub fn contended(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.grant.clone().until(Said::Contended)
    }

    /// Whether [`LockGuard::contended`] has something to say.
    pub fn is_contended(&self) -> bool {
        self.grant.is_said(Said::Contended)
    }

    /// Resolves when an older activity needs the lock, by
    /// [`DeadlockPolicy::WoundWait`](crate::DeadlockPolicy::WoundWait): to wait for anything else
    /// under this guard is refused with `WOUNDED` until it is released. It is still held.
    pub fn wounded(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.grant.clone().until(Said::Wounded)
    }

    /// Whether [`LockGuard::wounded`] has something to say.
    pub fn is_wounded(&self) -> bool {
        self.grant.is_said(Said::Wounded)
    }

    /// Releases what is held and waits for the confirmation. To drop the future after its first
    /// poll does not take the release back.
    ///
    /// # Errors
    /// [`Error::Rejected`] with `NOT_HELD` when it was not ours any more (of several locks: one of
    /// them; the others are released); [`Error::Unknown`] when the answer did not come in time, in
    /// which case the release is still repeated in the background; [`Error::SessionLost`], which
    /// has released it already.
    pub async fn unlock(mut self) -> Result<(), Error> {
        self.is_released = true;
        let operation = self.releasing();
        self.inner.request(operation).await.map(|_| ())
    }

    /// From shared to exclusive. The caller keeps the guard whatever comes of it.
    pub(super) async fn upgrade(&mut self, wait: Option<Duration>) -> Result<(), Error> {
        self.grant.set_seq(0);
        let (inner, wish, grant) = (self.inner.clone(), self.wish.clone(), self.grant.clone());
        let operation = Operation::Upgrade {
            wish: wish.clone(),
            token: self.token,
            wait_ms: wait.map(whole_ms),
            grant: grant.clone(),
        };
        let mut request = InFlight::begin(inner, wish, grant, operation)?;
        self.token = request.token(wait).await?;
        self.hold = Hold::EXCLUSIVE;
        Ok(())
    }

    /// From exclusive to shared.
    pub(super) async fn downgrade(&mut self) -> Result<(), Error> {
        let operation = Operation::Downgrade { wish: self.wish.clone(), token: self.token };
        self.inner.request(operation).await?;
        self.hold = Hold::SHARED;
        Ok(())
    }

    pub(super) fn permits(&self) -> u32 {
        self.hold.permits
    }

    /// Names this grant, so that requests can be made on its behalf elsewhere: see
    /// [`Mutex::under`](crate::Mutex::under).
    pub fn proof(&self) -> Proof {
        Proof { name: self.wish.name.clone(), token: self.token }
    }

    fn releasing(&self) -> Operation {
        Operation::Release { wish: self.wish.clone(), token: self.token, only: None }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if !self.is_released {
            // When the session is over it has released the lock already.
            self.inner.tell(self.releasing());
        }
    }
}
