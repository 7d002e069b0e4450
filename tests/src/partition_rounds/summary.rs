//! What came of rounds of nodes that were cut off.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Kind;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How often each kind of cut was there, second cuts of a round included.
    pub kinds: BTreeMap<Kind, u32>,
    /// Grants and releases that were acknowledged.
    pub acknowledged: u64,
    /// Messages that were done with.
    pub acked: u64,
    /// Grants that were found again in the cluster's state, over all rounds.
    pub confirmed: usize,
    /// How often a node that was alone refused to answer.
    pub refused: u64,
    /// How often somebody was left who could have a quorum, for long enough to demand that it
    /// answers.
    pub went_on: u32,
    /// The longest time without an answer after the leader was cut off, and after another cut.
    pub longest_gaps: [Duration; 2],
    /// The longest time until all had caught up, and until all clients had gone on.
    pub longest_recovery: [Duration; 2],
    /// Short sessions that were lost.
    pub lost: u64,
    /// Elections in rounds in which the leader could always have had a quorum.
    pub needless_elections: u64,
    /// The hash that all nodes had at the end.
    pub state_hash: u64,
}
