//! Whether this node is alive, and whether it is of any use at the moment: for those who restart
//! nodes, and for those who send clients to them.
//!
//! `/livez` asks for a restart if it says no. `/readyz` only asks to go elsewhere. With `?verbose`
//! both list every check. gRPC health says the same as `/readyz`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use openraft::RaftMetrics;
use openraft::async_runtime::WatchReceiver;

use crate::leaving::Leaving;
use crate::limits::CATCH_UP_ENTRIES_MAX;
use crate::raft::heard::Heard;
use crate::raft::types::{Raft, TypeConfig, quorum_heard};

/// One thing that is looked at, and what is wrong with it.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) result: Result<String, String>,
}

/// Looks at a node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Health {
    raft: Raft,
    heard: Heard,
    leaving: Leaving,
    /// Whoever was not heard for so long is not counted upon.
    lately: Duration,
}

impl Health {
    /// `lately` is how old the last word of a leader, or of a quorum, may be.
    pub(crate) fn new(raft: Raft, heard: Heard, leaving: Leaving, lately: Duration) -> Self {
        Self { raft, heard, leaving, lately }
    }

    /// All checks, as of now.
    pub(crate) fn checks(&self) -> [Check; 5] {
        let metrics = self.raft.metrics().borrow_watched().clone();
        [
            Check { name: "running", result: running(&metrics) },
            Check { name: "staying", result: self.staying() },
            Check { name: "leader", result: leader(&metrics) },
            Check { name: "contact", result: self.contact(&metrics) },
            Check { name: "caught-up", result: caught_up(&metrics) },
        ]
    }

    /// Whether clients should come here.
    pub(crate) fn is_ready(&self) -> bool {
        self.checks().iter().all(|check| check.result.is_ok())
    }

    /// Whether this node knows a leader and can count upon it.
    pub(crate) fn has_leader(&self, metrics: &RaftMetrics<TypeConfig>) -> bool {
        leader(metrics).is_ok() && self.contact(metrics).is_ok()
    }

    /// Whether a leader has said something lately.
    pub(crate) fn hears_a_leader(&self) -> bool {
        self.heard.ago().is_some_and(|ago| ago <= self.lately)
    }

    /// The first thing that is wrong.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.checks().into_iter().find_map(|check| check.result.err())
    }

    /// How long ago this node has heard from its leader or, if it leads, from a quorum.
    pub(crate) fn last_contact(&self, metrics: &RaftMetrics<TypeConfig>) -> Option<Duration> {
        if !metrics.state.is_leader() {
            return self.heard.ago();
        }
        quorum_heard(metrics)
    }

    fn staying(&self) -> Result<String, String> {
        match self.leaving.has_begun() {
            false => Ok("the node is not about to stop".into()),
            true => Err("the node is shutting down: go on at another one".into()),
        }
    }

    fn contact(&self, metrics: &RaftMetrics<TypeConfig>) -> Result<String, String> {
        let whom = if metrics.state.is_leader() { "a quorum" } else { "the leader" };
        match self.last_contact(metrics) {
            Some(ago) if ago <= self.lately => {
                Ok(format!("{whom} was heard {} ms ago", ago.as_millis()))
            }
            Some(ago) => Err(format!(
                "{whom} was heard {} ms ago, and {} ms are allowed: look at the network and at the \
                 other nodes",
                ago.as_millis(),
                self.lately.as_millis()
            )),
            None => Err(format!("{whom} was not heard yet: look at the other nodes")),
        }
    }
}

fn running(metrics: &RaftMetrics<TypeConfig>) -> Result<String, String> {
    match &metrics.running_state {
        Ok(()) => Ok("the consensus engine runs".into()),
        Err(fatal) => Err(format!("the consensus engine has stopped: {fatal}")),
    }
}

fn leader(metrics: &RaftMetrics<TypeConfig>) -> Result<String, String> {
    match metrics.current_leader {
        Some(leader) => Ok(format!("node {leader} leads term {}", metrics.current_term)),
        None => Err("no leader is known: look whether more than half of the members run".into()),
    }
}

fn caught_up(metrics: &RaftMetrics<TypeConfig>) -> Result<String, String> {
    let index = |log_id: Option<u64>| log_id.unwrap_or_default();
    let committed = index(metrics.cluster_committed.map(|id| id.index));
    let applied = index(metrics.last_applied.map(|id| id.index));
    let behind = committed.saturating_sub(applied);
    if behind <= CATCH_UP_ENTRIES_MAX {
        return Ok(format!("entry {applied} of {committed} is applied"));
    }
    Err(format!(
        "entry {applied} of {committed} is applied, {behind} are missing and \
         {CATCH_UP_ENTRIES_MAX} are allowed: wait"
    ))
}

/// `/livez` and `/readyz`.
pub(crate) fn routes(health: Health) -> Router {
    let health = Arc::new(health);
    let ready = health.clone();
    let livez = move |uri: Uri| async move { answer(&uri, &health.checks()[..1]) };
    let readyz = move |uri: Uri| async move { answer(&uri, &ready.checks()) };
    Router::new().route("/livez", get(livez)).route("/readyz", get(readyz))
}

/// Says `ok`, or what is not. All of it, if that was asked for.
fn answer(uri: &Uri, checks: &[Check]) -> Response {
    let is_verbose = uri.query().is_some_and(|query| {
        query.split('&').any(|part| part.split('=').next() == Some("verbose"))
    });
    let is_good = checks.iter().all(|check| check.result.is_ok());
    let shown = checks.iter().filter(|check| is_verbose || check.result.is_err());
    let mut text: String = shown.map(line).collect();
    text += if is_good { "ok\n" } else { "not ok\n" };
    let status = if is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, text).into_response()
}

fn line(check: &Check) -> String {
    match &check.result {
        Ok(what) => format!("[+] {}: {what}\n", check.name),
        Err(why) => format!("[-] {}: {why}\n", check.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(query: &str, checks: &[Check]) -> (u16, String) {
        let uri: Uri = format!("/readyz{query}").parse().expect("a good uri");
        let response = answer(&uri, checks);
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.expect("a body");
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn what_is_wrong_is_said_and_the_rest_on_request() {
        let good = || Check { name: "leader", result: Ok("node 2 leads".into()) };
        let bad = Check { name: "contact", result: Err("silence".into()) };
        assert_eq!(said("", &[good()]).await, (200, "ok\n".into()));
        let verbose = (200, "[+] leader: node 2 leads\nok\n".to_owned());
        assert_eq!(said("?verbose", &[good()]).await, verbose);
        assert_eq!(said("?a=b&verbose=1", &[good()]).await, verbose);
        let checks = [good(), bad];
        assert_eq!(said("?x", &checks).await, (503, "[-] contact: silence\nnot ok\n".into()));
        let all = "[+] leader: node 2 leads\n[-] contact: silence\nnot ok\n";
        assert_eq!(said("?verbose", &checks).await, (503, all.into()));
    }
}
