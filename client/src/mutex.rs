//! Locks: one holder at a time, first come first served.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use holdfast_proto::ErrorCode;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::Error;
use crate::client::Inner;
use crate::connection::{Answer, Ask, Operation};

/// A lock on the cluster, by name. Cheap to clone; clones and equal names mean the same lock.
///
/// It is not re-entrant: to lock it twice in one session waits for oneself.
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
    inner: Arc<Inner>,
    name: Result<Arc<str>, Error>,
}

impl Mutex {
    pub(crate) fn new(inner: Arc<Inner>, name: Result<Arc<str>, Error>) -> Self {
        Self { inner, name }
    }

    /// Waits in line until the lock is ours, or the session is lost. To drop the future leaves
    /// the line.
    ///
    /// # Errors
    /// [`Error::InvalidName`]; [`Error::SessionLost`]; [`Error::Unavailable`] or
    /// [`Error::Unknown`] when not even a place in line was given in time. Whatever the error, no
    /// grant is left behind.
    pub async fn lock(&self) -> Result<LockGuard, Error> {
        self.acquire(None)?.await
    }

    /// Takes the lock if it is free, and answers `None` if it is not.
    ///
    /// # Errors
    /// As [`Mutex::lock`].
    pub async fn try_lock(&self) -> Result<Option<LockGuard>, Error> {
        none_if_not_got(self.acquire(Some(Duration::ZERO))?.await)
    }

    /// Waits in line for at most `timeout`, and answers `None` if the lock was not got by then.
    ///
    /// # Errors
    /// As [`Mutex::lock`], and [`Error::Unknown`] when the server did not say that the time is
    /// over.
    pub async fn lock_timeout(&self, timeout: Duration) -> Result<Option<LockGuard>, Error> {
        let patience = timeout.saturating_add(self.inner.settings.request_timeout);
        let acquiring = self.acquire(Some(timeout))?;
        match tokio::time::timeout(patience, acquiring).await {
            Ok(got) => none_if_not_got(got),
            Err(_) => {
                let message = "the end of the wait was not told in time".to_owned();
                Err(Error::Unknown { message })
            }
        }
    }

    /// Asks for the lock at once; the future waits for the answer.
    fn acquire(
        &self,
        wait: Option<Duration>,
    ) -> Result<impl Future<Output = Result<LockGuard, Error>> + use<>, Error> {
        let name = self.name.clone()?;
        let seq = Arc::new(AtomicU64::new(0));
        let wait_ms = wait.map(whole_ms);
        let operation = Operation::Acquire { name: name.clone(), wait_ms, seq: seq.clone() };
        let (reply, answer) = oneshot::channel();
        self.inner.ask(Ask::Request { operation, reply: Some(reply) })?;
        let inner = self.inner.clone();
        let mut request = AcquireInFlight { inner, name, seq, answer, is_answered: false };
        Ok(async move {
            let answer = (&mut request.answer).await;
            request.is_answered = true;
            let answer = answer.unwrap_or_else(|_| Err(request.inner.stopped_error()))?;
            match answer {
                Answer::Granted { token } => {
                    let (inner, name) = (request.inner.clone(), request.name.clone());
                    Ok(LockGuard { inner, name, token, is_released: false })
                }
                Answer::Done => {
                    let message = "the server answered an acquire without a grant".to_owned();
                    Err(Error::Unknown { message })
                }
            }
        })
    }
}

/// An acquire that somebody waits for. Dropped without an answer, it is withdrawn.
struct AcquireInFlight {
    inner: Arc<Inner>,
    name: Arc<str>,
    seq: Arc<AtomicU64>,
    answer: oneshot::Receiver<Result<Answer, Error>>,
    is_answered: bool,
}

impl Drop for AcquireInFlight {
    fn drop(&mut self) {
        if !self.is_answered {
            // Closed first: an acquire that is still unsent when the withdrawal is read is skipped.
            self.answer.close();
            let (name, seq) = (self.name.clone(), self.seq.clone());
            // When the session is over there is nothing to withdraw.
            let _ = self.inner.ask(Ask::Withdraw { name, seq });
        }
    }
}

/// Rounded up, since zero would mean not to wait at all.
fn whole_ms(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn none_if_not_got(got: Result<LockGuard, Error>) -> Result<Option<LockGuard>, Error> {
    match got {
        Ok(guard) => Ok(Some(guard)),
        Err(Error::Rejected { code: ErrorCode::LockHeld | ErrorCode::WaitOver, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Proof that a lock is held, as long as the session lives.
///
/// To drop it releases the lock in the background: without blocking, and also after the
/// connection was down for a while. [`LockGuard::unlock`] waits for the confirmation.
#[derive(Debug)]
#[must_use = "the lock is released when its guard is dropped"]
pub struct LockGuard {
    inner: Arc<Inner>,
    name: Arc<str>,
    token: u64,
    is_released: bool,
}

impl LockGuard {
    /// The fencing token of this grant, larger than that of every grant before. Send it along with
    /// what the lock protects, so that the other side can refuse whoever comes too late.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// The lock's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Resolves when the session is lost, closed, or could not be renewed in time: the lock is not
    /// certain to be ours any more. The future borrows nothing and outlives the guard.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.inner.state.lost()
    }

    /// Until when the lock is certainly ours, as far as is known now. Every renewal of the session
    /// moves it on.
    pub fn deadline(&self) -> Instant {
        self.inner.state.deadline()
    }

    /// Whether the lock is certainly ours at this moment, unless an administrator released it.
    pub fn is_held(&self) -> bool {
        self.inner.state.is_alive()
    }

    /// Releases the lock and waits for the confirmation. To drop the future after its first poll
    /// does not take the release back.
    ///
    /// # Errors
    /// [`Error::Rejected`] with `NOT_HELD` when it was not ours any more; [`Error::Unknown`] when
    /// the answer did not come in time, in which case the release is still repeated in the
    /// background; [`Error::SessionLost`], which has released it already.
    pub async fn unlock(mut self) -> Result<(), Error> {
        self.is_released = true;
        let (reply, answer) = oneshot::channel();
        self.release(Some(reply))?;
        match answer.await {
            Ok(answer) => answer.map(|_| ()),
            Err(_) => Err(self.inner.stopped_error()),
        }
    }

    fn release(&self, reply: Option<crate::connection::ReplySender>) -> Result<(), Error> {
        let operation = Operation::Release { name: self.name.clone(), token: self.token };
        self.inner.ask(Ask::Request { operation, reply })
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if !self.is_released {
            // When the session is over it has released the lock already.
            let _ = self.release(None);
        }
    }
}
