//! A session is told which of its own requests is next, so that it can hand a lock on by itself.

use holdfast_primitives::{Restore, Seq, SessionId, SignalKind, Token};

use crate::script::{Player, check, name};

#[test]
fn who_comes_behind_its_own_session_is_promised_its_turn() {
    check(
        "signals
         at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x own; a#2 acquire x own; a#3 acquire x own; b#1 acquire x own
         at 2 | a#4 acquire x own
         at 3 | a#5 release x 3
         at 4 | a#6 release x 5; a#7 release x 7
         at 5 | b#2 release x 12",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0; waiting 6 behind 1; waiting 8 behind 2 \
          ! a x 3 contended ! a x 3 next #2 by 5 ! a x 5 next #3 by 7
         waiting 9 behind 3
         done > a#2 ticket 4: granted 5 ! a x 5 contended
         done; done > a#3 ticket 6: granted 7 > b#1 ticket 8: granted 12 ! a x 7 contended \
          ! b x 12 contended
         done > a#4 ticket 9: granted 13",
    );
}

#[test]
fn a_turn_begins_a_run_of_those_behind_it() {
    check(
        "signals
         at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x own; b#1 acquire x own; b#2 acquire x own; b#3 acquire x own
         at 2 | a#2 acquire x own
         at 3 | a#3 release x 3
         at 4 | b#4 release x 8
         at 5 | b#5 cancel x 3
         at 6 | b#6 release x 9",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0; waiting 5 behind 1; waiting 6 behind 2 ! a x 3 contended
         waiting 7 behind 3
         done > b#1 ticket 4: granted 8 ! b x 8 contended ! b x 8 next #2 by 9 ! b x 9 next #3 by 10
         done > b#2 ticket 5: granted 9 ! b x 9 contended
         done > b#3 ticket 6: wait for x over
         done > a#2 ticket 7: granted 13",
    );
}

#[test]
fn nothing_is_promised_to_who_may_have_to_leave_the_line() {
    // In turn: as the session's one activity, without a number, with a deadline, under a guard,
    // for several locks, to share, and for permits.
    check(
        "signals
         at 0 | a open 60s
         at 1 | a#1 acquire x own
         at 2 | a acquire x own; a#2 acquire x own 5s; a#3 if(x,2) share y; a#4 acquire y own
         at 3 | a#5 acquire v own; a#6 if(x,2) acquire v
         at 4 | a#7 all w,z own; a#8 all w,z own
         at 5 | a#9 acquire s own; a#10 share s own
         at 6 | a#11 take 2/2 p own; a#12 take 1/2 p own",
        "opened 1
         granted 2
         waiting 3 behind 0; waiting 4 behind 1; granted 5; waiting 6 behind 0
          .. ! a x 2 contended ! a y 5 contended
         granted 7; waiting 8 behind 0 ! a v 7 contended
         granted 9; waiting 10 behind 0 ! a w 9 contended ! a z 9 contended
         granted 11; waiting 12 behind 0 ! a s 11 contended
         granted 13; waiting 14 behind 0 ! a p 13 contended",
    );
}

#[test]
fn nothing_is_promised_behind_who_shares() {
    check(
        "signals
         at 0 | a open 60s
         at 1 | a#1 share x own; a#2 acquire x own; a#3 acquire x own
         at 2 | a#4 release x 2",
        "opened 1
         granted 2; waiting 3 behind 0; waiting 4 behind 1 ! a x 2 contended
         done > a#2 ticket 3: granted 5 ! a x 5 contended ! a x 5 next #3 by 6",
    );
}

#[test]
fn who_enters_once_more_or_shares_from_now_on_takes_the_promises_back() {
    check(
        "signals
         at 0 | a open 60s
         at 1 | a#1 acquire x own; a#2 acquire x own
         at 2 | a#3 acquire x own reentrant
         at 3 | a#4 release x 2; a#5 acquire x own
         at 4 | a#6 release x 5",
        "opened 1
         granted 2; waiting 3 behind 0 ! a x 2 contended ! a x 2 next #2 by 4
         granted 5 ! a x 5 contended
         done; waiting 7 behind 1
         done > a#2 ticket 3: granted 8 ! a x 8 contended ! a x 8 next #5 by 9",
    );
    check(
        "signals
         at 0 | a open 60s
         at 1 | a#1 acquire x own; a#2 acquire x own
         at 2 | a#3 downgrade x 2
         at 3 | a#4 upgrade x 2
         at 4 | a#5 release x 6",
        "opened 1
         granted 2; waiting 3 behind 0 ! a x 2 contended ! a x 2 next #2 by 4
         done
         granted 6 ! a x 6 contended
         done > a#2 ticket 3: granted 7",
    );
}

#[test]
fn what_was_promised_holds_when_the_lock_is_taken_away() {
    check(
        "signals
         at 0 | a open 60s
         at 1 | a#1 acquire x own; a#2 acquire x own; a#3 acquire x own
         at 2 | - force x
         at 3 | a#4 if(x,4) acquire y own",
        "opened 1
         granted 2; waiting 3 behind 0; waiting 5 behind 1 ! a x 2 contended ! a x 2 next #2 by 4 \
          ! a x 4 next #3 by 6
         done > a#2 ticket 3: granted 4 ! a x 2 revoked ! a x 4 contended
         granted 8",
    );
}

#[test]
fn who_was_promised_may_give_back_before_its_turn_is_known() {
    check(
        "signals
         at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x own; a#2 acquire x own; a#3 acquire x own
         at 2 | b#1 release x 5
         at 3 | a#4 release x 5
         at 4 | a#5 release x 3
         at 5 | a#6 release x 7",
        "opened 1; opened 2
         granted 3; waiting 4 behind 0; waiting 6 behind 1 ! a x 3 contended ! a x 3 next #2 by 5
          .. ! a x 5 next #3 by 7
         x not held by 5
         done > a#2 ticket 4: wait for x over
         done > a#3 ticket 6: granted 7
         done",
    );
}

#[test]
fn who_comes_back_is_told_what_it_was_promised() {
    let machine = Player::played(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x own; a#2 acquire x own; a#3 acquire x own; b#1 acquire x own",
    )
    .machine;
    let (tokens, signals) = machine.held_by_session(SessionId::new(1));
    assert_eq!(tokens, [3, 5, 7].map(Token::new));
    let next = |seq, token| SignalKind::Next { seq: Seq::new(seq), token: Token::new(token) };
    let kinds = signals.iter().map(|signal| (signal.token.get(), signal.kind)).collect::<Vec<_>>();
    assert_eq!(kinds, [(3, SignalKind::Contended), (3, next(2, 5)), (5, next(3, 7))]);
    assert_eq!(machine.held_by_session(SessionId::new(2)), (vec![], vec![]));
    let waiters = machine.lock(&name("x")).expect("it is held").waiters;
    let promised: Vec<_> = waiters.iter().map(|w| w.promised.map(Token::get)).collect();
    assert_eq!(promised, [Some(5), Some(7), None]);
}

#[test]
fn a_snapshot_with_a_promise_that_may_be_broken_is_refused() {
    let machine = Player::played(
        "at 0 | a open 60s
         at 1 | a#1 acquire x own; a#2 acquire x own",
    )
    .machine;
    let blocks: Vec<Vec<u8>> = machine.snapshot().collect();
    let restored = |blocks: &[Vec<u8>]| {
        let mut restore = Restore::new();
        blocks.iter().try_for_each(|block| restore.push(block)).and_then(|()| restore.finish())
    };
    assert!(restored(&blocks).is_ok());
    // A promised turn, tag 2, by token 4; then no guard.
    let promise = [2, 4, 0];
    let at = |block: &[u8]| block.windows(3).position(|bytes| bytes == promise);
    let found = blocks.iter().enumerate().find_map(|(nth, block)| Some((nth, at(block)?)));
    let (nth, at) = found.expect("it is written");
    // Older than the grant before it; newer than the state.
    for token in [1, 99] {
        let mut broken = blocks.clone();
        broken[nth][at + 1] = token;
        assert!(restored(&broken).is_err(), "token {token}");
    }
}
