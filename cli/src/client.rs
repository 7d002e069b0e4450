//! How the client commands reach the cluster.

use std::time::Duration;

use crate::args::EndpointArgs;
use crate::failure::Failure;
use holdfast_client::{Client, Error};

/// How long the way to the leader may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the end of a session may take. It ends by itself if this is too short.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens a session.
pub(crate) async fn connect(
    endpoints: &EndpointArgs,
    purpose: &str,
    ttl: Duration,
) -> Result<Client, Failure> {
    let connecting = Client::builder()
        .endpoints(endpoints.endpoints.iter().cloned())
        .session_ttl(ttl)
        .session_name(session_name(purpose))
        .connect();
    let list = endpoints.endpoints.join(", ");
    let advice = "see `holdfast status`, name other nodes with --endpoints, or start a cluster \
                  with `holdfast dev`";
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(Failure::failed(format!("no session at {list}: {error}; {advice}"))),
        Err(_) => Err(Failure::failed(format!(
            "no session at {list} within {} s; {advice}",
            CONNECT_TIMEOUT.as_secs()
        ))),
    }
}

/// Ends the session, and whatever it holds with it.
pub(crate) async fn close(client: Client) {
    match tokio::time::timeout(CLOSE_TIMEOUT, client.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the session was not closed and ends by itself"),
        Err(_) => tracing::warn!("closing took too long; the session ends by itself"),
    }
}

/// An error of the client in its context.
pub(crate) fn failed(what: &str, error: &Error) -> Failure {
    Failure::failed(format!("{what}: {error}; see `holdfast status`"))
}

/// Whom others see as holder: the command, the machine and the process.
fn session_name(purpose: &str) -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy().into_owned();
    format!("{purpose} @ {host} pid {}", std::process::id())
}
