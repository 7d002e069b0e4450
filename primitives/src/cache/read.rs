//! What readers may ask about caches.

use super::state::{Cache, CacheIndex, Line};
use super::{
    CacheView, Copied, CopyView, EntryView, Filled, LineName, LineView, LoaderView, Recall,
    TurnView,
};
use crate::{Machine, Name, Revision, SessionId, View};

impl Machine {
    /// How many caches there are.
    pub fn cache_count(&self) -> usize {
        self.caches.len()
    }

    /// Looks at one cache.
    pub fn cache(&self, name: &Name) -> Option<CacheView> {
        let (cache, index) = (self.caches.get(name)?, self.cache_indexes.get(name)?);
        Some(cache.view(name, index))
    }

    /// Up to `limit` caches whose name begins with `prefix`, sorted by name, and whether there are
    /// more.
    pub fn caches(&self, prefix: &str, limit: usize) -> (Vec<CacheView>, bool) {
        let mut found = self.caches.with_prefix(prefix);
        let view = |(name, cache): (&Name, &Cache)| {
            let index = self.cache_indexes.get(name)?;
            Some(cache.view(name, index))
        };
        let views = found.by_ref().take(limit).filter_map(view).collect();
        (views, found.next().is_some())
    }

    /// Looks at a line and everybody who has to do with it; `None` if nothing is known of it.
    pub fn line(&self, name: &LineName) -> Option<LineView> {
        self.lines.get(name).map(|line| line.view(&name.key))
    }

    /// What is visible in the line, unless somebody owns it: then only its owner can say.
    pub fn visible(&self, name: &LineName) -> Option<Filled> {
        let is_owned = self.lines.get(name).is_some_and(|line| line.owned().is_some());
        (!is_owned).then(|| self.filled(name, Copied::No))
    }

    /// What was last visible in the line, whether or not somebody owns it. For readers that may be
    /// behind.
    pub fn last_visible(&self, name: &LineName) -> Filled {
        self.filled(name, Copied::No)
    }

    /// The copies that a session was asked to let go and has not, in the order in which it was
    /// asked. For a client that was away and may have missed it.
    pub fn recalls_owed_by(&self, session: SessionId) -> Vec<Recall> {
        let owned = self.owned.get(&session);
        let recalled = owned.into_iter().flat_map(|owned| &owned.lines.recalled);
        let recall = |(ticket, name): &(Revision, LineName)| {
            let is_owned = self.lines.get(name)?.copy_of(session)?.is_owned;
            Some(Recall { session, line: name.clone(), ticket: *ticket, is_owned })
        };
        recalled.filter_map(recall).collect()
    }
}

impl View {
    /// Up to `limit` entries of a cache whose keys begin with `prefix` and come after `after`,
    /// sorted, of up to `bytes` bytes beyond the first, and whether there are more; `None` if there
    /// is no such cache.
    pub fn entries(
        &self,
        cache: &Name,
        prefix: &str,
        after: &str,
        limit: usize,
        bytes: usize,
    ) -> Option<(Vec<EntryView>, bool)> {
        self.caches.get(cache)?;
        let first = LineName { cache: cache.clone(), key: Name::bound(prefix.max(after)) };
        let entries = self
            .lines
            .sorted_from(&first)
            .take_while(|(name, _)| name.cache == *cache && name.key.as_str().starts_with(prefix));
        let mut found = entries.filter(|(name, line)| {
            line.value.is_some() && (after.is_empty() || name.key.as_str() > after)
        });
        let (mut views, mut room) = (Vec::new(), bytes);
        for (name, line) in found.by_ref() {
            let Some(value) = &line.value else { continue };
            if views.len() >= limit || (!views.is_empty() && value.body.len() > room) {
                return Some((views, true));
            }
            room = room.saturating_sub(value.body.len());
            views.push(EntryView {
                key: name.key.clone(),
                version: value.version,
                body: value.body.clone(),
                expires: value.expires,
            });
        }
        Some((views, false))
    }
}

impl Cache {
    fn view(&self, name: &Name, index: &CacheIndex) -> CacheView {
        CacheView {
            name: name.clone(),
            settings: self.settings.clone(),
            counts: index.counts,
            totals: self.totals,
        }
    }
}

impl Line {
    fn view(&self, key: &Name) -> LineView {
        let copies = self.copies.iter().map(|copy| CopyView {
            session: copy.session,
            since: copy.since,
            is_owned: copy.is_owned,
            asked: copy.asked,
        });
        let turns = self.turns().map(|turn| TurnView {
            ticket: turn.ticket,
            session: turn.session,
            seq: turn.seq,
            wants: turn.what.wants(),
        });
        LineView {
            key: key.clone(),
            version: self.version(),
            bytes: self.value.as_ref().map_or(0, |value| value.body.len()),
            expires: self.value.as_ref().and_then(|value| value.expires),
            copies: copies.collect(),
            turns: turns.collect(),
            loader: self.load().map(|load| LoaderView {
                session: load.session,
                token: load.token,
                deadline: load.deadline,
            }),
            load_waiters: self.load_waits().len(),
        }
    }
}
