//! Queues beside their model, on histories that nobody thought of.
//!
//! `HOLDFAST_CASES` sets how many histories are tried (256), `HOLDFAST_SEED` which ones (1).

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use holdfast_primitives::limits::DUE_AT_ONCE_MAX;
use holdfast_primitives::{
    Applied, Batch, EventKind, Fault, Machine, MessagePlace, Name, QueueEvent, Revision, Seq, Token,
};

use crate::properties::{from_env, machine_with};
use crate::queue_model::{Place, QueueModel};
use crate::queue_workload::{QueueClients, parts_of};
use crate::script::restarted;

/// Batches of one history.
const BATCHES: usize = 180;

/// Lets one history happen. What is looked at after every batch is up to the caller.
pub(crate) fn play(
    seed: u64,
    fault: Option<Fault>,
    delays: bool,
    mut look: impl FnMut(&Machine, &QueueModel, &Applied),
) -> usize {
    // In some histories there is always more due than may happen at once.
    let due_at_once = [DUE_AT_ONCE_MAX, 1, 2][(seed % 3) as usize];
    let (mut machine, mut model) = (machine_with(fault), QueueModel::new(due_at_once));
    machine.fire_at_once(due_at_once);
    let mut clients = QueueClients::new(seed, delays);
    for _ in 0..BATCHES {
        if clients.restarts() {
            machine = restarted(&machine);
            machine.fire_at_once(due_at_once);
            fault.into_iter().for_each(|fault| machine.plant(fault));
        }
        let batch = clients.batch(&model);
        // To the model it comes whole: what is refused is refused whatever its content is.
        let mut proposed = batch.clone();
        proposed.empty_what_is_refused();
        let bytes = proposed.encode().into();
        let decoded = Batch::decode(&bytes).expect("what was encoded can be decoded");
        assert_eq!(decoded, proposed);
        let applied = machine.apply(&decoded);
        let expected = model.apply(&batch);
        assert_eq!(applied, expected, "seed {seed}, of {batch:?}");
        clients.learn(&applied.outcomes);
        look(&machine, &model, &applied);
    }
    clients.operations
}

fn histories() -> std::ops::Range<u64> {
    let first = from_env("HOLDFAST_SEED", 1);
    first..first + from_env("HOLDFAST_CASES", 256)
}

#[test]
fn queues_agree_with_their_model() {
    let mut operations = 0;
    for seed in histories() {
        operations += play(seed, None, true, |machine, model, _| {
            assert_same(machine, model);
        });
    }
    let wanted = 400 * histories().count();
    assert!(operations >= wanted, "only {operations} operations were tried, not {wanted}");
}

#[test]
fn queues_keep_their_invariants() {
    for seed in histories().take(48) {
        let mut batches = 0;
        play(seed, None, true, |machine, model, _| {
            machine.debug_check();
            one_of_each_group_flies(machine, model);
            batches += 1;
            if batches % 8 == 0 {
                let again = restarted(machine);
                again.debug_check();
                assert_eq!(again.state_hash(), machine.state_hash());
                assert_same(&again, model);
                let (queues, more) = machine.view().queues("", 2);
                let names = model.queues.iter().take(2).map(|queue| &queue.name);
                assert!(queues.iter().map(|queue| &queue.name).eq(names));
                assert_eq!(more, model.queues.len() > 2);
            }
        });
    }
}

/// Groups go side by side, and each goes in order: never are two of one in flight.
fn one_of_each_group_flies(machine: &Machine, model: &QueueModel) {
    for queue in &model.queues {
        let in_flight = Some(MessagePlace::InFlight);
        let flying = machine.view().peek(&queue.name, Revision::new(0), usize::MAX, in_flight);
        let mut groups = BTreeSet::new();
        for message in flying.expect("it is there") {
            let group = message.extras.as_ref().and_then(|extras| extras.group.clone());
            let is_alone = group.is_none_or(|group| groups.insert(group));
            assert!(is_alone, "{} of {} flies beside another", message.message, queue.name);
        }
    }
}

/// Nothing is lost and nothing is invented: what came in is there, or its end was told.
#[test]
fn every_message_is_accounted_for() {
    for seed in histories().take(48) {
        let mut books: BTreeMap<Name, BTreeSet<Revision>> = BTreeMap::new();
        play(seed, None, true, |machine, _, applied| {
            for event in &applied.events {
                let EventKind::Queue { queue, change } = &event.kind else { continue };
                let book = books.entry(queue.clone()).or_default();
                let known = match change {
                    QueueEvent::Enqueued => book.insert(event.revision),
                    QueueEvent::Acked { message } | QueueEvent::Removed { message } => {
                        book.remove(message)
                    }
                    QueueEvent::Died { message, moved: Some(_), .. }
                    | QueueEvent::Redriven { message, moved: Some(_) } => book.remove(message),
                    QueueEvent::Died { message, .. }
                    | QueueEvent::Redriven { message, .. }
                    | QueueEvent::Delivered { message, .. }
                    | QueueEvent::Returned { message } => book.contains(message),
                    QueueEvent::Deleted => {
                        book.clear();
                        true
                    }
                    QueueEvent::Created | QueueEvent::Changed => true,
                };
                assert!(known, "seed {seed}: {event:?}");
            }
            for (name, book) in &books {
                let there = machine.view().peek(name, Revision::new(0), usize::MAX, None);
                let there = there.unwrap_or_default();
                let there: BTreeSet<_> = there.iter().map(|message| message.message).collect();
                assert_eq!(there, *book, "seed {seed}: what {name} holds");
            }
        });
    }
}

/// Of what nobody had yet and nobody withholds, the oldest of a priority goes first.
#[test]
fn first_deliveries_are_in_order() {
    let mut deliveries = 0;
    for seed in histories().take(64) {
        let mut fresh: BTreeSet<(Name, Revision)> = BTreeSet::new();
        let mut bodies: BTreeMap<Revision, Vec<u8>> = BTreeMap::new();
        play(seed, None, false, |machine, model, applied| {
            let _ = machine;
            for message in model.queues.iter().flat_map(|queue| &queue.messages) {
                bodies.insert(Revision::new(message.number), message.body.to_vec());
            }
            for event in &applied.events {
                let EventKind::Queue { queue, change } = &event.kind else { continue };
                match change {
                    QueueEvent::Enqueued => {
                        fresh.insert((queue.clone(), event.revision));
                    }
                    QueueEvent::Deleted => fresh.retain(|(name, _)| name != queue),
                    QueueEvent::Delivered { message, .. } => {
                        if fresh.remove(&(queue.clone(), *message)) {
                            deliveries += 1;
                            check_first(&fresh, &bodies, queue, *message);
                        }
                    }
                    QueueEvent::Acked { message }
                    | QueueEvent::Removed { message }
                    | QueueEvent::Returned { message }
                    | QueueEvent::Died { message, .. }
                    | QueueEvent::Redriven { message, .. } => {
                        fresh.remove(&(queue.clone(), *message));
                    }
                    QueueEvent::Created | QueueEvent::Changed => {}
                }
            }
        });
    }
    assert!(deliveries > 1_000, "only {deliveries} first deliveries");
}

fn check_first(
    fresh: &BTreeSet<(Name, Revision)>,
    bodies: &BTreeMap<Revision, Vec<u8>>,
    queue: &Name,
    delivered: Revision,
) {
    let Some(body) = bodies.get(&delivered) else { return };
    let priority = parts_of(body).priority;
    for (name, other) in fresh {
        let Some(body) = bodies.get(other) else { continue };
        let parts = parts_of(body);
        let may_go = name == queue && parts.group.is_none();
        assert!(
            !may_go || *other > delivered || parts.priority < priority,
            "{delivered} of {queue} went before {other}"
        );
    }
}

fn finds(fault: Fault) -> bool {
    let agrees = |seed: u64| {
        play(seed, Some(fault), true, |machine, model, _| assert_same(machine, model));
    };
    histories().any(|seed| catch_unwind(AssertUnwindSafe(|| agrees(seed))).is_err())
}

#[test]
fn planted_mistakes_at_queues_are_found() {
    for fault in [
        Fault::LoseReturned,
        Fault::RedeliverAtTail,
        Fault::LoseInFlightInSnapshot,
        Fault::ForgetDelivery,
        Fault::ForgetDedupInSnapshot,
        Fault::ExecuteTwice,
        Fault::DropGuardCheck,
        Fault::LateExpiry,
        Fault::TwoOfAGroup,
    ] {
        assert!(finds(fault), "{fault:?} is not found");
    }
}

fn assert_same(machine: &Machine, model: &QueueModel) {
    assert_eq!(machine.revision().get(), model.revision);
    assert_eq!(machine.next_deadline().map(|at| at.as_millis()), model.next_deadline());
    assert_eq!(machine.queue_count(), model.queues.len());
    let view = machine.view();
    for queue in &model.queues {
        let seen = machine.queue(&queue.name).expect("the model has it");
        assert_eq!(seen.name, queue.name);
        assert_eq!(seen.settings, queue.settings);
        assert_eq!(seen.totals, queue.totals, "totals of {}", queue.name);
        assert_eq!((seen.counts.messages(), seen.counts.bytes), counts(queue));
        assert_eq!((seen.claims, seen.producers), (queue.claims.len(), queue.producers.len()));
        let mut consumers: Vec<_> = queue.consumers.iter().collect();
        consumers.sort_by_key(|consumer| consumer.turn);
        let tokens: Vec<_> = consumers.iter().map(|c| (c.token, c.session, c.seq)).collect();
        let seen_tokens = seen.consumers.iter().map(|c| (c.consumer.get(), c.session, c.seq));
        assert_eq!(seen_tokens.collect::<Vec<_>>(), tokens);
        let lies =
            |m: &&crate::queue_model::Message| matches!(m.place, Place::Ready | Place::Delayed(_));
        let oldest = queue.messages.iter().find(lies).map(|message| message.at);
        assert_eq!(seen.oldest.map(|at| at.as_millis()), oldest);
        let messages = view.peek(&queue.name, Revision::new(0), usize::MAX, None);
        let messages = messages.expect("it is there");
        assert_eq!(messages.len(), queue.messages.len());
        for (seen, message) in messages.iter().zip(&queue.messages) {
            assert_eq!(seen.message.get(), message.number);
            assert_eq!(seen.place, message.kind());
            assert_eq!(seen.body, message.body);
            assert_eq!(seen.extras, message.told_extras());
            assert_eq!((seen.priority, seen.deliveries), (message.priority, message.deliveries));
            assert_eq!(seen.enqueued_at.as_millis(), message.at);
        }
    }
    for session in &model.sessions {
        assert_eq!(machine.owed_to(session.id), model.owed_to(session.id));
        let of = |queue: &crate::queue_model::Queue| {
            let mine = queue.consumers.iter().filter(|c| c.session == session.id);
            mine.map(|c| (c.seq, Token::new(c.token))).collect::<Vec<(Seq, Token)>>()
        };
        let mut consumers: Vec<_> = model.queues.iter().flat_map(of).collect();
        consumers.sort_unstable();
        assert_eq!(machine.consumers_of(session.id), consumers);
    }
}

fn counts(queue: &crate::queue_model::Queue) -> (u64, u64) {
    (queue.messages.len() as u64, queue.bytes())
}
