//! The edges: what clients say, checked once and turned into the machine's own words, and the
//! machine's answers turned back. No decision about locks or sessions is made here.

mod cache_views;
mod caches;
mod calls;
mod cluster;
pub(crate) mod errors;
mod health;
pub(crate) mod http;
mod lock_views;
mod locks;
mod origin;
mod parse;
mod pass_on;
mod queue_views;
mod queues;
mod reads;
pub(crate) mod replies;
pub(crate) mod rest;
mod services;
pub(crate) mod session_socket;
mod sessions;
mod stream;
mod waiting_call;
mod watch_json;
mod watch_socket;
mod watches;

pub(crate) use caches::CachesService;
pub(crate) use cluster::ClusterService;
pub(crate) use health::Health;
pub(crate) use http::Seen;
pub(crate) use locks::LocksService;
pub(crate) use origin::guard;
pub(crate) use queues::QueuesService;
pub(crate) use services::{Ground, Services};
pub(crate) use sessions::SessionsService;
pub(crate) use watches::WatchesService;
