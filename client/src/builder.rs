//! How a client is set up, and how it opens its session.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holdfast_proto::v1::StatusResponse;
use holdfast_proto::{Dialer, ErrorCode};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::client::Inner;
use crate::clock::Clock;
use crate::connection::{Actor, Hello, Parting, attach};
use crate::endpoints::Rotation;
use crate::fault::Faults;
use crate::lease::Lease;
use crate::session::SessionState;
use crate::{Client, Error, LeaseClock, endpoints, status};

const SESSION_TTL_DEFAULT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Longer time-outs mean this one, so that sums with it stay in range.
const TIMEOUT_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);
const SECRET_BYTES: usize = 32;

/// Sets up a [`Client`].
///
/// ```no_run
/// # async fn example() -> Result<(), holdfast_client::Error> {
/// use std::time::Duration;
/// use holdfast_client::Client;
///
/// let client = Client::builder()
///     .endpoints(["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"])
///     .session_ttl(Duration::from_secs(5))
///     .session_name("worker-7")
///     .request_timeout(Duration::from_secs(3))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ClientBuilder {
    endpoints: Vec<String>,
    settings: Settings,
}

/// What a client goes by, once its endpoints are checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) endpoints: Vec<String>,
    pub(crate) session_ttl: Duration,
    pub(crate) session_name: String,
    pub(crate) request_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) dialer: Dialer,
    pub(crate) clock: LeaseClock,
    pub(crate) seed: Option<u64>,
    pub(crate) sequential: bool,
    faults: Faults,
    secret: Option<Secret>,
}

/// A secret that was chosen, and is not to be printed.
#[derive(Clone)]
struct Secret(Bytes);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            session_ttl: SESSION_TTL_DEFAULT,
            session_name: String::new(),
            request_timeout: REQUEST_TIMEOUT_DEFAULT,
            connect_timeout: CONNECT_TIMEOUT_DEFAULT,
            dialer: Dialer::tcp(),
            clock: LeaseClock::default(),
            seed: None,
            sequential: false,
            faults: Faults::default(),
            secret: None,
        }
    }
}

impl ClientBuilder {
    /// The nodes to try, as `host:port` or `http://host:port`. At least one; the best is all.
    pub fn endpoints<I>(mut self, endpoints: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.endpoints = endpoints.into_iter().map(Into::into).collect();
        self
    }

    /// How long the session lives on the server without a renewal, 1 s to 10 min. Default: 10 s.
    /// Short: locks of a process that died are free again soon. Long: outages are survived.
    pub fn session_ttl(mut self, ttl: Duration) -> Self {
        self.settings.session_ttl = ttl;
        self
    }

    /// A name for people who look at who holds what, up to 256 bytes. Default: none.
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.settings.session_name = name.into();
        self
    }

    /// How long a request may stay without any answer. Standing in line for a lock is an answer.
    /// Default: 10 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.settings.request_timeout = timeout.min(TIMEOUT_MAX);
        self
    }

    /// How long [`ClientBuilder::connect`] may take, over all endpoints. Default: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout.min(TIMEOUT_MAX);
        self
    }

    /// Declares that this client does one thing after the other: while it waits for a lock, nobody
    /// releases what else it holds. Then deadlocks between such clients are found without
    /// [`Mutex::under`](crate::Mutex::under); see [`Client`](Client#deadlocks). If it is not true,
    /// a request may be refused with `DEADLOCK` although a wait would have ended. Default: false,
    /// since tasks share a client.
    pub fn sequential(mut self, sequential: bool) -> Self {
        self.settings.sequential = sequential;
        self
    }

    /// Proves that this client is the same one as before, if it crashes and starts again: what it
    /// held with [`Mutex::lock_delay`](crate::Mutex::lock_delay) is closed to others then, but not
    /// to a session with the same secret. 16 to 64 bytes that nobody can guess, kept where nobody
    /// else can read them, and for one client at a time. Default: random, and never shown.
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.settings.secret = Some(Secret(Bytes::copy_from_slice(secret.as_ref())));
        self
    }

    /// How connections are opened. Default: TCP.
    pub fn dialer(mut self, dialer: Dialer) -> Self {
        self.settings.dialer = dialer;
        self
    }

    /// Which clock the lease is counted on. Default: [`LeaseClock::BootTime`].
    pub fn clock(mut self, clock: LeaseClock) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Makes every random choice follow from `seed`, the session's secret included. Only for
    /// simulators, whose runs have to be repeatable: a secret that can be guessed is none.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// Makes the client make a mistake, to prove that a check finds it.
    #[cfg(feature = "faults")]
    pub fn plant(mut self, fault: crate::Fault) -> Self {
        self.settings.faults.plant(fault);
        self
    }

    /// Opens a session on the cluster's leader, wherever it is among the endpoints.
    ///
    /// # Errors
    /// When the settings are wrong or refused, or no leader was found in time. The error tells
    /// what each endpoint said.
    pub async fn connect(self) -> Result<Client, Error> {
        let settings = Arc::new(self.checked()?);
        let clock = Clock::start(settings.clock);
        let mut rng = match settings.seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => StdRng::from_rng(&mut rand::rng()),
        };
        let mut random = [0; SECRET_BYTES];
        rng.fill_bytes(&mut random);
        let chosen = settings.secret.as_ref().map(|secret| secret.0.clone());
        let secret = chosen.unwrap_or_else(|| Bytes::copy_from_slice(&random));
        let mut rotation = Rotation::new(&settings.endpoints, rng.next_u64());

        let link = open(&settings, &mut rotation, &secret, clock).await?;
        let deadline = link.hello_reading + Lease::new(link.ttl).span();
        let state = SessionState::new(link.session_id, link.ttl, clock, deadline);
        let state = Arc::new(state.with_faults(settings.faults));
        let (asks, receiver) = mpsc::unbounded_channel();
        let (actor, channels) =
            Actor::new(settings.clone(), state.clone(), secret, receiver, rotation, link);
        let runtime = Handle::current();
        runtime.spawn(actor.run());
        Ok(Client::new(Inner { settings, state, asks, channels, runtime }))
    }

    /// Asks every endpoint for its status, without opening a session. See
    /// [`Client::statuses`](crate::Client::statuses).
    ///
    /// # Errors
    /// When an endpoint is not written as one, or there is none.
    pub async fn statuses(
        self,
        state_hash: bool,
    ) -> Result<Vec<(String, Result<StatusResponse, Error>)>, Error> {
        let settings = self.checked()?;
        let Settings { dialer, endpoints, request_timeout, .. } = &settings;
        Ok(status::statuses(dialer, endpoints, *request_timeout, state_hash).await)
    }

    pub(crate) fn checked(self) -> Result<Settings, Error> {
        let mut settings = self.settings;
        for raw in &self.endpoints {
            let endpoint = endpoints::parse(raw)?;
            if !settings.endpoints.contains(&endpoint) {
                settings.endpoints.push(endpoint);
            }
        }
        if settings.endpoints.is_empty() {
            let message = "no endpoint was given: name at least one node".to_owned();
            return Err(Error::InvalidSettings { message });
        }
        Ok(settings)
    }
}

/// Tries endpoints until one opens a session.
async fn open(
    settings: &Settings,
    rotation: &mut Rotation,
    secret: &Bytes,
    clock: Clock,
) -> Result<crate::connection::Link, Error> {
    let give_up_at = Instant::now() + settings.connect_timeout;
    let hello = Hello::Open {
        ttl_ms: u64::try_from(settings.session_ttl.as_millis()).unwrap_or(u64::MAX),
        name: settings.session_name.clone(),
        secret: secret.clone(),
    };
    // What each endpoint said last, in the order in which they were first tried.
    let mut said: Vec<(String, String)> = Vec::new();
    loop {
        let to = rotation.next();
        let timeout = Lease::new(settings.session_ttl).silence_max().max(DIAL_TIMEOUT_MIN);
        let attempt = attach(settings.dialer.clone(), to.clone(), hello.clone(), clock, timeout);
        let parting = match tokio::time::timeout_at(give_up_at, attempt).await {
            Ok(Ok(link)) => return Ok(link),
            Ok(Err(parting)) => parting,
            Err(_) => {
                if !said.iter().any(|(endpoint, _)| *endpoint == to.endpoint) {
                    said.push((to.endpoint, "no answer yet".to_owned()));
                }
                let what = "no session could be opened";
                return Err(Error::not_begun(what, settings.connect_timeout, &said));
            }
        };
        if let Some(error) = refusal(&parting) {
            return Err(error);
        }
        said.retain(|(endpoint, _)| *endpoint != to.endpoint);
        rotation.failed(parting.end());
        said.push((to.endpoint, parting.message));
    }
}

/// Opening a session may take this long even if its time to live is short.
const DIAL_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// A refusal that another node would repeat.
fn refusal(parting: &Parting) -> Option<Error> {
    let code = parting.code?;
    match code {
        ErrorCode::InvalidName
        | ErrorCode::InvalidTtl
        | ErrorCode::InvalidRequest
        | ErrorCode::TooLarge
        | ErrorCode::WrongSecret => {
            Some(Error::Rejected { code, message: parting.message.clone() })
        }
        ErrorCode::Unspecified
        | ErrorCode::UnknownSession
        | ErrorCode::AlreadyConfirmed
        | ErrorCode::TooFarAhead
        | ErrorCode::LockHeld
        | ErrorCode::WaitOver
        | ErrorCode::NotHeld
        | ErrorCode::TooManyWaiters
        | ErrorCode::StaleToken
        | ErrorCode::Deadlock
        | ErrorCode::Wounded
        | ErrorCode::WaitDie
        | ErrorCode::CapacityMismatch
        | ErrorCode::LockDelayed
        | ErrorCode::WrongMode
        | ErrorCode::NoSuchQueue
        | ErrorCode::QueueExists
        | ErrorCode::QueueNotEmpty
        | ErrorCode::QueueFull
        | ErrorCode::DiskFull
        | ErrorCode::MessageTooLarge
        | ErrorCode::UnknownReceipt
        | ErrorCode::ForeignReceipt
        | ErrorCode::NothingCame
        | ErrorCode::QueueDeleted
        | ErrorCode::NoSuchCache
        | ErrorCode::CacheExists
        | ErrorCode::CacheNotEmpty
        | ErrorCode::CacheFull
        | ErrorCode::ValueTooLarge
        | ErrorCode::VersionMismatch
        | ErrorCode::NotACounter
        | ErrorCode::LoadOver
        | ErrorCode::NotOwner
        | ErrorCode::NoSuchEntry
        | ErrorCode::NotLeader
        | ErrorCode::Unavailable
        | ErrorCode::OutcomeUnknown
        | ErrorCode::ShuttingDown
        | ErrorCode::Internal => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[tokio::test]
    async fn wrong_settings_are_refused_before_anything_is_sent() {
        let none: [&str; 0] = [];
        for endpoints in [none.as_slice(), &["node"], &["127.0.0.1:7400", "https://node:1"]] {
            let error = Client::connect(endpoints.iter().copied()).await.err();
            assert!(matches!(error, Some(Error::InvalidSettings { .. })), "{error:?}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let builder = Client::builder().secret("do not tell anybody");
        assert!(!format!("{builder:?}").contains("tell"), "{builder:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_cannot_be_reached_is_reported_with_what_each_node_said() {
        let dialer = Dialer::new(|address: String| async move {
            if address == "silent:1" {
                std::future::pending::<()>().await;
            }
            Err::<tokio::io::DuplexStream, _>(io::Error::other(format!("{address} is on fire")))
        });
        let begin = Instant::now();
        let builder = Client::builder()
            .endpoints(["burning:1", "http://silent:1"])
            .clock(LeaseClock::Tokio)
            .dialer(dialer)
            .connect_timeout(Duration::from_secs(7))
            .seed(1);
        let error = builder.clone().connect().await.err();
        assert_eq!(begin.elapsed().as_secs(), 7);
        let Some(Error::Unavailable { message }) = error else { panic!("{error:?}") };
        assert!(message.starts_with("no session could be opened within 7s: "), "{message}");
        assert!(message.contains("burning:1 is on fire"), "{message}");
        assert!(message.contains("silent:1: no answer"), "{message}");

        let timeout = Duration::from_secs(3);
        let statuses = builder.request_timeout(timeout).statuses(false).await.unwrap_or_default();
        let [(first, burning), (second, silent)] = statuses.as_slice() else {
            panic!("{statuses:?}")
        };
        assert_eq!((first.as_str(), second.as_str()), ("burning:1", "silent:1"));
        assert!(matches!(burning, Err(Error::Unavailable { .. })), "{burning:?}");
        assert!(silent.as_ref().is_err_and(Error::is_retryable), "{silent:?}");
    }
}
