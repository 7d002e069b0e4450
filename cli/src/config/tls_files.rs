//! The two files of a certificate, each a setting of its own.

use std::path::PathBuf;

use holdfast_server::TlsFiles;

use super::table::Config;

/// One of the two; empty if there is none.
pub(super) fn read(config: &Config, which: fn(&TlsFiles) -> &PathBuf) -> String {
    let files = config.node.client_tls.as_ref();
    files.map(|files| which(files).display().to_string()).unwrap_or_default()
}

/// Stores one of the two. That both are there is checked when all settings are known.
pub(super) fn write(
    config: &mut Config,
    text: &str,
    which: fn(&mut TlsFiles) -> &mut PathBuf,
) -> Option<()> {
    let none = TlsFiles { cert: PathBuf::new(), key: PathBuf::new() };
    let files = config.node.client_tls.get_or_insert_with(|| none.clone());
    *which(files) = text.into();
    if *files == none {
        config.node.client_tls = None;
    }
    Some(())
}
