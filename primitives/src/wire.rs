//! The bytes of a [`Batch`], as they stand in the log and travel to the followers.
//!
//! `version, proposed_at, count, sections`; a section is `session, confirmed, count, requests`; a
//! request is `seq, tag, fields`. A section's bytes do not depend on where it stands, so the
//! proposer may encode each as it arrives and join them with [`Batch::assemble`]. The golden
//! tests hold every byte; a change of the layout takes a new version.

use crate::codec::{DecodeError, Reader, put_len, put_option, put_str, put_u64};
use crate::{Batch, Command, Request, Section, Timestamp};

const VERSION: u8 = 1;

const OPEN_SESSION: u8 = 1;
const RESUME_SESSION: u8 = 2;
const RENEW_SESSIONS: u8 = 3;
const END_SESSION: u8 = 4;
const TICK: u8 = 5;
const ACQUIRE_LOCK: u8 = 6;
const RELEASE_LOCK: u8 = 7;
const CANCEL_ACQUIRE: u8 = 8;

impl Batch {
    /// The batch as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = head(self.proposed_at, self.sections.len(), 64 * self.sections.len());
        for section in &self.sections {
            section.encode_into(&mut out);
        }
        out
    }

    /// The bytes of a batch of `section_count` sections, each already encoded. They are the same
    /// that [`Batch::encode`] gives. The iterator must yield that many sections in all, but one
    /// slice may hold several of them.
    pub fn assemble<'a>(
        proposed_at: Timestamp,
        section_count: usize,
        sections: impl Iterator<Item = &'a [u8]>,
    ) -> Vec<u8> {
        let mut out = head(proposed_at, section_count, 64 * section_count);
        for section in sections {
            out.extend_from_slice(section);
        }
        out
    }

    /// Reads a batch back.
    ///
    /// # Errors
    /// If the bytes are not exactly one batch of a known version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.version(VERSION)?;
        let proposed_at = reader.timestamp()?;
        let sections = reader.list(read_section)?;
        reader.finish()?;
        Ok(Self { proposed_at, sections })
    }
}

impl Section {
    /// Appends the section's bytes to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        put_u64(out, self.session.get());
        put_u64(out, self.confirmed.get());
        put_len(out, self.requests.len());
        for request in &self.requests {
            put_u64(out, request.seq.get());
            put_command(out, &request.command);
        }
    }
}

fn head(proposed_at: Timestamp, section_count: usize, capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + capacity);
    out.push(VERSION);
    put_u64(&mut out, proposed_at.as_millis());
    put_len(&mut out, section_count);
    out
}

fn put_command(out: &mut Vec<u8>, command: &Command) {
    match command {
        Command::OpenSession { ttl_ms, name, secret_hash } => {
            out.push(OPEN_SESSION);
            put_u64(out, *ttl_ms);
            put_str(out, name);
            out.extend_from_slice(secret_hash);
        }
        Command::ResumeSession { session, secret_hash } => {
            out.push(RESUME_SESSION);
            put_u64(out, session.get());
            out.extend_from_slice(secret_hash);
        }
        Command::RenewSessions { sessions } => {
            out.push(RENEW_SESSIONS);
            put_len(out, sessions.len());
            for session in sessions {
                put_u64(out, session.get());
            }
        }
        Command::EndSession => out.push(END_SESSION),
        Command::Tick => out.push(TICK),
        Command::AcquireLock { name, wait_ms } => {
            out.push(ACQUIRE_LOCK);
            put_str(out, name.as_str());
            put_option(out, *wait_ms);
        }
        Command::ReleaseLock { name, token } => {
            out.push(RELEASE_LOCK);
            put_str(out, name.as_str());
            put_u64(out, token.get());
        }
        Command::CancelAcquire { name, seq } => {
            out.push(CANCEL_ACQUIRE);
            put_str(out, name.as_str());
            put_u64(out, seq.get());
        }
    }
}

fn read_section(reader: &mut Reader<'_>) -> Result<Section, DecodeError> {
    let session = reader.session()?;
    let confirmed = reader.seq()?;
    let requests = reader.list(|reader| {
        let seq = reader.seq()?;
        Ok(Request { seq, command: read_command(reader)? })
    })?;
    Ok(Section { session, confirmed, requests })
}

fn read_command(reader: &mut Reader<'_>) -> Result<Command, DecodeError> {
    Ok(match reader.u8()? {
        OPEN_SESSION => {
            let ttl_ms = reader.u64()?;
            let name = reader.str()?.to_owned();
            Command::OpenSession { ttl_ms, name, secret_hash: reader.hash()? }
        }
        RESUME_SESSION => {
            let session = reader.session()?;
            Command::ResumeSession { session, secret_hash: reader.hash()? }
        }
        RENEW_SESSIONS => Command::RenewSessions { sessions: reader.list(Reader::session)? },
        END_SESSION => Command::EndSession,
        TICK => Command::Tick,
        ACQUIRE_LOCK => {
            let name = reader.name()?;
            Command::AcquireLock { name, wait_ms: reader.option("wait_ms")? }
        }
        RELEASE_LOCK => {
            let name = reader.name()?;
            Command::ReleaseLock { name, token: reader.token()? }
        }
        CANCEL_ACQUIRE => {
            let name = reader.name()?;
            Command::CancelAcquire { name, seq: reader.seq()? }
        }
        tag => return Err(DecodeError::UnknownTag { what: "command", tag }),
    })
}
