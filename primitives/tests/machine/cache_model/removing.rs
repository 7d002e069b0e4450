//! What is over, in the way or swept, in the model.

use holdfast_primitives::limits::LEAVING_MAX;
use holdfast_primitives::{
    CacheEvent, CacheWhenFull, LineName, Name, Outcome, RemovedBy, Seq, SessionId,
};

use super::{CacheModel, Turn, What};

impl CacheModel {
    pub(super) fn entry_is_over(&mut self, name: &LineName) {
        let line = self.line_mut(name).expect("it is there");
        let value = line.value.as_mut().expect("it is there");
        value.is_over = true;
        let version = value.version;
        self.remove(name, What::Expire(version));
    }

    pub(super) fn load_is_over(&mut self, name: &LineName) {
        self.line_mut(name).expect("it is there").load = None;
        self.settle_loads(name);
        self.forget_idle(name);
    }

    /// How many entries are on their way out, and their bytes.
    pub(crate) fn leaving(&self, cache: &Name) -> (u64, u64) {
        let lines = self.lines_of(cache);
        let leaving = lines.filter(|line| line.value.as_ref().is_some_and(|v| v.is_leaving));
        leaving.fold((0, 0), |(count, bytes), line| (count + 1, bytes + line.bytes()))
    }

    pub(super) fn make_room(&mut self, written: &LineName) {
        let brought = self.line(written).map_or(0, |line| line.bytes());
        let (mut evicted, mut freed) = (0, 0);
        while evicted < 64 || freed < brought {
            let cache = self.cache(&written.cache).expect("it is there");
            let settings = cache.settings.clone();
            let staying: Vec<_> = self
                .lines_of(&written.cache)
                .filter(|line| line.value.as_ref().is_some_and(|value| !value.is_leaving))
                .collect();
            let bytes: u64 = staying.iter().map(|line| line.bytes()).sum();
            let fits = staying.len() as u64 <= settings.max_entries && bytes <= settings.max_bytes;
            let evicts = settings.when_full == CacheWhenFull::Evict;
            let Some(oldest) = staying.iter().min_by_key(|line| line.version()) else { return };
            if fits || !evicts || oldest.name == *written {
                return;
            }
            let (name, version) = (oldest.name.clone(), oldest.version());
            let bytes = oldest.bytes();
            if self.leaving(&written.cache).0 >= LEAVING_MAX {
                return;
            }
            let line = self.line_mut(&name).expect("just seen");
            line.value.as_mut().expect("just seen").is_leaving = true;
            self.revision += 1;
            self.remove(&name, What::Evict(version));
            (evicted, freed) = (evicted + 1, freed + bytes);
        }
    }

    /// What is over or in the way goes before all who wait, what is swept behind them.
    pub(super) fn remove(&mut self, name: &LineName, what: What) {
        if self.line(name).is_none_or(|line| line.is_free()) {
            self.remove_now(name, &what);
            self.settle(name, false);
            return;
        }
        let ticket = self.revision;
        let line = self.line_mut(name).expect("it is not free");
        let is_settled_later = line.copies.is_empty();
        let at = if matches!(what, What::Sweep(_)) { line.turns.len() } else { 0 };
        let (session, seq, guard) = (SessionId::NONE, Seq::NONE, None);
        line.turns.insert(at, Turn { ticket, session, seq, guard, what });
        if !is_settled_later {
            self.settle(name, true);
        }
    }

    pub(super) fn remove_now(&mut self, name: &LineName, what: &What) {
        let version = self.line(name).map_or(0, |line| line.version());
        let (is_meant, why) = match what {
            What::Expire(meant) => (*meant == version, RemovedBy::Expiry),
            What::Evict(meant) => (*meant == version, RemovedBy::Eviction),
            _ => (true, RemovedBy::Delete),
        };
        if is_meant && version > 0 {
            self.line_mut(name).expect("it is there").value = None;
            let totals = &mut self.cache_mut(&name.cache).expect("it is there").totals;
            match why {
                RemovedBy::Expiry => totals.expired += 1,
                RemovedBy::Eviction => totals.evicted += 1,
                RemovedBy::Delete => totals.writes += 1,
            }
            let key = name.key.clone();
            self.cache_event(&name.cache, CacheEvent::Removed { key, why });
        }
        if let What::Sweep(ticket) = what {
            if let Some(line) = self.line_mut(name) {
                line.load = None;
            }
            self.one_is_swept(&name.cache, *ticket);
        }
    }

    fn one_is_swept(&mut self, cache: &Name, ticket: u64) {
        let sweeps = &mut self.cache_mut(cache).expect("it is there").sweeps;
        let at = sweeps.iter().position(|sweep| sweep.ticket == ticket).expect("it goes on");
        sweeps[at].left -= 1;
        if sweeps[at].left > 0 {
            return;
        }
        let sweep = sweeps.remove(at);
        let outcome = Outcome::Swept { count: sweep.count, more: sweep.more };
        self.conclude(sweep.session, sweep.seq, &outcome);
        self.notify(sweep.session, sweep.seq, sweep.ticket, outcome);
    }
}
