//! The tables of all caches that a client uses, shared between its handles and its connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dashmap::DashMap;
use holdfast_proto::v1::{CacheRecall, CacheUse};

use super::room::CopyIds;
use super::table::{GivenBack, Recalled, Table};
use crate::fault::{Fault, Faults};

/// How many caches one report is about.
const REPORTED_MAX: usize = 100;

/// The tables by the name of the cache. One stays as long as there is a handle on it, or something
/// in it.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    tables: DashMap<Arc<str>, Arc<Table>>,
    faults: Faults,
}

/// What a recall is answered with.
#[derive(Debug, PartialEq)]
pub(crate) enum LineAnswer {
    /// There is no copy that was filled at `up_to` or before.
    LetGo { up_to: u64 },
    /// The copy was owned, and this is what was written in it.
    GiveBack(GivenBack),
}

impl Registry {
    pub(crate) fn new(faults: Faults) -> Self {
        Self { tables: DashMap::default(), faults }
    }

    pub(super) fn table(&self, cache: &Arc<str>) -> Arc<Table> {
        if let Some(table) = self.tables.get(cache) {
            return table.clone();
        }
        let new = || Arc::new(Table::new(cache.clone(), self.faults));
        self.tables.entry(cache.clone()).or_insert_with(new).clone()
    }

    /// Takes the copy away that is asked for. Whether there was one or not, the server is answered.
    pub(crate) fn recall(&self, recall: &CacheRecall) -> LineAnswer {
        let table = self.tables.get(recall.cache.as_str()).map(|table| table.clone());
        let recalled = table.map(|table| table.recall(&recall.key, recall.ticket));
        match recalled {
            Some(Recalled::GivenBack(back)) => LineAnswer::GiveBack(back),
            Some(Recalled::Gone) | None => LineAnswer::LetGo { up_to: recall.ticket },
        }
    }

    /// Takes an owned copy away before anybody asks for it, if it is still there.
    pub(crate) fn give_back(&self, cache: &str, key: &str, at: u64) -> Option<GivenBack> {
        let table = self.tables.get(cache).map(|table| table.clone());
        table?.give_back(key, at)
    }

    /// How many copies there are.
    pub(crate) fn entries(&self) -> usize {
        self.tables.iter().map(|table| table.room.entries()).sum()
    }

    /// Takes away all copies that are not owned, by the cache.
    pub(crate) fn let_shared_go(&self) -> Vec<(Arc<str>, CopyIds)> {
        let tables: Vec<Arc<Table>> = self.tables.iter().map(|table| table.clone()).collect();
        tables.into_iter().map(|table| (table.cache.clone(), table.let_shared_go())).collect()
    }

    /// Takes away all owned copies in which was written, with the cache and the key of each: the
    /// session is about to end.
    pub(crate) fn give_all_back(&self) -> Vec<(Arc<str>, Arc<str>, GivenBack)> {
        let tables: Vec<Arc<Table>> = self.tables.iter().map(|table| table.clone()).collect();
        let of_table = |table: Arc<Table>| {
            let cache = table.cache.clone();
            table.give_all_back().into_iter().map(move |(key, back)| (cache.clone(), key, back))
        };
        tables.into_iter().flat_map(of_table).collect()
    }

    /// Writes that were on their way back with an owned copy did not arrive.
    pub(crate) fn lost(&self, cache: &Arc<str>, writes: usize) {
        self.table(cache).lost_writes.fetch_add(writes, Ordering::Relaxed);
    }

    /// How caches were used since this was asked last, for the metrics of the cluster. What does
    /// not fit into a report is in the next one. Tables that nobody uses any more go.
    pub(crate) fn report(&self) -> Vec<CacheUse> {
        let report = |table: &Table| {
            let (hits, misses) = table.counts.unreported()?;
            Some(CacheUse { cache: table.cache.to_string(), hits, misses })
        };
        let reports = self.tables.iter().filter_map(|table| report(&table));
        let reports = reports.take(REPORTED_MAX).collect();
        // While a table is looked at nobody gets it from here, and there is nowhere else to get it.
        self.tables.retain(|_, table| Arc::get_mut(table).is_none_or(|table| !table.is_blank()));
        reports
    }

    /// The session is over.
    pub(crate) fn clear(&self) {
        if self.faults.has(Fault::ServeAfterLease) {
            return;
        }
        self.tables.iter().for_each(|table| table.clear());
    }
}

impl Table {
    /// Whether a new one would be as good, but for what has been reported.
    fn is_blank(&self) -> bool {
        self.lines.is_empty()
            && !self.room.is_bounded()
            && self.counts.is_reported()
            && self.lost_writes.load(Ordering::Relaxed) == 0
    }
}
