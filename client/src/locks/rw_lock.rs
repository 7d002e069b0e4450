//! Locks that many share or one has alone.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::terms::{reentrant_handle, terms_of_handle};
use super::{Asking, Hold, LockGuard, Terms, Wish};
use crate::Error;
use crate::client::Inner;

/// A lock that is held by many readers or by one writer. First come, first served: a writer that
/// waits lets no later reader pass, so it is never starved.
///
/// Cheap to clone; equal names mean the same lock, whatever the handle: to write is the same as to
/// lock a [`Mutex`](crate::Mutex) of that name.
///
/// ```no_run
/// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
/// let schema = client.rw_lock("tables/orders/schema");
/// let reading = schema.read().await?;
/// println!("with all other readers, by token {}", reading.token());
/// match reading.upgrade().await {
///     Ok(writing) => writing.unlock().await?,
///     // Another reader wants to write as well and waits for us: give way.
///     Err(refused) => refused.guard.unlock().await?,
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RwLock {
    asking: Asking,
}

impl RwLock {
    pub(crate) fn new(inner: Arc<Inner>, name: &str, terms: Terms) -> Self {
        Self { asking: Asking::new(inner, Wish::one(name, terms)) }
    }

    terms_of_handle!();
    reentrant_handle!();

    /// Waits in line until the lock is ours together with other readers. To drop the future leaves
    /// the line.
    ///
    /// # Errors
    /// As [`Mutex::lock`](crate::Mutex::lock).
    pub async fn read(&self) -> Result<ReadGuard, Error> {
        self.asking.wait(Hold::SHARED).await.map(ReadGuard)
    }

    /// Takes the lock for reading if nobody writes or waits, and answers `None` otherwise.
    ///
    /// # Errors
    /// As [`RwLock::read`].
    pub async fn try_read(&self) -> Result<Option<ReadGuard>, Error> {
        Ok(self.asking.no_wait(Hold::SHARED).await?.map(ReadGuard))
    }

    /// Waits in line to read for at most `timeout`, and answers `None` if that was not enough.
    ///
    /// # Errors
    /// As [`Mutex::lock_timeout`](crate::Mutex::lock_timeout).
    pub async fn read_timeout(&self, timeout: Duration) -> Result<Option<ReadGuard>, Error> {
        Ok(self.asking.wait_at_most(Hold::SHARED, timeout).await?.map(ReadGuard))
    }

    /// Waits in line until the lock is ours alone. To drop the future leaves the line.
    ///
    /// # Errors
    /// As [`Mutex::lock`](crate::Mutex::lock).
    pub async fn write(&self) -> Result<WriteGuard, Error> {
        self.asking.wait(Hold::EXCLUSIVE).await.map(WriteGuard)
    }

    /// Takes the lock for writing if it is free, and answers `None` if it is not.
    ///
    /// # Errors
    /// As [`RwLock::write`].
    pub async fn try_write(&self) -> Result<Option<WriteGuard>, Error> {
        Ok(self.asking.no_wait(Hold::EXCLUSIVE).await?.map(WriteGuard))
    }

    /// Waits in line to write for at most `timeout`, and answers `None` if that was not enough.
    ///
    /// # Errors
    /// As [`Mutex::lock_timeout`](crate::Mutex::lock_timeout).
    pub async fn write_timeout(&self, timeout: Duration) -> Result<Option<WriteGuard>, Error> {
        Ok(self.asking.wait_at_most(Hold::EXCLUSIVE, timeout).await?.map(WriteGuard))
    }
}

/// Proof that a lock is shared. Everything that a [`LockGuard`] can tell, it tells.
#[derive(Debug)]
#[must_use = "the lock is released when its guard is dropped"]
pub struct ReadGuard(LockGuard);

impl ReadGuard {
    /// Waits until all other readers have gone, without letting go, and before everybody who waits
    /// in line. The new guard has a token of its own. To drop the future gives the lock up: neither
    /// the old grant nor a new one is left behind.
    ///
    /// When two readers wait for each other like this, one is refused with `DEADLOCK` and must let
    /// go.
    ///
    /// # Errors
    /// The guard as it was, and why: [`Error::Rejected`], [`Error::Unavailable`] and
    /// [`Error::SessionLost`] as usual. After [`Error::Unknown`] the lock may have been upgraded,
    /// and is given up then: the guard that comes back counts as lost.
    pub async fn upgrade(self) -> Result<WriteGuard, UpgradeError> {
        self.upgrade_within(None).await
    }

    /// The same without waiting: `LOCK_HELD` if others read.
    ///
    /// # Errors
    /// As [`ReadGuard::upgrade`].
    pub async fn try_upgrade(self) -> Result<WriteGuard, UpgradeError> {
        self.upgrade_within(Some(Duration::ZERO)).await
    }

    /// The same for at most `timeout`: `WAIT_OVER` if others still read.
    ///
    /// # Errors
    /// As [`ReadGuard::upgrade`].
    pub async fn upgrade_timeout(self, timeout: Duration) -> Result<WriteGuard, UpgradeError> {
        self.upgrade_within(Some(timeout)).await
    }

    async fn upgrade_within(mut self, wait: Option<Duration>) -> Result<WriteGuard, UpgradeError> {
        match self.0.upgrade(wait).await {
            Ok(()) => Ok(WriteGuard(self.0)),
            Err(error) => Err(UpgradeError { guard: self, error }),
        }
    }

    /// As [`LockGuard::unlock`].
    ///
    /// # Errors
    /// As [`LockGuard::unlock`].
    pub async fn unlock(self) -> Result<(), Error> {
        self.0.unlock().await
    }
}

/// Proof that a lock is held for writing. Everything that a [`LockGuard`] can tell, it tells.
#[derive(Debug)]
#[must_use = "the lock is released when its guard is dropped"]
pub struct WriteGuard(LockGuard);

impl WriteGuard {
    /// From writing to reading, at once and by the same token, so that readers in line may join.
    ///
    /// # Errors
    /// [`Error::Rejected`] with `NOT_HELD` when the lock was not ours any more, or that the session
    /// is lost, or [`Error::Unknown`]. The lock is then given up: who may have only half of what a
    /// guard says is not left with the guard.
    pub async fn downgrade(mut self) -> Result<ReadGuard, Error> {
        self.0.downgrade().await?;
        Ok(ReadGuard(self.0))
    }

    /// As [`LockGuard::unlock`].
    ///
    /// # Errors
    /// As [`LockGuard::unlock`].
    pub async fn unlock(self) -> Result<(), Error> {
        self.0.unlock().await
    }
}

impl Deref for ReadGuard {
    type Target = LockGuard;

    fn deref(&self) -> &LockGuard {
        &self.0
    }
}

impl Deref for WriteGuard {
    type Target = LockGuard;

    fn deref(&self) -> &LockGuard {
        &self.0
    }
}

/// An upgrade that was not granted.
#[derive(Debug, thiserror::Error)]
#[error("the lock was not upgraded: {error}")]
pub struct UpgradeError {
    /// The lock as it was before. It is released when this is dropped.
    pub guard: ReadGuard,
    /// Why.
    #[source]
    pub error: Error,
}

/// For `?`: the lock is released.
impl From<UpgradeError> for Error {
    fn from(refused: UpgradeError) -> Self {
        refused.error
    }
}
