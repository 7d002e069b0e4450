//! A disk in memory that forgets, when it crashes, what nobody has synced.
//!
//! For tests and for the simulator; it draws everything from the seeds it is given. [`SimDisk`] is
//! the machine's view: it crashes and injects faults. A node gets a [`Disk`] from
//! [`SimDisk::mount`]; a crash ends all mounts and all files opened through them, so that what is
//! left of a dead node can no longer write.
//!
//! What a crash does: every write since the file's last sync is, by itself, kept, lost, kept up to
//! a random byte, or kept in some of its sectors only, so a later write may survive an earlier one.
//! Creations, renames and removals since the last directory sync survive up to a random one of
//! them, in order, as on a journaling file system.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::storage::disk::{Disk, DiskFile};
use crate::storage::sim_content::{DirOp, FileOp, FileState, SplitMix};

/// The simulated disk, as its machine sees it. Clones are the same disk.
#[derive(Clone, Default)]
pub struct SimDisk {
    shared: Arc<Mutex<State>>,
}

/// What may be made to fail, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimFault {
    /// The next write to a file. Nothing of it is written.
    Write,
    /// The next sync of a file. Nothing of it becomes durable.
    Sync,
    /// The next sync of the directory.
    SyncDir,
    /// The next creation of a file, as on a full disk.
    Create,
}

#[derive(Default)]
struct State {
    epoch: u64,
    files: Vec<FileState>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<DirOp>,
    /// What fails, each after so many successes.
    faults: Vec<(SimFault, u64)>,
    syncs: u64,
    writes: u64,
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a node works with until the next crash.
    pub fn mount(&self) -> Arc<dyn Disk> {
        let epoch = self.state().epoch;
        Arc::new(Mount { disk: self.clone(), epoch })
    }

    /// The power fails: what was not synced is lost or torn, as the seed says, and all mounts end.
    pub fn crash(&self, seed: u64) {
        let mut random = SplitMix(seed);
        let mut state = self.state();
        state.epoch += 1;
        state.faults.clear();
        let kept = random.below(state.pending_names.len() + 1);
        let ops: Vec<DirOp> = state.pending_names.drain(..).take(kept).collect();
        for op in &ops {
            op.apply(&mut state.durable_names);
        }
        state.names = state.durable_names.clone();
        for file in &mut state.files {
            for op in std::mem::take(&mut file.pending) {
                op.survive(&mut file.durable, &mut random);
            }
            file.current = file.durable.clone();
        }
    }

    /// The process dies and the machine lives: nothing is lost, but all mounts end.
    pub fn kill(&self) {
        self.state().epoch += 1;
    }

    /// Makes the next operation of this kind fail.
    pub fn fail_next(&self, fault: SimFault) {
        self.fail_after(fault, 0);
    }

    /// Lets so many operations of this kind succeed, and makes the one after them fail.
    pub fn fail_after(&self, fault: SimFault, succeed: u64) {
        self.state().faults.push((fault, succeed));
    }

    /// How many file syncs have succeeded.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// How many file writes have succeeded.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// The content of a file, if there is one of this name.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(name).map(|&id| state.files[id].current.clone())
    }

    /// Puts a file there, durably: to damage one, or to plant one.
    pub fn set_content(&self, name: &str, content: Vec<u8>) {
        let mut state = self.state();
        let id = state.files.len();
        let durable = content.clone();
        state.files.push(FileState { current: content, durable, pending: Vec::new() });
        state.names.insert(name.to_owned(), id);
        state.durable_names.insert(name.to_owned(), id);
    }

    /// Takes a file away, durably.
    pub fn lose(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    /// The names of all files, in order.
    pub fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// A disk of its own with the same durable and pending content: to crash it in several ways.
    pub fn duplicate(&self) -> Self {
        let state = self.state();
        let files = state.files.iter().map(FileState::duplicate).collect();
        let copy = State {
            epoch: 0,
            files,
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            pending_names: state.pending_names.iter().map(DirOp::duplicate).collect(),
            ..State::default()
        };
        Self { shared: Arc::new(Mutex::new(copy)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn take_fault(&mut self, fault: SimFault) -> io::Result<()> {
        for (at, (waiting, succeed)) in self.faults.iter_mut().enumerate() {
            if *waiting == fault && *succeed == 0 {
                self.faults.remove(at);
                return Err(io::Error::other(format!("injected fault: {fault:?}")));
            }
            if *waiting == fault {
                *succeed -= 1;
            }
        }
        Ok(())
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("no file {name}"));
        self.names.get(name).copied().ok_or_else(missing)
    }

    fn change_names(&mut self, op: DirOp) {
        op.apply(&mut self.names);
        self.pending_names.push(op);
    }
}

/// A node's view, until the next crash.
struct Mount {
    disk: SimDisk,
    epoch: u64,
}

impl Mount {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        state_of(&self.disk, self.epoch)
    }

    fn file(&self, id: usize) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.disk.clone(), epoch: self.epoch, id })
    }
}

fn state_of(disk: &SimDisk, epoch: u64) -> io::Result<MutexGuard<'_, State>> {
    let state = disk.state();
    if state.epoch != epoch {
        return Err(io::Error::other("the simulated machine has crashed since"));
    }
    Ok(state)
}

impl Disk for Mount {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.state()?.names.keys().cloned().collect())
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state()?;
        state.take_fault(SimFault::Create)?;
        if state.names.contains_key(name) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("file {name}")));
        }
        let id = state.files.len();
        let mut file = FileState::default();
        file.change(FileOp::SetSize(len as usize));
        state.files.push(file);
        state.change_names(DirOp::Link(name.to_owned(), id));
        Ok(self.file(id))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let id = self.state()?.find(name)?;
        Ok(self.file(id))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state()?;
        state.find(from)?;
        state.change_names(DirOp::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state()?;
        state.find(name)?;
        state.change_names(DirOp::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state()?;
        state.take_fault(SimFault::SyncDir)?;
        state.pending_names.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }

    /// Nobody else could open it.
    fn release(&self) -> io::Result<()> {
        Ok(())
    }
}

struct SimFile {
    disk: SimDisk,
    epoch: u64,
    id: usize,
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        Ok(state_of(&self.disk, self.epoch)?.files[self.id].current.len() as u64)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut state = state_of(&self.disk, self.epoch)?;
        state.files[self.id].change(FileOp::SetSize(size as usize));
        Ok(())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let state = state_of(&self.disk, self.epoch)?;
        let content = &state.files[self.id].current;
        let range = offset as usize..offset as usize + buf.len();
        let bytes = content.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = state_of(&self.disk, self.epoch)?;
        state.take_fault(SimFault::Write)?;
        state.writes += 1;
        let op = FileOp::Write { offset: offset as usize, bytes: bytes.to_vec() };
        state.files[self.id].change(op);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = state_of(&self.disk, self.epoch)?;
        state.take_fault(SimFault::Sync)?;
        state.syncs += 1;
        let file = &mut state.files[self.id];
        for op in std::mem::take(&mut file.pending) {
            op.apply(&mut file.durable);
        }
        Ok(())
    }
}
