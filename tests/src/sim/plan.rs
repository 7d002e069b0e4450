//! What one run does, decided before it starts.

use std::time::Duration;

use holdfast_server::Settings;

/// The longest that a message takes on a link in good health.
pub(super) const LATENCY_MAX: Duration = Duration::from_millis(4);

/// How big a run is.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides everything else.
    pub seed: u64,
    /// Nodes in the cluster.
    pub nodes: u64,
    /// Clients that contend.
    pub clients: u64,
    /// Locks that they contend for.
    pub locks: u64,
    /// How long things go wrong.
    pub faulty: Duration,
    /// How long there is peace afterwards, at most.
    pub calm: Duration,
    /// A mistake that is made on purpose, to see that it is found.
    pub planted: Option<Planted>,
    /// Print every event as it happens.
    pub trace: bool,
}

impl Plan {
    /// The usual size.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            nodes: 3,
            clients: 5,
            locks: 3,
            faulty: Duration::from_secs(20),
            calm: Duration::from_secs(40),
            planted: None,
            trace: false,
        }
    }

    /// How many bytes of log a node keeps behind a snapshot, beside the bound in entries: in some
    /// runs almost nothing, so that more nodes come back by a snapshot.
    pub(super) fn keep_bytes(&self) -> u64 {
        if self.seed.is_multiple_of(4) { 600 } else { Settings::default().keep_bytes }
    }
}

/// Mistakes that the simulation must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// The log says "written" before it is synced.
    AcknowledgeBeforeSync,
    /// A snapshot leaves out which requests were answered.
    ForgetDedupInSnapshot,
    /// A lock goes to a waiter whose session is gone.
    GrantDeadWaiter,
    /// Who wants to share passes those that wait to exclude.
    OvertakeWriter,
    /// The search for deadlocks overlooks something.
    SkipCycleEdge,
    /// Guards are not looked at.
    DropGuardCheck,
    /// A message that was given back gets the last place.
    RedeliverAtTail,
    /// What is in flight is left out of a snapshot.
    LoseInFlight,
    /// A message that comes back from who had it is gone.
    LoseReturned,
    /// A write becomes visible before copies are let go.
    VisibleBeforeLetGo,
    /// Who has copies is left out of a snapshot.
    ForgetCopiesInSnapshot,
    /// A client reads from copies when its lease is over.
    ServeAfterLease,
    /// A client keeps what it was told before a recall, or before it wrote itself.
    OldFillOverwrites,
    /// By which tokens waiters were promised to be granted is left out of a snapshot.
    ForgetPromisesInSnapshot,
    /// A client hands a lock on before it was given back.
    TakeTurnsEarly,
}

impl Planted {
    const ALL: [Self; 15] = [
        Self::AcknowledgeBeforeSync,
        Self::ForgetDedupInSnapshot,
        Self::GrantDeadWaiter,
        Self::OvertakeWriter,
        Self::SkipCycleEdge,
        Self::DropGuardCheck,
        Self::RedeliverAtTail,
        Self::LoseInFlight,
        Self::LoseReturned,
        Self::VisibleBeforeLetGo,
        Self::ForgetCopiesInSnapshot,
        Self::ServeAfterLease,
        Self::OldFillOverwrites,
        Self::ForgetPromisesInSnapshot,
        Self::TakeTurnsEarly,
    ];
}

impl std::fmt::Display for Planted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AcknowledgeBeforeSync => "acknowledge-before-sync",
            Self::ForgetDedupInSnapshot => "forget-dedup-in-snapshot",
            Self::GrantDeadWaiter => "grant-dead-waiter",
            Self::OvertakeWriter => "overtake-writer",
            Self::SkipCycleEdge => "skip-cycle-edge",
            Self::DropGuardCheck => "drop-guard-check",
            Self::RedeliverAtTail => "redeliver-at-tail",
            Self::LoseInFlight => "lose-in-flight",
            Self::LoseReturned => "lose-returned",
            Self::VisibleBeforeLetGo => "visible-before-let-go",
            Self::ForgetCopiesInSnapshot => "forget-copies-in-snapshot",
            Self::ServeAfterLease => "serve-after-lease",
            Self::OldFillOverwrites => "old-fill-overwrites",
            Self::ForgetPromisesInSnapshot => "forget-promises-in-snapshot",
            Self::TakeTurnsEarly => "take-turns-early",
        })
    }
}

impl std::str::FromStr for Planted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|planted| planted.to_string() == text);
        known.ok_or_else(|| {
            let names: Vec<String> = Self::ALL.iter().map(ToString::to_string).collect();
            format!("no such mistake can be planted; these can: {}", names.join(", "))
        })
    }
}
