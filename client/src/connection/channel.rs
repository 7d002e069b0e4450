//! How a gRPC channel to one node is opened.

use std::time::Duration;

use holdfast_proto::Dialer;
use tonic::transport::{Channel, Endpoint, Error};

/// Flow-control window of the stream and of the connection: large enough that thousands of small
/// messages are under way without waiting for an update.
pub(super) const WINDOW_BYTES: u32 = 4 << 20;

/// After so long without a word from the node of a watch it is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(10);

/// How long it may take to answer that.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// Dials `endpoint`, which is `host:port`. The caller bounds how long that may take.
///
/// The transport's own keep-alive is off: the session's renewals find a silent server sooner.
pub(crate) async fn open(dialer: &Dialer, endpoint: &str) -> Result<Channel, Error> {
    to(endpoint)?.connect_with_connector(dialer.clone()).await
}

/// The same for calls that may have nothing to tell for hours, beside any session: a node that
/// vanishes without a word is noticed, and breaks the call.
pub(crate) async fn open_watched(dialer: &Dialer, endpoint: &str) -> Result<Channel, Error> {
    let endpoint = to(endpoint)?
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .keep_alive_while_idle(true);
    endpoint.connect_with_connector(dialer.clone()).await
}

/// The same as [`open`], but dials only when the channel is first used.
pub(super) fn open_later(dialer: &Dialer, endpoint: &str) -> Result<Channel, Error> {
    Ok(to(endpoint)?.connect_with_connector_lazy(dialer.clone()))
}

fn to(endpoint: &str) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::from_shared(format!("http://{endpoint}"))?
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    Ok(endpoint)
}
