//! Which files are looked at: those that git knows, or would take.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Paths of Rust files below the root, with slashes, in order.
pub(crate) fn rust_files(root: &Path) -> Result<Vec<String>, String> {
    let mut files = match known_to_git(root) {
        Some(files) => files,
        None => {
            let mut files = Vec::new();
            walk(root, root, &mut files)?;
            files
        }
    };
    files.retain(|file| file.ends_with(".rs") && root.join(file).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// The content of a file of the workspace.
pub(crate) fn read(root: &Path, file: &str) -> Result<String, String> {
    fs::read_to_string(root.join(file)).map_err(|error| format!("cannot read {file}: {error}"))
}

/// What git tracks, and new files that it does not ignore. `None` without git or outside of it.
fn known_to_git(root: &Path) -> Option<Vec<String>> {
    let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.rs"];
    let output = Command::new("git").args(listing).current_dir(root).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.split('\0').filter(|path| !path.is_empty()).map(String::from).collect())
}

/// All files, but those of hidden directories and of build results.
fn walk(root: &Path, directory: &Path, files: &mut Vec<String>) -> Result<(), String> {
    let fail = |error| format!("cannot list {}: {error}", directory.display());
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(directory).map_err(fail)? {
        entries.push(entry.map_err(fail)?.path());
    }
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                walk(root, &path, files)?;
            }
        } else if let Some(relative) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            files.push(relative.replace('\\', "/"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_file_is_found_either_way_and_build_results_are_not() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let own = "xtask/src/tidy/files.rs".to_owned();
        assert!(rust_files(root).unwrap().contains(&own));
        let mut walked = Vec::new();
        walk(root, root, &mut walked).unwrap();
        assert!(walked.contains(&own));
        assert!(!walked.iter().any(|file| file.starts_with("target/")));
    }
}
