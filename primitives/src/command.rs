//! What can be asked of the machine. One enum: a variant is one kind of change.

use crate::{
    CacheChange, Change, DeadReason, Fill, LineName, LineWrite, Name, Names, NewMessage,
    QueueChange, Receipts, Revision, Seq, SessionId, Settlement, Terms, Token, Wants,
};

/// A change to the state, as it stands in the replicated log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Opens a session. Stands in an anonymous section.
    OpenSession {
        /// How long the session lives without a renewal.
        ttl_ms: u64,
        /// For people to read; it need not be unique.
        name: String,
        /// Hash of the secret that proves who owns the session.
        secret_hash: [u8; 32],
    },
    /// Proves ownership on a new connection, and renews. Stands in an anonymous section.
    ResumeSession {
        /// Which session.
        session: SessionId,
        /// Hash of the secret that the client presented.
        secret_hash: [u8; 32],
    },
    /// Renews many sessions at once; those that are gone are passed over. Anonymous section.
    RenewSessions {
        /// Which sessions.
        sessions: Vec<SessionId>,
    },
    /// Ends the section's session and gives up all it holds and waits for.
    EndSession,
    /// Moves the lease clock, so that what is due expires. Anonymous section.
    Tick,
    /// Asks for one lock, or for several that are granted together or not at all.
    AcquireLock {
        /// Which locks, in which modes.
        wants: Wants,
        /// How long to wait in line: `Some(0)` not at all, `None` until the session ends.
        wait_ms: Option<u64>,
        /// What is special about the request.
        terms: Terms,
    },
    /// Gives back what was granted by one token: all of the named locks, or none if one of them is
    /// not held by it.
    ReleaseLock {
        /// Which locks.
        names: Names,
        /// The grant that is given back.
        token: Token,
    },
    /// Withdraws an earlier request for locks of the same session: one that waits leaves the line,
    /// one that was granted and is still held is released, anything else is left as it is.
    CancelAcquire {
        /// Which lock was asked for: of several, the first by name.
        name: Name,
        /// The number of that request.
        seq: Seq,
    },
    /// Turns a shared grant into an exclusive one with a token of its own, as soon as nobody else
    /// shares the lock. It stands before all that wait in line, since it holds the lock already.
    UpgradeLock {
        /// Which lock.
        name: Name,
        /// The shared grant.
        token: Token,
        /// As in [`Command::AcquireLock`].
        wait_ms: Option<u64>,
    },
    /// Turns an exclusive grant into a shared one, by the same token.
    DowngradeLock {
        /// Which lock.
        name: Name,
        /// The exclusive grant.
        token: Token,
    },
    /// Takes a lock from whoever holds it. For an administrator; stands in an anonymous section.
    ForceRelease {
        /// Which lock.
        name: Name,
        /// Which grant, or `None` for all of them. A delay after an expiry ends as well.
        token: Option<Token>,
    },
    /// Makes a queue, with the default settings but for those named. If it is there with the same
    /// settings already, that is as good. Anonymous section.
    CreateQueue {
        /// Which queue.
        queue: Name,
        /// What is not as by default.
        settings: Box<QueueChange>,
    },
    /// Changes some settings of a queue. Anonymous section.
    ChangeQueue {
        /// Which queue.
        queue: Name,
        /// What is to be otherwise.
        change: Box<QueueChange>,
    },
    /// Removes a queue. Its consumers, and who waits at it, are told. Anonymous section.
    DeleteQueue {
        /// Which queue.
        queue: Name,
        /// Even if there are messages in it.
        force: bool,
    },
    /// Removes the oldest messages that are not in flight. Anonymous section.
    PurgeQueue {
        /// Which queue.
        queue: Name,
        /// How many at most; never more than [`crate::limits::SWEEP_MAX`].
        max: u32,
    },
    /// Gives dead letters another chance: those parked in the queue become ready again, and those
    /// that came from other queues go back there, or to `to`. Those that are not taken there stay,
    /// and do not hold up others. Anonymous section.
    RedriveQueue {
        /// Which queue: one with parked messages, or one to which dead letters go.
        queue: Name,
        /// Where they go instead.
        to: Option<Name>,
        /// Which.
        only: RedriveFilter,
        /// How many at most. No more than [`crate::limits::SWEEP_MAX`] are looked at.
        max: u32,
    },
    /// Adds messages: all of them, one after the other, or none. A queue that is not there is made.
    /// May stand in an anonymous section, but does not wait there.
    Enqueue {
        /// Which queue.
        queue: Name,
        /// One to [`crate::limits::MESSAGES_PER_REQUEST_MAX`].
        messages: Vec<NewMessage>,
        /// How long to wait for room. `None`: as the queue's setting says, and if it says to wait,
        /// until the session ends.
        wait_ms: Option<u64>,
    },
    /// Begins to consume: messages are pushed, as many at a time as there are credits, until the
    /// session ends or [`Command::EndQueueRequest`].
    Consume {
        /// Which queue. One that is not there is made.
        queue: Name,
        /// How many unsettled messages there may be: 1 to [`crate::limits::CREDITS_MAX`].
        credits: u32,
    },
    /// Takes messages once: as many as there are, up to `max` and to
    /// [`crate::limits::CLAIM_BYTES_MAX`], or the first that comes.
    Claim {
        /// Which queue. One that is not there is made.
        queue: Name,
        /// 1 to [`crate::limits::CLAIM_MAX`].
        max: u32,
        /// How long to wait for the first, as in [`Command::AcquireLock`].
        wait_ms: Option<u64>,
        /// How long the deliveries last, if not as the queue is set.
        visibility_ms: Option<u64>,
    },
    /// Withdraws an earlier request of the same session, by its number. A consumer gets nothing any
    /// more, but keeps what it has; a claim or a producer that waits leaves the line; what a claim
    /// was given already goes back as unseen; messages that were added stay.
    EndQueueRequest {
        /// Which queue.
        queue: Name,
        /// The number of that request.
        seq: Seq,
    },
    /// Settles deliveries: all of them, or none if one is not the session's.
    Settle {
        /// Which queue.
        queue: Name,
        /// Which deliveries.
        receipts: Receipts,
        /// What becomes of the messages.
        how: Settlement,
    },
    /// Makes deliveries last so long from now: all of them, or none if one is not the session's.
    Extend {
        /// Which queue.
        queue: Name,
        /// Which deliveries.
        receipts: Receipts,
        /// For how long: [`crate::limits::VISIBILITY_MS_MIN`] to
        /// [`crate::limits::VISIBILITY_MS_MAX`].
        visibility_ms: u64,
    },
    /// Makes a cache, with the default settings but for those named. If it is there with the same
    /// settings already, that is as good. Anonymous section.
    CreateCache {
        /// Which cache.
        cache: Name,
        /// What is not as by default.
        settings: Box<CacheChange>,
    },
    /// Changes some settings of a cache. Anonymous section.
    ChangeCache {
        /// Which cache.
        cache: Name,
        /// What is to be otherwise.
        change: Box<CacheChange>,
    },
    /// Removes a cache in which there are no lines any more. Anonymous section.
    DeleteCache {
        /// Which cache.
        cache: Name,
    },
    /// Removes the lines whose keys begin with a prefix, as soon as nobody has a copy of them.
    SweepCache {
        /// Which cache.
        cache: Name,
        /// Empty: all lines.
        prefix: String,
        /// How many at most; never more than [`crate::limits::SWEEP_MAX`].
        max: u32,
    },
    /// Reads a line, and may take a copy of it. A cache that is not there is made, if a copy is
    /// wanted. May stand in an anonymous section, but takes no copy there.
    FillLine {
        /// Which line.
        line: LineName,
        /// With which copy.
        how: Fill,
    },
    /// Writes to a line, as soon as nobody has a copy of it. A cache that is not there is made. May
    /// stand in an anonymous section.
    WriteLine {
        /// Which line.
        line: LineName,
        /// What.
        write: Box<LineWrite>,
    },
    /// Makes what the owner of a line has written visible.
    FlushLine {
        /// Which line.
        line: LineName,
        /// The token of its copy.
        token: Token,
        /// What was written, if anything was: put or deleted.
        change: Option<Change>,
        /// Whether it keeps the copy.
        keep: bool,
    },
    /// The session has no copies of these lines any more that were filled at that revision or
    /// before.
    LetLinesGo {
        /// Which cache.
        cache: Name,
        /// Up to [`crate::limits::LET_GO_MAX`] of its keys.
        lines: Vec<(Name, Revision)>,
    },
    /// Whoever was told to come up with a value does not.
    GiveUpLoad {
        /// Which line.
        line: LineName,
        /// By which token it was told.
        token: Token,
    },
    /// Withdraws an earlier fill of the same session, if it waits.
    EndCacheRequest {
        /// Which line.
        line: LineName,
        /// The number of that request.
        seq: Seq,
    },
}

/// Which dead letters are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedriveFilter {
    /// Only these messages, sorted; all if there are none.
    pub messages: Vec<Revision>,
    /// Only those that are dead for this reason.
    pub reason: Option<DeadReason>,
    /// Only those of this group.
    pub group: Option<String>,
    /// Only those with larger numbers. Whoever goes on from where an earlier request has ended says
    /// so, and is told how many stay even if they all do; without it that is a refusal.
    pub after: Option<Revision>,
}

/// A request that may be told to wait, or that has to be answered from the state for other reasons,
/// and by what its fate is looked up.
pub(crate) enum Fated<'a> {
    Lock(&'a Name),
    Locks(&'a Wants),
    Enqueue(&'a Name),
    Consume(&'a Name),
    Claim(&'a Name),
    Write(&'a LineName),
    Sweep(&'a Name),
}

impl Command {
    /// By what the fate of an earlier request is looked up, if not by its remembered answer alone.
    pub(crate) fn fated(&self) -> Option<Fated<'_>> {
        match self {
            Self::AcquireLock { wants, .. } => Some(Fated::Locks(wants)),
            Self::UpgradeLock { name, .. } => Some(Fated::Lock(name)),
            Self::Enqueue { queue, .. } => Some(Fated::Enqueue(queue)),
            Self::Consume { queue, .. } => Some(Fated::Consume(queue)),
            Self::Claim { queue, .. } => Some(Fated::Claim(queue)),
            Self::WriteLine { line, .. } => Some(Fated::Write(line)),
            Self::SweepCache { cache, .. } => Some(Fated::Sweep(cache)),
            Self::OpenSession { .. }
            | Self::ResumeSession { .. }
            | Self::RenewSessions { .. }
            | Self::EndSession
            | Self::Tick
            | Self::ReleaseLock { .. }
            | Self::CancelAcquire { .. }
            | Self::DowngradeLock { .. }
            | Self::ForceRelease { .. }
            | Self::CreateQueue { .. }
            | Self::ChangeQueue { .. }
            | Self::DeleteQueue { .. }
            | Self::PurgeQueue { .. }
            | Self::RedriveQueue { .. }
            | Self::EndQueueRequest { .. }
            | Self::Settle { .. }
            | Self::Extend { .. }
            | Self::CreateCache { .. }
            | Self::ChangeCache { .. }
            | Self::DeleteCache { .. }
            | Self::FillLine { .. }
            | Self::FlushLine { .. }
            | Self::LetLinesGo { .. }
            | Self::GiveUpLoad { .. }
            | Self::EndCacheRequest { .. } => None,
        }
    }

    /// How many bytes of bodies it brings.
    pub(crate) fn bytes_carried(&self) -> usize {
        let put = |change: &Change| match change {
            Change::Put { body, .. } => body.bytes().len(),
            Change::Delete | Change::Add(_) => 0,
        };
        match self {
            Self::Enqueue { messages, .. } => {
                messages.iter().map(|message| message.body.len()).sum()
            }
            Self::WriteLine { write, .. } => put(&write.change),
            Self::FlushLine { change: Some(change), .. } => put(change),
            _ => 0,
        }
    }

    /// Whether it is carried out again when it is sent again: it only reads, and the answer is then
    /// as good as new; or it withdraws such a read, which may be there once more. Of the first
    /// answer nothing need be remembered but its number.
    pub(crate) fn is_as_good_again(&self) -> bool {
        matches!(self, Self::FillLine { .. } | Self::EndCacheRequest { .. })
    }

    /// The command that withdraws this one, sent under that number, if it is one that goes on after
    /// it was answered: that may wait, or consumes.
    pub fn withdrawal(&self, seq: Seq) -> Option<Self> {
        if let Self::FillLine { line, .. } = self {
            return Some(Self::EndCacheRequest { line: line.clone(), seq });
        }
        Some(match self.fated()? {
            Fated::Lock(name) => Self::CancelAcquire { name: name.clone(), seq },
            Fated::Locks(wants) => Self::CancelAcquire { name: wants.first().name.clone(), seq },
            Fated::Enqueue(queue) | Fated::Consume(queue) | Fated::Claim(queue) => {
                Self::EndQueueRequest { queue: queue.clone(), seq }
            }
            // What was asked for is carried out, whether anybody waits for it or not.
            Fated::Write(_) | Fated::Sweep(_) => return None,
        })
    }
}
