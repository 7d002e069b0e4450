//! What the clients were told, kept outside of the simulation where no fault reaches it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A client's belief that it holds a lock.
#[derive(Clone, Debug)]
pub(super) struct Belief {
    pub(super) client: u64,
    pub(super) session: u64,
    pub(super) token: u64,
}

/// Counts of what was done, to tell a run that proves something from one that idled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Grants that clients were told of.
    pub grants: u64,
    /// Releases that were confirmed.
    pub releases: u64,
    /// Requests that ended without a known outcome.
    pub unknown: u64,
    /// Requests that were refused or found nobody.
    pub refused: u64,
    /// Sessions that were lost.
    pub sessions_lost: u64,
    /// Sessions that were opened.
    pub sessions: u64,
    /// Nodes that crashed.
    pub crashes: u64,
    /// Links that were cut.
    pub cuts: u64,
}

#[derive(Default)]
pub(super) struct Book {
    pub(super) done: Done,
    /// Who believes to hold which lock at this moment.
    pub(super) beliefs: BTreeMap<String, Vec<Belief>>,
    /// The largest token that anybody was told of, by lock.
    pub(super) largest: BTreeMap<String, u64>,
    pub(super) violations: Vec<String>,
    /// Everything that happened, for the fingerprint of the run.
    pub(super) fingerprint: u64,
    pub(super) lines: u64,
    trace: bool,
}

/// The shared book. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Book>>);

impl Ledger {
    pub(super) fn new(trace: bool) -> Self {
        Self(Arc::new(Mutex::new(Book { trace, ..Book::default() })))
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("no holder of this lock panics")
    }

    /// Notes that something happened at this moment of the simulation.
    pub(super) fn note(&self, at: Duration, what: &str) {
        let mut book = self.book();
        let line = format!("{:>9.3} {what}", at.as_secs_f64() * 1e3);
        for byte in line.bytes() {
            book.fingerprint = (book.fingerprint ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        book.lines += 1;
        if book.trace {
            println!("{line}");
        }
    }

    /// A client was told that it has the lock. `floor` is the largest token known when it asked.
    pub(super) fn granted(&self, name: &str, belief: Belief, floor: u64) {
        let mut book = self.book();
        book.done.grants += 1;
        if belief.token <= floor {
            let violation = format!(
                "client {} was granted {name} with token {} after {floor} had been seen",
                belief.client, belief.token
            );
            book.violations.push(violation);
        }
        let largest = book.largest.entry(name.to_owned()).or_default();
        *largest = (*largest).max(belief.token);
        let holders = book.beliefs.entry(name.to_owned()).or_default();
        holders.push(belief);
        if holders.len() > 1 {
            let violation = format!("{name} has two holders at once: {holders:?}");
            book.violations.push(violation);
        }
    }

    /// A client gives the lock up, or has lost it: it acts on it no longer.
    pub(super) fn disbelieved(&self, name: &str, token: u64) {
        let mut book = self.book();
        if let Some(holders) = book.beliefs.get_mut(name) {
            holders.retain(|belief| belief.token != token);
        }
    }

    /// The largest token that anybody has been told of.
    pub(super) fn floor(&self, name: &str) -> u64 {
        self.book().largest.get(name).copied().unwrap_or_default()
    }
}
