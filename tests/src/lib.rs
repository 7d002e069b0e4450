//! What the proofs of Holdfast share: clusters in this process and clusters of real processes.

pub mod local;
pub mod processes;
