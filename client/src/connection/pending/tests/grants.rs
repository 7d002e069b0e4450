//! Tests of what is known of grants, from the request to the release.

use holdfast_proto::v1::lock_signal::Kind;

use super::*;
use crate::locks::Said;

impl Table {
    /// A grant of `a` that was made and taken, and what is asked for next is an upgrade of it.
    fn upgrade(&mut self, token: u64) -> (Receiver, Arc<Grant>) {
        let (mut acquired, grant) = self.acquire("a");
        self.send();
        self.grant(grant.seq(), token);
        assert!(matches!(acquired.try_recv(), Ok(Ok(_))));
        grant.set_seq(0);
        let (reply, receiver) = oneshot::channel();
        let operation =
            Operation::Upgrade { wish: wish(&["a"]), token, wait_ms: None, grant: grant.clone() };
        self.pending.push(operation, Some(reply), self.due());
        (receiver, grant)
    }

    fn signal(&mut self, token: u64, kind: Kind) {
        self.pending.on_signals(&[LockSignal {
            token,
            name: "a".into(),
            kind: kind.into(),
            ..LockSignal::default()
        }]);
    }

    pub(super) fn held(&self) -> Vec<u64> {
        self.pending.grants.tokens()
    }
}

#[test]
fn a_grant_that_nobody_has_looked_at_is_withdrawn() {
    let mut table = Table::new();
    let (a, grant) = table.acquire("a");
    table.send();
    table.grant(1, 7);
    assert_eq!(table.held(), [7]);
    drop(a);
    table.withdraw(&["a"], &grant);
    assert_eq!(table.send(), "2xa1");
    assert_eq!(table.held(), [0_u64; 0]);
}

#[test]
fn a_signal_in_the_frame_of_its_grant_or_before_is_not_missed() {
    let mut table = Table::new();
    let (_a, a) = table.acquire("a");
    let (_b, b) = table.acquire("a");
    table.send();
    table.grant(1, 7);
    table.signal(7, Kind::Contended);
    table.signal(8, Kind::Revoked);
    assert!(a.is_said(Said::Contended) && !a.is_said(Said::Lost));
    table.wait(2);
    table.grant(2, 8);
    assert!(b.is_said(Said::Lost));
    table.release_all(&["a"], 7);
    assert_eq!(table.held(), [8], "a release ends the belief before it is sent");
    table.signal(7, Kind::Revoked);
    assert!(!a.is_said(Said::Lost));
}

#[test]
fn what_the_session_does_not_hold_after_a_resume_is_lost() {
    let mut table = Table::new();
    let (_a, a) = table.acquire("a");
    let (_b, b) = table.acquire("b");
    let (_c, c) = table.acquire("c");
    table.send();
    table.grant(1, 7);
    table.grant(2, 8);
    table.pending.reconnected();
    table.pending.attached(vec![8], &[]);
    assert!(a.is_said(Said::Lost) && !b.is_said(Said::Lost));
    // What is granted on the new stream is not in the list, and held.
    assert_eq!(table.send(), "3+c");
    table.grant(3, 9);
    assert!(!c.is_said(Said::Lost));
}

#[test]
fn an_upgrade_goes_on_with_what_is_known_of_its_grant() {
    let mut table = Table::new();
    let (mut upgraded, grant) = table.upgrade(7);
    assert_eq!(table.send(), "2^a");
    table.wait(2);
    table.pending.reconnected();
    table.pending.attached(vec![8], &[]);
    table.grant(2, 8);
    assert_eq!(upgraded.try_recv(), Ok(Ok(Answer::Granted { token: 8 })));
    assert_eq!(table.held(), [8]);
    assert!(!grant.is_said(Said::Lost));
    table.signal(8, Kind::Revoked);
    assert!(grant.is_said(Said::Lost));
}

#[test]
fn a_refused_upgrade_leaves_its_grant_unless_that_is_gone() {
    for (tokens, lost) in [(vec![7], false), (vec![], true)] {
        let mut table = Table::new();
        let (mut upgraded, grant) = table.upgrade(7);
        table.send();
        table.wait(2);
        table.pending.reconnected();
        table.pending.attached(tokens, &[]);
        table.refuse(2, ErrorCode::WaitOver);
        assert!(matches!(upgraded.try_recv(), Ok(Err(Error::Rejected { .. }))));
        assert_eq!((table.held(), grant.is_said(Said::Lost)), (vec![7], lost));
    }
}

#[test]
fn an_upgrade_is_withdrawn_in_every_state() {
    for (state, sent) in [("unsent", "2-a"), ("sent", "3xa2 4-a"), ("waiting", "3xa2 4-a")] {
        let mut table = Table::new();
        let (upgraded, grant) = table.upgrade(7);
        if state != "unsent" {
            table.send();
        }
        if state == "waiting" {
            table.wait(2);
        }
        drop(upgraded);
        table.withdraw(&["a"], &grant);
        table.release_all(&["a"], 7);
        assert_eq!(table.send(), sent, "{state}");
        table.grant(2, 8);
        assert_eq!(table.held(), [0_u64; 0], "{state}");
    }
    let mut table = Table::new();
    let (upgraded, grant) = table.upgrade(7);
    table.send();
    table.grant(2, 8);
    drop(upgraded);
    table.withdraw(&["a"], &grant);
    table.release_all(&["a"], 7);
    assert_eq!(table.send(), "3xa2 4-a");
    assert_eq!(table.held(), [0_u64; 0]);
}

#[test]
fn an_upgrade_without_an_answer_is_given_up_and_one_that_was_not_sent_is_not() {
    let mut table = Table::new();
    let (mut upgraded, grant) = table.upgrade(7);
    table.send();
    table.pass(TIMEOUT);
    assert!(matches!(upgraded.try_recv(), Ok(Err(Error::Unknown { .. }))));
    assert!(grant.is_said(Said::Lost));
    assert_eq!(table.send(), "3xa2");

    let mut table = Table::new();
    let (mut upgraded, grant) = table.upgrade(7);
    table.pass(TIMEOUT);
    assert!(matches!(upgraded.try_recv(), Ok(Err(Error::Unavailable { .. }))));
    assert!(!grant.is_said(Said::Lost));
}
