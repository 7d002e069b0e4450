//! Queues: durable, in order, at least once.
//!
//! A message is given to a consumer inside the apply that enqueues it, so the steady state costs
//! two commands per message: enqueue and ack. Who consumes says how many messages it takes at a
//! time (its credits); each that it settles makes room for the next.
//!
//! ```text
//! enqueue.rs  comes in  -> waits for room, or is added -> deliver.rs: pushed or claimed
//! settle.rs   comes back -> acked | its own place again | dead -> another queue, or parked
//! leave.rs    who consumes or waits goes away           redrive.rs  the dead come back
//! admin.rs    queues as a whole                    ids.rs      what makes messages unique
//! ```
//!
//! The rules change a queue through `desk.rs` only, which keeps the indexes (`index.rs`) with it.
//! What they leave behind is settled by [`crate::Machine::stir`]: producers are let in as far as
//! there is room, and then whoever wants messages is served. So between two commands there is never
//! both a message that could be delivered and somebody to deliver it to.
//!
//! - A message's number is its place. It goes back there whatever happens, until it is acked or
//!   moves to another queue, where it gets a new one.
//! - Of a group one member at most is in flight. The next is the first that is not parked, and
//!   nobody while that is withheld. So one that was parked and comes back is next, but not before
//!   the one in flight is settled.
//! - Nothing is lost: a message that cannot go to a queue for dead letters stays where it is.

mod admin;
mod check;
pub(crate) mod codec;
mod deliver;
mod delivery;
mod desk;
mod enqueue;
mod event;
mod ids;
mod index;
mod leave;
mod ledger;
mod message;
mod read;
mod receipt;
pub(crate) mod recorded;
mod redrive;
mod settings;
mod settle;
mod state;
pub(crate) mod stored;
mod touched;
mod view;
pub(crate) mod wire;

pub use delivery::{Death, Delivery, Extras, Push, Pushed};
pub use event::QueueEvent;
pub(crate) use index::QueueIndex;
pub use message::{Body, DeadReason, Header, MessageError, NewMessage, Place};
pub use receipt::{Receipt, Receipts, ReceiptsError, Settlement};
pub use settings::{QueueChange, QueueSettings, SettingsError, WhenFull};
pub(crate) use state::{Id, Queue, Slot};
pub(crate) use touched::Touched;
pub use view::{ConsumerView, Counts, MessageView, QueueView, Totals};
