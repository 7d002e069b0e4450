//! One segment file: its header, its records, and how both are read back.
//!
//! ```text
//! magic 8 bytes | version u32 | 0 u32 | generation u64 | salt u64 | 28 zeros | crc32c u32
//! ```
//! Then come the records. The salt is drawn at random for each use of the file; both make the
//! records' [`Mark`]. The header lies within one sector. A file whose header is not valid holds
//! nothing: it is a spare.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::record::{self, Body, Head, Mark, Parsed, read_u32, read_u64};
use super::{LogOptions, OpenError};
use crate::raft::types::{Entry, LogId};
use crate::storage::codec::CodecError;
use crate::storage::disk::{Disk, DiskFile};

/// Bytes before the first record.
pub(crate) const HEADER_BYTES: u64 = 64;
const MAGIC: &[u8; 8] = b"HFLOGSEG";
const VERSION: u32 = 2;
/// In this version the salt was the same for all.
const UNSALTED_VERSION: u32 = 1;
const UNSALTED: u64 = 0x7473_6166_646c_6f48;
const NAME_PREFIX: &str = "log-";
const SEGMENT_BYTES_MIN: u64 = 512;
const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// Where an entry's record is.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) generation: u64,
    pub(crate) mark: Mark,
    pub(crate) offset: u64,
    pub(crate) size: u32,
}

/// A segment in use.
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) generation: u64,
    pub(crate) mark: Mark,
    /// Size of the file.
    pub(crate) capacity: u64,
    /// Where the next record goes.
    pub(crate) end: u64,
    /// Everything before this is durable.
    pub(crate) synced: u64,
    /// The highest index of any entry that was ever written to it.
    pub(crate) max_index: Option<u64>,
}

/// A file that waits to become a segment.
pub(crate) struct Spare {
    pub(crate) name: String,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) capacity: u64,
}

impl Spare {
    /// Creates a file and makes it durable, so that only its content is left to sync.
    pub(crate) fn create(disk: &dyn Disk, number: u64, capacity: u64) -> io::Result<Self> {
        let name = file_name(number);
        let file = disk.create(&name, capacity)?;
        file.sync()?;
        disk.sync_dir()?;
        Ok(Self { name, file, capacity })
    }

    /// Makes it the segment of this generation, durably. It has no records yet.
    pub(crate) fn begin(self, generation: u64) -> io::Result<Segment> {
        let salt = rand::random();
        self.file.write_at(&header(generation, salt), 0)?;
        self.file.sync()?;
        Ok(Segment {
            name: self.name,
            file: self.file,
            generation,
            mark: Mark::new(generation, salt),
            capacity: self.capacity,
            end: HEADER_BYTES,
            synced: HEADER_BYTES,
            max_index: None,
        })
    }
}

/// Begins a log in an empty directory. When this returns, the log is durable.
pub fn create_first(disk: &dyn Disk, options: &LogOptions) -> Result<(), OpenError> {
    check_size(options)?;
    let failed = OpenError::io("created");
    let create = || {
        for name in log_names(disk)? {
            disk.remove(&name)?;
        }
        disk.sync_dir()?;
        let segment = Spare::create(disk, 1, options.segment_bytes)?.begin(1)?;
        let head = Head { first_live: 1, ..Head::default() };
        let mut bytes = Vec::new();
        record::encode(&mut bytes, segment.mark, segment.synced, &Body::Checkpoint(&head));
        segment.file.write_at(&bytes, segment.end)?;
        segment.file.sync()
    };
    create().map_err(failed)
}

/// Whether there is any log: a file with a header and a checkpoint.
pub fn exists(disk: &dyn Disk) -> Result<bool, OpenError> {
    for file in log_names(disk).map_err(OpenError::io("read"))? {
        let probe = || {
            let file = disk.open(&file)?;
            let mut bytes = vec![0; file.size()?.min(SEGMENT_BYTES_MIN) as usize];
            file.read_at(&mut bytes, 0)?;
            io::Result::Ok(bytes)
        };
        let bytes = probe().map_err(OpenError::io("read"))?;
        match parse_header(&bytes) {
            Header::Valid { mark, .. }
                if record::decode(&bytes[HEADER_BYTES as usize..], mark).is_some() =>
            {
                return Ok(true);
            }
            Header::OtherVersion(version) => return Err(OpenError::Version { file, version }),
            Header::Valid { .. } | Header::None => {}
        }
    }
    Ok(false)
}

pub(crate) fn check_size(options: &LogOptions) -> Result<(), OpenError> {
    let segment_bytes = options.segment_bytes;
    if (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&segment_bytes) {
        return Ok(());
    }
    Err(OpenError::SegmentSize { segment_bytes, min: SEGMENT_BYTES_MIN, max: SEGMENT_BYTES_MAX })
}

/// The names of all segment files, spares included.
pub(crate) fn log_names(disk: &dyn Disk) -> io::Result<Vec<String>> {
    let mut names = disk.names()?;
    names.retain(|name| file_number(name).is_some());
    Ok(names)
}

pub(crate) fn file_name(number: u64) -> String {
    format!("{NAME_PREFIX}{number:08}")
}

pub(crate) fn file_number(name: &str) -> Option<u64> {
    name.strip_prefix(NAME_PREFIX)?.parse().ok()
}

fn header(generation: u64, salt: u64) -> [u8; HEADER_BYTES as usize] {
    let mut bytes = [0; HEADER_BYTES as usize];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&generation.to_le_bytes());
    bytes[24..32].copy_from_slice(&salt.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What the beginning of a file says.
pub(crate) enum Header {
    Valid { generation: u64, mark: Mark },
    OtherVersion(u32),
    None,
}

pub(crate) fn parse_header(bytes: &[u8]) -> Header {
    let Some(bytes) = bytes.get(..HEADER_BYTES as usize) else {
        return Header::None;
    };
    if &bytes[..8] != MAGIC || crc32c::crc32c(&bytes[..60]) != read_u32(bytes, 60) {
        return Header::None;
    }
    let salt = match read_u32(bytes, 8) {
        VERSION => read_u64(bytes, 24),
        UNSALTED_VERSION => UNSALTED,
        version => return Header::OtherVersion(version),
    };
    let generation = read_u64(bytes, 16);
    Header::Valid { generation, mark: Mark::new(generation, salt) }
}

/// One record of a scanned segment.
pub(crate) struct Found {
    pub(crate) offset: u64,
    pub(crate) size: u32,
    pub(crate) parsed: Parsed,
}

/// All that a segment file tells of its present use.
pub(crate) struct Scan {
    /// The records from the beginning up to the seal or the first that is not valid.
    pub(crate) records: Vec<Found>,
    /// Where they end.
    pub(crate) end: u64,
    /// Whether the last of them is the seal.
    pub(crate) sealed: bool,
    /// The most that any valid record, also behind the end, says was durable.
    pub(crate) synced: u64,
    /// Whether something behind the end looks like a record, whole or not.
    pub(crate) traces: bool,
    /// Whether more of it looks like records than a torn write can have left, so that it was not
    /// looked at to the end.
    pub(crate) unclear: bool,
    /// A record with a right checksum that makes no sense to this version.
    pub(crate) foreign: Option<(u64, CodecError)>,
}

impl Scan {
    /// Whether there is no record at all, also behind a first one that is damaged.
    pub(crate) fn is_unused(&self) -> bool {
        self.records.is_empty() && self.synced == 0 && !self.unclear
    }
}

/// Reads the records with this mark from the content of a segment file.
pub(crate) fn scan(bytes: &[u8], mark: Mark) -> Scan {
    let mut scan = Scan {
        records: Vec::new(),
        end: HEADER_BYTES,
        sealed: false,
        synced: 0,
        traces: false,
        unclear: false,
        foreign: None,
    };
    while !scan.sealed
        && let Some(raw) = record::decode(&bytes[scan.end as usize..], mark)
    {
        scan.synced = scan.synced.max(raw.synced);
        match record::parse(raw) {
            Ok(parsed) => {
                scan.sealed = parsed == Parsed::Seal;
                scan.records.push(Found { offset: scan.end, size: raw.size as u32, parsed });
            }
            Err(error) => {
                scan.foreign.get_or_insert((scan.end, error));
            }
        }
        scan.end += raw.size as u64;
    }
    scan_behind(bytes, mark, &mut scan);
    scan
}

/// Looks for what a torn write, or damage, has left behind the end. Records do not overlap, so all
/// that were ever written here have no more bytes than the file. Twice as many are summed up: some
/// lengths may be damaged.
fn scan_behind(bytes: &[u8], mark: Mark, scan: &mut Scan) {
    let mut at = scan.end as usize;
    let mut budget = 2 * bytes.len();
    while at + record::HEADER_BYTES <= bytes.len() {
        let mut step = record::ALIGN;
        if record::has_mark(&bytes[at..], mark) {
            scan.traces = true;
            let cost = record::decoded_bytes(&bytes[at..], mark);
            if cost > budget {
                scan.unclear = true;
                return;
            }
            budget -= cost;
            if let Some(raw) = record::decode(&bytes[at..], mark) {
                scan.synced = scan.synced.max(raw.synced);
                step = raw.size;
            }
        }
        at += step;
    }
}

/// Reads the entries at these places, which lie in one segment in this order. `None` if what is
/// there is something else: the segment was used again meanwhile, or it is damaged.
pub(crate) fn read_entries(places: &[(LogId, Place)]) -> io::Result<Option<Vec<Entry>>> {
    let ([(_, first), ..], [.., (_, last)]) = (places, places) else {
        return Ok(Some(Vec::new()));
    };
    let len = last.offset + u64::from(last.size) - first.offset;
    let mut buffer = vec![0; len as usize];
    first.file.read_at(&mut buffer, first.offset)?;
    let buffer = Bytes::from(buffer);
    let mut entries = Vec::with_capacity(places.len());
    for (log_id, place) in places {
        let start = (place.offset - first.offset) as usize;
        let bytes = buffer.slice(start..start + place.size as usize);
        match record::decode_entry(&bytes, place.mark) {
            Some(entry) if entry.log_id == *log_id => entries.push(entry),
            _ => return Ok(None),
        }
    }
    Ok(Some(entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: u64 = 0x1122_3344_5566_7788;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn golden_bytes() {
        let header = header(7, SALT);
        assert_eq!(
            hex(&header),
            "48464c4f475345470200000000000000070000000000000088776655443322110000000000000000\
            000000000000000000000000000000000000000094bde26b"
        );
        let Header::Valid { generation, mark } = parse_header(&header) else { panic!() };
        assert_eq!((generation, mark), (7, Mark::new(7, SALT)));
        let mut record = Vec::new();
        record::encode(&mut record, mark, 64, &Body::Committed(None));
        assert_eq!(
            hex(&record),
            "c25335ee010000008f7766554433221140000000000000001100000000000000\
            0000000000000000"
        );
    }

    #[test]
    fn a_segment_of_version_1_is_read() {
        let header = "48464c4f47534547010000000000000007000000000000000000000000000000\
            0000000000000000000000000000000000000000000000000000000024da43c6";
        let bytes: Vec<u8> = (0..header.len() / 2)
            .map(|at| u8::from_str_radix(&header[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let Header::Valid { generation, mark } = parse_header(&bytes) else { panic!() };
        assert_eq!((generation, mark), (7, Mark::new(7, 0x7473_6166_646c_6f48)));
    }

    #[test]
    fn a_segment_of_a_later_version_is_no_reason_to_call_the_log_lost() {
        let mut bytes = header(1, SALT);
        bytes[8] = 3;
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        let disk = crate::storage::SimDisk::new();
        disk.set_content(&file_name(1), bytes.to_vec());
        let found = exists(disk.mount().as_ref());
        assert!(matches!(found, Err(OpenError::Version { version: 3, .. })), "{found:?}");
    }

    #[test]
    fn what_is_behind_the_end_is_not_summed_up_again_and_again() {
        let mark = Mark::new(3, SALT);
        let mut bytes = vec![0; HEADER_BYTES as usize];
        record::encode(&mut bytes, mark, 64, &Body::Committed(None));
        let mut torn = Vec::new();
        record::encode(&mut torn, mark, 64, &Body::Seal);
        torn[0] ^= 1;
        bytes.extend_from_slice(&torn);
        let found = scan(&bytes, mark);
        assert!(found.traces && !found.unclear, "this is a torn write");
        // Many headers, each of which claims all that follows.
        for left in (0..1_000).rev() {
            torn[4..8].copy_from_slice(&(left * record::HEADER_BYTES as u32).to_le_bytes());
            bytes.extend_from_slice(&torn);
        }
        assert!(scan(&bytes, mark).unclear);
    }
}
