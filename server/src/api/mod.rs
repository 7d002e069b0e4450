//! The edges: what clients say, checked once and turned into the machine's own words, and the
//! machine's answers turned back. No decision about locks or sessions is made here.

mod cache_views;
mod caches;
mod calls;
mod cluster;
pub(crate) mod errors;
mod lock_views;
mod locks;
mod parse;
mod queue_views;
mod queues;
mod reads;
pub(crate) mod replies;
mod sessions;
mod stream;
mod waiting_call;

pub(crate) use caches::CachesService;
pub(crate) use cluster::ClusterService;
pub(crate) use locks::LocksService;
pub(crate) use queues::QueuesService;
pub(crate) use sessions::SessionsService;
