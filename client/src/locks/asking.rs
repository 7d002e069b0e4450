//! The one way in which locks are asked for, whatever their kind.
//!
//! Invariant: whoever stops waiting leaves no grant behind. An [`InFlight`] that is dropped without
//! its answer withdraws its request, whether that was sent, stands in line, or was granted.

use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::ErrorCode;
use tokio::sync::oneshot;

use super::terms::whole_ms;
use super::{Grant, Hold, LockGuard, Proof, Said, Terms, Wish};
use crate::client::Inner;
use crate::connection::{Answer, Ask, Operation};
use crate::{Error, name};

/// What every handle has: whom to ask, and for what.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    inner: Arc<Inner>,
    /// Or what is wrong with it, which is reported when it is asked for.
    wish: Result<Arc<Wish>, Error>,
}

impl Asking {
    pub(crate) fn new(inner: Arc<Inner>, wish: Result<Wish, Error>) -> Self {
        Self { inner, wish: wish.map(Arc::new) }
    }

    /// The same on other terms.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Terms)) -> Self {
        if let Ok(wish) = &mut self.wish {
            change(&mut Arc::make_mut(wish).terms);
        }
        self
    }

    /// The same on behalf of a grant.
    pub(crate) fn under(mut self, proof: Proof) -> Self {
        if let Err(error) = name::parse(proof.name()) {
            self.wish = Err(error);
        }
        self.with(|terms| terms.under = Some(proof))
    }

    /// Waits in line until it is granted or the session is lost.
    pub(crate) async fn wait(&self, hold: Hold) -> Result<LockGuard, Error> {
        self.acquire(hold, None).await
    }

    /// `None` if it is not free.
    pub(crate) async fn no_wait(&self, hold: Hold) -> Result<Option<LockGuard>, Error> {
        none_if_not_got(self.acquire(hold, Some(Duration::ZERO)).await)
    }

    /// `None` if it was not granted in time.
    pub(crate) async fn wait_at_most(
        &self,
        hold: Hold,
        timeout: Duration,
    ) -> Result<Option<LockGuard>, Error> {
        none_if_not_got(self.acquire(hold, Some(timeout)).await)
    }

    async fn acquire(&self, hold: Hold, wait: Option<Duration>) -> Result<LockGuard, Error> {
        let wish = self.wish.clone()?;
        let grant = Arc::new(Grant::default());
        let operation = Operation::Acquire {
            wish: wish.clone(),
            hold,
            wait_ms: wait.map(whole_ms),
            grant: grant.clone(),
        };
        let inner = self.inner.clone();
        let mut request = InFlight::begin(inner, wish, grant, operation)?;
        let token = request.token(wait).await?;
        let InFlight { inner, wish, grant, .. } = &request;
        Ok(LockGuard::new(inner.clone(), wish.clone(), grant.clone(), token, hold))
    }
}

fn none_if_not_got(got: Result<LockGuard, Error>) -> Result<Option<LockGuard>, Error> {
    use ErrorCode::{LockDelayed, LockHeld, WaitOver};
    match got {
        Ok(guard) => Ok(Some(guard)),
        Err(Error::Rejected { code: LockHeld | LockDelayed | WaitOver, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An acquire or an upgrade that somebody waits for. Dropped without an answer, it is withdrawn.
pub(super) struct InFlight {
    inner: Arc<Inner>,
    wish: Arc<Wish>,
    grant: Arc<Grant>,
    answer: oneshot::Receiver<Result<Answer, Error>>,
    is_answered: bool,
}

impl InFlight {
    /// Asks at once.
    pub(super) fn begin(
        inner: Arc<Inner>,
        wish: Arc<Wish>,
        grant: Arc<Grant>,
        operation: Operation,
    ) -> Result<Self, Error> {
        let (reply, answer) = oneshot::channel();
        inner.ask(Ask::Request { operation: operation.into(), reply: Some(reply) })?;
        Ok(Self { inner, wish, grant, answer, is_answered: false })
    }

    /// Waits for the token. `wait` is how long the server was asked to wait.
    pub(super) async fn token(&mut self, wait: Option<Duration>) -> Result<u64, Error> {
        let wait = wait.filter(|wait| !wait.is_zero());
        let answer = match wait {
            None => (&mut self.answer).await,
            Some(wait) => {
                let patience = wait.saturating_add(self.inner.settings.request_timeout);
                match tokio::time::timeout(patience, &mut self.answer).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        // It will be withdrawn, and with it what it may have been granted.
                        self.grant.say(Said::Lost);
                        let message = "the end of the wait was not told in time".to_owned();
                        return Err(Error::Unknown { message });
                    }
                }
            }
        };
        self.is_answered = true;
        match answer.unwrap_or_else(|_| Err(self.inner.stopped_error()))? {
            Answer::Granted { token } => Ok(token),
            _ => {
                let message = "the server answered without a grant".to_owned();
                Err(Error::Unknown { message })
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.is_answered {
            // Closed first: a request that is still unsent when the withdrawal is read is skipped.
            self.answer.close();
            let (wish, grant) = (self.wish.clone(), self.grant.clone());
            // When the session is over there is nothing to withdraw.
            let _ = self.inner.ask(Ask::Withdraw { wish, grant });
        }
    }
}
