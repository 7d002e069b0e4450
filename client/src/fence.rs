//! The other half of a fencing token: the check at whatever a lock protects. No network.

use std::sync::atomic::{AtomicU64, Ordering};

/// Remembers the highest fencing token that it has seen, and refuses lower ones.
///
/// It belongs to the resource that a lock protects: a table, a file store, a device. Every write
/// brings the token of its holder, and the resource asks its fence first. So a holder that was
/// stopped for so long that its lock went to somebody else cannot overwrite the newer work, even if
/// it never noticed the loss.
///
/// ```
/// use holdfast_client::Fence;
///
/// let fence = Fence::new();
/// assert_eq!(fence.check(7), Ok(()));
/// assert_eq!(fence.check(7), Ok(()), "the same holder again");
/// assert_eq!(fence.check(9), Ok(()), "the next holder");
/// let refused = fence.check(7).unwrap_err();
/// assert_eq!(refused.to_string(), "token 7 is stale: a holder with token 9 was here");
///
/// // Store the number with the resource, and go on from it after a restart.
/// let fence = Fence::starting_at(fence.highest());
/// assert!(fence.check(8).is_err());
/// ```
///
/// It can be shared between threads. If they write, let the check and the write be one step, for
/// example under the resource's own lock: otherwise an older holder may pass the fence, be
/// overtaken by a newer one, and write after it.
///
/// Tokens of different locks can be compared, too, but a fence is meant for what one lock protects.
#[derive(Debug, Default)]
pub struct Fence {
    highest: AtomicU64,
}

/// A token that is lower than one that was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("token {token} is stale: a holder with token {highest} was here")]
pub struct StaleToken {
    /// The token that was refused.
    pub token: u64,
    /// The highest that was seen.
    pub highest: u64,
}

impl Fence {
    /// A fence that has seen nothing.
    pub const fn new() -> Self {
        Self::starting_at(0)
    }

    /// A fence that has seen `token`.
    pub const fn starting_at(token: u64) -> Self {
        Self { highest: AtomicU64::new(token) }
    }

    /// Lets a token pass unless a higher one was seen, and remembers it.
    ///
    /// # Errors
    /// [`StaleToken`] when the holder has come too late.
    pub fn check(&self, token: u64) -> Result<(), StaleToken> {
        let highest = self.highest.fetch_max(token, Ordering::AcqRel);
        if token < highest { Err(StaleToken { token, highest }) } else { Ok(()) }
    }

    /// The highest token that was seen, or zero. To be stored with the resource.
    pub fn highest(&self) -> u64 {
        self.highest.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_agree_on_the_highest_token() {
        let fence = Fence::starting_at(5);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let fence = &fence;
                scope.spawn(move || {
                    for token in (1..1_000).map(|n| n * 4 + thread) {
                        let passed = fence.check(token);
                        assert!(fence.highest() >= token);
                        assert!(passed.is_ok() || fence.highest() > token);
                    }
                });
            }
        });
        assert_eq!(fence.highest(), 999 * 4 + 3);
        assert_eq!(fence.check(5), Err(StaleToken { token: 5, highest: 3_999 }));
    }
}
