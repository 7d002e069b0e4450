//! Caches beside their model, on histories that nobody thought of.
//!
//! `HOLDFAST_CASES` sets how many histories are tried (256), `HOLDFAST_SEED` which ones (1).

use holdfast_primitives::limits::DUE_AT_ONCE_MAX;
use holdfast_primitives::{Applied, Batch, Fault, Fill, Machine, Revision, Timestamp, TurnWants};

use crate::cache_model::{CacheModel, Line, Turn, What};
use crate::cache_workload::CacheClients;
use crate::properties::{from_env, machine_with};
use crate::script::restarted;

/// Batches of one history.
const BATCHES: usize = 160;

/// Operations that one history has at least, on the average.
const OPERATIONS: usize = 400;

/// What can be seen of one step of a history.
pub(crate) struct Seen<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) model: &'a CacheModel,
    pub(crate) batch: &'a Batch,
    pub(crate) applied: &'a Applied,
    /// What the model says that should have come of it.
    expected: &'a Applied,
}

/// Lets one history happen, and counts its operations. What is looked at after every batch is up
/// to the caller.
pub(crate) fn play(seed: u64, fault: Option<Fault>, mut look: impl FnMut(&Seen<'_>)) -> usize {
    let due_at_once = [DUE_AT_ONCE_MAX, 1, 2][(seed % 3) as usize];
    let (mut machine, mut model) = (machine_with(fault), CacheModel::new(due_at_once));
    machine.fire_at_once(due_at_once);
    let mut clients = CacheClients::new(seed);
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
        clients.learn(&applied.outcomes);
        let (machine, model, expected) = (&machine, &model, &expected);
        look(&Seen { machine, model, batch: &batch, applied: &applied, expected });
    }
    clients.operations
}

pub(crate) fn histories() -> std::ops::Range<u64> {
    let first = from_env("HOLDFAST_SEED", 1);
    first..first + from_env("HOLDFAST_CASES", 256)
}

/// Everything that the machine says is what the model says, and so is what readers see.
pub(crate) fn agrees(seed: u64, fault: Option<Fault>) -> usize {
    play(seed, fault, |seen| {
        assert_eq!(seen.applied, seen.expected, "seed {seed}, of {:?}", seen.batch);
        seen.machine.debug_check();
        assert_same(seen.machine, seen.model);
    })
}

#[test]
fn caches_agree_with_their_model() {
    let operations: usize = histories().map(|seed| agrees(seed, None)).sum();
    let wanted = OPERATIONS * histories().count();
    assert!(operations >= wanted, "only {operations} operations were tried, not {wanted}");
}

#[test]
fn caches_survive_restarts() {
    for seed in histories().take(48) {
        let mut batches = 0;
        play(seed, None, |seen| {
            batches += 1;
            if batches % 8 == 0 {
                let again = restarted(seen.machine);
                again.debug_check();
                assert_eq!(again.state_hash(), seen.machine.state_hash());
                assert_same(&again, seen.model);
            }
        });
    }
}

fn assert_same(machine: &Machine, model: &CacheModel) {
    assert_eq!(machine.revision().get(), model.revision);
    assert_eq!(machine.next_deadline().map(|at| at.as_millis()), model.next_deadline());
    assert_eq!(machine.cache_count(), model.caches.len());
    let (caches, more) = machine.caches("", model.caches.len());
    assert!(!more);
    for (seen, cache) in caches.iter().zip(&model.caches) {
        assert_eq!((&seen.name, &seen.settings), (&cache.name, &cache.settings));
        assert_eq!(seen.totals, cache.totals, "totals of {}", cache.name);
        let lines: Vec<&Line> = model.lines_of(&cache.name).collect();
        let entries: Vec<&&Line> = lines.iter().filter(|line| line.value.is_some()).collect();
        let sum = |of: fn(&Line) -> usize| lines.iter().map(|line| of(line) as u64).sum::<u64>();
        let counts = seen.counts;
        assert_eq!((counts.lines, counts.entries), (lines.len() as u64, entries.len() as u64));
        assert_eq!(counts.bytes, entries.iter().map(|line| line.bytes()).sum::<u64>());
        assert_eq!((counts.leaving, counts.leaving_bytes), model.leaving(&cache.name));
        assert_eq!(counts.copies, sum(|line| line.copies.len()));
        assert_eq!(counts.waiting, sum(|line| line.turns.len() + line.waits.len()));
        let (views, more) = machine
            .view()
            .entries(&cache.name, "", "", usize::MAX, usize::MAX)
            .expect("it is there");
        assert!(!more);
        let seen: Vec<_> = views
            .iter()
            .map(|view| (&view.key, view.version.get(), &view.body, view.expires))
            .collect();
        let known: Vec<_> = entries
            .iter()
            .filter_map(|line| Some((line, line.value.as_ref()?)))
            .map(|(line, value)| {
                let expires = value.expires.map(Timestamp::from_millis);
                (&line.name.key, value.version, &value.body, expires)
            })
            .collect();
        assert_eq!(seen, known);
    }
    model.lines.iter().for_each(|line| assert_same_line(machine, line));
    for session in &model.sessions {
        assert_eq!(machine.recalls_owed_by(session.id), model.owed_by(session.id));
        let seen = machine.session(session.id).expect("it is there");
        let copies = model.lines.iter().flat_map(|line| &line.copies);
        assert_eq!(seen.copies, copies.filter(|copy| copy.session == session.id).count());
        let turns = model.lines.iter().flat_map(|line| &line.turns).map(|turn| turn.session);
        let waits = model.lines.iter().flat_map(|line| &line.waits).map(|wait| wait.session);
        let sweeps = model.caches.iter().flat_map(|cache| &cache.sweeps).map(|it| it.session);
        let all = turns.chain(waits).chain(sweeps);
        assert_eq!(seen.waits, all.filter(|id| *id == session.id).count());
    }
}

fn assert_same_line(machine: &Machine, line: &Line) {
    let seen = machine.line(&line.name).expect("the model has it");
    assert_eq!((&seen.key, seen.version.get()), (&line.name.key, line.version()));
    let copies = seen
        .copies
        .iter()
        .map(|copy| (copy.session, copy.since.get(), copy.is_owned, copy.asked.map(Revision::get)));
    let known = line.copies.iter().map(|c| (c.session, c.since, c.is_owned, c.asked));
    assert!(copies.eq(known), "copies of {}: {:?}", line.name, seen.copies);
    let turns =
        seen.turns.iter().map(|turn| (turn.ticket.get(), turn.session, turn.seq, turn.wants));
    let known = line.turns.iter().map(|t| (t.ticket, t.session, t.seq, wants(t)));
    assert!(turns.eq(known), "turns of {}: {:?}", line.name, seen.turns);
    let loader =
        seen.loader.map(|it| (it.session, it.token.get(), it.deadline.map(|at| at.as_millis())));
    assert_eq!(loader, line.load.as_ref().map(|it| (it.session, it.token, it.deadline)));
    assert_eq!(seen.load_waiters, line.waits.len());
    let visible = machine.visible(&line.name);
    assert_eq!(visible.is_none(), line.owner().is_some());
    if let Some(filled) = visible {
        let version = filled.value.map_or(0, |value| value.version.get());
        assert_eq!(version, line.version());
    }
}

fn wants(turn: &Turn) -> TurnWants {
    match turn.what {
        What::Fill(Fill::Own) => TurnWants::Own,
        What::Fill(Fill::Read | Fill::Share | Fill::Load { .. }) => TurnWants::Read,
        What::Write(_) => TurnWants::Write,
        What::Expire(_) | What::Evict(_) | What::Sweep(_) => TurnWants::Remove,
    }
}
