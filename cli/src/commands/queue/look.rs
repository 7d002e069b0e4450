//! Queues as they are shown: a table of several, one in full, and both as objects.

use holdfast_client::{QueueInfo, QueueSettings, WhenFull};
use serde_json::{Value, json};

use super::rates::Rates;
use crate::commands::progress::show_rate;
use crate::counted::{agreed, counted};
use crate::duration::{ms, show};
use crate::size;
use crate::table::{Align, Table};

/// Several queues, with their rates if they were looked at twice.
pub(super) fn table(queues: &[(QueueInfo, Option<Rates>)], with_rates: bool) -> String {
    let mut columns = vec![
        ("QUEUE", Align::Left),
        ("READY", Align::Right),
        ("DELAYED", Align::Right),
        ("IN FLIGHT", Align::Right),
        ("PARKED", Align::Right),
        ("BYTES", Align::Right),
        ("OLDEST", Align::Right),
        ("CONSUMERS", Align::Right),
    ];
    if with_rates {
        columns.extend([("IN/S", Align::Right), ("ACK/S", Align::Right)]);
    }
    let mut table = Table::new(&columns);
    for (queue, rates) in queues {
        let mut row = vec![queue.name.clone()];
        row.extend(depth(queue));
        row.push(queue.consumers.len().to_string());
        if with_rates {
            row.push(show_rate(rates.map(|rates| rates.enqueued)));
            row.push(show_rate(rates.map(|rates| rates.acked)));
        }
        table.row(row);
    }
    table.render()
}

/// How full a queue is, as cells.
pub(super) fn depth(queue: &QueueInfo) -> [String; 6] {
    [
        queue.ready.to_string(),
        queue.delayed.to_string(),
        queue.in_flight.to_string(),
        queue.parked.to_string(),
        size::show(queue.bytes),
        queue.oldest.map_or_else(|| "-".into(), |age| show(ms(age))),
    ]
}

/// One queue: what is in it, what happened, how it is set, who consumes it.
pub(super) fn in_full(queue: &QueueInfo, rates: Option<Rates>) -> String {
    let QueueInfo { totals, .. } = queue;
    let rate = |of: fn(&Rates) -> f64| format!("{}/s", show_rate(rates.as_ref().map(of)));
    let mut happened = Table::new(&[
        ("SINCE IT WAS MADE", Align::Left),
        ("", Align::Right),
        ("NOW", Align::Right),
    ]);
    happened.row(["came in".into(), totals.enqueued.to_string(), rate(|r| r.enqueued)]);
    happened.row(["delivered".into(), totals.delivered.to_string(), rate(|r| r.delivered)]);
    happened.row(["  again".into(), totals.redelivered.to_string(), rate(|r| r.redelivered)]);
    happened.row(["acknowledged".into(), totals.acked.to_string(), rate(|r| r.acked)]);
    happened.row(["died".into(), totals.dead.to_string(), rate(|r| r.dead)]);
    happened.row(["removed".into(), totals.removed.to_string()]);
    let mut settings = Table::new(&[("SETTING", Align::Left), ("", Align::Left)]);
    for (name, value) in setting_cells(&queue.settings) {
        settings.row([name.into(), value]);
    }
    let waiting = format!(
        "{} {} for a message, {} for room\n",
        counted(queue.waiting_claims, "claim"),
        agreed(queue.waiting_claims, "waits", "wait"),
        counted(queue.waiting_producers, "producer")
    );
    let one = [(queue.clone(), None)];
    [table(&one, false), waiting, happened.render(), settings.render(), consumers(queue)].join("\n")
}

fn consumers(queue: &QueueInfo) -> String {
    if queue.consumers.is_empty() {
        return "nobody consumes it\n".into();
    }
    let mut table = Table::new(&[
        ("CONSUMER", Align::Right),
        ("CREDITS", Align::Right),
        ("IN FLIGHT", Align::Right),
        ("SESSION", Align::Right),
        ("NAME", Align::Left),
    ]);
    for consumer in &queue.consumers {
        table.row([
            consumer.consumer.to_string(),
            consumer.credits.to_string(),
            consumer.in_flight.to_string(),
            consumer.session_id.to_string(),
            consumer.session_name.clone(),
        ]);
    }
    table.render()
}

/// Every setting, called as its flag is.
fn setting_cells(settings: &QueueSettings) -> Vec<(&'static str, String)> {
    let time = |time: Option<_>| time.map_or_else(|| "-".into(), |time| show(ms(time)));
    let number = |number: Option<u64>| number.map_or_else(|| "-".into(), |n| n.to_string());
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "-".into(), size::show);
    let deliveries = match settings.max_deliveries {
        Some(0) => "no limit".into(),
        other => number(other.map(u64::from)),
    };
    let dead_letter = settings.dead_letter.clone().flatten();
    vec![
        ("visibility", time(settings.visibility)),
        ("max-deliveries", deliveries),
        ("dead-letter", dead_letter.unwrap_or_else(|| "none: they are parked".into())),
        ("delay", time(settings.delay)),
        ("max-messages", number(settings.max_messages)),
        ("max-bytes", bytes(settings.max_bytes)),
        ("max-message-bytes", bytes(settings.max_message_bytes)),
        ("retention", settings.retention.flatten().map_or("for ever".into(), |t| show(ms(t)))),
        ("when-full", settings.when_full.map_or("-", when_full).into()),
        ("dedup-window", time(settings.dedup_window)),
    ]
}

fn when_full(when: WhenFull) -> &'static str {
    match when {
        WhenFull::Refuse => "refuse",
        WhenFull::Wait => "wait",
    }
}

/// A queue as one object.
pub(super) fn queue_json(queue: &QueueInfo, rates: Option<Rates>) -> Value {
    let settings = &queue.settings;
    let consumers = queue.consumers.iter().map(|consumer| {
        json!({
            "consumer": consumer.consumer,
            "credits": consumer.credits,
            "in_flight": consumer.in_flight,
            "session_id": consumer.session_id,
            "session_name": consumer.session_name,
        })
    });
    json!({
        "name": queue.name,
        "ready": queue.ready,
        "delayed": queue.delayed,
        "in_flight": queue.in_flight,
        "parked": queue.parked,
        "bytes": queue.bytes,
        "oldest_ms": queue.oldest.map(ms),
        "waiting_claims": queue.waiting_claims,
        "waiting_producers": queue.waiting_producers,
        "consumers": consumers.collect::<Vec<_>>(),
        "totals": {
            "enqueued": queue.totals.enqueued,
            "delivered": queue.totals.delivered,
            "redelivered": queue.totals.redelivered,
            "acked": queue.totals.acked,
            "dead": queue.totals.dead,
            "removed": queue.totals.removed,
        },
        "per_second": rates.map(|rates| json!({
            "enqueued": rates.enqueued,
            "delivered": rates.delivered,
            "redelivered": rates.redelivered,
            "acked": rates.acked,
            "dead": rates.dead,
        })),
        "settings": {
            "visibility_ms": settings.visibility.map(ms),
            "max_deliveries": settings.max_deliveries,
            "dead_letter": settings.dead_letter.clone().flatten(),
            "delay_ms": settings.delay.map(ms),
            "max_messages": settings.max_messages,
            "max_bytes": settings.max_bytes,
            "max_message_bytes": settings.max_message_bytes,
            "retention_ms": settings.retention.flatten().map(ms),
            "when_full": settings.when_full.map(when_full),
            "dedup_window_ms": settings.dedup_window.map(ms),
        },
    })
}

#[cfg(test)]
#[path = "look_tests.rs"]
pub(super) mod tests;
