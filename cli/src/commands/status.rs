//! `holdfast status`: every node's own view of itself, side by side.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_client::{Dialer, status_with};
use holdfast_proto::v1::{Role, StatusResponse};
use serde_json::json;
use tokio::task::JoinSet;

use crate::args::{Output, StatusArgs};
use crate::counted::{agreed, counted};
use crate::failure::{FAILED, Failure, OK};
use crate::table::{Align, Table};
use crate::{client, output};

/// Asks all nodes and shows what they say.
pub(crate) async fn run(args: &StatusArgs) -> Result<u8, Failure> {
    let dialer = client::dialer(&args.endpoints)?;
    let view = View::new(ask_all(&dialer, &args.endpoints.endpoints, args.timeout).await);
    match args.output.output {
        Output::Table => output::print(view.table())?,
        Output::Json => output::print(format!("{:#}\n", view.json()))?,
    }
    Ok(if view.leader().is_some() && view.has_quorum() { OK } else { FAILED })
}

/// What came of asking one node.
#[derive(Debug)]
struct Answer {
    endpoint: String,
    result: Result<StatusResponse, String>,
}

/// Asks the endpoints, then every member that they name and that has not answered yet.
async fn ask_all(dialer: &Dialer, endpoints: &[String], timeout: Duration) -> Vec<Answer> {
    let mut answers = ask(dialer, endpoints.to_vec(), timeout).await;
    let unheard: Vec<String> = unheard_members(&answers).into_values().collect();
    answers.extend(ask(dialer, unheard, timeout).await);
    answers
}

/// Asks the endpoints and every member that they name, and puts the answers in order.
pub(super) async fn ask_nodes(
    dialer: &Dialer,
    endpoints: &[String],
    timeout: Duration,
) -> Vec<(String, Result<StatusResponse, String>)> {
    let view = View::new(ask_all(dialer, endpoints, timeout).await);
    view.answers.into_iter().map(|answer| (answer.endpoint, answer.result)).collect()
}

/// Members by id that nobody has asked so far, under whatever address.
fn unheard_members(answers: &[Answer]) -> BTreeMap<u64, String> {
    let heard = |id| answers.iter().flat_map(|a| &a.result).any(|status| status.node_id == id);
    let asked = |endpoint: &str| answers.iter().any(|answer| answer.endpoint == endpoint);
    let members = answers.iter().flat_map(|answer| &answer.result).flat_map(|s| &s.members);
    members
        .filter(|member| !heard(member.node_id) && !asked(&member.client_endpoint))
        .map(|member| (member.node_id, member.client_endpoint.clone()))
        .collect()
}

async fn ask(dialer: &Dialer, endpoints: Vec<String>, timeout: Duration) -> Vec<Answer> {
    let mut asking = JoinSet::new();
    for endpoint in endpoints {
        let dialer = dialer.clone();
        asking.spawn(async move {
            let result = status_with(&dialer, &endpoint, timeout, false).await;
            let result = result.map_err(|error| {
                // The endpoint stands beside it.
                error.to_string().trim_start_matches(&format!("{endpoint}: ")).to_owned()
            });
            Answer { endpoint, result }
        });
    }
    asking.join_all().await
}

/// All answers, in the order in which they are shown.
struct View {
    answers: Vec<Answer>,
}

impl View {
    fn new(mut answers: Vec<Answer>) -> Self {
        let ids: BTreeMap<String, u64> = answers
            .iter()
            .flat_map(|answer| &answer.result)
            .flat_map(|status| &status.members)
            .map(|member| (member.client_endpoint.clone(), member.node_id))
            .collect();
        let id = |answer: &Answer| match &answer.result {
            Ok(status) => status.node_id,
            Err(_) => ids.get(&answer.endpoint).copied().unwrap_or(u64::MAX),
        };
        answers.sort_by(|a, b| (id(a), &a.endpoint).cmp(&(id(b), &b.endpoint)));
        // One node under two names is one node.
        answers.dedup_by(|a, b| a.result.is_ok() && b.result.is_ok() && id(a) == id(b));
        Self { answers }
    }

    fn statuses(&self) -> impl Iterator<Item = &StatusResponse> {
        self.answers.iter().flat_map(|answer| &answer.result)
    }

    /// Who leads by his own account, in the newest term if there are several.
    fn leader(&self) -> Option<&StatusResponse> {
        self.statuses().filter(|s| s.role() == Role::Leader).max_by_key(|status| status.term)
    }

    /// The members as the node knows them that is furthest on.
    fn members(&self) -> &[holdfast_proto::v1::Member] {
        self.statuses().max_by_key(|s| s.applied_index).map_or(&[], |status| &status.members)
    }

    fn answering(&self) -> usize {
        let answers = |id| self.statuses().any(|s| s.node_id == id && s.role() != Role::Stopped);
        self.members().iter().filter(|member| answers(member.node_id)).count()
    }

    fn has_quorum(&self) -> bool {
        2 * self.answering() > self.members().len()
    }

    fn summary(&self) -> String {
        let Some(any) = self.statuses().next() else {
            return "no node answers; start a cluster with `holdfast dev`, or name its nodes with \
                    --endpoints"
                .into();
        };
        let leads = match self.leader() {
            Some(leader) => format!("node {} leads in term {}", leader.node_id, leader.term),
            None => "no node leads".into(),
        };
        let (answering, members) = (self.answering(), self.members().len());
        let quorum = if self.has_quorum() { "" } else { ", which is no quorum" };
        let members = counted(members, "member");
        let answer = agreed(answering, "answers", "answer");
        format!("cluster {}: {answering} of {members} {answer}{quorum}; {leads}", any.cluster)
    }

    fn table(&self) -> String {
        let mut table = Table::new(&[
            ("NODE", Align::Right),
            ("ENDPOINT", Align::Left),
            ("ROLE", Align::Left),
            ("TERM", Align::Right),
            ("LAST LOG", Align::Right),
            ("COMMITTED", Align::Right),
            ("APPLIED", Align::Right),
            ("SNAPSHOT", Align::Right),
            ("LEADER", Align::Right),
            ("HEALTH", Align::Left),
        ]);
        for answer in &self.answers {
            table.row(self.row(answer));
        }
        format!("{}\n{}\n", table.render(), self.summary())
    }

    fn row(&self, answer: &Answer) -> [String; 10] {
        let id = |id: u64| if id == 0 { "-".into() } else { id.to_string() };
        let endpoint = answer.endpoint.clone();
        match &answer.result {
            Ok(status) => [
                id(status.node_id),
                endpoint,
                role_name(status.role()).into(),
                status.term.to_string(),
                status.last_log_index.to_string(),
                status.committed_index.to_string(),
                status.applied_index.to_string(),
                id(status.snapshot_index),
                id(status.leader_id),
                health(status),
            ],
            Err(reason) => {
                let known = self.members().iter().find(|m| m.client_endpoint == endpoint);
                let blank = || "-".to_owned();
                [
                    id(known.map_or(0, |member| member.node_id)),
                    endpoint,
                    "unreachable".into(),
                    blank(),
                    blank(),
                    blank(),
                    blank(),
                    blank(),
                    blank(),
                    reason.split_whitespace().collect::<Vec<_>>().join(" "),
                ]
            }
        }
    }

    fn json(&self) -> serde_json::Value {
        let nodes: Vec<_> = self.answers.iter().map(answer_json).collect();
        json!({
            "cluster": self.statuses().next().map(|status| &status.cluster),
            "leader_id": self.leader().map(|status| status.node_id),
            "members": self.members().len(),
            "members_answering": self.answering(),
            "quorum": self.has_quorum(),
            "nodes": nodes,
        })
    }
}

fn answer_json(answer: &Answer) -> serde_json::Value {
    match &answer.result {
        Err(reason) => json!({ "endpoint": answer.endpoint, "error": reason }),
        Ok(status) => json!({
            "endpoint": answer.endpoint,
            "node_id": status.node_id,
            "cluster": status.cluster,
            "version": status.version,
            "role": role_name(status.role()),
            "term": status.term,
            "leader_id": (status.leader_id != 0).then_some(status.leader_id),
            "last_log_index": status.last_log_index,
            "committed_index": status.committed_index,
            "applied_index": status.applied_index,
            "snapshot_index": status.snapshot_index,
            "purged_index": status.purged_index,
            "revision": status.revision,
            "sessions": status.sessions,
            "locks": status.locks,
            "lease_clock_ms": status.lease_clock_ms,
            "healthy": status.trouble.is_empty(),
            "trouble": status.trouble,
        }),
    }
}

pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "unknown",
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
        Role::Stopped => "stopped",
    }
}

pub(super) fn health(status: &StatusResponse) -> String {
    if status.trouble.is_empty() { "healthy".into() } else { status.trouble.clone() }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
