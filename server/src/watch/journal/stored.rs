//! What stands in the journal: blocks of events, each told by what differs from the one before.
//!
//! Most events of a block are about the same few things, and the numbers in them are of what just
//! happened. So a name or a session that is the same is left out, and numbers are told by how far
//! they lie behind the revision: that takes half as many bytes.

use holdfast_proto::v1::WatchEvent;
use prost::Message;

/// What stands before a block: its length, and a checksum of it.
pub(super) const HEAD_BYTES: usize = 8;

/// What stands before an event among the bytes of a block: field 2, with a length.
const EVENT_TAG: u8 = 2 << 3 | 2;

/// A block as it can be read back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    /// The revision of the last event before it.
    pub(super) after: u64,
    /// Its events.
    pub(super) events: Vec<WatchEvent>,
    /// If there are none: nothing happened up to this revision.
    pub(super) quiet_through: u64,
}

/// The same as bytes.
#[derive(Clone, PartialEq, Message)]
struct Bytes {
    #[prost(uint64, tag = "1")]
    after: u64,
    #[prost(message, repeated, tag = "2")]
    events: Vec<Difference>,
    #[prost(uint64, tag = "3")]
    quiet_through: u64,
}

/// An event, as it differs from the one before it in the block.
#[derive(Clone, PartialEq, Message)]
struct Difference {
    /// How many revisions later; nought if it is the next of the same.
    #[prost(uint64, tag = "1")]
    later: u64,
    #[prost(int32, tag = "2")]
    kind: i32,
    #[prost(string, optional, tag = "3")]
    name: Option<String>,
    #[prost(uint64, optional, tag = "4")]
    session_id: Option<u64>,
    #[prost(sint64, optional, tag = "5")]
    token: Option<i64>,
    #[prost(int32, tag = "6")]
    mode: i32,
    #[prost(uint32, tag = "7")]
    permits: u32,
    #[prost(sint64, optional, tag = "8")]
    message: Option<i64>,
    #[prost(string, tag = "9")]
    reason: String,
    #[prost(string, tag = "10")]
    moved_to: String,
    #[prost(sint64, optional, tag = "11")]
    moved_message: Option<i64>,
    #[prost(string, tag = "12")]
    key: String,
    #[prost(sint64, optional, tag = "13")]
    version: Option<i64>,
    #[prost(uint64, tag = "14")]
    bytes: u64,
}

impl Stored {
    /// The revision of its last event.
    pub(super) fn through(&self) -> u64 {
        self.events.last().map_or(self.after, |event| event.revision)
    }

    /// The block at the beginning of `bytes`, and how many of them it takes. `None`: it is not
    /// whole.
    pub(super) fn first_of(bytes: &[u8]) -> Option<(Self, usize)> {
        let (len, rest) = bytes.split_first_chunk()?;
        let (sum, rest) = rest.split_first_chunk()?;
        let body = rest.get(..u32::from_le_bytes(*len) as usize)?;
        if u32::from_le_bytes(*sum) != crc32c::crc32c(body) {
            return None;
        }
        let Bytes { after, events: differences, quiet_through } = Bytes::decode(body).ok()?;
        let mut events: Vec<WatchEvent> = Vec::with_capacity(differences.len());
        for difference in differences {
            let event = difference.after(after, events.last());
            events.push(event);
        }
        Some((Self { after, events, quiet_through }, HEAD_BYTES + body.len()))
    }
}

/// How far `number` lies behind `revision`. Nought is no number.
fn behind(revision: u64, number: u64) -> Option<i64> {
    (number != 0).then(|| revision.wrapping_sub(number).cast_signed())
}

fn ahead(revision: u64, behind: Option<i64>) -> u64 {
    behind.map_or(0, |behind| revision.wrapping_sub(behind.cast_unsigned()))
}

impl Difference {
    /// Makes it that of `event`, which comes after `before`, or first after a revision.
    fn set(&mut self, event: &WatchEvent, after: u64, before: &WatchEvent) {
        let revision = event.revision;
        self.later = revision - after;
        self.kind = event.kind;
        self.name = (event.name != before.name).then(|| event.name.clone());
        self.session_id = (event.session_id != before.session_id).then_some(event.session_id);
        self.token = behind(revision, event.token);
        (self.mode, self.permits) = (event.mode, event.permits);
        self.message = behind(revision, event.message);
        self.reason.clone_from(&event.reason);
        self.moved_to.clone_from(&event.moved_to);
        self.moved_message = behind(revision, event.moved_message);
        self.key.clone_from(&event.key);
        self.version = behind(revision, event.version);
        self.bytes = event.bytes;
    }

    /// The event, which comes after `before`, or first after revision `after`.
    fn after(self, after: u64, before: Option<&WatchEvent>) -> WatchEvent {
        let is_next = self.later == 0;
        let revision = before.map_or(after, |before| before.revision) + self.later;
        let same_name = || before.map_or_else(String::new, |before| before.name.clone());
        let same_session = before.map_or(0, |before| before.session_id);
        WatchEvent {
            revision,
            index: before.filter(|_| is_next).map_or(0, |before| before.index + 1),
            kind: self.kind,
            name: self.name.unwrap_or_else(same_name),
            session_id: self.session_id.unwrap_or(same_session),
            token: ahead(revision, self.token),
            mode: self.mode,
            permits: self.permits,
            message: ahead(revision, self.message),
            reason: self.reason,
            moved_to: self.moved_to,
            moved_message: ahead(revision, self.moved_message),
            key: self.key,
            version: ahead(revision, self.version),
            bytes: self.bytes,
        }
    }
}

/// A block in the making, event by event.
pub(super) struct Encoded {
    value: Vec<u8>,
    after: u64,
    events: usize,
    /// The last event.
    before: WatchEvent,
    difference: Difference,
}

impl Encoded {
    /// One without events yet, which comes after this revision.
    pub(super) fn after(after: u64) -> Self {
        Self::of(&Bytes { after, ..Bytes::default() })
    }

    /// One that says that nothing happened after revision `after` and up to `through`.
    pub(super) fn quiet(after: u64, through: u64) -> Self {
        Self::of(&Bytes { after, events: Vec::new(), quiet_through: through })
    }

    fn of(block: &Bytes) -> Self {
        let mut value = vec![0; HEAD_BYTES];
        block.encode(&mut value).expect("a Vec has room");
        let (before, difference) = (WatchEvent::default(), Difference::default());
        Self { value, after: block.after, events: 0, before, difference }
    }

    /// Adds an event, which comes after all that were added.
    pub(super) fn push(&mut self, event: &WatchEvent) {
        self.difference.set(event, self.through(), &self.before);
        self.value.push(EVENT_TAG);
        self.difference.encode_length_delimited(&mut self.value).expect("a Vec has room");
        self.events += 1;
        self.before.revision = event.revision;
        self.before.session_id = event.session_id;
        self.before.name.clone_from(&event.name);
    }

    /// With the head filled in.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let (head, body) = self.value.split_at_mut(HEAD_BYTES);
        head[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
        head[4..].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
        self.value
    }

    /// The revision of the last event before it.
    pub(super) fn begins_after(&self) -> u64 {
        self.after
    }

    /// How many events it has.
    pub(super) fn len(&self) -> usize {
        self.events
    }

    /// The revision of its last event.
    pub(super) fn through(&self) -> u64 {
        if self.events == 0 { self.after } else { self.before.revision }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(block: Encoded) -> Stored {
        let bytes = block.finish();
        let (stored, len) = Stored::first_of(&bytes).expect("it makes sense");
        assert_eq!(len, bytes.len());
        stored
    }

    #[test]
    fn the_bytes_of_a_block_stay_what_they_are() {
        let put = |revision, key: &str| WatchEvent {
            revision,
            kind: 10,
            name: "a".into(),
            session_id: 5,
            key: key.into(),
            version: revision,
            ..WatchEvent::default()
        };
        let mut block = Encoded::after(299);
        block.push(&put(300, "k"));
        block.push(&put(302, "l"));
        let bytes = block.finish();
        let first = [18, 14, 8, 1, 16, 10, 26, 1, 97, 32, 5, 98, 1, 107, 104, 0];
        let second = [18, 9, 8, 2, 16, 10, 98, 1, 108, 104, 0];
        let body = [&[8, 171, 2], &first[..], &second].concat();
        assert_eq!(bytes[..4], (body.len() as u32).to_le_bytes());
        assert_eq!(bytes[4..8], crc32c::crc32c(&body).to_le_bytes());
        assert_eq!(bytes[8..], body);
        assert_eq!(Encoded::quiet(7, 9).finish()[8..], [8, 7, 24, 9]);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Stored::first_of(&damaged).is_none(), "byte {at}");
        }
    }

    #[test]
    fn whatever_can_be_said_of_an_event_is_read_back() {
        let whole = WatchEvent {
            revision: 300,
            index: 0,
            kind: 3,
            name: "jobs".into(),
            session_id: 7,
            token: 299,
            mode: 2,
            permits: 4,
            message: 12,
            reason: "expired".into(),
            moved_to: "dead".into(),
            moved_message: 300,
            key: "k".into(),
            version: 1 << 60,
            bytes: u64::MAX,
        };
        let of_a_session = WatchEvent { session_id: 8, revision: 301, ..WatchEvent::default() };
        let events = [
            whole.clone(),
            WatchEvent { index: 1, ..whole.clone() },
            WatchEvent { revision: 301, ..WatchEvent::default() },
            WatchEvent { index: 1, ..of_a_session },
            WatchEvent { revision: u64::MAX, ..whole },
        ];
        let mut block = Encoded::after(299);
        events.iter().for_each(|event| block.push(event));
        let stored = read(block);
        assert_eq!(stored, Stored { after: 299, events: events.into(), quiet_through: 0 });
        assert_eq!(stored.through(), u64::MAX);
        assert_eq!(
            (read(Encoded::quiet(7, 9)).through(), read(Encoded::after(7)).through()),
            (7, 7)
        );
    }
}
