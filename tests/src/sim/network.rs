//! Servers and clients on the simulated network.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use holdfast_proto::Dialer;
use holdfast_server::ports::{Accepted, Incoming};
use turmoil::net::{TcpListener, TcpStream};

/// Opens simulated connections to `host:port`.
pub(super) fn dialer() -> Dialer {
    Dialer::new(|address: String| async move { TcpStream::connect(address).await })
}

/// Takes simulated connections on `port` of this host.
pub(super) async fn incoming(port: u16) -> io::Result<Incoming> {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
    let listener = TcpListener::bind(address).await?;
    let connections = futures::stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.map(|(stream, _)| Accepted(Box::new(stream)));
        Some((accepted, listener))
    });
    Ok(Incoming::new(address, connections))
}
