//! What is written is visible to all who read, copies or not.

use crate::script::check;

#[test]
fn what_nobody_has_a_copy_of_is_written_at_once() {
    check(
        "events
         at 0 | a open 60s; b open 60s
         at 1 | a#1 read c:k; a#2 put c:k hi; b#1 read c:k; b#2 put c:k ho; a#3 read c:k
         at 2 | a#4 erase c:k; a#5 read c:k; a#6 erase c:k; - put c:k hu; - read c:k
         line c:k
         cache c",
        "opened 1; opened 2
         * 1 opened 1
         * 2 opened 2
         nothing at 3; written 4 over 0; hi@4 at 5; written 6 over 4; ho@6 at 7
         * 4 c made
         * 4 c:k is hi@4
         * 6 c:k is ho@6
         written 8 over 6; nothing at 9; written 10 over 0; written 11 over 0; hu@11 at 12
         * 8 c:k gone (Delete)
         * 11 c:k is hu@11
         hu@11
         1 lines, 1 entries of 3, 4 filled, 5 written",
    );
}

#[test]
fn a_write_waits_until_every_copy_is_let_go() {
    check(
        "events
         at 0 | a open 60s; b open 60s; w open 60s
         at 1 | w#1 put c:k v1; a#1 copy c:k; b#1 copy c:k; w#2 put c:k v2
         line c:k
         at 2 | a#2 read c:k; a#3 letgo c k@8; a#4 copy c:k
         line c:k
         at 3 | b#2 letgo c k@8; a#5 copy c:k
         line c:k
         cache c",
        "opened 1; opened 2; opened 3
         * 1 opened 1
         * 2 opened 2
         * 3 opened 3
         written 4 over 0; v1@4 at 5, shared; v1@4 at 6, shared; waiting 7 behind 0
         .. ~ a c:k 7 ~ b c:k 7
         * 4 c made
         * 4 c:k is v1@4
         v1@4; a 5 asked 7, b 6 asked 7; w#2 7 write
         v1@4 at 8; done; v1@4 at 10
         v1@4; b 6 asked 7; w#2 7 write
         done; v2@11 at 12, shared > w#2 ticket 7: written 11 over 4
         * 11 c:k is v2@11
         v2@11; a 12
         1 lines, 1 entries of 3, 1 copies, 5 filled, 2 written, 2 recalled",
    );
}

#[test]
fn that_there_is_nothing_is_known_by_a_copy_as_well() {
    check(
        "at 0 | a open 60s; w open 60s
         at 1 | a#1 copy c:k; w#1 put c:k v1; a#2 copy c:k
         at 2 | a#3 letgo c k@5; w#2 erase c:k
         line c:k",
        "opened 1; opened 2
         nothing at 3, shared; waiting 4 behind 0; nothing at 5 ~ a c:k 4
         done; written 7 over 6 > w#1 ticket 4: written 6 over 0
         no line c:k",
    );
}

#[test]
fn the_end_of_a_session_answers_for_it() {
    check(
        "at 0  | a open 2s; b open 60s; w open 60s
         at 1  | a#1 copy c:k; b#1 copy c:k; w#1 put c:k v1
         at 2  | b#2 end
         at 2s | tick
         line c:k",
        "opened 1; opened 2; opened 3
         nothing at 4, shared; nothing at 5, shared; waiting 6 behind 0 ~ a c:k 6 ~ b c:k 6
         done
         done > w#1 ticket 6: written 9 over 0
         v1@9",
    );
}

#[test]
fn a_session_that_is_gone_does_not_write_any_more() {
    check(
        "at 0  | a open 60s; b open 2s; c open 60s
         at 1  | a#1 copy c:k; b#1 put c:k v1; c#1 put c:k v2; b#2 load c:m 60s; c#2 load c:m 60s
         line c:k
         at 2s | tick
         line c:k
         line c:m
         at 3s | a#2 letgo c k@6
         line c:k",
        "opened 1; opened 2; opened 3
         nothing at 4, shared; waiting 5 behind 0; waiting 6 behind 1; load by 7;
         .. waiting 8 behind 0 ~ a c:k 5
         nothing; a 4 asked 5; b#1 5 write, c#1 6 write
         done > c#2 ticket 8: load by 10
         nothing; a 4 asked 5; c#1 6 write
         nothing; c loads by 10 until 62000
         done > c#1 ticket 6: written 12 over 0
         v2@12",
    );
}

#[test]
fn who_writes_has_let_its_own_copy_go() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 copy c:k; a#2 put c:k v1; a#3 copy c:k; b#1 copy c:k; a#4 put c:k v2
         line c:k
         at 2 | b#2 put c:k v3
         line c:k",
        "opened 1; opened 2
         nothing at 3, shared; written 4 over 0; v1@4 at 5, shared; v1@4 at 6, shared;
         .. waiting 7 behind 0 ~ b c:k 7
         v1@4; b 6 asked 7; a#4 7 write
         written 9 over 8 > a#4 ticket 7: written 8 over 4
         v3@9",
    );
}

#[test]
fn who_leaves_by_writing_lets_those_go_who_wait() {
    check(
        "at 0 | a open 60s; b open 60s; c open 60s
         at 1 | a#1 copy c:k; b#1 put c:k v1; a#2 put c:k v2
         at 2 | a#3 copy c:k; b#2 own c:k; a#4 own c:k
         line c:k
         at 3 | b#3 flush c:k 10
         line c:k",
        "opened 1; opened 2; opened 3
         nothing at 4, shared; waiting 5 behind 0; written 7 over 6
         .. > b#1 ticket 5: written 6 over 0 ~ a c:k 5
         v2@7 at 8, shared; waiting 9 behind 0; waiting 10 behind 0
         .. > b#2 ticket 9: v2@7 at 10, owned by 10 ~ a c:k 9 ~ b c:k 10 owned
         @7; b 10 owns asked 10; a#4 10 own
         written 7 over 7 > a#4 ticket 10: v2@7 at 12, owned by 12
         @7; a 12 owns",
    );
}

#[test]
fn only_the_copy_that_is_meant_is_let_go() {
    check(
        "at 0 | a open 60s; w open 60s
         at 1 | a#1 copy c:k; a#2 copy c:k; a#3 letgo c k@3,m@9
         line c:k
         at 2 | w#1 put c:k v1; a#4 letgo c k@3; w#2 letgo c k@9
         line c:k
         at 3 | a#5 letgo c k@6
         line c:k",
        "opened 1; opened 2
         nothing at 3, shared; nothing at 4, shared; done
         nothing; a 4
         waiting 6 behind 0; done; done ~ a c:k 6
         nothing; a 4 asked 6; w#1 6 write
         done > w#1 ticket 6: written 9 over 0
         v1@9",
    );
}

#[test]
fn copies_that_are_let_go_together_let_several_lines_go_on() {
    check(
        "at 0 | a open 60s; w open 60s
         at 1 | a#1 copy c:k; a#2 copy c:m; w#1 put c:k v1; w#2 put c:k v2; w#3 put c:m v3
         at 2 | a#3 letgo c k@5,m@7
         line c:k
         line c:m",
        "opened 1; opened 2
         nothing at 3, shared; nothing at 4, shared; waiting 5 behind 0; waiting 6 behind 1;
         .. waiting 7 behind 0 ~ a c:k 5 ~ a c:m 7
         done > w#1 ticket 5: written 8 over 0 > w#2 ticket 6: written 9 over 8
         .. > w#3 ticket 7: written 10 over 0
         v2@9
         v3@10",
    );
}

#[test]
fn a_recall_that_was_withdrawn_is_still_answered() {
    check(
        "at 0 | a open 60s; b open 60s; w open 60s
         at 1 | a#1 copy c:k; b#1 own c:k; b#2 quit c:k 1
         line c:k
         at 2 | w#1 put c:k v1
         line c:k
         at 3 | a#2 letgo c k@5
         line c:k",
        "opened 1; opened 2; opened 3
         nothing at 4, shared; waiting 5 behind 0; done > b#1 ticket 5: c:k withdrawn
         .. ~ a c:k 5
         nothing; a 4 asked 5
         waiting 7 behind 0
         nothing; a 4 asked 5; w#1 7 write
         done > w#1 ticket 7: written 8 over 0
         v1@8",
    );
}

#[test]
fn a_new_copy_is_not_let_go_by_an_old_answer() {
    check(
        "at 0 | a open 60s; b open 60s; w open 60s
         at 1 | a#1 copy c:k; b#1 own c:k; b#2 quit c:k 1; a#2 copy c:k; a#3 letgo c k@5
         line c:k
         at 2 | w#1 put c:k v1
         line c:k",
        "opened 1; opened 2; opened 3
         nothing at 4, shared; waiting 5 behind 0; done; nothing at 7, shared; done
         .. > b#1 ticket 5: c:k withdrawn ~ a c:k 5
         nothing; a 7
         waiting 9 behind 0 ~ a c:k 9
         nothing; a 7 asked 9; w#1 9 write",
    );
}

#[test]
fn a_number_is_added_to_what_is_there() {
    check(
        "at 0 | a open 60s; b open 60s
         at 1 | a#1 add c:n 5; b#1 add c:n -7; a#2 put c:t five; a#3 add c:t 1; a#4 read c:n
         at 2 | a#5 put c:n 9223372036854775807; a#6 add c:n 1; a#7 add c:n -1
         at 3 | a#8 put c:n -9223372036854775808; a#9 add c:n -1; a#10 put c:n 007; a#11 add c:n 0
         at 4 | a#12 put c:n 1.5; a#13 add c:n 1; a#14 erase c:n; b#2 copy c:n; a#15 add c:n 3
         at 5 | a#16 add c:n 4; b#3 letgo c n@99; b#4 read c:n",
        "opened 1; opened 2
         written 3 over 0 = 5; written 4 over 3 = -2; written 5 over 0; c:t is no number;
         .. -2@4 at 7
         written 8 over 4; 9223372036854775807 and 1 are too much for c:n;
         .. written 10 over 8 = 9223372036854775806
         written 11 over 10; -9223372036854775808 and -1 are too much for c:n;
         .. written 13 over 11; written 14 over 13 = 7
         written 15 over 14; c:n is no number; written 17 over 15; nothing at 18, shared;
         .. waiting 19 behind 0 ~ b c:n 19
         waiting 20 behind 1; done; 7@22 at 23 > a#15 ticket 19: written 21 over 0 = 3
         .. > a#16 ticket 20: written 22 over 21 = 7",
    );
}

#[test]
fn each_command_of_caches_has_its_place() {
    check(
        "at 0 | a open 60s
         at 1 | - copy c:k; - own c:k; - load c:k 5s; - flush c:k 1; - letgo c k@1; - giveup c:k 1
         at 1 | - quit c:k 1
         at 2 | a#1 make c; a#2 alter c ttl=5s; a#3 drop c",
        "opened 1
         misplaced; misplaced; misplaced; misplaced; misplaced; misplaced
         misplaced
         misplaced; misplaced; misplaced",
    );
}
