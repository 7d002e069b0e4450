//! Disks of their own for the files of nodes: small ones that fill up, and ones whose power fails.
//!
//! They are mounted, which only root may do. Whoever cannot is told so, and what is missing.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How large a disk is whose power fails. Its image has holes, and takes what is written.
const IMAGE_BYTES: u64 = 1 << 30;

/// `EXT4_IOC_SHUTDOWN`: from now on the file system writes nothing any more.
const SHUTDOWN: rustix::ioctl::Opcode = 0x8004_587d;

/// What is left of what was not synced when the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Nothing: the journal of the file system ends with the last sync.
    Clean = 2,
    /// The journal is written to its end, so files have the length that they were given, without
    /// what was to stand there.
    Zeros = 1,
}

/// A mounted file system. It goes when it is dropped; all who have files open there must have
/// ended.
#[derive(Debug)]
pub struct Disk {
    dir: PathBuf,
    /// Where its blocks are, if it outlives the power.
    image: Option<PathBuf>,
    next_cut: Cut,
}

impl Disk {
    /// One in memory with so many bytes, mounted at `dir`, which is made.
    ///
    /// # Errors
    /// It cannot be mounted.
    pub fn small(dir: &Path, bytes: u64) -> Result<Self, String> {
        make(dir)?;
        let size = format!("size={bytes}");
        run("mount", &["-t", "tmpfs", "-o", &size, "holdfast-test", text(dir)])?;
        Ok(Self { dir: dir.to_owned(), image: None, next_cut: Cut::Clean })
    }

    /// One of ext4, mounted at `dir`, which is made.
    ///
    /// # Errors
    /// It cannot be made, or not be mounted.
    pub fn lasting(dir: &Path) -> Result<Self, String> {
        make(dir)?;
        let image = dir.with_extension("image");
        let file = File::create_new(&image).and_then(|file| file.set_len(IMAGE_BYTES));
        file.map_err(|e| format!("{} cannot be made: {e}", image.display()))?;
        run("mkfs.ext4", &["-q", "-F", text(&image)])?;
        let disk = Self { dir: dir.to_owned(), image: Some(image), next_cut: Cut::Clean };
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether its power can fail.
    pub fn is_lasting(&self) -> bool {
        self.image.is_some()
    }

    /// Its power fails: what was not synced until now never will be. Of each two times, one leaves
    /// zeros behind.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn cut_power(&mut self) -> Result<(), String> {
        let cut = self.next_cut;
        self.next_cut = match cut {
            Cut::Clean => Cut::Zeros,
            Cut::Zeros => Cut::Clean,
        };
        let root = File::open(&self.dir).map_err(|e| format!("{}: {e}", self.dir.display()))?;
        // SAFETY: this call reads one u32 and writes nothing.
        let done = unsafe {
            let how = rustix::ioctl::Setter::<SHUTDOWN, u32>::new(cut as u32);
            rustix::ioctl::ioctl(root.as_fd(), how)
        };
        done.map_err(|e| format!("{} does not shut down: {e}", self.dir.display()))
    }

    /// The power is back. Whoever had files open must have ended.
    ///
    /// # Errors
    /// It is in use, or what is left cannot be mounted.
    pub fn restore_power(&self) -> Result<(), String> {
        run("umount", &[text(&self.dir)])?;
        self.mount()
    }

    fn mount(&self) -> Result<(), String> {
        let image = self.image.as_deref().expect("only what lasts is mounted again");
        run("mount", &["-o", "loop", text(image), text(&self.dir)])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(why) = run("umount", &[text(&self.dir)]) {
            eprintln!("{why}");
        }
    }
}

/// Whether disks can be mounted here.
///
/// # Errors
/// They cannot, and why.
pub fn can_be_mounted() -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|e| format!("no temporary directory: {e}"))?;
    Disk::lasting(&dir.path().join("disk")).map(drop)
}

fn make(dir: &Path) -> Result<(), String> {
    fs::create_dir_all(dir).map_err(|e| format!("{} cannot be made: {e}", dir.display()))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let ran = Command::new(program).args(args).output();
    let ran =
        ran.map_err(|e| format!("{program} cannot be run ({e}): install e2fsprogs and mount"));
    let ran = ran?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    let args = args.join(" ");
    Err(format!("`{program} {args}` fails, which root may do where disks can be mounted: {said}"))
}
