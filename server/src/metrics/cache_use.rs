//! How often clients were served from their own memory, as they say with their renewals.
//!
//! Names come from clients, so only the first [`CACHES_MAX`] have figures of their own. What a
//! client has reported is not asked for again: a report that is lost with a broken stream is lost.

use std::sync::Arc;

use ::metrics::Counter;
use dashmap::DashMap;
use holdfast_primitives::Name;
use holdfast_proto::v1;

use super::catalog;
use super::registry::Registry;
use super::state::{NAMES_MAX, OTHERS};

/// How many caches have figures of their own.
const CACHES_MAX: usize = NAMES_MAX;

/// More reads than one report can honestly be about.
const USES_MAX: u64 = 1 << 40;

/// Hits and misses, by cache.
#[derive(Default)]
pub(crate) struct CacheUse(DashMap<Arc<str>, (Counter, Counter)>);

impl CacheUse {
    pub(super) fn count(&self, registry: &Registry, uses: &[v1::CacheUse]) {
        for used in uses.iter().take(CACHES_MAX) {
            let (hits, misses) = self.of(registry, &used.cache);
            hits.increment(used.hits.min(USES_MAX));
            misses.increment(used.misses.min(USES_MAX));
        }
    }

    fn of(&self, registry: &Registry, cache: &str) -> (Counter, Counter) {
        let is_full = self.0.len() >= CACHES_MAX && !self.0.contains_key(cache);
        let name = if is_full || Name::parse(cache).is_err() { OTHERS } else { cache };
        if let Some(counters) = self.0.get(name) {
            return counters.clone();
        }
        let new = || {
            let hits = registry.counter(&catalog::CACHE_CLIENT_HITS, &[name]);
            (hits, registry.counter(&catalog::CACHE_CLIENT_MISSES, &[name]))
        };
        self.0.entry(name.into()).or_insert_with(new).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::registry::Origin;
    use super::*;

    #[test]
    fn so_many_names_have_figures_of_their_own() {
        let origin = Origin::of(&crate::Settings::default());
        let (registry, cache_use) = (Registry::new(&origin), CacheUse::default());
        let used = |cache: String, hits| v1::CacheUse { cache, hits, misses: 1 };
        for at in 0..CACHES_MAX + 20 {
            cache_use.count(&registry, &[used(format!("cache/{at}"), 2)]);
        }
        cache_use.count(&registry, &[used("cache/0".into(), 5), used("not//a name".into(), 1)]);
        let text = registry.text();
        for (cache, hits) in [("cache/0", 7), (OTHERS, 41)] {
            let end = format!("cache=\"{cache}\"}} {hits}");
            let is_it = |line: &str| line.contains("_hits_total{") && line.ends_with(&end);
            assert!(text.lines().any(is_it), "{end} in {text}");
        }
        let series = text.lines().filter(|l| l.starts_with("holdfast_cache_client_misses_total{"));
        assert_eq!(series.count(), CACHES_MAX + 1);
    }
}
