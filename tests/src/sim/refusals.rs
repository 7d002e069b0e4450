//! Which refusals are normal, act by act. Any other is a violation: no limit is within reach of a
//! run, and nobody asks for what cannot be.

use holdfast_client::Error;
use holdfast_proto::ErrorCode;

use super::workload::{Worker, kind};

/// What a client was about to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Asks for locks, and holds none that it would not give back first.
    Ask,
    /// Asks for locks under the one with this token.
    Nest { outer: u64 },
    /// Upgrades the shared grant with this token.
    Upgrade { token: u64 },
    /// Downgrades the exclusive grant with this token.
    Downgrade { token: u64 },
    /// Gives back the grant with this token.
    Release { token: u64 },
    /// Asks under a lock that it has given back.
    GoOnTooLate,
    /// Takes a lock from somebody else.
    Force,
    /// Makes a queue, puts in or takes out.
    UseQueue,
    /// Takes out what is left, perhaps before anybody has made the queue.
    Drain,
    /// Is done with a message, gives it back or wants to keep it.
    Settle,
}

impl Worker {
    /// Somebody was not given what he asked for: that is counted, and there must be a reason.
    pub(super) fn refused(&self, act: Act, e: &Error) {
        self.note(&format!("fails to {act:?}: {}", kind(e)));
        self.ledger.count(match e.code() {
            Some(ErrorCode::Deadlock) => "deadlocks",
            Some(ErrorCode::Wounded) => "wounded",
            Some(ErrorCode::WaitDie) => "died",
            Some(ErrorCode::StaleToken) => "stale guards",
            Some(ErrorCode::UnknownReceipt) => "late receipts",
            _ if e.is_unknown() => "unknown",
            _ => "refused",
        });
        if !self.has_reason(act, e) {
            let id = self.id;
            self.ledger.violated(format!("client {id} was refused to {act:?} without reason: {e}"));
        }
    }

    fn has_reason(&self, act: Act, e: &Error) -> bool {
        use ErrorCode::{
            Deadlock, NoSuchQueue, NotHeld, StaleToken, UnknownReceipt, WaitDie, WaitOver, Wounded,
        };
        let code = match e {
            Error::Rejected { code, .. } => *code,
            // The cluster cannot say, or the session is over.
            Error::Unknown { .. } | Error::Unavailable { .. } => return true,
            Error::SessionLost { .. } | Error::Timeout { .. } => return true,
            // The client says that it was asked for nonsense.
            _ => return false,
        };
        // While the session lives the server knows what is in hand, unless somebody forced it.
        let forced = |token| self.ledger.was_forced(token);
        match act {
            Act::Ask | Act::UseQueue => false,
            Act::Nest { outer } => match code {
                Deadlock | Wounded | WaitDie => true,
                // Who was wounded and did not hear it asks once more, and is told what the state
                // says: that the wait is over.
                WaitOver => true,
                StaleToken => forced(outer),
                _ => false,
            },
            Act::Upgrade { token } => match code {
                // Two that share cannot both wait for the other to let go, somebody older may want
                // what is shared, and it waits for some time only.
                Deadlock | Wounded | WaitOver => true,
                NotHeld => forced(token),
                _ => false,
            },
            Act::Downgrade { token } | Act::Release { token } => code == NotHeld && forced(token),
            Act::GoOnTooLate => code == StaleToken,
            // It was given back meanwhile.
            Act::Force => code == NotHeld,
            Act::Drain => code == NoSuchQueue,
            // Its time may be over, and then it belongs to somebody else.
            Act::Settle => code == UnknownReceipt,
        }
    }
}
