//! The replicated state machine of Holdfast.
//!
//! This crate is *sans-I/O and deterministic*: the same batches, in the same order, give the same
//! state and the same answers on every node. There is no clock, no randomness, no thread, no socket
//! and no file in here. Time comes in as [`Timestamp`]s inside the log; what has to reach a client
//! or a watcher goes out in [`Applied`].
//!
//! The one door for change is [`Machine::apply`]. It is total: whatever a client asks for, the
//! answer is an [`Outcome`], never an `Err` and never a panic.
//!
//! ```
//! use holdfast_primitives::{Batch, Command, Machine, Outcome, Section, SessionId, Timestamp};
//!
//! let mut machine = Machine::new();
//! let name = "worker-1".to_owned();
//! let open = Command::OpenSession { ttl_ms: 10_000, name, secret_hash: [7; 32] };
//! let batch = Batch::new(Timestamp::from_millis(0), vec![Section::anonymous(open)]);
//! let applied = machine.apply(&batch);
//! assert!(matches!(applied.outcomes[0], Outcome::SessionOpened { .. }));
//! ```

#![forbid(unsafe_code)]

pub mod limits;

mod applied;
mod batch;
mod cache;
mod check;
mod codec;
mod command;
mod derived;
mod event;
mod fault;
mod figures;
mod ids;
mod lock;
mod machine;
mod name;
mod outcome;
mod owned;
mod queue;
mod recorded;
mod rejection;
mod restore;
mod session;
mod shards;
mod snapshot;
mod sorted;
mod table;
mod timers;
mod view;
mod window;
mod wire;

pub use applied::{Applied, Notice, Signal, SignalKind};
pub use batch::{Batch, DiskState, Request, Section};
pub use cache::{
    CacheChange, CacheCounts, CacheEvent, CacheSettings, CacheTotals, CacheView, CacheWhenFull,
    Change, Copied, CopyView, EntryView, Fill, Filled, FilledValue, LineName, LineView, LineWrite,
    LoaderView, Recall, RemovedBy, TurnView, TurnWants, ValueBody, ValueTooLong, When, Written,
};
pub use codec::DecodeError;
pub use command::{Command, RedriveFilter};
pub use event::{Event, EventKind};
#[cfg(any(test, feature = "faults"))]
pub use fault::Fault;
pub use figures::{LockFigures, PIECES, QueueFigures};
pub use ids::{Flow, Revision, Seq, SessionId, Timestamp, Token};
pub use lock::{Guard, Mode, Names, Policy, Terms, Want, Wants, WantsError};
pub use machine::Machine;
pub use name::{Name, NameError};
pub use outcome::{Blockage, Outcome, Redriven};
pub use queue::{
    Body, ConsumerView, Counts, DeadReason, Death, Delivery, Extras, Header, MessageError,
    MessageView, NewMessage, Place as MessagePlace, Push, Pushed, QueueChange, QueueEvent,
    QueueSettings, QueueView, Receipt, Receipts, ReceiptsError, SettingsError, Settlement, Totals,
    WhenFull,
};
pub use rejection::Rejection;
pub use restore::{Restore, RestoreError};
pub use session::check_session;
pub use snapshot::SnapshotBlocks;
pub use view::{Edge, HolderView, LockView, SessionView, View, WaiterView};
