//! The words of a script that are about queues.

use holdfast_primitives::{
    Body, Command, DeadReason, Name, NewMessage, QueueChange, Receipt, Receipts, RedriveFilter,
    Revision, Seq, Settlement, Token, WhenFull,
};

use super::name;
use super::words::{millis, number};

pub(super) fn queue_command_of(words: &[&str]) -> Option<Command> {
    let queue = name(words.get(1)?);
    Some(match *words {
        ["create", _, ref settings @ ..] => {
            Command::CreateQueue { queue, settings: Box::new(change_of(settings)) }
        }
        ["change", _, ref settings @ ..] => {
            Command::ChangeQueue { queue, change: Box::new(change_of(settings)) }
        }
        ["delete", _] => Command::DeleteQueue { queue, force: false },
        ["delete", _, "force"] => Command::DeleteQueue { queue, force: true },
        ["purge", _, max] => Command::PurgeQueue { queue, max: number(max) as u32 },
        ["redrive", _, max, ref how @ ..] => redrive(queue, number(max) as u32, how),
        ["enqueue", _, messages, ref wait @ ..] => Command::Enqueue {
            queue,
            messages: messages.split(',').map(message_of).collect(),
            wait_ms: wait.first().map(|wait| millis(wait)),
        },
        ["consume", _, credits] => Command::Consume { queue, credits: number(credits) as u32 },
        ["claim", _, max, ref how @ ..] => {
            let (mut wait_ms, mut visibility_ms) = (None, None);
            for word in how {
                match word.strip_prefix("for=") {
                    Some(visibility) => visibility_ms = Some(millis(visibility)),
                    None => wait_ms = Some(millis(word)),
                }
            }
            Command::Claim { queue, max: number(max) as u32, wait_ms, visibility_ms }
        }
        ["stop", _, seq] => Command::EndQueueRequest { queue, seq: Seq::new(number(seq)) },
        ["ack", _, receipts] => settle(queue, receipts, Settlement::Ack),
        ["nack", _, receipts] => settle(queue, receipts, Settlement::Return { delay_ms: 0 }),
        ["nack", _, receipts, delay] => {
            settle(queue, receipts, Settlement::Return { delay_ms: millis(delay) })
        }
        ["unseen", _, receipts] => settle(queue, receipts, Settlement::Unseen),
        ["dead", _, receipts] => settle(queue, receipts, Settlement::Dead),
        ["extend", _, receipts, visibility] => Command::Extend {
            queue,
            receipts: receipts_of(receipts),
            visibility_ms: millis(visibility),
        },
        _ => return None,
    })
}

fn settle(queue: Name, receipts: &str, how: Settlement) -> Command {
    Command::Settle { queue, receipts: receipts_of(receipts), how }
}

/// `5/7,6/8`: message and token.
fn receipts_of(text: &str) -> Receipts {
    let receipt = |text: &str| {
        let (message, token) = text.split_once('/').expect("`MESSAGE/TOKEN`");
        let message = Revision::new(number(message));
        Receipt { message, token: Token::new(number(token)) }
    };
    Receipts::all(text.split(',').map(receipt).collect()).expect("good receipts")
}

/// `body!5@group+2s~id`: priority, group, delay and dedup id. `body*300` has 300 bytes.
fn message_of(text: &str) -> NewMessage {
    let at = text.find(['!', '@', '+', '~']).unwrap_or(text.len());
    let (body, mut rest) = text.split_at(at);
    let body = match body.split_once('*') {
        Some((body, bytes)) => body.chars().cycle().take(number(bytes) as usize).collect(),
        None => body.to_owned(),
    };
    let mut message = NewMessage::new(Body::from(body)).expect("a good body");
    while let Some(kind) = rest.chars().next() {
        let end = rest[1..].find(['!', '@', '+', '~']).map_or(rest.len(), |at| at + 1);
        let value = &rest[1..end];
        rest = &rest[end..];
        let next = match kind {
            '!' => message.priority(number(value) as u32),
            '@' => message.group(value.to_owned()),
            '+' => message.delay_ms(millis(value)),
            _ => message.dedup_id(value.to_owned()),
        };
        message = next.expect("a good message");
    }
    message
}

fn redrive(queue: Name, max: u32, how: &[&str]) -> Command {
    let (mut to, mut only) = (None, RedriveFilter::default());
    for word in how {
        match word.split_once('=').expect("`KEY=VALUE`") {
            ("to", target) => to = Some(name(target)),
            ("only", messages) => {
                only.messages = messages.split(',').map(|m| Revision::new(number(m))).collect();
            }
            ("group", group) => only.group = Some(group.to_owned()),
            ("after", message) => only.after = Some(Revision::new(number(message))),
            ("reason", reason) => only.reason = Some(reason_of(reason)),
            other => panic!("no such filter: {other:?}"),
        }
    }
    Command::RedriveQueue { queue, to, only, max }
}

fn reason_of(text: &str) -> DeadReason {
    match text {
        "deliveries" => DeadReason::Deliveries,
        "rejected" => DeadReason::Rejected,
        "expired" => DeadReason::Expired,
        _ => panic!("no such reason: {text:?}"),
    }
}

/// `visibility=5s tries=3 dead=q delay=1s messages=10 bytes=100 size=20 keep=60s full=wait
/// window=10s`; `dead=-` and `keep=-` for none.
fn change_of(words: &[&str]) -> QueueChange {
    let mut change = QueueChange::default();
    for word in words {
        let (key, value) = word.split_once('=').expect("`KEY=VALUE`");
        let is_some = value != "-";
        match key {
            "visibility" => change.visibility_ms = Some(millis(value)),
            "tries" => change.max_deliveries = Some(number(value) as u32),
            "dead" => change.dead_letter = Some(is_some.then(|| name(value))),
            "delay" => change.delay_ms = Some(millis(value)),
            "messages" => change.max_messages = Some(number(value)),
            "bytes" => change.max_bytes = Some(number(value)),
            "size" => change.max_message_bytes = Some(number(value)),
            "keep" => change.retention_ms = Some(is_some.then(|| millis(value))),
            "full" => {
                let waits = value == "wait";
                change.when_full = Some(if waits { WhenFull::Wait } else { WhenFull::Refuse });
            }
            "window" => change.dedup_window_ms = Some(millis(value)),
            _ => panic!("no such setting: {key:?}"),
        }
    }
    change
}
