//! Keeps a cluster busy in every way that is counted, so that every metric has something to say:
//! locks that are contended, forced and asked for in a circle, messages that come back and die,
//! copies that are taken back, values that expire and are evicted, sessions that nobody renews.

use std::time::Duration;

use bytes::Bytes;
use holdfast_client::{
    CacheSettings, CacheWhenFull, Client, Error, NewMessage, Queue, QueueSettings, Redrive,
};
use holdfast_proto::v1::OpenRequest;
use holdfast_proto::v1::sessions_client::SessionsClient;
use tokio::task::JoinSet;
use tonic::transport::Endpoint;

use crate::observe::PATIENCE;

/// Pause between rounds of what is not meant to be done as fast as possible.
const PAUSE: Duration = Duration::from_millis(50);

/// The shortest time to live that a session may have.
const SHORT_TTL_MS: u64 = 1_000;

/// What goes wrong where nothing should.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Keeps the cluster busy until it is dropped or something goes wrong, which it then answers.
pub async fn keep_busy(endpoints: &[String]) -> Trouble {
    let connect = async || {
        let builder = Client::builder().endpoints(endpoints).session_ttl(Duration::from_secs(4));
        builder.session_name("busy").connect().await
    };
    let (one, other) = match tokio::try_join!(connect(), connect()) {
        Ok(clients) => clients,
        Err(e) => return e.into(),
    };
    let mut tasks = JoinSet::new();
    for client in [&one, &other, &one] {
        tasks.spawn(contend(client.clone()));
    }
    tasks.spawn(in_circles(one.clone(), other.clone()));
    tasks.spawn(force(one.clone(), other.clone()));
    tasks.spawn(queue(one.clone(), other.clone()));
    tasks.spawn(read(one.clone()));
    tasks.spawn(write(other.clone()));
    tasks.spawn(leave_sessions(endpoints.to_vec()));
    match tasks.join_next().await {
        Some(Ok(Err(trouble))) => trouble,
        Some(Ok(Ok(never))) => match never {},
        Some(Err(e)) => e.into(),
        None => "nobody is busy".into(),
    }
}

type Never = std::convert::Infallible;

async fn contend(client: Client) -> Result<Never, Trouble> {
    let lock = client.mutex("busy/lock");
    loop {
        let guard = lock.lock().await?;
        tokio::time::sleep(Duration::from_millis(3)).await;
        guard.unlock().await?;
        if let Some(guard) = lock.try_lock().await? {
            guard.unlock().await?;
        }
    }
}

/// Two that each hold what the other wants.
async fn in_circles(one: Client, other: Client) -> Result<Never, Trouble> {
    loop {
        let left = one.mutex("busy/left").lock().await?;
        let right = other.mutex("busy/right").lock().await?;
        let wants_right = one.mutex("busy/right").under(&left);
        let waiting = tokio::spawn(async move { wants_right.lock_timeout(PATIENCE).await });
        tokio::time::sleep(PAUSE).await;
        match other.mutex("busy/left").under(&right).lock_timeout(PAUSE).await {
            Err(Error::Rejected { .. }) | Ok(None) => {}
            Err(e) => return Err(e.into()),
            Ok(Some(_)) => return Err("two hold the same lock".into()),
        }
        right.unlock().await?;
        if let Some(guard) = waiting.await?? {
            guard.unlock().await?;
        }
        left.unlock().await?;
    }
}

async fn force(one: Client, other: Client) -> Result<Never, Trouble> {
    loop {
        let guard = one.mutex("busy/forced").lock().await?;
        other.force_release("busy/forced", None).await?;
        guard.lost().await;
        tokio::time::sleep(10 * PAUSE).await;
    }
}

/// Of four messages one comes back once and dies at its second delivery.
async fn queue(producer: Client, consumer: Client) -> Result<Never, Trouble> {
    let (jobs, left) = (producer.queue("busy/jobs"), producer.queue("busy/left"));
    jobs.create(&QueueSettings::default().max_deliveries(2)).await?;
    let mut messages = consumer.queue("busy/jobs").consumer(8).await?;
    for round in 0_u64.. {
        for number in 0..4 {
            jobs.enqueue(NewMessage::new(format!("{round}/{number}"))).await?;
            let message = messages.next().await?;
            match number {
                3 => message.nack(Duration::ZERO).await?,
                _ => message.ack().await?,
            }
        }
        messages.next().await?.nack(Duration::ZERO).await?;
        left.enqueue("nobody takes it").await?;
        if round % 8 == 7 {
            sweep(&left, &jobs, &mut messages).await?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    unreachable!("rounds do not end")
}

/// Purges what nobody takes, and gives the dead another chance.
async fn sweep(
    left: &Queue,
    jobs: &Queue,
    messages: &mut holdfast_client::Consumer,
) -> Result<(), Trouble> {
    left.purge(|_| {}).await?;
    left.enqueue("one stays").await?;
    for _ in 0..jobs.redrive(&Redrive::default(), |_| {}).await? {
        messages.next().await?.ack().await?;
    }
    Ok(())
}

async fn read(client: Client) -> Result<Never, Trouble> {
    let (cache, uncached) = (client.cache("busy/users"), client.cache("busy/users").uncached());
    loop {
        for key in ["a", "b", "c", "d"] {
            cache.get(key).await?;
        }
        uncached.get("e").await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn write(client: Client) -> Result<Never, Trouble> {
    let (cache, small) = (client.cache("busy/users"), client.cache("busy/small"));
    let settings = CacheSettings::default().max_entries(4).when_full(CacheWhenFull::Evict);
    small.create(&settings).await?;
    for round in 0_u64.. {
        let body = Bytes::from(round.to_string());
        cache.put(["a", "b"][round as usize % 2], body.clone()).await?;
        cache.put_for("c", body.clone(), 2 * PAUSE).await?;
        small.put(format!("key/{round}"), body).await?;
        tokio::time::sleep(2 * PAUSE).await;
    }
    unreachable!("rounds do not end")
}

/// Opens sessions, by calls to each node in turn, and forgets them.
async fn leave_sessions(endpoints: Vec<String>) -> Result<Never, Trouble> {
    for (at, address) in endpoints.iter().cycle().enumerate() {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        let secret = Bytes::from(format!("the secret of session {at:016}"));
        let open = OpenRequest { ttl_ms: SHORT_TTL_MS, name: "left behind".into(), secret };
        SessionsClient::new(channel).open(open).await?;
        tokio::time::sleep(4 * PAUSE).await;
    }
    Err("there are no endpoints".into())
}
