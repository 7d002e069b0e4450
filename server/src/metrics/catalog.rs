//! Every metric, once: its name, its labels, and what it means. Whoever adds one adds it to
//! `docs/guide/metrics.md` as well; a test compares the two.
//!
//! Names end with the base unit, and those of counters with `_total`. Labels have few values: names
//! that users choose stand only with queues and caches, and there for the first hundred. Everything
//! has the labels `cluster` and `node` besides.

/// All series of one name.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

/// What can be done with the figures.
pub(super) enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many were up to which bound.
    Histogram(&'static [f64]),
}

/// Of what is done in less than a millisecond if all is well.
const QUICK: Kind = Kind::Histogram(&[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5,
]);

/// Of what takes as long as clients make it take.
const WAITS: Kind = Kind::Histogram(&[
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 1_800.0,
]);

/// Of numbers of commands.
const COMMANDS: Kind = Kind::Histogram(&[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0,
]);

/// Of sizes.
const SIZES: Kind = Kind::Histogram(&[
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
]);

use Kind::{Counter, Gauge};

macro_rules! catalog {
    ($($id:ident: $kind:expr, $name:literal, [$($label:literal),*], $help:expr;)*) => {
        $(pub(super) static $id: Family = Family {
            name: $name,
            kind: $kind,
            labels: &[$($label),*],
            help: $help,
        };)*

        /// All of them.
        pub(super) static ALL: &[&Family] = &[$(&$id),*];
    };
}

// Consensus, the log and snapshots.
catalog! {
    BUILD_INFO: Gauge, "holdfast_build_info", ["version"],
        "Always 1; the label says which version runs.";
    READY: Gauge, "holdfast_ready", [],
        "1 if /readyz says yes.";
    IS_LEADER: Gauge, "holdfast_raft_is_leader", [],
        "1 if this node leads.";
    HAS_LEADER: Gauge, "holdfast_raft_has_leader", [],
        "1 if this node knows a leader and has heard from it, or from a quorum, lately.";
    TERM: Gauge, "holdfast_raft_term", [],
        "The term of this node.";
    LEADER_CHANGES: Counter, "holdfast_raft_leader_changes_total", [],
        "Times that this node has seen another leader, or the same in another term.";
    LAST_CONTACT: Gauge, "holdfast_raft_last_contact_seconds", [],
        "How long ago this node heard from its leader or, if it leads, from a quorum.";
    VOTERS: Gauge, "holdfast_raft_voters", [],
        "Members that vote.";
    LAST_LOG_INDEX: Gauge, "holdfast_raft_last_log_index", [],
        "Index of the last entry in this node's log.";
    COMMITTED_INDEX: Gauge, "holdfast_raft_committed_index", [],
        "Index of the last entry that a quorum has, as far as this node knows.";
    APPLIED_INDEX: Gauge, "holdfast_raft_applied_index", [],
        "Index of the last entry that is in this node's state.";
    APPLY_LAG: Gauge, "holdfast_raft_apply_lag_entries", [],
        "Committed entries that are not in this node's state yet.";
    PEER_LAG: Gauge, "holdfast_raft_peer_lag_entries", ["peer"],
        "Entries of the leader's log that a peer has not acknowledged. From the leader only.";
    PEER_SILENCE: Gauge, "holdfast_raft_peer_silence_seconds", ["peer"],
        "How long ago a peer has answered the leader. From the leader only.";
    PROPOSAL_SECONDS: QUICK, "holdfast_raft_proposal_seconds", [],
        "From when the oldest request of a batch was handed in until the batch was applied.";
    BATCH_COMMANDS: COMMANDS, "holdfast_raft_batch_commands", [],
        "Commands in a batch that this node has proposed.";
    BATCH_BYTES: SIZES, "holdfast_raft_batch_bytes", [],
        "Bytes of a batch that this node has proposed.";
    BATCHES_IN_FLIGHT: Gauge, "holdfast_raft_batches_in_flight", [],
        "Batches on their way to the quorum.";
    SUBMISSIONS_WAITING: Gauge, "holdfast_raft_submissions_waiting", [],
        "Requests that wait to be gathered into a batch.";
    PROPOSALS_FAILED: Counter, "holdfast_raft_proposals_failed_total", ["reason"],
        "Batches without an outcome, because this node led no longer or the outcome is not known.";
    READ_BARRIER_SECONDS: QUICK, "holdfast_raft_read_barrier_seconds", [],
        "A round in which the leader makes sure that it still leads, before state is read.";
    APPLY_SECONDS: QUICK, "holdfast_raft_apply_seconds", [],
        "Decoding and applying one batch, the wait for the state included.";
    LEASE_CLOCK: Gauge, "holdfast_lease_clock_seconds", [],
        "What the cluster's lease clock shows. It runs slower than time while nobody leads.";
    FSYNC_SECONDS: QUICK, "holdfast_log_fsync_seconds", [],
        "One sync of the log to the disk.";
    LOG_BYTES: Gauge, "holdfast_log_size_bytes", [],
        "Bytes of all entries in the log.";
    LOG_ENTRIES: Gauge, "holdfast_log_entries", [],
        "Entries in the log.";
    LOG_SEGMENTS: Gauge, "holdfast_log_segments", [],
        "Files that hold the log.";
    LOG_SPARE: Gauge, "holdfast_log_spare_ready", [],
        "1 if the next file of the log is there already. If it stays 0, the disk may be full.";
    DISK_FREE: Gauge, "holdfast_data_dir_free_bytes", [],
        "Free bytes on the disk of the data directory.";
    DISK_SIZE: Gauge, "holdfast_data_dir_size_bytes", [],
        "Size of the disk of the data directory.";
    SNAPSHOTS: Counter, "holdfast_snapshots_total", ["how"],
        "Snapshots that were written here, or received from the leader.";
    SNAPSHOT_WRITE_SECONDS: WAITS, "holdfast_snapshot_write_seconds", [],
        "Writing one snapshot.";
    SNAPSHOT_BYTES: Gauge, "holdfast_snapshot_size_bytes", [],
        "Size of the newest snapshot.";
    SNAPSHOT_INDEX: Gauge, "holdfast_snapshot_index", [],
        "Index of the last entry in the newest snapshot.";
    SNAPSHOT_AGE: Gauge, "holdfast_snapshot_age_seconds", [],
        "Since when this process has the newest snapshot.";
    LOG_SINCE_SNAPSHOT: Gauge, "holdfast_log_since_snapshot_bytes", [],
        "Bytes of log after the newest snapshot: what has to be applied again after a start.";

    // What the state holds, and what happened to it.
    SESSIONS: Gauge, "holdfast_sessions", [],
        "Sessions in the state.";
    SESSION_EVENTS: Counter, "holdfast_session_events_total", ["event"],
        "Sessions that were opened, ended by their owners, or expired.";
    COMMANDS_APPLIED: Counter, "holdfast_commands_total", ["kind"],
        "Commands that were applied, by what they are about.";
    REFUSALS: Counter, "holdfast_refusals_total", ["code"],
        "Commands and waits that the state machine has refused, by error code.";
    LOCKS: Gauge, "holdfast_locks", [],
        "Locks that are held or waited for.";
    LOCK_HOLDERS: Gauge, "holdfast_lock_holders", [],
        "Grants in force, those that keep a lock closed after an expiry included.";
    LOCK_WAITERS: Gauge, "holdfast_lock_waiters", [],
        "Requests for locks that wait.";
    LOCK_LONGEST_LINE: Gauge, "holdfast_lock_longest_line", [],
        "Waiters of the lock with the most of them.";
    LOCK_OLDEST_WAIT: Gauge, "holdfast_lock_oldest_wait_seconds", [],
        "How long the first in some line waits who waits longest.";
    LOCK_EVENTS: Counter, "holdfast_lock_events_total", ["event"],
        "Grants of locks, releases of whatever kind, and releases by force.";
    LOCK_WAITS: Counter, "holdfast_lock_waits_total", ["outcome"],
        "Waits for locks that have ended, by whether they ended in a grant.";
    LOCK_DEADLOCKS: Counter, "holdfast_lock_deadlocks_total", [],
        "Requests that were refused because to wait would have been a deadlock.";
    LOCK_WAIT_SECONDS: WAITS, "holdfast_lock_wait_seconds", [],
        "From asking for a lock to its grant, of those who had to wait. A sample.";
    LOCK_HOLD_SECONDS: WAITS, "holdfast_lock_hold_seconds", [],
        "From the grant of a lock to its release. A sample.";
    QUEUES: Gauge, "holdfast_queues", [],
        "Queues in the state.";
    QUEUE_MESSAGES: Gauge, "holdfast_queue_messages", ["queue", "place"],
        "Messages of a queue, by where they are.";
    QUEUE_BYTES: Gauge, "holdfast_queue_size_bytes", ["queue"],
        "Bytes of the messages of a queue.";
    QUEUE_FILL: Gauge, "holdfast_queue_fill_ratio", ["queue"],
        "How full a queue is, by messages or bytes, whichever is more.";
    QUEUE_OLDEST: Gauge, "holdfast_queue_oldest_seconds", ["queue"],
        "Age of the oldest message that is neither in flight nor parked.";
    QUEUE_CONSUMERS: Gauge, "holdfast_queue_consumers", ["queue"],
        "Consumers of a queue.";
    QUEUE_WAITING: Gauge, "holdfast_queue_waiting", ["queue", "who"],
        "Claims that wait for a message, and producers that wait for room.";
    QUEUE_ENQUEUED: Counter, "holdfast_queue_enqueued_total", ["queue"],
        "Messages that came in since the queue was made.";
    QUEUE_DELIVERED: Counter, "holdfast_queue_delivered_total", ["queue"],
        "Deliveries since the queue was made.";
    QUEUE_REDELIVERED: Counter, "holdfast_queue_redelivered_total", ["queue"],
        "Deliveries that were not the first of their message.";
    QUEUE_ACKED: Counter, "holdfast_queue_acked_total", ["queue"],
        "Messages that were acknowledged since the queue was made.";
    QUEUE_DEAD: Counter, "holdfast_queue_dead_total", ["queue"],
        "Messages that became dead letters since the queue was made.";
    QUEUE_REMOVED: Counter, "holdfast_queue_removed_total", ["queue"],
        "Messages that were purged, or removed because they were kept long enough.";
    QUEUE_EVENTS: Counter, "holdfast_queue_events_total", ["event"],
        "What happened to messages of all queues.";
    QUEUE_DELIVERY_SECONDS: WAITS, "holdfast_queue_delivery_seconds", [],
        "From when a message came in to a delivery of it. A sample.";
    CACHES: Gauge, "holdfast_caches", [],
        "Caches in the state.";
    CACHE_ENTRIES: Gauge, "holdfast_cache_entries", ["cache"],
        "Values in a cache.";
    CACHE_BYTES: Gauge, "holdfast_cache_size_bytes", ["cache"],
        "Bytes of the keys and values of a cache.";
    CACHE_FILL: Gauge, "holdfast_cache_fill_ratio", ["cache"],
        "How full a cache is, by entries or bytes, whichever is more.";
    CACHE_COPIES: Gauge, "holdfast_cache_copies", ["cache"],
        "Copies of a cache's lines in clients' memory.";
    CACHE_WAITING: Gauge, "holdfast_cache_waiting", ["cache"],
        "Requests that wait until copies are gone, or for a load.";
    CACHE_FILLS: Counter, "holdfast_cache_fills_total", ["cache"],
        "Reads that came to the cluster for a copy since the cache was made.";
    CACHE_WRITES: Counter, "holdfast_cache_writes_total", ["cache"],
        "Values that were written or deleted since the cache was made.";
    CACHE_RECALLS: Counter, "holdfast_cache_recalls_total", ["cache"],
        "Times that a client was asked to let a copy go since the cache was made.";
    CACHE_EXPIRED: Counter, "holdfast_cache_expired_total", ["cache"],
        "Values whose time was over since the cache was made.";
    CACHE_EVICTED: Counter, "holdfast_cache_evicted_total", ["cache"],
        "Values that were removed for want of room since the cache was made.";
    CACHE_CLIENT_HITS: Counter, "holdfast_cache_client_hits_total", ["cache"],
        "Reads that clients say were answered from their own memory.";
    CACHE_CLIENT_MISSES: Counter, "holdfast_cache_client_misses_total", ["cache"],
        "Reads for which clients say that they had to ask.";
    CACHE_INVALIDATIONS: Counter, "holdfast_cache_invalidations_total", ["event"],
        "Copies that were asked for, given up, or left behind by a session that ended.";
    CACHE_INVALIDATION_SECONDS: WAITS, "holdfast_cache_invalidation_seconds", [],
        "From when a client was asked for a copy until it had let it go.";

    // Who is here, and what is said.
    STREAMS: Gauge, "holdfast_streams", [],
        "Session streams that are attached to this node.";
    GRPC_REQUESTS: Counter, "holdfast_grpc_requests_total", ["service", "method", "code", "from"],
        "Calls that have ended, by gRPC status, and whether a client or another node has called.";
    GRPC_SECONDS: WAITS, "holdfast_grpc_request_seconds", ["service"],
        "How long calls took, streams excepted.";
    HTTP_REQUESTS: Counter, "holdfast_http_requests_total", ["route", "method", "code"],
        "HTTP requests that have ended, by status.";
    HTTP_SECONDS: WAITS, "holdfast_http_request_seconds", [],
        "How long HTTP requests took.";
    WATCHES: Gauge, "holdfast_watches", [],
        "Watches at this node.";
    WATCH_WAITING: Gauge, "holdfast_watch_events_waiting", [],
        "Events that wait to be handed to watches.";
    WATCHES_CUT: Counter, "holdfast_watches_cut_total", ["reason"],
        "Watches that were too slow, or asked for what is gone.";
    WATCH_EVENTS: Counter, "holdfast_watch_events_total", [],
        "Events that this node has applied, for whoever watches.";
    WATCH_DELIVERED: Counter, "holdfast_watch_delivered_total", [],
        "Events that were handed to watches, each as often as it was.";
    CONNECTIONS: Gauge, "holdfast_connections", ["port"],
        "Open connections.";
    CONNECTIONS_ACCEPTED: Counter, "holdfast_connections_accepted_total", ["port"],
        "Connections that were accepted.";
    CONNECTIONS_REFUSED: Counter, "holdfast_connections_refused_total", ["port"],
        "Connections that were closed at once, because there were too many.";
    RECEIVED_BYTES: Counter, "holdfast_received_bytes_total", ["port"],
        "Bytes that came in.";
    SENT_BYTES: Counter, "holdfast_sent_bytes_total", ["port"],
        "Bytes that went out.";

    // The process, of which several nodes may be part.
    PROCESS_MEMORY: Gauge, "process_resident_memory_bytes", [],
        "Memory of the process.";
    PROCESS_FDS: Gauge, "process_open_fds", [],
        "Open file descriptors of the process.";
    PROCESS_MAX_FDS: Gauge, "process_max_fds", [],
        "How many file descriptors the process may have.";
    PROCESS_THREADS: Gauge, "process_threads", [],
        "Threads of the process.";
    PROCESS_START: Gauge, "process_start_time_seconds", [],
        "When the process began, in seconds since 1970.";
    PROCESS_CPU: Counter, "process_cpu_seconds_total", [],
        "Time on a processor, in user and in system mode.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What `docs/guide/metrics.md` says: name, kind, labels.
    fn page() -> BTreeMap<String, (String, Vec<String>)> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide/metrics.md");
        let text = std::fs::read_to_string(path).expect("the page is there");
        let rows = text
            .lines()
            .filter(|line| line.starts_with("| `holdfast_") || line.starts_with("| `process_"));
        let row = |line: &str| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let bare = |text: &str| text.trim_matches('`').to_owned();
            let labels = cells[3].split(", ").filter(|label| !label.is_empty());
            (bare(cells[1]), (cells[2].to_owned(), labels.map(bare).collect()))
        };
        rows.map(row).collect()
    }

    #[test]
    fn the_page_and_the_catalog_say_the_same() {
        let kind = |kind: &Kind| match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let owned = |labels: &[&str]| labels.iter().map(ToString::to_string).collect();
        let catalog: BTreeMap<String, (String, Vec<String>)> = ALL
            .iter()
            .map(|f| (f.name.to_owned(), (kind(&f.kind).to_owned(), owned(f.labels))))
            .collect();
        assert_eq!(catalog.len(), ALL.len(), "a name stands twice in the catalog");
        let page = page();
        for (name, what) in &catalog {
            assert_eq!(Some(what), page.get(name), "{name} on docs/guide/metrics.md");
        }
        for name in page.keys() {
            assert!(catalog.contains_key(name), "{name} is on the page but is not exported");
        }
    }

    #[test]
    fn names_say_what_the_figures_are() {
        for family in ALL {
            let is_counter = matches!(family.kind, Kind::Counter);
            assert_eq!(family.name.ends_with("_total"), is_counter, "{}", family.name);
            assert!(family.help.ends_with('.') && family.help.len() < 100, "{}", family.name);
            if let Kind::Histogram(buckets) = family.kind {
                assert!(buckets.is_sorted() && buckets.len() < 20, "{}", family.name);
            }
        }
    }
}
