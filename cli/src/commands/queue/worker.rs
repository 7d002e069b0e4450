//! One message in the hands of a command: it is kept as long as the command runs, and settled by
//! how that ends.

use std::ffi::OsString;
use std::time::Duration;

use holdfast_client::{Error, Message, Session};
use holdfast_proto::ErrorCode;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, timeout_at};

use super::variables;
use crate::args::WorkArgs;
use crate::commands::child::{Child, ChildEnd};
use crate::commands::faults::failed;
use crate::duration::{ms, show};
use crate::failure::{Failure, LOST};
use crate::output;
use crate::signals::Ending;

/// By this exit code a command says that the message is hopeless, as `EX_DATAERR` of sysexits.h.
const HOPELESS: u8 = 65;

/// The pause after the first failure. It doubles with each one that follows.
const BACKOFF_MIN: Duration = Duration::from_secs(1);

/// A delivery is extended for no shorter time.
const VISIBILITY_MIN: Duration = Duration::from_secs(1);

/// The shortest pause between two attempts to extend a delivery.
const EXTEND_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// What all messages of one `queue work` have in common.
pub(super) struct Worker {
    queue: String,
    command: Vec<OsString>,
    grace: Duration,
    backoff_max: Duration,
    session: Session,
}

/// Why it makes no sense to go on with other messages.
pub(super) struct Stop {
    pub(super) failure: Failure,
    /// Was not handled. It goes back when this is dropped, which must not be before the consumer
    /// has gone: otherwise the same one gets it again.
    _message: Option<Message>,
}

impl Worker {
    /// Works for this session.
    pub(super) fn new(args: &WorkArgs, session: Session) -> Self {
        Self {
            queue: args.name.clone(),
            command: args.command.clone(),
            grace: args.grace,
            backoff_max: args.backoff_max,
            session,
        }
    }

    /// Runs the command and settles the message. Answers how the message was lost, if it was.
    pub(super) async fn handle(
        &self,
        mut message: Message,
        mut requests: broadcast::Receiver<Ending>,
    ) -> Result<Option<Failure>, Stop> {
        let variables = variables::of(&self.queue, &message);
        let body = message.body().clone();
        let child = match Child::start_with_input(&self.command, variables, body) {
            Ok(child) => child,
            Err(failure) => return Err(Stop { failure, _message: Some(message) }),
        };
        let mut why = None;
        let lost = async {
            let lost = self.session.lost();
            why = tokio::select! {
                error = keep(&mut message) => error,
                () = lost => None,
            };
        };
        let ended = match child.run(lost, self.grace, &mut requests).await {
            Ok(ChildEnd::Own(code)) => {
                let settled = self.settle(message, code).await;
                return settled.map_err(|failure| Stop { failure, _message: None });
            }
            Ok(ChildEnd::Lost) => self.lost(&message, why.as_ref()).map(Some),
            Err(failure) => Err(failure),
        };
        ended.map_err(|failure| Stop { failure, _message: Some(message) })
    }

    async fn settle(&self, message: Message, code: u8) -> Result<Option<Failure>, Failure> {
        let what = format!("message {} of {:?}", message.id(), self.queue);
        let settled = match code {
            0 => message.ack().await,
            HOPELESS => {
                output::warning_line(format!("{what}: exit code {code}, it is a dead letter now"));
                message.reject().await
            }
            code => {
                let deliveries = message.deliveries();
                let pause = backoff(deliveries, self.backoff_max);
                output::warning_line(format!(
                    "{what}: exit code {code} at delivery {deliveries}, given back for {}",
                    show(ms(pause))
                ));
                message.nack(pause).await
            }
        };
        let Err(error) = settled else { return Ok(None) };
        let mut failure = failed(&format!("{what}: exit code {code} could not be told"), &error);
        if error.is_stale() {
            return Err(failure);
        }
        failure.code = LOST;
        if matches!(error, Error::SessionLost { .. }) {
            return Err(failure);
        }
        // It is delivered again, to whomever.
        Ok(Some(failure))
    }

    /// What to go on after, or else what not.
    fn lost(&self, message: &Message, why: Option<&Error>) -> Result<Failure, Failure> {
        let what = format!(
            "message {} of {:?} was lost while its command ran, which was stopped",
            { message.id() },
            self.queue
        );
        match why {
            Some(error) if error.is_stale() => Err(failed(&what, error)),
            Some(error) => Ok(Failure::new(LOST, format!("{what}: {error}"))),
            None if !self.session.is_alive() => Err(Failure::new(
                LOST,
                format!("{what}: the session is lost; see `holdfast status`"),
            )),
            None => Ok(Failure::new(LOST, format!("{what}: it could not be extended in time"))),
        }
    }
}

/// Extends the delivery again and again, at a third of its time. Ends when it is lost: with the
/// refusal, or without one if nothing was heard in time.
async fn keep(message: &mut Message) -> Option<Error> {
    let left = |message: &Message| message.deadline().saturating_duration_since(Instant::now());
    let visibility = left(message).max(VISIBILITY_MIN);
    loop {
        sleep((left(message) / 3).max(EXTEND_AGAIN_AFTER)).await;
        let deadline = message.deadline();
        match timeout_at(deadline, message.extend(visibility)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if is_over(&error) => return Some(error),
            Ok(Err(error)) if Instant::now() >= deadline => return Some(error),
            Ok(Err(_)) => {}
            Err(_) => return None,
        }
    }
}

/// Whether the delivery is certainly not ours any more.
fn is_over(error: &Error) -> bool {
    use ErrorCode::{
        ForeignReceipt, NoSuchQueue, QueueDeleted, StaleToken, UnknownReceipt, UnknownSession,
    };
    matches!(
        error.code(),
        Some(
            UnknownReceipt
                | ForeignReceipt
                | StaleToken
                | NoSuchQueue
                | QueueDeleted
                | UnknownSession
        )
    )
}

/// How long a message rests that has failed for the so-manieth time.
fn backoff(deliveries: u32, max: Duration) -> Duration {
    let doublings = deliveries.saturating_sub(1).min(31);
    BACKOFF_MIN.saturating_mul(1 << doublings).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let check = |deliveries, max_secs, expect_secs| {
            let pause = backoff(deliveries, Duration::from_secs(max_secs));
            assert_eq!(pause, Duration::from_secs(expect_secs), "{deliveries}");
        };
        check(0, 300, 1);
        check(1, 300, 1);
        check(2, 300, 2);
        check(5, 300, 16);
        check(9, 300, 256);
        check(10, 300, 300);
        check(u32::MAX, 300, 300);
        check(u32::MAX, u64::MAX, 1 << 31);
        check(4, 0, 0);
    }
}
