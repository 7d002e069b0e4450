//! How a connection is opened: TCP in the real world, a simulated network in the simulator.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tonic::codegen::http::Uri;

/// A two-way byte stream.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Connection for T {}

type Opening = Pin<Box<dyn Future<Output = io::Result<Box<dyn Connection>>> + Send>>;

/// Opens connections to `host:port` addresses. Cheap to clone.
#[derive(Clone)]
pub struct Dialer(Arc<dyn Fn(String, Spoken) -> Opening + Send + Sync>);

/// What will be spoken on a connection. TLS agrees upon it with the server.
#[derive(Clone, Copy)]
enum Spoken {
    Http1,
    Http2,
}

impl Dialer {
    /// Real TCP, without Nagle's delay.
    pub fn tcp() -> Self {
        Self::new(|address: String| async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }

    /// TCP with TLS on it. Servers are believed if their certificate was signed by one of those in
    /// `roots`, which is PEM, and is for the host that was dialled.
    ///
    /// # Errors
    /// There is no usable certificate in `roots`.
    pub fn tls(roots: &[u8]) -> io::Result<Self> {
        let unusable = |e: String| {
            let message = format!("no usable certificate is among the trusted ones: {e}");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        };
        let mut trusted = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots) {
            let root = root.map_err(|e| unusable(e.to_string()))?;
            trusted.add(root).map_err(|e| unusable(e.to_string()))?;
        }
        if trusted.is_empty() {
            return Err(unusable("there is none in PEM form".into()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let config = config.with_root_certificates(trusted).with_no_client_auth();
        let connector = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            TlsConnector::from(Arc::new(config))
        };
        let (http1, http2) = (connector(b"http/1.1"), connector(b"h2"));
        let tcp = Self::tcp();
        Ok(Self::speaking(move |address: String, spoken| {
            let tcp = tcp.clone();
            let connector = match spoken {
                Spoken::Http1 => http1.clone(),
                Spoken::Http2 => http2.clone(),
            };
            async move {
                let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let host = ServerName::try_from(host).map_err(io::Error::other)?;
                connector.connect(host, tcp.open(&address).await?).await
            }
        }))
    }

    /// Connections that `open` makes.
    pub fn new<F, Fut, C>(open: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<C>> + Send + 'static,
        C: Connection + 'static,
    {
        Self::speaking(move |address, _| open(address))
    }

    fn speaking<F, Fut, C>(open: F) -> Self
    where
        F: Fn(String, Spoken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<C>> + Send + 'static,
        C: Connection + 'static,
    {
        Self(Arc::new(move |address, spoken| {
            let opening = open(address, spoken);
            Box::pin(async move { Ok(Box::new(opening.await?) as Box<dyn Connection>) })
        }))
    }

    /// A connection to `address`, which is `host:port`, on which HTTP/1.1 will be spoken first.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn open(&self, address: &str) -> io::Result<Box<dyn Connection>> {
        (self.0)(address.to_owned(), Spoken::Http1).await
    }
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dialer")
    }
}

/// What `tonic::transport::Endpoint::connect_with_connector` asks for.
impl tower::Service<Uri> for Dialer {
    type Response = TokioIo<Box<dyn Connection>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let open = self.0.clone();
        Box::pin(async move {
            let address = uri.authority().map(ToString::to_string).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("{uri} names no host and port"))
            })?;
            Ok(TokioIo::new(open(address, Spoken::Http2).await?))
        })
    }
}
