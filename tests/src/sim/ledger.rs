//! What the clients were told and what was done to them, kept outside of the simulation where no
//! fault reaches it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::plan::Plan;
use crate::accounts::Accounts;
use crate::history::History;

/// A client's belief that it holds a lock.
#[derive(Clone, Debug)]
pub(super) struct Belief {
    pub(super) client: u64,
    pub(super) session: u64,
    pub(super) token: u64,
    pub(super) held: Held,
    /// An administrator takes it away, and the client may not know yet.
    pub(super) forced: bool,
}

/// How somebody holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Exclusive,
    Shared,
    Permits { count: u32, of: u32 },
}

/// A client's belief that its session lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub(super) session: u64,
    /// On the simulated clock.
    pub(super) until: Duration,
}

/// Counts of what was done while things went wrong, to tell a run that proves something from one
/// that idled. What is done in peace afterwards is not counted: that is the same in every run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done(BTreeMap<&'static str, u64>);

impl Done {
    /// How often this was done.
    pub fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    /// Everything, in the order of the alphabet.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(what, count)| (*what, *count))
    }

    fn add(&mut self, what: &'static str, times: u64) {
        *self.0.entry(what).or_default() += times;
    }
}

#[derive(Default)]
pub(super) struct Book {
    pub(super) done: Done,
    /// Who believes to hold which lock at this moment.
    pub(super) beliefs: BTreeMap<String, Vec<Belief>>,
    /// Which client believes in which session, and how long.
    pub(super) leases: BTreeMap<u64, Lease>,
    /// The clients that have had all that they wanted.
    pub(super) content: BTreeSet<u64>,
    /// What became of every message.
    pub(super) accounts: Accounts,
    /// What was done to the keys of the cache.
    pub(super) history: History,
    /// The newest revision that any node was seen at, whether it still runs or not.
    pub(super) newest: u64,
    pub(super) violations: Vec<String>,
    /// A hash over everything that happened.
    pub(super) fingerprint: u64,
    pub(super) lines: u64,
    /// The tokens of grants that an administrator has taken away, or has tried to.
    forced: BTreeSet<u64>,
    /// The largest token that anybody was told of, by lock.
    largest: BTreeMap<String, u64>,
    now: Duration,
    /// When peace begins.
    faulty: Duration,
    /// The last reading of the clock on which the history is written down.
    stamp: u64,
    trace: bool,
}

impl Book {
    fn count(&mut self, what: &'static str, times: u64) {
        if self.now < self.faulty {
            self.done.add(what, times);
        }
    }
}

/// The shared book. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Book>>);

impl Ledger {
    pub(super) fn new(plan: &Plan) -> Self {
        let Plan { trace, faulty, .. } = *plan;
        Self(Arc::new(Mutex::new(Book { trace, faulty, ..Book::default() })))
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("no holder of this lock panics")
    }

    /// The next step begins.
    pub(super) fn show(&self, now: Duration) {
        self.book().now = now;
    }

    /// A moment on the simulated clock in nanoseconds, later than all that were told before: within
    /// a step the clock stands still, yet one thing comes after the other.
    pub(super) fn stamp(&self) -> u64 {
        let mut book = self.book();
        let now = u64::try_from(book.now.as_nanos()).unwrap_or(u64::MAX);
        book.stamp = now.max(book.stamp + 1);
        book.stamp
    }

    /// When the current step began.
    pub(super) fn now(&self) -> Duration {
        self.book().now
    }

    pub(super) fn count(&self, what: &'static str) {
        self.count_many(what, 1);
    }

    pub(super) fn count_many(&self, what: &'static str, times: u64) {
        self.book().count(what, times);
    }

    pub(super) fn violated(&self, how: String) {
        self.book().violations.push(how);
    }

    /// Notes that something happened.
    pub(super) fn note(&self, what: &str) {
        let mut book = self.book();
        let line = format!("{:>6} ms  {what}", book.now.as_millis());
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
        book.count("grants", 1);
        if belief.token <= floor {
            let violation = format!(
                "client {} was granted {name} with token {} after {floor} had been seen",
                belief.client, belief.token
            );
            book.violations.push(violation);
        }
        let largest = book.largest.entry(name.to_owned()).or_default();
        *largest = (*largest).max(belief.token);
        // A grant that was changed has the token of the one that was taken away before.
        let forced = belief.forced || book.forced.contains(&belief.token);
        let holders = book.beliefs.entry(name.to_owned()).or_default();
        holders.push(Belief { forced, ..belief });
        if let Some(how) = exclusion_broken(holders) {
            let violation = format!("{name} has {how}: {holders:?}");
            book.violations.push(violation);
        }
    }

    /// An administrator is about to take a lock from somebody who believes in it: by this token.
    pub(super) fn about_to_force(&self, name: &str) -> Option<u64> {
        let mut book = self.book();
        let book = &mut *book;
        let belief = book.beliefs.get_mut(name)?.last_mut()?;
        belief.forced = true;
        book.forced.insert(belief.token);
        Some(belief.token)
    }

    /// Whether an administrator has taken, or may have taken, a lock with this token away.
    pub(super) fn was_forced(&self, token: u64) -> bool {
        self.book().forced.contains(&token)
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

    /// A client counts on its session for so long from now.
    pub(super) fn session_lives(&self, client: u64, session: u64, left: Duration) {
        let mut book = self.book();
        let until = book.now + left;
        book.leases.insert(client, Lease { session, until });
    }

    /// The client has ended its session, or has died: nobody counts on it any more.
    pub(super) fn session_given_up(&self, client: u64) {
        self.book().leases.remove(&client);
    }

    /// The client was told that its session is lost. That is early while its lease lasts.
    pub(super) fn session_lost(&self, client: u64) {
        let mut book = self.book();
        book.count("sessions lost", 1);
        let now = book.now;
        let lease = book.leases.remove(&client);
        book.history.lost_by(client);
        if let Some(lease) = lease.filter(|lease| now < lease.until) {
            book.violations.push(format!(
                "client {client} lost session {} early: its lease lasts until {:?}",
                lease.session, lease.until
            ));
        }
    }

    /// The client's process is gone, and all that it believed.
    pub(super) fn died(&self, client: u64) {
        self.session_given_up(client);
        self.book().history.lost_by(client);
        for holders in self.book().beliefs.values_mut() {
            holders.retain(|belief| belief.client != client);
        }
    }
}

/// Why these cannot all act on one lock, if they cannot. Grants that were taken away do not count.
fn exclusion_broken(holders: &[Belief]) -> Option<&'static str> {
    let in_force = || holders.iter().filter(|belief| !belief.forced);
    // Nobody here enters a lock more than once, so that holds for those of one session as well.
    let exclusive = in_force().any(|belief| belief.held == Held::Exclusive);
    if exclusive && in_force().count() > 1 {
        return Some("two holders at once");
    }
    let permits = in_force().filter_map(|belief| match belief.held {
        Held::Permits { count, of } => Some((count, of)),
        Held::Exclusive | Held::Shared => None,
    });
    let (given, size) = permits.fold((0, u32::MAX), |(sum, size), (n, of)| (sum + n, size.min(of)));
    if given > size {
        return Some("given out more permits than there are");
    }
    let shared = in_force().any(|belief| belief.held == Held::Shared);
    (given > 0 && shared).then_some("been shared while permits were out")
}
