//! Rows out of two looks: the same for the terminal and for print.

use std::time::Duration;

use holdfast_client::{LockInfo, StatusResponse};

use super::sample::Sample;
use crate::commands::progress::{per_second, show_rate};
use crate::commands::status::{health, role_name};
use crate::counted::{agreed, counted};
use crate::duration::{ms, show};
use crate::size;
use crate::table::{Align, Table};

/// A title, columns and rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) columns: Vec<(&'static str, Align)>,
    pub(super) rows: Vec<Vec<String>>,
}

/// All that is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Picture {
    /// Nodes, locks, queues and caches.
    pub(super) panels: [Panel; 4],
    /// Nothing but the nodes was seen.
    pub(super) only_nodes: bool,
    pub(super) trouble: Option<String>,
}

/// What passed between two looks.
struct Since<'a> {
    before: Option<&'a Sample>,
    time: Duration,
}

impl Since<'_> {
    /// How much a count grew per second; `-` if that cannot be said.
    fn rate(&self, before: Option<u64>, now: u64) -> String {
        let grown = before.and_then(|before| now.checked_sub(before));
        show_rate(grown.map(|grown| per_second(grown, self.time)))
    }
}

impl Picture {
    /// What `now` shows, and what went on since `before`.
    pub(super) fn of(before: Option<&Sample>, now: &Sample) -> Self {
        let time = before.map_or(Duration::ZERO, |before| now.at.duration_since(before.at));
        let since = Since { before, time };
        let mut panels = [nodes(&since, now), locks(now), queues(&since, now), caches(&since, now)];
        let only_nodes = now.trouble.is_some();
        if only_nodes {
            // What was not seen is not nothing.
            for (panel, name) in panels[1..].iter_mut().zip(["LOCKS", "QUEUES", "CACHES"]) {
                panel.title = format!("{name}  unknown");
            }
        }
        let cut = now.is_cut.then(|| "only the first thousand of each are shown".to_owned());
        Self { panels, only_nodes, trouble: now.trouble.clone().or(cut) }
    }

    /// As text.
    pub(super) fn text(&self) -> String {
        let shown = if self.only_nodes { &self.panels[..1] } else { &self.panels };
        let panels = shown.iter().map(|panel| {
            let mut table = Table::new(&panel.columns);
            panel.rows.iter().for_each(|row| table.row(row.iter().cloned()));
            format!("{}\n{}", panel.title, table.render())
        });
        panels.collect::<Vec<_>>().join("\n")
    }
}

fn nodes(since: &Since<'_>, now: &Sample) -> Panel {
    let before = |endpoint: &str| -> Option<&StatusResponse> {
        let nodes = &since.before?.nodes;
        nodes.iter().find(|(name, _)| name == endpoint)?.1.as_ref().ok()
    };
    let rows = now.nodes.iter().map(|(endpoint, said)| match said {
        Ok(status) => vec![
            status.node_id.to_string(),
            endpoint.clone(),
            role_name(status.role()).into(),
            status.term.to_string(),
            status.applied_index.to_string(),
            status.committed_index.saturating_sub(status.applied_index).to_string(),
            since.rate(before(endpoint).map(|before| before.revision), status.revision),
            status.sessions.to_string(),
            health(status),
        ],
        Err(why) => {
            let blank = || "-".to_owned();
            let mut row = vec![blank(), endpoint.clone(), "unreachable".into()];
            row.extend((0..5).map(|_| blank()));
            row.push(why.split_whitespace().collect::<Vec<_>>().join(" "));
            row
        }
    });
    let rows: Vec<_> = rows.collect();
    let answering = now.nodes.iter().filter(|(_, said)| said.is_ok()).count();
    Panel {
        title: format!("NODES  {answering} of {} answer", now.nodes.len()),
        columns: vec![
            ("NODE", Align::Right),
            ("ENDPOINT", Align::Left),
            ("ROLE", Align::Left),
            ("TERM", Align::Right),
            ("APPLIED", Align::Right),
            ("BEHIND", Align::Right),
            ("COMMANDS/S", Align::Right),
            ("SESSIONS", Align::Right),
            ("HEALTH", Align::Left),
        ],
        rows,
    }
}

fn locks(now: &Sample) -> Panel {
    let mut locks: Vec<&LockInfo> = now.locks.iter().collect();
    locks.sort_by_key(|lock| (std::cmp::Reverse(lock.waiters.len()), &lock.name));
    let waiting: usize = locks.iter().map(|lock| lock.waiters.len()).sum();
    let rows = locks.iter().map(|lock| {
        let holder = lock.holders.first();
        let more = lock.holders.len().saturating_sub(1);
        let named = holder.map_or(String::new(), |holder| match holder.session_name.as_str() {
            "" => format!("session {}", holder.session_id),
            name => name.to_owned(),
        });
        let longest = lock.waiters.iter().map(|waiter| waiter.waiting).max();
        vec![
            lock.name.clone(),
            holder.map_or("-".into(), |holder| show(ms(holder.held))),
            if more > 0 { format!("{named} and {more} more") } else { named },
            holder.map_or("-".into(), |holder| holder.token.to_string()),
            lock.waiters.len().to_string(),
            longest.map_or("-".into(), |longest| show(ms(longest))),
        ]
    });
    Panel {
        rows: rows.collect(),
        title: format!(
            "LOCKS  {} in use, {} {}",
            locks.len(),
            counted(waiting, "request"),
            agreed(waiting, "waits", "wait")
        ),
        columns: vec![
            ("LOCK", Align::Left),
            ("HELD", Align::Right),
            ("BY", Align::Left),
            ("TOKEN", Align::Right),
            ("WAITERS", Align::Right),
            ("LONGEST", Align::Right),
        ],
    }
}

fn queues(since: &Since<'_>, now: &Sample) -> Panel {
    let before = |name: &str| {
        let queues = &since.before?.queues;
        queues.iter().find(|queue| queue.name == name).map(|queue| queue.totals)
    };
    let mut queues: Vec<_> = now.queues.iter().collect();
    queues.sort_by_key(|queue| {
        let moved = |totals: holdfast_client::QueueTotals| totals.enqueued + totals.acked;
        let was = before(&queue.name).map_or(moved(queue.totals), moved);
        let busy = moved(queue.totals).saturating_sub(was);
        (std::cmp::Reverse((busy, queue.ready + queue.in_flight)), &queue.name)
    });
    let messages: u64 = queues.iter().map(|q| q.ready + q.delayed + q.in_flight + q.parked).sum();
    let rows = queues.iter().map(|queue| {
        let was = before(&queue.name);
        vec![
            queue.name.clone(),
            queue.ready.to_string(),
            queue.delayed.to_string(),
            queue.in_flight.to_string(),
            queue.parked.to_string(),
            queue.oldest.map_or("-".into(), |age| show(ms(age))),
            queue.consumers.len().to_string(),
            since.rate(was.map(|was| was.enqueued), queue.totals.enqueued),
            since.rate(was.map(|was| was.acked), queue.totals.acked),
            since.rate(was.map(|was| was.redelivered), queue.totals.redelivered),
        ]
    });
    Panel {
        rows: rows.collect(),
        title: format!("QUEUES  {}, {}", queues.len(), counted(messages, "message")),
        columns: vec![
            ("QUEUE", Align::Left),
            ("READY", Align::Right),
            ("DELAYED", Align::Right),
            ("IN FLIGHT", Align::Right),
            ("DEAD", Align::Right),
            ("OLDEST", Align::Right),
            ("CONSUMERS", Align::Right),
            ("IN/S", Align::Right),
            ("ACKED/S", Align::Right),
            ("AGAIN/S", Align::Right),
        ],
    }
}

fn caches(since: &Since<'_>, now: &Sample) -> Panel {
    let before = |name: &str| {
        let caches = &since.before?.caches;
        caches.iter().find(|cache| cache.name == name).map(|cache| cache.totals)
    };
    let mut caches: Vec<_> = now.caches.iter().collect();
    caches.sort_by_key(|cache| {
        let moved = |totals: holdfast_client::CacheTotals| totals.fills + totals.writes;
        let was = before(&cache.name).map_or(moved(cache.totals), moved);
        (std::cmp::Reverse(moved(cache.totals).saturating_sub(was)), &cache.name)
    });
    let entries: u64 = caches.iter().map(|cache| cache.entries).sum();
    let rows = caches.iter().map(|cache| {
        let was = before(&cache.name);
        vec![
            cache.name.clone(),
            cache.entries.to_string(),
            size::show(cache.bytes),
            cache.copies.to_string(),
            cache.waiting.to_string(),
            since.rate(was.map(|was| was.fills), cache.totals.fills),
            since.rate(was.map(|was| was.writes), cache.totals.writes),
            since.rate(was.map(|was| was.recalls), cache.totals.recalls),
        ]
    });
    Panel {
        rows: rows.collect(),
        title: format!("CACHES  {}, {}", caches.len(), counted(entries, "entry")),
        columns: vec![
            ("CACHE", Align::Left),
            ("ENTRIES", Align::Right),
            ("BYTES", Align::Right),
            ("COPIES", Align::Right),
            ("WAITING", Align::Right),
            ("MISSES/S", Align::Right),
            ("WRITES/S", Align::Right),
            ("RECALLS/S", Align::Right),
        ],
    }
}

#[cfg(test)]
mod tests {
    use holdfast_client::Role;
    use tokio::time::Instant;

    use super::*;

    fn sample(at: Instant, revision: u64) -> Sample {
        let mut status = StatusResponse { node_id: 1, revision, ..Default::default() };
        status.set_role(Role::Leader);
        Sample {
            at,
            nodes: vec![("a:1".into(), Ok(status)), ("b:1".into(), Err("no\n way".into()))],
            locks: Vec::new(),
            queues: Vec::new(),
            caches: Vec::new(),
            is_cut: false,
            trouble: None,
        }
    }

    #[tokio::test]
    async fn rates_are_what_passed_between_two_looks() {
        let at = Instant::now();
        let (first, second) = (sample(at, 100), sample(at + Duration::from_secs(2), 150));
        let picture = Picture::of(Some(&first), &second);
        let nodes = &picture.panels[0];
        assert_eq!(nodes.title, "NODES  1 of 2 answer");
        assert_eq!(nodes.rows[0][6], "25");
        assert_eq!(nodes.rows[1][8], "no way");
        // Nothing can be said after one look, nor of a node that came back with less.
        assert_eq!(Picture::of(None, &second).panels[0].rows[0][6], "-");
        assert_eq!(Picture::of(Some(&second), &first).panels[0].rows[0][6], "-");
        for heading in ["NODES", "LOCKS", "QUEUES", "CACHES"] {
            assert!(picture.text().contains(heading));
        }
    }

    #[tokio::test]
    async fn what_was_not_seen_is_not_shown_as_nothing() {
        let blind = Sample { trouble: Some("no answer".into()), ..sample(Instant::now(), 1) };
        let picture = Picture::of(None, &blind);
        assert_eq!(picture.panels[2].title, "QUEUES  unknown");
        assert!(picture.text().starts_with("NODES  1 of 2 answer\n"));
        assert!(!picture.text().contains("QUEUES"));
    }
}
