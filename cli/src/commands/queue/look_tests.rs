//! Tests of how queues are shown.

use std::time::Duration;

use holdfast_client::{QueueConsumer, QueueTotals};

use super::*;

/// A queue that has something of everything.
pub(in super::super) fn queue() -> QueueInfo {
    let settings = QueueSettings::default()
        .visibility(Duration::from_secs(30))
        .max_deliveries(20)
        .dead_letter(None)
        .delay(Duration::ZERO)
        .max_messages(10_000_000)
        .max_bytes(1 << 30)
        .max_message_bytes(1 << 20)
        .retention(None)
        .when_full(WhenFull::Refuse)
        .dedup_window(Duration::from_secs(300));
    let consumer = QueueConsumer {
        session_id: 9,
        session_name: "worker".into(),
        consumer: 77,
        credits: 16,
        in_flight: 2,
    };
    QueueInfo {
        name: "jobs/resize".into(),
        settings,
        ready: 3,
        delayed: 1,
        in_flight: 2,
        parked: 4,
        bytes: 3 << 19,
        oldest: Some(Duration::from_secs(5)),
        totals: QueueTotals { enqueued: 40, delivered: 36, redelivered: 6, ..Default::default() },
        consumers: vec![consumer],
        waiting_claims: 0,
        waiting_producers: 5,
    }
}

#[test]
fn several_are_a_table() {
    let rates = Rates { enqueued: 12.0, acked: 0.5, ..Rates::default() };
    let expect = "\
QUEUE        READY  DELAYED  IN FLIGHT  PARKED    BYTES  OLDEST  CONSUMERS
jobs/resize      3        1          2       4  1.5 MiB    5.0s          1
";
    assert_eq!(table(&[(queue(), None)], false), expect);
    let with_rates = table(&[(queue(), Some(rates)), (queue(), None)], true);
    let ends: Vec<&str> = with_rates.lines().map(|line| &line[line.len() - 13..]).collect();
    assert_eq!(ends, ["  IN/S  ACK/S", "    12    0.5", "     -      -"]);
}

#[test]
fn one_is_shown_in_full() {
    let expect = "\
QUEUE        READY  DELAYED  IN FLIGHT  PARKED    BYTES  OLDEST  CONSUMERS
jobs/resize      3        1          2       4  1.5 MiB    5.0s          1

0 claims wait for a message, 5 producers for room

SINCE IT WAS MADE        NOW
came in            40   12/s
delivered          36    0/s
  again             6    0/s
acknowledged        0  0.5/s
died                0    0/s
removed             0

SETTING
visibility         30.0s
max-deliveries     20
dead-letter        none: they are parked
delay              0ms
max-messages       10000000
max-bytes          1.0 GiB
max-message-bytes  1.0 MiB
retention          for ever
when-full          refuse
dedup-window       5m 0s

CONSUMER  CREDITS  IN FLIGHT  SESSION  NAME
      77       16          2        9  worker
";
    let rates = Rates { enqueued: 12.0, acked: 0.5, ..Rates::default() };
    assert_eq!(in_full(&queue(), Some(rates)), expect);
    let quiet = QueueInfo { consumers: Vec::new(), ..queue() };
    assert!(in_full(&quiet, None).ends_with("\n\nnobody consumes it\n"));
}

#[test]
fn an_object_has_everything() {
    let object = queue_json(&queue(), None);
    assert_eq!(object["name"], "jobs/resize");
    assert_eq!(object["oldest_ms"], 5_000);
    assert_eq!(object["consumers"][0]["session_name"], "worker");
    assert_eq!(object["totals"]["redelivered"], 6);
    assert_eq!(object["settings"]["retention_ms"], Value::Null);
    assert_eq!(object["settings"]["when_full"], "refuse");
    assert_eq!(object["per_second"], Value::Null);
}
