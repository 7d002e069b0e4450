//! What a node stands on: disk, network, and how it does slow work. Real in a process of its own,
//! simulated in the simulator.

use std::sync::Arc;

use holdfast_proto::Dialer;

use crate::ports::Incoming;
use crate::raft::applier::SharedMachine;
use crate::raft::snapshots::SnapshotWork;
use crate::settings::Settings;
use crate::start_error::StartError;
use crate::storage::{Disk, Driver, RealDisk};
use crate::watch::journal::Journal;

/// The ground under a node.
pub struct Parts {
    /// What its log is applied to: empty, but perhaps made to make mistakes.
    pub machine: SharedMachine,
    /// Where its files are.
    pub disk: Arc<dyn Disk>,
    /// Who writes its log.
    pub driver: Driver,
    /// Where snapshots are written and read.
    pub snapshot_work: SnapshotWork,
    /// How it calls others.
    pub dialer: Dialer,
    /// How clients reach it.
    pub clients: Incoming,
    /// How peers reach it.
    pub peers: Incoming,
    /// Where the past is kept for watches; without one they can begin in the recent past only.
    pub journal: Option<Arc<Journal>>,
    /// How metrics and health are reached, beside the client port.
    pub metrics: Option<Incoming>,
}

impl Parts {
    /// Real files, real sockets, threads for slow work.
    ///
    /// # Errors
    /// The directory or a port cannot be had.
    pub async fn real(settings: &Settings) -> Result<Self, StartError> {
        let disk = RealDisk::open(&settings.data_dir)?;
        Ok(Self {
            machine: SharedMachine::default(),
            disk: Arc::new(disk),
            driver: Driver::Thread,
            snapshot_work: SnapshotWork::Threads,
            dialer: Dialer::tcp(),
            clients: listen(&settings.client_listen, "clients").await?,
            peers: listen(&settings.peer_listen, "peers").await?,
            journal: open_journal(settings).await,
            metrics: match &settings.metrics_listen {
                Some(address) => Some(listen(address, "metrics").await?),
                None => None,
            },
        })
    }
}

async fn open_journal(settings: &Settings) -> Option<Arc<Journal>> {
    let (directory, bytes) = (settings.data_dir.join("journal"), settings.journal_bytes);
    let open = move || if bytes == 0 { None } else { Journal::open(&directory, bytes) };
    tokio::task::spawn_blocking(open).await.ok().flatten()
}

async fn listen(address: &str, whom: &'static str) -> Result<Incoming, StartError> {
    let listening = Incoming::tcp(address).await;
    listening.map_err(|source| StartError::Listen { address: address.to_owned(), whom, source })
}
