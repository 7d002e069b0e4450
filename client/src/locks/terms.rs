//! On which terms a lock is asked for, and how every handle lets them be chosen.

use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::v1;

/// What is done about deadlocks when a request would have to wait.
///
/// Activities are told apart by age: a session is as old as its opening, a concurrent request as
/// old as itself, and a request under a guard as old as the activity of that guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadlockPolicy {
    /// The request that would close a cycle of waits is refused with `DEADLOCK`, and the cycle is
    /// spelled out.
    #[default]
    Detect,
    /// An older activity wounds the younger ones in its way: they are told
    /// ([`LockGuard::wounded`](crate::LockGuard::wounded)), and may not wait for anything more
    /// (`WOUNDED`) before they have given back what they hold. A younger one waits.
    WoundWait,
    /// An older activity waits. A younger one that holds something is refused with `WAIT_DIE`.
    WaitDie,
}

/// The terms of a request for locks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// On behalf of which grant.
    pub(crate) under: Option<Proof>,
    pub(crate) reentrant: bool,
    pub(crate) concurrent: bool,
    pub(crate) policy: DeadlockPolicy,
    pub(crate) delay_ms: u32,
}

/// Names a grant, for requests that are made on its behalf: here, or wherever its name and its
/// token are sent. It says nothing of whether the grant is still in force; the cluster looks.
///
/// ```
/// use holdfast_client::Proof;
///
/// let proof = Proof::new("jobs/nightly", 4711);
/// assert_eq!((proof.name(), proof.token()), ("jobs/nightly", 4711));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub(crate) name: Arc<str>,
    pub(crate) token: u64,
}

impl Proof {
    /// A grant that was told in another way, such as the environment of a process.
    pub fn new(name: impl AsRef<str>, token: u64) -> Self {
        Self { name: name.as_ref().into(), token }
    }

    /// The lock that must be held. Of several, the first by name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// By which token.
    pub fn token(&self) -> u64 {
        self.token
    }
}

macro_rules! proof_of_guard {
    ($($guard:ident),*) => {$(
        impl From<&crate::$guard> for Proof {
            fn from(guard: &crate::$guard) -> Self {
                guard.proof()
            }
        }
    )*};
}

proof_of_guard!(LockGuard, ReadGuard, WriteGuard, PermitGuard);

impl Terms {
    pub(crate) fn wire_policy(&self) -> v1::DeadlockPolicy {
        match self.policy {
            DeadlockPolicy::Detect => v1::DeadlockPolicy::Detect,
            DeadlockPolicy::WoundWait => v1::DeadlockPolicy::WoundWait,
            DeadlockPolicy::WaitDie => v1::DeadlockPolicy::WaitDie,
        }
    }
}

/// Rounded up, since zero would mean not at all.
pub(crate) fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// [`whole_ms`] as far as it fits; the server knows the limit.
pub(crate) fn delay_ms(delay: Duration) -> u32 {
    u32::try_from(whole_ms(delay)).unwrap_or(u32::MAX)
}

/// The terms that every handle can be given. The handle has a field `asking`.
macro_rules! terms_of_handle {
    () => {
        /// Asks on behalf of whoever holds `guard`; where only its name and its token are known, a
        /// [`Proof`](crate::Proof) does as well. The request is refused with `STALE_TOKEN`
        /// unless that grant is still held when the request takes effect. While the request waits,
        /// the holder of `guard` is known to wait, which is how deadlocks are found across tasks
        /// and processes; see [`Client`](crate::Client#deadlocks).
        pub fn under(mut self, guard: impl Into<crate::Proof>) -> Self {
            self.asking = self.asking.under(guard.into());
            self
        }

        /// If the session expires while it holds the lock, nobody else gets it for so long, up to
        /// 10 minutes: time for whatever the holder had begun to come to an end. A session that was
        /// opened with the same secret gets it at once. Default: no delay.
        pub fn lock_delay(mut self, delay: std::time::Duration) -> Self {
            let delay_ms = crate::locks::terms::delay_ms(delay);
            self.asking = self.asking.with(|terms| terms.delay_ms = delay_ms);
            self
        }

        /// What is done about deadlocks. Default:
        /// [`DeadlockPolicy::Detect`](crate::DeadlockPolicy::Detect).
        pub fn deadlock_policy(mut self, policy: crate::DeadlockPolicy) -> Self {
            self.asking = self.asking.with(|terms| terms.policy = policy);
            self
        }
    };
}

/// The term that only locks have which are held one by one.
macro_rules! reentrant_handle {
    () => {
        /// If this client holds the lock already, in a mode that covers the wanted one, it is
        /// granted once more, at once. Every grant has a token and a guard of its own, and the lock
        /// is free when the last of them was released. Without it, to lock twice waits for oneself.
        pub fn reentrant(mut self) -> Self {
            self.asking = self.asking.with(|terms| terms.reentrant = true);
            self
        }
    };
}

pub(super) use {reentrant_handle, terms_of_handle};
