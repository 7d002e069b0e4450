//! The lock under which this program was started, by `holdfast lock`: what it does, it does on
//! behalf of that lock.

use holdfast_client::Proof;

/// Names the lock under which a command runs, to that command. Of several, the first by name.
pub(super) const LOCK_VARIABLE: &str = "HOLDFAST_LOCK";

/// Holds the token of that lock.
pub(super) const TOKEN_VARIABLE: &str = "HOLDFAST_TOKEN";

/// The lock that the environment names, unless it is not to count.
pub(super) fn lock(alone: bool) -> Option<Proof> {
    if alone {
        return None;
    }
    let name = std::env::var(LOCK_VARIABLE).ok()?;
    let token = std::env::var(TOKEN_VARIABLE).ok()?.parse().ok()?;
    Some(Proof::new(name, token))
}
