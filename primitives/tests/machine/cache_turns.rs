//! Those who wait at a line of a cache: each is judged when its turn comes.

use crate::script::check;

#[test]
fn writes_are_judged_in_order() {
    check(
        "at 0 | a open 60s; b open 60s; w open 60s
         at 1 | w#1 put c:k v1; a#1 copy c:k
         at 2 | w#2 put c:k v2 ver=4; b#1 put c:k v3 ver=4; w#3 erase c:k ver=4; b#2 put c:k v4
         line c:k
         at 3 | a#2 letgo c k@6
         at 4 | w#4 put c:k v5 ver=13; w#5 put c:k v6 ver=0; w#6 erase c:k ver=14
         at 5 | w#7 put c:k v7 ver=0; w#8 add c:k 1 ver=0",
        "opened 1; opened 2; opened 3
         written 4 over 0; v1@4 at 5, shared
         waiting 6 behind 0; waiting 7 behind 1; waiting 8 behind 2; waiting 9 behind 3 ~ a c:k 6
         v1@4; a 5 asked 6; w#2 6 write, b#1 7 write, w#3 8 write, b#2 9 write
         done > w#2 ticket 6: written 10 over 4 > b#1 ticket 7: c:k is 10 and not 4
         .. > w#3 ticket 8: c:k is 10 and not 4 > b#2 ticket 9: written 13 over 10
         written 14 over 13; c:k is 14 and not 0; written 16 over 14
         written 17 over 0; c:k is 17 and not 0",
    );
}

#[test]
fn who_writes_beside_its_stream_is_asked_for_its_copy() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 copy c:k; a#2 put c:k v1 asks
         line c:k
         at 2 | b#1 read c:k; a#3 letgo c k@99
         at 3 | a#4 copy c:k; a#5 put c:k v2",
        "opened 1; opened 2
         nothing at 3, shared; waiting 4 behind 0 ~ a c:k 4
         nothing; a 3 asked 4; a#2 4 write
         nothing at 5; done > a#2 ticket 4: written 6 over 0
         v1@6 at 7, shared; written 8 over 6",
    );
}

#[test]
fn what_is_refused_anyway_takes_nobodys_copy() {
    check(
        "at 0 | a open 60s; w open 60s; - make c size=4
         at 1 | w#1 put c:k v1; a#1 copy c:k; w#2 put c:k v2 ver=3; w#3 put c:k value
         at 2 | w#4 add c:k 1; w#5 put c:k v by=3; w#6 put c:k v ttl=9; w#7 erase c:k ver=0
         line c:k
         at 3 | w#8 put c:k v2; w#9 put c:k v3 ver=3
         line c:k
         at 4 | a#2 letgo c k@99",
        "opened 1; opened 2; done
         written 4 over 0; v1@4 at 5, shared; c:k is 4 and not 3; 5 bytes over 4 of c
         c:k is no number; load 3 of c:k is over; ttl_ms 9 not in 10..315360000000;
         .. c:k is 4 and not 0
         v1@4; a 5
         waiting 12 behind 0; waiting 13 behind 1 ~ a c:k 12
         v1@4; a 5 asked 12; w#8 12 write, w#9 13 write
         done > w#8 ticket 12: written 14 over 4 > w#9 ticket 13: c:k is 14 and not 3",
    );
}

#[test]
fn a_guard_that_goes_stale_meanwhile_stops_the_write() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | b#1 acquire x; a#1 copy c:k; b#2 if(x,3) put c:k v1; b#3 if(x,3) put c:k v2
         at 2 | b#4 release x 3
         line c:k
         at 3 | a#2 letgo c k@99
         line c:k",
        "opened 1; opened 2
         granted 3; nothing at 4, shared; waiting 5 behind 0; waiting 6 behind 1 ~ a c:k 5
         done
         nothing; a 4 asked 5; b#2 5 write, b#3 6 write
         done > b#2 ticket 5: 3 of x is stale > b#3 ticket 6: 3 of x is stale
         no line c:k",
    );
}

#[test]
fn a_guard_is_lost_with_its_session_before_lines_go_on() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; a#2 copy c:k; b#1 if(x,3) put c:k v1; b#2 own c:m
         at 1 | b#3 if(x,3) own c:k; b#4 if(x,9) own c:k; - if(x,3) read c:m
         line c:m
         at 2 | a#3 end
         line c:k
         at 3 | b#5 flush c:m 6",
        "opened 1; opened 2
         granted 3; nothing at 4, shared; waiting 5 behind 0; nothing at 6, owned by 6 ~ a c:k 5
         waiting 7 behind 1; 9 of x is stale; waiting 9 behind 0 ~ b c:m 9 owned
         @0; b 6 owns asked 9; @0#0 9 read
         done > b#1 ticket 5: 3 of x is stale > b#3 ticket 7: 3 of x is stale
         no line c:k
         written 0 over 0 > @0#0 ticket 9: 3 of x is stale",
    );
}

#[test]
fn reads_do_not_wait_for_writes() {
    check(
        "at 0 | a open 60s; b open 60s; w open 60s
         at 1 | w#1 put c:k v1; a#1 copy c:k; w#2 put c:k v2; b#1 copy c:k; b#2 load c:k 5s
         at 2 | b#3 read c:k; - read c:k; a#2 copy c:k
         line c:k",
        "opened 1; opened 2; opened 3
         written 4 over 0; v1@4 at 5, shared; waiting 6 behind 0; v1@4 at 7; v1@4 at 8 ~ a c:k 6
         v1@4 at 9; v1@4 at 10; v1@4 at 11
         v1@4; a 5 asked 6; w#2 6 write",
    );
}

#[test]
fn who_has_no_session_waits_by_its_ticket() {
    check(
        "at 0 | a open 60s
         at 1 | a#1 copy c:k; - put c:k v1; - add c:k 1; a#2 own c:m; - read c:m
         line c:k
         at 2 | a#3 letgo c k@99; a#4 flush c:m 5 put=v2",
        "opened 1
         nothing at 2, shared; waiting 3 behind 0; waiting 4 behind 1;
         .. nothing at 5, owned by 5; waiting 6 behind 0 ~ a c:k 3 ~ a c:m 6 owned
         nothing; a 2 asked 3; @0#0 3 write, @0#0 4 write
         done; written 9 over 0 > @0#0 ticket 3: written 7 over 0
         .. > @0#0 ticket 4: c:k is no number > @0#0 ticket 6: v2@9 at 10",
    );
}

#[test]
fn a_fill_that_waits_can_be_withdrawn_and_a_write_cannot() {
    check(
        "at 0 | a open 60s; b open 60s; w open 60s
         at 1 | a#1 own c:k; b#1 read c:k; b#2 put c:k v1; w#1 own c:k; b#3 copy c:k
         at 1 | b#4 load c:k 9s
         line c:k
         at 2 | b#5 quit c:k 1; b#6 quit c:k 2; w#2 quit c:k 1; b#7 quit c:k 4; b#8 quit c:k 0
         line c:k
         at 3 | b#9 quit c:m 3; w#3 quit c:k 3; b#10 quit x:k 3; a#2 letgo c k@99
         line c:k",
        "opened 1; opened 2; opened 3
         nothing at 4, owned by 4; waiting 5 behind 0; waiting 6 behind 1; waiting 7 behind 2;
         .. waiting 8 behind 3 ~ a c:k 5 owned
         waiting 9 behind 4
         @0; a 4 owns asked 5; b#1 5 read, b#2 6 write, w#1 7 own, b#3 8 read, b#4 9 read
         done; done; done; done; done > b#1 ticket 5: c:k withdrawn > w#1 ticket 7: c:k withdrawn
         .. > b#4 ticket 9: c:k withdrawn
         @0; a 4 owns asked 5; b#2 6 write, b#3 8 read
         done; done; done; done > b#2 ticket 6: written 18 over 0
         .. > b#3 ticket 8: v1@18 at 19, shared
         v1@18; b 19",
    );
}

#[test]
fn recalls_that_were_missed_can_be_seen() {
    let player = crate::script::Player::played(
        "at 0 | a open 60s; b open 60s; w open 60s
         at 1 | a#1 copy c:k; a#2 own c:m; b#1 copy c:k; a#3 copy c:n
         at 2 | w#1 put c:m v1; w#2 put c:k v2; b#2 letgo c k@99",
    );
    let owed = |session| {
        let owed = player.machine.recalls_owed_by(holdfast_primitives::SessionId::new(session));
        let told = |recall: &holdfast_primitives::Recall| {
            format!("{} {} {}", recall.line, recall.ticket, recall.is_owned)
        };
        owed.iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(owed(1), ["c:m 8 true", "c:k 9 false"]);
    assert_eq!(owed(2), [""; 0]);
    assert_eq!(owed(9), [""; 0]);
}

#[test]
fn a_session_counts_what_it_waits_for_and_has() {
    let player = crate::script::Player::played(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 copy c:k; a#2 own c:m; b#1 put c:k v1; b#2 own c:m; b#3 load c:n 9s
         at 1 | a#3 load c:n 9s; b#4 sweep c m 9",
    );
    let seen = |session| {
        let id = holdfast_primitives::SessionId::new(session);
        let seen = player.machine.session(id).expect("it is there");
        (seen.waits, seen.copies)
    };
    assert_eq!(seen(1), (1, 2));
    assert_eq!(seen(2), (3, 0));
}
