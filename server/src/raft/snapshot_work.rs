//! Where slow work is done: snapshots are written, read and verified, a log is opened, a large
//! state is dropped.

use std::io;

use tokio::sync::oneshot;

/// How much a thread that writes snapshots stands back: while others want the processor, it gets
/// about a tenth.
const NICENESS: i32 = 10;

/// Where slow work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotWork {
    /// On threads of their own.
    Threads,
    /// Here and now: the simulator has one thread and no time to wait.
    Inline,
}

impl SnapshotWork {
    /// Waits for work that would hold up others.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        match self {
            Self::Inline => work(),
            Self::Threads => tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?,
        }
    }

    /// Drops what takes long to drop.
    pub(crate) fn throw_away<T: Send + 'static>(self, it: T) {
        match self {
            Self::Inline => drop(it),
            Self::Threads => drop(tokio::task::spawn_blocking(move || drop(it))),
        }
    }

    /// As [`SnapshotWork::run`], if nobody waits for it: on a thread that leaves the processor to
    /// others.
    pub(super) async fn run_aside<T: Send + 'static>(
        self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        if self == Self::Inline {
            return work();
        }
        let (done, result) = oneshot::channel();
        let thread = std::thread::Builder::new().name("snapshot".into());
        thread.spawn(move || {
            // Of this thread, not of the process. If it is refused, the work is done all the same.
            rustix::process::nice(NICENESS).ok();
            done.send(work()).ok();
        })?;
        result.await.map_err(|_| io::Error::other("the thread that writes snapshots panicked"))?
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[tokio::test]
    async fn what_is_thrown_away_is_dropped_by_another_thread() {
        struct Tells(std::sync::mpsc::Sender<std::thread::ThreadId>);
        impl Drop for Tells {
            fn drop(&mut self) {
                self.0.send(std::thread::current().id()).expect("the test waits");
            }
        }
        let (tell, told) = std::sync::mpsc::channel();
        SnapshotWork::Threads.throw_away(Tells(tell));
        assert_ne!(told.recv().expect("it was dropped"), std::thread::current().id());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_done_by_a_thread_of_low_priority() {
        let before = getpriority_process(None).expect("it is known");
        let there = SnapshotWork::Threads.run_aside(|| Ok(getpriority_process(None)?)).await;
        assert_eq!(there.expect("it is done"), (before + NICENESS).min(19));
        assert_eq!(getpriority_process(None), Ok(before), "nobody else is slowed down");
        let failed = SnapshotWork::Threads.run_aside(|| Err::<(), _>(io::Error::other("full")));
        assert_eq!(failed.await.expect_err("it failed").to_string(), "full");
        let panicked = SnapshotWork::Threads.run_aside(|| -> io::Result<()> { panic!("oh") });
        assert!(panicked.await.is_err());
    }
}
