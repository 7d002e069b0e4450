//! Servers and clients on the simulated network.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast_proto::Dialer;
use holdfast_server::ports::{Accepted, Incoming};
use turmoil::net::{TcpListener, TcpStream};

use super::ledger::Ledger;

/// Nobody has a reason to open so many connections at one moment of the simulation. A loop without
/// a pause would open them for ever, and the simulated clock would stand still.
const DIALS_AT_ONCE_MAX: u64 = 200;

/// Opens simulated connections to `host:port` for one host.
pub(super) fn dialer(host: &str, ledger: &Ledger) -> Dialer {
    let (host, ledger) = (host.to_owned(), ledger.clone());
    let dials: Arc<Mutex<BTreeMap<Duration, u64>>> = Arc::default();
    Dialer::new(move |address: String| {
        let now = ledger.now();
        let at_once = {
            let mut dials = dials.lock().expect("no holder of this lock panics");
            dials.retain(|at, _| *at == now);
            let count = dials.entry(now).or_default();
            *count += 1;
            *count
        };
        if at_once == DIALS_AT_ONCE_MAX {
            ledger.violated(format!("{host} opens connections in a loop, now to {address}"));
        }
        async move {
            if at_once >= DIALS_AT_ONCE_MAX {
                std::future::pending::<()>().await;
            }
            TcpStream::connect(address).await
        }
    })
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
