//! What is counted piece by piece is what there is.

use holdfast_primitives::{Machine, PIECES, Timestamp};

use crate::script::{Player, name};

fn busy() -> Machine {
    let script = "at 0 | a open 60s; b open 60s
         at 1 | a#1 acquire x; b#1 acquire x; a#2 acquire y
         at 2 | a#3 acquire x; b#2 enqueue q m1,m2,m3; a#4 enqueue r m4
         at 3 | b#3 consume q 1; a#5 claim r 1
         at 4 | a#6 put c:k hi; b#4 copy c:k; a#7 put d:k ho";
    Player::played(script).machine
}

#[test]
fn locks_are_counted_with_who_holds_and_who_waits() {
    let machine = busy();
    let locks: Vec<_> = (0..PIECES).flat_map(|piece| machine.lock_figures(piece)).collect();
    assert_eq!(locks.len(), machine.lock_count());
    let (waiters, held) = (locks.iter().map(|l| l.waiters), locks.iter().map(|l| l.holders));
    assert_eq!((held.sum::<usize>(), waiters.sum::<usize>()), (2, machine.lock_wait_count()));
    let first = locks.iter().filter_map(|lock| lock.first_since).min();
    assert_eq!(first, Some(Timestamp::from_millis(1)));
}

#[test]
fn queues_and_caches_are_counted_as_they_are_seen() {
    let machine = busy();
    let queues: Vec<_> = (0..PIECES).flat_map(|piece| machine.queue_figures(piece)).collect();
    assert_eq!(queues.len(), machine.queue_count());
    for figures in queues {
        let seen = machine.queue(&figures.name).expect("it is there");
        assert_eq!((figures.counts, figures.totals), (seen.counts, seen.totals));
        assert_eq!((figures.oldest, figures.consumers), (seen.oldest, seen.consumers.len()));
        let bounds = (seen.settings.max_messages, seen.settings.max_bytes);
        assert_eq!(figures.bounds, bounds);
    }
    let caches: Vec<_> = (0..PIECES).flat_map(|piece| machine.cache_figures(piece)).collect();
    assert_eq!(caches.len(), machine.cache_count());
    for figures in caches {
        assert_eq!(Some(&figures), machine.cache(&figures.name).as_ref());
    }
    assert!(machine.lock(&name("x")).is_some());
    assert_eq!(machine.lock_figures(PIECES).count(), 0, "there is no such piece");
}
