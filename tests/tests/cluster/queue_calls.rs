//! Everything that can be asked of queues, by any gRPC tool, on any node.

use futures::future::join_all;
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::queues_client::QueuesClient;
use holdfast_proto::v1::{
    ChangeQueueRequest, Claim, ClaimRequest, CreateQueueRequest, DeleteQueueRequest, Delivery,
    Enqueue, EnqueueRequest, Extend, ExtendRequest, GetQueueRequest, Header, ListQueuesRequest,
    MessagePlace, NewMessage, PeekQueueRequest, PurgeQueueRequest, QueueSettings, Receipt,
    RedriveQueueRequest, Settle, SettleRequest, Settlement,
};
use holdfast_tests::local::LocalCluster;
use tonic::Status;
use tonic::transport::Channel;

use crate::raw::{Owner, Raw, refused};

async fn cluster<const N: usize>() -> (LocalCluster, Vec<Queues>, [Owner; N]) {
    let cluster = LocalCluster::start(3).await;
    cluster.leader().await;
    let nodes = cluster.endpoints();
    let nodes = join_all(nodes.iter().map(|address| Raw::connect(address))).await;
    let owners = join_all((0..N).map(|_| nodes[0].owner())).await;
    let queues = nodes.into_iter().map(|node| Queues(QueuesClient::new(node.channel))).collect();
    (cluster, queues, owners.try_into().expect("as many as asked for"))
}

/// The queue service of one node.
#[derive(Clone)]
struct Queues(QueuesClient<Channel>);

impl Queues {
    fn calls(&self) -> QueuesClient<Channel> {
        self.0.clone()
    }

    async fn enqueue(
        &self,
        owner: Option<(&Owner, u64)>,
        enqueue: Enqueue,
    ) -> Result<Vec<u64>, Status> {
        let mut request = EnqueueRequest { enqueue: Some(enqueue), ..EnqueueRequest::default() };
        if let Some((owner, seq)) = owner {
            (request.session_id, request.secret) = (owner.id, owner.secret.clone());
            request.seq = seq;
        }
        Ok(self.calls().enqueue(request).await?.into_inner().messages)
    }

    async fn claim(&self, owner: &Owner, seq: u64, claim: Claim) -> Result<Vec<Delivery>, Status> {
        let (session_id, secret) = (owner.id, owner.secret.clone());
        let claim = Some(claim);
        let request = ClaimRequest { session_id, secret, seq, claim, ..ClaimRequest::default() };
        Ok(self.calls().claim(request).await?.into_inner().messages)
    }

    async fn settle(&self, owner: &Owner, seq: u64, settle: Settle) -> Result<(), Status> {
        let (session_id, secret) = (owner.id, owner.secret.clone());
        let settle = Some(settle);
        let request = SettleRequest { session_id, secret, seq, settle, ..SettleRequest::default() };
        self.calls().settle(request).await.map(drop)
    }

    async fn extend(&self, owner: &Owner, extend: Extend) -> Result<(), Status> {
        let (session_id, secret) = (owner.id, owner.secret.clone());
        let extend = Some(extend);
        let request = ExtendRequest { session_id, secret, extend, ..ExtendRequest::default() };
        self.calls().extend(request).await.map(drop)
    }
}

fn messages(queue: &str, bodies: &[&'static str]) -> Enqueue {
    let message =
        |body: &&'static str| NewMessage { body: (*body).into(), ..NewMessage::default() };
    let messages = bodies.iter().map(message).collect();
    Enqueue { queue: queue.into(), messages, wait_ms: None }
}

fn one(queue: &str, message: NewMessage) -> Enqueue {
    Enqueue { queue: queue.into(), messages: vec![message], wait_ms: None }
}

fn at_once(queue: &str, max: u32) -> Claim {
    Claim { queue: queue.into(), max, wait_ms: Some(0), visibility_ms: None }
}

fn receipt(delivery: &Delivery) -> Receipt {
    Receipt { message: delivery.message, token: delivery.token }
}

fn settlement(queue: &str, deliveries: &[&Delivery], how: Settlement) -> Settle {
    let receipts = deliveries.iter().map(|delivery| receipt(delivery)).collect();
    Settle { queue: queue.into(), receipts, how: how.into(), delay_ms: 0 }
}

fn ack(queue: &str, deliveries: &[&Delivery]) -> Settle {
    settlement(queue, deliveries, Settlement::Ack)
}

#[tokio::test]
async fn every_node_takes_every_call() {
    let (cluster, nodes, [owner]) = cluster().await;
    for (at, node) in nodes.iter().enumerate() {
        let queue = format!("q{at}");
        let settings = QueueSettings { max_deliveries: Some(1), ..QueueSettings::default() };
        let create = CreateQueueRequest { queue: queue.clone(), settings: Some(settings.clone()) };
        node.calls().create(create).await.expect("created");
        let first = node.enqueue(None, messages(&queue, &["a"])).await.expect("enqueued");
        let second = node.enqueue(Some((&owner, 0)), messages(&queue, &["b", "c"])).await;
        let second = second.expect("enqueued");
        assert!(first[0] < second[0] && second[1] == second[0] + 1, "{first:?} {second:?}");
        let claimed = node.claim(&owner, 0, at_once(&queue, 5)).await.expect("claimed");
        let bodies: Vec<_> = claimed.iter().map(|delivery| delivery.body.clone()).collect();
        assert_eq!(bodies, ["a", "b", "c"]);
        assert!(claimed.iter().all(|delivery| (29_000..=30_000).contains(&delivery.visible_ms)));
        let receipts = vec![receipt(&claimed[0])];
        let extend = Extend { queue: queue.clone(), receipts, visibility_ms: 90_000 };
        node.extend(&owner, extend).await.expect("extended");
        node.settle(&owner, 0, ack(&queue, &[&claimed[0], &claimed[1]])).await.expect("settled");
        let back = settlement(&queue, &[&claimed[2]], Settlement::Return);
        node.settle(&owner, 0, back).await.expect("settled");
        let peek = PeekQueueRequest { queue: queue.clone(), ..PeekQueueRequest::default() };
        let peeked = node.calls().peek(peek).await.expect("answered").into_inner().messages;
        assert_eq!((peeked.len(), peeked[0].place()), (1, MessagePlace::Parked));
        let redrive = RedriveQueueRequest { queue: queue.clone(), ..Default::default() };
        let redriven = node.calls().redrive(redrive).await.expect("redriven").into_inner();
        assert_eq!((redriven.count, redriven.more), (1, false));
        let change = ChangeQueueRequest { queue: queue.clone(), settings: Some(settings) };
        node.calls().change(change).await.expect("changed");
        let got = node.calls().get(GetQueueRequest { queue: queue.clone() }).await;
        let info = got.expect("answered").into_inner().queue.expect("it is there");
        assert_eq!((info.ready, info.settings.and_then(|s| s.max_deliveries)), (1, Some(1)));
        let purged = node.calls().purge(PurgeQueueRequest { queue: queue.clone(), max: 0 }).await;
        assert_eq!(purged.expect("purged").into_inner().count, 1);
        node.calls().delete(DeleteQueueRequest { queue, force: false }).await.expect("deleted");
    }
    let listed = nodes[0].calls().list(ListQueuesRequest::default()).await.expect("listed");
    assert_eq!(listed.into_inner().queues, []);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_number_is_executed_once_whatever_node_hears_it() {
    let (cluster, nodes, [owner]) = cluster().await;
    let mut numbers = Vec::new();
    for node in &nodes {
        let enqueued = node.enqueue(Some((&owner, 1)), messages("q", &["a", "b"])).await;
        numbers.push(enqueued.expect("enqueued"));
    }
    assert!(numbers.iter().all(|other| *other == numbers[0]), "{numbers:?}");
    let mut claims = Vec::new();
    for node in &nodes {
        claims.push(node.claim(&owner, 2, at_once("q", 1)).await.expect("claimed"));
    }
    let tokens: Vec<_> = claims.iter().map(|claim| claim[0].token).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    assert_eq!(claims[0].len(), 1);
    for node in &nodes {
        node.settle(&owner, 3, ack("q", &[&claims[0][0]])).await.expect("settled once");
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn receipts_are_good_once_and_for_their_session_only() {
    let (cluster, nodes, [owner, other]) = cluster().await;
    let node = &nodes[1];
    node.enqueue(None, messages("q", &["a", "b"])).await.expect("enqueued");
    let claimed = node.claim(&owner, 0, at_once("q", 2)).await.expect("claimed");
    let [a, b] = claimed.as_slice() else { panic!("{claimed:?}") };
    let foreign = node.settle(&other, 0, ack("q", &[a])).await;
    refused(foreign, ErrorCode::ForeignReceipt, "another session");
    let forged = Delivery { token: a.token + 1_000, ..a.clone() };
    let unknown = node.settle(&owner, 0, ack("q", &[&forged, b])).await;
    refused(unknown, ErrorCode::UnknownReceipt, "not in flight by receipt");
    node.settle(&owner, 0, ack("q", &[a])).await.expect("settled");
    refused(node.settle(&owner, 0, ack("q", &[a])).await, ErrorCode::UnknownReceipt, "settled");
    let both = node.settle(&owner, 0, ack("q", &[a, b])).await;
    refused(both, ErrorCode::UnknownReceipt, "message");
    node.settle(&owner, 0, ack("q", &[b])).await.expect("it was left as it was");
    let nowhere = node.settle(&owner, 0, ack("elsewhere", &[b])).await;
    refused(nowhere, ErrorCode::NoSuchQueue, "elsewhere");
    cluster.shutdown().await;
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong() {
    let (cluster, nodes, [owner]) = cluster().await;
    let node = &nodes[2];
    let enqueue = |message: NewMessage| node.enqueue(None, one("q", message));
    let invalid = ErrorCode::InvalidRequest;
    let header = |name: &str| Header { name: name.into(), value: "v".into() };
    for (message, code, says) in [
        (NewMessage { priority: 10, ..Default::default() }, invalid, "priority 10"),
        (NewMessage { group: "g".repeat(513), ..Default::default() }, invalid, "513 bytes"),
        (NewMessage { dedup_id: "d".repeat(129), ..Default::default() }, invalid, "129 bytes"),
        (NewMessage { headers: vec![header("")], ..Default::default() }, invalid, "no name"),
        (NewMessage { headers: vec![header("a"); 65], ..Default::default() }, invalid, "65 head"),
        (NewMessage { delay_ms: Some(u64::MAX), ..Default::default() }, invalid, "delay"),
        (
            NewMessage { body: vec![0; (4 << 20) + 1].into(), ..Default::default() },
            ErrorCode::MessageTooLarge,
            "4194305 bytes",
        ),
    ] {
        refused(enqueue(message).await, code, says);
    }
    let none = node.enqueue(None, messages("q", &[])).await;
    refused(none, invalid, "0 messages");
    let named = node.enqueue(None, messages("a//b", &["x"])).await;
    refused(named, ErrorCode::InvalidName, "a//b");
    let waiting = Enqueue { wait_ms: Some(10), ..messages("q", &["x"]) };
    refused(node.enqueue(None, waiting).await, invalid, "without a session");
    let unnumbered = Claim { wait_ms: None, ..at_once("q", 1) };
    refused(node.claim(&owner, 0, unnumbered).await, invalid, "needs a number");
    refused(node.claim(&owner, 0, at_once("q", 1_001)).await, invalid, "1001");
    let short = Claim { visibility_ms: Some(1), ..at_once("q", 1) };
    refused(node.claim(&owner, 0, short).await, invalid, "visibility");
    refused(node.claim(&owner, 0, at_once("q", 1)).await, ErrorCode::NothingCame, "in time");
    let settings = QueueSettings { dead_letter: Some("q".into()), ..QueueSettings::default() };
    let own = CreateQueueRequest { queue: "q".into(), settings: Some(settings) };
    refused(node.calls().create(own).await, invalid, "itself");
    node.enqueue(None, messages("q", &["x"])).await.expect("enqueued");
    let settings = QueueSettings { visibility_ms: Some(7), ..QueueSettings::default() };
    let change = ChangeQueueRequest { queue: "q".into(), settings: Some(settings) };
    refused(node.calls().change(change).await, invalid, "visibility_ms of 7");
    let gone = node.calls().get(GetQueueRequest { queue: "none".into() }).await.expect("answered");
    assert_eq!(gone.into_inner().queue, None);
    let peek = PeekQueueRequest { queue: "none".into(), ..PeekQueueRequest::default() };
    refused(node.calls().peek(peek).await, ErrorCode::NoSuchQueue, "none");
    cluster.shutdown().await;
}
