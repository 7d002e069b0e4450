//! One watch: where it is, what it still has to be told, and when it is too slow.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use holdfast_primitives::Revision;
use holdfast_proto::v1::WatchEvent;

use super::block::{Block, Position};
use super::filter::Filters;
use super::hub::{Hub, Shared};
use super::journal::{Gone, Page};
use super::json::event_json;
use super::mailbox::{End, Letter, Mailbox};
use super::state::{self, TooLarge};
use crate::limits::WATCH_PROGRESS_EVERY;
use crate::raft::applier::SharedMachine;

/// How long the journal may take to have what is asked for.
const JOURNAL_WITHIN: Duration = Duration::from_secs(5);

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With what changes from now on.
    Now,
    /// With the state, and then with what changes after it.
    State,
    /// In the past, as a rule.
    At(Position),
}

/// What a watch is told.
#[derive(Debug)]
pub enum Told {
    /// First of all: what the node has applied. What is older is told only if it was asked for.
    Subscribed(Revision),
    /// Changes in order.
    Events(Events),
    /// Everything up to here was told.
    Progress(Revision),
    /// What was asked for is gone, or was leapt over. From this revision on everything is known.
    /// The state follows.
    Compacted(u64),
    /// Part of the state.
    State(Vec<WatchEvent>),
    /// The state was that of this revision; what changes after it follows.
    StateComplete(Revision),
    /// The last word: the watch was too slow.
    Lagged,
    /// The last word: there is too much state.
    TooLarge(TooLarge),
    /// The last word: the node shuts down.
    Closed,
}

/// Some changes in order, of which there is at least one.
#[derive(Debug)]
pub enum Events {
    /// Some of a block that all watches share.
    Shared(Arc<Block>, Vec<u32>),
    /// Read from the journal.
    Read(Vec<WatchEvent>),
}

impl Events {
    /// All of them.
    pub fn iter(&self) -> Box<dyn Iterator<Item = &WatchEvent> + Send + '_> {
        match self {
            Self::Shared(block, which) => {
                Box::new(which.iter().filter_map(|at| block.told().get(*at as usize)))
            }
            Self::Read(events) => Box::new(events.iter()),
        }
    }

    /// All of them in JSON, each made into what is wanted.
    pub fn json<T>(&self, mut make: impl FnMut(&str) -> T) -> Vec<T> {
        match self {
            Self::Shared(block, which) => {
                which.iter().map(|at| make(block.json(*at as usize))).collect()
            }
            Self::Read(events) => events.iter().map(|event| make(&event_json(event))).collect(),
        }
    }
}

/// A watch. It ends when it is dropped.
pub struct Subscription {
    shared: Arc<Shared>,
    machine: SharedMachine,
    mailbox: Arc<Mailbox>,
    id: u64,
    /// All before this was told, or is of no interest.
    at: Position,
    /// What comes before the mailbox.
    first: VecDeque<Step>,
    /// Up to where everything was told when that was said last.
    progress: Revision,
}

enum Step {
    Say(Told),
    /// Read the journal up to this revision.
    Read(u64),
    Recent(Arc<Block>),
    State,
}

impl Hub {
    /// Begins a watch. `None`: the node shuts down.
    pub fn subscribe(
        &self,
        machine: &SharedMachine,
        filters: Filters,
        begin: Begin,
    ) -> Option<Subscription> {
        let filters = Arc::new(filters);
        let mailbox = Arc::new(Mailbox::new(filters.clone()));
        let mut desk = self.0.desk();
        if desk.is_closed {
            return None;
        }
        let (through, recent_after) = (desk.through, desk.recent_after);
        let mut first = VecDeque::from([Step::Say(Told::Subscribed(through))]);
        let mut at = Position::after(through);
        match begin {
            Begin::Now => {}
            Begin::State => first.push_back(Step::State),
            Begin::At(from) => {
                at = from;
                if from.revision <= recent_after.get() {
                    first.push_back(Step::Read(recent_after.get()));
                }
                let before = Revision::new(from.revision.saturating_sub(1)).max(recent_after);
                first.extend(desk.recent_from(before).into_iter().map(Step::Recent));
            }
        }
        let id = desk.enter(mailbox.clone());
        drop(desk);
        self.0.counts.open.fetch_add(1, Relaxed);
        let (shared, machine) = (self.0.clone(), machine.clone());
        Some(Subscription { shared, machine, mailbox, id, at, first, progress: through })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.desk().mailboxes.remove(&self.id);
        self.shared.counts.open.fetch_sub(1, Relaxed);
    }
}

impl Subscription {
    /// What there is to tell next. Not to be asked after a last word.
    pub async fn next(&mut self) -> Told {
        loop {
            while let Some(step) = self.first.pop_front() {
                if let Some(told) = self.take(step).await {
                    return told;
                }
            }
            let letter = {
                let mut content = self.mailbox.content();
                let letter = content.letters.pop_front();
                match (&letter, content.end) {
                    (Some(Letter::Events { which, weight, .. }), _) => {
                        content.events -= which.len();
                        content.bytes -= weight;
                    }
                    (Some(Letter::Leap), _) | (None, None) => {}
                    (None, Some(End::Lagged)) => {
                        self.shared.counts.lagged.fetch_add(1, Relaxed);
                        return Told::Lagged;
                    }
                    (None, Some(End::Closed)) => return Told::Closed,
                }
                letter
            };
            match letter {
                Some(Letter::Events { block, which, .. }) => {
                    if let Some(events) = self.shared_events(block, which) {
                        return events;
                    }
                }
                Some(Letter::Leap) => {
                    let after = self.shared.desk().recent_after;
                    self.compacted(after.get());
                }
                None => {
                    let waited = self.mailbox.arrived.notified();
                    if tokio::time::timeout(WATCH_PROGRESS_EVERY, waited).await.is_err()
                        && let Some(progress) = self.progress()
                    {
                        return progress;
                    }
                }
            }
        }
    }

    async fn take(&mut self, step: Step) -> Option<Told> {
        match step {
            Step::Say(told) => Some(told),
            Step::Recent(block) => {
                let which = block.wanted(&self.mailbox.filters);
                self.shared_events(block, which)
            }
            Step::Read(through) => match self.read(through).await {
                Ok(page) => {
                    if page.next.revision <= through {
                        self.first.push_front(Step::Read(through));
                    }
                    self.at = page.next;
                    let mut events = page.events;
                    events.retain(|event| self.mailbox.filters.want(event));
                    self.counted(Events::Read(events))
                }
                Err(Gone) => {
                    let after = self.shared.desk().recent_after.get();
                    let journal = self.shared.journal.as_ref().map(|journal| journal.span());
                    let journal = journal.filter(|span| !span.is_broken).map(|span| span.after);
                    self.compacted(journal.map_or(after, |journal| journal.min(after)));
                    None
                }
            },
            Step::State => match self.state().await {
                Ok(()) => None,
                Err(too_large) => Some(Told::TooLarge(too_large)),
            },
        }
    }

    /// The past is gone: the state takes its place.
    fn compacted(&mut self, after: u64) {
        self.shared.counts.compacted.fetch_add(1, Relaxed);
        self.first = VecDeque::from([Step::Say(Told::Compacted(after + 1)), Step::State]);
    }

    async fn read(&self, through: u64) -> Result<Page, Gone> {
        let journal = self.shared.journal.clone().ok_or(Gone)?;
        if self.at.revision <= journal.span().after {
            return Err(Gone);
        }
        let has = tokio::time::timeout(JOURNAL_WITHIN, journal.has(through)).await;
        has.map_err(|_| Gone)??;
        let from = self.at;
        let read = tokio::task::spawn_blocking(move || journal.read(from, through));
        read.await.map_err(|_| Gone)?
    }

    /// Looks at the state and puts it first. What is waiting and is in it already is passed over.
    async fn state(&mut self) -> Result<(), TooLarge> {
        let view = self.machine.read().machine.view();
        let revision = view.revision();
        let filters = self.mailbox.filters.clone();
        let made = tokio::task::spawn_blocking(move || state::of(&view, &filters));
        let parts = made.await.unwrap_or(Err(TooLarge))?;
        self.at = Position::after(revision);
        self.first.extend(parts.into_iter().map(|part| Step::Say(Told::State(part))));
        self.first.push_back(Step::Say(Told::StateComplete(revision)));
        Ok(())
    }

    fn shared_events(&mut self, block: Arc<Block>, mut which: Vec<u32>) -> Option<Told> {
        let at = self.at;
        let told = block.told();
        which.retain(|index| told.get(*index as usize).is_some_and(|e| Position::of(e) >= at));
        let last = told.get(*which.last()? as usize)?;
        self.at = Position::behind(last);
        self.counted(Events::Shared(block, which))
    }

    fn counted(&self, events: Events) -> Option<Told> {
        let count = match &events {
            Events::Shared(_, which) => which.len(),
            Events::Read(events) => events.len(),
        };
        self.shared.counts.delivered.fetch_add(count as u64, Relaxed);
        (count > 0).then_some(Told::Events(events))
    }

    /// Up to where everything was told, if that is news.
    fn progress(&mut self) -> Option<Told> {
        let desk = self.shared.desk();
        let through = desk.through;
        if !self.mailbox.content().letters.is_empty() || through <= self.progress {
            return None;
        }
        drop(desk);
        self.progress = through;
        self.at = self.at.max(Position::after(through));
        Some(Told::Progress(through))
    }
}
