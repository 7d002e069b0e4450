//! The journal's file: blocks by the revision of their last event, and one record about them all.

use std::path::Path;

use holdfast_proto::v1::WatchEvent;
use prost::Message;

use super::Span;

/// The format of what is stored. Another one is put aside.
const VERSION: u8 = 1;

/// Under which key the record about all blocks is.
const SPAN_KEY: &[u8] = b"span";

/// Begins the key of every block; the revision of its last event follows.
const BLOCK_KEY: u8 = b'b';

/// How much of the file sled may keep in memory.
const MEMORY_BYTES: u64 = 16 << 20;

/// A block as it is stored.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Stored {
    /// The revision of the last event before it.
    #[prost(uint64, tag = "1")]
    pub(super) after: u64,
    /// Its events, of which there is at least one.
    #[prost(message, repeated, tag = "2")]
    pub(super) events: Vec<WatchEvent>,
}

impl Stored {
    /// The revision of its last event.
    pub(super) fn through(&self) -> u64 {
        self.events.last().map_or(self.after, |event| event.revision)
    }
}

/// A block in the making: the bytes of a [`Stored`], event by event.
pub(super) struct Encoded {
    value: Vec<u8>,
    events: usize,
    through: u64,
}

/// What stands before an event among the bytes of a block: field 2, with a length.
const EVENT_TAG: u8 = 2 << 3 | 2;

impl Encoded {
    /// One without events yet, which comes after this revision.
    pub(super) fn after(after: u64) -> Self {
        let value = begin(&Stored { after, events: Vec::new() });
        Self { value, events: 0, through: after }
    }

    /// Adds an event.
    pub(super) fn push(&mut self, event: &WatchEvent) {
        self.value.push(EVENT_TAG);
        event.encode_length_delimited(&mut self.value).expect("a Vec has room");
        (self.events, self.through) = (self.events + 1, event.revision);
    }

    /// As it can be read back.
    #[cfg(test)]
    pub(super) fn read(self) -> Stored {
        decode(&finish(self.value)).expect("it makes sense")
    }

    /// How many events it has.
    pub(super) fn len(&self) -> usize {
        self.events
    }

    /// The revision of its last event.
    pub(super) fn through(&self) -> u64 {
        self.through
    }
}

/// What is stored about all blocks.
#[derive(Clone, Copy, PartialEq, Message)]
struct StoredSpan {
    #[prost(uint64, tag = "1")]
    after: u64,
    #[prost(uint64, tag = "2")]
    through: u64,
}

/// The open file.
pub(super) struct File(sled::Db);

/// What is to be changed, all at once.
#[derive(Default)]
pub(super) struct Change {
    batch: sled::Batch,
    /// By how many bytes the file grows.
    pub(super) grows: i64,
}

impl File {
    /// Opens the file, and reads all of it.
    pub(super) fn open(directory: &Path) -> Result<(Self, Span), String> {
        // sled may panic over what it finds.
        let opened = std::panic::catch_unwind(|| {
            let config = sled::Config::new().path(directory).cache_capacity(MEMORY_BYTES);
            let file = Self(config.open().map_err(|e| e.to_string())?);
            let span = file.check()?;
            Ok((file, span))
        });
        opened.unwrap_or_else(|_| Err("its content makes no sense".into()))
    }

    /// What it knows, if nothing is missing and nothing is damaged.
    fn check(&self) -> Result<Span, String> {
        let Some(stored) = self.0.get(SPAN_KEY).map_err(|e| e.to_string())? else {
            return match self.0.is_empty() {
                true => Ok(Span::default()),
                false => Err("it does not say what it has".into()),
            };
        };
        let StoredSpan { after, through } = decode(&stored)?;
        let (mut last, mut bytes) = (after, 0);
        for entry in self.0.scan_prefix([BLOCK_KEY]) {
            let (key, value) = entry.map_err(|e| e.to_string())?;
            let block: Stored = decode(&value)?;
            if block.after != last || *key != block_key(block.through()) {
                return Err(format!("the block after revision {last} is missing"));
            }
            last = block.through();
            bytes += value.len() as u64;
        }
        match last <= through {
            true => Ok(Span { after, through, bytes, is_broken: false }),
            false => Err(format!("it ends at revision {last}, and should at {through}")),
        }
    }

    /// The blocks that have something of `revision` or later.
    pub(super) fn blocks_from(
        &self,
        revision: u64,
    ) -> impl Iterator<Item = Result<Stored, String>> {
        let found = self.0.range(block_key(revision)..=block_key(u64::MAX));
        found.map(|entry| entry.map_err(|e| e.to_string()).and_then(|(_, value)| decode(&value)))
    }

    /// The revision of the last event, if there is one.
    pub(super) fn last(&self) -> Result<Option<u64>, String> {
        let last = self.0.scan_prefix([BLOCK_KEY]).next_back().transpose();
        let last = last.map_err(|e| e.to_string())?;
        last.map(|(_, value)| decode::<Stored>(&value).map(|block| block.through())).transpose()
    }

    /// Takes the oldest blocks out until at least `bytes` are gone; the newest stays. Returns the
    /// revision after which everything is still there.
    pub(super) fn drop_oldest(
        &self,
        change: &mut Change,
        bytes: u64,
    ) -> Result<Option<u64>, String> {
        let (mut gone, mut after) = (0, None);
        let mut blocks = self.0.scan_prefix([BLOCK_KEY]).peekable();
        while gone < bytes
            && let Some(entry) = blocks.next()
            && blocks.peek().is_some()
        {
            let (key, value) = entry.map_err(|e| e.to_string())?;
            after = Some(decode::<Stored>(&value)?.through());
            gone += value.len() as u64;
            change.batch.remove(key);
        }
        change.grows -= gone as i64;
        Ok(after)
    }

    /// Takes everything out.
    pub(super) fn drop_all(&self, change: &mut Change) -> Result<(), String> {
        for key in self.0.scan_prefix([BLOCK_KEY]).keys() {
            change.batch.remove(key.map_err(|e| e.to_string())?);
        }
        Ok(())
    }

    /// Carries the change out, after which the file knows what `span` says.
    pub(super) fn apply(&self, mut change: Change, span: Span) -> Result<(), String> {
        let Span { after, through, .. } = span;
        change.batch.insert(SPAN_KEY, finish(begin(&StoredSpan { after, through })));
        self.0.apply_batch(change.batch).map_err(|e| e.to_string())
    }

    /// Gives everything to the operating system.
    pub(super) fn flush(&self) -> Result<(), String> {
        self.0.flush().map(|_| ()).map_err(|e| e.to_string())
    }
}

impl Change {
    /// Adds a block.
    pub(super) fn append(&mut self, block: Encoded) {
        let key = block_key(block.through);
        let value = finish(block.value);
        self.grows += value.len() as i64;
        self.batch.insert(&key, value);
    }
}

fn block_key(revision: u64) -> [u8; 9] {
    let mut key = [BLOCK_KEY; 9];
    key[1..].copy_from_slice(&revision.to_be_bytes());
    key
}

/// What stands before a message: the version, and a checksum of what follows.
const HEAD_BYTES: usize = 5;

/// Room for the head, and a message, to which more of it may be added.
fn begin(message: &impl Message) -> Vec<u8> {
    let mut value = vec![0; HEAD_BYTES];
    message.encode(&mut value).expect("a Vec has room");
    value
}

/// With the head filled in.
fn finish(mut value: Vec<u8>) -> Vec<u8> {
    let sum = crc32c::crc32c(&value[HEAD_BYTES..]);
    value[0] = VERSION;
    value[1..HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
    value
}

fn decode<M: Message + Default>(value: &[u8]) -> Result<M, String> {
    let (version, value) = value.split_first().ok_or("a value is empty")?;
    if *version != VERSION {
        return Err(format!("a value has the format {version}, and {VERSION} is known"));
    }
    let (sum, body) = value.split_first_chunk().ok_or("a value is too short")?;
    if u32::from_le_bytes(*sum) != crc32c::crc32c(body) {
        return Err("a checksum is wrong".into());
    }
    M::decode(body).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_block_stay_what_they_are() {
        let event =
            WatchEvent { revision: 300, kind: 10, name: "a".into(), ..WatchEvent::default() };
        let mut block = Encoded::after(299);
        block.push(&event);
        let bytes = finish(block.value);
        let body = [8, 171, 2, 18, 8, 8, 172, 2, 24, 10, 34, 1, 97];
        assert_eq!(bytes[0], 1);
        assert_eq!(bytes[1..5], crc32c::crc32c(&body).to_le_bytes());
        assert_eq!(bytes[5..], body);
        let mut damaged = bytes.clone();
        damaged[9] ^= 1;
        assert!(decode::<Stored>(&damaged).is_err_and(|why| why.contains("checksum")));
        assert_eq!(decode::<Stored>(&bytes).map(|block| block.through()), Ok(300));
    }
}
