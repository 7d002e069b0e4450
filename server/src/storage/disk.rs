//! The little that storage asks of a disk, and the real one.
//!
//! A disk is one flat directory of files. All calls block until the kernel has answered. What was
//! written is safe only after [`DiskFile::sync`]; what was created, renamed or removed is safe only
//! after [`Disk::sync_dir`]. The callers rely on nothing else: the simulated disk
//! ([`crate::storage::sim_disk`]) loses everything that these two calls have not covered.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate};
use thiserror::Error;

const LOCK_NAME: &str = "lock";
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// One flat directory of files, this node's own.
pub trait Disk: Send + Sync {
    /// The names of all files, in order.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Creates a file of `len` zero bytes. They are written, not left as a hole, so that writing
    /// over them later changes no metadata. It is an error if the file exists.
    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file that exists, to read and to write.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, in place of a file that may have had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations, renames and removals durable.
    fn sync_dir(&self) -> io::Result<()>;
    /// How many bytes are free and how many there are in all, if there is an end to them.
    fn room(&self) -> io::Result<Option<DiskRoom>> {
        Ok(None)
    }
    /// Lets another process have the directory. Whoever still reads from it may go on.
    fn release(&self) -> io::Result<()>;
}

/// The room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskRoom {
    /// What is free.
    pub free: u64,
    /// All.
    pub size: u64,
}

/// An open file. It stays usable after it was renamed or removed.
pub trait DiskFile: Send + Sync {
    /// How many bytes it has.
    fn size(&self) -> io::Result<u64>;
    /// Cuts it, or lengthens it by zeros.
    fn set_size(&self, size: u64) -> io::Result<()>;
    /// Fills `buf` from this offset on. It is an error if the file ends before.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all bytes at this offset.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the content and the size durable.
    fn sync(&self) -> io::Result<()>;
}

/// Why a data directory could not be opened.
#[derive(Debug, Error)]
pub enum DiskError {
    /// Another process has it open.
    #[error(
        "the data directory {dir} is in use by another process; stop that process, or give this \
         node a data directory of its own"
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The operating system refused.
    #[error("the data directory {dir} cannot be opened: {source}; check that it can be written")]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// A directory of the machine's file system, locked against other processes while it is open.
#[derive(Debug)]
pub struct RealDisk {
    dir: PathBuf,
    handle: File,
    /// Locked until it is closed.
    lock: File,
}

impl RealDisk {
    /// Opens the directory, making it if need be.
    pub fn open(dir: &Path) -> Result<Self, DiskError> {
        let failed = |source| DiskError::Io { dir: dir.to_owned(), source };
        create_durably(dir).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let lock = options.open(dir.join(LOCK_NAME)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DiskError::InUse { dir: dir.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let handle = File::open(dir).map_err(failed)?;
        Ok(Self { dir: dir.to_owned(), handle, lock })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Makes the directory and those above it that are missing, each with its name on the disk, so that
/// a power cut cannot take the whole directory away.
fn create_durably(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_durably(parent)?;
    match std::fs::create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => File::open(parent)?.sync_all(),
    }
}

impl Disk for RealDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
                && name != LOCK_NAME
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        if let Err(error) = fill(&file, len) {
            // On a full disk, at least do not stand in the way.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn room(&self) -> io::Result<Option<DiskRoom>> {
        let disk = rustix::fs::fstatvfs(&self.handle)?;
        let [free, size] = [disk.f_bavail, disk.f_blocks].map(|blocks| blocks * disk.f_frsize);
        Ok(Some(DiskRoom { free, size }))
    }

    fn release(&self) -> io::Result<()> {
        self.lock.unlock()
    }
}

/// Writes zeros, into blocks that lie together if the file system can do that.
fn fill(file: &File, len: u64) -> io::Result<()> {
    if len > 0
        && let Err(error) = fallocate(file, FallocateFlags::empty(), 0, len)
        && error == rustix::io::Errno::NOSPC
    {
        return Err(error.into());
    }
    let mut written = 0;
    while written < len {
        let count = ZEROS.len().min(usize::try_from(len - written).unwrap_or(usize::MAX));
        file.write_all_at(&ZEROS[..count], written)?;
        written += count as u64;
    }
    Ok(())
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.0.set_len(size)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// The kernel refuses to sync a pipe. Who does not ask it to is not refused.
    fn unsyncable() -> File {
        let (reader, _) = io::pipe().unwrap();
        OwnedFd::from(reader).into()
    }

    #[test]
    fn a_sync_asks_the_kernel_and_tells_what_it_says() {
        let refused = RealFile(unsyncable()).sync().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{refused}");
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(dir.path()).unwrap();
        let inode = std::fs::metadata(dir.path()).unwrap().ino();
        assert_eq!(disk.handle.metadata().unwrap().ino(), inode, "another directory is synced");
        let disk = RealDisk { handle: unsyncable(), ..disk };
        let refused = disk.sync_dir().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{refused}");
    }

    #[test]
    fn a_directory_is_open_once() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(dir.path()).unwrap();
        let error = RealDisk::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains("in use by another process"), "{error}");
        disk.release().unwrap();
        RealDisk::open(dir.path()).unwrap();
    }

    #[test]
    fn files_are_created_renamed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(&dir.path().join("deep/er")).unwrap();
        let file = disk.create("a", 100_000).unwrap();
        assert_eq!(file.size().unwrap(), 100_000);
        assert!(disk.create("a", 1).is_err());
        file.write_at(b"hello", 99_995).unwrap();
        file.sync().unwrap();
        disk.rename("a", "b").unwrap();
        disk.sync_dir().unwrap();
        assert_eq!(disk.names().unwrap(), ["b"]);
        let mut buf = [0; 5];
        disk.open("b").unwrap().read_at(&mut buf, 99_995).unwrap();
        assert_eq!(&buf, b"hello");
        assert!(file.read_at(&mut buf, 99_996).is_err());
        disk.remove("b").unwrap();
        assert!(disk.names().unwrap().is_empty());
    }
}
