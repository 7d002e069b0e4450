//! What the session holds, by token, so that what the server says of a grant finds it.
//!
//! Pure. Invariants:
//! - A grant is here before whoever waits for it is told, and until its release is asked for.
//! - A signal may overtake the reply that brings its grant. It is kept for a while, if there is a
//!   request that could bring one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use holdfast_proto::ErrorCode;
use holdfast_proto::v1::LockSignal;
use holdfast_proto::v1::lock_signal::Kind;

use crate::Error;
use crate::locks::{Grant, Said};

/// How many signals of grants that are not known yet are kept. The rest is about old ones.
const EARLY_MAX: usize = 1_024;

/// The grants of a session.
#[derive(Debug, Default)]
pub(super) struct Grants {
    held: BTreeMap<u64, Held>,
    /// By token, what was said before the grant was known.
    early: BTreeMap<u64, Vec<Said>>,
    /// The tokens of that, the oldest first. Some are known by now.
    early_order: VecDeque<u64>,
}

#[derive(Debug)]
struct Held {
    grant: Arc<Grant>,
    /// How many locks were granted by the token.
    locks: usize,
    /// An upgrade is under way, so the session may hold it by another token already.
    is_upgrading: bool,
    /// The session did not hold it any more when it was resumed.
    is_missing: bool,
    /// Unset once it was exclusive and may be shared by now.
    is_exclusive: bool,
}

impl Grants {
    /// The session holds so many locks by `token` now. Before anybody is told.
    pub(super) fn granted(&mut self, token: u64, locks: usize, grant: &Arc<Grant>) {
        grant.set_token(token);
        if !self.early.is_empty() {
            for said in self.early.remove(&token).unwrap_or_default() {
                grant.say(said);
            }
        }
        let grant = grant.clone();
        let held =
            Held { grant, locks, is_upgrading: false, is_missing: false, is_exclusive: true };
        self.held.insert(token, held);
    }

    /// Nobody believes in `token` any more.
    pub(super) fn released(&mut self, token: u64) {
        self.held.remove(&token);
    }

    /// Others may share it, or it may be upgraded, so what was promised to those behind is void.
    pub(super) fn downgrading(&mut self, token: u64) {
        if let Some(held) = self.held.get_mut(&token) {
            held.is_exclusive = false;
        }
    }

    /// Whether it is certain that the lock is free when this grant is given back. Of several locks
    /// one may have been taken away, and then none is given back at first.
    pub(super) fn frees(&self, token: u64) -> bool {
        let frees =
            |held: &Held| held.is_exclusive && held.locks == 1 && !held.grant.is_said(Said::Lost);
        self.held.get(&token).is_some_and(frees)
    }

    /// From now on `token` may be replaced at any time.
    pub(super) fn upgrading(&mut self, token: u64) {
        if let Some(held) = self.held.get_mut(&token) {
            held.is_upgrading = true;
        }
    }

    /// `token` was not replaced, or nobody can say whether it was.
    pub(super) fn not_upgraded(&mut self, token: u64, error: &Error) {
        let Some(held) = self.held.get_mut(&token) else {
            return;
        };
        held.is_upgrading = false;
        let is_gone = error.is_unknown() || error.code() == Some(ErrorCode::NotHeld);
        if held.is_missing || is_gone {
            held.grant.say(Said::Lost);
        }
    }

    /// A stream is up, and this is all that the session holds, a token for each lock: what else is
    /// here was taken away.
    pub(super) fn attached(&mut self, mut tokens: Vec<u64>) {
        tokens.sort_unstable();
        for (token, held) in &mut self.held {
            let begin = tokens.partition_point(|other| other < token);
            let of_it = tokens[begin..].iter().take_while(|other| *other == token);
            if of_it.count() >= held.locks {
                continue;
            }
            if held.is_upgrading {
                held.is_missing = true;
            } else {
                held.grant.say(Said::Lost);
            }
        }
    }

    /// Something is said of a grant. `may_come` if there are requests that could bring it yet.
    pub(super) fn signal(&mut self, signal: &LockSignal, may_come: bool) {
        let said = match signal.kind() {
            Kind::Contended => Said::Contended,
            Kind::Wounded => Said::Wounded,
            Kind::Revoked => Said::Lost,
            // Those are in `Turns`.
            Kind::Next | Kind::Unspecified => return,
        };
        if let Some(held) = self.held.get(&signal.token) {
            held.grant.say(said);
        } else if may_come {
            self.early.entry(signal.token).or_default().push(said);
            self.early_order.push_back(signal.token);
            if self.early_order.len() > EARLY_MAX
                && let Some(oldest) = self.early_order.pop_front()
            {
                self.early.remove(&oldest);
            }
        } else {
            self.early.clear();
            self.early_order.clear();
        }
    }

    #[cfg(test)]
    pub(super) fn tokens(&self) -> Vec<u64> {
        self.held.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(token: u64, kind: Kind) -> LockSignal {
        LockSignal { token, name: "a".into(), kind: kind.into(), ..LockSignal::default() }
    }

    fn grant(grants: &mut Grants, token: u64) -> Arc<Grant> {
        let grant = Arc::new(Grant::default());
        grants.granted(token, 1, &grant);
        grant
    }

    #[test]
    fn a_grant_of_several_locks_is_missing_when_one_of_them_is() {
        let mut grants = Grants::default();
        let both = Arc::new(Grant::default());
        grants.granted(7, 2, &both);
        let one = grant(&mut grants, 9);
        grants.attached(vec![9, 7, 7]);
        assert!(!both.is_said(Said::Lost) && !one.is_said(Said::Lost));
        grants.attached(vec![7, 9]);
        assert!(both.is_said(Said::Lost) && !one.is_said(Said::Lost));
    }

    fn not_held() -> Error {
        Error::Rejected { code: ErrorCode::NotHeld, message: "why".into() }
    }

    fn wait_over() -> Error {
        Error::Rejected { code: ErrorCode::WaitOver, message: "why".into() }
    }

    #[test]
    fn a_signal_finds_its_grant_before_and_after_it_is_known() {
        let mut grants = Grants::default();
        let a = grant(&mut grants, 5);
        grants.signal(&signal(5, Kind::Contended), false);
        grants.signal(&signal(5, Kind::Unspecified), false);
        assert!(a.is_said(Said::Contended) && !a.is_said(Said::Lost));
        grants.signal(&signal(7, Kind::Wounded), true);
        grants.signal(&signal(7, Kind::Revoked), true);
        let b = grant(&mut grants, 7);
        assert!(b.is_said(Said::Wounded) && b.is_said(Said::Lost) && !b.is_said(Said::Contended));
        assert!(grants.early.is_empty());
    }

    #[test]
    fn signals_of_old_grants_do_not_gather() {
        let mut grants = Grants::default();
        for token in 0..2 * EARLY_MAX as u64 {
            grants.signal(&signal(token, Kind::Contended), true);
        }
        assert_eq!(grants.early.len(), EARLY_MAX);
        assert!(grants.early.contains_key(&(2 * EARLY_MAX as u64 - 1)), "the newest are kept");
        grants.signal(&signal(1, Kind::Contended), false);
        assert!(grants.early.is_empty());
        let a = grant(&mut grants, 9);
        grants.released(9);
        grants.signal(&signal(9, Kind::Revoked), false);
        assert!(!a.is_said(Said::Lost) && grants.early.is_empty());
    }

    #[test]
    fn what_is_missing_after_a_resume_was_taken_away() {
        let mut grants = Grants::default();
        let (a, b, c) = (grant(&mut grants, 5), grant(&mut grants, 7), grant(&mut grants, 9));
        grants.attached(vec![9, 5]);
        assert!(!a.is_said(Said::Lost) && b.is_said(Said::Lost) && !c.is_said(Said::Lost));
    }

    #[test]
    fn a_grant_that_is_being_upgraded_is_judged_when_that_is_answered() {
        for (error, is_held, lost) in [
            (wait_over(), true, false),
            (wait_over(), false, true),
            (not_held(), true, true),
            (Error::Unknown { message: "why".into() }, true, true),
        ] {
            let mut grants = Grants::default();
            let a = grant(&mut grants, 5);
            grants.upgrading(5);
            grants.attached(if is_held { vec![5] } else { vec![] });
            assert!(!a.is_said(Said::Lost), "its successor may be held");
            grants.not_upgraded(5, &error);
            assert_eq!(a.is_said(Said::Lost), lost, "{error:?}");
        }
    }
}
