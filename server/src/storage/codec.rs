//! The bytes of what consensus stores: log positions, votes, memberships and what entries carry.
//!
//! Used by the log, by snapshot files and by the protocol between peers. All integers are
//! little-endian. These formats are persisted: the golden-bytes tests below hold them in place, and
//! memberships and snapshot meta, which may grow, begin with a version byte.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes};
use thiserror::Error;

use crate::raft::types::{
    BatchBytes, LeaderId, LogId, Membership, NodeId, Payload, Peer, SnapshotMeta, StoredMembership,
    Vote,
};

const MEMBERSHIP_VERSION: u8 = 1;
const SNAPSHOT_META_VERSION: u8 = 1;

/// Why bytes could not be understood.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CodecError {
    /// The bytes end in the middle of a value.
    #[error("the bytes end in the middle of {what}")]
    Short {
        /// The value that was being read.
        what: &'static str,
    },
    /// A byte that selects a form has a value that this version does not know.
    #[error("{what} has the unknown value {value}; a newer version may have written it")]
    Unknown {
        /// What the byte selects.
        what: &'static str,
        /// Its value.
        value: u8,
    },
    /// Bytes are left after the last value.
    #[error("{count} bytes are left over after {what}")]
    LeftOver {
        /// The value that was read.
        what: &'static str,
        /// How many bytes are left.
        count: usize,
    },
    /// The bytes are well formed, but say something impossible.
    #[error("{what} is not valid: {why}")]
    Invalid {
        /// What was read.
        what: &'static str,
        /// Why it cannot be.
        why: String,
    },
}

/// What kind of payload an entry has. Kept beside the bytes, so that those stay shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PayloadKind {
    /// A new leader's first entry.
    Blank = 1,
    /// A batch of commands.
    Normal = 2,
    /// A change of members.
    Membership = 3,
}

impl TryFrom<u8> for PayloadKind {
    type Error = CodecError;

    fn try_from(value: u8) -> Result<Self, CodecError> {
        match value {
            1 => Ok(Self::Blank),
            2 => Ok(Self::Normal),
            3 => Ok(Self::Membership),
            value => Err(CodecError::Unknown { what: "the kind of a payload", value }),
        }
    }
}

/// The kind and the bytes of a payload. The bytes of a batch are shared, not copied.
pub fn encode_payload(payload: &Payload) -> (PayloadKind, Bytes) {
    match payload {
        Payload::Blank => (PayloadKind::Blank, Bytes::new()),
        Payload::Normal(batch) => (PayloadKind::Normal, batch.0.clone()),
        Payload::Membership(membership) => {
            let mut out = Vec::new();
            put_membership(&mut out, membership);
            (PayloadKind::Membership, out.into())
        }
    }
}

/// The payload of this kind and these bytes. A batch keeps the given bytes, without a copy.
pub fn decode_payload(kind: PayloadKind, bytes: Bytes) -> Result<Payload, CodecError> {
    match kind {
        PayloadKind::Blank if bytes.is_empty() => Ok(Payload::Blank),
        PayloadKind::Blank => {
            Err(CodecError::LeftOver { what: "a blank payload", count: bytes.len() })
        }
        PayloadKind::Normal => Ok(Payload::Normal(BatchBytes(bytes))),
        PayloadKind::Membership => {
            let mut input = Input::new(&bytes);
            let membership = input.membership()?;
            input.finish("a membership")?;
            Ok(Payload::Membership(membership))
        }
    }
}

/// The bytes of a membership.
pub fn encode_membership(membership: &Membership) -> Vec<u8> {
    let mut out = Vec::new();
    put_membership(&mut out, membership);
    out
}

/// The membership in these bytes.
pub fn decode_membership(bytes: &[u8]) -> Result<Membership, CodecError> {
    let mut input = Input::new(bytes);
    let membership = input.membership()?;
    input.finish("a membership")?;
    Ok(membership)
}

/// The bytes that say what a snapshot stands for.
pub fn encode_snapshot_meta(meta: &SnapshotMeta) -> Vec<u8> {
    let mut out = vec![SNAPSHOT_META_VERSION];
    put_opt_log_id(&mut out, meta.last_log_id.as_ref());
    put_opt_log_id(&mut out, meta.last_membership.log_id().as_ref());
    put_membership(&mut out, meta.last_membership.membership());
    out
}

/// What a snapshot stands for, from its bytes.
pub fn decode_snapshot_meta(bytes: &[u8]) -> Result<SnapshotMeta, CodecError> {
    let mut input = Input::new(bytes);
    input.version("the version of a snapshot's meta", SNAPSHOT_META_VERSION)?;
    let last_log_id = input.opt_log_id()?;
    let membership_log_id = input.opt_log_id()?;
    let membership = input.membership()?;
    input.finish("a snapshot's meta")?;
    let last_membership = StoredMembership::new(membership_log_id, membership);
    Ok(SnapshotMeta { last_log_id, last_membership })
}

/// Appends a log position: 24 bytes.
pub fn put_log_id(out: &mut Vec<u8>, log_id: &LogId) {
    out.put_u64_le(log_id.leader_id.term);
    out.put_u64_le(log_id.leader_id.node_id);
    out.put_u64_le(log_id.index);
}

/// Appends a log position that may be absent: 1 or 25 bytes.
pub fn put_opt_log_id(out: &mut Vec<u8>, log_id: Option<&LogId>) {
    match log_id {
        None => out.put_u8(0),
        Some(log_id) => {
            out.put_u8(1);
            put_log_id(out, log_id);
        }
    }
}

/// Appends a vote: 17 bytes.
pub fn put_vote(out: &mut Vec<u8>, vote: &Vote) {
    out.put_u64_le(vote.leader_id.term);
    out.put_u64_le(vote.leader_id.node_id);
    out.put_u8(u8::from(vote.committed));
}

fn put_membership(out: &mut Vec<u8>, membership: &Membership) {
    out.put_u8(MEMBERSHIP_VERSION);
    let configs = membership.get_joint_config();
    out.put_u32_le(configs.len() as u32);
    for config in configs {
        out.put_u32_le(config.len() as u32);
        for node_id in config {
            out.put_u64_le(*node_id);
        }
    }
    out.put_u32_le(membership.nodes().count() as u32);
    for (node_id, peer) in membership.nodes() {
        out.put_u64_le(*node_id);
        put_text(out, &peer.peer_addr);
        put_text(out, &peer.client_addr);
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.put_u32_le(text.len() as u32);
    out.extend_from_slice(text.as_bytes());
}

/// Reads values one after the other, never past the end.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Reads from the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whatever has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Refuses bytes that are left over.
    pub fn finish(&self, what: &'static str) -> Result<(), CodecError> {
        match self.0.len() {
            0 => Ok(()),
            count => Err(CodecError::LeftOver { what, count }),
        }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], CodecError> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(CodecError::Short { what })?;
        self.0 = rest;
        Ok(head)
    }

    /// One byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, CodecError> {
        Ok(self.take(1, what)?[0])
    }

    /// Four bytes.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, CodecError> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4, what)?);
        Ok(u32::from_le_bytes(bytes))
    }

    /// Eight bytes.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, CodecError> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8, what)?);
        Ok(u64::from_le_bytes(bytes))
    }

    /// A version byte that must have this value.
    pub fn version(&mut self, what: &'static str, known: u8) -> Result<(), CodecError> {
        match self.u8(what)? {
            value if value == known => Ok(()),
            value => Err(CodecError::Unknown { what, value }),
        }
    }

    /// A length and as many bytes of UTF-8.
    pub fn text(&mut self, what: &'static str) -> Result<String, CodecError> {
        let len = self.u32(what)? as usize;
        let bytes = self.take(len, what)?;
        String::from_utf8(bytes.to_vec())
            .map_err(|error| CodecError::Invalid { what, why: error.to_string() })
    }

    /// A log position.
    pub fn log_id(&mut self) -> Result<LogId, CodecError> {
        let term = self.u64("a log position")?;
        let node_id = self.u64("a log position")?;
        let index = self.u64("a log position")?;
        Ok(LogId::new(LeaderId { term, node_id }, index))
    }

    /// A log position that may be absent.
    pub fn opt_log_id(&mut self) -> Result<Option<LogId>, CodecError> {
        match self.u8("whether there is a log position")? {
            0 => Ok(None),
            1 => Ok(Some(self.log_id()?)),
            value => Err(CodecError::Unknown { what: "whether there is a log position", value }),
        }
    }

    /// A vote.
    pub fn vote(&mut self) -> Result<Vote, CodecError> {
        let term = self.u64("a vote")?;
        let node_id = self.u64("a vote")?;
        match self.u8("a vote")? {
            0 => Ok(Vote::new(term, node_id)),
            1 => Ok(Vote::new_committed(term, node_id)),
            value => Err(CodecError::Unknown { what: "whether a vote is granted", value }),
        }
    }

    /// A membership. Nothing is reserved from the counts it names, so they cannot make it allocate.
    pub fn membership(&mut self) -> Result<Membership, CodecError> {
        self.version("the version of a membership", MEMBERSHIP_VERSION)?;
        let mut configs = Vec::new();
        for _ in 0..self.u32("a membership")? {
            let mut config = BTreeSet::<NodeId>::new();
            for _ in 0..self.u32("a membership")? {
                config.insert(self.u64("a membership")?);
            }
            configs.push(config);
        }
        let mut nodes = BTreeMap::<NodeId, Peer>::new();
        for _ in 0..self.u32("a membership")? {
            let node_id = self.u64("a membership")?;
            let peer_addr = self.text("a peer's address")?;
            let client_addr = self.text("a peer's address for clients")?;
            nodes.insert(node_id, Peer { peer_addr, client_addr });
        }
        Membership::new(configs, nodes)
            .map_err(|error| CodecError::Invalid { what: "a membership", why: error.to_string() })
    }
}
