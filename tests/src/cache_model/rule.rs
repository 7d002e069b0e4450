//! The rules of the protocol, each of which can be taken away to see what it is good for.

/// A rule. Its name says what holds while it is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A write becomes visible when all other copies are gone. Without it: at once.
    WriteWaitsForAcks,
    /// The cluster ends a session only after the client's own lease is over.
    ExpiryOnlyAfterLease,
    /// A hit counts only if the lease holds.
    HitChecksLease,
    /// A fill is not installed if a recall was seen that is not older.
    RecallBeatsOlderFill,
    /// A fill is not installed if a write was sent after it.
    OwnWriteBeatsEarlierFill,
    /// A fill is not installed if a copy that is not older was given back.
    LetGoBeatsOlderFill,
    /// A writer removes its own line before it sends the write.
    WriterDropsOwnLineFirst,
    /// What is read while somebody stands in line is not kept.
    PendingFillIsNotCacheable,
    /// The directory is part of the log.
    DirectorySurvivesFailover,
    /// Whoever resumes is sent the recalls that it has not answered.
    RecallsAreSentAgainAfterResume,
    /// An eviction is told with the revision of the dropped fill. Without it: "I have no copy".
    LetGoNamesRevision,
    /// Who asks as owner has dropped its shared copy, and is believed that once: if the request is
    /// carried out again, it may have a newer one, which is recalled. Without it, whatever copy it
    /// has is taken out of the directory each time.
    OwnFillIsBelievedOnce,
    /// What a write depends on is judged when it becomes visible. Without it: when it comes in.
    GuardJudgedAtVisibility,
    /// Nobody reads past an owner.
    OwnerIsRecalledBeforeARead,
    /// Only the owner can flush, by its token.
    OwnedFlushNeedsToken,
    /// A flush that is repeated is carried out once.
    FlushIsCarriedOutOnce,
    /// An owner that asks once more keeps its token.
    PresentOwnerKeepsItsToken,
    /// A recall carries the revision at which the copy was asked for. Without it: that at which
    /// the one who waits came in line, which may be older than the copy.
    RecallNamesItsOwnRevision,
    /// A copy that was filled anew counts as one that was not asked for yet.
    RefillClearsAsk,
    /// Letting go gives back an owned copy too.
    LetGoReturnsOwnedCopies,
    /// A client that closes stops its hits before it sends the end of its session.
    HitsStopBeforeTheEnd,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::WriteWaitsForAcks,
        Self::ExpiryOnlyAfterLease,
        Self::HitChecksLease,
        Self::RecallBeatsOlderFill,
        Self::OwnWriteBeatsEarlierFill,
        Self::LetGoBeatsOlderFill,
        Self::WriterDropsOwnLineFirst,
        Self::PendingFillIsNotCacheable,
        Self::DirectorySurvivesFailover,
        Self::RecallsAreSentAgainAfterResume,
        Self::LetGoNamesRevision,
        Self::OwnFillIsBelievedOnce,
        Self::GuardJudgedAtVisibility,
        Self::OwnerIsRecalledBeforeARead,
        Self::OwnedFlushNeedsToken,
        Self::FlushIsCarriedOutOnce,
        Self::PresentOwnerKeepsItsToken,
        Self::RecallNamesItsOwnRevision,
        Self::RefillClearsAsk,
        Self::LetGoReturnsOwnedCopies,
        Self::HitsStopBeforeTheEnd,
    ];
}
