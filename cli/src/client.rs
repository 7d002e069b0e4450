//! How the client commands reach the cluster.

use std::time::Duration;

use holdfast_client::{Client, ClientBuilder, Dialer, Error};
use holdfast_proto::ErrorCode;

use crate::args::EndpointArgs;
use crate::failure::Failure;

/// How long the way to the leader may take. An election fits in several times over.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the end of a session may take. It ends by itself if this is too short.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the server lets the name of a session be.
const SESSION_NAME_BYTES_MAX: usize = 256;

/// Opens a session.
pub(crate) async fn connect(
    endpoints: &EndpointArgs,
    purpose: &str,
    ttl: Duration,
) -> Result<Client, Failure> {
    connect_with(endpoints, purpose, ttl, |builder| builder).await
}

/// The same, with more settings.
pub(crate) async fn connect_with(
    endpoints: &EndpointArgs,
    purpose: &str,
    ttl: Duration,
    more: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client, Failure> {
    let builder = builder(endpoints)?.session_ttl(ttl).session_name(session_name(purpose));
    more(builder).connect().await.map_err(|error| {
        if is_mistake(&error) {
            return Failure::usage(format!("{error}; see --help"));
        }
        Failure::failed(format!(
            "no session at {}: {error}; see `holdfast status`, name other nodes with --endpoints, \
             or start a cluster with `holdfast dev`",
            endpoints.endpoints.join(", ")
        ))
    })
}

/// What all that goes to the cluster begins with: where it is and how it is reached.
pub(crate) fn builder(args: &EndpointArgs) -> Result<ClientBuilder, Failure> {
    let builder = Client::builder()
        .endpoints(args.endpoints.iter().cloned())
        .connect_timeout(CONNECT_TIMEOUT);
    Ok(builder.dialer(dialer(args)?))
}

/// How connections are opened: encrypted, if it was said whom to trust.
pub(crate) fn dialer(args: &EndpointArgs) -> Result<Dialer, Failure> {
    let Some(path) = &args.tls_ca else { return Ok(Dialer::tcp()) };
    let dialer = std::fs::read(path).and_then(|roots| Dialer::tls(&roots));
    dialer.map_err(|e| Failure::usage(format!("--tls-ca {}: {e}", path.display())))
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
    if is_mistake(error) {
        return Failure::usage(format!("{what}: {error}; see --help"));
    }
    Failure::failed(format!("{what}: {error}; see `holdfast status`"))
}

/// Whether what was asked for is wrong, so that asking again would not help.
fn is_mistake(error: &Error) -> bool {
    let refused = matches!(
        error.code(),
        Some(ErrorCode::InvalidName | ErrorCode::InvalidTtl | ErrorCode::InvalidRequest)
    );
    refused || matches!(error, Error::InvalidSettings { .. })
}

/// Whom others see as holder: the command, the machine and the process.
fn session_name(purpose: &str) -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy().into_owned();
    let place = format!(" @ {host} pid {}", std::process::id());
    let room = SESSION_NAME_BYTES_MAX.saturating_sub(place.len());
    // Of a long path of a program the end is lost, so that the place remains.
    let purpose = &purpose[..purpose.floor_char_boundary(room)];
    format!("{purpose}{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_session_is_never_too_long() {
        let end = format!(" pid {}", std::process::id());
        for purpose in ["", "holdfast lock", &"/long".repeat(200), &"\u{10348}".repeat(200)] {
            let name = session_name(purpose);
            assert!(name.len() <= SESSION_NAME_BYTES_MAX && name.ends_with(&end), "{name}");
            let short = purpose.len() < 100;
            // No more is cut away than must be.
            assert!(name.starts_with(purpose) || (!short && name.len() > 252), "{name}");
        }
    }
}
