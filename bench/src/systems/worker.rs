//! What clients of every system must be able to do.

use std::future::Future;
use std::time::Instant;

use crate::works::Work;

/// One client, opened for one work. Makes no difference between systems: [`LockWorker`] and
/// [`QueueWorker`](super::QueueWorker) do the same with the clients of all.
pub(crate) trait Worker: Send + 'static {
    /// Does its work once. An error says that the outcome is not known, or why there is none.
    fn op(&mut self) -> impl Future<Output = Result<Done, String>> + Send;

    /// Ends the session, if this was its last client.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What a call of [`Worker::op`] has brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// An op, which began with the call.
    Op,
    /// An op, which began at this moment, maybe elsewhere.
    OpSince(Instant),
    /// Many ops, and how long some of them took.
    Many { ops: u64, sampled_ns: Vec<u64> },
    /// A part of an op, which another client finishes and counts.
    Part,
    /// Nothing yet. It can be called again, unless the time is over.
    Nothing,
}

/// Clients that are ready to work.
pub(crate) struct Clients<W> {
    pub(crate) workers: Vec<W>,
    /// How many answers the servers have sent to all of them so far, if somebody counts.
    pub(crate) replies: Option<ReplyCount>,
}

pub(crate) type ReplyCount = Box<dyn Fn() -> u64>;

impl<W> Clients<W> {
    /// Nobody counts their answers.
    pub(crate) fn uncounted(workers: Vec<W>) -> Self {
        Self { workers, replies: None }
    }
}

/// What a client of a system with locks can do.
pub(crate) trait LockClient: Send + 'static {
    /// Locks and unlocks `name`. An error says that the outcome is not known, or why not.
    fn lock_and_unlock(&mut self, name: &str) -> impl Future<Output = Result<(), String>> + Send;

    /// Ends the session, if this was its last client.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Locks and unlocks.
pub(crate) struct LockWorker<C> {
    client: C,
    work: Work,
    number: usize,
    generation: u64,
    name: String,
}

impl<C: LockClient> LockWorker<C> {
    /// Numbers the clients of one pass.
    pub(crate) fn all(work: Work, clients: impl IntoIterator<Item = C>) -> Vec<Self> {
        let numbered = clients.into_iter().enumerate();
        let worker = |(number, client)| {
            let (generation, name) = (0, work.lock_name(number, 0));
            Self { client, work, number, generation, name }
        };
        numbered.map(worker).collect()
    }

    fn take_next_name(&mut self) {
        self.generation += 1;
        self.name = self.work.lock_name(self.number, self.generation);
    }
}

impl<C: LockClient> Worker for LockWorker<C> {
    async fn op(&mut self) -> Result<Done, String> {
        let outcome = self.client.lock_and_unlock(&self.name).await;
        if outcome.is_err() || self.work.takes_new_names() {
            self.take_next_name();
        }
        outcome.map(|()| Done::Op)
    }

    async fn close(self) {
        self.client.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the names, and fails with the second.
    struct Recorder(Vec<String>);

    impl LockClient for Recorder {
        async fn lock_and_unlock(&mut self, name: &str) -> Result<(), String> {
            self.0.push(name.to_owned());
            if self.0.len() == 2 { Err("on purpose".to_owned()) } else { Ok(()) }
        }

        async fn close(self) {}
    }

    async fn names(work: Work) -> Vec<String> {
        let mut workers = LockWorker::all(work, [Recorder(Vec::new())]);
        for _ in 0..3 {
            let _ = workers[0].op().await;
        }
        workers.remove(0).client.0
    }

    #[tokio::test]
    async fn a_name_changes_after_a_failure_or_always() {
        let own = names(Work::Lock).await;
        assert_eq!(own[0], own[1]);
        assert_ne!(own[1], own[2]);
        let new = names(Work::LockNewNames).await;
        assert!(new[0] != new[1] && new[1] != new[2], "{new:?}");
        let contended = names(Work::LockContended).await;
        assert_eq!(contended[1], contended[2]);
    }
}
