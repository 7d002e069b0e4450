//! What one run does, decided before it starts.

use std::time::Duration;

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
}

impl std::str::FromStr for Planted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "acknowledge-before-sync" => Ok(Self::AcknowledgeBeforeSync),
            "forget-dedup-in-snapshot" => Ok(Self::ForgetDedupInSnapshot),
            "grant-dead-waiter" => Ok(Self::GrantDeadWaiter),
            other => Err(format!(
                "{other:?} is not a mistake that can be planted: acknowledge-before-sync, \
                 forget-dedup-in-snapshot, grant-dead-waiter"
            )),
        }
    }
}
