//! Caches are made, changed and deleted.

use super::{Cache, CacheChange, CacheEvent, CacheIndex, CacheSettings};
use crate::{Applied, Event, EventKind, Machine, Name, Outcome, Rejection};

impl Machine {
    pub(crate) fn create_cache(
        &mut self,
        name: &Name,
        settings: &CacheChange,
        applied: &mut Applied,
    ) -> Outcome {
        let settings = match CacheSettings::default().with(settings) {
            Ok(settings) => settings,
            Err(error) => return Outcome::Rejected(error.into()),
        };
        if let Some(cache) = self.caches.get(name) {
            let same = cache.settings == settings;
            let exists = Outcome::Rejected(Rejection::CacheExists { cache: name.clone() });
            return if same { Outcome::Done } else { exists };
        }
        self.add_cache(name, Cache { settings, ..Cache::default() }, applied);
        Outcome::Done
    }

    /// What is in the cache stays there until the next writes make room.
    pub(crate) fn change_cache(
        &mut self,
        name: &Name,
        change: &CacheChange,
        applied: &mut Applied,
    ) -> Outcome {
        let Some(cache) = self.caches.get_mut(name) else { return no_such_cache(name) };
        let before = match cache.settings.with(change) {
            Ok(settings) if settings == cache.settings => return Outcome::Done,
            Ok(settings) => std::mem::replace(&mut cache.settings, settings),
            Err(error) => return Outcome::Rejected(error.into()),
        };
        let when_full = cache.settings.when_full;
        if when_full != before.when_full {
            self.order_by_age(name, when_full);
        }
        applied.events.push(self.cache_event(name, CacheEvent::Changed));
        Outcome::Done
    }

    pub(crate) fn delete_cache(&mut self, name: &Name, applied: &mut Applied) -> Outcome {
        let Some(index) = self.cache_indexes.get(name) else { return no_such_cache(name) };
        let lines = index.counts.lines;
        if lines > 0 {
            return Outcome::Rejected(Rejection::CacheNotEmpty { cache: name.clone(), lines });
        }
        self.caches.remove(name);
        self.cache_indexes.remove(name);
        applied.events.push(self.cache_event(name, CacheEvent::Deleted));
        Outcome::Done
    }

    /// Makes the cache with the default settings if it is not there.
    pub(crate) fn make_cache(&mut self, name: &Name, applied: &mut Applied) {
        if self.caches.get(name).is_none() {
            self.add_cache(name, Cache::default(), applied);
        }
    }

    fn add_cache(&mut self, name: &Name, cache: Cache, applied: &mut Applied) {
        self.cache_indexes.insert_if_absent(name, CacheIndex::new(&cache.settings));
        self.caches.insert_if_absent(name, cache);
        applied.events.push(self.cache_event(name, CacheEvent::Created));
    }

    pub(crate) fn cache_event(&self, cache: &Name, change: CacheEvent) -> Event {
        self.event(EventKind::Cache { cache: cache.clone(), change })
    }
}

fn no_such_cache(name: &Name) -> Outcome {
    Outcome::Rejected(Rejection::NoSuchCache { cache: name.clone() })
}
