//! Deterministic simulation: three real nodes and several real clients on a simulated network,
//! clock and disk, all in one thread.
//!
//! A run is decided by its seed alone: which link breaks when, which node crashes, what its disk
//! forgets, who asks for which lock. First there are faults, then they end, and then everything
//! must come to rest: a leader, equal states, and a lock for everyone who asks.
//!
//! ```text
//! faults.rs    what goes wrong when            nodes.rs    the servers
//! workload.rs  what the clients do             network.rs  how both are wired to the simulator
//! visits.rs    how they ask for locks          queue_visits.rs  how they use the queue
//! cache_visits.rs  how they use the cache      refusals.rs  what they may be refused
//! ledger.rs    what the clients were told      invariants.rs  what must hold after every step
//!                                              (fairness.rs, deadlocks.rs, copies.rs: three of
//!                                              them)
//! ```
//!
//! One run per process: the process-wide random numbers are drawn from the seed (see the `sim`
//! binary), so a second run in the same process would not begin where the first began.

mod cache_visits;
mod copies;
mod deadlocks;
mod fairness;
mod faults;
mod invariants;
mod ledger;
mod network;
mod nodes;
mod plan;
mod queue_visits;
mod refusals;
mod run;
mod visits;
mod workload;

pub use plan::{Plan, Planted};
pub use run::{Report, TOO_LITTLE, run};
