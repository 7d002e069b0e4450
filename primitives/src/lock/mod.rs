//! Locks: exclusive, shared, and permits; one at a time or several together; first come first
//! served.
//!
//! ```text
//! acquire.rs  asks     -> granted at once, refused, or into line (deadlock.rs, policy.rs)
//! release.rs  gives up -> settle.rs: whoever is next in line is granted, in the same step
//! change.rs   upgrade, downgrade
//! promise.rs  tells a session which of its own requests is next, so that it need not ask
//! ```
//!
//! Rules:
//! - A request in line lets nobody pass who came later, except that those who share may pass each
//!   other. So a writer never starves, and neither does who wants many permits or many locks.
//! - A request for several locks stands in the line of each, under one ticket, and is granted on
//!   all of them by one token, at one revision.
//! - An upgrade stands before all others: they wait for the grant that it is to replace.
//! - A grant whose session expired may leave a *ghost*, which holds the lock until its delay is
//!   over and is nobody's.
//! - A lock that nobody holds and nobody waits for is not in the map.

mod acquire;
mod change;
pub(crate) mod codec;
mod deadlock;
mod graph;
mod mode;
mod policy;
mod promise;
mod release;
mod settle;
mod state;
pub(crate) mod stored;
mod terms;

pub(crate) use acquire::Asker;
pub use graph::Edge;
pub use mode::{Mode, Names, Want, Wants, WantsError};
pub(crate) use state::{Class, Ghost, Holder, Holders, Lock, Place, Waiter};
pub use terms::{Guard, Policy, Terms};
