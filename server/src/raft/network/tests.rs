//! Snapshots on their way to a peer that does not take them.

use std::sync::atomic::{AtomicUsize, Ordering};

use holdfast_proto::peer::peer_server::{Peer as Protocol, PeerServer};
use openraft::network::RPCOption;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Streaming};

use super::*;
use crate::metrics::Metrics;
use crate::raft::snapshots::{RaftSnapshot, SnapshotStore};
use crate::raft::types::SnapshotMeta;
use crate::storage::sim_disk::SimFault;
use crate::storage::{Driver, LogOptions, LogStore, SimDisk, SnapshotFiles, wal};

/// A peer that keeps what it is sent on a disk of its own, and counts how often it is asked to.
#[derive(Clone)]
struct Follower {
    store: Arc<SnapshotStore>,
    asked: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl Protocol for Follower {
    async fn install_snapshot(
        &self,
        request: Request<Streaming<peer::SnapshotChunk>>,
    ) -> Result<Response<peer::SnapshotReply>, Status> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (vote, _) = self.store.receive(&mut request.into_inner()).await?;
        Ok(Response::new(peer::SnapshotReply { vote }))
    }

    async fn identify(
        &self,
        _: Request<peer::IdentifyRequest>,
    ) -> Result<Response<peer::IdentifyReply>, Status> {
        Err(Status::unimplemented("it is not asked"))
    }

    async fn vote(
        &self,
        _: Request<peer::VoteRequest>,
    ) -> Result<Response<peer::VoteReply>, Status> {
        Err(Status::unimplemented("it is not asked"))
    }

    async fn pre_vote(
        &self,
        _: Request<peer::VoteRequest>,
    ) -> Result<Response<peer::VoteReply>, Status> {
        Err(Status::unimplemented("it is not asked"))
    }

    async fn transfer_leader(
        &self,
        _: Request<peer::TransferLeaderRequest>,
    ) -> Result<Response<peer::TransferLeaderReply>, Status> {
        Err(Status::unimplemented("it is not asked"))
    }
}

fn store(disk: &SimDisk) -> Arc<SnapshotStore> {
    let (mount, options) = (disk.mount(), LogOptions::default());
    wal::create_first(mount.as_ref(), &options).expect("there is room");
    let driver = Driver::Task { sync_latency: Box::new(|| Duration::ZERO), fault: None };
    let log = LogStore::open(mount.clone(), options, driver).expect("it was just made");
    let metrics = Arc::new(Metrics::new(&crate::Settings::default()));
    Arc::new(SnapshotStore::open(mount, SnapshotWork::Inline, log, metrics).expect("it is whole"))
}

/// The way to the peer, and what it is asked on that way.
async fn link_to(disk: &SimDisk) -> (PeerLink, Arc<AtomicUsize>) {
    let (dials, dialled) = mpsc::unbounded_channel::<std::io::Result<DuplexStream>>();
    let dialer = Dialer::new(move |_| {
        let (ours, theirs) = duplex(1 << 16);
        let is_there = dials.send(Ok(theirs));
        async move { is_there.map(|()| ours).map_err(|_| std::io::ErrorKind::NotFound.into()) }
    });
    let asked = Arc::new(AtomicUsize::new(0));
    let follower = PeerServer::new(Follower { store: store(disk), asked: asked.clone() });
    let serving = tonic::transport::Server::builder().add_service(follower);
    tokio::spawn(serving.serve_with_incoming(UnboundedReceiverStream::new(dialled)));
    let timing = Timing { connect: Duration::from_secs(1), silence: Duration::from_secs(1) };
    let mut links = PeerLinks {
        me: Arc::new(Me { cluster: "test".into(), node_id: 1, incarnation: 7 }),
        dialer,
        timing,
        vital: Vital::new(),
        acknowledged: Acknowledged::default(),
        heeded: Heeded::default(),
        reached: Reached::default(),
        overdue: Overdue::default(),
        room: Room::default(),
        snapshot_work: SnapshotWork::Inline,
    };
    let peer = Peer { peer_addr: "node:2".into(), client_addr: "node:3".into() };
    (links.new_client(2, &peer).await, asked)
}

/// A snapshot of a few bytes.
fn snapshot(disk: &SimDisk) -> RaftSnapshot {
    let files = SnapshotFiles::open(disk.mount()).expect("it is empty");
    let mut writer = files.begin(&SnapshotMeta::default()).expect("there is room");
    writer.write_block(b"all there is").expect("there is room");
    writer.finish().expect("there is room");
    store(disk).current().expect("it was just written")
}

async fn send(link: &mut PeerLink, snapshot: &RaftSnapshot) -> Result<(), String> {
    let option = RPCOption::new(Duration::from_secs(5));
    let vote = Vote::new_committed(1, 1);
    let sent = link.full_snapshot(vote, snapshot.clone(), std::future::pending(), option);
    sent.await.map(drop).map_err(|e| e.to_string())
}

#[tokio::test]
async fn a_refused_snapshot_is_sent_again_after_longer_and_longer_pauses() {
    let (own, theirs) = (SimDisk::new(), SimDisk::new());
    let snapshot = snapshot(&own);
    let (mut link, asked) = link_to(&theirs).await;
    let usual = link.backoff().and_then(|mut rests| rests.next());
    assert_eq!(usual, Some(Duration::from_millis(20)), "for everything else");
    let mut rests = None;
    for expect in [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        theirs.fail_next(SimFault::Create);
        let why = send(&mut link, &snapshot).await.expect_err("there is no room");
        assert!(why.contains("cannot be created") && why.contains("Internal"), "{why}");
        let rests = rests.get_or_insert_with(|| link.backoff().expect("it has its own"));
        assert_eq!(rests.next(), Some(Duration::from_millis(expect)));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 10);
    send(&mut link, &snapshot).await.expect("there is room again");
}

#[tokio::test]
async fn a_peer_that_cannot_be_reached_is_tried_again_soon() {
    let attempts = Attempts::default();
    let mut rests = attempts.rests();
    let refusal = Status::internal("no room");
    let table = [(&refusal, 250), (&refusal, 500), (&Status::unavailable("gone"), 250)];
    for (status, expect) in table.into_iter().chain([(&refusal, 1_000)]) {
        attempts.failed(2, "file", status);
        assert_eq!(rests.next(), Some(Duration::from_millis(expect)));
    }
}

#[tokio::test]
async fn a_file_that_has_rotted_is_not_sent_twice() {
    let (own, theirs) = (SimDisk::new(), SimDisk::new());
    let snapshot = snapshot(&own);
    let (mut link, asked) = link_to(&theirs).await;
    let file = own.mount().open(snapshot.snapshot.file()).expect("it is there");
    file.write_at(b"!", 60).expect("it can be written");
    let why = send(&mut link, &snapshot).await.expect_err("it is damaged");
    assert!(why.contains("temporary-snapshot") && why.contains("DataLoss"), "{why}");
    let why = send(&mut link, &snapshot).await.expect_err("it is damaged");
    assert!(why.contains(snapshot.snapshot.file()), "it names the file here: {why}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
