//! Everything about a node that its operator may choose, with the defaults.

use std::path::PathBuf;

use crate::raft::types::NodeId;

/// How one node runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// This node's id, unique in the cluster and never reused.
    pub node_id: NodeId,
    /// Name of the cluster. Nodes of another name are refused.
    pub cluster: String,
    /// Where the node keeps its log and its snapshots.
    pub data_dir: PathBuf,
    /// `host:port` on which clients are served.
    pub client_listen: String,
    /// The certificate of the client port; without one it is not encrypted.
    pub client_tls: Option<TlsFiles>,
    /// How many clients may be connected at once.
    pub connections_max: usize,
    /// From where pages may watch, and change things over HTTP, through a browser, beside those of
    /// the node itself, such as `https://console.example`; `*`: from anywhere.
    pub watch_origins: Vec<String>,
    /// `host:port` on which peers are served.
    pub peer_listen: String,
    /// `host:port` on which metrics and health are served as well. They are on the client port in
    /// any case.
    pub metrics_listen: Option<String>,
    /// All members, this node among them.
    pub members: Vec<MemberSettings>,
    /// How often a leader makes itself heard.
    pub heartbeat_ms: u64,
    /// Shortest silence after which a follower stands for election.
    pub election_timeout_min_ms: u64,
    /// Longest such silence.
    pub election_timeout_max_ms: u64,
    /// A snapshot is taken after so many log entries.
    pub snapshot_entries: u64,
    /// Or after so many bytes of log. A state larger than that waits for as much log as it has.
    pub snapshot_bytes: u64,
    /// How many entries stay in the log behind a snapshot, for peers that lag a little.
    pub keep_entries: u64,
    /// Or so many bytes of them, if that is less.
    pub keep_bytes: u64,
    /// Size of one log file.
    pub segment_bytes: u64,
    /// How many bytes of past events are kept for watches; zero: none on disk.
    pub journal_bytes: u64,
    /// So many bytes of the disk stay free beside what the next snapshot may take: else messages
    /// and larger values are refused. Zero: nothing is.
    pub disk_reserve_bytes: u64,
    /// How many batches may be on their way to the quorum at once.
    pub batches_in_flight: usize,
    /// Most commands in one batch.
    pub batch_commands_max: usize,
    /// Most bytes in one batch.
    pub batch_bytes_max: usize,
    /// How long handing leadership over, and answering what is under way, may take at shutdown.
    pub shutdown_grace_ms: u64,
}

/// Where the certificate of the client port is, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with all that lies between it and its root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Where one member is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSettings {
    /// Its id.
    pub node_id: NodeId,
    /// `host:port` for clients.
    pub client_addr: String,
    /// `host:port` for peers.
    pub peer_addr: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node_id: 1,
            cluster: "holdfast".into(),
            data_dir: "holdfast-data".into(),
            client_listen: "127.0.0.1:7401".into(),
            client_tls: None,
            connections_max: 16_384,
            watch_origins: Vec::new(),
            peer_listen: "127.0.0.1:7501".into(),
            metrics_listen: None,
            members: Vec::new(),
            heartbeat_ms: 50,
            election_timeout_min_ms: 200,
            election_timeout_max_ms: 400,
            snapshot_entries: 50_000,
            snapshot_bytes: 128 << 20,
            keep_entries: 5_000,
            keep_bytes: 64 << 20,
            segment_bytes: 16 << 20,
            journal_bytes: 256 << 20,
            disk_reserve_bytes: 256 << 20,
            batches_in_flight: 8,
            batch_commands_max: 4_096,
            batch_bytes_max: 1 << 20,
            shutdown_grace_ms: 5_000,
        }
    }
}
