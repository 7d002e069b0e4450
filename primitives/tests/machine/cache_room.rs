//! What goes by itself: because its time is over, or because room is needed.

use crate::script::{Player, check, name};

#[test]
fn an_entry_lives_as_long_as_it_is_said() {
    check(
        "events
         at 0    | a open 60s; - make c ttl=1s
         at 0    | a#1 put c:k v1; a#2 put c:m v2 ttl=2s; a#3 put c:n v3 ttl=0; a#4 read c:k
         at 999  | a#5 read c:k; a#6 put c:m v4
         at 1s   | a#7 read c:k; a#8 read c:m; a#9 read c:n; a#10 put c:m v5 ttl=10
         at 1009 | a#11 read c:m; - alter c ttl=-
         at 1010 | a#12 put c:m v6
         cache c
         line c:m",
        "opened 1; done
         * 1 opened 1
         * 2 c made
         written 3 over 0; written 4 over 0; written 5 over 0; v1@3 for 1000 at 6
         * 3 c:k is v1@3
         * 4 c:m is v2@4
         * 5 c:n is v3@5
         v1@3 for 1 at 7; written 8 over 4
         * 8 c:m is v4@8
         nothing at 10; v4@8 for 999 at 11; v3@5 at 12; written 13 over 8
         * 9 c:k gone (Expiry)
         * 13 c:m is v5@13
         v5@13 for 1 at 14; done
         * 15 c altered
         written 17 over 0
         * 16 c:m gone (Expiry)
         * 17 c:m is v6@17
         2 lines, 2 entries of 6, 6 filled, 6 written, 2 expired
         v6@17",
    );
}

#[test]
fn what_is_over_goes_when_nobody_has_a_copy() {
    check(
        "at 0    | a open 60s; w open 60s
         at 0    | w#1 put c:k v1 ttl=1s; a#1 copy c:k
         at 1s   | a#2 read c:k
         line c:k
         at 1500 | w#2 put c:k v2
         line c:k
         at 2s   | a#3 letgo c k@99
         line c:k
         cache c",
        "opened 1; opened 2
         written 3 over 0; v1@3 for 1000 at 4, shared
         v1@3 for 0 at 6 ~ a c:k 5
         v1@3 until 1000; a 4 asked 5; @0#0 5 remove
         waiting 7 behind 1
         v1@3 until 1000; a 4 asked 5; @0#0 5 remove, w#2 7 write
         done > w#2 ticket 7: written 9 over 0
         v2@9
         1 lines, 1 entries of 3, 2 filled, 2 written, 1 recalled, 1 expired",
    );
}

#[test]
fn what_waits_to_write_finds_nothing_of_what_is_over() {
    check(
        "at 0  | a open 60s; w open 60s
         at 0  | w#1 put c:k 7 ttl=1s; a#1 copy c:k; w#2 add c:k 1; w#3 put c:k v ver=4; w#4 own c:k
         at 1s | tick
         line c:k
         at 2s | a#2 letgo c k@99
         line c:k",
        "opened 1; opened 2
         written 3 over 0; 7@3 for 1000 at 4, shared; waiting 5 behind 0; waiting 6 behind 1;
         .. waiting 7 behind 2 ~ a c:k 5
         done
         7@3 until 1000; a 4 asked 5; @0#0 8 remove, w#2 5 write, w#3 6 write, w#4 7 own
         done > w#2 ticket 5: written 11 over 0 = 1 > w#3 ticket 6: c:k is 11 and not 4
         .. > w#4 ticket 7: 1@11 at 13, owned by 13
         @11; w 13 owns",
    );
}

#[test]
fn what_is_over_is_asked_of_its_owner() {
    check(
        "at 0  | a open 60s; w open 60s
         at 0  | w#1 put c:k v1 ttl=1s; a#1 own c:k
         at 1s | w#2 read c:k
         line c:k
         at 2s | a#2 flush c:k 4 put=v2 ttl=1s keep
         line c:k
         at 3s | tick
         line c:k
         at 4s | a#3 letgo c k@99
         cache c",
        "opened 1; opened 2
         written 3 over 0; v1@3 for 1000 at 4, owned by 4
         waiting 6 behind 1 ~ a c:k 5 owned
         @3 until 1000; a 4 owns asked 5; @0#0 5 remove, w#2 6 read
         written 7 over 3
         @7 until 3000; a 4 owns asked 5; w#2 6 read
         done
         @7 until 3000; a 4 owns asked 5; @0#0 9 remove, w#2 6 read
         done > w#2 ticket 6: nothing at 12
         0 lines, 0 entries of 0, 2 filled, 2 written, 1 recalled, 1 expired",
    );
}

#[test]
fn a_sum_lives_as_long_as_its_first_part() {
    check(
        "at 0   | a open 60s; - make c ttl=1s
         at 0   | a#1 add c:n 1; a#2 put c:m 5 ttl=3s
         at 500 | a#3 add c:n 1; a#4 add c:m 1; a#5 read c:m
         at 1s  | a#6 read c:n; a#7 add c:n 1
         line c:n",
        "opened 1; done
         written 3 over 0 = 1; written 4 over 0
         written 5 over 3 = 2; written 6 over 4 = 6; 6@6 for 2500 at 7
         nothing at 9; written 10 over 0 = 1
         1@10 until 2000",
    );
}

#[test]
fn a_full_cache_refuses_what_is_more() {
    check(
        "at 0 | a open 60s; - make c entries=2 bytes=10 size=6
         at 1 | a#1 put c:k v1; a#2 put c:m v2; a#3 put c:n v3; a#4 add c:n 1; a#5 put c:k value
         at 2 | a#6 put c:m four; a#7 put c:m seven77; a#8 put c:m v; a#9 erase c:k; a#10 put c:n v3
         at 3 | - alter c entries=1; a#11 put c:n v4; a#12 put c:n v; a#13 put c:n value
         cache c
         at 4 | - alter c bytes=3; a#14 put c:n v5; a#15 put c:n v6 ver=2; a#16 put c:n four",
        "opened 1; done
         written 3 over 0; written 4 over 0; c full with 2 of 6; c full with 2 of 6;
         .. written 7 over 3
         c full with 2 of 9; 7 bytes over 6 of c; written 10 over 4; written 11 over 7;
         .. written 12 over 0
         done; written 14 over 12; written 15 over 14; c full with 2 of 4
         2 lines, 2 entries of 4, 8 written
         done; c full with 2 of 4; c:n is 15 and not 2; 4 bytes over 2 of c",
    );
}

#[test]
fn a_cache_can_let_the_oldest_go() {
    check(
        "events
         at 0 | a open 60s; b open 60s; - make c entries=2 full=evict
         at 1 | a#1 put c:k v1; a#2 put c:m v2; a#3 put c:k v3; a#4 put c:n v4; a#5 read c:m
         at 2 | b#1 copy c:k; a#6 put c:m v5
         line c:k
         cache c
         at 3 | b#2 copy c:k; a#7 put c:o v6
         cache c
         at 4 | b#3 letgo c k@99
         cache c",
        "opened 1; opened 2; done
         * 1 opened 1
         * 2 opened 2
         * 3 c made
         written 4 over 0; written 5 over 0; written 6 over 4; written 7 over 0; nothing at 9
         * 4 c:k is v1@4
         * 5 c:m is v2@5
         * 6 c:k is v3@6
         * 7 c:n is v4@7
         * 8 c:m gone (Eviction)
         v3@6 at 10, shared; written 11 over 0 ~ b c:k 12
         * 11 c:m is v5@11
         v3@6; b 10 asked 12; @0#0 12 remove
         3 lines, 3 entries of 9, 1 leaving, 1 copies, 1 waiting, 2 filled, 5 written, 1
         .. recalled, 1 evicted
         v3@6 at 13; written 14 over 0
         * 14 c:o is v6@14
         * 15 c:n gone (Eviction)
         3 lines, 3 entries of 9, 1 leaving, 1 copies, 1 waiting, 3 filled, 6 written, 1
         .. recalled, 2 evicted
         done
         * 16 c:k gone (Eviction)
         2 lines, 2 entries of 6, 3 filled, 6 written, 1 recalled, 3 evicted",
    );
}

#[test]
fn a_cache_of_few_bytes_lets_several_go() {
    check(
        "at 0 | a open 60s; - make c bytes=9 full=evict
         at 1 | a#1 put c:k v1; a#2 put c:m v2; a#3 put c:n v3; a#4 put c:o value
         at 1 | a#5 put c:o value77
         at 2 | a#6 put c:o value7777; a#7 put c:o value777
         cache c",
        "opened 1; done
         written 3 over 0; written 4 over 0; written 5 over 0; written 6 over 0
         written 9 over 6
         9 bytes over 8 of c; written 12 over 9
         1 lines, 1 entries of 9, 6 written, 3 evicted",
    );
}

#[test]
fn a_large_value_makes_room_for_all_of_itself() {
    let small: Vec<String> = (100..400).map(|at| format!("- put c:{at} v")).collect();
    let large = "v".repeat(400);
    let script = format!(
        "at 0 | - make c bytes=1000 full=evict
         at 1 | {}
         at 2 | - put c:x {large}; - put c:y {large}; - put c:z {large}",
        small.join("; ")
    );
    let machine = Player::played(&script).machine;
    let counts = machine.cache(&name("c")).expect("it is there").counts;
    assert_eq!((counts.entries, counts.bytes), (2, 802), "as much went as came");
    machine.debug_check();
}

/// A session's end carries out what waited for its copies, line by line, and each write makes room
/// that another such line may have to give. That must not go deeper with each of them.
#[test]
fn many_writes_that_make_room_for_each_other_take_no_stack() {
    const LINES: usize = 20_000;
    let all = |what: &str, of: &str, value: &str| {
        let each = (0..LINES).map(|at| format!("{of} {what} c:{at:05}{value}"));
        each.collect::<Vec<_>>().join("; ")
    };
    let script = format!(
        "at 0 | r open 60s; w open 60s; - make c bytes={} full=evict
         at 1 | {}
         at 2 | {}
         at 3 | {}
         at 4 | r end",
        LINES * 7,
        all("put", "-", " v1"),
        all("copy", "r", ""),
        all("put", "w", " v22"),
    );
    let play = move || {
        let machine = Player::played(&script).machine;
        machine.debug_check();
        machine.cache(&name("c")).expect("it is there").counts
    };
    let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(play).expect("a thread");
    let counts = thread.join().expect("it ends");
    assert_eq!((counts.waiting, counts.copies, counts.leaving), (0, 0, 0));
    assert!(counts.bytes <= LINES as u64 * 7 && counts.entries > LINES as u64 / 2, "{counts:?}");
}

#[test]
fn what_is_about_to_go_may_be_written_again() {
    check(
        "at 0 | a open 60s; b open 60s; - make c entries=1 full=evict
         at 1 | b#1 put c:k v1; a#1 own c:k; b#2 put c:m v2
         line c:k
         cache c
         at 2 | a#2 flush c:k 5 put=v3 keep
         line c:k
         cache c
         at 3 | b#3 put c:n v4; a#3 letgo c k@99
         cache c",
        "opened 1; opened 2; done
         written 4 over 0; v1@4 at 5, owned by 5; written 6 over 0 ~ a c:k 7 owned
         @4; a 5 owns asked 7; @0#0 7 remove
         2 lines, 2 entries of 6, 1 leaving, 1 copies, 1 waiting, 1 filled, 2 written, 1 recalled
         written 8 over 4
         @8; a 5 owns asked 7
         1 lines, 1 entries of 3, 1 copies, 1 filled, 3 written, 1 recalled, 1 evicted
         written 11 over 0; done
         1 lines, 1 entries of 3, 1 filled, 4 written, 1 recalled, 2 evicted",
    );
}

#[test]
fn a_cache_that_was_made_smaller_gets_there() {
    check(
        "at 0 | a open 60s; - make c full=evict
         at 1 | a#1 put c:k v1; a#2 put c:m v2; a#3 put c:n v3; - alter c entries=1
         cache c
         at 2 | a#4 put c:n v4
         cache c",
        "opened 1; done
         written 3 over 0; written 4 over 0; written 5 over 0; done
         3 lines, 3 entries of 9, 3 written
         written 7 over 5
         1 lines, 1 entries of 3, 4 written, 2 evicted",
    );
}
