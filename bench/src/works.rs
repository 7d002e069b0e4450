//! What can be measured: the work that every client repeats, and the shape of the client side.

use clap::ValueEnum;
use serde::Serialize;

use crate::error::BenchError;

/// What one client does, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Work {
    /// Lock and unlock a name that no other client uses; an op is the pair
    Lock,
    /// Lock and unlock the one name that all clients want; an op is the pair
    LockContended,
    /// Lock and unlock names that nobody has used before; an op is the pair
    LockNewNames,
    /// Enqueue 256 B in the one queue of all, wait for any message, ack it; an op is the whole life
    /// of a message
    Queue,
    /// The same, but nobody waits for the confirmation of an ack; an op ends when that is sent
    QueueAckLater,
    /// Half of the clients enqueue 256 B, 64 at a time each, the others receive and ack them; an op
    /// is a message that was acked
    QueueFlow,
    /// Read one of 100 keys again and again; whoever has copies reads those
    CacheHit,
    /// Read one of 100 keys from the servers, linearizably
    CacheRead,
    /// Write 256 B under one of 100 keys of one's own
    CacheWrite,
    /// Of 10,000 keys that all share read one, or, once in 20 times, write 256 B to it
    CacheMix,
}

/// What a system must have for a work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Locks,
    Queues,
    Cache,
}

impl Work {
    pub(crate) const ALL: [Self; 10] = [
        Self::Lock,
        Self::LockContended,
        Self::LockNewNames,
        Self::Queue,
        Self::QueueAckLater,
        Self::QueueFlow,
        Self::CacheHit,
        Self::CacheRead,
        Self::CacheWrite,
        Self::CacheMix,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::LockContended => "lock-contended",
            Self::LockNewNames => "lock-new-names",
            Self::Queue => "queue",
            Self::QueueAckLater => "queue-ack-later",
            Self::QueueFlow => "queue-flow",
            Self::CacheHit => "cache-hit",
            Self::CacheRead => "cache-read",
            Self::CacheWrite => "cache-write",
            Self::CacheMix => "cache-mix",
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Lock | Self::LockContended | Self::LockNewNames => Kind::Locks,
            Self::Queue | Self::QueueAckLater | Self::QueueFlow => Kind::Queues,
            Self::CacheHit | Self::CacheRead | Self::CacheWrite | Self::CacheMix => Kind::Cache,
        }
    }

    /// With fewer clients the work makes no sense.
    pub(crate) fn clients_min(self) -> usize {
        match self {
            Self::QueueFlow => 2,
            Self::Lock
            | Self::LockContended
            | Self::LockNewNames
            | Self::Queue
            | Self::QueueAckLater
            | Self::CacheHit
            | Self::CacheRead
            | Self::CacheWrite
            | Self::CacheMix => 1,
        }
    }

    /// Whether every op is on a lock of its own.
    pub(crate) fn takes_new_names(self) -> bool {
        self == Self::LockNewNames
    }

    /// The lock that `client` uses, if the work is about locks. After a failure nobody knows
    /// whether the old name is still held, so a client with a name of its own takes the next
    /// `generation` of it. So does, after every op, one that is to take new names.
    pub(crate) fn lock_name(self, client: usize, generation: u64) -> String {
        match self {
            Self::Lock if generation == 0 => format!("bench/own/{client}"),
            Self::Lock => format!("bench/own/{client}/{generation}"),
            Self::LockContended => "bench/contended".to_owned(),
            Self::LockNewNames => format!("bench/new/{client}/{generation}"),
            Self::Queue
            | Self::QueueAckLater
            | Self::QueueFlow
            | Self::CacheHit
            | Self::CacheRead
            | Self::CacheWrite
            | Self::CacheMix => String::new(),
        }
    }
}

/// How the clients reach the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shape {
    /// One process, many tasks, the few connections its client opens by itself
    Shared,
    /// Every client with a connection and a session of its own
    Separate,
}

impl Shape {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Separate => "separate",
        }
    }
}

/// One cell of the table: everything but the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) work: Work,
    pub(crate) shape: Shape,
    pub(crate) clients: usize,
}

impl Cell {
    /// Every combination, in the order in which they are measured and printed.
    pub(crate) fn all(works: &[Work], shapes: &[Shape], clients: &[usize]) -> Vec<Self> {
        let mut cells = Vec::new();
        for &work in works {
            for &shape in shapes {
                for &clients in clients {
                    cells.push(Self { work, shape, clients });
                }
            }
        }
        cells
    }

    /// Refuses a cell whose clients cannot do their work.
    pub(crate) fn check_sense(&self) -> Result<(), BenchError> {
        let (work, clients_min) = (self.work.name(), self.work.clients_min());
        if self.clients >= clients_min {
            return Ok(());
        }
        Err(BenchError::Senseless(format!("--work {work} needs at least {clients_min} clients")))
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (work, shape) = (self.work.name(), self.shape.name());
        let plural = if self.clients == 1 { "" } else { "s" };
        write!(f, "{work}, {shape}, {} client{plural}", self.clients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_in_reading_order() {
        let cells = Cell::all(&[Work::Lock], &[Shape::Shared, Shape::Separate], &[1, 64]);
        let text: Vec<_> = cells.iter().map(Cell::to_string).collect();
        assert_eq!(
            text,
            [
                "lock, shared, 1 client",
                "lock, shared, 64 clients",
                "lock, separate, 1 client",
                "lock, separate, 64 clients",
            ]
        );
    }

    #[test]
    fn only_own_names_change_after_a_failure() {
        assert_ne!(Work::Lock.lock_name(1, 0), Work::Lock.lock_name(2, 0));
        assert_ne!(Work::Lock.lock_name(1, 0), Work::Lock.lock_name(1, 1));
        let contended = Work::LockContended;
        assert_eq!(contended.lock_name(1, 0), contended.lock_name(2, 3));
    }
}
