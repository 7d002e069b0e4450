//! The judge: which value each read may return.
//!
//! The writes of one line have an order, that in which they became visible (or, by an owner, in
//! which they were made in memory). For a single register, histories are linearizable exactly if
//! every read returns a value that was there, and none older than the newest that was known to
//! anybody when the read began: to a writer that has had its answer, or to a reader.
//!
//! What an owner wrote in memory counts as written, until its session ends before it was flushed.
//! Then it is lost, as the handle says it may be; nobody may find it after that.

use super::state::{CLIENTS, Party, Version};

/// What has become known, and what went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Book {
    /// The newest value that anybody knows of.
    floor: Version,
    /// The newest value that there is.
    newest: Version,
    /// Values that were lost with their owner, a bit for each.
    lost: u8,
    pub(super) broken: Option<Broken>,
}

/// How a history broke its promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Broken {
    /// A read returned a value that was known to be old when the read began.
    StaleRead,
    /// A read returned a value that was lost before the read began.
    LostValueRead,
    /// A write that was to replace one value has replaced another.
    GuardPassedOver,
    /// A value took the place of a newer one.
    WentBack,
}

/// What a read that has begun must respect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Reading {
    floor: Version,
    lost: u8,
}

impl Book {
    /// A read begins.
    pub(super) fn begin(&self) -> Reading {
        Reading { floor: self.floor, lost: self.lost }
    }

    /// A read ends, and returns a value.
    pub(super) fn end(&mut self, reading: Reading, version: Version) {
        if version < reading.floor {
            self.broken = Some(Broken::StaleRead);
        } else if reading.lost & bit(version) != 0 {
            self.broken = Some(Broken::LostValueRead);
        }
        if self.lost & bit(version) == 0 {
            self.known(version);
        }
    }

    /// Somebody knows that this value was written.
    pub(super) fn known(&mut self, version: Version) {
        self.floor = self.floor.max(version);
    }

    /// A write is carried out: the value that it makes.
    pub(super) fn write(&mut self) -> Version {
        self.newest += 1;
        self.newest
    }

    /// A session has ended, and what its client wrote and did not flush is gone.
    pub(super) fn lose(&mut self, unflushed: u8, visible: Version, parties: &mut [Party; CLIENTS]) {
        if unflushed == 0 {
            return;
        }
        self.lost |= unflushed;
        self.floor = self.floor.min(visible);
        for party in parties {
            let hit = party.client.hit.iter_mut().map(|hit| &mut hit.reading);
            for reading in hit.chain(party.client.fills.iter_mut().map(|fill| &mut fill.reading)) {
                reading.floor = reading.floor.min(visible);
            }
        }
    }
}

/// The bit of a value in a set of them.
pub(super) fn bit(version: Version) -> u8 {
    1 << version
}

impl super::state::State {
    /// How the history broke its promise, if it did.
    pub fn verdict(&self) -> Option<Broken> {
        self.book.broken
    }
}
