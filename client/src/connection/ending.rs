//! How a session comes to its end: asked for, or lost.

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::actor::Actor;
use super::{Ask, CacheAsk, Operation};
use crate::Error;

/// Who waits for the end of a session.
type CloseSender = oneshot::Sender<Result<(), Error>>;

/// The session is to be ended: every handle is gone, or somebody asked for it.
pub(super) struct Closing {
    pub(super) replies: Vec<CloseSender>,
    pub(super) by: Instant,
    /// On the stream that is up now.
    pub(super) is_said: bool,
}

/// How a session came to its end.
pub(super) enum End {
    /// The server confirmed that it was ended, as asked.
    Closed,
    Lost(String),
}

impl Actor {
    /// Begins to end the session. Its holders hear of that first.
    pub(super) fn close(&mut self, reply: Option<CloseSender>, now: Instant) {
        self.state.end("it was closed");
        let by = now + self.settings.request_timeout;
        let closing =
            self.closing.get_or_insert(Closing { replies: Vec::new(), by, is_said: false });
        closing.replies.extend(reply);
        self.pending.abandon_grants(&self.state.lost_error());
        // Nobody reads from copies any more. What was written in them goes before the end is said.
        for (cache, key, back) in self.state.caches().give_all_back() {
            self.pending.push(
                Operation::of_cache(&cache, CacheAsk::GiveBack { key, back }),
                None,
                by,
            );
        }
    }

    /// What it means that the server knows the session no more.
    pub(super) fn gone(&self, message: String) -> End {
        if self.closing.is_some() { End::Closed } else { End::Lost(message) }
    }

    /// The session is over: first everybody who relies on it hears of it, then all requests fail.
    pub(super) fn finish(&mut self, end: End) {
        let closed = match &end {
            End::Closed => {
                self.state.end("it was closed");
                Ok(())
            }
            End::Lost(reason) => {
                self.state.end(reason);
                Err(Error::Unknown {
                    message: format!("the session was to be ended, but {reason}"),
                })
            }
        };
        self.channel.send_replace(None);
        self.asks.close();
        let lost = self.state.lost_error();
        self.pending.fail_all(&lost);
        self.state.caches().clear();
        let replies = self.closing.take().map(|closing| closing.replies).unwrap_or_default();
        for reply in replies {
            let _ = reply.send(closed.clone());
        }
        while let Ok(ask) = self.asks.try_recv() {
            self.inbox.push(ask);
        }
        for ask in self.inbox.drain(..) {
            match ask {
                Ask::Request { reply: Some(reply), .. } => {
                    let _ = reply.send(Err(lost.clone()));
                }
                Ask::Close { reply } => {
                    let _ = reply.send(closed.clone().map_err(|_| lost.clone()));
                }
                Ask::Request { reply: None, .. }
                | Ask::Withdraw { .. }
                | Ask::GiveBack { .. }
                | Ask::EndQueueRequest { .. }
                | Ask::Leave { .. }
                | Ask::EndCacheRequest { .. } => {}
            }
        }
    }
}

/// Also when the runtime stops the task: nobody may go on believing in locks.
impl Drop for Actor {
    fn drop(&mut self) {
        self.state.end("its connection has stopped");
    }
}
