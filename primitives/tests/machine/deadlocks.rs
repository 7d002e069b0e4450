//! Deadlocks are found when a request would close the cycle.

use holdfast_primitives::Outcome;

use crate::script::{Player, check};

#[test]
fn two_that_want_what_the_other_holds() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; b#1 acquire y; a#2 acquire y; b#2 acquire x
         at 2 | b#3 release y 4; b#4 acquire x",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0; deadlock on x: b x a(3), a y b(4)
         done; waiting 8 behind 0 > a#2 ticket 5: granted 7",
    );
}

#[test]
fn three_in_a_ring() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire x; b#1 acquire y; c#1 acquire z
         at 2 | a#2 acquire y; b#2 acquire z; c#2 acquire x",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; granted 6
         waiting 7 behind 0; waiting 8 behind 0; deadlock on x: c x a(4), a y b(5), b z c(6)",
    );
}

#[test]
fn who_will_not_wait_is_in_no_deadlock() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; b#1 acquire y; a#2 acquire y; b#2 acquire x 0; a#3 try x",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0; x held by a; x held by a",
    );
}

#[test]
fn who_waits_for_itself() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; a#2 acquire x 5s; a#3 share x; a#4 all x,y; a#5 acquire x own
         at 2 | b#1 share y; a#6 share y; a#7 acquire y",
        "opened 1; opened 2
         granted 3; deadlock on x: a x a(3); deadlock on x: a x a(3); deadlock on x: a x a(3); \
          waiting 7 behind 0
         granted 9; granted 10; deadlock on y: a y a(10)",
    );
}

#[test]
fn through_a_place_in_line() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | c#1 share x; b#1 acquire y; b#2 acquire x; a#1 acquire z; a#2 share x
         at 2 | b#3 acquire z own; c#2 acquire z",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; waiting 6 behind 0; granted 7; waiting 8 behind 1
         waiting 9 behind 0; deadlock on z: c z a(7), a x b(line), b x c(4)",
    );
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | c#1 share x; c#2 share y; b#1 acquire x; a#1 acquire z; a#2 share x
         at 2 | c#3 acquire z",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; waiting 6 behind 0; granted 7; waiting 8 behind 1
         deadlock on z: c z a(7), a x b(line), b x c(4)",
    );
}

#[test]
fn through_those_that_share() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 share x; b#1 share x; c#1 acquire y; b#2 acquire y; c#2 acquire x
         at 2 | a#2 share y",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; granted 6; waiting 7 behind 0; deadlock on x: c x b(5), b y c(6)
         waiting 9 behind 1",
    );
}

#[test]
fn permits_that_others_can_give_back_are_no_deadlock() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 take 1/2 x; b#1 take 1/2 x; c#1 acquire y; a#2 acquire y
         at 2 | c#2 take 1/2 x
         at 3 | b#2 release x 5",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; granted 6; waiting 7 behind 0
         waiting 8 behind 0
         done > c#2 ticket 8: granted 9",
    );
}

#[test]
fn permits_that_nobody_else_can_give_back_are_one() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 take 1/2 x; b#1 take 1/2 x; c#1 acquire y; a#2 acquire y
         at 2 | c#2 take 2/2 x
         at 3 | b#2 acquire y; c#3 take 1/2 x",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; granted 6; waiting 7 behind 0
         deadlock on x: c x a(4), a y c(6)
         waiting 9 behind 1; deadlock on x: c x a(4), a y c(6)",
    );
}

#[test]
fn through_several_locks_at_once() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 all w,x; b#1 all y,z; c#1 acquire v; a#2 all v,z
         at 2 | b#2 all v,w
         at 3 | c#2 all w,y",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; granted 6; waiting 7 behind 0
         deadlock on v: b v a(line), a z b(5)
         deadlock on w: c w a(4), a v c(6)",
    );
}

#[test]
fn a_line_for_several_locks_can_be_part_of_it() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire x; b#1 acquire z; b#2 all x,y; a#2 acquire y
         at 2 | a#3 acquire z",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; waiting 6 behind 0; deadlock on y: a y b(line), b x a(4)
         deadlock on z: a z b(5), b x a(4)",
    );
}

#[test]
fn an_activity_of_its_own_is_never_accused() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; b#1 acquire y; a#2 acquire y own; b#2 acquire x own
         at 2 | a#3 release x 3; b#3 release y 4",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0; waiting 6 behind 0
         done; done > b#2 ticket 6: granted 7 > a#2 ticket 5: granted 8",
    );
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x own; b#1 acquire y own; a#2 acquire y; b#2 acquire x",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0; waiting 6 behind 0",
    );
}

#[test]
fn a_guard_makes_it_one_activity_across_sessions() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire x own; b#1 if(x,4) acquire y; c#1 acquire z
         at 2 | c#2 acquire y; b#2 acquire z; a#2 if(x,4) acquire z",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; granted 6
         waiting 7 behind 0; waiting 8 behind 0; deadlock on z: a z c(6), c y b(5)",
    );
}

#[test]
fn an_activity_of_several_waits_goes_on_if_one_does() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 acquire x; b#1 acquire y; c#1 acquire z; a#2 acquire z
         at 2 | b#2 acquire x; a#3 acquire y",
        "opened 1; opened 2; opened 3
         granted 4; granted 5; granted 6; waiting 7 behind 0
         waiting 8 behind 0; waiting 9 behind 0",
    );
}

#[test]
fn an_upgrade_that_steps_before_the_line_can_close_a_cycle() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s; d open 60s
         at 1 | a#1 share x; b#1 share x; c#1 acquire z; d#1 acquire y
         at 2 | c#2 all share:x,y; b#2 acquire z
         at 3 | a#2 upgrade x 5",
        "opened 1; opened 2; opened 3; opened 4
         granted 5; granted 6; granted 7; granted 8
         waiting 9 behind 0; waiting 10 behind 0
         deadlock on x: a x b(6), b z c(7), c x a(line)",
    );
}

#[test]
fn a_ghost_is_in_no_cycle() {
    check(
        "at 0   | a open 10s; b open 60s
         at 0   | a#1 acquire x delay=5s; b#1 acquire y; a#2 acquire y
         at 10s | b#2 acquire x
         at 15s | tick",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0
         waiting 8 behind 0
         done > b#2 ticket 8: granted 9",
    );
}

#[test]
fn the_wait_that_is_over_closes_no_cycle() {
    check(
        "at 0 | a open 60s; b open 60s
         at 0 | a#1 acquire x; b#1 acquire y; a#2 acquire y 5s; b#2 acquire x 0; b#3 acquire x
         at 5s | b#4 acquire x",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0; x held by a; deadlock on x: b x a(3), a y b(4)
         waiting 9 behind 0 > a#2 ticket 5: wait for y over",
    );
}

#[test]
fn a_refusal_is_remembered() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 share x; b#1 take 1/3 y; a#2 take 3/3 y; b#2 acquire x
         restart
         at 2 | a#3 release x 3; b#2 acquire x; b#3 acquire x",
        "opened 1; opened 2
         granted 3; granted 4; waiting 5 behind 0; deadlock on x: b x a(3), a y b(4)
         done; deadlock on x: b x a(3), a y b(4); granted 9",
    );
}

/// The last outcome of a script, for people.
fn said(script: &str) -> String {
    let mut player = Player::played(script);
    match player.outcomes.pop() {
        Some(Outcome::Rejected(rejection)) => rejection.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_cycle_is_spelled_out() {
    assert_eq!(
        said(
            "at 0 | a open 60s; b open 60s; c open 60s
             at 1 | a#1 share x; b#1 acquire y; c#1 take 2/3 z
             at 2 | a#2 acquire y; b#2 take 2/3 z; c#2 acquire x"
        ),
        "to wait for lock x would be a deadlock: \
         session 3 waits for x (exclusive), which session 1 holds by token 4; \
         session 1 waits for y (exclusive), which session 2 holds by token 5; \
         session 2 waits for z (2 of 3 permits), which session 3 holds by token 6"
    );
    assert_eq!(
        said(
            "at 0 | a open 60s; b open 60s; c open 60s
             at 1 | c#1 share x; b#1 acquire x; a#1 acquire z; a#2 share x; c#2 acquire z"
        ),
        "to wait for lock z would be a deadlock: \
         session 3 waits for z (exclusive), which session 1 holds by token 6; \
         session 1 waits for x (shared), for which session 2 waits before it; \
         session 2 waits for x (exclusive), which session 3 holds by token 4"
    );
}

/// A ring of `count` sessions, each of which holds one lock and waits for the next.
fn ring(count: usize) -> Player {
    let opens: Vec<_> = (0..count).map(|at| format!("s{at} open 60s")).collect();
    let holds: Vec<_> = (0..count).map(|at| format!("s{at}#1 acquire x{at}")).collect();
    let waits: Vec<_> = (0..count - 1).map(|at| format!("s{at}#2 acquire x{}", at + 1)).collect();
    Player::played(&format!(
        "at 0 | {}\n at 1 | {}\n at 2 | {}\n at 3 | s{}#2 acquire x0",
        opens.join("; "),
        holds.join("; "),
        waits.join("; "),
        count - 1
    ))
}

#[test]
fn long_cycles_are_found_and_spelled_out_in_part() {
    use holdfast_primitives::Rejection;
    use holdfast_primitives::limits::DEADLOCK_CYCLE_MAX;
    for (count, want) in [(32, 32), (33, 32), (500, DEADLOCK_CYCLE_MAX)] {
        match ring(count).outcomes.pop() {
            Some(Outcome::Rejected(Rejection::Deadlock { cycle, .. })) => {
                assert_eq!(cycle.len(), want);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Beyond the budget nobody is refused: such waits end by their deadlines.
#[test]
fn the_search_has_an_end() {
    use holdfast_primitives::limits::DEADLOCK_STEPS_MAX;
    let last = ring(DEADLOCK_STEPS_MAX / 3).outcomes.pop();
    assert!(matches!(last, Some(Outcome::Waiting { .. })), "{last:?}");
}

/// Nor does a request look at all of very many whom it would wound.
#[test]
fn the_search_for_younger_ones_has_an_end() {
    use holdfast_primitives::limits::DEADLOCK_STEPS_MAX;
    let count = DEADLOCK_STEPS_MAX + 7;
    let opens: Vec<_> = (0..count).map(|at| format!("s{at} open 60s")).collect();
    let waits: Vec<_> = (0..count).map(|at| format!("s{at}#1 acquire x")).collect();
    let holds: Vec<_> = (0..count).map(|at| format!("s{at}#2 acquire x{at}")).collect();
    let mut player = Player::played(&format!(
        "at 0 | h open 60s; a open 60s; {}
         at 1 | h#1 acquire x; a#1 acquire y; {}
         at 2 | {}
         at 3 | a#2 acquire x woundwait",
        opens.join("; "),
        waits.join("; "),
        holds.join("; "),
    ));
    let last = player.outcomes.pop();
    assert!(matches!(last, Some(Outcome::Waiting { ahead: 7, .. })), "{last:?}");
}

/// It is found behind a line of others, however they depend on each other.
#[test]
fn a_long_line_does_not_hide_it() {
    let count = 1_000;
    let opens: Vec<_> = (0..count).map(|at| format!("s{at} open 60s")).collect();
    let waits: Vec<_> = (0..count).map(|at| format!("s{at}#1 acquire x")).collect();
    let mut player = Player::played(&format!(
        "at 0 | a open 60s; b open 60s; {}
         at 1 | a#1 acquire x; b#1 acquire y; a#2 acquire y own; {}
         at 2 | a#3 acquire y; b#2 acquire x",
        opens.join("; "),
        waits.join("; ")
    ));
    let last = player.outcomes.pop();
    assert!(matches!(last, Some(Outcome::Rejected(_))), "{last:?}");
}
