//! How a queue behaves, and what an administrator may ask of its dead letters.

use std::time::Duration;

use holdfast_proto::v1;

use crate::locks::whole_ms;
use crate::setters::setters;

/// Settings of a queue. What is not set stays as it is, or as it is by default.
///
/// ```
/// use std::time::Duration;
///
/// use holdfast_client::QueueSettings;
///
/// let settings = QueueSettings::default()
///     .visibility(Duration::from_secs(60))
///     .max_deliveries(5)
///     .dead_letter(Some("jobs/dead"));
/// assert_eq!(settings.max_deliveries, Some(5));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueSettings {
    /// How long a delivery lasts unless it is extended. Default 30 s.
    pub visibility: Option<Duration>,
    /// After so many deliveries without an ack a message is a dead letter; zero: never. Default 20.
    pub max_deliveries: Option<u32>,
    /// Where dead letters go. `Some(None)`: nowhere, they are parked, which is the default.
    pub dead_letter: Option<Option<String>>,
    /// How long a new message is withheld unless its producer says otherwise. Default none.
    pub delay: Option<Duration>,
    /// How many messages there may be. Default 10,000,000.
    pub max_messages: Option<u64>,
    /// How many bytes they may have together. Default 1 GiB.
    pub max_bytes: Option<u64>,
    /// How many bytes one of them may have. Default 1 MiB, at most 4 MiB.
    pub max_message_bytes: Option<u64>,
    /// How long a message is kept. `Some(None)`: for ever, which is the default.
    pub retention: Option<Option<Duration>>,
    /// What producers find when there is no room. Default: they are refused.
    pub when_full: Option<WhenFull>,
    /// How long a producer's own id of a message is remembered. Default five minutes.
    pub dedup_window: Option<Duration>,
}

/// What a producer finds when there is no room, if it has not said whether it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused with `QUEUE_FULL`.
    #[default]
    Refuse,
    /// It waits in line until there is room.
    Wait,
}

impl QueueSettings {
    setters! {
        /// How long a delivery lasts unless it is extended.
        visibility: Duration,
        /// After so many deliveries without an ack a message is a dead letter; zero: never.
        max_deliveries: u32,
        /// How long a new message is withheld unless its producer says otherwise.
        delay: Duration,
        /// How many messages there may be.
        max_messages: u64,
        /// How many bytes they may have together.
        max_bytes: u64,
        /// How many bytes one of them may have.
        max_message_bytes: u64,
        /// How long a message is kept; `None`: for ever.
        retention: Option<Duration>,
        /// What producers find when there is no room.
        when_full: WhenFull,
        /// How long a producer's own id of a message is remembered.
        dedup_window: Duration,
    }

    /// Where dead letters go; `None`: nowhere, they are parked.
    #[must_use]
    pub fn dead_letter(mut self, queue: Option<&str>) -> Self {
        self.dead_letter = Some(queue.map(str::to_owned));
        self
    }

    pub(super) fn wire(&self) -> v1::QueueSettings {
        let when_full = match self.when_full {
            None => v1::WhenFull::Unspecified,
            Some(WhenFull::Refuse) => v1::WhenFull::Refuse,
            Some(WhenFull::Wait) => v1::WhenFull::Wait,
        };
        v1::QueueSettings {
            visibility_ms: self.visibility.map(whole_ms),
            max_deliveries: self.max_deliveries,
            dead_letter: self.dead_letter.clone().map(Option::unwrap_or_default),
            delay_ms: self.delay.map(whole_ms),
            max_messages: self.max_messages,
            max_bytes: self.max_bytes,
            max_message_bytes: self.max_message_bytes,
            retention_ms: self.retention.map(|kept| kept.map_or(0, whole_ms)),
            when_full: when_full.into(),
            dedup_window_ms: self.dedup_window.map(whole_ms),
        }
    }
}

impl From<v1::QueueSettings> for QueueSettings {
    fn from(settings: v1::QueueSettings) -> Self {
        let when_full = match settings.when_full() {
            v1::WhenFull::Unspecified => None,
            v1::WhenFull::Refuse => Some(WhenFull::Refuse),
            v1::WhenFull::Wait => Some(WhenFull::Wait),
        };
        let retention = settings.retention_ms;
        Self {
            visibility: settings.visibility_ms.map(Duration::from_millis),
            max_deliveries: settings.max_deliveries,
            dead_letter: settings.dead_letter.map(|name| Some(name).filter(|n| !n.is_empty())),
            delay: settings.delay_ms.map(Duration::from_millis),
            max_messages: settings.max_messages,
            max_bytes: settings.max_bytes,
            max_message_bytes: settings.max_message_bytes,
            retention: retention.map(|ms| (ms > 0).then(|| Duration::from_millis(ms))),
            when_full,
            dedup_window: settings.dedup_window_ms.map(Duration::from_millis),
        }
    }
}

/// Why a message is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadReason {
    /// It was delivered as often as its queue allows, and never acknowledged.
    Deliveries,
    /// Its consumer called it hopeless.
    Rejected,
    /// It was kept as long as its queue keeps messages.
    Expired,
}

impl DeadReason {
    pub(super) fn from_wire(reason: v1::DeadReason) -> Option<Self> {
        match reason {
            v1::DeadReason::Unspecified => None,
            v1::DeadReason::Deliveries => Some(Self::Deliveries),
            v1::DeadReason::Rejected => Some(Self::Rejected),
            v1::DeadReason::Expired => Some(Self::Expired),
        }
    }

    fn wire(self) -> v1::DeadReason {
        match self {
            Self::Deliveries => v1::DeadReason::Deliveries,
            Self::Rejected => v1::DeadReason::Rejected,
            Self::Expired => v1::DeadReason::Expired,
        }
    }
}

/// Which dead letters get another chance, and where. By default all of them, where they died.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redrive {
    /// Where they go instead.
    pub to: Option<String>,
    /// Only these, by number; all if empty.
    pub messages: Vec<u64>,
    /// Only those that are dead for this reason.
    pub reason: Option<DeadReason>,
    /// Only those of this group.
    pub group: Option<String>,
    /// At most so many.
    pub limit: Option<u64>,
}

impl Redrive {
    pub(super) fn wire(&self, queue: &str, max: u32, after: u64) -> v1::RedriveQueueRequest {
        let reason = self.reason.map_or(v1::DeadReason::Unspecified, DeadReason::wire);
        v1::RedriveQueueRequest {
            queue: queue.to_owned(),
            to: self.to.clone().unwrap_or_default(),
            messages: self.messages.clone(),
            reason: reason.into(),
            group: self.group.clone().unwrap_or_default(),
            max,
            after: Some(after),
        }
    }
}
