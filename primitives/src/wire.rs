//! The bytes of a [`Batch`], as they stand in the log and travel to the followers.
//!
//! `version, proposed_at, count, sections`, where the version also says how the disks are; a
//! section is `session, confirmed, count, requests`; a request is `seq, tag, fields`, with its
//! guard before the tag, if it has one. A section's bytes do not depend on where it stands, so the
//! proposer may encode each as it arrives and join them with [`Batch::assemble`]. The golden tests
//! hold every byte; a change of the layout takes a new version.

use bytes::Bytes;

use crate::cache::wire::{put_cache_command, read_cache_command};
use crate::codec::{DecodeError, Reader, put_len, put_option, put_str, put_u64};
use crate::lock::codec::{
    put_guard, put_names, put_terms, put_wants, read_guard, read_names, read_terms, read_wants,
};
use crate::queue::wire::{is_of_queues, put_queue_command, read_queue_command};
use crate::{
    Batch, Command, DiskState, Mode, Names, Request, Section, Terms, Timestamp, Token, Wants,
};

/// The version says how the disks are, too: it is as much higher as the number of their state.
const VERSION: u8 = 1;

const OPEN_SESSION: u8 = 1;
const RESUME_SESSION: u8 = 2;
const RENEW_SESSIONS: u8 = 3;
const END_SESSION: u8 = 4;
const TICK: u8 = 5;
const ACQUIRE_LOCK: u8 = 6;
const RELEASE_LOCK: u8 = 7;
const CANCEL_ACQUIRE: u8 = 8;
/// Stands before another command, with a guard.
const GUARDED: u8 = 9;
/// Any acquire but that of one lock, exclusively, on the usual terms.
const ACQUIRE_LOCKS: u8 = 10;
/// Any release but that of one lock.
const RELEASE_LOCKS: u8 = 11;
const UPGRADE_LOCK: u8 = 12;
const DOWNGRADE_LOCK: u8 = 13;
const FORCE_RELEASE: u8 = 14;

/// What most commands take, beside what they carry.
const COMMAND_BYTES_ABOUT: usize = 64;

impl Batch {
    /// The batch as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = self.sections.iter().map(Section::bytes_about).sum();
        let mut out = head((self.proposed_at, self.disk), self.sections.len(), bytes);
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
        disk: DiskState,
        section_count: usize,
        sections: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Vec<u8> {
        let bytes = sections.clone().map(<[u8]>::len).sum();
        let mut out = head((proposed_at, disk), section_count, bytes);
        for section in sections {
            out.extend_from_slice(section);
        }
        out
    }

    /// Reads a batch back. The bodies of messages are not copied: they share `bytes`.
    ///
    /// # Errors
    /// If the bytes are not exactly one batch of a known version.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        Self::read(Reader::sharing(bytes))
    }

    /// As [`Batch::decode`], of bytes that cannot be shared: bodies are copied.
    ///
    /// # Errors
    /// As there.
    pub fn decode_copy(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read(Reader::new(bytes))
    }

    fn read(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let version = reader.version(VERSION..=VERSION + DiskState::Overfull as u8)?;
        let disk = DiskState::from_number(version - VERSION).unwrap_or_default();
        let proposed_at = reader.timestamp()?;
        let sections = reader.list(read_section)?;
        reader.finish()?;
        Ok(Self { proposed_at, disk, sections })
    }
}

impl Section {
    /// About how many bytes it takes, and seldom more: a buffer of so many need not grow.
    pub fn bytes_about(&self) -> usize {
        let commands = self.requests.iter().map(|request| &request.command);
        COMMAND_BYTES_ABOUT
            + commands.map(|it| COMMAND_BYTES_ABOUT + it.bytes_carried()).sum::<usize>()
    }

    /// Appends the section's bytes to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        put_u64(out, self.session.get());
        put_u64(out, self.confirmed.get());
        put_len(out, self.requests.len());
        for request in &self.requests {
            put_u64(out, request.seq.get());
            if let Some(guard) = &request.guard {
                out.push(GUARDED);
                put_guard(out, guard);
            }
            put_command(out, &request.command);
        }
    }
}

fn head(
    (proposed_at, disk): (Timestamp, DiskState),
    section_count: usize,
    capacity: usize,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + capacity);
    out.push(VERSION + disk as u8);
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
            sessions.iter().for_each(|session| put_u64(out, session.get()));
        }
        Command::EndSession => out.push(END_SESSION),
        Command::Tick => out.push(TICK),
        Command::AcquireLock { wants, wait_ms, terms } => {
            put_acquire(out, wants, *terms);
            put_option(out, *wait_ms);
        }
        Command::ReleaseLock { names, token } => put_release(out, names, *token),
        Command::CancelAcquire { name, seq } => {
            out.push(CANCEL_ACQUIRE);
            put_str(out, name.as_str());
            put_u64(out, seq.get());
        }
        Command::UpgradeLock { name, token, wait_ms } => {
            out.push(UPGRADE_LOCK);
            put_str(out, name.as_str());
            put_u64(out, token.get());
            put_option(out, *wait_ms);
        }
        Command::DowngradeLock { name, token } => {
            out.push(DOWNGRADE_LOCK);
            put_str(out, name.as_str());
            put_u64(out, token.get());
        }
        Command::ForceRelease { name, token } => {
            out.push(FORCE_RELEASE);
            put_str(out, name.as_str());
            put_option(out, token.map(Token::get));
        }
        Command::CreateQueue { .. }
        | Command::ChangeQueue { .. }
        | Command::DeleteQueue { .. }
        | Command::PurgeQueue { .. }
        | Command::RedriveQueue { .. }
        | Command::Enqueue { .. }
        | Command::Consume { .. }
        | Command::Claim { .. }
        | Command::EndQueueRequest { .. }
        | Command::Settle { .. }
        | Command::Extend { .. } => put_queue_command(out, command),
        Command::CreateCache { .. }
        | Command::ChangeCache { .. }
        | Command::DeleteCache { .. }
        | Command::SweepCache { .. }
        | Command::FillLine { .. }
        | Command::WriteLine { .. }
        | Command::FlushLine { .. }
        | Command::LetLinesGo { .. }
        | Command::GiveUpLoad { .. }
        | Command::EndCacheRequest { .. } => put_cache_command(out, command),
    }
}

fn put_release(out: &mut Vec<u8>, names: &Names, token: Token) {
    if names.len() == 1 {
        out.push(RELEASE_LOCK);
        put_str(out, names.first().as_str());
    } else {
        out.push(RELEASE_LOCKS);
        put_names(out, names);
    }
    put_u64(out, token.get());
}

fn put_acquire(out: &mut Vec<u8>, wants: &Wants, terms: Terms) {
    if is_plain(wants, terms) {
        out.push(ACQUIRE_LOCK);
        put_str(out, wants.first().name.as_str());
    } else {
        out.push(ACQUIRE_LOCKS);
        put_terms(out, terms);
        put_wants(out, wants);
    }
}

/// Whether a wish for locks is of the kind that has a shorter spelling.
fn is_plain(wants: &Wants, terms: Terms) -> bool {
    wants.len() == 1 && wants.first().mode == Mode::Exclusive && terms == Terms::default()
}

fn read_section(reader: &mut Reader<'_>) -> Result<Section, DecodeError> {
    let session = reader.session()?;
    let confirmed = reader.seq()?;
    let requests = reader.list(|reader| {
        let seq = reader.seq()?;
        let mut tag = reader.u8()?;
        let mut guard = None;
        if tag == GUARDED {
            guard = Some(read_guard(reader)?);
            tag = reader.u8()?;
        }
        Ok(Request { seq, guard, command: read_command(tag, reader)? })
    })?;
    Ok(Section { session, confirmed, requests })
}

fn read_command(tag: u8, reader: &mut Reader<'_>) -> Result<Command, DecodeError> {
    Ok(match tag {
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
            let wants = Wants::one(reader.name()?, Mode::Exclusive);
            let wait_ms = reader.option("wait_ms")?;
            Command::AcquireLock { wants, wait_ms, terms: Terms::default() }
        }
        ACQUIRE_LOCKS => {
            let terms = read_terms(reader)?;
            let wants = read_wants(reader)?;
            if is_plain(&wants, terms) {
                return Err(DecodeError::NotShortest { what: "a wish for locks" });
            }
            Command::AcquireLock { wants, wait_ms: reader.option("wait_ms")?, terms }
        }
        RELEASE_LOCK => {
            let names = Names::one(reader.name()?);
            Command::ReleaseLock { names, token: reader.token()? }
        }
        RELEASE_LOCKS => {
            let names = read_names(reader)?;
            if names.len() == 1 {
                return Err(DecodeError::NotShortest { what: "a release" });
            }
            Command::ReleaseLock { names, token: reader.token()? }
        }
        CANCEL_ACQUIRE => {
            let name = reader.name()?;
            Command::CancelAcquire { name, seq: reader.seq()? }
        }
        UPGRADE_LOCK => {
            let (name, token) = (reader.name()?, reader.token()?);
            Command::UpgradeLock { name, token, wait_ms: reader.option("wait_ms")? }
        }
        DOWNGRADE_LOCK => {
            let name = reader.name()?;
            Command::DowngradeLock { name, token: reader.token()? }
        }
        FORCE_RELEASE => {
            let name = reader.name()?;
            Command::ForceRelease { name, token: reader.option("token")?.map(Token::new) }
        }
        tag if is_of_queues(tag) => return read_queue_command(tag, reader),
        tag => return read_cache_command(tag, reader),
    })
}
