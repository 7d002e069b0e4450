//! What openraft is told, and why.

use std::sync::Arc;

use openraft::{Config, SnapshotPolicy};

use crate::settings::Settings;
use crate::start_error::StartError;

/// The engine's configuration for these settings.
///
/// # Errors
/// openraft finds a contradiction in them.
pub(crate) fn engine(settings: &Settings) -> Result<Arc<Config>, StartError> {
    let election_max = settings.election_timeout_max_ms;
    let config = Config {
        cluster_name: settings.cluster.clone(),
        heartbeat_interval: settings.heartbeat_ms,
        election_timeout_min: settings.election_timeout_min_ms,
        election_timeout_max: election_max,
        // A node that cannot win must not disturb those who can.
        enable_pre_vote: Some(true),
        // A leader that hears no quorum goes quiet, so that the others may elect one.
        quorum_loss_probe_interval: Some(2 * election_max + settings.heartbeat_ms),
        // The state is in memory: a restarted leader may have forgotten what it had committed.
        enable_leader_restore: Some(false),
        // The ticker asks for them: it knows bytes as well.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: settings.keep_entries,
        replication_lag_threshold: settings.snapshot_entries + settings.keep_entries,
        purge_batch_size: 256,
        // Followers write while this node writes, not after.
        broadcast_submitted_on_append: Some(true),
        // Bytes are limited by the log; this only bounds the number of messages.
        max_payload_entries: 1_024,
        // A snapshot takes its time. One of a large state gets more, see the network.
        install_snapshot_timeout: 60_000,
        ..Config::default()
    };
    let config = config.validate().map_err(|e| StartError::Settings(e.to_string()))?;
    Ok(Arc::new(config))
}
