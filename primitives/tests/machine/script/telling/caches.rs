//! What came of a batch at caches.

use holdfast_primitives::{
    CacheEvent, Copied, Filled, LineName, Name, Recall, Rejection, Revision, TurnWants, Written,
};

use super::super::Player;

impl Player {
    /// `~ a c:k 9`: `a` is asked to let its copy go, on behalf of ticket 9.
    pub(super) fn recall(&self, recall: &Recall) -> String {
        let Recall { session, line, ticket, is_owned } = recall;
        let owned = if *is_owned { " owned" } else { "" };
        format!(" ~ {} {line} {ticket}{owned}", self.alias(*session))
    }

    pub(super) fn cache_rejection(&self, rejection: &Rejection) -> Option<String> {
        Some(match rejection {
            Rejection::NoSuchCache { cache } => format!("no cache {cache}"),
            Rejection::CacheExists { cache } => format!("{cache} is otherwise"),
            Rejection::CacheNotEmpty { cache, lines } => format!("{cache} has {lines} lines"),
            Rejection::CacheFull { cache, entries, bytes } => {
                format!("{cache} full with {entries} of {bytes}")
            }
            Rejection::ValueTooLarge { cache, bytes, max } => {
                format!("{bytes} bytes over {max} of {cache}")
            }
            Rejection::VersionMismatch { line, expected, is } => {
                format!("{line} is {is} and not {expected}")
            }
            Rejection::NotACounter { line } => format!("{line} is no number"),
            Rejection::CounterOverflow { line, value, added } => {
                format!("{value} and {added} are too much for {line}")
            }
            Rejection::FillWithdrawn { line } => format!("{line} withdrawn"),
            Rejection::LoadOver { line, token } => format!("load {token} of {line} is over"),
            Rejection::NotOwner { line, token } => format!("{line} not owned by {token}"),
            Rejection::LineCrowded { line } => format!("{line} crowded"),
            _ => return None,
        })
    }

    pub(super) fn cache_event(&self, at: Revision, cache: &Name, change: &CacheEvent) -> String {
        match change {
            CacheEvent::Created => format!("{at} {cache} made"),
            CacheEvent::Changed => format!("{at} {cache} altered"),
            CacheEvent::Deleted => format!("{at} {cache} dropped"),
            CacheEvent::Put { key, version, body } => {
                format!("{at} {cache}:{key} is {}@{version}", String::from_utf8_lossy(body))
            }
            CacheEvent::Removed { key, why } => format!("{at} {cache}:{key} gone ({why:?})"),
        }
    }

    /// `hi@5; a 6, b 7 asked 9; c#2 9 write; d loads by 10 until 5000, 2 wait`
    pub(crate) fn look_at_line(&self, line: &LineName) -> String {
        let Some(view) = self.machine.line(line) else { return format!("no line {line}") };
        let filled = self.machine.visible(line);
        let value = filled.map_or_else(|| format!("@{}", view.version), |it| told_value(&it));
        let expires = view.expires.map(|at| format!(" until {}", at.as_millis()));
        let mut parts = vec![format!("{value}{}", expires.unwrap_or_default())];
        let copy = |copy: &holdfast_primitives::CopyView| {
            let owns = if copy.is_owned { " owns" } else { "" };
            let asked = copy.asked.map(|at| format!(" asked {at}")).unwrap_or_default();
            format!("{} {}{owns}{asked}", self.alias(copy.session), copy.since)
        };
        let turn = |turn: &holdfast_primitives::TurnView| {
            let wants = match turn.wants {
                TurnWants::Read => "read",
                TurnWants::Own => "own",
                TurnWants::Write => "write",
                TurnWants::Remove => "remove",
            };
            format!("{}#{} {} {wants}", self.alias(turn.session), turn.seq, turn.ticket)
        };
        let copies: Vec<_> = view.copies.iter().map(copy).collect();
        let turns: Vec<_> = view.turns.iter().map(turn).collect();
        parts.extend([copies, turns].iter().filter(|all| !all.is_empty()).map(|l| l.join(", ")));
        if let Some(loader) = view.loader {
            let until = loader.deadline.map(|at| format!(" until {}", at.as_millis()));
            let who = self.alias(loader.session);
            parts.push(format!("{who} loads by {}{}", loader.token, until.unwrap_or_default()));
        }
        if view.load_waiters > 0 {
            parts.push(format!("{} wait", view.load_waiters));
        }
        parts.join("; ")
    }

    /// How much is there, and what happened.
    pub(crate) fn look_at_cache(&self, cache: &Name) -> String {
        let Some(view) = self.machine.cache(cache) else { return format!("no cache {cache}") };
        let (counts, totals) = (view.counts, view.totals);
        let mut parts = vec![
            format!("{} lines", counts.lines),
            format!("{} entries of {}", counts.entries, counts.bytes),
        ];
        for (count, what) in [
            (counts.leaving, "leaving"),
            (counts.copies, "copies"),
            (counts.waiting, "waiting"),
            (totals.fills, "filled"),
            (totals.writes, "written"),
            (totals.recalls, "recalled"),
            (totals.expired, "expired"),
            (totals.evicted, "evicted"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        parts.join(", ")
    }
}

/// `hi@5 at 9, shared`, `nothing at 9`
pub(super) fn told_filled(filled: &Filled) -> String {
    let copy = match filled.copy {
        Copied::No => String::new(),
        Copied::Shared => ", shared".to_owned(),
        Copied::Owned(token) => format!(", owned by {token}"),
    };
    let ttl = filled.value.as_ref().and_then(|value| value.ttl_ms);
    let ttl = ttl.map(|ttl_ms| format!(" for {ttl_ms}")).unwrap_or_default();
    format!("{}{ttl} at {}{copy}", told_value(filled), filled.at)
}

fn told_value(filled: &Filled) -> String {
    match &filled.value {
        None => "nothing".to_owned(),
        Some(value) => format!("{}@{}", String::from_utf8_lossy(&value.body), value.version),
    }
}

/// `written 7 over 5`
pub(super) fn told_written(written: &Written) -> String {
    let Written { version, replaced, sum } = written;
    let sum = sum.map(|sum| format!(" = {sum}")).unwrap_or_default();
    format!("written {version} over {replaced}{sum}")
}
