//! What caches are for, watched from outside: as long as a client believes in its copy, what it
//! reads there is what is visible; and as long as it owns a line, nobody else reads or writes it.
//!
//! A client believes what it was told, until it lets go, writes, or its session is over. Nothing
//! here looks into the machine or the model.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_primitives::{
    CacheEvent, Command, Copied, EventKind, Fault, Fill, Filled, LineName, Outcome, Request,
    Revision, Seq, SessionId, Token,
};

use crate::cache_properties::{Seen, histories, play};

/// What all clients believe, and what is true.
#[derive(Default)]
struct Book {
    /// The version of what is visible.
    visible: BTreeMap<LineName, Revision>,
    /// Since when.
    shared: BTreeMap<(LineName, SessionId), Revision>,
    owned: BTreeMap<LineName, (SessionId, Revision)>,
    numbers: BTreeSet<(SessionId, Seq)>,
    /// About which line a request is that waits.
    tickets: BTreeMap<(SessionId, Token), LineName>,
    /// The last revision of the batch before.
    before: Revision,
    /// How many copies were given and believed in.
    copies: usize,
}

/// What clients have sent in a batch.
#[derive(Default)]
struct Sent {
    /// Who is about to write or to own, has let its copy go, and takes no other before that.
    wants_alone: BTreeSet<(LineName, SessionId)>,
    /// Who gives lines back, so that being told once more that it owns them is of no use.
    gives_back: BTreeSet<(LineName, SessionId)>,
    /// Who lets copies go, and up to when.
    lets_go: BTreeMap<(LineName, SessionId), Revision>,
    /// Who makes visible what it has written, and keeps the line.
    keeps: BTreeSet<(LineName, SessionId)>,
}

impl Book {
    fn enter(&mut self, seen: &Seen<'_>) {
        let sections = seen.batch.sections.iter();
        let of_section = |section: &'_ holdfast_primitives::Section| section.session;
        let requests: Vec<(SessionId, &Request)> = sections
            .flat_map(|all| all.requests.iter().map(move |request| (of_section(all), request)))
            .collect();
        let mut sent = Sent::default();
        for (session, request) in &requests {
            self.send(*session, request, &mut sent);
        }
        let events = seen.applied.events.iter();
        let mut happened: Vec<_> =
            events.map(|event| (event.revision, Happened::Event(&event.kind))).collect();
        for ((session, request), outcome) in requests.iter().zip(&seen.applied.outcomes) {
            let Some(line) = line_of(&request.command) else { continue };
            match outcome {
                Outcome::Filled(filled) => {
                    happened.push((filled.at, Happened::Filled(*session, line.clone(), filled)));
                }
                Outcome::Waiting { ticket, .. } => {
                    self.tickets.insert((*session, *ticket), line.clone());
                }
                _ => {}
            }
        }
        for notice in &seen.applied.notices {
            if let Outcome::Filled(filled) = &notice.outcome {
                let line = self.tickets[&(notice.session, notice.ticket)].clone();
                happened.push((filled.at, Happened::Filled(notice.session, line, filled)));
            }
        }
        // What was written by a request is there before somebody reads it at the same revision.
        happened.sort_by_key(|(at, what)| (*at, matches!(what, Happened::Filled(..))));
        for (at, what) in happened {
            match what {
                Happened::Event(kind) => self.event(at, kind, &sent),
                Happened::Filled(session, line, filled) => {
                    self.filled(session, &line, filled, &sent);
                }
            }
        }
        self.before = seen.machine.revision();
    }

    /// What a client does before it sends this.
    fn send(&mut self, session: SessionId, request: &Request, sent: &mut Sent) {
        let is_new = request.seq == Seq::NONE || self.numbers.insert((session, request.seq));
        match &request.command {
            // If it comes a second time, its sender may have a copy again by then.
            Command::FillLine { line, how: Fill::Own } if is_new => {
                self.shared.remove(&(line.clone(), session));
                sent.wants_alone.insert((line.clone(), session));
            }
            // Beside its stream it lets nothing go.
            Command::WriteLine { line, write } if !write.asks_writer => {
                self.shared.remove(&(line.clone(), session));
                sent.wants_alone.insert((line.clone(), session));
            }
            Command::FlushLine { line, keep, .. } => {
                let key = (line.clone(), session);
                if *keep {
                    sent.keeps.insert(key);
                    return;
                }
                sent.gives_back.insert(key);
                if self.owned.get(line).is_some_and(|(owner, _)| *owner == session) {
                    self.owned.remove(line);
                }
            }
            Command::LetLinesGo { cache, lines } => {
                for (key, up_to) in lines {
                    let line = LineName { cache: cache.clone(), key: key.clone() };
                    let is_meant = |since: &Revision| since <= up_to;
                    let owner = self.owned.get(&line);
                    if owner.is_some_and(|(owner, since)| *owner == session && is_meant(since)) {
                        self.owned.remove(&line);
                    }
                    let key = (line, session);
                    sent.gives_back.insert(key.clone());
                    sent.lets_go.insert(key.clone(), *up_to);
                    if self.shared.get(&key).is_some_and(is_meant) {
                        self.shared.remove(&key);
                    }
                }
            }
            _ => {}
        }
    }

    fn event(&mut self, at: Revision, kind: &EventKind, sent: &Sent) {
        match kind {
            EventKind::SessionEnded { session } | EventKind::SessionExpired { session } => {
                self.shared.retain(|(_, owner), _| owner != session);
                self.owned.retain(|_, (owner, _)| owner != session);
            }
            EventKind::Cache { cache, change } => {
                let (key, version) = match change {
                    CacheEvent::Put { key, version, .. } => (key, *version),
                    CacheEvent::Removed { key, .. } => (key, Revision::new(0)),
                    CacheEvent::Created | CacheEvent::Changed | CacheEvent::Deleted => return,
                };
                let line = LineName { cache: cache.clone(), key: key.clone() };
                let reader = self.shared.keys().find(|(shared, _)| *shared == line);
                assert_eq!(reader, None, "{at}: {line} changes and somebody has a copy");
                let keeps = |owner: SessionId| sent.keeps.contains(&(line.clone(), owner));
                let owner = self.owned.get(&line).filter(|(owner, _)| !keeps(*owner));
                assert_eq!(owner, None, "{at}: {line} changes and somebody owns it");
                self.visible.insert(line, version);
            }
            _ => {}
        }
    }

    fn filled(&mut self, session: SessionId, line: &LineName, filled: &Filled, sent: &Sent) {
        let visible = self.visible.get(line).copied().unwrap_or(Revision::new(0));
        let version = filled.value.as_ref().map_or(Revision::new(0), |value| value.version);
        let at = filled.at;
        assert_eq!(version, visible, "{at}: what {session} reads in {line} is not what is visible");
        // As its owner makes it visible, the line may be read by others, and before its owner has
        // heard that it owns it, and at no other moment.
        let owner = self.owned.get(line).filter(|(owner, since)| {
            let keeps = sent.keeps.contains(&(line.clone(), *owner));
            *owner != session && *since <= self.before && !keeps
        });
        assert_eq!(owner, None, "{at}: {session} reads {line}");
        let is_alone = !self.shared.keys().any(|(other, who)| other == line && *who != session);
        match filled.copy {
            Copied::No => {}
            Copied::Shared => {
                assert_eq!(self.owned.get(line), None, "{at}: {line} is shared and owned");
                let key = (line.clone(), session);
                let lets_go = sent.lets_go.get(&key).is_some_and(|up_to| *up_to >= at);
                if !lets_go && !sent.wants_alone.contains(&key) {
                    self.copies += 1;
                    self.shared.insert(key, at);
                }
            }
            Copied::Owned(token) => {
                assert!(is_alone, "{at}: {line} is owned and shared");
                self.copies += 1;
                let since = Revision::new(token.get());
                self.shared.remove(&(line.clone(), session));
                if !sent.gives_back.contains(&(line.clone(), session)) {
                    self.owned.insert(line.clone(), (session, since));
                }
            }
        }
    }
}

/// Something that happened.
enum Happened<'a> {
    Event(&'a EventKind),
    Filled(SessionId, LineName, &'a Filled),
}

fn line_of(command: &Command) -> Option<&LineName> {
    match command {
        Command::FillLine { line, .. } | Command::WriteLine { line, .. } => Some(line),
        _ => None,
    }
}

/// Lets a history happen, and counts the copies in which somebody believed.
pub(crate) fn is_coherent(seed: u64, fault: Option<Fault>) -> usize {
    let mut book = Book::default();
    play(seed, fault, |seen| book.enter(seen));
    book.copies
}

#[test]
fn nobody_believes_what_is_not_so() {
    let copies: usize = histories().map(|seed| is_coherent(seed, None)).sum();
    let wanted = 20 * histories().count();
    assert!(copies >= wanted, "only {copies} copies were given, not {wanted}");
}
