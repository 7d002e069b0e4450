//! A queue's bytes in a snapshot, in four kinds of blocks, so that no block holds all messages of a
//! large queue: what the queue is, each producer that waits, messages, and dedup ids. What can be
//! counted is not written.

use std::sync::Arc;

use super::codec::{
    put_bool, put_headers, put_reason, put_settings, read_bool, read_headers, read_reason,
    read_settings,
};
use super::state::{Claim, Consumer, Flight, Id, Kept, Producer, Queue, Slot, State, Wait};
use super::{Death, Extras, Totals};
use crate::codec::{DecodeError, Reader, put_len, put_option, put_str, put_u64};
use crate::lock::codec::{put_optional_guard, read_optional_guard};
use crate::{Name, SessionId, Timestamp, Token};

const READY: u8 = 0;
const DELAYED: u8 = 1;
const IN_FLIGHT: u8 = 2;
const PARKED: u8 = 3;

pub(crate) fn put_queue(out: &mut Vec<u8>, name: &Name, queue: &Queue) {
    put_str(out, name.as_str());
    put_settings(out, &queue.settings);
    let Totals { enqueued, delivered, redelivered, acked, dead, removed } = queue.totals;
    let totals = [enqueued, delivered, redelivered, acked, dead, removed];
    totals.into_iter().for_each(|total| put_u64(out, total));
    put_option(out, queue.retention_check.map(Timestamp::as_millis));
    put_len(out, queue.consumers.len());
    for (token, consumer) in &queue.consumers {
        put_u64(out, token.get());
        put_u64(out, consumer.session.get());
        put_u64(out, consumer.seq.get());
        put_u64(out, consumer.credits.into());
        put_u64(out, consumer.turn.get());
    }
    put_len(out, queue.claims.len());
    for (ticket, claim) in &queue.claims {
        put_u64(out, ticket.get());
        put_wait(out, &claim.wait);
        put_u64(out, claim.max.into());
        put_option(out, claim.visibility_ms);
    }
}

pub(crate) fn read_queue(reader: &mut Reader<'_>) -> Result<(Name, Queue), DecodeError> {
    let name = reader.name()?;
    let settings = read_settings(reader)?;
    let totals = Totals {
        enqueued: reader.u64()?,
        delivered: reader.u64()?,
        redelivered: reader.u64()?,
        acked: reader.u64()?,
        dead: reader.u64()?,
        removed: reader.u64()?,
    };
    let retention_check = reader.option("retention_check")?.map(Timestamp::from_millis);
    let consumers = reader.list(|reader| {
        let token = reader.token()?;
        let consumer = Consumer {
            session: reader.session()?,
            seq: reader.seq()?,
            credits: reader.u32()?,
            in_flight: 0,
            turn: reader.revision()?,
        };
        Ok((token, consumer))
    })?;
    let claims = reader.list(|reader| {
        let ticket = reader.token()?;
        let wait = read_wait(reader)?;
        let max = reader.u32()?;
        Ok((ticket, Claim { wait, max, visibility_ms: reader.option("visibility_ms")? }))
    })?;
    let sorted = consumers.is_sorted_by(|(a, _), (b, _)| a < b)
        && claims.is_sorted_by(|(a, _), (b, _)| a < b);
    if !sorted {
        return Err(DecodeError::OutOfOrder { what: "those who take from a queue" });
    }
    let (consumers, claims) = (consumers.into_iter().collect(), claims.into_iter().collect());
    Ok((name, Queue { settings, totals, retention_check, consumers, claims, ..Queue::default() }))
}

fn put_wait(out: &mut Vec<u8>, wait: &Wait) {
    put_u64(out, wait.session.get());
    put_u64(out, wait.seq.get());
    put_option(out, wait.deadline.map(Timestamp::as_millis));
    put_u64(out, wait.ahead.into());
    put_optional_guard(out, wait.guard.as_deref());
}

fn read_wait(reader: &mut Reader<'_>) -> Result<Wait, DecodeError> {
    let session = reader.session()?;
    let seq = reader.seq()?;
    let deadline = reader.option("deadline")?.map(Timestamp::from_millis);
    let ahead = reader.u32()?;
    let guard = read_optional_guard(reader)?;
    Ok(Wait { session, seq, deadline, guard, ahead })
}

pub(crate) fn put_producer(out: &mut Vec<u8>, name: &Name, ticket: Token, producer: &Producer) {
    put_str(out, name.as_str());
    put_u64(out, ticket.get());
    put_wait(out, &producer.wait);
    put_len(out, producer.messages.len());
    for kept in producer.messages.iter() {
        put_extras(out, kept.extras.as_deref());
        out.push(kept.priority);
        put_option(out, kept.delay_ms);
        put_bool(out, kept.dedup_id.is_some());
        if let Some(id) = &kept.dedup_id {
            put_str(out, id);
        }
        put_body(out, &kept.body);
    }
}

pub(crate) fn read_producer(
    reader: &mut Reader<'_>,
) -> Result<(Name, Token, Producer), DecodeError> {
    let (name, ticket) = (reader.name()?, reader.token()?);
    let wait = read_wait(reader)?;
    let messages = reader.list(|reader| {
        let extras = read_extras(reader)?;
        let priority = reader.u8()?;
        let delay_ms = reader.option("delay_ms")?;
        let has_id = read_bool(reader, "dedup_id")?;
        let dedup_id = if has_id { Some(Arc::from(reader.str()?)) } else { None };
        Ok(Kept { extras, priority, delay_ms, dedup_id, body: read_body(reader)? })
    })?;
    Ok((name, ticket, Producer { wait, messages: messages.into() }))
}

pub(crate) fn put_slot(out: &mut Vec<u8>, slot: &Slot) {
    put_u64(out, slot.number.get());
    put_u64(out, slot.enqueued_at.as_millis());
    put_u64(out, slot.deliveries.into());
    out.push(slot.priority);
    match &slot.state {
        State::Ready => out.push(READY),
        State::Delayed(until) => {
            out.push(DELAYED);
            put_u64(out, until.as_millis());
        }
        State::InFlight(flight) => {
            out.push(IN_FLIGHT);
            put_u64(out, flight.session.get());
            put_u64(out, flight.seq.get());
            put_option(out, flight.consumer.map(Token::get));
            put_u64(out, flight.token.get());
            put_u64(out, flight.deadline.as_millis());
        }
        State::Parked(reason) => {
            out.push(PARKED);
            put_reason(out, *reason);
        }
    }
    put_extras(out, slot.extras.as_deref());
    put_body(out, &slot.body);
}

pub(crate) fn read_slot(reader: &mut Reader<'_>) -> Result<Slot, DecodeError> {
    let number = reader.revision()?;
    let enqueued_at = reader.timestamp()?;
    let deliveries = reader.u32()?;
    let priority = reader.u8()?;
    let state = match reader.u8()? {
        READY => State::Ready,
        DELAYED => State::Delayed(reader.timestamp()?),
        IN_FLIGHT => State::InFlight(Box::new(Flight {
            session: reader.session()?,
            seq: reader.seq()?,
            consumer: reader.option("consumer")?.map(Token::new),
            token: reader.token()?,
            deadline: reader.timestamp()?,
        })),
        PARKED => State::Parked(read_reason(reader)?),
        tag => return Err(DecodeError::UnknownTag { what: "state", tag }),
    };
    let extras = read_extras(reader)?;
    let body = read_body(reader)?;
    Ok(Slot { number, enqueued_at, body, extras, deliveries, priority, state })
}

fn put_body(out: &mut Vec<u8>, body: &[u8]) {
    put_len(out, body.len());
    out.extend_from_slice(body);
}

fn read_body(reader: &mut Reader<'_>) -> Result<Arc<[u8]>, DecodeError> {
    let len = reader.len()?;
    Ok(Arc::from(reader.bytes(len)?))
}

fn put_extras(out: &mut Vec<u8>, extras: Option<&Extras>) {
    put_bool(out, extras.is_some());
    let Some(Extras { headers, group, death }) = extras else { return };
    put_headers(out, headers);
    put_bool(out, group.is_some());
    if let Some(group) = group {
        put_str(out, group);
    }
    put_bool(out, death.is_some());
    if let Some(Death { queue, message, reason, deliveries, at }) = death {
        put_str(out, queue.as_str());
        put_u64(out, message.get());
        put_reason(out, *reason);
        put_u64(out, (*deliveries).into());
        put_u64(out, at.as_millis());
    }
}

fn read_extras(reader: &mut Reader<'_>) -> Result<Option<Arc<Extras>>, DecodeError> {
    if !read_bool(reader, "extras")? {
        return Ok(None);
    }
    let headers = read_headers(reader)?;
    let grouped = read_bool(reader, "group")?;
    let group = if grouped { Some(Box::from(reader.str()?)) } else { None };
    let mut extras = Extras { headers, group, death: None };
    if read_bool(reader, "death")? {
        extras.death = Some(Death {
            queue: reader.name()?,
            message: reader.revision()?,
            reason: read_reason(reader)?,
            deliveries: reader.u32()?,
            at: reader.timestamp()?,
        });
    }
    Ok(Some(Arc::new(extras)))
}

pub(crate) fn put_id(out: &mut Vec<u8>, id: &Id) {
    put_u64(out, id.number.get());
    put_u64(out, id.at.as_millis());
    put_str(out, &id.text);
}

pub(crate) fn read_id(reader: &mut Reader<'_>) -> Result<Id, DecodeError> {
    let (number, at) = (reader.revision()?, reader.timestamp()?);
    Ok(Id { number, at, text: Arc::from(reader.str()?) })
}

impl Queue {
    /// Puts a message back that was read from a snapshot, and counts it.
    pub(crate) fn restore(&mut self, slot: Slot) -> Result<(), DecodeError> {
        if self.messages.last().is_some_and(|last| last.number >= slot.number) {
            return Err(DecodeError::OutOfOrder { what: "the messages of a queue" });
        }
        self.counts.bytes = self.counts.bytes.saturating_add(slot.bytes());
        match &slot.state {
            State::Ready => self.counts.ready += 1,
            State::Delayed(_) => self.counts.delayed += 1,
            State::InFlight(flight) => {
                self.counts.in_flight += 1;
                let consumer = flight.consumer.and_then(|token| self.consumers.get_mut(&token));
                if let Some(consumer) = consumer {
                    consumer.in_flight += 1;
                }
            }
            State::Parked(_) => self.counts.parked += 1,
        }
        self.messages.push(slot);
        Ok(())
    }

    /// Puts a dedup id back that was read from a snapshot.
    pub(crate) fn restore_id(&mut self, id: Id) -> Result<(), DecodeError> {
        if self.ids.last().is_some_and(|last| last.number >= id.number) {
            return Err(DecodeError::OutOfOrder { what: "the dedup ids of a queue" });
        }
        self.id_count += 1;
        self.ids.push(id);
        Ok(())
    }

    /// All numbers that were revisions once.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        let messages = self.messages.iter().map(|slot| slot.number.get());
        let flights = self.messages.iter().filter_map(|slot| Some(slot.flight()?.token.get()));
        let takers = self.consumers.iter().flat_map(|(t, c)| [t.get(), c.turn.get()]);
        let waits = self.claims.keys().chain(self.producers.keys()).map(|ticket| ticket.get());
        messages.chain(flights).chain(takers).chain(waits)
    }

    /// Each session that has something to do with the queue.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        let flights = self.messages.iter().filter_map(Slot::flight).map(|flight| flight.session);
        let consumers = self.consumers.values().map(|consumer| consumer.session);
        let claims = self.claims.values().map(|claim| claim.wait.session);
        let producers = self.producers.values().map(|producer| producer.wait.session);
        flights.chain(consumers).chain(claims).chain(producers)
    }
}
