//! The gatherer with a log that keeps every batch until it is told what becomes of it; and what
//! the real log takes.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use holdfast_primitives::{Command, Name, NewMessage, Section, Seq, SessionId, Timestamp};
use openraft::error::{ClientWriteError, ForwardToLeader};
use tokio::sync::{oneshot, watch};

use super::*;
use crate::raft::cut_off::CutOff;
use crate::raft::engine::tests::alone;
use crate::raft::room::Room;
use crate::raft::types::WriteResult;

/// A batch that was handed in, and for whom.
struct Written {
    leader: Option<LeaderId>,
    batch: Batch,
    done: OnComplete<WriteResult>,
}

/// The log.
struct Kept {
    leader: watch::Receiver<Option<LeaderId>>,
    heeded: watch::Receiver<bool>,
    room: Room,
    cut_off: watch::Receiver<bool>,
    written: Arc<Mutex<VecDeque<Written>>>,
}

impl Log for Kept {
    fn leader(&self) -> Option<LeaderId> {
        self.leader.borrow().filter(|_| !self.is_cut_off())
    }

    fn is_cut_off(&self) -> bool {
        *self.cut_off.borrow()
    }

    fn takes_writes(&mut self) -> bool {
        self.leader().is_none() || *self.heeded.borrow()
    }

    fn room(&self) -> &Room {
        &self.room
    }

    async fn changed(&mut self) {
        tokio::select! {
            changed = self.leader.changed() => changed.expect("the test goes on"),
            changed = self.heeded.changed() => changed.expect("the test goes on"),
            changed = self.cut_off.changed() => changed.expect("the test goes on"),
        }
    }

    async fn write(
        &self,
        batch: BatchBytes,
        leader: Option<LeaderId>,
        done: OnComplete<WriteResult>,
    ) {
        let batch = Batch::decode(&batch.0).expect("it was just made");
        self.written.lock().expect("no holder panics").push_back(Written { leader, batch, done });
    }
}

/// What a test holds in its hands.
struct Scene {
    leader: watch::Sender<Option<LeaderId>>,
    heeded: watch::Sender<bool>,
    room: Room,
    cut_off: watch::Sender<bool>,
    written: Arc<Mutex<VecDeque<Written>>>,
    submissions: mpsc::Sender<Submission>,
}

type Answer = oneshot::Receiver<Result<Vec<holdfast_primitives::Outcome>, NoOutcome>>;

impl Scene {
    fn new() -> Self {
        let (leader, seen) = watch::channel(leader(1));
        let (heeded, heeded_seen) = watch::channel(true);
        let room = Room::default();
        let (cut_off, cut_off_seen) = watch::channel(false);
        let written = Arc::default();
        let (submissions, waiting) = mpsc::channel(16);
        let log = Kept {
            leader: seen,
            heeded: heeded_seen,
            room: room.clone(),
            cut_off: cut_off_seen,
            written: Arc::clone(&written),
        };
        let limits = Limits { in_flight: 8, commands: 1_000, bytes: 1_000_000 };
        let (machine, clock) = (SharedMachine::default(), Arc::new(LeaseClock::new()));
        tokio::spawn(Gatherer::new(log, machine, clock, limits, waiting, metrics()).run());
        Self { leader, heeded, room, cut_off, written, submissions }
    }

    /// Submits an empty section that counts as so many commands, and lets the gatherer work.
    async fn submit(&self, commands: usize) -> Answer {
        self.submit_with(commands, false).await
    }

    async fn submit_with(&self, commands: usize, has_time: bool) -> Answer {
        let (caller, answer) = oneshot::channel();
        self.submit_for(commands, has_time, ReplyTo::Caller(caller)).await;
        answer
    }

    async fn submit_for(&self, commands: usize, has_time: bool, reply_to: ReplyTo) {
        let (session, confirmed, requests) = (SessionId::NONE, Seq::NONE, Vec::new());
        let section = Section { session, confirmed, requests };
        self.hand_in(section, commands, has_time, reply_to).await;
    }

    async fn hand_in(&self, section: Section, commands: usize, has_time: bool, reply_to: ReplyTo) {
        let mut bytes = Vec::new();
        section.encode_into(&mut bytes);
        let at = Instant::now();
        let submission =
            Submission { section: bytes, commands, has_time, at, reply_to, _share: None };
        assert!(self.submissions.send(submission).await.is_ok());
        settle().await;
    }

    fn next_written(&self) -> Option<Written> {
        self.written.lock().expect("no holder panics").pop_front()
    }
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(&crate::Settings::default()))
}

fn leader(term: u64) -> Option<LeaderId> {
    Some(LeaderId { term, node_id: 7 })
}

async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_few_commands_wait_for_company_or_for_a_batch_to_come_home() {
    let scene = Scene::new();
    let _first = scene.submit(100).await;
    let first = scene.next_written().expect("a lone batch goes out at once");
    let _second = scene.submit(1).await;
    assert!(scene.next_written().is_none(), "one command waits for company");
    drop(first);
    settle().await;
    assert!(scene.next_written().is_some(), "nothing is under way any more");
}

#[tokio::test(start_paused = true)]
async fn who_will_stand_in_line_goes_with_the_next_or_when_its_patience_ends() {
    let scene = Scene::new();
    let _waits = scene.submit_with(1, true).await;
    let _waits_too = scene.submit_with(1, true).await;
    assert!(scene.next_written().is_none(), "though nothing is under way");
    let _releases = scene.submit(1).await;
    let first = scene.next_written().expect("a release waits for nobody");
    assert_eq!(first.batch.sections.len(), 3, "and takes along who has time");

    let _waits = scene.submit_with(1, true).await;
    drop(first);
    settle().await;
    assert!(scene.next_written().is_none(), "the way home is no reason to hurry");
    tokio::time::sleep(PATIENCE).await;
    settle().await;
    assert!(scene.next_written().is_some(), "nobody came");

    let _many = scene.submit_with(1_000, true).await;
    let _one_more = scene.submit_with(1, true).await;
    assert!(scene.next_written().is_some(), "a full batch is not held");
}

#[tokio::test]
async fn what_is_under_way_as_an_earlier_leader_is_not_waited_for() {
    for next in [None, leader(3)] {
        let scene = Scene::new();
        let _first = scene.submit(100).await;
        let first = scene.next_written().expect("a lone batch goes out at once");
        let answer = scene.submit(1).await;
        assert!(scene.next_written().is_none(), "it waits for company");
        scene.leader.send_replace(next);
        settle().await;
        let held = scene.next_written().expect("whatever was held goes out");
        assert_eq!(held.leader, next);
        let refused = ClientWriteError::ForwardToLeader(ForwardToLeader::empty());
        (held.done.0)(Err(refused));
        assert_eq!(answer.await, Ok(Err(NoOutcome::NotLeader(None))));
        // The straggler's return is no news of this leader's batches.
        let _third = scene.submit(100).await;
        let _third = scene.next_written().expect("nothing is under way any more");
        let _fourth = scene.submit(1).await;
        drop(first);
        settle().await;
        assert!(scene.next_written().is_none(), "it waits for the third");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_leader_that_is_cut_off() {
    let scene = Scene::new();
    let mut under_way = scene.submit(100).await;
    let first = scene.next_written().expect("a lone batch goes out at once");
    let held = scene.submit(1).await;
    assert!(under_way.try_recv().is_err(), "its fate is not known yet");
    scene.cut_off.send_replace(true);
    assert_eq!(under_way.await, Ok(Err(NoOutcome::Unknown)), "it may be carried out yet");
    assert_eq!(held.await, Ok(Err(NoOutcome::NotLeader(None))), "it was not handed in");
    let next = scene.submit(1).await;
    assert_eq!(next.await, Ok(Err(NoOutcome::NotLeader(None))));
    assert!(scene.next_written().is_none(), "nothing is taken meanwhile");

    scene.cut_off.send_replace(false);
    let _again = scene.submit(1).await;
    let again = scene.next_written().expect("it leads as before, and nothing is waited for");
    assert_eq!(again.leader, leader(1));
    // What was under way is decided after all, and nobody waits for it.
    drop(first);
}

#[tokio::test]
async fn who_was_elected_just_now_hands_in_nothing_before_a_quorum_has_heeded_it() {
    let scene = Scene::new();
    scene.heeded.send_replace(false);
    scene.leader.send_replace(leader(3));
    let mut early = scene.submit(1).await;
    let _also_early = scene.submit(100).await;
    assert!(scene.next_written().is_none(), "it would be refused");
    assert!(early.try_recv().is_err(), "and its caller with it");
    scene.heeded.send_replace(true);
    settle().await;
    let first = scene.next_written().expect("nothing else is waited for");
    assert_eq!((first.leader, first.batch.sections.len()), (leader(3), 2));

    scene.heeded.send_replace(false);
    scene.leader.send_replace(leader(5));
    let _held = scene.submit(1).await;
    assert!(scene.next_written().is_none(), "it is the next that must be heeded now");
    scene.leader.send_replace(None);
    settle().await;
    assert!(scene.next_written().is_some(), "whoever leads instead is found by being refused");
}

#[tokio::test]
async fn a_batch_says_how_the_disk_is_and_leaves_out_what_is_refused() {
    let scene = Scene::new();
    let states = [(DiskState::Roomy, 0), (DiskState::Full, 7), (DiskState::Overfull, 8)];
    for (disk, peer) in states {
        scene.room.heard(peer, disk);
        let queue = Name::parse("jobs").expect("a name");
        let body = Bytes::from_static(b"resize");
        let messages = vec![NewMessage::new(body.clone()).expect("it is small")];
        let command = Command::Enqueue { queue, messages, wait_ms: None };
        let (caller, _answer) = oneshot::channel();
        scene.hand_in(Section::anonymous(command), 1, false, ReplyTo::Caller(caller)).await;
        let written = scene.next_written().expect("nothing else is under way");
        assert_eq!(written.batch.disk, disk);
        let kept = match &written.batch.sections[0].requests[0].command {
            Command::Enqueue { messages, .. } => messages[0].bytes(),
            other => panic!("{other:?}"),
        };
        assert_eq!(kept, if disk == DiskState::Roomy { body.len() } else { 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_stamp_is_for_the_leader_who_made_it() {
    let scene = Scene::new();
    let _first = scene.submit(1).await;
    let first = scene.next_written().expect("it goes out at once");
    tokio::time::advance(Duration::from_millis(400)).await;
    let _second = scene.submit(1).await;
    let second = scene.next_written().expect("it is as large as what is under way");
    assert_eq!((first.leader, second.leader), (leader(1), leader(1)));
    assert_eq!(second.batch.proposed_at, Timestamp::from_millis(400));
    scene.leader.send_replace(leader(3));
    let _third = scene.submit(1).await;
    let third = scene.next_written().expect("nothing is under way from this leader");
    assert_eq!(third.leader, leader(3));
    assert_eq!(third.batch.proposed_at, Timestamp::default(), "nobody has heard of the 400 ms");
}

#[tokio::test]
async fn what_follows_on_a_stream_does_not_go_to_another_leader() {
    let scene = Scene::new();
    let outbox = Arc::new(crate::session::Outbox::default());
    let by_stream = || ReplyTo::Stream { outbox: outbox.clone(), seqs: vec![1] };
    scene.submit_for(1, false, by_stream()).await;
    let first = scene.next_written().expect("it goes out at once");
    // The first is lost with its leader, and nobody has said so yet.
    scene.leader.send_replace(leader(3));
    scene.submit_for(1, false, by_stream()).await;
    assert!(scene.next_written().is_none(), "it would be carried out before the first");
    assert!(outbox.is_closed(), "the client is told to go on with another stream");
    let _other = scene.submit(1).await;
    let other = scene.next_written().expect("whoever has no stream goes on");
    assert_eq!((other.leader, other.batch.sections.len()), (leader(3), 1));
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn the_log_takes_a_batch_only_from_the_leader_who_stamped_it() {
    let raft = alone(crate::storage::SimDisk::new().mount()).await.raft;
    let cut_off = CutOff::watch(&crate::vital::Vital::new(), raft.clone(), Duration::from_secs(1));
    let mut log = RaftLog::new(raft, cut_off, Room::default());
    let leader = loop {
        match log.leader() {
            Some(leader) => break leader,
            None => log.changed().await,
        }
    };
    assert!(log.takes_writes(), "who is alone is a quorum");
    let earlier = LeaderId { term: leader.term - 1, ..leader };
    for (stamped_by, is_taken) in [(earlier, false), (leader, true)] {
        let (told, result) = oneshot::channel();
        let done = OnComplete(Box::new(move |result: WriteResult| {
            told.send(result.map(|_| ())).ok();
        }));
        let none: [&[u8]; 0] = [];
        let batch = Batch::assemble(Timestamp::default(), DiskState::Roomy, 0, none.into_iter());
        log.write(BatchBytes(Bytes::from(batch)), Some(stamped_by), done).await;
        match result.await.expect("it is told") {
            Ok(()) => assert!(is_taken, "{stamped_by:?} leads no longer"),
            Err(e) => {
                assert!(!is_taken, "{stamped_by:?} leads, yet {e}");
                assert!(matches!(e, ClientWriteError::ForwardToLeader(_)), "{e}");
            }
        }
    }
    log.raft.shutdown().await.expect("it ends");
}
