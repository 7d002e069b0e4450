//! What the runner can do, a file per command.

pub(crate) mod compare;
pub(crate) mod failover;
pub(crate) mod memory;
mod rounds;
pub(crate) mod single;
pub(crate) mod soak;
pub(crate) mod watchers;
