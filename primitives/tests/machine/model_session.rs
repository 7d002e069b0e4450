//! What a session remembers of its answers, as the models of queues and of caches have it.

use holdfast_primitives::{Outcome, SessionId};

pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) ttl_ms: u64,
    pub(crate) deadline: u64,
    pub(crate) base: u64,
    pub(crate) answers: Vec<(u64, Outcome)>,
    /// Number, the newest known at the end of the batch in which the wait ended, how it ended.
    finals: Vec<(u64, u64, Outcome)>,
    /// Of which of them the batch is not over.
    fresh: Vec<u64>,
}

impl Session {
    pub(crate) fn open(id: SessionId, ttl_ms: u64, now: u64) -> Self {
        let (answers, finals, fresh) = (Vec::new(), Vec::new(), Vec::new());
        Self { id, ttl_ms, deadline: now + ttl_ms, base: 0, answers, finals, fresh }
    }

    /// Numbers that were never answered here say nothing of what was.
    pub(crate) fn confirm(&mut self, confirmed: u64) {
        if confirmed <= self.base {
            return;
        }
        self.base = confirmed;
        let known = self.answers.iter().map(|(seq, _)| *seq);
        let heard_of = known.filter(|seq| *seq <= confirmed).max().unwrap_or(0);
        self.answers.retain(|(seq, _)| *seq > confirmed);
        self.finals.retain(|(_, newest, _)| *newest >= heard_of);
    }

    /// A wait has ended.
    pub(crate) fn conclude(&mut self, seq: u64, outcome: &Outcome) {
        if seq > 0 {
            let newest = self.newest().max(seq);
            self.forget(seq);
            self.finals.push((seq, newest, outcome.clone()));
            self.fresh.push(seq);
        }
    }

    /// It ended at once, so it was none.
    pub(crate) fn forget(&mut self, seq: u64) {
        self.finals.retain(|(known, ..)| *known != seq);
    }

    /// How a wait has ended.
    pub(crate) fn ended(&self, seq: u64) -> Option<Outcome> {
        let mut finals = self.finals.iter();
        finals.find(|(known, ..)| *known == seq).map(|(.., outcome)| outcome.clone())
    }

    /// What was answered in the batch may have been heard of without the ends of waits in it.
    pub(crate) fn end_batch(&mut self) {
        let answered = self.newest();
        for (seq, newest, _) in &mut self.finals {
            if self.fresh.contains(seq) {
                *newest = answered.max(*seq);
            }
        }
        self.fresh.clear();
    }

    fn newest(&self) -> u64 {
        self.answers.iter().map(|(seq, _)| *seq).max().unwrap_or(self.base)
    }
}
