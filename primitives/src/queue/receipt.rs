//! Proof of a delivery, and what its owner may do with it.

use crate::limits::RECEIPTS_PER_REQUEST_MAX;
use crate::{Revision, Token};

/// Proof that a message was delivered to a session. It dies with the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Receipt {
    /// Which message.
    pub message: Revision,
    /// Which of its deliveries.
    pub token: Token,
}

/// The receipts of one request: at least one, sorted, none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipts(smallvec::SmallVec<[Receipt; 1]>);

/// Why receipts cannot be presented together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptsError {
    /// None at all.
    #[error("no receipt is named: name at least one")]
    None,
    /// More than the limit.
    #[error("{count} receipts are over the limit of {RECEIPTS_PER_REQUEST_MAX}: settle in parts")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// One message is named twice.
    #[error("message {message} is named twice")]
    Twice {
        /// Which.
        message: Revision,
    },
}

impl Receipts {
    /// Those of a single delivery.
    pub fn one(receipt: Receipt) -> Self {
        Self(smallvec::smallvec![receipt])
    }

    /// Sorts and checks.
    ///
    /// # Errors
    /// None, too many, or one message twice.
    pub fn all(receipts: Vec<Receipt>) -> Result<Self, ReceiptsError> {
        let mut sorted: smallvec::SmallVec<[Receipt; 1]> = smallvec::SmallVec::from_vec(receipts);
        sorted.sort_unstable();
        if sorted.is_empty() {
            return Err(ReceiptsError::None);
        }
        if sorted.len() > RECEIPTS_PER_REQUEST_MAX {
            return Err(ReceiptsError::TooMany { count: sorted.len() });
        }
        let twice = sorted.windows(2).find(|pair| pair[0].message == pair[1].message);
        match twice.map(|pair| pair[0].message) {
            Some(message) => Err(ReceiptsError::Twice { message }),
            None => Ok(Self(sorted)),
        }
    }

    /// One after the other, the oldest message first.
    pub fn iter(&self) -> impl Iterator<Item = Receipt> {
        self.0.iter().copied()
    }

    /// How many.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// What becomes of delivered messages that are not to be kept any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Done with: it goes.
    Ack,
    /// Not done: back to its own place, to be delivered again after so long.
    Return {
        /// For how long nobody gets it.
        delay_ms: u64,
    },
    /// Never looked at: back to its own place at once, as if it had not been delivered.
    Unseen,
    /// Hopeless: to the dead letters, however often it was delivered.
    Dead,
}
