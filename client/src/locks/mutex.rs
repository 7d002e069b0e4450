//! Locks: one holder at a time, first come first served.

use std::sync::Arc;
use std::time::Duration;

use super::terms::{reentrant_handle, terms_of_handle};
use super::{Asking, Hold, LockGuard, Terms, Wish};
use crate::Error;
use crate::client::Inner;

/// A lock on the cluster, by name. Cheap to clone; clones and equal names mean the same lock.
///
/// It is not re-entrant unless [`Mutex::reentrant`] says so: to lock it twice waits for oneself.
///
/// ```no_run
/// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
/// let mutex = client.mutex("reports/2031");
/// let guard = mutex.lock().await?;
/// tokio::select! {
///     () = guard.lost() => println!("stop: the lock is not ours any more"),
///     () = write_report(guard.token()) => println!("done"),
/// }
/// guard.unlock().await?;
/// # Ok(())
/// # }
/// # async fn write_report(_: u64) {}
/// ```
#[derive(Clone, Debug)]
pub struct Mutex {
    asking: Asking,
}

impl Mutex {
    pub(crate) fn new(inner: Arc<Inner>, name: &str, terms: Terms) -> Self {
        Self { asking: Asking::new(inner, Wish::one(name, terms)) }
    }

    terms_of_handle!();
    reentrant_handle!();

    /// Waits in line until the lock is ours, or the session is lost. To drop the future leaves
    /// the line.
    ///
    /// # Errors
    /// [`Error::InvalidName`]; [`Error::SessionLost`]; [`Error::Unavailable`] or
    /// [`Error::Unknown`] when not even a place in line was given in time; [`Error::Rejected`], in
    /// particular when to wait would be a deadlock ([`Error::is_deadlock`]). Whatever the error, no
    /// grant is left behind.
    pub async fn lock(&self) -> Result<LockGuard, Error> {
        self.asking.wait(Hold::EXCLUSIVE).await
    }

    /// Takes the lock if it is free, and answers `None` if it is not.
    ///
    /// # Errors
    /// As [`Mutex::lock`].
    pub async fn try_lock(&self) -> Result<Option<LockGuard>, Error> {
        self.asking.no_wait(Hold::EXCLUSIVE).await
    }

    /// Waits in line for at most `timeout`, and answers `None` if the lock was not got by then.
    ///
    /// # Errors
    /// As [`Mutex::lock`], and [`Error::Unknown`] when the server did not say that the time is
    /// over.
    pub async fn lock_timeout(&self, timeout: Duration) -> Result<Option<LockGuard>, Error> {
        self.asking.wait_at_most(Hold::EXCLUSIVE, timeout).await
    }
}
