//! How much memory a message costs beyond its body: everything counted that the machine asks the
//! allocator for, rounded as allocators round.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use holdfast_primitives::{
    Batch, Body, Command, Machine, Name, NewMessage, Outcome, Request, Section, Seq, SessionId,
    Timestamp,
};

/// What is in use at the moment.
static BYTES: AtomicUsize = AtomicUsize::new(0);

struct Counting;

/// A size as a typical allocator rounds it: eight bytes of its own, in steps of sixteen.
fn rounded(bytes: usize) -> usize {
    (bytes + 8).next_multiple_of(16).max(32)
}

// SAFETY: it hands everything on to the system's allocator, and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(rounded(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.fetch_sub(rounded(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MESSAGES: usize = 100_000;
const BODY_BYTES: usize = 256;

fn apply(machine: &mut Machine, session: u64, command: Command) -> Outcome {
    let request = Request::new(Seq::NONE, command);
    let session = SessionId::new(session);
    let section = Section { session, confirmed: Seq::NONE, requests: vec![request] };
    let batch = Batch::new(Timestamp::from_millis(1), vec![section]);
    machine.apply(&batch).outcomes.swap_remove(0)
}

fn enqueue(machine: &mut Machine, queue: &Name, count: usize) {
    let message = NewMessage::new(Body::from(vec![7; BODY_BYTES])).expect("a good body");
    let messages = vec![message; count];
    let command = Command::Enqueue { queue: queue.clone(), messages, wait_ms: None };
    assert!(matches!(apply(machine, 0, command), Outcome::Enqueued { .. }));
}

/// What one message costs beyond its body.
fn cost(before: usize) -> usize {
    (BYTES.load(Ordering::Relaxed) - before) / MESSAGES - BODY_BYTES
}

#[test]
fn a_message_costs_little_beyond_its_body() {
    let queue = Name::parse("jobs").expect("a good name");
    for per_request in [1, 100] {
        let mut machine = Machine::new();
        let secret_hash = [1; 32];
        let open = Command::OpenSession { ttl_ms: 60_000, name: "c".into(), secret_hash };
        apply(&mut machine, 0, open);
        enqueue(&mut machine, &queue, 1);
        let before = BYTES.load(Ordering::Relaxed);
        for _ in 0..MESSAGES / per_request {
            enqueue(&mut machine, &queue, per_request);
        }
        let ready = cost(before);
        for _ in 0..MESSAGES / 10_000 {
            let consume = Command::Consume { queue: queue.clone(), credits: 10_000 };
            assert!(matches!(apply(&mut machine, 1, consume), Outcome::Consuming { .. }));
        }
        let in_flight = cost(before);
        let told = format!(
            "{per_request} to a request: {ready} bytes when ready, {in_flight} when in flight\n"
        );
        std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).expect("a terminal");
        assert!(ready < 150, "{told}");
        let view = machine.queue(&queue).expect("it was made");
        assert_eq!((view.counts.in_flight, view.counts.ready), (MESSAGES as u64, 1));
    }
}
