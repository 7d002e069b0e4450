//! Several locks at once, or none.

use std::sync::Arc;
use std::time::Duration;

use super::terms::terms_of_handle;
use super::{Asking, Hold, LockGuard, LockSpec, Terms, Wish};
use crate::Error;
use crate::client::Inner;

/// Up to 64 locks that are granted together, by one token, or not at all. Nothing is held while it
/// waits, so such requests cannot be in a deadlock with each other, in whatever order they name
/// their locks; and it keeps its place in every line, so it is not starved.
///
/// ```no_run
/// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
/// use holdfast_client::LockSpec;
///
/// let both = client.lock_all(["account/7", "account/9"]).lock().await?;
/// both.unlock().await?;
///
/// let specs = [
///     LockSpec::exclusive("deploy/web"),
///     LockSpec::shared("config"),
///     LockSpec::permits("builders", 1, 3),
/// ];
/// let Some(all) = client.lock_all(specs).try_lock().await? else { return Ok(()) };
/// all.unlock().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LockAll {
    asking: Asking,
    /// How the first of them is wanted.
    hold: Hold,
}

impl LockAll {
    pub(crate) fn new(inner: Arc<Inner>, specs: Vec<LockSpec>, terms: Terms) -> Self {
        match Wish::all(specs, terms) {
            Ok((wish, hold)) => Self { asking: Asking::new(inner, Ok(wish)), hold },
            Err(error) => Self { asking: Asking::new(inner, Err(error)), hold: Hold::EXCLUSIVE },
        }
    }

    terms_of_handle!();

    /// Waits in line until all are ours. To drop the future leaves all lines.
    ///
    /// # Errors
    /// As [`Mutex::lock`](crate::Mutex::lock); [`Error::InvalidSettings`] if none or too many
    /// were named, and `INVALID_REQUEST` if one was named twice.
    pub async fn lock(&self) -> Result<LockGuard, Error> {
        self.asking.wait(self.hold).await
    }

    /// Takes the locks if all of them are free, and answers `None` if one is not.
    ///
    /// # Errors
    /// As [`LockAll::lock`].
    pub async fn try_lock(&self) -> Result<Option<LockGuard>, Error> {
        self.asking.no_wait(self.hold).await
    }

    /// Waits in line for at most `timeout`, and answers `None` if that was not enough.
    ///
    /// # Errors
    /// As [`LockAll::lock`] and [`Mutex::lock_timeout`](crate::Mutex::lock_timeout).
    pub async fn lock_timeout(&self, timeout: Duration) -> Result<Option<LockGuard>, Error> {
        self.asking.wait_at_most(self.hold, timeout).await
    }
}
