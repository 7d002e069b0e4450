//! To whom a data directory belongs.
//!
//! A node's votes and log entries are promises to one cluster under one id. A directory of another
//! node or cluster must never be used, and a node that has lost its log must never come back under
//! its old id: it would break promises that it does not remember.
//!
//! The file `identity` is written once, on the first start, *after* the log's first segment is
//! durable. So a directory with an identity has had a log, and if there is none now, it was lost.
//!
//! ```text
//! magic "HFIDENT" | version u8 | node id u64 | cluster: length u32, UTF-8 | crc32c u32
//! ```

use std::io;

use bytes::BufMut;
use thiserror::Error;

use crate::raft::types::NodeId;
use crate::storage::codec::Input;
use crate::storage::disk::Disk;
use crate::storage::wal::{self, LogOptions, OpenError};

/// Its name in the data directory.
pub const NAME: &str = "identity";
const TEMPORARY_NAME: &str = "identity.tmp";
const MAGIC: &[u8; 7] = b"HFIDENT";
const VERSION: u8 = 1;

/// Whether a node has run before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The directory was empty; it has an identity and an empty log now.
    First,
    /// The directory is this node's.
    Known,
}

/// Why a data directory must not be used.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// It belongs to somebody else.
    #[error(
        "the data directory belongs to node {found_node} of cluster {found_cluster:?}, but this is \
         node {node} of cluster {cluster:?}; give each node a data directory of its own"
    )]
    Foreign {
        /// The cluster that this node was told to be of.
        cluster: String,
        /// The id that this node was told to have.
        node: NodeId,
        /// The cluster in the directory.
        found_cluster: String,
        /// The id in the directory.
        found_node: NodeId,
    },
    /// The identity is there and the log is not.
    #[error(
        "the log of node {node} was lost: the data directory has its identity but no log. It must \
         join as a new node with a new id, and with an empty data directory"
    )]
    LogLost {
        /// The node.
        node: NodeId,
    },
    /// There is data, and nothing says whose.
    #[error(
        "the data directory holds {file} but no identity file, so it is not known to whom it \
         belongs; restore the file {NAME}, or move the directory away and join as a new node with \
         a new id"
    )]
    Unowned {
        /// A file that is there.
        file: String,
    },
    /// The identity cannot be read.
    #[error(
        "the file {NAME} in the data directory is damaged: {why}; restore it, or move the \
         directory away and join as a new node with a new id"
    )]
    Damaged {
        /// What is wrong.
        why: String,
    },
    /// The disk refused.
    #[error("the identity in the data directory cannot be used: {0}; check the disk")]
    Io(#[from] io::Error),
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] OpenError),
}

/// Makes sure that the directory is this node's. An empty one becomes so, with an empty log.
pub fn check_or_create(
    disk: &dyn Disk,
    cluster: &str,
    node: NodeId,
    options: &LogOptions,
) -> Result<Start, IdentityError> {
    let names = disk.names()?;
    if !names.iter().any(|name| name == NAME) {
        refuse_data_without_identity(disk, &names, options)?;
        wal::create_first(disk, options)?;
        write(disk, cluster, node)?;
        return Ok(Start::First);
    }
    let (found_cluster, found_node) = read(disk)?;
    if (found_cluster.as_str(), found_node) != (cluster, node) {
        let cluster = cluster.to_owned();
        return Err(IdentityError::Foreign { cluster, node, found_cluster, found_node });
    }
    if !wal::exists(disk)? {
        return Err(IdentityError::LogLost { node });
    }
    Ok(Start::Known)
}

/// A first start that was interrupted leaves an empty log, at most, and is done again.
fn refuse_data_without_identity(
    disk: &dyn Disk,
    names: &[String],
    options: &LogOptions,
) -> Result<(), IdentityError> {
    let unowned = |file: &str| IdentityError::Unowned { file: file.to_owned() };
    if let Some(name) = names.iter().find(|name| name.starts_with("snapshot-")) {
        return Err(unowned(name));
    }
    if !wal::exists(disk)? {
        return Ok(());
    }
    let log = wal::recover(disk, options)?;
    let pristine = wal::Head { first_live: 1, ..wal::Head::default() };
    if log.head != pristine || !log.entries.is_empty() {
        return Err(unowned(&log.active.name));
    }
    Ok(())
}

fn write(disk: &dyn Disk, cluster: &str, node: NodeId) -> io::Result<()> {
    let bytes = encode(cluster, node);
    if disk.names()?.iter().any(|name| name == TEMPORARY_NAME) {
        disk.remove(TEMPORARY_NAME)?;
    }
    let file = disk.create(TEMPORARY_NAME, 0)?;
    file.write_at(&bytes, 0)?;
    file.sync()?;
    disk.rename(TEMPORARY_NAME, NAME)?;
    disk.sync_dir()
}

fn encode(cluster: &str, node: NodeId) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.put_u8(VERSION);
    bytes.put_u64_le(node);
    bytes.put_u32_le(cluster.len() as u32);
    bytes.extend_from_slice(cluster.as_bytes());
    let crc = crc32c::crc32c(&bytes);
    bytes.put_u32_le(crc);
    bytes
}

fn read(disk: &dyn Disk) -> Result<(String, NodeId), IdentityError> {
    let file = disk.open(NAME)?;
    let mut bytes = vec![0; file.size()? as usize];
    file.read_at(&mut bytes, 0)?;
    decode(&bytes).map_err(|why| IdentityError::Damaged { why })
}

fn decode(bytes: &[u8]) -> Result<(String, NodeId), String> {
    let end = bytes.len().checked_sub(4).ok_or("it is too short")?;
    let (body, crc) = bytes.split_at(end);
    if crc32c::crc32c(body).to_le_bytes() != crc {
        return Err("its checksum is wrong".into());
    }
    let mut input = Input::new(body);
    let mut parse = || {
        if input.take(MAGIC.len(), "the magic bytes")? != MAGIC {
            return Ok(None);
        }
        input.version("the version of the identity", VERSION)?;
        let node = input.u64("the node id")?;
        let cluster = input.text("the cluster's name")?;
        input.finish("the cluster's name")?;
        Ok(Some((cluster, node)))
    };
    let parsed: Result<_, crate::storage::codec::CodecError> = parse();
    parsed.map_err(|error| error.to_string())?.ok_or_else(|| "it is another kind of file".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sim_disk::SimDisk;

    fn options() -> LogOptions {
        LogOptions { segment_bytes: 1024, ..LogOptions::default() }
    }

    fn check(disk: &SimDisk, cluster: &str, node: NodeId) -> Result<Start, IdentityError> {
        check_or_create(disk.mount().as_ref(), cluster, node, &options())
    }

    #[test]
    fn the_first_start_makes_it_and_later_ones_know_it() {
        let disk = SimDisk::new();
        assert_eq!(check(&disk, "c", 3).unwrap(), Start::First);
        disk.crash(7);
        assert_eq!(check(&disk, "c", 3).unwrap(), Start::Known);
        let expect = "HFIDENT\u{1}\u{3}\0\0\0\0\0\0\0\u{1}\0\0\0c";
        assert_eq!(&disk.content("identity").unwrap()[..21], expect.as_bytes());
    }

    #[test]
    fn a_foreign_directory_is_refused() {
        let disk = SimDisk::new();
        check(&disk, "mine", 3).unwrap();
        for (cluster, node) in [("mine", 4), ("theirs", 3)] {
            let message = check(&disk, cluster, node).unwrap_err().to_string();
            let names_both = format!("node 3 of cluster \"mine\", but this is node {node} of");
            assert!(message.contains(&names_both), "{message}");
        }
    }

    #[test]
    fn an_emptied_directory_is_refused() {
        let disk = SimDisk::new();
        check(&disk, "c", 3).unwrap();
        let log = disk.content("log-00000001").unwrap();
        for emptied in [None, Some(vec![]), Some(vec![0; 1024])] {
            match emptied {
                None => disk.lose("log-00000001"),
                Some(content) => disk.set_content("log-00000001", content),
            }
            let message = check(&disk, "c", 3).unwrap_err().to_string();
            assert!(message.contains("the log of node 3 was lost"), "{message}");
        }
        disk.set_content("log-00000001", log);
        assert_eq!(check(&disk, "c", 3).unwrap(), Start::Known);
    }

    #[test]
    fn every_damaged_byte_is_noticed() {
        let disk = SimDisk::new();
        check(&disk, "c", 3).unwrap();
        let whole = disk.content("identity").unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            disk.set_content("identity", bytes);
            let error = check(&disk, "c", 3).unwrap_err();
            assert!(matches!(error, IdentityError::Damaged { .. }), "byte {at}: {error}");
        }
    }

    #[test]
    fn data_without_an_identity_is_refused() {
        let disk = SimDisk::new();
        disk.set_content("snapshot-1", vec![1]);
        assert!(matches!(check(&disk, "c", 3), Err(IdentityError::Unowned { .. })));
    }

    #[test]
    fn a_first_start_may_be_interrupted_anywhere() {
        use crate::storage::sim_disk::SimFault::{Create, Sync, SyncDir, Write};
        for (fault, count) in [(Create, 2), (Sync, 4), (SyncDir, 3), (Write, 3)] {
            for (succeed, seed) in (0..count).flat_map(|n| (0..20).map(move |seed| (n, seed))) {
                let disk = SimDisk::new();
                disk.fail_after(fault, succeed);
                assert!(check(&disk, "c", 3).is_err(), "{fault:?} after {succeed}");
                disk.crash(seed);
                check(&disk, "c", 3).unwrap();
                disk.crash(seed + 100);
                assert_eq!(check(&disk, "c", 3).unwrap(), Start::Known);
            }
        }
    }
}
