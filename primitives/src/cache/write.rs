//! A line is written to.

use std::sync::Arc;

use super::state::{Kept, KeptChange, Line, Value, What, bytes_of};
use super::{
    CacheEvent, CacheSettings, CacheWhenFull, Change, LineName, LineWrite, RemovedBy, When, Written,
};
use crate::limits::{ENTRY_TTL_MS_MAX, ENTRY_TTL_MS_MIN, LEAVING_MAX};
use crate::lock::Asker;
use crate::{
    Applied, DiskState, Guard, Machine, Outcome, Rejection, Revision, Seq, SessionId,
    SettingsError, Timestamp, Token,
};

/// What a write that may be carried out makes of the value.
pub(crate) struct Judged {
    body: Option<Arc<[u8]>>,
    expires: Option<Timestamp>,
    sum: Option<i64>,
}

impl Machine {
    pub(crate) fn write_line(
        &mut self,
        asker: Asker<'_>,
        name: &LineName,
        write: &LineWrite,
        applied: &mut Applied,
    ) -> Outcome {
        if self.disk >= DiskState::Overfull && matches!(write.change, Change::Put { .. }) {
            // It may have come without its value.
            let outcome = self.refuse(asker.session, name, write.load, Rejection::DiskFull);
            self.settle_line(name, false, applied);
            return outcome;
        }
        let kept = Kept::copy_of(write);
        if self.caches.get(&name.cache).is_none() {
            // No cache is made for what is refused, nor for deleting what is not there.
            match self.judge(asker.session, name, None, None, &kept) {
                Err(rejection) => return Outcome::Rejected(rejection),
                Ok(Judged { body: None, .. }) => return self.nothing_replaced(),
                Ok(_) => self.make_cache(&name.cache, applied),
            }
        }
        let line = self.lines.get(name);
        if line.is_none_or(Line::is_quiet) {
            // Nearly every write of most caches: nobody is asked and nobody waits.
            let outcome = match self.judge(asker.session, name, line, None, &kept) {
                Ok(judged) => self.make_visible(name, judged, applied),
                Err(rejection) => Outcome::Rejected(rejection),
            };
            if kept.change == KeptChange::Delete {
                self.tidy_line(name);
            }
            return outcome;
        }
        if !write.asks_writer {
            self.drop_own_shared(asker.session, name);
        }
        if self.lines.get(name).is_none_or(Line::is_free) {
            // The guard was looked at just now.
            let outcome = self.write_now(asker.session, name, None, &kept, applied);
            self.settle_line(name, false, applied);
            return outcome;
        }
        let load = kept.load;
        let outcome = self.wait_at_line(asker, name, What::Write(Arc::new(kept)), applied);
        if matches!(outcome, Outcome::Waiting { .. })
            && let Some(token) = load
            && self.is_loader(asker.session, name, token)
            && let Some(mut desk) = self.line_desk(name)
        {
            desk.load_is_on_its_way();
        }
        outcome
    }

    /// Makes a write visible, or says why not. The line has a revision for it.
    pub(crate) fn write_now(
        &mut self,
        session: SessionId,
        name: &LineName,
        guard: Option<&Guard>,
        kept: &Kept,
        applied: &mut Applied,
    ) -> Outcome {
        match self.judge(session, name, self.lines.get(name), guard, kept) {
            Ok(judged) => self.make_visible(name, judged, applied),
            Err(rejection) => self.refuse(session, name, kept.load, rejection),
        }
    }

    /// If it is what a loader came up with, that is of no use, so somebody else has to.
    fn refuse(
        &mut self,
        session: SessionId,
        name: &LineName,
        load: Option<Token>,
        why: Rejection,
    ) -> Outcome {
        if let Some(token) = load
            && self.is_loader(session, name, token)
            && let Some(mut desk) = self.line_desk(name)
        {
            desk.end_load();
        }
        Outcome::Rejected(why)
    }

    fn make_visible(&mut self, name: &LineName, judged: Judged, applied: &mut Applied) -> Outcome {
        let version = self.revision;
        let Judged { body, expires, sum } = judged;
        let Some(mut desk) = self.new_line_desk(name) else { return self.nothing_replaced() };
        let replaced = desk.line.version();
        // Whoever loads would bring what was read before this.
        desk.end_load();
        let event = match &body {
            Some(body) => {
                let (key, body) = (name.key.clone(), body.clone());
                Some(CacheEvent::Put { key, version, body })
            }
            None if replaced == Revision::new(0) => None,
            None => Some(CacheEvent::Removed { key: name.key.clone(), why: RemovedBy::Delete }),
        };
        desk.set_value(body.map(|body| Value { version, body, expires, is_leaving: false }));
        self.change_cache_totals(&name.cache, |totals| totals.writes += 1);
        applied.events.extend(event.map(|event| self.cache_event(&name.cache, event)));
        self.make_room(name, applied);
        Outcome::Written(Written { version, replaced, sum })
    }

    /// What a write makes of the value, or why it must not be carried out.
    pub(crate) fn judge(
        &self,
        session: SessionId,
        name: &LineName,
        line: Option<&Line>,
        guard: Option<&Guard>,
        kept: &Kept,
    ) -> Result<Judged, Rejection> {
        if let Some(rejection) = self.stale_guard(guard) {
            return Err(rejection);
        }
        if let Some(token) = kept.load
            && !self.is_loader(session, name, token)
        {
            return Err(Rejection::LoadOver { line: name.clone(), token });
        }
        let is = line.map_or(Revision::new(0), Line::version);
        check_version(name, kept.when, is)?;
        let default = CacheSettings::default();
        let settings = self.caches.get(&name.cache).map_or(&default, |cache| &cache.settings);
        let value = line.and_then(|line| line.value.as_ref());
        match &kept.change {
            KeptChange::Delete => Ok(Judged { body: None, expires: None, sum: None }),
            KeptChange::Put { body, ttl_ms } => {
                let ttl_ms = ttl(settings, *ttl_ms)?;
                self.check_room(name, settings, value, body.len())?;
                let expires = ttl_ms.map(|ms| self.clock.plus_ms(ms));
                Ok(Judged { body: Some(body.clone()), expires, sum: None })
            }
            KeptChange::Add(added) => {
                let sum = add(name, value, *added)?;
                let body: Arc<[u8]> = Arc::from(sum.to_string().as_bytes());
                self.check_room(name, settings, value, body.len())?;
                let expires = match value {
                    Some(value) => value.expires,
                    None => settings.ttl_ms.map(|ms| self.clock.plus_ms(ms)),
                };
                Ok(Judged { body: Some(body), expires, sum: Some(sum) })
            }
        }
    }

    fn check_room(
        &self,
        name: &LineName,
        settings: &CacheSettings,
        replaced: Option<&Value>,
        len: usize,
    ) -> Result<(), Rejection> {
        let cache = || name.cache.clone();
        check_size(name, settings, len)?;
        let (more_entries, less_bytes) = match replaced {
            Some(value) => (0, value.body.len() as u64),
            None => (1, 0),
        };
        let more_bytes = if replaced.is_some() { len as u64 } else { bytes_of_new(name, len) };
        let grows = needs_more(replaced, len);
        if grows && self.disk >= DiskState::Full {
            return Err(Rejection::DiskFull);
        }
        let Some(index) = self.cache_indexes.get(&name.cache) else { return Ok(()) };
        let counts = index.counts;
        let fits = counts.entries + more_entries <= settings.max_entries
            && counts.bytes + more_bytes - less_bytes <= settings.max_bytes;
        let may_evict = settings.when_full == CacheWhenFull::Evict && counts.leaving < LEAVING_MAX;
        if fits || may_evict || !grows {
            return Ok(());
        }
        let (entries, bytes) = (counts.entries, counts.bytes);
        Err(Rejection::CacheFull { cache: cache(), entries, bytes })
    }

    /// What the owner of a line has written becomes visible, and it may give the line back.
    pub(crate) fn flush_line(
        &mut self,
        session: SessionId,
        name: &LineName,
        token: Token,
        change: Option<&Change>,
        keep: bool,
        applied: &mut Applied,
    ) -> Outcome {
        let copy = self.lines.get(name).and_then(|line| line.copy_of(session));
        if copy.is_none_or(|copy| !copy.is_owned || copy.since.get() != token.get()) {
            return Outcome::Rejected(Rejection::NotOwner { line: name.clone(), token });
        }
        let outcome = match change {
            None => {
                let version = self.lines.get(name).map_or(Revision::new(0), Line::version);
                Outcome::Written(Written { version, replaced: version, sum: None })
            }
            Some(change) if keep && self.has_no_room_for(name, change) => {
                Outcome::Rejected(Rejection::DiskFull)
            }
            Some(change) => match self.flushed(name, change) {
                Ok(judged) => self.make_visible(name, judged, applied),
                Err(rejection) => Outcome::Rejected(rejection),
            },
        };
        // Whatever becomes of what was written: who gives the line back has it no more.
        if !keep && let Some(mut desk) = self.line_desk(name) {
            desk.remove_copy(session);
        }
        self.settle_line(name, false, applied);
        outcome
    }

    /// Whether the disk is too full for what an owner has written. It stays the owner then, and
    /// tells it once more.
    fn has_no_room_for(&self, name: &LineName, change: &Change) -> bool {
        let Change::Put { body, .. } = change else { return false };
        let value = self.lines.get(name).and_then(|line| line.value.as_ref());
        let grows = needs_more(value, body.bytes().len());
        self.disk >= DiskState::Overfull || (self.disk >= DiskState::Full && grows)
    }

    /// What an owner has written was written while there may have been room in the cache, so that
    /// is not asked for again; a value that is too large was never possible.
    fn flushed(&self, name: &LineName, change: &Change) -> Result<Judged, Rejection> {
        let settings = self.caches.get(&name.cache).map(|cache| cache.settings.clone());
        let settings = settings.unwrap_or_default();
        match KeptChange::copy_of(change) {
            KeptChange::Delete => Ok(Judged { body: None, expires: None, sum: None }),
            KeptChange::Put { body, ttl_ms } => {
                check_size(name, &settings, body.len())?;
                let expires = ttl(&settings, ttl_ms)?.map(|ms| self.clock.plus_ms(ms));
                Ok(Judged { body: Some(body), expires, sum: None })
            }
            KeptChange::Add(_) => Err(Rejection::NotACounter { line: name.clone() }),
        }
    }

    fn nothing_replaced(&self) -> Outcome {
        let replaced = Revision::new(0);
        Outcome::Written(Written { version: self.revision, replaced, sum: None })
    }

    /// What has become of an earlier write that was told to wait.
    pub(crate) fn write_outcome(&self, id: SessionId, seq: Seq, name: &LineName) -> Outcome {
        match self.line_wait_outcome(id, seq, name) {
            Some(waiting) => waiting,
            None => self.final_outcome(id, seq),
        }
    }
}

/// Whether a value of so many bytes takes more than the one that it replaces.
fn needs_more(replaced: Option<&Value>, len: usize) -> bool {
    replaced.is_none_or(|value| value.body.len() < len)
}

/// Whether there could be room for so large a value if nothing else were there.
fn check_size(name: &LineName, settings: &CacheSettings, len: usize) -> Result<(), Rejection> {
    let beside_key = settings.max_bytes.saturating_sub(bytes_of(&name.key, &[]));
    let (bytes, max) = (len as u64, settings.max_value_bytes.min(beside_key));
    if bytes > max {
        return Err(Rejection::ValueTooLarge { cache: name.cache.clone(), bytes, max });
    }
    Ok(())
}

fn check_version(name: &LineName, when: When, is: Revision) -> Result<(), Rejection> {
    match when {
        When::Version(expected) if expected != is => {
            Err(Rejection::VersionMismatch { line: name.clone(), expected, is })
        }
        When::Always | When::Version(_) => Ok(()),
    }
}

/// How long a new value lives: what its writer says, or the setting.
fn ttl(settings: &CacheSettings, said: Option<u64>) -> Result<Option<u64>, SettingsError> {
    match said {
        None => Ok(settings.ttl_ms),
        Some(0) => Ok(None),
        Some(ms) => {
            SettingsError::bound("ttl_ms", ms, ENTRY_TTL_MS_MIN, ENTRY_TTL_MS_MAX)?;
            Ok(Some(ms))
        }
    }
}

fn add(name: &LineName, value: Option<&Value>, added: i64) -> Result<i64, Rejection> {
    let is = match value {
        None => 0,
        Some(value) => {
            let text = std::str::from_utf8(&value.body).ok();
            let number = text.and_then(|text| text.parse::<i64>().ok());
            number.ok_or_else(|| Rejection::NotACounter { line: name.clone() })?
        }
    };
    let line = || name.clone();
    is.checked_add(added).ok_or_else(|| Rejection::CounterOverflow {
        line: line(),
        value: is,
        added,
    })
}

fn bytes_of_new(name: &LineName, len: usize) -> u64 {
    bytes_of(&name.key, &[]) + len as u64
}
