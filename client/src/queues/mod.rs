//! Queues as a program sees them: a handle to put messages in and take them out, and messages that
//! stand for their deliveries.
//!
//! ```text
//! Queue -> Asking (asking.rs) -> the connection's task -> Consumers (connection/consumers.rs)
//!                 Message <- Consumer (consumer.rs) <- what is pushed
//! ```

mod admin;
mod asking;
mod consumer;
mod info;
mod message;
mod new_message;
mod queue;
mod settings;

pub(crate) use asking::Number;
pub use consumer::Consumer;
pub(crate) use consumer::Inbox;
pub use info::{
    Death, MessageInfo, MessagePlace, QueueConsumer, QueueInfo, QueueList, QueueTotals,
};
pub use message::{Message, Receipt};
pub use new_message::NewMessage;
pub use queue::Queue;
pub use settings::{DeadReason, QueueSettings, Redrive, WhenFull};

#[cfg(test)]
mod tests;
