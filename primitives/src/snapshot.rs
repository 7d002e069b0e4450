//! The whole state as a series of blocks of bytes, and back.
//!
//! The first block is the head: `version, revision, clock, sessions, locks`. Each block after it is
//! `kind, count, entries`, one or more for each shard that is not empty. To take a snapshot costs a
//! pointer clone per shard; the blocks are encoded as the iterator is drained, which may happen on
//! another thread while the machine goes on. What can be derived is not written: `owned`,
//! `waiting` and `timers` are rebuilt at restore (`derived.rs`).

use std::collections::VecDeque;

use crate::codec::{DecodeError, Reader, put_len, put_str, put_u64};
use crate::fault::{Fault, Faults};
use crate::lock::Lock;
use crate::lock::stored::{put_lock, read_lock, read_lock_v1};
use crate::recorded::{put_outcome, read_outcome};
use crate::session::Session;
use crate::shards::Shard;
use crate::window::Window;
use crate::{Machine, Name, Revision, SessionId};

/// Version 1 knew exclusive locks only. It can still be read.
const VERSION: u8 = 2;
const SESSIONS: u8 = 1;
const LOCKS: u8 = 2;

/// A block is closed when it has so many bytes. What follows a block in a file or on the wire has
/// its own limits, and one entry can be large: a session remembers up to 65,536 outcomes.
const BLOCK_BYTES: usize = 1 << 20;

/// Beyond any revision that can be reached, so that counting on from it never overflows.
const REVISION_MAX: u64 = u64::MAX / 2;

/// The blocks of a snapshot, encoded one by one as they are taken.
pub struct SnapshotBlocks {
    head: Option<Vec<u8>>,
    /// Encoded and not taken yet.
    encoded: VecDeque<Vec<u8>>,
    sessions: std::vec::IntoIter<Shard<SessionId, Session>>,
    locks: std::vec::IntoIter<Shard<Name, Lock>>,
    faults: Faults,
}

impl Machine {
    /// The state as it is now, whatever happens to the machine afterwards.
    pub fn snapshot(&self) -> SnapshotBlocks {
        let mut head = vec![VERSION];
        put_u64(&mut head, self.revision.get());
        put_u64(&mut head, self.clock.as_millis());
        put_len(&mut head, self.sessions.len());
        put_len(&mut head, self.locks.len());
        SnapshotBlocks {
            head: Some(head),
            encoded: VecDeque::new(),
            sessions: self.sessions.shards().into_iter(),
            locks: self.locks.shards().into_iter(),
            faults: self.faults,
        }
    }

    /// A number that two machines share if their states are equal, and with near certainty only
    /// then. It reads the whole state, so it is for tests and for comparing nodes.
    pub fn state_hash(&self) -> u64 {
        self.snapshot().hash()
    }
}

impl SnapshotBlocks {
    /// As [`Machine::state_hash`], of the state that these blocks hold. Uses them up.
    pub fn hash(self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for block in self {
            for byte in block.iter().chain(&(block.len() as u64).to_le_bytes()) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash
    }
}

impl Iterator for SnapshotBlocks {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if let Some(head) = self.head.take() {
            return Some(head);
        }
        while self.encoded.is_empty() {
            if let Some(shard) = self.sessions.next() {
                let faults = self.faults;
                let put = |out: &mut Vec<u8>, (id, session): (&SessionId, &Session)| {
                    put_session(out, *id, session, faults);
                };
                self.encoded = encode(SESSIONS, shard.iter(), put);
            } else {
                let shard = self.locks.next()?;
                let put = |out: &mut Vec<u8>, (name, lock): (&Name, &Lock)| {
                    put_lock(out, name, lock);
                };
                self.encoded = encode(LOCKS, shard.iter(), put);
            }
        }
        self.encoded.pop_front()
    }
}

/// Encodes the entries of one shard, as many to a block as [`BLOCK_BYTES`] allow.
fn encode<E>(
    kind: u8,
    entries: impl Iterator<Item = E>,
    put: impl Fn(&mut Vec<u8>, E),
) -> VecDeque<Vec<u8>> {
    let mut blocks = VecDeque::new();
    let mut entries = entries.peekable();
    while entries.peek().is_some() {
        let (mut body, mut count) = (Vec::new(), 0);
        while body.len() < BLOCK_BYTES
            && let Some(entry) = entries.next()
        {
            put(&mut body, entry);
            count += 1;
        }
        let mut block = vec![kind];
        put_len(&mut block, count);
        block.append(&mut body);
        blocks.push_back(block);
    }
    blocks
}

fn put_session(out: &mut Vec<u8>, id: SessionId, session: &Session, faults: Faults) {
    put_u64(out, id.get());
    put_str(out, &session.name);
    out.extend_from_slice(&session.secret_hash);
    put_u64(out, session.ttl_ms);
    put_u64(out, session.deadline.as_millis());
    put_u64(out, session.window.base.get());
    if faults.has(Fault::ForgetDedupInSnapshot) {
        put_len(out, 0);
        return;
    }
    put_len(out, session.window.entries.len());
    for (seq, outcome) in &session.window.entries {
        put_u64(out, seq.get());
        put_outcome(out, outcome);
    }
}

/// Why a snapshot could not be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A block could not be read.
    #[error("block {block} of the snapshot cannot be read: {source}")]
    Unreadable {
        /// Which block, counting from zero.
        block: usize,
        /// Why.
        source: DecodeError,
    },
    /// The blocks contradict each other, or some are missing.
    #[error("the snapshot contradicts itself: {what}")]
    Inconsistent {
        /// In what.
        what: &'static str,
    },
}

/// Builds a machine from the blocks of a snapshot, given in order.
#[derive(Default)]
pub struct Restore {
    machine: Machine,
    version: u8,
    blocks: usize,
    session_count: u64,
    lock_count: u64,
}

impl Restore {
    /// A restore that has seen no block yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next block.
    ///
    /// # Errors
    /// If the block cannot be read or contradicts those before it. The restore is of no use then.
    pub fn push(&mut self, block: &[u8]) -> Result<(), RestoreError> {
        let at = self.blocks;
        self.blocks += 1;
        let read = if at == 0 { self.read_head(block) } else { self.read_block(block) };
        read.map_err(|stop| match stop {
            Stop::Unreadable(source) => RestoreError::Unreadable { block: at, source },
            Stop::Inconsistent(what) => RestoreError::Inconsistent { what },
        })
    }

    /// The machine, once all blocks are in.
    ///
    /// # Errors
    /// If blocks are missing, or the state is one that no machine can be in.
    pub fn finish(self) -> Result<Machine, RestoreError> {
        let Self { mut machine, session_count, lock_count, blocks, .. } = self;
        if blocks == 0
            || machine.sessions.len() as u64 != session_count
            || machine.locks.len() as u64 != lock_count
        {
            return Err(RestoreError::Inconsistent { what: "blocks are missing" });
        }
        let derived = machine.derive().map_err(|what| RestoreError::Inconsistent { what })?;
        for (id, owned) in derived.owned {
            machine.owned.insert_if_absent(id, owned);
        }
        machine.waiting = derived.waiting;
        machine.timers = derived.timers;
        Ok(machine)
    }

    fn read_head(&mut self, block: &[u8]) -> Result<(), Stop> {
        let mut reader = Reader::new(block);
        self.version = reader.version(1..=VERSION)?;
        self.machine.revision = Revision::new(reader.u64()?);
        self.machine.clock = reader.timestamp()?;
        self.session_count = reader.u64()?;
        self.lock_count = reader.u64()?;
        reader.finish()?;
        if self.machine.revision.get() > REVISION_MAX {
            return Err(Stop::Inconsistent("the revision is out of reach"));
        }
        Ok(())
    }

    fn read_block(&mut self, block: &[u8]) -> Result<(), Stop> {
        let mut reader = Reader::new(block);
        let kind = reader.u8()?;
        let count = reader.u64()?;
        for _ in 0..count {
            let taken = match kind {
                SESSIONS => {
                    let (id, session) = read_session(&mut reader)?;
                    self.machine.sessions.insert_if_absent(id, session).is_some()
                }
                LOCKS => {
                    let read = if self.version == 1 { read_lock_v1 } else { read_lock };
                    let (name, lock) = read(&mut reader).map_err(Stop::Unreadable)?;
                    self.machine.locks.insert_if_absent(name, lock).is_some()
                }
                tag => return Err(DecodeError::UnknownTag { what: "block", tag }.into()),
            };
            if taken {
                return Err(Stop::Inconsistent("an entry occurs twice"));
            }
        }
        Ok(reader.finish()?)
    }
}

/// Why a block was not taken.
enum Stop {
    Unreadable(DecodeError),
    Inconsistent(&'static str),
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        Self::Unreadable(error)
    }
}

fn read_session(reader: &mut Reader<'_>) -> Result<(SessionId, Session), Stop> {
    let id = reader.session()?;
    let name = reader.str()?.into();
    let secret_hash = reader.hash()?;
    let ttl_ms = reader.u64()?;
    let deadline = reader.timestamp()?;
    let base = reader.seq()?;
    let entries = reader.list(|reader| Ok((reader.seq()?, read_outcome(reader)?)))?;
    let numbers = std::iter::once(base).chain(entries.iter().map(|(seq, _)| *seq));
    if !numbers.is_sorted_by(|a, b| a < b) {
        return Err(Stop::Inconsistent("remembered answers are out of order"));
    }
    let window = Window { base, entries: entries.into() };
    Ok((id, Session { name, secret_hash, ttl_ms, deadline, window }))
}
