//! What clients did to the keys of a cache and what they were told, and whether that can be
//! explained: by one order of all operations on a key, in which each took effect at one moment
//! between its call and its end.
//!
//! A read that was answered from a copy is a read like any other. An operation of unknown outcome
//! may take effect at any later moment, or never; one that has failed has not. The orders are
//! searched by porcupine ([`register`]); what can be told without a search is looked at first
//! ([`versions`]), because it says more plainly what is wrong.

mod key;
mod register;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use key::Judgement;

/// The search through the orders of one key is given up after so many attempts to place an
/// operation. An honest history needs few more than it has operations.
const STEPS_MAX: u64 = 5_000_000;

/// What is done to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// It is read, from a copy or not.
    Get,
    /// A value is stored.
    Put {
        /// Unique in the history.
        value: String,
        /// After so long it may go by itself, on the clock of the history.
        ttl: Option<u64>,
    },
    /// A value is stored if there is this version; zero: if there is nothing.
    CompareAndPut {
        /// What is expected.
        version: u64,
        /// Unique in the history.
        value: String,
        /// As that of a put.
        ttl: Option<u64>,
    },
    /// It is removed.
    Delete,
    /// So much is added. Whoever adds to a key must not put anything into it.
    Add {
        /// How much.
        number: i64,
    },
    /// A value is written in the memory of its owner, and lost with the owner's session unless it
    /// was flushed.
    WriteBack {
        /// Unique in the history.
        value: String,
    },
    /// What the owner has written is to be lost no more.
    Flush,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Came {
    /// It may have taken effect, or may do so later.
    Unknown,
    /// It has not taken effect, and will not.
    Failed,
    /// A value with its version, or nothing.
    Read(Option<(u64, String)>),
    /// It was stored, with this version.
    Written(u64),
    /// There was another version.
    Differed,
    /// It was removed, if there was anything.
    Deleted(bool),
    /// What the number has come to.
    Sum(i64),
    /// That which has no answer was done.
    Done,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Which client.
    pub client: u64,
    /// By which of its sessions.
    pub session: u64,
    /// On which key.
    pub key: String,
    /// When it began.
    pub call: u64,
    /// When it was over. If it never was, nobody knows what has become of it.
    pub end: Option<u64>,
    /// What was to be done.
    pub what: What,
    /// What came of it.
    pub came: Came,
}

/// Where operations are written down.
pub trait Record: Clone + Send + Sync + 'static {
    /// What the clock shows that all clients share.
    fn now(&self) -> u64;

    /// An operation begins. Answers by which number it ends.
    fn begin(&self, operation: Operation) -> usize;

    /// It is over.
    fn end(&self, number: usize, came: Came);

    /// Something was done, so often.
    fn count(&self, what: &'static str, times: u64);

    /// Something must not have happened.
    fn violated(&self, how: String);
}

/// All operations, on a clock that all clients share.
#[derive(Clone, Debug, Default)]
pub struct History {
    operations: Vec<Operation>,
    /// Sessions that were lost: what they wrote in memory alone may be lost too.
    lost: BTreeSet<u64>,
}

impl History {
    /// An operation begins. Answers by which number it ends.
    pub fn begin(&mut self, operation: Operation) -> usize {
        self.operations.push(operation);
        self.operations.len() - 1
    }

    /// An operation is over.
    pub fn end(&mut self, number: usize, came: Came, at: u64) {
        if let Some(operation) = self.operations.get_mut(number) {
            operation.end = Some(at);
            operation.came = came;
        }
    }

    /// A session has ended, and not in good order.
    pub fn lost(&mut self, session: u64) {
        self.lost.insert(session);
    }

    /// All sessions that this client has had so far have ended, and not in good order.
    pub fn lost_by(&mut self, client: u64) {
        let of_client = self.operations.iter().filter(|o| o.client == client);
        self.lost.extend(of_client.map(|o| o.session));
    }

    /// How many operations there are of which it is known what they have done.
    pub fn known(&self) -> usize {
        let is_known = |o: &&Operation| !matches!(o.came, Came::Unknown | Came::Failed);
        self.operations.iter().filter(is_known).count()
    }

    /// All operations, in the order in which they were added.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// What cannot be explained, key by key. Empty if all is well.
    pub fn violations(&self) -> Vec<String> {
        self.violations_within(STEPS_MAX)
    }

    fn violations_within(&self, steps_max: u64) -> Vec<String> {
        let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
        for operation in &self.operations {
            keys.entry(&operation.key).or_default().push(operation);
        }
        let mut violations = Vec::new();
        for (key, operations) in keys {
            let wrong = versions::violations(&operations);
            if !wrong.is_empty() {
                violations.extend(wrong.into_iter().map(|what| format!("{key}: {what}")));
                continue;
            }
            match key::judge(&operations, &self.lost, steps_max) {
                Judgement::Explained => {}
                Judgement::Wrong(what) => violations.push(format!("{key}: {what}")),
                Judgement::GivenUp => violations.push(format!(
                    "{key}: no order of {} operations was found in {steps_max} steps",
                    operations.len()
                )),
            }
        }
        violations
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { client, session, call, end, what, came, .. } = self;
        write!(f, "client {client} (session {session}) at {call}")?;
        match end {
            Some(end) => write!(f, " to {end}: ")?,
            None => write!(f, " and on: ")?,
        }
        match (what, came) {
            (What::Get, Came::Read(Some((version, value)))) => {
                write!(f, "read {value:?}, version {version}")
            }
            (What::Get, Came::Read(None)) => f.write_str("read nothing"),
            _ => write!(f, "{what:?} came to {came:?}"),
        }
    }
}
