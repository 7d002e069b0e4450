//! Locks as a program sees them: handles that ask for them, and guards that stand for them.
//!
//! ```text
//! Mutex, RwLock, Semaphore, LockAll -> Asking (asking.rs) -> the connection's task
//!                LockGuard (guard.rs) <- Grant (grant.rs) <- what the task hears of the grant
//! ```
//!
//! There is one way to ask, whatever the kind of lock: the handles differ in what they want and in
//! the guard that they give.

mod asking;
mod grant;
mod guard;
mod info;
mod lock_all;
mod mutex;
mod rw_lock;
mod semaphore;
mod spec;
mod terms;

pub(crate) use asking::Asking;
pub(crate) use grant::{Grant, Said};
pub use guard::LockGuard;
pub use info::{LockHolder, LockInfo, LockList, LockWaiter, WaitEdge, WaitGraph};
pub use lock_all::LockAll;
pub use mutex::Mutex;
pub use rw_lock::{ReadGuard, RwLock, UpgradeError, WriteGuard};
pub use semaphore::{PermitGuard, Semaphore};
pub(crate) use spec::{Hold, LOCKS_PER_REQUEST_MAX, Wish};
pub use spec::{LockMode, LockSpec};
pub use terms::{DeadlockPolicy, Proof};
pub(crate) use terms::{Terms, whole_ms};

#[cfg(test)]
mod tests;
