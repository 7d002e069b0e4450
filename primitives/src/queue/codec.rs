//! The bytes of what is particular to queues: settings, messages, receipts and filters. Used by the
//! log, by the snapshot, and by the answers in it.

use crate::codec::{DecodeError, Reader, put_len, put_option, put_str, put_u64};
use crate::queue::{
    DeadReason, Header, NewMessage, QueueChange, QueueSettings, Receipt, Receipts, Settlement,
    WhenFull,
};
use crate::{Name, RedriveFilter, Revision};

const DELIVERIES: u8 = 0;
const REJECTED: u8 = 1;
const EXPIRED: u8 = 2;

const ACK: u8 = 0;
const RETURN: u8 = 1;
const UNSEEN: u8 = 2;
const DEAD: u8 = 3;

const HEADERS: u8 = 1;
const GROUP: u8 = 1 << 1;
const PRIORITY: u8 = 1 << 2;
const DELAY: u8 = 1 << 3;
const DEDUP_ID: u8 = 1 << 4;

const VISIBILITY: u16 = 1;
const MAX_DELIVERIES: u16 = 1 << 1;
const DEAD_LETTER: u16 = 1 << 2;
const QUEUE_DELAY: u16 = 1 << 3;
const MAX_MESSAGES: u16 = 1 << 4;
const MAX_BYTES: u16 = 1 << 5;
const MAX_MESSAGE_BYTES: u16 = 1 << 6;
const RETENTION: u16 = 1 << 7;
const WHEN_FULL: u16 = 1 << 8;
const DEDUP_WINDOW: u16 = 1 << 9;
const CHANGES: u16 = (1 << 10) - 1;

pub(crate) fn put_bool(out: &mut Vec<u8>, is_set: bool) {
    out.push(u8::from(is_set));
}

pub(crate) fn read_bool(reader: &mut Reader<'_>, what: &'static str) -> Result<bool, DecodeError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        tag => Err(DecodeError::UnknownTag { what, tag }),
    }
}

fn put_name(out: &mut Vec<u8>, name: Option<&Name>) {
    put_bool(out, name.is_some());
    if let Some(name) = name {
        put_str(out, name.as_str());
    }
}

pub(crate) fn put_option_name(out: &mut Vec<u8>, name: Option<&Name>) {
    put_name(out, name);
}

pub(crate) fn read_option_name(
    reader: &mut Reader<'_>,
    what: &'static str,
) -> Result<Option<Name>, DecodeError> {
    if read_bool(reader, what)? { Ok(Some(reader.name()?)) } else { Ok(None) }
}

fn put_when_full(out: &mut Vec<u8>, when_full: WhenFull) {
    put_bool(out, when_full == WhenFull::Wait);
}

fn read_when_full(reader: &mut Reader<'_>) -> Result<WhenFull, DecodeError> {
    let waits = read_bool(reader, "when_full")?;
    Ok(if waits { WhenFull::Wait } else { WhenFull::Refuse })
}

pub(crate) fn put_reason(out: &mut Vec<u8>, reason: DeadReason) {
    out.push(match reason {
        DeadReason::Deliveries => DELIVERIES,
        DeadReason::Rejected => REJECTED,
        DeadReason::Expired => EXPIRED,
    });
}

pub(crate) fn read_reason(reader: &mut Reader<'_>) -> Result<DeadReason, DecodeError> {
    match reader.u8()? {
        DELIVERIES => Ok(DeadReason::Deliveries),
        REJECTED => Ok(DeadReason::Rejected),
        EXPIRED => Ok(DeadReason::Expired),
        tag => Err(DecodeError::UnknownTag { what: "reason", tag }),
    }
}

pub(crate) fn put_settings(out: &mut Vec<u8>, settings: &QueueSettings) {
    put_u64(out, settings.visibility_ms);
    put_u64(out, settings.max_deliveries.into());
    put_name(out, settings.dead_letter.as_ref());
    put_u64(out, settings.delay_ms);
    put_u64(out, settings.max_messages);
    put_u64(out, settings.max_bytes);
    put_u64(out, settings.max_message_bytes);
    put_option(out, settings.retention_ms);
    put_when_full(out, settings.when_full);
    put_u64(out, settings.dedup_window_ms);
}

pub(crate) fn read_settings(reader: &mut Reader<'_>) -> Result<QueueSettings, DecodeError> {
    Ok(QueueSettings {
        visibility_ms: reader.u64()?,
        max_deliveries: reader.u32()?,
        dead_letter: read_option_name(reader, "dead_letter")?,
        delay_ms: reader.u64()?,
        max_messages: reader.u64()?,
        max_bytes: reader.u64()?,
        max_message_bytes: reader.u64()?,
        retention_ms: reader.option("retention_ms")?,
        when_full: read_when_full(reader)?,
        dedup_window_ms: reader.u64()?,
    })
}

/// A number of flags, and then what they say is there.
pub(crate) fn put_change(out: &mut Vec<u8>, change: &QueueChange) {
    let flags = [
        (change.visibility_ms.is_some(), VISIBILITY),
        (change.max_deliveries.is_some(), MAX_DELIVERIES),
        (change.dead_letter.is_some(), DEAD_LETTER),
        (change.delay_ms.is_some(), QUEUE_DELAY),
        (change.max_messages.is_some(), MAX_MESSAGES),
        (change.max_bytes.is_some(), MAX_BYTES),
        (change.max_message_bytes.is_some(), MAX_MESSAGE_BYTES),
        (change.retention_ms.is_some(), RETENTION),
        (change.when_full.is_some(), WHEN_FULL),
        (change.dedup_window_ms.is_some(), DEDUP_WINDOW),
    ];
    let flags = flags.iter().filter(|(is_set, _)| *is_set).fold(0, |all, (_, flag)| all | flag);
    put_u64(out, flags.into());
    let mut put = |value: Option<u64>| {
        if let Some(value) = value {
            put_u64(out, value);
        }
    };
    put(change.visibility_ms);
    put(change.max_deliveries.map(u64::from));
    put(change.delay_ms);
    put(change.max_messages);
    put(change.max_bytes);
    put(change.max_message_bytes);
    put(change.dedup_window_ms);
    if let Some(dead_letter) = &change.dead_letter {
        put_name(out, dead_letter.as_ref());
    }
    if let Some(retention_ms) = change.retention_ms {
        put_option(out, retention_ms);
    }
    if let Some(when_full) = change.when_full {
        put_when_full(out, when_full);
    }
}

pub(crate) fn read_change(reader: &mut Reader<'_>) -> Result<QueueChange, DecodeError> {
    let flags = u16::try_from(reader.u64()?).map_err(|_| DecodeError::BadNumber)?;
    if flags > CHANGES {
        return Err(DecodeError::UnknownTag { what: "change", tag: (flags >> 8) as u8 });
    }
    let mut number = |flag: u16| {
        if flags & flag == 0 { Ok(None) } else { reader.u64().map(Some) }
    };
    let visibility_ms = number(VISIBILITY)?;
    let max_deliveries = number(MAX_DELIVERIES)?;
    let max_deliveries =
        max_deliveries.map(u32::try_from).transpose().map_err(|_| DecodeError::BadNumber)?;
    let delay_ms = number(QUEUE_DELAY)?;
    let max_messages = number(MAX_MESSAGES)?;
    let max_bytes = number(MAX_BYTES)?;
    let max_message_bytes = number(MAX_MESSAGE_BYTES)?;
    let dedup_window_ms = number(DEDUP_WINDOW)?;
    let mut change = QueueChange {
        visibility_ms,
        max_deliveries,
        dead_letter: None,
        delay_ms,
        max_messages,
        max_bytes,
        max_message_bytes,
        retention_ms: None,
        when_full: None,
        dedup_window_ms,
    };
    if flags & DEAD_LETTER != 0 {
        change.dead_letter = Some(read_option_name(reader, "dead_letter")?);
    }
    if flags & RETENTION != 0 {
        change.retention_ms = Some(reader.option("retention_ms")?);
    }
    if flags & WHEN_FULL != 0 {
        change.when_full = Some(read_when_full(reader)?);
    }
    Ok(change)
}

pub(crate) fn put_headers(out: &mut Vec<u8>, headers: &[Header]) {
    put_len(out, headers.len());
    for header in headers {
        put_str(out, &header.name);
        put_str(out, &header.value);
    }
}

pub(crate) fn read_headers(reader: &mut Reader<'_>) -> Result<Vec<Header>, DecodeError> {
    reader.list(|reader| {
        let name = reader.str()?.to_owned();
        Ok(Header { name, value: reader.str()?.to_owned() })
    })
}

/// One byte of flags, what they say is there, and the body.
pub(crate) fn put_message(out: &mut Vec<u8>, message: &NewMessage) {
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    out.push(
        flag(!message.headers.is_empty(), HEADERS)
            | flag(message.group.is_some(), GROUP)
            | flag(message.priority > 0, PRIORITY)
            | flag(message.delay_ms.is_some(), DELAY)
            | flag(message.dedup_id.is_some(), DEDUP_ID),
    );
    if !message.headers.is_empty() {
        put_headers(out, &message.headers);
    }
    if let Some(group) = &message.group {
        put_str(out, group);
    }
    if message.priority > 0 {
        out.push(message.priority);
    }
    if let Some(delay_ms) = message.delay_ms {
        put_u64(out, delay_ms);
    }
    if let Some(id) = &message.dedup_id {
        put_str(out, id);
    }
    put_len(out, message.body.len());
    out.extend_from_slice(&message.body);
}

pub(crate) fn read_message(reader: &mut Reader<'_>) -> Result<NewMessage, DecodeError> {
    let flags = reader.u8()?;
    if flags > (HEADERS | GROUP | PRIORITY | DELAY | DEDUP_ID) {
        return Err(DecodeError::UnknownTag { what: "message", tag: flags });
    }
    let not_shortest = DecodeError::NotShortest { what: "a message" };
    let has = |flag: u8| flags & flag != 0;
    let headers = if has(HEADERS) { read_headers(reader)? } else { Vec::new() };
    let group = if has(GROUP) { Some(reader.str()?.to_owned()) } else { None };
    let priority = if has(PRIORITY) { u32::from(reader.u8()?) } else { 0 };
    let delay_ms = if has(DELAY) { Some(reader.u64()?) } else { None };
    let dedup_id = if has(DEDUP_ID) { Some(reader.str()?.to_owned()) } else { None };
    if (has(HEADERS) && headers.is_empty()) || (has(PRIORITY) && priority == 0) {
        return Err(not_shortest);
    }
    let len = reader.len()?;
    let mut message = NewMessage::new(reader.body(len)?)?.headers(headers)?.priority(priority)?;
    if let Some(group) = group {
        message = message.group(group)?;
    }
    if let Some(delay_ms) = delay_ms {
        message = message.delay_ms(delay_ms)?;
    }
    if let Some(id) = dedup_id {
        message = message.dedup_id(id)?;
    }
    Ok(message)
}

pub(crate) fn put_receipts(out: &mut Vec<u8>, receipts: &Receipts) {
    put_len(out, receipts.len());
    for Receipt { message, token } in receipts.iter() {
        put_u64(out, message.get());
        put_u64(out, token.get());
    }
}

pub(crate) fn read_receipts(reader: &mut Reader<'_>) -> Result<Receipts, DecodeError> {
    let receipts = reader.list(|reader| {
        let message = reader.revision()?;
        Ok(Receipt { message, token: reader.token()? })
    })?;
    if !receipts.is_sorted_by(|a, b| a.message < b.message) {
        return Err(DecodeError::OutOfOrder { what: "receipts" });
    }
    Ok(Receipts::all(receipts)?)
}

pub(crate) fn put_settlement(out: &mut Vec<u8>, how: Settlement) {
    match how {
        Settlement::Ack => out.push(ACK),
        Settlement::Return { delay_ms } => {
            out.push(RETURN);
            put_u64(out, delay_ms);
        }
        Settlement::Unseen => out.push(UNSEEN),
        Settlement::Dead => out.push(DEAD),
    }
}

pub(crate) fn read_settlement(reader: &mut Reader<'_>) -> Result<Settlement, DecodeError> {
    match reader.u8()? {
        ACK => Ok(Settlement::Ack),
        RETURN => Ok(Settlement::Return { delay_ms: reader.u64()? }),
        UNSEEN => Ok(Settlement::Unseen),
        DEAD => Ok(Settlement::Dead),
        tag => Err(DecodeError::UnknownTag { what: "settlement", tag }),
    }
}

/// All but from where on, which follows later.
pub(crate) fn put_filter(out: &mut Vec<u8>, filter: &RedriveFilter) {
    put_len(out, filter.messages.len());
    filter.messages.iter().for_each(|message| put_u64(out, message.get()));
    put_bool(out, filter.reason.is_some());
    if let Some(reason) = filter.reason {
        put_reason(out, reason);
    }
    put_bool(out, filter.group.is_some());
    if let Some(group) = &filter.group {
        put_str(out, group);
    }
}

pub(crate) fn read_filter(reader: &mut Reader<'_>) -> Result<RedriveFilter, DecodeError> {
    let messages: Vec<Revision> = reader.list(Reader::revision)?;
    let reason = if read_bool(reader, "reason")? { Some(read_reason(reader)?) } else { None };
    let group = if read_bool(reader, "group")? { Some(reader.str()?.to_owned()) } else { None };
    Ok(RedriveFilter { messages, reason, group, after: None })
}
