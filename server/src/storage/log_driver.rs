//! What runs the writer of a log: a thread for real nodes, a task for the simulator.
//!
//! Both do the same: take everything that is queued, write it once, sync once, then report. There
//! are no timers; the batch grows by itself while the disk is busy. The thread is woken only if it
//! sleeps. The task sleeps a simulated while between the write and the sync, so that a crash can
//! come between. The first error ends the driver: everything queued, and everything later, fails.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use openraft::storage::IOFlushed;
use tokio::sync::oneshot;

use crate::raft::types::{TypeConfig, bytes_of};
use crate::storage::log_shared::Shared;
use crate::storage::wal::{Op, Writer};

/// What runs the writer.
pub enum Driver {
    /// A thread of its own, named `holdfast-log`.
    Thread,
    /// A task of the current tokio runtime, for the simulator.
    Task {
        /// How long each sync takes.
        sync_latency: Box<dyn FnMut() -> Duration + Send>,
        /// What it does wrong, to prove that a test notices.
        fault: Option<Fault>,
    },
}

/// A mistake that a driver makes on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Reports that everything is durable as soon as it is written.
    AcknowledgeBeforeSync,
}

/// One thing to be done, and whom to tell.
pub(crate) struct Request {
    /// `None` only waits for everything before it.
    pub(crate) op: Option<Op>,
    pub(crate) done: Done,
}

impl Request {
    /// How much it keeps in memory until it is durable.
    pub(crate) fn bytes(&self) -> usize {
        match &self.op {
            Some(Op::Append(entries)) => bytes_of(entries),
            _ => 0,
        }
    }
}

/// Whom to tell that a request is durable, or failed.
pub(crate) enum Done {
    Nobody,
    Flushed(IOFlushed<TypeConfig>),
    Waiting(oneshot::Sender<io::Result<()>>),
}

impl Done {
    pub(crate) fn report(self, result: io::Result<()>) {
        match self {
            Self::Nobody => {}
            Self::Flushed(callback) => callback.io_completed(result),
            Self::Waiting(sender) => {
                // Whoever waited may have gone away.
                let _ = sender.send(result);
            }
        }
    }
}

/// What the driver should do next.
pub(crate) enum Work {
    Batch(Vec<Request>),
    Idle,
    Closed,
}

/// Starts a driver. The handle is that of the thread, if there is one.
pub(crate) fn start(
    driver: Driver,
    writer: Writer,
    shared: Arc<Shared>,
) -> io::Result<Option<JoinHandle<()>>> {
    match driver {
        Driver::Thread => {
            let run = {
                let shared = shared.clone();
                move || run_thread(writer, &shared)
            };
            let thread = std::thread::Builder::new().name("holdfast-log".into()).spawn(run)?;
            shared.set_thread(thread.thread().clone());
            Ok(Some(thread))
        }
        Driver::Task { sync_latency, fault } => {
            tokio::spawn(run_task(writer, shared, sync_latency, fault));
            Ok(None)
        }
    }
}

/// Says that the log has stopped, however the driver ends.
struct Stopped<'a>(&'a Shared);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.stopped();
    }
}

fn run_thread(mut writer: Writer, shared: &Shared) {
    let _stopped = Stopped(shared);
    loop {
        match shared.take_work() {
            Work::Idle => std::thread::park(),
            Work::Closed => return,
            Work::Batch(batch) => {
                let result = write(&mut writer, shared, &batch).and_then(|()| {
                    let start = std::time::Instant::now();
                    writer.sync()?;
                    shared.synced(&writer, start.elapsed());
                    Ok(())
                });
                let failed = result.is_err();
                shared.report(batch, result);
                if failed {
                    return;
                }
            }
        }
    }
}

async fn run_task(
    mut writer: Writer,
    shared: Arc<Shared>,
    mut sync_latency: Box<dyn FnMut() -> Duration + Send>,
    fault: Option<Fault>,
) {
    let _stopped = Stopped(&shared);
    loop {
        match shared.take_work() {
            Work::Idle => shared.woken().await,
            Work::Closed => return,
            Work::Batch(mut batch) => {
                let mut result = write(&mut writer, &shared, &batch);
                if fault == Some(Fault::AcknowledgeBeforeSync) && result.is_ok() {
                    shared.report(std::mem::take(&mut batch), Ok(()));
                }
                let start = tokio::time::Instant::now();
                tokio::time::sleep(sync_latency()).await;
                result = result.and_then(|()| writer.sync());
                let failed = result.is_err();
                if !failed {
                    shared.synced(&writer, start.elapsed());
                }
                shared.report(batch, result);
                if failed {
                    return;
                }
            }
        }
    }
}

fn write(writer: &mut Writer, shared: &Shared, batch: &[Request]) -> io::Result<()> {
    for request in batch {
        if let Some(op) = &request.op {
            writer.write(op)?;
        }
    }
    writer.flush()?;
    shared.written(writer.take_placed());
    Ok(())
}
