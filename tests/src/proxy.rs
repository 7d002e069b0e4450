//! A TCP proxy that can be cut: what was open falls silent, what comes later is not answered.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A way to one address. Dropping it closes everything.
pub struct Proxy {
    address: String,
    open: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Opens a way to `target`.
    pub async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (open, opened) = watch::channel(true);
        let target: Arc<str> = target.into();
        let task = tokio::spawn(async move {
            let mut ways = tokio::task::JoinSet::new();
            while let Ok((visitor, _)) = listener.accept().await {
                ways.spawn(carry(visitor, target.clone(), opened.clone()));
            }
        });
        Self { address, open, task }
    }

    /// Where to connect instead of the target.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Nothing passes any more, and nobody is told.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// New connections pass again. Those that were cut are closed.
    pub fn heal(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut visitor: TcpStream, target: Arc<str>, mut open: watch::Receiver<bool>) {
    if *open.borrow() {
        let carrying = async {
            if let Ok(mut to) = TcpStream::connect(&*target).await {
                let _ = tokio::io::copy_bidirectional(&mut visitor, &mut to).await;
            }
        };
        let cut = async { open.wait_for(|open| !open).await.is_ok() };
        tokio::select! {
            () = carrying => return,
            _ = cut => {}
        }
    }
    // Held, but silent, until there is a way again.
    let _ = open.wait_for(|open| *open).await;
    drop(visitor);
}
