//! The temporary folder of a run: data and logs of every server, on a real disk.
//!
//! The data goes when the run ends; the logs stay, so that what a server said can be read after.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::BenchError;

/// `f_type` of a file system that lives in memory, from statfs(2).
const TMPFS_MAGIC: u64 = 0x0102_1994;
const RAMFS_MAGIC: u64 = 0x8584_58f6;

/// The folder of one run.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    keep_data: bool,
}

impl RunFolder {
    /// A fresh folder inside `parent`; without one, inside the system's temporary folder, or
    /// inside the current one if that is in memory, where fsync costs nothing.
    pub(crate) fn create(parent: Option<&Path>) -> Result<Self, BenchError> {
        let parent = match parent {
            Some(chosen) if is_in_memory(chosen) => {
                return Err(BenchError::Folder(format!(
                    "--data-dir {} is in memory, where fsync costs nothing: choose one on a disk",
                    chosen.display()
                )));
            }
            Some(chosen) => chosen.to_owned(),
            None if is_in_memory(&std::env::temp_dir()) => PathBuf::from("."),
            None => std::env::temp_dir(),
        };
        let folder = tempfile::Builder::new()
            .prefix("holdfast-bench-")
            .disable_cleanup(true)
            .tempdir_in(&parent)
            .and_then(|folder| fs::canonicalize(folder.path()))
            .map_err(|error| {
                let parent = parent.display();
                BenchError::Folder(format!("cannot make a folder in {parent}: {error}"))
            })?;
        fs::create_dir(folder.join("data")).map_err(|error| {
            BenchError::Folder(format!("cannot make {}/data: {error}", folder.display()))
        })?;
        eprintln!("data and logs in {}", folder.display());
        Ok(Self { path: folder, keep_data: false })
    }

    /// Where server `node` of `system` keeps its data. Not created yet.
    pub(crate) fn data(&self, system: &str, node: usize) -> PathBuf {
        self.path.join("data").join(format!("{system}-{node}"))
    }

    /// Where the output of server `node` of `system` goes.
    pub(crate) fn log(&self, system: &str, node: usize) -> PathBuf {
        self.path.join(format!("{system}-{node}.log"))
    }

    /// Leaves the data when the run ends: its servers go on.
    pub(crate) fn keep_data(&mut self) {
        self.keep_data = true;
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if !self.keep_data {
            let _ = fs::remove_dir_all(self.path.join("data"));
            // Succeeds only if nothing was started, so that there are no logs.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Whether `path` lies on a file system without a disk. One that cannot be asked counts as a disk.
fn is_in_memory(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|stat| {
        let kind = stat.f_type as u64;
        kind == TMPFS_MAGIC || kind == RAMFS_MAGIC
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_goes_and_logs_stay() {
        let parent = tempfile::tempdir_in(".").unwrap();
        let folder = RunFolder::create(Some(parent.path())).unwrap();
        let (data, log) = (folder.data("etcd", 1), folder.log("etcd", 1));
        fs::create_dir(&data).unwrap();
        fs::write(&log, "hello").unwrap();
        drop(folder);
        assert!(!data.exists());
        assert!(log.exists());
    }

    #[test]
    fn a_run_that_started_nothing_leaves_nothing() {
        let parent = tempfile::tempdir_in(".").unwrap();
        drop(RunFolder::create(Some(parent.path())).unwrap());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_parent_that_is_not_there_is_named() {
        let error = RunFolder::create(Some(Path::new("/no/such/folder"))).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder"), "{error}");
    }
}
