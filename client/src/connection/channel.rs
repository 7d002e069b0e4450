//! How a gRPC channel to one node is opened.

use holdfast_proto::Dialer;
use tonic::transport::{Channel, Endpoint, Error};

/// Flow-control window of the stream and of the connection: large enough that thousands of small
/// messages are under way without waiting for an update.
const WINDOW_BYTES: u32 = 4 << 20;

/// Dials `endpoint`, which is `host:port`. The caller bounds how long that may take.
///
/// The transport's own keep-alive is off: the session's renewals find a silent server sooner.
pub(crate) async fn open(dialer: &Dialer, endpoint: &str) -> Result<Channel, Error> {
    Endpoint::from_shared(format!("http://{endpoint}"))?
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .connect_with_connector(dialer.clone())
        .await
}
