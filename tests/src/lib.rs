//! What the proofs of Holdfast share: clusters in this process and the simulation.

pub mod local;
pub mod sim;
