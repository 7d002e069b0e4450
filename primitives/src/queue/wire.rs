//! The commands of queues as they stand in the log. Their tags follow on those in `wire.rs` of the
//! crate, which calls this for what it does not know.

use crate::codec::{DecodeError, Reader, put_len, put_option, put_str, put_u64};
use crate::queue::codec::{
    put_bool, put_change, put_filter, put_message, put_option_name, put_receipts, put_settlement,
    read_bool, read_change, read_filter, read_message, read_option_name, read_receipts,
    read_settlement,
};
use crate::{Command, Name, RedriveFilter};

const CREATE_QUEUE: u8 = 15;
const CHANGE_QUEUE: u8 = 16;
const DELETE_QUEUE: u8 = 17;
const PURGE_QUEUE: u8 = 18;
const REDRIVE_QUEUE: u8 = 19;
const ENQUEUE: u8 = 20;
const CONSUME: u8 = 21;
const CLAIM: u8 = 22;
const END_QUEUE_REQUEST: u8 = 23;
const SETTLE: u8 = 24;
const EXTEND: u8 = 25;

/// To redrive from some message on.
const REDRIVE_ON: u8 = 37;

/// Whether a command with this tag is one of queues.
pub(crate) fn is_of_queues(tag: u8) -> bool {
    matches!(tag, CREATE_QUEUE..=EXTEND | REDRIVE_ON)
}

/// Any other command than one of queues is none of its business, and leaves no bytes.
pub(crate) fn put_queue_command(out: &mut Vec<u8>, command: &Command) {
    match command {
        Command::CreateQueue { queue, settings } => {
            put_head(out, CREATE_QUEUE, queue);
            put_change(out, settings);
        }
        Command::ChangeQueue { queue, change } => {
            put_head(out, CHANGE_QUEUE, queue);
            put_change(out, change);
        }
        Command::DeleteQueue { queue, force } => {
            put_head(out, DELETE_QUEUE, queue);
            put_bool(out, *force);
        }
        Command::PurgeQueue { queue, max } => put_one(out, PURGE_QUEUE, queue, (*max).into()),
        Command::RedriveQueue { queue, to, only, max } => {
            put_redrive(out, queue, to.as_ref(), only, *max);
        }
        Command::Enqueue { queue, messages, wait_ms } => {
            put_head(out, ENQUEUE, queue);
            put_option(out, *wait_ms);
            put_len(out, messages.len());
            messages.iter().for_each(|message| put_message(out, message));
        }
        Command::Consume { queue, credits } => put_one(out, CONSUME, queue, (*credits).into()),
        Command::Claim { queue, max, wait_ms, visibility_ms } => {
            put_head(out, CLAIM, queue);
            put_u64(out, (*max).into());
            put_option(out, *wait_ms);
            put_option(out, *visibility_ms);
        }
        Command::EndQueueRequest { queue, seq } => {
            put_one(out, END_QUEUE_REQUEST, queue, seq.get());
        }
        Command::Settle { queue, receipts, how } => {
            put_head(out, SETTLE, queue);
            put_settlement(out, *how);
            put_receipts(out, receipts);
        }
        Command::Extend { queue, receipts, visibility_ms } => {
            put_head(out, EXTEND, queue);
            put_u64(out, *visibility_ms);
            put_receipts(out, receipts);
        }
        Command::OpenSession { .. }
        | Command::ResumeSession { .. }
        | Command::RenewSessions { .. }
        | Command::EndSession
        | Command::Tick
        | Command::AcquireLock { .. }
        | Command::ReleaseLock { .. }
        | Command::CancelAcquire { .. }
        | Command::UpgradeLock { .. }
        | Command::DowngradeLock { .. }
        | Command::ForceRelease { .. }
        | Command::CreateCache { .. }
        | Command::ChangeCache { .. }
        | Command::DeleteCache { .. }
        | Command::SweepCache { .. }
        | Command::FillLine { .. }
        | Command::WriteLine { .. }
        | Command::FlushLine { .. }
        | Command::LetLinesGo { .. }
        | Command::GiveUpLoad { .. }
        | Command::EndCacheRequest { .. } => {}
    }
}

/// The usual tag says that there is no message after which it goes on.
fn put_redrive(out: &mut Vec<u8>, queue: &Name, to: Option<&Name>, only: &RedriveFilter, max: u32) {
    put_head(out, if only.after.is_some() { REDRIVE_ON } else { REDRIVE_QUEUE }, queue);
    put_option_name(out, to);
    put_filter(out, only);
    put_u64(out, max.into());
    only.after.into_iter().for_each(|after| put_u64(out, after.get()));
}

fn put_one(out: &mut Vec<u8>, tag: u8, queue: &Name, number: u64) {
    put_head(out, tag, queue);
    put_u64(out, number);
}

fn put_head(out: &mut Vec<u8>, tag: u8, queue: &Name) {
    out.push(tag);
    put_str(out, queue.as_str());
}

/// The tag is [one of queues](is_of_queues).
pub(crate) fn read_queue_command(tag: u8, reader: &mut Reader<'_>) -> Result<Command, DecodeError> {
    let queue = reader.name()?;
    Ok(match tag {
        CREATE_QUEUE => Command::CreateQueue { queue, settings: Box::new(read_change(reader)?) },
        CHANGE_QUEUE => Command::ChangeQueue { queue, change: Box::new(read_change(reader)?) },
        DELETE_QUEUE => Command::DeleteQueue { queue, force: read_bool(reader, "force")? },
        PURGE_QUEUE => Command::PurgeQueue { queue, max: reader.u32()? },
        REDRIVE_QUEUE | REDRIVE_ON => {
            let to = read_option_name(reader, "to")?;
            let mut only = read_filter(reader)?;
            let max = reader.u32()?;
            if tag == REDRIVE_ON {
                only.after = Some(reader.revision()?);
            }
            Command::RedriveQueue { queue, to, only, max }
        }
        ENQUEUE => {
            let wait_ms = reader.option("wait_ms")?;
            Command::Enqueue { queue, messages: reader.list(read_message)?, wait_ms }
        }
        CONSUME => Command::Consume { queue, credits: reader.u32()? },
        CLAIM => {
            let max = reader.u32()?;
            let wait_ms = reader.option("wait_ms")?;
            let visibility_ms = reader.option("visibility_ms")?;
            Command::Claim { queue, max, wait_ms, visibility_ms }
        }
        END_QUEUE_REQUEST => Command::EndQueueRequest { queue, seq: reader.seq()? },
        SETTLE => {
            let how = read_settlement(reader)?;
            Command::Settle { queue, receipts: read_receipts(reader)?, how }
        }
        EXTEND => {
            let visibility_ms = reader.u64()?;
            Command::Extend { queue, receipts: read_receipts(reader)?, visibility_ms }
        }
        tag => return Err(DecodeError::UnknownTag { what: "command", tag }),
    })
}
