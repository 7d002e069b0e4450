//! Opening a log: which segments are alive, where the last one ends, and what they say together.
//!
//! The reasons for what is cut and what is refused are in the [module's head](super). When
//! [`recover`] returns, everything it returns is durable.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use super::record::{Head, Mark, Parsed, Placed};
use super::segment::{self, HEADER_BYTES, Header, Place, Scan, Segment, Spare};
use super::{LogOptions, OpenError};
use crate::raft::types::LogId;
use crate::storage::disk::{Disk, DiskFile};

/// A log as it was found.
pub(crate) struct Recovered {
    pub(crate) sealed: VecDeque<Segment>,
    pub(crate) active: Segment,
    pub(crate) spares: Vec<Spare>,
    /// Number for the next file.
    pub(crate) next_file: u64,
    pub(crate) head: Head,
    pub(crate) entries: VecDeque<Placed>,
}

struct Candidate {
    name: String,
    file: Arc<dyn DiskFile>,
    size: u64,
}

struct Link {
    candidate: Candidate,
    mark: Mark,
    scan: Scan,
}

/// Reads the log, checks it, and cuts a torn tail.
pub(crate) fn recover(disk: &dyn Disk, options: &LogOptions) -> Result<Recovered, OpenError> {
    segment::check_size(options)?;
    let read = OpenError::io("read");
    let names = segment::log_names(disk).map_err(read)?;
    let next_file = names.iter().filter_map(|name| segment::file_number(name)).max().unwrap_or(0);
    let (mut by_generation, mut unused) = sort_files(disk, names)?;
    let mut chain = live_chain(&mut by_generation)?;
    unused.extend(by_generation.into_values().map(|(_, candidate)| candidate));
    let last = chain.keys().next_back().copied().ok_or(OpenError::Missing)?;
    check_chain(&chain, last)?;
    let (head, entries) = replay(&chain)?;

    let cut = OpenError::io("cut behind its last whole record");
    let link = chain.remove(&last).ok_or(OpenError::Missing)?;
    let traces = link.scan.traces;
    let active = into_segment(link, last);
    make_durable(disk, &active, traces).map_err(cut)?;
    let sealed =
        chain.into_iter().map(|(generation, link)| into_segment(link, generation)).collect();
    let spares = keep_spares(disk, unused, options).map_err(OpenError::io("tidied"))?;
    Ok(Recovered { sealed, active, spares, next_file: next_file + 1, head, entries })
}

type Candidates = BTreeMap<u64, (Mark, Candidate)>;

/// Opens all files: those with a valid header by their generation, and the rest.
fn sort_files(
    disk: &dyn Disk,
    names: Vec<String>,
) -> Result<(Candidates, Vec<Candidate>), OpenError> {
    let mut by_generation = Candidates::new();
    let mut unused = Vec::new();
    for name in names {
        let open = || {
            let file = disk.open(&name)?;
            let size = file.size()?;
            let mut bytes = vec![0; size.min(HEADER_BYTES) as usize];
            file.read_at(&mut bytes, 0)?;
            io::Result::Ok((file, size, segment::parse_header(&bytes)))
        };
        let (file, size, header) = open().map_err(OpenError::io("read"))?;
        let candidate = Candidate { name, file, size };
        match header {
            Header::None => unused.push(candidate),
            Header::OtherVersion(version) => {
                return Err(OpenError::Version { file: candidate.name, version });
            }
            Header::Valid { generation, mark } => {
                let name = candidate.name.clone();
                if let Some((_, other)) = by_generation.insert(generation, (mark, candidate)) {
                    let why = format!("segment {generation} is also in file {}", other.name);
                    return Err(OpenError::corrupt(&name, 0, why));
                }
            }
        }
    }
    Ok((by_generation, unused))
}

/// Takes the segments that are alive out of the candidates. Reads from the newest back to the first
/// that the newest records say is still needed.
fn live_chain(candidates: &mut Candidates) -> Result<BTreeMap<u64, Link>, OpenError> {
    let mut chain: BTreeMap<u64, Link> = BTreeMap::new();
    let mut first_live = 0;
    while let Some((&generation, _)) = candidates.last_key_value()
        && generation >= first_live
        && let Some((mark, candidate)) = candidates.remove(&generation)
    {
        let mut bytes = vec![0; candidate.size as usize];
        candidate.file.read_at(&mut bytes, 0).map_err(OpenError::io("read"))?;
        let scan = segment::scan(&bytes, mark);
        for found in &scan.records {
            let said = match &found.parsed {
                Parsed::Checkpoint(head) => head.first_live,
                Parsed::Purge { first_live, .. } => *first_live,
                _ => 0,
            };
            first_live = first_live.max(said);
        }
        // A segment that was about to begin when the power failed: its predecessor is not sealed,
        // so nothing in it was acknowledged. It loses its header before anything else happens.
        if let Some(above) = chain.get(&(generation + 1))
            && above.scan.is_unused()
            && !scan.sealed
            && let Some(above) = chain.remove(&(generation + 1))
        {
            erase_header(&above.candidate).map_err(OpenError::io("tidied"))?;
        }
        chain.insert(generation, Link { candidate, mark, scan });
    }
    if let (1, Some(first)) = (chain.len(), chain.get(&1))
        && first.scan.is_unused()
    {
        return Err(OpenError::Missing);
    }
    if let Some((&first, link)) = chain.first_key_value()
        && first != first_live
        && first_live > 0
    {
        let why = format!("the log begins with segment {first_live}, which is not there");
        return Err(OpenError::corrupt(&link.candidate.name, 0, why));
    }
    Ok(chain)
}

/// Refuses what was durable and is not whole.
fn check_chain(chain: &BTreeMap<u64, Link>, last: u64) -> Result<(), OpenError> {
    let mut before: Option<u64> = None;
    for (&generation, Link { candidate, scan, .. }) in chain {
        let corrupt = |at, why: String| Err(OpenError::corrupt(&candidate.name, at, why));
        if before.is_some_and(|before| before + 1 != generation) {
            return corrupt(0, format!("the segment before segment {generation} is not there"));
        }
        before = Some(generation);
        if let Some((offset, error)) = &scan.foreign {
            return corrupt(*offset, error.to_string());
        }
        if scan.synced > scan.end {
            let why = format!("no valid record, but everything up to {} was synced", scan.synced);
            return corrupt(scan.end, why);
        }
        if scan.unclear {
            let why = "no valid record, and more behind it that looks like one than there can be";
            return corrupt(scan.end, why.into());
        }
        if generation < last && !scan.sealed {
            return corrupt(scan.end, format!("no valid record, but segment {last} follows"));
        }
        if generation == last && scan.sealed {
            return corrupt(0, format!("segment {} was begun and is not there", last + 1));
        }
        let first_is_checkpoint = match scan.records.first() {
            Some(found) => matches!(found.parsed, Parsed::Checkpoint(_)),
            None => generation == last && chain.len() > 1,
        };
        if !first_is_checkpoint {
            return corrupt(HEADER_BYTES, "the segment has no checkpoint".into());
        }
    }
    Ok(())
}

/// What all records say together.
fn replay(chain: &BTreeMap<u64, Link>) -> Result<(Head, VecDeque<Placed>), OpenError> {
    let mut head: Option<Head> = None;
    let mut entries = VecDeque::new();
    for (&generation, Link { candidate, mark, scan }) in chain {
        for found in &scan.records {
            let place = || Place {
                file: candidate.file.clone(),
                generation,
                mark: *mark,
                offset: found.offset,
                size: found.size,
            };
            replay_record(&mut head, &mut entries, &found.parsed, place)
                .map_err(|why| OpenError::corrupt(&candidate.name, found.offset, why))?;
        }
    }
    let head = head.ok_or(OpenError::Missing)?;
    if let (Some(purged), Some(first)) = (&head.purged, entries.front())
        && first.log_id.index != purged.index + 1
        && let Some((_, link)) = chain.first_key_value()
    {
        let why = format!("entry {} does not follow purged {purged}", first.log_id);
        return Err(OpenError::corrupt(&link.candidate.name, HEADER_BYTES, why));
    }
    Ok((head, entries))
}

fn replay_record(
    state: &mut Option<Head>,
    entries: &mut VecDeque<Placed>,
    parsed: &Parsed,
    place: impl FnOnce() -> Place,
) -> Result<(), String> {
    let head = match (parsed, state.as_mut()) {
        (Parsed::Checkpoint(checkpoint), None) => {
            *state = Some(checkpoint.clone());
            return Ok(());
        }
        (_, None) => return Err("the segment does not begin with a checkpoint".into()),
        (_, Some(head)) => head,
    };
    match parsed {
        Parsed::Checkpoint(checkpoint) if checkpoint == head => {}
        Parsed::Checkpoint(checkpoint) => {
            return Err(format!("the checkpoint says {checkpoint:?}, the log before {head:?}"));
        }
        Parsed::Entry(log_id) => {
            if !head.can_follow(log_id) {
                return Err(format!("entry {log_id} does not follow {:?}", head.last));
            }
            head.last = Some(*log_id);
            entries.push_back(Placed { log_id: *log_id, place: place() });
        }
        Parsed::Vote(vote) => head.vote = Some(*vote),
        Parsed::Committed(committed) => head.committed = *committed,
        Parsed::TruncateAfter(after) => {
            head.truncate_after(after.as_ref());
            let next = head.next_index();
            while entries.back().is_some_and(|placed| placed.log_id.index >= next) {
                entries.pop_back();
            }
        }
        Parsed::Purge { upto, first_live } => {
            head.purge(upto, *first_live);
            while entries.front().is_some_and(|placed| placed.log_id.index <= upto.index) {
                entries.pop_front();
            }
        }
        Parsed::Seal => {}
    }
    Ok(())
}

fn into_segment(link: Link, generation: u64) -> Segment {
    let Link { candidate, mark, scan } = link;
    let index = |log_id: &LogId| log_id.index;
    let indices = scan.records.iter().filter_map(|found| match &found.parsed {
        Parsed::Entry(log_id) => Some(index(log_id)),
        _ => None,
    });
    Segment {
        max_index: indices.max(),
        name: candidate.name,
        file: candidate.file,
        generation,
        mark,
        capacity: candidate.size,
        end: scan.end,
        synced: scan.end,
    }
}

/// Zeroes what a torn write left behind the end, and syncs what was read but perhaps never synced.
fn make_durable(disk: &dyn Disk, active: &Segment, traces: bool) -> io::Result<()> {
    if traces {
        let zeros = vec![0; (active.capacity - active.end) as usize];
        active.file.write_at(&zeros, active.end)?;
    }
    active.file.sync()?;
    disk.sync_dir()
}

fn erase_header(candidate: &Candidate) -> io::Result<()> {
    candidate.file.write_at(&[0; HEADER_BYTES as usize], 0)?;
    candidate.file.sync()
}

/// Keeps files of the right size for later segments, and removes the others.
fn keep_spares(
    disk: &dyn Disk,
    unused: Vec<Candidate>,
    options: &LogOptions,
) -> io::Result<Vec<Spare>> {
    let mut spares = Vec::new();
    for Candidate { name, file, size } in unused {
        if size == options.segment_bytes && spares.len() < options.spares_max {
            spares.push(Spare { name, file, capacity: size });
        } else {
            disk.remove(&name)?;
        }
    }
    Ok(spares)
}
