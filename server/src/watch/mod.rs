//! What changes, for those who watch.
//!
//! The way of an event, none of whose steps the applier waits for:
//!
//! ```text
//! raft::Applier -> Hub::publish      a queue, bounded
//!   -> Dispatcher                    a task: the recent past, and who wants what
//!        |-> Subscription            a watch: bounded, cut if it is slow
//!        |     -> api::watches, api::watch_socket
//!        `-> JournalWriter           a thread: the past on disk, in blocks
//! ```
//!
//! A watch that begins in the past reads the journal, then what the dispatcher remembers, then what
//! comes; the three overlap, so there is no gap and nothing twice. What lies before the journal's
//! beginning is gone: such a watch is told so and gets the state instead, and then what comes after
//! it.
//!
//! Events are numbered by revision, and by their place within it. Both follow from the log, so they
//! are the same on all nodes and after every restart, and a watch can go on anywhere.

mod block;
mod dispatcher;
mod filter;
mod hub;
pub mod journal;
mod json;
mod mailbox;
mod state;
mod subscription;

pub use block::{Block, Position};
pub use dispatcher::Dispatcher;
pub use filter::{Filter, Filters};
pub use hub::{Hub, Settled, WatcherCounts};
pub use json::event_json;
pub use state::TooLarge;
pub use subscription::{Begin, Events, Subscription, Told};
