//! A request that somebody waits for, and that is withdrawn when nobody does any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::Error;
use crate::client::Inner;
use crate::connection::{Answer, Ask};

/// The wait for an answer. Dropped before the answer is there, it withdraws the request.
pub(crate) struct Waiting<'a> {
    inner: &'a Arc<Inner>,
    answer: oneshot::Receiver<Result<Answer, Error>>,
    /// Unset once the answer is there.
    withdrawal: Option<Ask>,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(
        inner: &'a Arc<Inner>,
        answer: oneshot::Receiver<Result<Answer, Error>>,
        withdrawal: Ask,
    ) -> Self {
        Self { inner, answer, withdrawal: Some(withdrawal) }
    }

    /// The answer. `wait` is how long the server was asked to wait; `None`: without end.
    pub(crate) async fn answer(mut self, wait: Option<Duration>) -> Result<Answer, Error> {
        let answer = match wait {
            None => (&mut self.answer).await,
            Some(wait) => {
                let patience = wait.saturating_add(self.inner.settings.request_timeout);
                match tokio::time::timeout(patience, &mut self.answer).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        let message = "the end of the wait was not told in time".to_owned();
                        return Err(Error::Unknown { message });
                    }
                }
            }
        };
        self.withdrawal = None;
        answer.unwrap_or_else(|_| Err(self.inner.stopped_error()))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(withdrawal) = self.withdrawal.take() {
            // Closed first: a request that is still unsent when the withdrawal is read is skipped.
            self.answer.close();
            // When the session is over there is nothing to withdraw.
            let _ = self.inner.ask(withdrawal);
        }
    }
}
