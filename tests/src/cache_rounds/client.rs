//! The process that uses a cache, until its input ends: `cache-client ID FILE SEED FAULT
//! ENDPOINT...`.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdfast_client::{Client, ClientBuilder, Fault};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::record::FileRecord;
use crate::cache_traffic::{CacheTraffic, write_under_guard};

/// The shortest that there is, so that pauses are longer.
const TTL: Duration = Duration::from_secs(1);

/// So long it goes on looking into its memory after its session is lost: nothing may be there.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// How often it is tried to read everything at the end.
const LAST_READS_MAX: usize = 20;

/// The client's `main`, with the arguments after its name.
pub fn client_main(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let mut next = || arguments.next().unwrap_or_default();
    let (id, path, seed, fault) = (next(), PathBuf::from(next()), next(), next());
    let (Ok(id), Ok(seed)) = (id.parse(), seed.parse()) else {
        eprintln!("the id and the seed are numbers");
        return ExitCode::FAILURE;
    };
    let record = match FileRecord::create(&path) {
        Ok(record) => record,
        Err(e) => {
            eprintln!("{}: {e}", path.display());
            return ExitCode::FAILURE;
        }
    };
    let mut builder = Client::builder().endpoints(arguments).session_ttl(TTL);
    match fault.as_str() {
        "serve-after-lease" => builder = builder.plant(Fault::ServeAfterLease),
        "old-fill-overwrites" => builder = builder.plant(Fault::OldFillOverwrites),
        _ => {}
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = is_over.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        ends.store(true, Ordering::SeqCst);
    });
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
    let user = User { id, record, builder, is_over, random: StdRng::seed_from_u64(seed) };
    runtime.block_on(user.run())
}

struct User {
    id: u64,
    record: FileRecord,
    builder: ClientBuilder,
    is_over: Arc<AtomicBool>,
    random: StdRng,
}

impl User {
    async fn run(mut self) -> ExitCode {
        loop {
            let Ok(client) = self.builder.clone().connect().await else { continue };
            let mut traffic = self.traffic(&client);
            let glancing = self.glance(&client);
            while client.session().is_alive() && !self.is_over() {
                match traffic.one_of(12) {
                    0 => write_under_guard(&mut traffic, &client).await,
                    _ => traffic.visit().await,
                }
                tokio::time::sleep(traffic.up_to_ms(15)).await;
            }
            glancing.await.ok();
            let mut is_read = false;
            for _ in 0..LAST_READS_MAX {
                if is_read || !client.session().is_alive() || !self.is_over() {
                    break;
                }
                is_read = traffic.read_all().await;
            }
            let session = client.session().id();
            if client.close().await.is_err() {
                self.record.lost(session);
            }
            if is_read {
                return ExitCode::SUCCESS;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn traffic(&mut self, client: &Client) -> CacheTraffic<FileRecord> {
        let random = StdRng::seed_from_u64(self.random.random());
        CacheTraffic::new(self.id, client, self.record.clone(), random)
    }

    /// Looks at copies all the time, in a thread of its own that knows nothing of the connection.
    fn glance(&mut self, client: &Client) -> tokio::task::JoinHandle<()> {
        let mut traffic = self.traffic(client);
        let (session, is_over) = (client.session(), self.is_over.clone());
        tokio::task::spawn_blocking(move || {
            let mut lost = None;
            while !is_over.load(Ordering::SeqCst) {
                let now = std::time::Instant::now();
                if !session.is_alive() && now > *lost.get_or_insert(now) + AFTERWARDS {
                    return;
                }
                traffic.glance();
                std::thread::sleep(traffic.up_to_ms(8));
            }
        })
    }
}
