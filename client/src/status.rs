//! What nodes know of themselves, asked of each one directly: no session and no leader needed.

use std::time::Duration;

use holdfast_proto::v1::cluster_client::ClusterClient;
use holdfast_proto::v1::{StatusRequest, StatusResponse};
use holdfast_proto::{Dialer, describe};

use crate::connection::channel;
use crate::{Error, endpoints};

/// Asks the node at `endpoint` for its status, over TCP.
///
/// With `state_hash` the node also computes a hash of its whole state, to compare nodes by.
///
/// ```no_run
/// # async fn example() -> Result<(), holdfast_client::Error> {
/// use std::time::Duration;
///
/// let status = holdfast_client::status_of("127.0.0.1:7401", Duration::from_secs(2), false).await?;
/// println!("node {} applied up to {}", status.node_id, status.applied_index);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the node cannot be reached, or does not answer within `timeout`.
pub async fn status_of(
    endpoint: &str,
    timeout: Duration,
    state_hash: bool,
) -> Result<StatusResponse, Error> {
    status_with(&Dialer::tcp(), endpoint, timeout, state_hash).await
}

/// The same as [`status_of`], over connections that `dialer` opens.
///
/// # Errors
/// When the node cannot be reached, or does not answer within `timeout`.
pub async fn status_with(
    dialer: &Dialer,
    endpoint: &str,
    timeout: Duration,
    state_hash: bool,
) -> Result<StatusResponse, Error> {
    let endpoint = endpoints::parse(endpoint)?;
    let asking = async {
        let channel = channel::open(dialer, &endpoint).await.map_err(|error| {
            Error::Unavailable { message: format!("{endpoint}: {}", describe(&error)) }
        })?;
        let request = StatusRequest { state_hash };
        let response = ClusterClient::new(channel).status(request).await;
        response.map(tonic::Response::into_inner).map_err(|status| Error::from_read(&status))
    };
    match tokio::time::timeout(timeout, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::Timeout { what: format!("the status of {endpoint}"), after: timeout }),
    }
}

/// Asks all `endpoints` at the same time; the answers come in their order.
pub(crate) async fn statuses(
    dialer: &Dialer,
    endpoints: &[String],
    timeout: Duration,
    state_hash: bool,
) -> Vec<(String, Result<StatusResponse, Error>)> {
    let asking = endpoints.iter().map(|endpoint| async move {
        (endpoint.clone(), status_with(dialer, endpoint, timeout, state_hash).await)
    });
    futures::future::join_all(asking).await
}
