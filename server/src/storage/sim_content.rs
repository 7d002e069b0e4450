//! What the simulated disk holds: files and names, and what is pending for each of them.
//!
//! Only [`crate::storage::sim_disk`] uses it; its head says what a crash does.

use std::collections::BTreeMap;

const SECTOR: usize = 512;

#[derive(Default)]
pub(crate) struct FileState {
    pub(crate) current: Vec<u8>,
    pub(crate) durable: Vec<u8>,
    pub(crate) pending: Vec<FileOp>,
}

pub(crate) enum FileOp {
    Write { offset: usize, bytes: Vec<u8> },
    SetSize(usize),
}

pub(crate) enum DirOp {
    Link(String, usize),
    Rename(String, String),
    Remove(String),
}

impl FileState {
    pub(crate) fn duplicate(&self) -> Self {
        let copy = |op: &FileOp| match op {
            FileOp::Write { offset, bytes } => {
                FileOp::Write { offset: *offset, bytes: bytes.clone() }
            }
            FileOp::SetSize(size) => FileOp::SetSize(*size),
        };
        Self {
            current: self.current.clone(),
            durable: self.durable.clone(),
            pending: self.pending.iter().map(copy).collect(),
        }
    }

    pub(crate) fn change(&mut self, op: FileOp) {
        op.apply(&mut self.current);
        self.pending.push(op);
    }
}

impl FileOp {
    pub(crate) fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(content, *offset, bytes),
            Self::SetSize(size) => content.resize(*size, 0),
        }
    }

    /// Applies as much of it as outlives a crash.
    pub(crate) fn survive(self, content: &mut Vec<u8>, random: &mut SplitMix) {
        let fate = random.below(4);
        match self {
            _ if fate == 0 => {}
            Self::Write { offset, bytes } if fate == 1 => {
                let kept = random.below(bytes.len() + 1);
                put(content, offset, &bytes[..kept]);
            }
            Self::Write { offset, bytes } if fate == 2 => {
                let mut at = 0;
                while at < bytes.len() {
                    let sector_end = SECTOR - (offset + at) % SECTOR;
                    let end = bytes.len().min(at + sector_end);
                    if random.below(2) == 0 {
                        put(content, offset + at, &bytes[at..end]);
                    }
                    at = end;
                }
            }
            op => op.apply(content),
        }
    }
}

impl DirOp {
    pub(crate) fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Link(name, id) => {
                names.insert(name.clone(), *id);
            }
            Self::Rename(from, to) => {
                if let Some(id) = names.remove(from) {
                    names.insert(to.clone(), id);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }

    pub(crate) fn duplicate(&self) -> Self {
        match self {
            Self::Link(name, id) => Self::Link(name.clone(), *id),
            Self::Rename(from, to) => Self::Rename(from.clone(), to.clone()),
            Self::Remove(name) => Self::Remove(name.clone()),
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

/// SplitMix64: a few lines that give the same numbers for ever.
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
