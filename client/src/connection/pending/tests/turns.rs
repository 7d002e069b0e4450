//! Tests of handing a lock on within the session.

use holdfast_proto::v1::lock_signal::Kind;

use super::*;
use crate::locks::Said;

impl Table {
    /// When `token` is given back, request `next_seq` has the lock by `next_token`.
    fn promise(&mut self, token: u64, next_seq: u64, next_token: u64) {
        let (name, kind) = ("a".into(), Kind::Next.into());
        self.pending.on_signals(&[LockSignal { token, name, kind, next_seq, next_token }]);
    }

    /// One that holds `a` by token 7, and so many that wait behind it.
    fn line(count: u64) -> (Self, Vec<(Receiver, Arc<Grant>)>) {
        let mut table = Self::new();
        let (mut holder, _) = table.acquire("a");
        let waiting = (0..count).map(|_| table.acquire("a")).collect();
        table.send();
        table.grant(1, 7);
        assert_eq!(token(&mut holder), Some(7));
        (2..2 + count).for_each(|seq| table.wait(seq));
        (table, waiting)
    }
}

fn token(receiver: &mut Receiver) -> Option<u64> {
    match receiver.try_recv() {
        Ok(Ok(Answer::Granted { token })) => Some(token),
        Err(TryRecvError::Empty) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lock_goes_on_as_soon_as_its_release_is_on_its_way() {
    let (mut table, mut waiting) = Table::line(3);
    table.promise(7, 2, 8);
    table.promise(8, 3, 9);
    assert_eq!((token(&mut waiting[0].0), token(&mut waiting[1].0)), (None, None));
    table.release_all(&["a"], 7);
    assert_eq!((token(&mut waiting[0].0), token(&mut waiting[1].0)), (Some(8), None));
    assert_eq!(table.held(), [8]);
    table.release_all(&["a"], 8);
    assert_eq!((token(&mut waiting[1].0), token(&mut waiting[2].0)), (Some(9), None));
    assert_eq!(table.send(), "5-a 6-a", "the releases go in their order");
    // What the cluster says later is known already.
    table.grant(2, 8);
    table.grant(3, 9);
    table.done(5);
    assert_eq!((table.held(), table.pending.turns.len()), (vec![9], 0));
    // Nobody was promised to be the last.
    table.release_all(&["a"], 9);
    assert_eq!(token(&mut waiting[2].0), None);
    table.grant(4, 10);
    assert_eq!(token(&mut waiting[2].0), Some(10));
    assert_eq!(table.pending.state.received().so_far().handed_on, 2);
}

#[test]
fn who_waits_no_more_is_passed_over_by_the_cluster_alone() {
    let (mut table, mut waiting) = Table::line(2);
    table.promise(7, 2, 8);
    table.promise(8, 3, 9);
    let (gone, grant) = waiting.remove(0);
    drop(gone);
    table.withdraw(&["a"], &grant);
    table.release_all(&["a"], 7);
    assert_eq!(table.held(), [0_u64; 0]);
    assert_eq!(table.pending.state.received().so_far().handed_on, 0);
    assert_eq!(token(&mut waiting[0].0), None);
    assert_eq!(table.send(), "4xa2 5-a");
    table.refuse(2, ErrorCode::WaitOver);
    table.grant(3, 9);
    assert_eq!(token(&mut waiting[0].0), Some(9));
    assert_eq!(table.pending.turns.len(), 0);
}

#[test]
fn nothing_is_kept_of_requests_that_are_answered() {
    let (mut table, mut waiting) = Table::line(2);
    table.promise(7, 2, 8);
    table.grant(2, 8);
    table.promise(7, 2, 8);
    table.promise(8, 99, 9);
    assert_eq!(table.pending.turns.len(), 0);
    // Said once more, since the first was taken back.
    table.promise(8, 3, 9);
    table.promise(8, 3, 10);
    table.release_all(&["a"], 8);
    assert_eq!(token(&mut waiting[1].0), Some(10));
    assert_eq!(table.pending.turns.len(), 0);
}

#[test]
fn a_grant_that_may_have_changed_is_not_handed_on() {
    let (mut table, mut waiting) = Table::line(1);
    table.promise(7, 2, 8);
    table.pending.push(Operation::Downgrade { wish: wish(&["a"]), token: 7 }, None, table.due());
    // Said by a cluster that had not heard of it yet.
    table.promise(7, 2, 8);
    table.release_all(&["a"], 7);
    assert_eq!(token(&mut waiting[0].0), None);
    table.grant(2, 9);
    assert_eq!(token(&mut waiting[0].0), Some(9));
}

#[test]
fn who_enters_locks_more_than_once_hands_nothing_on() {
    let (mut table, mut waiting) = Table::line(2);
    table.promise(7, 2, 8);
    let terms = Terms { reentrant: true, ..Terms::default() };
    let wish = Arc::new(Wish::one("b", terms).expect("valid"));
    let (hold, wait_ms, grant) = (Hold::EXCLUSIVE, None, Arc::default());
    table.pending.push(Operation::Acquire { wish, hold, wait_ms, grant }, None, table.due());
    table.promise(8, 3, 9);
    table.release_all(&["a"], 7);
    table.grant(2, 8);
    table.release_all(&["a"], 8);
    assert_eq!((token(&mut waiting[0].0), token(&mut waiting[1].0)), (Some(8), None));
}

#[test]
fn what_was_handed_on_is_still_held_after_a_resume() {
    let (mut table, mut waiting) = Table::line(1);
    table.promise(7, 2, 8);
    table.release_all(&["a"], 7);
    assert_eq!(token(&mut waiting[0].0), Some(8));
    table.pending.reconnected();
    // The release is still to be carried out there: it holds the one, and was promised the other.
    table.pending.attached(vec![7, 8], &[]);
    assert!(!waiting[0].1.is_said(Said::Lost));
    assert_eq!(table.send(), "3-a", "who has its turn does not ask again");
}

#[test]
fn what_was_promised_is_void_on_a_new_stream_unless_it_is_said_again() {
    // Taken away twice while the client was gone: what it held, and what it was promised.
    let (mut table, mut waiting) = Table::line(1);
    table.promise(7, 2, 8);
    table.pending.reconnected();
    table.pending.attached(vec![], &[]);
    table.release_all(&["a"], 7);
    assert_eq!(token(&mut waiting[0].0), None);
    table.refuse(2, ErrorCode::WaitOver);
    assert!(matches!(waiting[0].0.try_recv(), Ok(Err(Error::Rejected { .. }))));

    for (again, want) in [(false, None), (true, Some(8))] {
        let (mut table, mut waiting) = Table::line(1);
        table.promise(7, 2, 8);
        table.pending.reconnected();
        table.pending.attached(vec![7, 8], &[]);
        if again {
            table.promise(7, 2, 8);
        }
        table.release_all(&["a"], 7);
        assert_eq!(token(&mut waiting[0].0), want);
    }
}

#[test]
fn who_has_had_no_first_reply_waits_for_the_cluster() {
    let mut table = Table::new();
    let (_holder, _) = table.acquire("a");
    let (mut next, _) = table.acquire("a");
    table.send();
    table.grant(1, 7);
    table.promise(7, 2, 8);
    table.release_all(&["a"], 7);
    assert_eq!(token(&mut next), None);
    table.confirmed(1);
    table.wait(2);
    table.confirmed(2);
    table.grant(2, 8);
    assert_eq!(token(&mut next), Some(8));
}

#[test]
fn of_several_locks_none_is_handed_on() {
    let mut table = Table::new();
    let (_holder, _) = table.acquire_all(&["a", "b"]);
    let (mut next, _) = table.acquire("a");
    table.send();
    table.grant(1, 7);
    table.wait(2);
    table.promise(7, 2, 8);
    table.release_all(&["a", "b"], 7);
    assert_eq!(token(&mut next), None);
}
