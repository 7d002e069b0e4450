//! The edges: what clients say, checked once and turned into the machine's own words, and the
//! machine's answers turned back. No decision about locks or sessions is made here.

mod cluster;
pub(crate) mod errors;
mod locks;
mod parse;
pub(crate) mod replies;
mod sessions;
mod stream;

pub use cluster::ClusterService;
pub use locks::LocksService;
pub use sessions::SessionsService;
