//! What is asked of queues.

use holdfast_primitives::limits::{ENQUEUE_BYTES_MAX, MESSAGES_PER_REQUEST_MAX, SWEEP_MAX};
use holdfast_primitives::{
    self as machine, Command, MessagePlace, QueueChange, Receipts, RedriveFilter, Revision, Seq,
    Token,
};
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::{
    Claim, Consume, DeadReason, DeleteQueueRequest, EndQueueRequest, Enqueue, Error, Extend,
    NewMessage, PurgeQueueRequest, QueueSettings, Receipt, RedriveQueueRequest, Settle, Settlement,
    WhenFull,
};

use super::{invalid, name, unknown};
use crate::api::errors::error;

pub(in crate::api) fn enqueue(enqueue: Enqueue) -> Result<Command, Error> {
    let queue = name(&enqueue.queue)?;
    let count = enqueue.messages.len();
    if count == 0 || count > MESSAGES_PER_REQUEST_MAX {
        return Err(invalid(format!(
            "a request with {count} messages is not possible: enqueue 1 to \
             {MESSAGES_PER_REQUEST_MAX} at a time"
        )));
    }
    let messages = enqueue.messages.into_iter().map(message).collect::<Result<Vec<_>, _>>()?;
    let bytes: usize = messages.iter().map(machine::NewMessage::bytes).sum();
    if bytes > ENQUEUE_BYTES_MAX {
        let message = format!(
            "the messages have {bytes} bytes together, which is over the limit of \
             {ENQUEUE_BYTES_MAX} for one request: enqueue them in parts"
        );
        return Err(error(ErrorCode::TooLarge, message));
    }
    Ok(Command::Enqueue { queue, messages, wait_ms: enqueue.wait_ms })
}

fn message(message: NewMessage) -> Result<machine::NewMessage, Error> {
    let parsed = || {
        let mut parsed = machine::NewMessage::new(message.body)?.priority(message.priority)?;
        if !message.headers.is_empty() {
            let headers = message.headers.into_iter();
            let headers = headers.map(|h| machine::Header { name: h.name, value: h.value });
            parsed = parsed.headers(headers.collect())?;
        }
        if !message.group.is_empty() {
            parsed = parsed.group(message.group)?;
        }
        if let Some(delay_ms) = message.delay_ms {
            parsed = parsed.delay_ms(delay_ms)?;
        }
        if !message.dedup_id.is_empty() {
            parsed = parsed.dedup_id(message.dedup_id)?;
        }
        Ok(parsed)
    };
    parsed().map_err(|why: machine::MessageError| {
        let code = match why {
            machine::MessageError::BodyTooLarge { .. } => ErrorCode::MessageTooLarge,
            machine::MessageError::TooManyHeaders { .. }
            | machine::MessageError::HeadersTooLarge { .. }
            | machine::MessageError::NamelessHeader
            | machine::MessageError::BadGroup { .. }
            | machine::MessageError::BadDedupId { .. }
            | machine::MessageError::BadPriority { .. }
            | machine::MessageError::DelayTooLong { .. } => ErrorCode::InvalidRequest,
        };
        error(code, why.to_string())
    })
}

pub(in crate::api) fn consume(consume: &Consume) -> Result<Command, Error> {
    Ok(Command::Consume { queue: name(&consume.queue)?, credits: consume.credits })
}

pub(in crate::api) fn claim(claim: &Claim) -> Result<Command, Error> {
    let Claim { max, wait_ms, visibility_ms, .. } = *claim;
    Ok(Command::Claim { queue: name(&claim.queue)?, max: max.max(1), wait_ms, visibility_ms })
}

pub(in crate::api) fn end_queue_request(end: &EndQueueRequest) -> Result<Command, Error> {
    Ok(Command::EndQueueRequest { queue: name(&end.queue)?, seq: Seq::new(end.seq) })
}

pub(in crate::api) fn settle(settle: &Settle) -> Result<Command, Error> {
    let delay_ms = settle.delay_ms;
    let how = match Settlement::try_from(settle.how) {
        Ok(Settlement::Ack) => machine::Settlement::Ack,
        Ok(Settlement::Return) => machine::Settlement::Return { delay_ms },
        Ok(Settlement::Unseen) => machine::Settlement::Unseen,
        Ok(Settlement::Dead) => machine::Settlement::Dead,
        Err(_) => return Err(unknown("settlement", settle.how)),
    };
    if delay_ms > 0 && how != (machine::Settlement::Return { delay_ms }) {
        return Err(invalid(
            "`delay_ms` belongs to SETTLEMENT_RETURN: leave it out, or return the messages",
        ));
    }
    let (queue, receipts) = (name(&settle.queue)?, receipts(&settle.receipts)?);
    Ok(Command::Settle { queue, receipts, how })
}

pub(in crate::api) fn extend(extend: &Extend) -> Result<Command, Error> {
    let (queue, receipts) = (name(&extend.queue)?, receipts(&extend.receipts)?);
    Ok(Command::Extend { queue, receipts, visibility_ms: extend.visibility_ms })
}

fn receipts(receipts: &[Receipt]) -> Result<Receipts, Error> {
    let parsed = |receipt: &Receipt| machine::Receipt {
        message: Revision::new(receipt.message),
        token: Token::new(receipt.token),
    };
    match receipts {
        [one] => Ok(Receipts::one(parsed(one))),
        many => {
            Receipts::all(many.iter().map(parsed).collect()).map_err(|e| invalid(e.to_string()))
        }
    }
}

/// Settings that are to be otherwise. Those that a word stands for are spelled with it: no
/// dead-letter queue is an empty name, for ever is zero.
pub(in crate::api) fn settings(settings: &QueueSettings) -> Result<Box<QueueChange>, Error> {
    let dead_letter = match settings.dead_letter.as_deref() {
        None => None,
        Some("") => Some(None),
        Some(queue) => Some(Some(name(queue)?)),
    };
    let when_full = match WhenFull::try_from(settings.when_full) {
        Ok(WhenFull::Unspecified) => None,
        Ok(WhenFull::Refuse) => Some(machine::WhenFull::Refuse),
        Ok(WhenFull::Wait) => Some(machine::WhenFull::Wait),
        Err(_) => return Err(unknown("`when_full`", settings.when_full)),
    };
    Ok(Box::new(QueueChange {
        visibility_ms: settings.visibility_ms,
        max_deliveries: settings.max_deliveries,
        dead_letter,
        delay_ms: settings.delay_ms,
        max_messages: settings.max_messages,
        max_bytes: settings.max_bytes,
        max_message_bytes: settings.max_message_bytes,
        retention_ms: settings.retention_ms.map(|ms| (ms > 0).then_some(ms)),
        when_full,
        dedup_window_ms: settings.dedup_window_ms,
    }))
}

pub(in crate::api) fn delete(delete: &DeleteQueueRequest) -> Result<Command, Error> {
    Ok(Command::DeleteQueue { queue: name(&delete.queue)?, force: delete.force })
}

pub(in crate::api) fn purge(purge: &PurgeQueueRequest) -> Result<Command, Error> {
    Ok(Command::PurgeQueue { queue: name(&purge.queue)?, max: sweep(purge.max) })
}

pub(in crate::api) fn redrive(redrive: RedriveQueueRequest) -> Result<Command, Error> {
    let queue = name(&redrive.queue)?;
    let to = if redrive.to.is_empty() { None } else { Some(name(&redrive.to)?) };
    let reason = match DeadReason::try_from(redrive.reason) {
        Ok(DeadReason::Unspecified) => None,
        Ok(DeadReason::Deliveries) => Some(machine::DeadReason::Deliveries),
        Ok(DeadReason::Rejected) => Some(machine::DeadReason::Rejected),
        Ok(DeadReason::Expired) => Some(machine::DeadReason::Expired),
        Err(_) => return Err(unknown("reason", redrive.reason)),
    };
    let mut messages: Vec<_> = redrive.messages.into_iter().map(Revision::new).collect();
    if messages.len() > SWEEP_MAX as usize {
        return Err(invalid(format!(
            "{} messages are over the limit of {SWEEP_MAX}: redrive them in parts",
            messages.len()
        )));
    }
    messages.sort_unstable();
    messages.dedup();
    let group = (!redrive.group.is_empty()).then_some(redrive.group);
    let after = redrive.after.map(Revision::new);
    let only = RedriveFilter { messages, reason, group, after };
    Ok(Command::RedriveQueue { queue, to, only, max: sweep(redrive.max) })
}

fn sweep(max: u32) -> u32 {
    if max == 0 { SWEEP_MAX } else { max.min(SWEEP_MAX) }
}

pub(in crate::api) fn place(place: i32) -> Result<Option<MessagePlace>, Error> {
    use holdfast_proto::v1::MessagePlace as Wire;
    match Wire::try_from(place) {
        Ok(Wire::Unspecified) => Ok(None),
        Ok(Wire::Ready) => Ok(Some(MessagePlace::Ready)),
        Ok(Wire::Delayed) => Ok(Some(MessagePlace::Delayed)),
        Ok(Wire::InFlight) => Ok(Some(MessagePlace::InFlight)),
        Ok(Wire::Parked) => Ok(Some(MessagePlace::Parked)),
        Err(_) => Err(unknown("place", place)),
    }
}
