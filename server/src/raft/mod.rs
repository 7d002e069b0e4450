//! Consensus: from a command to its place in every node's log, and on to the state machine.

pub mod types;
