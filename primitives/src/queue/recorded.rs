//! The bytes of the outcomes of queues that a session's window remembers. Their tags follow on
//! those in `recorded.rs` of the crate, which calls this for what it does not know.

use crate::codec::{DecodeError, Reader, put_str, put_u64};
use crate::{Name, Rejection, SettingsError};

const NO_SUCH_QUEUE: u8 = 37;
const QUEUE_EXISTS: u8 = 38;
const QUEUE_NOT_EMPTY: u8 = 39;
const QUEUE_FULL: u8 = 40;
const MESSAGE_TOO_LARGE: u8 = 41;
const BAD_MESSAGE_COUNT: u8 = 42;
const OUT_OF_BOUNDS: u8 = 43;
const OWN_DEAD_LETTER: u8 = 44;
const UNKNOWN_RECEIPT: u8 = 45;
const FOREIGN_RECEIPT: u8 = 46;
const NOTHING_CAME: u8 = 47;
const QUEUE_DELETED: u8 = 48;
const QUEUE_CROWDED: u8 = 49;

/// The tags after this one are not of queues.
pub(crate) const LAST_OF_QUEUES: u8 = QUEUE_CROWDED;

/// What can be out of its bounds, by its number in a snapshot. New ones come last.
const SETTINGS: [&str; 15] = [
    "visibility_ms",
    "max_deliveries",
    "delay_ms",
    "max_messages",
    "max_bytes",
    "max_message_bytes",
    "retention_ms",
    "dedup_window_ms",
    "credits",
    "max",
    "max_entries",
    "max_value_bytes",
    "ttl_ms",
    "load_ms",
    "lines",
];

/// Any other rejection than one of queues is none of its business, and leaves no bytes.
pub(crate) fn put_queue_rejection(out: &mut Vec<u8>, rejection: &Rejection) {
    let mut put = |tag: u8, name: &Name, values: &[u64]| {
        out.push(tag);
        put_str(out, name.as_str());
        values.iter().for_each(|value| put_u64(out, *value));
    };
    match rejection {
        Rejection::NoSuchQueue { queue } => put(NO_SUCH_QUEUE, queue, &[]),
        Rejection::QueueExists { queue } => put(QUEUE_EXISTS, queue, &[]),
        Rejection::QueueNotEmpty { queue, messages } => put(QUEUE_NOT_EMPTY, queue, &[*messages]),
        Rejection::QueueFull { queue, messages, bytes } => {
            put(QUEUE_FULL, queue, &[*messages, *bytes]);
        }
        Rejection::MessageTooLarge { queue, bytes, max } => {
            put(MESSAGE_TOO_LARGE, queue, &[*bytes, *max]);
        }
        Rejection::BadMessageCount { queue, count, max } => {
            put(BAD_MESSAGE_COUNT, queue, &[*count, *max]);
        }
        Rejection::BadSetting(error) => put_settings_error(out, error),
        Rejection::UnknownReceipt { queue, message, token } => {
            put(UNKNOWN_RECEIPT, queue, &[message.get(), token.get()]);
        }
        Rejection::ForeignReceipt { queue, message } => {
            put(FOREIGN_RECEIPT, queue, &[message.get()]);
        }
        Rejection::NothingCame { queue } => put(NOTHING_CAME, queue, &[]),
        Rejection::QueueDeleted { queue } => put(QUEUE_DELETED, queue, &[]),
        Rejection::QueueCrowded { queue } => put(QUEUE_CROWDED, queue, &[]),
        Rejection::UnknownSession { .. }
        | Rejection::WrongSecret { .. }
        | Rejection::BadTtl { .. }
        | Rejection::SessionNameTooLong { .. }
        | Rejection::AlreadyConfirmed { .. }
        | Rejection::TooFarAhead { .. }
        | Rejection::LockHeld { .. }
        | Rejection::LineAhead { .. }
        | Rejection::LockDelayed { .. }
        | Rejection::CapacityMismatch { .. }
        | Rejection::Deadlock { .. }
        | Rejection::Wounded { .. }
        | Rejection::WaitDie { .. }
        | Rejection::StaleToken { .. }
        | Rejection::WrongMode { .. }
        | Rejection::WaitOver { .. }
        | Rejection::NotHeld { .. }
        | Rejection::NobodyHolds { .. }
        | Rejection::TooManyWaiters { .. }
        | Rejection::TooManyWaits { .. }
        | Rejection::DiskFull
        | Rejection::Misplaced
        | Rejection::NoSuchCache { .. }
        | Rejection::CacheExists { .. }
        | Rejection::CacheNotEmpty { .. }
        | Rejection::CacheFull { .. }
        | Rejection::ValueTooLarge { .. }
        | Rejection::VersionMismatch { .. }
        | Rejection::NotACounter { .. }
        | Rejection::CounterOverflow { .. }
        | Rejection::FillWithdrawn { .. }
        | Rejection::LoadOver { .. }
        | Rejection::NotOwner { .. }
        | Rejection::LineCrowded { .. } => {}
    }
}

fn put_settings_error(out: &mut Vec<u8>, error: &SettingsError) {
    match error {
        SettingsError::OutOfBounds { setting, value, min, max } => {
            out.push(OUT_OF_BOUNDS);
            let at = SETTINGS.iter().position(|known| known == setting).unwrap_or(SETTINGS.len());
            out.push(at as u8);
            [value, min, max].into_iter().for_each(|value| put_u64(out, *value));
        }
        SettingsError::OwnDeadLetter { queue } => {
            out.push(OWN_DEAD_LETTER);
            put_str(out, queue.as_str());
        }
    }
}

pub(crate) fn read_queue_rejection(
    tag: u8,
    reader: &mut Reader<'_>,
) -> Result<Rejection, DecodeError> {
    if tag == OUT_OF_BOUNDS {
        let at = reader.u8()?;
        let unknown = DecodeError::UnknownTag { what: "setting", tag: at };
        let setting = *SETTINGS.get(usize::from(at)).ok_or(unknown)?;
        let (value, min, max) = (reader.u64()?, reader.u64()?, reader.u64()?);
        return Ok(SettingsError::OutOfBounds { setting, value, min, max }.into());
    }
    if !(NO_SUCH_QUEUE..=QUEUE_CROWDED).contains(&tag) {
        return Err(DecodeError::UnknownTag { what: "outcome", tag });
    }
    let queue = reader.name()?;
    Ok(match tag {
        NO_SUCH_QUEUE => Rejection::NoSuchQueue { queue },
        QUEUE_EXISTS => Rejection::QueueExists { queue },
        QUEUE_NOT_EMPTY => Rejection::QueueNotEmpty { queue, messages: reader.u64()? },
        QUEUE_FULL => Rejection::QueueFull { queue, messages: reader.u64()?, bytes: reader.u64()? },
        MESSAGE_TOO_LARGE => {
            Rejection::MessageTooLarge { queue, bytes: reader.u64()?, max: reader.u64()? }
        }
        BAD_MESSAGE_COUNT => {
            Rejection::BadMessageCount { queue, count: reader.u64()?, max: reader.u64()? }
        }
        OWN_DEAD_LETTER => SettingsError::OwnDeadLetter { queue }.into(),
        UNKNOWN_RECEIPT => {
            let message = reader.revision()?;
            Rejection::UnknownReceipt { queue, message, token: reader.token()? }
        }
        FOREIGN_RECEIPT => Rejection::ForeignReceipt { queue, message: reader.revision()? },
        NOTHING_CAME => Rejection::NothingCame { queue },
        QUEUE_DELETED => Rejection::QueueDeleted { queue },
        _ => Rejection::QueueCrowded { queue },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::{put_outcome, read_outcome};
    use crate::{Outcome, Redriven, Revision, Token};

    /// If this fails, the format has changed: it needs a new version.
    #[test]
    fn every_outcome_of_queues_has_its_bytes() {
        let queue = || Name::parse("q").expect("a good name");
        let (message, token) = (Revision::new(300), Token::new(9));
        let bounds = |setting| SettingsError::OutOfBounds { setting, value: 1, min: 2, max: 3 };
        let no = Outcome::Rejected;
        let messages = [message, Revision::new(5)].into_iter().collect();
        let redriven = |because| {
            let last = Revision::new(9);
            Outcome::Redriven(Box::new(Redriven { count: 300, more: true, last, left: 7, because }))
        };
        for (outcome, want) in [
            (Outcome::Enqueued { messages }, &[5, 2, 0xac, 2, 5][..]),
            (Outcome::Consuming { consumer: token }, &[6, 9]),
            (Outcome::Delivered(Vec::new()), &[7]),
            (Outcome::Swept { count: 300, more: true }, &[8, 0xac, 2, 1]),
            (redriven(None), &[11, 0xac, 2, 1, 9, 7, 0]),
            (
                redriven(Some(Rejection::NoSuchQueue { queue: queue() })),
                &[11, 0xac, 2, 1, 9, 7, 1, 37, 1, b'q'],
            ),
            (no(Rejection::NoSuchQueue { queue: queue() }), &[37, 1, b'q']),
            (no(Rejection::QueueExists { queue: queue() }), &[38, 1, b'q']),
            (no(Rejection::QueueNotEmpty { queue: queue(), messages: 4 }), &[39, 1, b'q', 4]),
            (
                no(Rejection::QueueFull { queue: queue(), messages: 4, bytes: 5 }),
                &[40, 1, b'q', 4, 5],
            ),
            (
                no(Rejection::MessageTooLarge { queue: queue(), bytes: 4, max: 5 }),
                &[41, 1, b'q', 4, 5],
            ),
            (
                no(Rejection::BadMessageCount { queue: queue(), count: 4, max: 5 }),
                &[42, 1, b'q', 4, 5],
            ),
            (no(bounds("visibility_ms").into()), &[43, 0, 1, 2, 3]),
            (no(bounds("max").into()), &[43, 9, 1, 2, 3]),
            (no(SettingsError::OwnDeadLetter { queue: queue() }.into()), &[44, 1, b'q']),
            (
                no(Rejection::UnknownReceipt { queue: queue(), message, token }),
                &[45, 1, b'q', 0xac, 2, 9],
            ),
            (no(Rejection::ForeignReceipt { queue: queue(), message }), &[46, 1, b'q', 0xac, 2]),
            (no(Rejection::NothingCame { queue: queue() }), &[47, 1, b'q']),
            (no(Rejection::QueueDeleted { queue: queue() }), &[48, 1, b'q']),
            (no(Rejection::QueueCrowded { queue: queue() }), &[49, 1, b'q']),
        ] {
            let mut bytes = Vec::new();
            put_outcome(&mut bytes, &outcome);
            assert_eq!(bytes, want, "{outcome:?}");
            let mut reader = Reader::new(&bytes);
            assert_eq!(read_outcome(&mut reader), Ok(outcome));
            assert_eq!(reader.finish(), Ok(()));
        }
        let unknown = DecodeError::UnknownTag { what: "setting", tag: 15 };
        assert_eq!(read_outcome(&mut Reader::new(&[43, 15])), Err(unknown));
    }

    /// What may be refused must have a number, or a snapshot with the refusal could not be read.
    #[test]
    fn every_setting_has_a_number() {
        let name = Name::parse("q").expect("a good name");
        let over = crate::QueueSettings {
            visibility_ms: 0,
            max_deliveries: u32::MAX,
            delay_ms: u64::MAX,
            max_messages: 0,
            max_bytes: 0,
            max_message_bytes: 0,
            retention_ms: Some(0),
            dedup_window_ms: u64::MAX,
            ..Default::default()
        };
        let good = crate::QueueSettings::default();
        let all = [
            crate::QueueSettings { visibility_ms: over.visibility_ms, ..good.clone() },
            crate::QueueSettings { max_deliveries: over.max_deliveries, ..good.clone() },
            crate::QueueSettings { delay_ms: over.delay_ms, ..good.clone() },
            crate::QueueSettings { max_messages: over.max_messages, ..good.clone() },
            crate::QueueSettings { max_bytes: over.max_bytes, ..good.clone() },
            crate::QueueSettings { max_message_bytes: over.max_message_bytes, ..good.clone() },
            crate::QueueSettings { retention_ms: over.retention_ms, ..good.clone() },
            crate::QueueSettings { dedup_window_ms: over.dedup_window_ms, ..good.clone() },
        ];
        assert_eq!(good.check(&name), Ok(()));
        for (settings, want) in all.iter().zip(SETTINGS) {
            let Err(SettingsError::OutOfBounds { setting, .. }) = settings.check(&name) else {
                panic!("{settings:?} should be refused")
            };
            assert_eq!(setting, want);
        }
    }
}
