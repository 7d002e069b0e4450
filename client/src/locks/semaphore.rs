//! Semaphores: a fixed number of permits.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::terms::terms_of_handle;
use super::{Asking, Hold, LockGuard, Terms, Wish};
use crate::Error;
use crate::client::Inner;

/// A lock that up to a fixed number of holders have at the same time. First come, first served:
/// who waits for many permits is not starved by those who want few.
///
/// The number is not stored anywhere. Whoever uses the semaphore says it, and as long as permits
/// are held or waited for, another number is refused with `CAPACITY_MISMATCH`.
///
/// ```no_run
/// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
/// let licences = client.semaphore("licences/solver", 10);
/// let one = licences.acquire().await?;
/// let four = licences.acquire_many(4).await?;
/// println!("{} and {} permits", one.permits(), four.permits());
/// four.release().await?;
/// one.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Semaphore {
    asking: Asking,
    permits: u32,
}

impl Semaphore {
    pub(crate) fn new(inner: Arc<Inner>, name: &str, permits: u32, terms: Terms) -> Self {
        Self { asking: Asking::new(inner, Wish::one(name, terms)), permits }
    }

    terms_of_handle!();

    /// How many permits there are in all.
    pub fn permits(&self) -> u32 {
        self.permits
    }

    /// Waits in line for a permit. To drop the future leaves the line.
    ///
    /// # Errors
    /// As [`Mutex::lock`](crate::Mutex::lock).
    pub async fn acquire(&self) -> Result<PermitGuard, Error> {
        self.acquire_many(1).await
    }

    /// Takes a permit if one is free and nobody waits, and answers `None` otherwise.
    ///
    /// # Errors
    /// As [`Semaphore::acquire`].
    pub async fn try_acquire(&self) -> Result<Option<PermitGuard>, Error> {
        self.try_acquire_many(1).await
    }

    /// Waits in line for at most `timeout`, and answers `None` if that was not enough.
    ///
    /// # Errors
    /// As [`Mutex::lock_timeout`](crate::Mutex::lock_timeout).
    pub async fn acquire_timeout(&self, timeout: Duration) -> Result<Option<PermitGuard>, Error> {
        self.acquire_many_timeout(1, timeout).await
    }

    /// Waits in line for `count` permits at once. Zero means one.
    ///
    /// # Errors
    /// As [`Semaphore::acquire`], and `INVALID_REQUEST` for more than there are.
    pub async fn acquire_many(&self, count: u32) -> Result<PermitGuard, Error> {
        self.asking.wait(self.hold(count)).await.map(PermitGuard)
    }

    /// Takes `count` permits if they are free and nobody waits, and answers `None` otherwise.
    ///
    /// # Errors
    /// As [`Semaphore::acquire_many`].
    pub async fn try_acquire_many(&self, count: u32) -> Result<Option<PermitGuard>, Error> {
        Ok(self.asking.no_wait(self.hold(count)).await?.map(PermitGuard))
    }

    /// Waits in line for `count` permits for at most `timeout`, and answers `None` if that was not
    /// enough.
    ///
    /// # Errors
    /// As [`Semaphore::acquire_many`], and as [`Mutex::lock_timeout`](crate::Mutex::lock_timeout).
    pub async fn acquire_many_timeout(
        &self,
        count: u32,
        timeout: Duration,
    ) -> Result<Option<PermitGuard>, Error> {
        Ok(self.asking.wait_at_most(self.hold(count), timeout).await?.map(PermitGuard))
    }

    fn hold(&self, count: u32) -> Hold {
        Hold::permits(count.max(1), self.permits)
    }
}

/// Proof that permits are held. Everything that a [`LockGuard`] can tell, it tells. They are all
/// given back together.
#[derive(Debug)]
#[must_use = "the permits are given back when their guard is dropped"]
pub struct PermitGuard(LockGuard);

impl PermitGuard {
    /// How many permits it stands for.
    pub fn permits(&self) -> u32 {
        self.0.permits()
    }

    /// Gives the permits back and waits for the confirmation, as [`LockGuard::unlock`].
    ///
    /// # Errors
    /// As [`LockGuard::unlock`].
    pub async fn release(self) -> Result<(), Error> {
        self.0.unlock().await
    }
}

impl Deref for PermitGuard {
    type Target = LockGuard;

    fn deref(&self) -> &LockGuard {
        &self.0
    }
}
