//! What clients were told about locks, kept outside of the cluster, and held against it.
//!
//! Invariants that are checked as things happen: at most one client believes in a lock at a time,
//! and the tokens of a lock only grow. A client believes from the moment it is told of a grant
//! until it begins to release it, or until its own lease is over, whichever is first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use holdfast_client::{Client, LockGuard, Session};

/// A client's belief that it holds a lock.
#[derive(Clone, Debug)]
pub struct Belief {
    /// Whose belief it is.
    pub session: Session,
    /// The token of the grant.
    pub token: u64,
}

#[derive(Default)]
struct Book {
    beliefs: BTreeMap<String, Vec<Belief>>,
    /// The largest token that anybody was told of, by lock.
    largest: BTreeMap<String, u64>,
    violations: Vec<String>,
}

/// The shared book of beliefs. Cheap to clone.
#[derive(Clone, Default)]
pub struct Beliefs(Arc<Mutex<Book>>);

impl Beliefs {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("no holder of this lock panics")
    }

    /// A client was told that it has the lock.
    pub fn granted(&self, session: &Session, guard: &LockGuard) {
        let (name, token) = (guard.name(), guard.token());
        let mut book = self.book();
        let book = &mut *book;
        if !session.is_alive() {
            return;
        }
        let largest = book.largest.entry(name.to_owned()).or_default();
        if token <= *largest {
            let violation = format!("{name} was granted with token {token} after {largest}");
            book.violations.push(violation);
        }
        *largest = token.max(*largest);
        let believers = book.beliefs.entry(name.to_owned()).or_default();
        believers.retain(|belief| belief.session.is_alive());
        for other in believers.iter() {
            book.violations.push(format!(
                "{name} was granted to session {} with token {token} while session {} believes in \
                 token {}",
                session.id(),
                other.session.id(),
                other.token
            ));
        }
        believers.push(Belief { session: session.clone(), token });
    }

    /// A client is about to release the lock, and acts on it no longer.
    pub fn given_up(&self, guard: &LockGuard) {
        if let Some(believers) = self.book().beliefs.get_mut(guard.name()) {
            believers.retain(|belief| belief.token != guard.token());
        }
    }

    /// Something else that must not happen has happened.
    pub fn violated(&self, what: String) {
        self.book().violations.push(what);
    }

    /// Everything that must not have happened.
    pub fn violations(&self) -> Vec<String> {
        self.book().violations.clone()
    }

    fn standing(&self) -> BTreeMap<String, Belief> {
        let book = self.book();
        let first = |(name, believers): (&String, &Vec<Belief>)| {
            let belief = believers.iter().find(|belief| belief.session.is_alive())?;
            Some((name.clone(), belief.clone()))
        };
        book.beliefs.iter().filter_map(first).collect()
    }

    /// Asks the cluster who holds what, and notes every believer that it does not know. Beliefs
    /// that began or ended meanwhile prove nothing. Answers how many were confirmed.
    pub async fn compare_with(&self, client: &Client) -> usize {
        let before = self.standing();
        let locks = match client.locks("", 10_000).await {
            Ok(listed) => listed.locks,
            Err(e) => {
                self.violated(format!("the locks could not be listed: {e}"));
                return 0;
            }
        };
        let after = self.standing();
        let mut confirmed = 0;
        for (name, belief) in before {
            if after.get(&name).is_none_or(|still| still.token != belief.token) {
                continue;
            }
            let lock = locks.iter().find(|lock| lock.name == name);
            let holder = lock.and_then(|lock| lock.holders.first());
            let told = (belief.session.id(), belief.token);
            match holder.map(|holder| (holder.session_id, holder.token)) {
                Some(holder) if holder == told => confirmed += 1,
                other => self.violated(format!(
                    "{name} was granted to (session, token) {told:?}, but is held by {other:?}"
                )),
            }
        }
        confirmed
    }
}
