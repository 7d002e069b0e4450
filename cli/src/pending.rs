//! Stand-ins with the signatures of what the commands use of the client and of the node. They
//! compile and refuse to work. Once both crates have these items, delete this file and turn
//! `crate::pending::holdfast_` into `holdfast_` in `commands/` and in `client.rs`.

#![allow(missing_docs, clippy::unused_async, dead_code, unreachable_pub)]

pub(crate) mod holdfast_client {
    use std::time::Duration;

    use holdfast_proto::v1::{ErrorCode, LockInfo, StatusResponse};

    #[derive(Debug, thiserror::Error)]
    #[error("this build has no client")]
    pub struct Error;

    impl Error {
        pub fn code(&self) -> Option<ErrorCode> {
            None
        }
    }

    pub struct ClientBuilder;

    impl ClientBuilder {
        pub fn endpoints<S: Into<String>>(self, _: impl IntoIterator<Item = S>) -> Self {
            self
        }

        pub fn session_ttl(self, _: Duration) -> Self {
            self
        }

        pub fn session_name(self, _: impl Into<String>) -> Self {
            self
        }

        pub async fn connect(self) -> Result<Client, Error> {
            Err(Error)
        }
    }

    #[derive(Clone)]
    pub struct Client;

    impl Client {
        pub fn builder() -> ClientBuilder {
            ClientBuilder
        }

        pub fn mutex(&self, _: impl Into<String>) -> Mutex {
            Mutex
        }

        pub async fn locks(&self, _: &str, _: u32) -> Result<Vec<LockInfo>, Error> {
            Err(Error)
        }

        pub async fn close(&self) -> Result<(), Error> {
            Err(Error)
        }
    }

    pub struct Mutex;

    impl Mutex {
        pub async fn lock(&self) -> Result<LockGuard, Error> {
            Err(Error)
        }

        pub async fn try_lock(&self) -> Result<Option<LockGuard>, Error> {
            Err(Error)
        }

        pub async fn lock_timeout(&self, _: Duration) -> Result<Option<LockGuard>, Error> {
            Err(Error)
        }
    }

    pub struct LockGuard;

    impl LockGuard {
        pub fn token(&self) -> u64 {
            0
        }

        pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
            std::future::pending()
        }

        pub async fn unlock(self) -> Result<(), Error> {
            Err(Error)
        }
    }

    pub async fn status_of(_: &str, _: Duration, _: bool) -> Result<StatusResponse, Error> {
        Err(Error)
    }
}

pub(crate) mod holdfast_server {
    use std::net::SocketAddr;

    #[derive(Debug, thiserror::Error)]
    #[error("this build has no server; build it with one")]
    pub struct StartError;

    pub struct Node;

    impl Node {
        pub async fn start(_: holdfast_server::Settings) -> Result<Self, StartError> {
            Err(StartError)
        }

        pub fn client_addr(&self) -> SocketAddr {
            ([127, 0, 0, 1], 0).into()
        }

        pub fn peer_addr(&self) -> SocketAddr {
            ([127, 0, 0, 1], 0).into()
        }

        pub async fn shutdown(&self) {}

        pub async fn stopped(&self) -> Option<String> {
            std::future::pending().await
        }
    }
}
