//! What is checked: how much may happen, in several scenes.
//!
//! A scene allows everything of one part of the protocol to go together, and little else: all of it
//! at once is more than can be looked at.

/// How often what may happen in a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bounds {
    /// Reads of each client that ask the cluster. Those that find the line are without number.
    pub fills: u8,
    /// Writes of all clients.
    pub writes: u8,
    /// Requests to own the line.
    pub owns: u8,
    /// Lines that are evicted, or given back by their owner.
    pub evictions: u8,
    /// Streams that break.
    pub breaks: u8,
    /// Requests that linger when a stream breaks, and are carried out later.
    pub lingering: u8,
    /// Leaders that die, which breaks all streams.
    pub failovers: u8,
    /// Leases that end.
    pub expiries: u8,
    /// Sessions that are closed.
    pub closes: u8,
    /// Fills that a client has under way at the same time.
    pub fills_at_once: u8,
    /// Whether anything may happen between a look-up and the look at the lease.
    pub slow_hits: bool,
    /// Whether anything may happen between the answer to a fill and the installing of its line.
    pub slow_installs: bool,
    /// Whether writes depend on the value that their client has read last.
    pub guarded: bool,
    /// Whether owners flush without being recalled, and keep the line.
    pub flushes_early: bool,
}

/// A part of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// Shared copies and writes, with a stream that breaks and a lease that ends.
    Shared,
    /// Shared copies that are evicted and filled again.
    Evicting,
    /// Shared copies and writes, with a leader that dies.
    FailingOver,
    /// Tasks that are interrupted, leases that end, clients that close.
    Interrupted,
    /// Several fills of one client under way together.
    Overlapping,
    /// An owner, with a stream that breaks and a lease that ends.
    Owned,
    /// An owner that flushes from time to time, and others that write as well.
    Flushing,
    /// Two that want to own the line.
    TwoOwners,
    /// An owner, with a leader that dies.
    OwnedFailingOver,
    /// An owner, with requests that linger.
    Lingering,
    /// Writes that depend on what was read.
    Guarded,
}

impl Scene {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Shared,
        Self::Evicting,
        Self::FailingOver,
        Self::Interrupted,
        Self::Overlapping,
        Self::Owned,
        Self::Flushing,
        Self::TwoOwners,
        Self::OwnedFailingOver,
        Self::Lingering,
        Self::Guarded,
    ];

    /// How much happens in it. With a depth, so many fills more of each client, and evictions where
    /// they cost most.
    pub fn bounds(self, depth: u8) -> Bounds {
        let base = Bounds { fills: 1, writes: 1, fills_at_once: 1, ..Bounds::default() };
        let scene = match self {
            Self::Shared => Bounds { writes: 2, breaks: 1, expiries: 1, ..base },
            Self::Evicting => Bounds { fills: 2, breaks: 1, evictions: 1, ..base },
            Self::FailingOver => Bounds { writes: 2, failovers: 1, breaks: 1, ..base },
            Self::Interrupted => {
                Bounds { expiries: 1, closes: 1, slow_hits: true, slow_installs: true, ..base }
            }
            Self::Overlapping => {
                let installs = Bounds { slow_installs: true, fills_at_once: 2, ..base };
                Bounds { fills: 2, evictions: depth.min(1), ..installs }
            }
            Self::Owned => Bounds { owns: 1, breaks: 1, expiries: 1, ..base },
            Self::Flushing => Bounds { writes: 2, owns: 1, flushes_early: true, ..base },
            Self::TwoOwners => Bounds { owns: 2, ..base },
            Self::OwnedFailingOver => Bounds { owns: 1, failovers: 1, ..base },
            Self::Lingering => {
                let evictions = depth.min(1);
                Bounds { owns: 1, breaks: 1, lingering: 1, evictions, ..base }
            }
            Self::Guarded => Bounds { writes: 2, breaks: 1, lingering: 1, guarded: true, ..base },
        };
        Bounds { fills: scene.fills + depth, ..scene }
    }
}
