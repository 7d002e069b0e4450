//! A disk on which something else happens just before what is asked for.

use std::io;
use std::sync::Arc;

use crate::storage::{Disk, DiskFile};

/// Calls the hook with the operation and the name, if there is one, and goes on to the disk.
pub(crate) struct HookedDisk<F> {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) before: F,
}

impl<F: Fn(&str, &str) + Send + Sync> Disk for HookedDisk<F> {
    fn names(&self) -> io::Result<Vec<String>> {
        (self.before)("names", "");
        self.disk.names()
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn DiskFile>> {
        (self.before)("create", name);
        self.disk.create(name, len)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        (self.before)("open", name);
        self.disk.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        (self.before)("rename", from);
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        (self.before)("remove", name);
        self.disk.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        (self.before)("sync_dir", "");
        self.disk.sync_dir()
    }

    fn release(&self) -> io::Result<()> {
        self.disk.release()
    }
}
