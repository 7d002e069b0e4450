//! Questions to single nodes, by REST and each on a connection of its own, so that it is known who
//! has answered, and an older connection that waits to send again does not stand in the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::select_all;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::beliefs::Beliefs;
use crate::http;
use crate::observe::PATIENCE;

/// Longer than a node lets a call wait for a leader, or a read for a quorum.
const ANSWER: Duration = Duration::from_secs(4);

/// Pause before the same is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// When somebody else is asked, or the same anew.
const ASK_ANEW: Duration = Duration::from_millis(300);

/// How many ask one node for the same at a time, one after the other after such a time.
const ASKERS: u32 = 3;
const APART: Duration = Duration::from_millis(150);

const RELAXED: Ordering = Ordering::Relaxed;

/// What a node may say that cannot know.
const CANNOT_SAY: [&str; 3] = ["NOT_LEADER", "UNAVAILABLE", "OUTCOME_UNKNOWN"];

/// What came back.
enum Answer {
    Done(Value),
    /// With this code.
    Refused(String),
    Silence,
}

/// A grant that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    name: String,
    token: u64,
    /// How long it took to get any.
    pub(super) after: Duration,
}

/// Whoever asks. Cheap to clone.
#[derive(Clone)]
pub(super) struct Asker {
    session: u64,
    headers: Arc<str>,
    names: Arc<AtomicU64>,
}

impl Asker {
    /// Opens a session that outlives any cut.
    pub(super) async fn start(endpoint: &str) -> Result<Self, String> {
        let body = r#"{"name": "asker", "ttl_ms": 600000}"#;
        let opening = send(endpoint, "POST", "/v1/sessions", "", body);
        let Answer::Done(opened) = opening.await else {
            return Err("a session could not be opened by REST".into());
        };
        let session = opened["id"].as_u64().ok_or("a session has no id")?;
        let secret = opened["secret"].as_str().ok_or("a session has no secret")?;
        let headers = format!("Holdfast-Session: {session}\r\nHoldfast-Secret: {secret}\r\n");
        Ok(Self { session, headers: headers.into(), names: Arc::default() })
    }

    /// Asks these nodes, which are alone, for grants and for reads until it is over.
    pub(super) fn interrogate(&self, endpoints: Vec<String>, beliefs: &Beliefs) -> Interrogation {
        let mut it = Interrogation::default();
        for endpoint in endpoints {
            for (number, is_read) in (0..ASKERS).flat_map(|n| [(n, true), (n, false)]) {
                let (asker, endpoint, beliefs) = (self.clone(), endpoint.clone(), beliefs.clone());
                let (is_over, refused) = (it.is_over.clone(), it.refused.clone());
                let refused = move |count| refused[usize::from(is_read)].fetch_add(count, RELAXED);
                it.asking.spawn(async move {
                    sleep(APART * number).await;
                    while !is_over.load(Ordering::SeqCst) {
                        match asker.cannot_have(&endpoint, is_read, &is_over).await {
                            Ok(count) => drop(refused(count)),
                            Err(what) => beliefs.violated(what),
                        }
                        sleep(ASK_AGAIN).await;
                    }
                });
            }
        }
        it
    }

    /// Asks once, and answers how often that was refused.
    async fn cannot_have(
        &self,
        endpoint: &str,
        is_read: bool,
        is_over: &AtomicBool,
    ) -> Result<u64, String> {
        let (what, answer) = match is_read {
            true => ("a read", send(endpoint, "GET", "/v1/locks?prefix=kept/", "", "").await),
            false => ("a grant", self.acquire(endpoint).await.1),
        };
        match answer {
            // Links may be mended by now, and then anything may be said.
            _ if is_over.load(Ordering::SeqCst) => Ok(0),
            Answer::Done(said) => {
                Err(format!("{what} was had of {endpoint}, which is alone: {said}"))
            }
            Answer::Refused(code) if CANNOT_SAY.contains(&code.as_str()) => Ok(1),
            Answer::Refused(code) => Err(format!("{what} was refused by {endpoint}: {code:?}")),
            Answer::Silence => Ok(0),
        }
    }

    /// Asks all of these nodes until one of them has granted something. Nobody waits for long: a
    /// call that was passed on to a leader that is gone may, while the next one answers already.
    pub(super) async fn first_grant(&self, endpoints: &[String]) -> Grant {
        let begun = Instant::now();
        let asking = endpoints.iter().map(|endpoint| {
            Box::pin(async move {
                loop {
                    let asked = timeout(ASK_ANEW, self.acquire(endpoint)).await;
                    if let Ok((name, Answer::Done(said))) = asked {
                        let token = said["token"].as_u64().unwrap_or_default();
                        return Grant { name, token, after: begun.elapsed() };
                    }
                    sleep(ASK_AGAIN).await;
                }
            })
        });
        select_all(asking).await.0
    }

    /// Looks for a grant that was acknowledged.
    ///
    /// # Errors
    /// It is lost.
    pub(super) async fn confirm(&self, endpoint: &str, grant: &Grant) -> Result<(), String> {
        let Grant { name, token, .. } = grant;
        let path = format!("/v1/locks/{name}");
        let looking = async {
            loop {
                if let Answer::Done(said) = send(endpoint, "GET", &path, "", "").await {
                    return said;
                }
                sleep(ASK_AGAIN).await;
            }
        };
        let looking = timeout(PATIENCE, looking).await;
        let said = looking.map_err(|_| format!("{name} was granted and is not found"))?;
        let holder = &said["holders"][0];
        let is_ours =
            (&holder["session"], &holder["token"]) == (&self.session.into(), &(*token).into());
        is_ours.then_some(()).ok_or_else(|| format!("{name} was granted by {token}, but is {said}"))
    }

    /// Ends the session, and so gives back all that it was granted.
    pub(super) async fn finish(self, endpoint: &str) -> Result<(), String> {
        let path = format!("/v1/sessions/{}", self.session);
        let ending = async {
            loop {
                match send(endpoint, "DELETE", &path, &self.headers, "").await {
                    Answer::Done(_) => return,
                    // It was ended by an attempt of which nothing was heard.
                    Answer::Refused(code) if code == "UNKNOWN_SESSION" => return,
                    Answer::Refused(_) | Answer::Silence => sleep(ASK_AGAIN).await,
                }
            }
        };
        let ended = timeout(PATIENCE, ending).await;
        ended.map_err(|_| "the session of REST could not be ended".into())
    }

    /// Asks for a lock that nobody has asked for.
    async fn acquire(&self, endpoint: &str) -> (String, Answer) {
        let name = format!("asked-{}", self.names.fetch_add(1, Ordering::Relaxed));
        let path = format!("/v1/locks/{name}/acquire");
        let answer = send(endpoint, "POST", &path, &self.headers, "").await;
        (name, answer)
    }
}

/// Questions that are asked until somebody says that it is over.
#[derive(Default)]
pub(super) struct Interrogation {
    is_over: Arc<AtomicBool>,
    /// Grants and reads.
    refused: Arc<[AtomicU64; 2]>,
    asking: JoinSet<()>,
}

impl Interrogation {
    /// Asks no more. Answers how many grants were refused, and how many reads.
    pub(super) fn end(self) -> [u64; 2] {
        self.is_over.store(true, Ordering::SeqCst);
        std::array::from_fn(|what| self.refused[what].load(RELAXED))
    }
}

async fn send(endpoint: &str, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let asking = http::ask(endpoint, method, path, headers, body);
    let Ok(Some((status, body))) = timeout(ANSWER, asking).await else {
        return Answer::Silence;
    };
    let said: Value = serde_json::from_str(&body).unwrap_or_default();
    match status {
        200..300 => Answer::Done(said),
        _ => Answer::Refused(said["code"].as_str().unwrap_or_default().to_owned()),
    }
}
