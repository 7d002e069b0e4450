//! A session's memory of its answers, which makes every numbered request take effect once.
//!
//! Invariant: entries are sorted by number, all greater than `base` and at most
//! [`UNCONFIRMED_MAX`] greater.

use std::collections::VecDeque;

use crate::limits::UNCONFIRMED_MAX;
use crate::{Outcome, Seq};

/// Outcomes that the client has not yet confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// Everything up to here is confirmed and forgotten.
    pub(crate) base: Seq,
    /// What was answered to whom, sorted.
    pub(crate) entries: VecDeque<(Seq, Outcome)>,
}

/// What is known of a request's number.
pub(crate) enum Known<'a> {
    /// Nothing: the request is to be executed.
    New,
    /// It was executed, with this outcome.
    Answered(&'a Outcome),
    /// It was executed and confirmed, or skipped for good.
    Confirmed,
    /// It is beyond what can be remembered.
    TooFarAhead,
}

impl Window {
    pub(crate) fn look_up(&self, seq: Seq) -> Known<'_> {
        if seq == Seq::NONE {
            return Known::New;
        }
        if seq <= self.base {
            return Known::Confirmed;
        }
        if seq.get() - self.base.get() > UNCONFIRMED_MAX {
            return Known::TooFarAhead;
        }
        match self.find(seq) {
            Ok(at) => Known::Answered(&self.entries[at].1),
            Err(_) => Known::New,
        }
    }

    /// Remembers the outcome of a request that [`Window::look_up`] called new.
    pub(crate) fn record(&mut self, seq: Seq, outcome: Outcome) {
        if seq == Seq::NONE {
            return;
        }
        if let Err(at) = self.find(seq) {
            self.entries.insert(at, (seq, outcome));
        }
    }

    /// Forgets everything up to `confirmed`. The newest that was there to be forgotten: numbers may
    /// have been used for what never came here.
    pub(crate) fn confirm(&mut self, confirmed: Seq) -> Option<Seq> {
        self.base = self.base.max(confirmed);
        let mut newest = None;
        while let Some((seq, _)) = self.entries.pop_front_if(|(seq, _)| *seq <= confirmed) {
            newest = Some(seq);
        }
        newest
    }

    /// The newest request that is known.
    pub(crate) fn newest(&self) -> Seq {
        self.entries.back().map_or(self.base, |(seq, _)| *seq)
    }

    /// Where the number stands, or where it belongs. New numbers nearly always go to the end.
    fn find(&self, seq: Seq) -> Result<usize, usize> {
        if self.entries.back().is_none_or(|(last, _)| *last < seq) {
            return Err(self.entries.len());
        }
        self.entries.binary_search_by_key(&seq, |(seq, _)| *seq)
    }
}
