//! What a client process writes down as it happens, so that it is there when the process is killed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::history::{Came, History, Operation, Record};

#[derive(Serialize, Deserialize)]
enum Line {
    Begin { number: usize, operation: Operation },
    End { number: usize, came: Came, at: u64 },
    Count { what: String, times: u64 },
    Lost { session: u64 },
    Violated { how: String },
}

/// A file of one process. Cheap to clone.
#[derive(Clone)]
pub(super) struct FileRecord {
    file: Arc<Mutex<File>>,
    numbers: Arc<AtomicUsize>,
}

impl FileRecord {
    pub(super) fn create(path: &Path) -> std::io::Result<Self> {
        let file = Arc::new(Mutex::new(File::create(path)?));
        Ok(Self { file, numbers: Arc::default() })
    }

    /// A session has ended, and not in good order.
    pub(super) fn lost(&self, session: u64) {
        self.write(&Line::Lost { session });
    }

    fn write(&self, line: &Line) {
        let mut text = serde_json::to_string(line).expect("it can be written as JSON");
        text.push('\n');
        // In one go and without a buffer: a process that is killed has written it, or has not.
        let mut file = self.file.lock().expect("no holder of this lock panics");
        file.write_all(text.as_bytes()).expect("there is room in the file");
    }
}

impl Record for FileRecord {
    fn now(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
        seconds * 1_000_000_000 + nanos
    }

    fn begin(&self, operation: Operation) -> usize {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.write(&Line::Begin { number, operation });
        number
    }

    fn end(&self, number: usize, came: Came) {
        self.write(&Line::End { number, came, at: self.now() });
    }

    fn count(&self, what: &'static str, times: u64) {
        if times > 0 {
            self.write(&Line::Count { what: what.into(), times });
        }
    }

    fn violated(&self, how: String) {
        self.write(&Line::Violated { how });
    }
}

/// What all processes of a round have written down.
#[derive(Default)]
pub(super) struct Records {
    pub(super) history: History,
    pub(super) counts: BTreeMap<String, u64>,
    pub(super) violations: Vec<String>,
}

impl Records {
    /// Adds what one process has written.
    pub(super) fn read(&mut self, path: &Path) -> Result<(), String> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            match serde_json::from_str(line) {
                Ok(Line::Begin { number, operation }) => {
                    numbers.insert(number, self.history.begin(operation));
                }
                Ok(Line::End { number, came, at }) => {
                    if let Some(number) = numbers.get(&number) {
                        self.history.end(*number, came, at);
                    }
                }
                Ok(Line::Count { what, times }) => *self.counts.entry(what).or_default() += times,
                Ok(Line::Lost { session }) => {
                    *self.counts.entry("sessions lost".into()).or_default() += 1;
                    self.history.lost(session);
                }
                Ok(Line::Violated { how }) => self.violations.push(how),
                // The last may have been cut short when the process was killed.
                Err(_) if at + 1 == lines.len() => {}
                Err(e) => return Err(format!("{}: line {}: {e}", path.display(), at + 1)),
            }
        }
        Ok(())
    }
}
