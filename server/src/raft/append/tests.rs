//! The calling side, against a peer that does what it is told.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use holdfast_primitives::DiskState;
use holdfast_proto::{Dialer, FrameReader, FrameWriter, peer};
use openraft::raft::StreamAppendError;
use openraft::testing::log_id;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{APPEND, Appending};
use crate::raft::acknowledged::Acknowledged;
use crate::raft::convert;
use crate::raft::heeded::Heeded;
use crate::raft::introduction::Me;
use crate::raft::network::{PeerLinks, Timing};
use crate::raft::overdue::Overdue;
use crate::raft::reached::Reached;
use crate::raft::room::Room;
use crate::raft::snapshots::SnapshotWork;
use crate::raft::types::{AppendRequest, AppendResult, TypeConfig, Vote};
use crate::vital::Vital;

mod answers;

const SILENCE: Duration = Duration::from_secs(1);

/// The peer's end of the connections that are opened to it.
struct Follower {
    dialled: mpsc::UnboundedReceiver<DuplexStream>,
    /// What the caller knows of its answers.
    heeded: Heeded,
    /// What the caller is told of followers that are slow.
    overdue: Overdue,
    /// What the caller knows of disks.
    room: Room,
}

/// One of them.
struct Opened {
    io: BufReader<DuplexStream>,
    reader: FrameReader,
}

fn pair() -> (Appending, Follower) {
    let (dials, dialled) = mpsc::unbounded_channel();
    let dialer = Dialer::new(move |_| {
        let (ours, theirs) = duplex(1 << 16);
        let is_there = dials.send(theirs);
        async move { is_there.map(|()| ours).map_err(|_| std::io::ErrorKind::NotFound.into()) }
    });
    let (heeded, overdue, room) = (Heeded::default(), Overdue::default(), Room::default());
    let links = PeerLinks {
        me: Arc::new(Me { cluster: "test".into(), node_id: 1, incarnation: 7 }),
        dialer,
        timing: Timing { connect: SILENCE, silence: SILENCE },
        vital: Vital::new(),
        acknowledged: Acknowledged::default(),
        heeded: heeded.clone(),
        overdue: overdue.clone(),
        room: room.clone(),
        reached: Reached::default(),
        snapshot_work: SnapshotWork::Inline,
    };
    (Appending::new(2, "node:2", links), Follower { dialled, heeded, overdue, room })
}

impl Follower {
    /// Takes the next connection, and says yes to the upgrade.
    async fn open(&mut self) -> Opened {
        let mut io = BufReader::new(self.dialled.recv().await.expect("it is dialled"));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(io.read_line(&mut head).await.expect("a head") > 0, "{head}");
        }
        assert!(head.starts_with("GET /v1/peer/append HTTP/1.1\r\n"), "{head}");
        for header in ["holdfast-from: 1", "holdfast-to: 2", "upgrade: holdfast.peer.v1.append"] {
            assert!(head.contains(header), "no {header:?} in {head}");
        }
        let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
             upgrade: holdfast.peer.v1.append\r\n\r\n";
        io.write_all(head.as_bytes()).await.expect("it is there");
        Opened { io, reader: FrameReader::new(APPEND.frame_bytes_max) }
    }
}

impl Opened {
    /// What the next request says is committed, or `None` if no more come.
    async fn heard(&mut self) -> Option<u64> {
        let Self { io, reader } = self;
        let read = poll_fn(|cx| reader.poll_next::<peer::AppendRequest>(io, cx)).await;
        read.expect("whole frames").map(|request| request.commit.expect("a commit").index)
    }

    async fn say(&mut self, result: AppendResult) {
        self.say_of_disk(result, DiskState::Roomy).await;
    }

    async fn say_of_disk(&mut self, result: AppendResult, disk: DiskState) {
        let mut writer = FrameWriter::default();
        writer.put(&convert::append_result_out(&result, disk));
        poll_fn(|cx| writer.poll_flush(&mut self.io, cx)).await.expect("it is there");
    }
}

/// A request that says how much is committed.
fn request(commit: u64) -> AppendRequest {
    AppendRequest {
        vote: Vote::new_committed(1, 1),
        prev_log_id: None,
        entries: Vec::new(),
        leader_commit: Some(log_id::<TypeConfig>(1, 1, commit)),
    }
}

fn matched(index: u64) -> AppendResult {
    Ok(Some(log_id::<TypeConfig>(1, 1, index)))
}

/// As a heartbeat does: one request, one answer, and nothing else.
async fn beat(appending: &mut Appending, commit: u64) -> Result<AppendResult, String> {
    let requests = stream::iter([request(commit)]);
    let mut answers = appending.exchange(requests).await.map_err(|e| e.to_string())?;
    let answer = answers.next().await.ok_or("no answer")?;
    assert!(answers.next().await.is_none(), "one too many");
    answer.map_err(|e| e.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_as_long_as_it_goes_well() {
    let (mut appending, mut follower) = pair();
    let following = async {
        let mut first = follower.open().await;
        for at in 1..=3 {
            assert_eq!(first.heard().await, Some(at));
            first.say(matched(at)).await;
        }
        // It refuses, and takes nothing more.
        assert_eq!(first.heard().await, Some(4));
        let conflict = log_id::<TypeConfig>(1, 1, 9);
        first.say(Err(StreamAppendError::Conflict(conflict))).await;
        let mut second = follower.open().await;
        assert_eq!(first.heard().await, None, "the first is closed");
        assert_eq!(second.heard().await, Some(5));
        second.say(matched(5)).await;
        // It goes, and comes back.
        drop(second);
        let mut third = follower.open().await;
        assert_eq!(third.heard().await, Some(6));
        third.say(matched(6)).await;
        third
    };
    let leading = async {
        for at in 1..=3 {
            assert_eq!(beat(&mut appending, at).await, Ok(matched(at)));
            sleep(10 * SILENCE).await;
        }
        let refused = beat(&mut appending, 4).await.expect("an answer");
        assert!(matches!(refused, Err(StreamAppendError::Conflict(_))), "{refused:?}");
        for at in 5..=6 {
            assert_eq!(beat(&mut appending, at).await, Ok(matched(at)));
            sleep(SILENCE).await;
        }
    };
    tokio::join!(following, leading);
}

#[tokio::test(start_paused = true)]
async fn a_peer_s_full_disk_is_believed_while_it_says_so() {
    let (mut appending, mut follower) = pair();
    let room = follower.room.clone();
    let following = async {
        let mut opened = follower.open().await;
        for at in 1..=3 {
            assert_eq!(opened.heard().await, Some(at));
            let disk = if at < 3 { DiskState::Full } else { DiskState::Roomy };
            opened.say_of_disk(matched(at), disk).await;
        }
        opened
    };
    let leading = async {
        for at in 1..=2 {
            assert_eq!(room.state(), DiskState::Roomy);
            assert_eq!(beat(&mut appending, at).await, Ok(matched(at)));
            assert_eq!((room.here(), room.state()), (DiskState::Roomy, DiskState::Full));
            // It has gone, or has room again.
            sleep(Duration::from_secs(4)).await;
        }
        assert_eq!(beat(&mut appending, 3).await, Ok(matched(3)));
        assert_eq!(room.state(), DiskState::Roomy);
    };
    tokio::join!(following, leading);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_owes_an_answer_and_is_silent_is_given_up() {
    let (mut appending, mut follower) = pair();
    let (requests, to_send) = mpsc::unbounded_channel();
    let following = async {
        let mut opened = follower.open().await;
        for at in 1..=2 {
            assert_eq!(opened.heard().await, Some(at));
            opened.say(matched(at)).await;
        }
        assert_eq!(opened.heard().await, Some(3));
        opened
    };
    let leading = async {
        let exchange = appending.exchange(UnboundedReceiverStream::new(to_send));
        let mut answers = exchange.await.expect("it is open");
        for at in 1..=2 {
            requests.send(request(at)).expect("it is taken");
            assert_eq!(answers.next().await.expect("an answer").ok(), Some(matched(at)));
            // While nothing is owed, silence says nothing.
            assert!(tokio::time::timeout(10 * SILENCE, answers.next()).await.is_err());
        }
        requests.send(request(3)).expect("it is taken");
        let asked = Instant::now();
        let end = answers.next().await.expect("an end");
        let waited = asked.elapsed();
        assert!(end.is_err_and(|e| e.to_string().contains("silent")));
        assert!(waited >= SILENCE && waited <= 3 * SILENCE, "{waited:?}");
        assert!(answers.next().await.is_none());
    };
    tokio::join!(following, leading);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_owed_at_the_end_is_missed() {
    let (mut appending, mut follower) = pair();
    let following = async {
        let mut opened = follower.open().await;
        assert_eq!(opened.heard().await, Some(1));
    };
    let (end, ()) = tokio::join!(beat(&mut appending, 1), following);
    assert!(end.expect_err("no answer").contains("owed answers"));
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_does_not_begin_the_opening_anew() {
    let (mut appending, mut follower) = pair();
    for _ in 0..10 {
        let beating = beat(&mut appending, 1);
        assert!(tokio::time::timeout(SILENCE / 20, beating).await.is_err());
    }
    let following = async {
        let mut opened = follower.open().await;
        assert_eq!(opened.heard().await, Some(1));
        opened.say(matched(1)).await;
        opened
    };
    let (answer, _opened) = tokio::join!(beat(&mut appending, 1), following);
    assert_eq!(answer, Ok(matched(1)));
    assert!(follower.dialled.try_recv().is_err(), "it was dialled more than once");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_late_is_passed_over() {
    let (mut appending, mut follower) = pair();
    let following = async {
        let mut opened = follower.open().await;
        for at in 1..=4 {
            assert_eq!(opened.heard().await, Some(at));
        }
        for at in 1..=4 {
            opened.say(matched(at)).await;
        }
        assert_eq!(opened.heard().await, Some(5));
        assert_eq!(opened.heard().await, Some(6));
        let conflict = log_id::<TypeConfig>(1, 1, 9);
        opened.say(Err(StreamAppendError::Conflict(conflict))).await;
        let mut next = follower.open().await;
        assert_eq!(next.heard().await, Some(7));
        next.say(matched(7)).await;
        next
    };
    let leading = async {
        let brief = SILENCE / 20;
        for at in 1..=3 {
            let beating = tokio::time::timeout(brief, beat(&mut appending, at));
            assert!(beating.await.is_err(), "nothing is answered yet");
        }
        assert_eq!(beat(&mut appending, 4).await, Ok(matched(4)));
        let beating = tokio::time::timeout(brief, beat(&mut appending, 5));
        assert!(beating.await.is_err(), "nothing is answered yet");
        // What the peer refuses is not this one, but it will not answer this one either.
        let refused = beat(&mut appending, 6).await.expect_err("no answer");
        assert!(refused.contains("asked before"), "{refused}");
        assert_eq!(beat(&mut appending, 7).await, Ok(matched(7)));
    };
    tokio::join!(following, leading);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_lets_every_heartbeat_wait_is_given_up() {
    let (mut appending, mut follower) = pair();
    let following = async {
        let _silent = follower.open().await;
        let begun = Instant::now();
        let mut next = follower.open().await;
        let waited = begun.elapsed();
        assert!(waited >= SILENCE && waited <= 3 * SILENCE, "{waited:?}");
        next.heard().await;
        next.say(matched(1)).await;
        next
    };
    let leading = async {
        while !matches!(
            tokio::time::timeout(SILENCE / 20, beat(&mut appending, 1)).await,
            Ok(Ok(_))
        ) {}
    };
    tokio::join!(following, leading);
}

#[tokio::test(start_paused = true)]
async fn who_has_lost_its_log_is_not_dialled_in_a_loop() {
    let (mut appending, mut follower) = pair();
    let following = async {
        for at in (0..=20).rev() {
            let mut opened = follower.open().await;
            opened.heard().await;
            match at {
                20 => opened.say(matched(20)).await,
                _ => {
                    let conflict = log_id::<TypeConfig>(1, 1, at);
                    opened.say(Err(StreamAppendError::Conflict(conflict))).await;
                }
            }
        }
    };
    let leading = async {
        assert_eq!(beat(&mut appending, 1).await, Ok(matched(20)));
        let begun = Instant::now();
        for _ in 0..20 {
            let lost = beat(&mut appending, 1).await.expect_err("it cannot be fed");
            assert!(lost.contains("lost its log"), "{lost}");
        }
        assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    };
    tokio::join!(following, leading);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_there_is_not_dialled_in_a_loop() {
    let (mut appending, follower) = pair();
    drop(follower);
    let begun = Instant::now();
    for _ in 0..20 {
        beat(&mut appending, 1).await.expect_err("nobody is there");
    }
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_waits_and_goes_out_in_order() {
    const COUNT: u64 = 20_000;
    let (mut appending, mut follower) = pair();
    let following = async {
        let mut opened = follower.open().await;
        // All that can be under way is, before the first is read.
        sleep(SILENCE / 2).await;
        for at in 1..=COUNT {
            assert_eq!(opened.heard().await, Some(at));
            opened.say(matched(at)).await;
        }
        opened
    };
    let leading = async {
        // Each of another term, so that none stands for another.
        let requests = stream::iter(1..=COUNT)
            .map(|at| AppendRequest { vote: Vote::new_committed(at, 1), ..request(at) });
        let answers = appending.exchange(requests).await.expect("it is open");
        answers.map(|answer| answer.expect("an answer")).collect::<Vec<_>>().await
    };
    let (_opened, answers) = tokio::join!(following, leading);
    assert_eq!(answers, (1..=COUNT).map(matched).collect::<Vec<_>>());
}
