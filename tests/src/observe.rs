//! What can be seen of a cluster from outside, through the status of its nodes.

use std::time::Duration;

use holdfast_client::{Role, StatusResponse, status_of};

/// How long anything here may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long one node may take to answer. A paused one never does.
const ANSWER: Duration = Duration::from_millis(500);

/// Pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Waits for a condition; panics with `what` when it does not come.
pub async fn eventually<F, Fut>(what: &str, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let look = async || condition().await.then_some(());
    some(what, look).await;
}

/// Waits until there is something; panics with `what` when it does not come.
pub async fn some<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(found) => found,
        Err(_) => panic!("did not happen: {what}"),
    }
}

/// What each node says of itself, in the order of the endpoints. `None`: it does not answer.
pub async fn statuses(endpoints: &[String], state_hash: bool) -> Vec<Option<StatusResponse>> {
    let asking = endpoints.iter().map(async |endpoint| {
        let answer = status_of(endpoint, ANSWER, state_hash).await;
        answer.ok()
    });
    futures::future::join_all(asking).await
}

/// The leader, once a majority of the nodes agrees on it: its place among the endpoints, and what
/// it says.
pub async fn leader(endpoints: &[String]) -> (usize, StatusResponse) {
    let look = async || {
        let statuses = statuses(endpoints, false).await;
        let leads = |s: &StatusResponse| s.role() == Role::Leader;
        let (index, leader) = statuses
            .iter()
            .enumerate()
            .filter_map(|(index, status)| Some((index, status.as_ref().filter(|s| leads(s))?)))
            .max_by_key(|(_, status)| status.term)?;
        let follows = |s: &&StatusResponse| (s.leader_id, s.term) == (leader.node_id, leader.term);
        let agreeing = statuses.iter().flatten().filter(follows).count();
        (2 * agreeing > endpoints.len()).then(|| (index, leader.clone()))
    };
    some("a majority agrees on a leader", look).await
}

/// Waits until every node follows the same leader, has heard it, and has nothing else to complain
/// of, as it is some time after a start.
pub async fn settled(endpoints: &[String]) {
    eventually("all nodes follow one leader", || async {
        let (_, leader) = leader(endpoints).await;
        let follows = |s: &StatusResponse| {
            (s.leader_id, s.term) == (leader.node_id, leader.term) && s.trouble.is_empty()
        };
        statuses(endpoints, false).await.iter().all(|s| s.as_ref().is_some_and(follows))
    })
    .await;
}

/// Waits until all nodes stand at the same entry, and panics if their states differ there.
pub async fn same_state(endpoints: &[String]) -> StatusResponse {
    let look = async || {
        let statuses = statuses(endpoints, true).await;
        let statuses: Vec<StatusResponse> = statuses.into_iter().collect::<Option<_>>()?;
        let index = statuses.first()?.state_hash_index;
        statuses.iter().all(|s| s.state_hash_index == index).then_some(statuses)
    };
    let statuses = some("all nodes stand at the same entry", look).await;
    let state = |s: &StatusResponse| (s.revision, s.lease_clock_ms, s.state_hash);
    let states: Vec<_> = statuses.iter().map(state).collect();
    let index = statuses[0].state_hash_index;
    assert!(
        states.iter().all(|state| *state == states[0]),
        "the states at entry {index} differ: {states:?}"
    );
    statuses.into_iter().next().expect("there is a node")
}
