//! How a gRPC channel to one node is opened.

use std::time::Duration;

use holdfast_proto::Dialer;
use tonic::transport::{Channel, Endpoint, Error};

/// The transport asks an idle peer for a sign of life this often.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);

/// And gives up when none comes for this long. Streams notice sooner, by their renewals.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Flow-control window of the stream and of the connection: large enough that thousands of small
/// messages are under way without waiting for an update.
const WINDOW_BYTES: u32 = 4 << 20;

/// Dials `endpoint`, which is `host:port`. The caller bounds how long that may take.
pub(crate) async fn open(dialer: &Dialer, endpoint: &str) -> Result<Channel, Error> {
    Endpoint::from_shared(format!("http://{endpoint}"))?
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .connect_with_connector(dialer.clone())
        .await
}
