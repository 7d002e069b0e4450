//! Random operations against a model, with restarts and power cuts at any moment.
//!
//! The model is the list of records that were asked for, in order. After a power cut the log must
//! be what some prefix of that list makes of it, and the prefix must reach at least to the last
//! record that was acknowledged. So nothing acknowledged is lost, nothing that was acknowledged as
//! gone comes back, and there is never a hole.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use proptest::prelude::*;

use super::{entry, log_id, open, options};
use crate::raft::types::{Entry, LogId, TypeConfig, Vote};
use crate::storage::sim_disk::SimFault;
use crate::storage::{Driver, Fault, LogStore, SimDisk};

const SYNC_MS: u64 = 3;

#[derive(Clone, Debug)]
enum Act {
    Append { count: u64, len: usize },
    NewTerm,
    Truncate { back: u64 },
    Purge { keep: u64 },
    Vote,
    Committed,
    Flush,
    Pass { ms: u64 },
    Reopen,
    Crash { seed: u64 },
    FailThenCrash { fault: SimFault, after: u64, seed: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    let fault = prop_oneof![
        Just(SimFault::Write),
        Just(SimFault::Sync),
        Just(SimFault::SyncDir),
        Just(SimFault::Create)
    ];
    prop_oneof![
        8 => (1..6u64, 0..300usize).prop_map(|(count, len)| Act::Append { count, len }),
        1 => (1..2u64, 500..3000usize).prop_map(|(count, len)| Act::Append { count, len }),
        1 => Just(Act::NewTerm),
        2 => (0..6u64).prop_map(|back| Act::Truncate { back }),
        2 => (0..12u64).prop_map(|keep| Act::Purge { keep }),
        2 => Just(Act::Vote),
        2 => Just(Act::Committed),
        1 => Just(Act::Flush),
        4 => (0..2 * SYNC_MS).prop_map(|ms| Act::Pass { ms }),
        1 => Just(Act::Reopen),
        2 => any::<u64>().prop_map(|seed| Act::Crash { seed }),
        1 => (fault, 0..6u64, any::<u64>())
            .prop_map(|(fault, after, seed)| Act::FailThenCrash { fault, after, seed }),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Entry(Entry),
    Vote(Vote),
    TruncateAfter(Option<LogId>),
    Purge(LogId),
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    vote: Option<Vote>,
    purged: Option<LogId>,
    entries: VecDeque<Entry>,
}

impl Model {
    fn last(&self) -> Option<LogId> {
        self.entries.back().map(|entry| entry.log_id).or(self.purged)
    }

    fn next_index(&self) -> u64 {
        self.last().map_or(0, |last| last.index + 1)
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Entry(entry) => self.entries.push_back(entry.clone()),
            Step::Vote(vote) => self.vote = Some(*vote),
            Step::TruncateAfter(after) => {
                let next = after.map_or(0, |after| after.index + 1);
                self.entries.retain(|entry| entry.log_id.index < next);
            }
            Step::Purge(upto) => {
                self.purged = Some(*upto);
                self.entries.retain(|entry| entry.log_id.index > upto.index);
            }
        }
    }
}

struct World {
    disk: SimDisk,
    store: LogStore,
    segment_bytes: u64,
    fault: Option<Fault>,
    /// What the log was when it was last opened.
    base: Model,
    /// What was asked for since.
    steps: Vec<Step>,
    /// How many of these were acknowledged.
    acked: Arc<AtomicUsize>,
    now: Model,
    term: u64,
    /// Everything that was ever saved as committed, and how much of it is known to be durable.
    committed: Vec<Option<LogId>>,
    committed_acked: usize,
}

fn open_world(
    disk: &SimDisk,
    segment_bytes: u64,
    fault: Option<Fault>,
) -> Result<LogStore, String> {
    let sync_latency = Box::new(|| Duration::from_millis(SYNC_MS));
    let mut options = options(segment_bytes);
    options.cache_bytes = 1500;
    open(disk.mount(), options, Driver::Task { sync_latency, fault }).map_err(|e| e.to_string())
}

impl World {
    fn new(segment_bytes: u64, fault: Option<Fault>) -> Result<Self, String> {
        let disk = SimDisk::new();
        let store = open_world(&disk, segment_bytes, fault)?;
        Ok(Self {
            disk,
            store,
            segment_bytes,
            fault,
            base: Model::default(),
            steps: Vec::new(),
            acked: Arc::default(),
            now: Model::default(),
            term: 1,
            committed: vec![None],
            committed_acked: 0,
        })
    }

    fn step(&mut self, step: Step) {
        self.now.apply(&step);
        self.steps.push(step);
    }

    /// Notes, once the signal comes, that everything so far is durable.
    fn on_ack(&self, signal: impl Future<Output = bool> + Send + 'static) {
        let (acked, count) = (self.acked.clone(), self.steps.len());
        tokio::spawn(async move {
            if signal.await {
                acked.fetch_max(count, Ordering::Relaxed);
            }
        });
    }

    async fn append(&mut self, count: u64, len: usize) {
        let first = self.now.next_index();
        let entries: Vec<Entry> =
            (first..first + count).map(|index| entry(self.term, index, len)).collect();
        for entry in &entries {
            self.step(Step::Entry(entry.clone()));
        }
        let (sender, receiver) = TypeConfig::oneshot();
        let _ = self.store.append(entries, IOFlushed::signal(sender)).await;
        self.on_ack(async move { matches!(receiver.await, Ok(Ok(()))) });
    }

    async fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Append { count, len } => self.append(*count, *len).await,
            Act::NewTerm => self.term += 1,
            Act::Truncate { back } => {
                let at = self.now.entries.len().saturating_sub(*back as usize);
                let kept = at.checked_sub(1).map(|at| self.now.entries[at].log_id);
                let after = kept.or(self.now.purged);
                let _ = self.store.truncate_after(after).await;
                self.step(Step::TruncateAfter(after));
                self.term += 1;
            }
            Act::Purge { keep } => {
                let at = self.now.entries.len().checked_sub(1 + *keep as usize);
                if let Some(upto) = at.map(|at| self.now.entries[at].log_id) {
                    let _ = self.store.purge(upto).await;
                    self.step(Step::Purge(upto));
                }
            }
            Act::Vote => {
                self.term += 1;
                let vote = Vote::new(self.term, 2);
                self.step(Step::Vote(vote));
                let mut store = self.store.clone();
                // The vote must be queued before anything else is.
                let mut save = Box::pin(async move { store.save_vote(&vote).await.is_ok() });
                let early = futures::poll!(&mut save);
                self.on_ack(async move {
                    match early {
                        std::task::Poll::Ready(done) => done,
                        std::task::Poll::Pending => save.await,
                    }
                });
            }
            Act::Committed => {
                let committed = self.now.last();
                if self.store.save_committed(committed).await.is_ok() {
                    self.committed.push(committed);
                }
            }
            Act::Flush => {
                if self.store.flush().await.is_ok() {
                    self.acked.store(self.steps.len(), Ordering::Relaxed);
                    self.committed_acked = self.committed.len() - 1;
                }
            }
            Act::Pass { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Act::Reopen => {
                if self.store.close().await.is_ok() {
                    self.acked.store(self.steps.len(), Ordering::Relaxed);
                    self.committed_acked = self.committed.len() - 1;
                }
                self.reopen().await?;
            }
            Act::Crash { seed } => {
                self.disk.crash(*seed);
                self.reopen().await?;
            }
            Act::FailThenCrash { fault, after, seed } => {
                self.disk.fail_after(*fault, *after);
                for _ in 0..4 {
                    self.append(3, 150).await;
                    tokio::time::sleep(Duration::from_millis(SYNC_MS + 1)).await;
                }
                self.disk.crash(*seed);
                self.reopen().await?;
            }
        }
        Ok(())
    }

    /// Opens the log again and compares it with what it may be.
    async fn reopen(&mut self) -> Result<(), String> {
        self.store = open_world(&self.disk, self.segment_bytes, self.fault)?;
        let found = observe(&mut self.store).await?;
        let acked = self.acked.load(Ordering::Relaxed);
        let mut model = self.base.clone();
        let mut fits = false;
        for count in 0..=self.steps.len() {
            if count > 0 {
                model.apply(&self.steps[count - 1]);
            }
            fits |= count >= acked && model == found;
        }
        if !fits {
            let steps = &self.steps;
            return Err(format!(
                "acknowledged {acked} of {steps:?}\n on {:?}\n found {found:?}",
                self.base
            ));
        }
        let committed = self.store.read_committed().await.map_err(|e| e.to_string())?;
        if !self.committed[self.committed_acked..].contains(&committed) {
            return Err(format!("committed {committed:?}"));
        }
        self.committed = vec![committed];
        self.committed_acked = 0;
        self.acked = Arc::default();
        self.steps.clear();
        self.base = found.clone();
        self.now = found;
        self.term += 1;
        Ok(())
    }
}

async fn observe(store: &mut LogStore) -> Result<Model, String> {
    let text = |error: std::io::Error| error.to_string();
    let entries: VecDeque<_> = store.try_get_log_entries(0..).await.map_err(text)?.into();
    let state = store.get_log_state().await.map_err(text)?;
    let vote = store.read_vote().await.map_err(text)?;
    let found = Model { vote, purged: state.last_purged_log_id, entries };
    let indices = found.entries.iter().map(|entry| entry.log_id.index);
    let first = found.next_index() - found.entries.len() as u64;
    if !indices.eq(first..found.next_index()) || found.last() != state.last_log_id {
        return Err(format!(
            "not contiguous, or the last is not {:?}: {found:?}",
            state.last_log_id
        ));
    }
    Ok(found)
}

fn run(acts: &[Act], segment_bytes: u64, fault: Option<Fault>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new(segment_bytes, fault)?;
        for act in acts {
            world.act(act).await?;
            if !matches!(act, Act::FailThenCrash { .. }) {
                let seen = observe(&mut world.store).await?;
                let same = (&seen.purged, &seen.entries) == (&world.now.purged, &world.now.entries);
                if !same {
                    return Err(format!("readers see {seen:?}, not {:?}", world.now));
                }
            }
        }
        world.disk.crash(99);
        world.reopen().await
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_was_acknowledged_survives_crashes(
        acts in prop::collection::vec(act(), 1..60),
        segment_bytes in prop_oneof![Just(512u64), Just(1024), Just(4096)],
    ) {
        run(&acts, segment_bytes, None).map_err(TestCaseError::fail)?;
    }
}

/// A power cut at every disk operation of a run with many rotations, not only between calls.
#[test]
fn a_power_cut_at_every_disk_operation() {
    for fault in [SimFault::Write, SimFault::Sync, SimFault::Create, SimFault::SyncDir] {
        for (after, seed) in (0..40).flat_map(|after| (0..4).map(move |seed| (after, seed))) {
            let mut acts = vec![Act::Vote, Act::Pass { ms: 9 }];
            for _ in 0..3 {
                let append = [Act::Append { count: 4, len: 90 }, Act::Pass { ms: 2 * SYNC_MS }];
                acts.extend(append);
                acts.push(Act::Purge { keep: 2 });
            }
            acts.push(Act::FailThenCrash { fault, after: after % 7, seed: seed * 41 + after });
            acts.push(Act::FailThenCrash { fault, after: after / 7, seed });
            if let Err(why) = run(&acts, 512, None) {
                panic!("{fault:?} after {after}, seed {seed}: {why}");
            }
        }
    }
}

#[test]
fn an_acknowledgement_before_the_sync_is_caught() {
    let run_seed = |seed, fault| {
        let acts = [Act::Append { count: 3, len: 200 }, Act::Pass { ms: 1 }, Act::Crash { seed }];
        run(&acts, 1024, fault)
    };
    let caught =
        (0..40).filter(|&seed| run_seed(seed, Some(Fault::AcknowledgeBeforeSync)).is_err());
    assert!(caught.count() > 5);
    for seed in 0..40 {
        run_seed(seed, None).unwrap();
    }
}

#[test]
fn the_very_first_entries_keep_their_positions() {
    let acts =
        [Act::Append { count: 1, len: 0 }, Act::Flush, Act::Truncate { back: 1 }, Act::Flush];
    run(&acts, 512, None).unwrap();
    assert_eq!(entry(1, 0, 0).log_id, log_id(1, 0));
}
