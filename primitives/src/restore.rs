//! A machine from the blocks of a snapshot. What they hold is not trusted: whatever the bytes are,
//! the result is a state that a machine can be in, or a [`RestoreError`].

use crate::cache::stored::{read_cache, read_line};
use crate::codec::{DecodeError, Reader};
use crate::lock::stored::{read_lock, read_lock_v1};
use crate::machine::CLOCK_MAX;
use crate::queue::stored::{read_id, read_producer, read_queue, read_slot};
use crate::recorded::read_outcome;
use crate::session::{Final, Session};
use crate::snapshot::{CACHES, IDS, LINES, LOCKS, MESSAGES, PRODUCERS, QUEUES, SESSIONS, VERSION};
use crate::window::Window;
use crate::{Machine, Revision, Seq, SessionId};

/// Beyond any revision that can be reached, so that counting on from it never overflows.
const REVISION_MAX: u64 = u64::MAX / 2;

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
    queue_count: u64,
    cache_count: u64,
    line_count: u64,
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
        let Self { mut machine, blocks, .. } = self;
        if blocks == 0
            || machine.sessions.len() as u64 != self.session_count
            || machine.locks.len() as u64 != self.lock_count
            || machine.queues.len() as u64 != self.queue_count
            || machine.caches.len() as u64 != self.cache_count
            || machine.lines.len() as u64 != self.line_count
        {
            return Err(RestoreError::Inconsistent { what: "blocks are missing" });
        }
        let derived = machine.derive().map_err(|what| RestoreError::Inconsistent { what })?;
        for (id, owned) in derived.owned {
            machine.owned.insert(id, owned);
        }
        for (name, index) in derived.queue_indexes {
            machine.queue_indexes.insert_if_absent(&name, index);
        }
        for (name, index) in derived.cache_indexes {
            machine.cache_indexes.insert_if_absent(&name, index);
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
        self.queue_count = if self.version < 3 { 0 } else { reader.u64()? };
        self.cache_count = if self.version < 4 { 0 } else { reader.u64()? };
        self.line_count = if self.version < 4 { 0 } else { reader.u64()? };
        reader.finish()?;
        if self.machine.revision.get() > REVISION_MAX {
            return Err(Stop::Inconsistent("the revision is out of reach"));
        }
        if self.machine.clock > CLOCK_MAX {
            return Err(Stop::Inconsistent("the clock is out of reach"));
        }
        Ok(())
    }

    fn read_block(&mut self, block: &[u8]) -> Result<(), Stop> {
        let mut reader = Reader::new(block);
        let kind = reader.u8()?;
        let last = match self.version {
            1 | 2 => LOCKS,
            3 => IDS,
            _ => LINES,
        };
        if kind > last {
            return Err(DecodeError::UnknownTag { what: "block", tag: kind }.into());
        }
        match kind {
            MESSAGES | IDS => self.read_list(kind, &mut reader)?,
            _ => self.read_entries(kind, &mut reader)?,
        }
        Ok(reader.finish()?)
    }

    fn read_entries(&mut self, kind: u8, reader: &mut Reader<'_>) -> Result<(), Stop> {
        let count = reader.u64()?;
        for _ in 0..count {
            let taken = match kind {
                SESSIONS => {
                    let (id, session) = read_session(reader, self.version)?;
                    self.machine.sessions.insert_if_absent(&id, session).is_some()
                }
                LOCKS => {
                    let read = if self.version == 1 { read_lock_v1 } else { read_lock };
                    let (name, lock) = read(reader).map_err(Stop::Unreadable)?;
                    self.machine.locks.insert_if_absent(&name, lock).is_some()
                }
                QUEUES => {
                    let (name, queue) = read_queue(reader)?;
                    self.machine.queues.insert_if_absent(&name, queue).is_some()
                }
                CACHES => {
                    let (name, cache) = read_cache(reader)?;
                    self.machine.caches.insert_if_absent(&name, cache).is_some()
                }
                LINES => {
                    let (name, line) = read_line(reader, self.version)?;
                    self.machine.lines.insert_if_absent(&name, line).is_some()
                }
                PRODUCERS => {
                    let (name, ticket, producer) = read_producer(reader)?;
                    let queue = self.machine.queues.get_mut(&name).ok_or(NO_QUEUE)?;
                    queue.producers.insert(ticket, producer).is_some()
                }
                tag => return Err(DecodeError::UnknownTag { what: "block", tag }.into()),
            };
            if taken {
                return Err(Stop::Inconsistent("an entry occurs twice"));
            }
        }
        Ok(())
    }

    /// What one queue holds, or a part of it.
    fn read_list(&mut self, kind: u8, reader: &mut Reader<'_>) -> Result<(), Stop> {
        let name = reader.name()?;
        let queue = self.machine.queues.get_mut(&name).ok_or(NO_QUEUE)?;
        let count = reader.u64()?;
        for _ in 0..count {
            if kind == MESSAGES {
                queue.restore(read_slot(reader)?)?;
            } else {
                queue.restore_id(read_id(reader)?)?;
            }
        }
        Ok(())
    }
}

const NO_QUEUE: Stop = Stop::Inconsistent("the queue of a message is missing");

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

fn read_session(reader: &mut Reader<'_>, version: u8) -> Result<(SessionId, Session), Stop> {
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
    let finals = if version < 3 { Vec::new() } else { reader.list(read_final)? };
    if !finals.is_sorted_by(|(a, _), (b, _)| a < b) {
        return Err(Stop::Inconsistent("remembered answers are out of order"));
    }
    let (finals, window) = (finals.into_iter().collect(), Window { base, entries: entries.into() });
    Ok((id, Session { name, secret_hash, ttl_ms, deadline, window, finals }))
}

fn read_final(reader: &mut Reader<'_>) -> Result<(Seq, Final), DecodeError> {
    let (seq, newest) = (reader.seq()?, reader.seq()?);
    Ok((seq, Final { newest, outcome: read_outcome(reader)? }))
}
