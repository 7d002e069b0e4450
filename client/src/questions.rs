//! What a client asks beside its stream: of locks, and of an administrator's commands on them.
//!
//! Each is a call of its own to the node that the stream leads to, the leader. What certainly was
//! not done is asked again until the time is over.

use std::future::Future;
use std::time::Duration;

use holdfast_proto::v1::locks_client::LocksClient;
use holdfast_proto::v1::{ForceReleaseRequest, GetLockRequest, ListLocksRequest, WaitGraphRequest};
use holdfast_proto::{ErrorCode, FRAME_BYTES_MAX};
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::client::Inner;
use crate::{Client, Error, LockInfo, LockList, WaitGraph, name};

/// Pause before a question is asked again that could not be answered.
pub(crate) const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// # Looking at locks
impl Client {
    /// The locks whose names begin with `prefix`, at most `limit` (1,000 if zero), with their
    /// holders and waiters as of one linearizable moment.
    ///
    /// ```no_run
    /// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
    /// let listed = client.locks("billing/", 100).await?;
    /// for lock in &listed.locks {
    ///     println!("{}: {} waiting", lock.name, lock.waiters.len());
    /// }
    /// if listed.truncated {
    ///     println!("and more");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the cluster did not answer in time, or the session is lost.
    pub async fn locks(&self, prefix: &str, limit: u32) -> Result<LockList, Error> {
        let list = |channel| async move {
            locks(channel).list(ListLocksRequest { prefix: prefix.to_owned(), limit }).await
        };
        self.inner.question("the list of locks", list).await.map(LockList::from)
    }

    /// Everything about one lock, as of one linearizable moment. `None` if nobody holds it or waits
    /// for it.
    ///
    /// ```no_run
    /// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
    /// if let Some(lock) = client.lock_info("billing/nightly").await? {
    ///     for holder in &lock.holders {
    ///         println!("{} has it since {:?}", holder.session_name, holder.held);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::locks`], and [`Error::InvalidName`].
    pub async fn lock_info(&self, name: &str) -> Result<Option<LockInfo>, Error> {
        name::parse(name)?;
        let look = |channel| async move {
            locks(channel).get(GetLockRequest { name: name.to_owned() }).await
        };
        let answer = self.inner.question("the lock's state", look).await?;
        Ok(answer.lock.map(LockInfo::from))
    }

    /// Who waits for whom, for locks whose names begin with `prefix`, at most `limit` edges (1,000
    /// if zero), as of one linearizable moment.
    ///
    /// ```no_run
    /// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
    /// for edge in client.wait_graph("", 0).await?.edges {
    ///     println!("{} waits for {} because of {}", edge.waiter_id, edge.name, edge.blocker_id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::locks`].
    pub async fn wait_graph(&self, prefix: &str, limit: u32) -> Result<WaitGraph, Error> {
        let look = |channel| async move {
            locks(channel).graph(WaitGraphRequest { prefix: prefix.to_owned(), limit }).await
        };
        self.inner.question("the wait-for graph", look).await.map(WaitGraph::from)
    }

    /// Takes a lock from whoever holds it by `token`, or from all who hold it, and hands it on. A
    /// delay after an expiry ends as well. For administrators: the holder is told
    /// ([`LockGuard::lost`](crate::LockGuard::lost)), but it may work on for a while, and only a
    /// [`Fence`](crate::Fence) keeps it out.
    ///
    /// ```no_run
    /// # async fn example(client: holdfast_client::Client) -> Result<(), holdfast_client::Error> {
    /// client.force_release("billing/nightly", None).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NOT_HELD` if nobody holds it, or not by that token; [`Error::Unknown`] when it may have
    /// been done: look before you repeat it without a token, or you may hit the next holder.
    pub async fn force_release(&self, name: &str, token: Option<u64>) -> Result<(), Error> {
        name::parse(name)?;
        if token == Some(0) {
            let message = "zero is nobody's token: give none to mean all".to_owned();
            return Err(Error::Rejected { code: ErrorCode::NotHeld, message });
        }
        let request = ForceReleaseRequest { name: name.to_owned(), token: token.unwrap_or(0) };
        let force = |channel| {
            let request = request.clone();
            async move { locks(channel).force_release(request).await }
        };
        self.inner.command("the forced release", force).await.map(|_| ())
    }
}

fn locks(channel: Channel) -> LocksClient<Channel> {
    LocksClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX)
}

impl Inner {
    /// Asks something that changes nothing.
    pub(crate) async fn question<T, F>(
        &self,
        what: &str,
        call: impl Fn(Channel) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut last = None;
        let answer = self.ask_until_done(call, |status| {
            let error = Error::from_read(status);
            last = Some(error.clone());
            error
        });
        match answer.await {
            Some(answer) => answer,
            None => {
                let (what, after) = (what.to_owned(), self.settings.request_timeout);
                Err(last.unwrap_or(Error::Timeout { what, after }))
            }
        }
    }

    /// Commands something, once: what may have been done is not asked for again.
    pub(crate) async fn command<T, F>(
        &self,
        what: &str,
        call: impl Fn(Channel) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        match self.ask_until_done(call, Error::from_call).await {
            Some(answer) => answer,
            None => Err(Error::Unknown { message: format!("{what} was not answered in time") }),
        }
    }

    /// Calls until it is answered by anything but [`Error::Unavailable`]. `None` when the time is
    /// over first.
    async fn ask_until_done<T, F>(
        &self,
        call: impl Fn(Channel) -> F,
        mut error_of: impl FnMut(&Status) -> Error,
    ) -> Option<Result<T, Error>>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let asking = async {
            loop {
                let Some(channel) = self.channel().await else {
                    return Err(self.state.lost_error());
                };
                match call(channel).await.map_err(|status| error_of(&status)) {
                    Ok(answer) => return Ok(answer.into_inner()),
                    Err(Error::Unavailable { .. }) => {}
                    Err(error) => return Err(error),
                }
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
            }
        };
        let give_up_at = Instant::now() + self.settings.request_timeout;
        tokio::time::timeout_at(give_up_at, asking).await.ok()
    }

    /// To the node that the stream leads to, once there is one. `None` when the session is over.
    async fn channel(&self) -> Option<Channel> {
        let mut channels = self.channels.clone();
        let up = channels.wait_for(Option::is_some).await;
        up.ok().and_then(|channel| channel.clone())
    }
}
