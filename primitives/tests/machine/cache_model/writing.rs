//! Who writes to a line, in the model.

use std::sync::Arc;

use holdfast_primitives::limits::{ENTRY_TTL_MS_MAX, ENTRY_TTL_MS_MIN, LEAVING_MAX};
use holdfast_primitives::{
    CacheEvent, CacheSettings, CacheWhenFull, Change, DiskState, Guard, LineName, LineWrite,
    Outcome, Rejection, RemovedBy, Request, Revision, SessionId, Token, ValueBody, When, Written,
};

use super::{CacheModel, Value, What, within};

/// What is there afterwards, until when, and the sum.
type Judged = (Option<Vec<u8>>, Option<u64>, Option<i64>);

impl CacheModel {
    pub(super) fn write(
        &mut self,
        id: SessionId,
        request: &Request,
        name: &LineName,
        write: &LineWrite,
    ) -> Outcome {
        if self.disk == DiskState::Overfull && matches!(write.change, Change::Put { .. }) {
            let outcome = self.refuse(id, name, write, Rejection::DiskFull);
            self.settle(name, false);
            return outcome;
        }
        if self.cache(&name.cache).is_none() {
            match self.judge(id, name, None, write) {
                Err(rejection) => return Outcome::Rejected(rejection),
                Ok((None, ..)) => return self.written(self.revision, 0, None),
                Ok(_) => self.make_cache(&name.cache),
            }
        }
        if !write.asks_writer && self.line(name).and_then(|line| line.owner()) != Some(id) {
            self.drop_copy(name, id);
        }
        if self.line(name).is_none_or(|line| line.is_free()) {
            let outcome = self.write_now(id, name, None, write);
            self.settle(name, false);
            return outcome;
        }
        let what = What::Write(Box::new(write.clone()));
        let outcome = self.stand_in_line(id, request, name, what);
        if matches!(outcome, Outcome::Waiting { .. })
            && let Some(token) = write.load
            && self.is_loader(id, name, token)
        {
            let line = self.line_mut(name).expect("it waits there");
            line.load.as_mut().expect("it is its loader").deadline = None;
        }
        outcome
    }

    pub(super) fn is_loader(&self, id: SessionId, name: &LineName, token: Token) -> bool {
        let load = self.line(name).and_then(|line| line.load.as_ref());
        load.is_some_and(|load| load.session == id && load.token == token.get())
    }

    pub(super) fn write_now(
        &mut self,
        id: SessionId,
        name: &LineName,
        guard: Option<&Guard>,
        write: &LineWrite,
    ) -> Outcome {
        match self.judge(id, name, guard, write) {
            Ok(judged) => self.show(name, judged),
            Err(rejection) => self.refuse(id, name, write, rejection),
        }
    }

    fn refuse(
        &mut self,
        id: SessionId,
        name: &LineName,
        write: &LineWrite,
        why: Rejection,
    ) -> Outcome {
        if write.load.is_some_and(|token| self.is_loader(id, name, token)) {
            self.line_mut(name).expect("it is loaded").load = None;
        }
        Outcome::Rejected(why)
    }

    /// Makes it visible, then makes room.
    fn show(&mut self, name: &LineName, (body, expires, sum): Judged) -> Outcome {
        let version = self.revision;
        let line = self.make_line(name);
        let replaced = line.version();
        line.load = None;
        let body: Option<Arc<[u8]>> = body.map(Into::into);
        line.value = body.clone().map(|body| Value {
            version,
            body,
            expires,
            is_over: false,
            is_leaving: false,
        });
        self.cache_mut(&name.cache).expect("it is there").totals.writes += 1;
        let key = name.key.clone();
        match body {
            Some(body) => {
                let version = Revision::new(version);
                self.cache_event(&name.cache, CacheEvent::Put { key, version, body });
            }
            None if replaced > 0 => {
                let why = RemovedBy::Delete;
                self.cache_event(&name.cache, CacheEvent::Removed { key, why });
            }
            None => {}
        }
        self.make_room(name);
        self.written(version, replaced, sum)
    }

    fn written(&self, version: u64, replaced: u64, sum: Option<i64>) -> Outcome {
        let (version, replaced) = (Revision::new(version), Revision::new(replaced));
        Outcome::Written(Written { version, replaced, sum })
    }

    pub(super) fn judge(
        &self,
        id: SessionId,
        name: &LineName,
        guard: Option<&Guard>,
        write: &LineWrite,
    ) -> Result<Judged, Rejection> {
        if let Some(stale) = self.stale(guard) {
            return Err(stale);
        }
        if let Some(token) = write.load.filter(|token| !self.is_loader(id, name, *token)) {
            return Err(Rejection::LoadOver { line: name.clone(), token });
        }
        let value = self.line(name).and_then(|line| line.value.as_ref());
        let is = Revision::new(value.map_or(0, |value| value.version));
        match write.when {
            When::Version(expected) if expected != is => {
                return Err(Rejection::VersionMismatch { line: name.clone(), expected, is });
            }
            When::Version(_) | When::Always => {}
        }
        let settings = self.settings(name);
        let default = settings.ttl_ms.map(|ttl_ms| self.clock + ttl_ms);
        match &write.change {
            Change::Delete => Ok((None, None, None)),
            Change::Put { body, ttl_ms } => {
                let expires = self.expires(&settings, *ttl_ms)?;
                self.check_room(name, body.bytes().len() as u64)?;
                Ok((Some(body.bytes().to_vec()), expires, None))
            }
            Change::Add(added) => {
                let text = value.map_or(Ok("0"), |value| std::str::from_utf8(&value.body));
                let number = text.ok().and_then(|text| text.parse::<i64>().ok());
                let Some(number) = number else {
                    return Err(Rejection::NotACounter { line: name.clone() });
                };
                let Some(sum) = number.checked_add(*added) else {
                    let (line, added) = (name.clone(), *added);
                    return Err(Rejection::CounterOverflow { line, value: number, added });
                };
                let body = sum.to_string().into_bytes();
                self.check_room(name, body.len() as u64)?;
                let expires = value.map_or(default, |value| value.expires);
                Ok((Some(body), expires, Some(sum)))
            }
        }
    }

    fn settings(&self, name: &LineName) -> CacheSettings {
        self.cache(&name.cache).map_or_else(CacheSettings::default, |cache| cache.settings.clone())
    }

    fn expires(
        &self,
        settings: &CacheSettings,
        said: Option<u64>,
    ) -> Result<Option<u64>, Rejection> {
        let ttl_ms = match said {
            None => settings.ttl_ms,
            Some(0) => None,
            Some(ms) => {
                within("ttl_ms", ms, ENTRY_TTL_MS_MIN, ENTRY_TTL_MS_MAX)?;
                Some(ms)
            }
        };
        Ok(ttl_ms.map(|ttl_ms| self.clock + ttl_ms))
    }

    fn check_size(&self, name: &LineName, len: u64) -> Result<(), Rejection> {
        let settings = self.settings(name);
        let beside = settings.max_bytes.saturating_sub(name.key.as_str().len() as u64);
        let max = settings.max_value_bytes.min(beside);
        let cache = name.cache.clone();
        if len > max {
            return Err(Rejection::ValueTooLarge { cache, bytes: len, max });
        }
        Ok(())
    }

    fn check_room(&self, name: &LineName, len: u64) -> Result<(), Rejection> {
        self.check_size(name, len)?;
        let settings = self.settings(name);
        let there = self.lines_of(&name.cache).filter(|line| line.value.is_some());
        let (here, others): (Vec<_>, Vec<_>) = there.partition(|line| line.name == *name);
        let bytes_of_others: u64 = others.iter().map(|line| line.bytes()).sum();
        let entries = others.len() as u64 + 1;
        let bytes = bytes_of_others + name.key.as_str().len() as u64 + len;
        let grows = here.first().is_none_or(|line| bytes_of_others + line.bytes() < bytes);
        if grows && self.disk != DiskState::Roomy {
            return Err(Rejection::DiskFull);
        }
        let fits = entries <= settings.max_entries && bytes <= settings.max_bytes;
        let leaving = self.leaving(&name.cache).0;
        let evicts = settings.when_full == CacheWhenFull::Evict && leaving < LEAVING_MAX;
        if fits || evicts || !grows {
            return Ok(());
        }
        let entries = (others.len() + here.len()) as u64;
        let bytes = bytes_of_others + here.first().map_or(0, |line| line.bytes());
        Err(Rejection::CacheFull { cache: name.cache.clone(), entries, bytes })
    }

    /// What its owner has written and keeps in its memory meanwhile.
    fn lacks_room(&self, name: &LineName, body: &ValueBody) -> bool {
        let value = self.line(name).and_then(|line| line.value.as_ref());
        match self.disk {
            DiskState::Roomy => false,
            DiskState::Full => value.is_none_or(|value| value.body.len() < body.bytes().len()),
            DiskState::Overfull => true,
        }
    }

    pub(super) fn flush(
        &mut self,
        id: SessionId,
        name: &LineName,
        token: Token,
        change: Option<&Change>,
        keep: bool,
    ) -> Outcome {
        let copies = self.line(name).map_or(&[][..], |line| &line.copies);
        let owns = copies
            .iter()
            .any(|copy| copy.is_owned && copy.session == id && copy.since == token.get());
        if !owns {
            return Outcome::Rejected(Rejection::NotOwner { line: name.clone(), token });
        }
        let judged = match change {
            None => Ok(None),
            Some(Change::Delete) => Ok(Some((None, None, None))),
            Some(Change::Add(_)) => Err(Rejection::NotACounter { line: name.clone() }),
            Some(Change::Put { body, .. }) if keep && self.lacks_room(name, body) => {
                Err(Rejection::DiskFull)
            }
            Some(Change::Put { body, ttl_ms }) => {
                let fits = self.check_size(name, body.bytes().len() as u64);
                let expires = fits.and_then(|()| self.expires(&self.settings(name), *ttl_ms));
                expires.map(|expires| Some((Some(body.bytes().to_vec()), expires, None)))
            }
        };
        let outcome = match judged {
            Ok(Some(judged)) => self.show(name, judged),
            Ok(None) => {
                let version = self.line(name).map_or(0, |line| line.version());
                self.written(version, version, None)
            }
            Err(rejection) => Outcome::Rejected(rejection),
        };
        if !keep {
            self.drop_copy(name, id);
        }
        self.settle(name, false);
        outcome
    }
}
