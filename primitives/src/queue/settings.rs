//! How a queue behaves.

use crate::Name;
use crate::limits::{
    DEDUP_WINDOW_MS_MAX, DELAY_MS_MAX, DELIVERIES_MAX, MESSAGE_BYTES_MAX, QUEUE_BYTES_MAX,
    QUEUE_MESSAGES_MAX, RETENTION_MS_MIN, VISIBILITY_MS_MAX, VISIBILITY_MS_MIN,
};

/// All settings of a queue. To have them is proof that each is within its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// How long a delivery lasts unless it is extended; then the message is delivered again.
    pub visibility_ms: u64,
    /// After so many deliveries without an ack the message is a dead letter. Zero: never.
    pub max_deliveries: u32,
    /// Where dead letters go. Without it they are parked where they are.
    pub dead_letter: Option<Name>,
    /// For how long nobody gets a new message, unless its producer says otherwise.
    pub delay_ms: u64,
    /// How many messages there may be, in whatever state.
    pub max_messages: u64,
    /// How many bytes all of them may have: bodies, headers and groups.
    pub max_bytes: u64,
    /// How many bytes one of them may have.
    pub max_message_bytes: u64,
    /// How long a message is kept. Then it is a dead letter if there is a queue for those, and is
    /// removed if there is none.
    pub retention_ms: Option<u64>,
    /// What producers find when there is no room.
    pub when_full: WhenFull,
    /// For how long a producer's own id of a message is remembered.
    pub dedup_window_ms: u64,
}

/// What a producer finds that has not said whether it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused.
    #[default]
    Refuse,
    /// It waits in line until there is room.
    Wait,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            visibility_ms: 30_000,
            max_deliveries: 20,
            dead_letter: None,
            delay_ms: 0,
            max_messages: 10_000_000,
            max_bytes: 1 << 30,
            max_message_bytes: 1 << 20,
            retention_ms: None,
            when_full: WhenFull::Refuse,
            dedup_window_ms: 300_000,
        }
    }
}

/// Some settings, to be laid over those that are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the setting of the same name")]
pub struct QueueChange {
    pub visibility_ms: Option<u64>,
    pub max_deliveries: Option<u32>,
    /// `Some(None)`: no dead-letter queue any more.
    pub dead_letter: Option<Option<Name>>,
    pub delay_ms: Option<u64>,
    pub max_messages: Option<u64>,
    pub max_bytes: Option<u64>,
    pub max_message_bytes: Option<u64>,
    /// `Some(None)`: kept for ever.
    pub retention_ms: Option<Option<u64>>,
    pub when_full: Option<WhenFull>,
    pub dedup_window_ms: Option<u64>,
}

/// A setting that is out of its limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A number that is too small or too large.
    #[error("{setting} of {value} is not between {min} and {max}")]
    OutOfBounds {
        /// Which setting.
        setting: &'static str,
        /// What was asked for.
        value: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// Dead letters of a queue cannot go to the queue itself.
    #[error("dead letters of {queue} cannot go to {queue} itself: name another queue, or none")]
    OwnDeadLetter {
        /// Which queue.
        queue: Name,
    },
}

impl SettingsError {
    /// Whether the value is within its limits.
    pub(crate) fn bound(setting: &'static str, value: u64, min: u64, max: u64) -> Result<(), Self> {
        if (min..=max).contains(&value) {
            return Ok(());
        }
        Err(Self::OutOfBounds { setting, value, min, max })
    }
}

impl QueueSettings {
    /// These settings with the change laid over them, for the queue of that name.
    ///
    /// # Errors
    /// A setting is out of its limits.
    pub fn with(&self, queue: &Name, change: &QueueChange) -> Result<Self, SettingsError> {
        let settings = Self {
            visibility_ms: change.visibility_ms.unwrap_or(self.visibility_ms),
            max_deliveries: change.max_deliveries.unwrap_or(self.max_deliveries),
            dead_letter: change.dead_letter.clone().unwrap_or_else(|| self.dead_letter.clone()),
            delay_ms: change.delay_ms.unwrap_or(self.delay_ms),
            max_messages: change.max_messages.unwrap_or(self.max_messages),
            max_bytes: change.max_bytes.unwrap_or(self.max_bytes),
            max_message_bytes: change.max_message_bytes.unwrap_or(self.max_message_bytes),
            retention_ms: change.retention_ms.unwrap_or(self.retention_ms),
            when_full: change.when_full.unwrap_or(self.when_full),
            dedup_window_ms: change.dedup_window_ms.unwrap_or(self.dedup_window_ms),
        };
        settings.check(queue)?;
        Ok(settings)
    }

    /// Whether each setting is within its limits.
    ///
    /// # Errors
    /// Says which is not.
    pub fn check(&self, queue: &Name) -> Result<(), SettingsError> {
        if self.dead_letter.as_ref() == Some(queue) {
            return Err(SettingsError::OwnDeadLetter { queue: queue.clone() });
        }
        let retention_ms = self.retention_ms.unwrap_or(RETENTION_MS_MIN);
        for (setting, value, min, max) in [
            ("visibility_ms", self.visibility_ms, VISIBILITY_MS_MIN, VISIBILITY_MS_MAX),
            ("max_deliveries", self.max_deliveries.into(), 0, DELIVERIES_MAX.into()),
            ("delay_ms", self.delay_ms, 0, DELAY_MS_MAX),
            ("max_messages", self.max_messages, 1, QUEUE_MESSAGES_MAX),
            ("max_bytes", self.max_bytes, 1, QUEUE_BYTES_MAX),
            ("max_message_bytes", self.max_message_bytes, 1, MESSAGE_BYTES_MAX as u64),
            ("retention_ms", retention_ms, RETENTION_MS_MIN, u64::MAX / 4),
            ("dedup_window_ms", self.dedup_window_ms, 0, DEDUP_WINDOW_MS_MAX),
        ] {
            SettingsError::bound(setting, value, min, max)?;
        }
        Ok(())
    }
}
