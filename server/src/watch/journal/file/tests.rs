//! What was written is read again, and damage never leaves a gap.

use holdfast_proto::v1::WatchEvent;

use super::*;
use crate::watch::journal::stored::HEAD_BYTES;

const ROOM: u64 = 1 << 20;

fn event(revision: u64) -> WatchEvent {
    WatchEvent { revision, kind: 10, name: "a".into(), ..WatchEvent::default() }
}

/// Writes a block for each of these revisions.
fn append(file: &File, revisions: impl Iterator<Item = u64>) {
    for revision in revisions {
        let after = file.last().unwrap_or(0);
        let mut block = Encoded::after(after);
        block.push(&event(revision));
        file.append(block).expect("written");
    }
}

fn revisions(file: &File, from: u64) -> Vec<u64> {
    let blocks = file.blocks_from(from, usize::MAX).expect("read");
    blocks.iter().flat_map(|block| block.events.iter().map(|event| event.revision)).collect()
}

/// The paths of all files, the oldest first.
fn paths(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("it is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn damage(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("read");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("written");
}

#[test]
fn what_was_written_is_there_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let (file, span) = File::open(directory.path(), ROOM).expect("opened");
    assert_eq!((span, file.last()), (Span::default(), None));
    append(&file, [3, 4, 9].into_iter());
    file.append_quiet(9, 12).expect("written");
    drop(file);
    let (file, span) = File::open(directory.path(), ROOM).expect("opened");
    assert_eq!((span.after, span.through, file.last()), (0, 12, Some(9)));
    append(&file, [13].into_iter());
    assert_eq!(revisions(&file, 0), [3, 4, 9, 13]);
    assert_eq!(revisions(&file, 5), [9, 13]);
    assert_eq!(file.blocks_from(4, 2).expect("read").len(), 2);
    file.begin_anew(20).expect("emptied");
    append(&file, [21].into_iter());
    drop(file);
    let (file, span) = File::open(directory.path(), ROOM).expect("opened");
    assert_eq!((span.after, span.through, revisions(&file, 0)), (20, 21, vec![21]));
}

#[test]
fn the_oldest_goes_when_room_is_needed() {
    let directory = tempfile::tempdir().expect("a directory");
    let (file, _) = File::open(directory.path(), 4_096).expect("opened");
    append(&file, 1..1_000);
    let (after, bytes) = file.make_room().expect("made");
    assert!(bytes <= 4_096 && bytes > 3_000, "{bytes}");
    assert_eq!(revisions(&file, 0), (after + 1..1_000).collect::<Vec<_>>());
    drop(file);
    let (file, span) = File::open(directory.path(), 4_096).expect("opened");
    assert_eq!((span.after, span.through, span.bytes), (after, 999, bytes));
    assert_eq!(revisions(&file, 0), (after + 1..1_000).collect::<Vec<_>>());
}

#[test]
fn damage_never_leaves_a_gap() {
    let written = || {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, _) = File::open(directory.path(), 4_096).expect("opened");
        append(&file, 1..100);
        directory
    };
    // In the newest file: what comes after it is gone, and can be written again.
    let directory = written();
    let newest = paths(directory.path()).pop().expect("there are some");
    let begins = after_of(&newest).expect("it has a name");
    damage(&newest, MAGIC.len() + HEAD_BYTES + 1);
    let (file, span) = File::open(directory.path(), 4_096).expect("opened");
    assert_eq!((span.after, span.through), (0, begins));
    append(&file, begins + 1..200);
    drop(file);
    let (file, _) = File::open(directory.path(), 4_096).expect("opened");
    assert_eq!(revisions(&file, 0), (1..200).collect::<Vec<_>>());

    // In another one, or if it is missing: what is older is gone.
    for is_missing in [false, true] {
        let directory = written();
        let paths = paths(directory.path());
        match is_missing {
            false => damage(&paths[1], MAGIC.len() + HEAD_BYTES + 1),
            true => fs::remove_file(&paths[1]).expect("removed"),
        }
        let (file, span) = File::open(directory.path(), 4_096).expect("opened");
        assert_eq!(Some(span.after), after_of(&paths[2]));
        assert_eq!(revisions(&file, 0), (span.after + 1..100).collect::<Vec<_>>());
        assert!(!paths[0].exists());
    }

    // What is no journal is nothing to begin from.
    let directory = written();
    damage(&paths(directory.path())[0], 7);
    assert!(File::open(directory.path(), 4_096).is_err_and(|why| why.contains("version")));
}
