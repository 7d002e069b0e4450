//! The certificate of the client port. It is read again when its files change, so that it can be
//! renewed without a restart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::incoming::Counted;
use crate::settings::TlsFiles;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Accepts encrypted connections. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current {
    files: TlsFiles,
    /// When the files had changed that the key was read from at first.
    seen: [Option<SystemTime>; 2],
    key: RwLock<Arc<CertifiedKey>>,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadCertificate {
    /// A file cannot be read as what it should be.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The key is not the certificate's, or of a kind that is not known.
    #[error("{key} does not fit {cert}: {why}")]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// They cannot be read, or do not fit each other.
    pub fn read(files: &TlsFiles) -> Result<Self, BadCertificate> {
        // Before they are read: what changes meanwhile is noticed.
        let seen = files.changed();
        let key = RwLock::new(Arc::new(read(files)?));
        let current = Arc::new(Current { files: files.clone(), seen, key });
        let mut config =
            rustls::ServerConfig::builder_with_provider(ring::default_provider().into())
                .with_safe_default_protocol_versions()
                .expect("the provider knows the default versions")
                .with_no_client_auth()
                .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), current })
    }

    /// Shakes hands.
    pub(super) async fn accept(&self, io: Counted) -> io::Result<TlsStream<Counted>> {
        self.acceptor.accept(io).await
    }

    /// Reads the files again whenever they have changed, for ever. What cannot be read is said in
    /// the log, and the certificate that is in use stays so.
    pub(super) async fn keep_fresh(self) {
        let mut seen = self.current.seen;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.current.files.changed();
            if now == seen {
                continue;
            }
            match read(&self.current.files) {
                Ok(key) => {
                    *self.current.key.write().expect("nobody panics with it") = Arc::new(key);
                    tracing::info!("the certificate was read again, and is in use");
                    seen = now;
                }
                // Both files are seldom replaced at one moment: this is tried again.
                Err(e) => tracing::error!("the new certificate is not used: {e}"),
            }
        }
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.read().expect("nobody panics with it").clone())
    }
}

impl TlsFiles {
    fn changed(&self) -> [Option<SystemTime>; 2] {
        let changed = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
        [changed(&self.cert), changed(&self.key)]
    }
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, BadCertificate> {
    let bad = |path: &Path, why: String| BadCertificate::File { path: path.to_owned(), why };
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| bad(&files.cert, e.to_string()))?;
    if chain.is_empty() {
        return Err(bad(&files.cert, "there is no certificate in it".into()));
    }
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|e| bad(&files.key, e.to_string()))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|e| {
        BadCertificate::Pair {
            cert: files.cert.clone(),
            key: files.key.clone(),
            why: e.to_string(),
        }
    })
}
