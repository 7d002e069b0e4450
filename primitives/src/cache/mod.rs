//! Coherent caches: named maps whose readers may keep copies, and yet never read what is stale.
//!
//! The *directory* is part of the state: which session has a copy of which line. A write does not
//! become visible before every copy is gone, so whoever reads from a copy reads what is visible.
//!
//! ```text
//! fill.rs    a line is read: at once | its turn comes later | its reader is told to load it
//! write.rs   a line is written to: at once | its turn comes later
//! settle.rs  the turns of a line: asks for copies, and goes on when they are gone
//! leave.rs   copies are let go, owners give back, sessions end
//! load.rs    one session comes up with a value, others wait for it
//! room.rs    what is over, or in the way, is removed
//! admin.rs   caches as a whole
//! ```
//!
//! The rules change a line through `desk.rs` only, which keeps counts, indexes and timers with it.
//!
//! - A copy is shared with others, or owned; an owned one is alone.
//! - While requests wait at a line nobody gets a new copy, so the line settles when those copies
//!   are gone that are there. Whoever reads meanwhile gets the visible value, without a copy.
//! - Guards, versions, room and loads are judged at the moment at which a write becomes visible.
//! - A value that goes by itself, because its time is over or room is needed, goes like one that is
//!   deleted: when nobody has a copy of it any more. It goes before all who wait.
//! - Sessions that are gone have neither copies nor turns, so the end of a session answers for it.

mod admin;
mod check;
pub(crate) mod codec;
mod copies;
mod desk;
mod event;
mod fill;
mod leave;
mod load;
mod read;
pub(crate) mod recorded;
mod request;
mod room;
mod settings;
mod settle;
mod state;
pub(crate) mod stored;
mod view;
pub(crate) mod wire;
mod write;

pub use event::{CacheEvent, RemovedBy};
pub use request::{
    Change, Copied, Fill, Filled, FilledValue, LineName, LineWrite, Recall, ValueBody,
    ValueTooLong, When, Written,
};
pub use settings::{CacheChange, CacheSettings, CacheWhenFull};
pub(crate) use state::{Cache, CacheIndex, Line, OwnedLines};
pub use view::{
    CacheCounts, CacheTotals, CacheView, CopyView, EntryView, LineView, LoaderView, TurnView,
    TurnWants,
};
