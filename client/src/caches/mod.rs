//! Handles on caches, and what this client has of them in its own memory.

mod admin;
mod cache;
mod info;
mod load;
mod owned;
mod registry;
mod room;
mod settings;
mod stats;
mod table;
#[cfg(test)]
mod tests;
mod typed;
mod value;
mod watch;
mod write_back;
mod writing;

pub use cache::Cache;
pub use info::{
    CacheCopyInfo, CacheEntries, CacheEntry, CacheInfo, CacheLine, CacheList, CacheLoader,
    CacheTotals, CacheTurnInfo, CacheWants,
};
pub use load::LoadError;
pub use settings::{CacheSettings, CacheWhenFull};
pub use stats::CacheStats;
pub use typed::TypedCache;
pub use value::CacheValue;
pub use watch::{CacheEvent, CacheEventKind, CacheNews, CacheWatch};
pub use write_back::WriteBackCache;

pub(crate) use registry::{LineAnswer, Registry};
pub(crate) use table::GivenBack;
