//! Handles on caches, and what this client has of them in its own memory.

mod cache;
mod load;
mod owned;
mod registry;
mod room;
mod stats;
mod table;
#[cfg(test)]
mod tests;
mod typed;
mod value;
mod write_back;

pub use cache::Cache;
pub use load::LoadError;
pub use stats::CacheStats;
pub use typed::TypedCache;
pub use value::CacheValue;
pub use write_back::WriteBackCache;

pub(crate) use registry::{LineAnswer, Registry};
pub(crate) use table::GivenBack;
