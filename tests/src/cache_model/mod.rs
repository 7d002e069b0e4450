//! The protocol of coherent caches as a model that is checked exhaustively: three clients, one
//! line, leases, broken streams and failovers.
//!
//! ```text
//! client.rs     a program's side of the line: look-ups, fills, writes, what it does when recalled
//! directory.rs  the cluster's side: who has a copy, who stands in line, when a write is visible
//! network.rs    ordered channels that break, leases, the end of sessions
//! book.rs       what each read may return: the judge
//! model.rs      which steps there are, and what must hold after each
//! ```
//!
//! A step is what one side does at once: a client looks its line up, a server takes one request out
//! of a stream, a stream breaks. Everything else may happen between two steps. Raft is not
//! modelled: a request is carried out in one step, and what the log holds survives.
//!
//! Each rule of the protocol can be taken away ([`Rule`]); the check must then find a history that
//! goes wrong. What is checked in which bounds stands in `scene.rs`. The protocol itself, in words,
//! is in `docs/guide/cache-protocol.md`.

mod book;
mod client;
mod directory;
mod model;
mod network;
mod revisions;
mod rule;
mod scene;
mod state;
mod symmetry;

pub use book::Broken;
pub use model::{Action, COHERENT, CacheModel, NOBODY_IS_STUCK};
pub use rule::Rule;
pub use scene::{Bounds, Scene};
pub use state::State;
