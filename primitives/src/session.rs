//! Sessions: opening, renewing, ending. Everything a client holds belongs to its session and goes
//! when the session goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::limits::{SESSION_NAME_BYTES_MAX, SESSION_TTL_MS_MAX, SESSION_TTL_MS_MIN};
use crate::owned::Owned;
use crate::timers::Timer;
use crate::window::Window;
use crate::{Applied, EventKind, Machine, Outcome, Rejection, Seq, SessionId, Timestamp};

/// What the machine knows of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) name: Arc<str>,
    pub(crate) secret_hash: [u8; 32],
    pub(crate) ttl_ms: u64,
    /// It expires when the clock reaches this point.
    pub(crate) deadline: Timestamp,
    pub(crate) window: Window,
    /// How the waits of producers and writers ended, see [`Final`].
    pub(crate) finals: BTreeMap<Seq, Final>,
}

/// How the wait of a producer, or of somebody who writes to a cache, ended. Unlike a lock or a
/// delivery, what was added may be gone when its producer asks again, so the state cannot tell.
///
/// The window remembers the interim answer, and no longer than until it is confirmed. So this is
/// kept until the client confirms a request that was carried out after the batch in which the wait
/// ended: it has then heard of something that came after. What never came here is no such request:
/// a node answers some reads by itself. Whoever comes back on a new connection must therefore ask
/// again for what it waits for before it asks for anything newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Final {
    pub(crate) outcome: Outcome,
    /// The newest request that was known at the end of that batch.
    pub(crate) newest: Seq,
}

impl Session {
    /// The client has received the first answer to every request up to this one.
    pub(crate) fn confirm(&mut self, confirmed: Seq) {
        if let Some(heard_of) = self.window.confirm(confirmed)
            && !self.finals.is_empty()
        {
            self.finals.retain(|_, known| known.newest >= heard_of);
        }
    }

    /// Compares in a time that does not depend on where the difference is.
    pub(crate) fn has_secret(&self, presented: &[u8; 32]) -> bool {
        let differences =
            self.secret_hash.iter().zip(presented).fold(0, |all, (a, b)| all | (a ^ b));
        differences == 0
    }
}

/// Whether a session may be opened like this. The edges ask before they propose, and the machine
/// asks again, since it takes nothing on trust.
///
/// # Errors
/// Which limit is not kept.
pub fn check_session(ttl_ms: u64, name: &str) -> Result<(), Rejection> {
    if !(SESSION_TTL_MS_MIN..=SESSION_TTL_MS_MAX).contains(&ttl_ms) {
        return Err(Rejection::BadTtl { ttl_ms });
    }
    if name.len() > SESSION_NAME_BYTES_MAX {
        return Err(Rejection::SessionNameTooLong { bytes: name.len() });
    }
    Ok(())
}

impl Machine {
    pub(crate) fn open_session(
        &mut self,
        ttl_ms: u64,
        name: &str,
        secret_hash: &[u8; 32],
        applied: &mut Applied,
    ) -> Outcome {
        if let Err(rejection) = check_session(ttl_ms, name) {
            return Outcome::Rejected(rejection);
        }
        let id = SessionId::new(self.revision.get());
        let deadline = self.clock.plus_ms(ttl_ms);
        let session = Session {
            name: name.into(),
            secret_hash: *secret_hash,
            ttl_ms,
            deadline,
            window: Window::default(),
            finals: BTreeMap::new(),
        };
        self.sessions.insert_if_absent(&id, session);
        self.owned.insert(id, Owned::default());
        self.timers.set(deadline, Timer::Session(id));
        applied.events.push(self.event(EventKind::SessionOpened { session: id }));
        Outcome::SessionOpened { session: id }
    }

    pub(crate) fn resume_session(&mut self, id: SessionId, secret_hash: &[u8; 32]) -> Outcome {
        let Some(session) = self.sessions.get(&id) else {
            return Outcome::Rejected(Rejection::UnknownSession { session: id });
        };
        if !session.has_secret(secret_hash) {
            return Outcome::Rejected(Rejection::WrongSecret { session: id });
        }
        let ttl_ms = session.ttl_ms;
        self.renew(id);
        Outcome::SessionResumed { ttl_ms }
    }

    pub(crate) fn renew_sessions(&mut self, sessions: &[SessionId]) -> Outcome {
        for &id in sessions {
            self.renew(id);
        }
        Outcome::Done
    }

    /// Remembers how the wait of a producer or a writer ended.
    pub(crate) fn conclude(&mut self, id: SessionId, seq: Seq, outcome: Outcome) {
        if seq != Seq::NONE
            && let Some(session) = self.sessions.get_mut(&id)
        {
            let newest = session.window.newest().max(seq);
            session.finals.insert(seq, Final { outcome, newest });
            self.concluded.push((id, seq));
        }
    }

    /// The batch is over in which some waits ended. Whoever confirms another request of it has not
    /// therefore heard of them: answers go out before what was waited for.
    pub(crate) fn have_concluded(&mut self) {
        for (id, seq) in std::mem::take(&mut self.concluded) {
            if let Some(session) = self.sessions.get_mut(&id)
                && let Some(known) = session.finals.get_mut(&seq)
            {
                known.newest = known.newest.max(session.window.newest());
            }
        }
    }

    fn renew(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let deadline = self.clock.plus_ms(session.ttl_ms);
        if deadline != session.deadline {
            self.timers.cancel(session.deadline, Timer::Session(id));
            session.deadline = deadline;
            self.timers.set(deadline, Timer::Session(id));
        }
    }

    /// Removes the session, then takes it out of every line, and only then hands on what it held,
    /// so that nothing is ever granted to it any more. Each lock that it held takes a revision, so
    /// that each grant that follows has a token of its own. Those who stood behind it in a line
    /// come last.
    pub(crate) fn close_session(&mut self, id: SessionId, why: EventKind, applied: &mut Applied) {
        let Some(session) = self.sessions.remove(&id) else { return };
        self.timers.cancel(session.deadline, Timer::Session(id));
        let expired = matches!(why, EventKind::SessionExpired { .. });
        applied.events.push(self.event(why));
        let owned = self.owned.remove(&id).unwrap_or_default();
        self.leave_all_lines(owned.waits.iter());
        let mut queues = self.leave_all_queues(&owned);
        let lines = self.let_all_go(id, &owned);
        let (mut haunted, mut seen) = (Vec::new(), BTreeSet::new());
        for (token, name) in owned.holds.iter() {
            self.advance();
            if expired && self.leave_ghost(name, *token, session.secret_hash, applied) {
                if seen.insert(name) {
                    haunted.push(name.clone());
                }
                continue;
            }
            self.end_grant(name, *token, applied);
            self.settle([name.clone()], true, applied);
        }
        self.settle_heirs(&haunted, &session.secret_hash, applied);
        for (_, names) in owned.waits.values() {
            self.settle(names.iter().cloned(), false, applied);
        }
        self.return_all(&owned, &mut queues, applied);
        self.stir(queues, applied);
        for name in &lines {
            self.settle_line(name, false, applied);
        }
    }
}
