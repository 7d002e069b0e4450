//! The whole state as a series of blocks of bytes. `restore.rs` reads them back.
//!
//! The first block is the head: `version, revision, clock, sessions, locks, queues, caches, lines`.
//! Each block
//! after it is `kind, count, entries`, one or more for each shard that is not empty. The messages
//! of a queue stand in blocks of their own, `kind, queue, count, messages`, and so do its dedup
//! ids. To take a snapshot costs a pointer clone per shard, and later one per chunk of a queue; the
//! blocks are encoded as the iterator is drained, which may happen on another thread while the
//! machine goes on. What can be derived is not written: `owned`, `waiting`, `timers`,
//! `queue_indexes` and `cache_indexes` are rebuilt at restore (`derived.rs`).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::cache::stored::{put_cache, put_line};
use crate::cache::{Cache, Line};
use crate::codec::{put_len, put_str, put_u64};
use crate::fault::{Fault, Faults};
use crate::lock::Lock;
use crate::lock::stored::put_lock;
use crate::queue::stored::{put_id, put_producer, put_queue, put_slot};
use crate::queue::{Id, Queue, Slot};
use crate::recorded::put_outcome;
use crate::session::Session;
use crate::shards::Shard;
use crate::{LineName, Machine, Name, SessionId};

/// Version 1 knew exclusive locks only, version 2 no queues, version 3 no caches, version 4 no
/// guards of those who wait for a load. All of them can still be read.
pub(crate) const VERSION: u8 = 5;
pub(crate) const SESSIONS: u8 = 1;
pub(crate) const LOCKS: u8 = 2;
pub(crate) const QUEUES: u8 = 3;
pub(crate) const PRODUCERS: u8 = 4;
pub(crate) const MESSAGES: u8 = 5;
pub(crate) const IDS: u8 = 6;
pub(crate) const CACHES: u8 = 7;
pub(crate) const LINES: u8 = 8;

/// A block is closed when it has so many bytes. What follows a block in a file or on the wire has
/// its own limits, and one entry can be large: a session remembers up to 65,536 outcomes.
const BLOCK_BYTES: usize = 1 << 20;

/// The blocks of a snapshot, encoded one by one as they are taken.
pub struct SnapshotBlocks {
    head: Option<Vec<u8>>,
    /// Encoded and not taken yet.
    encoded: VecDeque<Vec<u8>>,
    sessions: std::vec::IntoIter<Arc<Shard<SessionId, Session>>>,
    locks: std::vec::IntoIter<Arc<Shard<Name, Lock>>>,
    queues: std::vec::IntoIter<Arc<Shard<Name, Queue>>>,
    /// What the queues hold whose own blocks were encoded last.
    lists: VecDeque<List>,
    caches: std::vec::IntoIter<Arc<Shard<Name, Cache>>>,
    lines: std::vec::IntoIter<Arc<Shard<LineName, Line>>>,
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
        put_len(&mut head, self.queues.len());
        put_len(&mut head, self.caches.len());
        put_len(&mut head, self.lines.len());
        SnapshotBlocks {
            head: Some(head),
            encoded: VecDeque::new(),
            sessions: self.sessions.shards().into_iter(),
            locks: self.locks.shards().into_iter(),
            queues: self.queues.shards().into_iter(),
            lists: VecDeque::new(),
            caches: self.caches.shards().into_iter(),
            lines: self.lines.shards().into_iter(),
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
        let faults = self.faults;
        while self.encoded.is_empty() {
            if let Some(list) = self.lists.front_mut() {
                match list.next_block(faults) {
                    Some(block) => return Some(block),
                    None => drop(self.lists.pop_front()),
                }
            } else if let Some(shard) = self.sessions.next() {
                let put = |out: &mut Vec<u8>, (id, session): (&SessionId, &Session)| {
                    put_session(out, *id, session, faults);
                };
                self.encoded = encode(SESSIONS, shard.iter(), put);
            } else if let Some(shard) = self.locks.next() {
                let forget = faults.has(Fault::ForgetPromisesInSnapshot);
                self.encoded = encode(LOCKS, shard.iter(), |out, (name, lock)| {
                    put_lock(out, name, lock, forget);
                });
            } else if let Some(shard) = self.queues.next() {
                self.begin_queues(&shard);
            } else if let Some(shard) = self.caches.next() {
                self.encoded =
                    encode(CACHES, shard.iter(), |out, (name, cache)| put_cache(out, name, cache));
            } else {
                let shard = self.lines.next()?;
                let forget = faults.has(Fault::ForgetCopiesInSnapshot);
                self.encoded = encode(LINES, shard.iter(), |out, (name, line)| {
                    put_line(out, name, line, forget);
                });
            }
        }
        self.encoded.pop_front()
    }
}

impl SnapshotBlocks {
    /// What each queue is and who waits at it is encoded at once; what it holds, as it is taken.
    fn begin_queues(&mut self, shard: &Shard<Name, Queue>) {
        self.encoded = encode(QUEUES, shard.iter(), |out, (name, queue)| {
            put_queue(out, name, queue);
        });
        let producers = shard.iter().flat_map(|(name, queue)| {
            queue.producers.iter().map(move |(ticket, producer)| (name, *ticket, producer))
        });
        let mut producers = encode(PRODUCERS, producers, |out, (name, ticket, producer)| {
            put_producer(out, name, ticket, producer);
        });
        self.encoded.append(&mut producers);
        for (name, queue) in shard.iter() {
            self.lists.push_back(List::Messages(name.clone(), Chunks::of(queue.messages.chunks())));
            self.lists.push_back(List::Ids(name.clone(), Chunks::of(queue.ids.chunks())));
        }
    }
}

/// What a queue holds and is not encoded yet.
enum List {
    Messages(Name, Chunks<Slot>),
    Ids(Name, Chunks<Id>),
}

impl List {
    fn next_block(&mut self, faults: Faults) -> Option<Vec<u8>> {
        let loses = faults.has(Fault::LoseInFlightInSnapshot);
        match self {
            Self::Messages(name, chunks) => chunks.next_block(MESSAGES, name, |out, slot| {
                let is_kept = !loses || slot.flight().is_none();
                if is_kept {
                    put_slot(out, slot);
                }
                is_kept
            }),
            Self::Ids(name, chunks) => chunks.next_block(IDS, name, |out, id| {
                put_id(out, id);
                true
            }),
        }
    }
}

/// The rest of a list.
struct Chunks<T> {
    chunks: std::vec::IntoIter<Arc<Vec<T>>>,
    current: Arc<Vec<T>>,
    at: usize,
}

impl<T> Chunks<T> {
    fn of(chunks: Vec<Arc<Vec<T>>>) -> Self {
        Self { chunks: chunks.into_iter(), current: Arc::default(), at: 0 }
    }

    /// As many entries as [`BLOCK_BYTES`] allow. Where a block ends depends on what is in it, not
    /// on how it is cut into chunks, so that equal states have equal blocks.
    fn next_block(
        &mut self,
        kind: u8,
        name: &Name,
        put: impl Fn(&mut Vec<u8>, &T) -> bool,
    ) -> Option<Vec<u8>> {
        let (mut body, mut count) = (Vec::new(), 0);
        while body.len() < BLOCK_BYTES {
            if let Some(entry) = self.current.get(self.at) {
                self.at += 1;
                count += usize::from(put(&mut body, entry));
                continue;
            }
            let Some(chunk) = self.chunks.next() else { break };
            (self.current, self.at) = (chunk, 0);
        }
        if count == 0 {
            return None;
        }
        let mut block = vec![kind];
        put_str(&mut block, name.as_str());
        put_len(&mut block, count);
        block.append(&mut body);
        Some(block)
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
        put_len(out, 0);
        return;
    }
    put_len(out, session.window.entries.len());
    for (seq, outcome) in &session.window.entries {
        put_u64(out, seq.get());
        put_outcome(out, outcome);
    }
    put_len(out, session.finals.len());
    for (seq, known) in &session.finals {
        put_u64(out, seq.get());
        put_u64(out, known.newest.get());
        put_outcome(out, &known.outcome);
    }
}
