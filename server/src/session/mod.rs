//! The sessions that this node serves at the moment: which stream belongs to which session, and
//! which unary call waits for which grant. The sessions themselves live in the replicated state.

mod attached;
mod outbox;
mod renewals;

pub use attached::Sessions;
pub use outbox::{Outbox, OutboxStream, REPLIES_WAITING_MAX};
pub use renewals::Renewals;
