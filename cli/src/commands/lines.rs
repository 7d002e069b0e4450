//! Lines of files, or of the standard input, as bodies: read on a thread of their own, and gathered
//! into batches.
//!
//! A batch is what has been read by now, up to its bounds: so lines that come slowly go out at
//! once, and those that come fast go out together.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use crate::failure::Failure;

/// What the standard input is called.
const INPUT: &str = "standard input";

/// How many messages a batch has at most.
const BATCH_MESSAGES_MAX: usize = 500;

/// How many bytes a batch has at most, unless its first message alone has more.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// What a message counts beside its body and its headers.
const MESSAGE_BYTES: usize = 64;

/// How long a line, or any other body, may be: no queue takes a larger message, and no cache a
/// larger value.
const BODY_BYTES_MAX: usize = 4 << 20;

/// How many lines may have been read and not gathered yet.
const AHEAD: usize = 2 * BATCH_MESSAGES_MAX;

/// What a batch may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    messages: usize,
    bytes: usize,
    /// What each message has beside its body.
    extra_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { messages: BATCH_MESSAGES_MAX, bytes: BATCH_BYTES_MAX, extra_bytes: 0 }
    }
}

impl Bounds {
    /// Each message is to have so many bytes beside its body.
    pub(super) fn extra_bytes(self, extra_bytes: usize) -> Self {
        Self { extra_bytes, ..self }
    }

    /// A batch goes into a queue as a whole. It is to have no more than one in `parts` of what the
    /// queue may hold, so that it need not be empty for that.
    pub(super) fn part_of(self, parts: u64, messages: Option<u64>, bytes: Option<u64>) -> Self {
        let part = |all: Option<u64>, max: usize| {
            let part = all.map_or(usize::MAX, |all| usize::try_from(all / parts).unwrap_or(max));
            part.clamp(1, max)
        };
        Self { messages: part(messages, self.messages), bytes: part(bytes, self.bytes), ..self }
    }
}

/// Lines that are being read.
pub(super) struct Lines {
    lines: mpsc::Receiver<Result<Vec<u8>, Failure>>,
    /// Was read, and did not fit in the last batch.
    held: Option<Result<Vec<u8>, Failure>>,
    bounds: Bounds,
}

impl Lines {
    /// Begins to read the files one after the other, or the standard input if there is none.
    pub(super) fn read(files: &[PathBuf], bounds: Bounds) -> Self {
        let (sender, lines) = mpsc::channel(AHEAD);
        let files = files.to_vec();
        // Not a task: whoever waits for the standard input cannot be stopped, only left behind.
        std::thread::spawn(move || {
            // When nobody wants any more lines, it is over.
            let send = |line| sender.blocking_send(line).is_ok();
            let input = || read_all(&mut io::stdin().lock(), INPUT, &send);
            if files.is_empty() {
                input();
            }
            for file in files {
                let read_on = if is_input(&file) { input() } else { read_file(&file, &send) };
                if !read_on {
                    return;
                }
            }
        });
        Self { lines, held: None, bounds }
    }

    /// The next batch, as soon as there is anything. `None` at the end. To drop the future loses
    /// nothing. Nothing comes after a failure.
    pub(super) async fn batch(&mut self) -> Option<Result<Vec<Vec<u8>>, Failure>> {
        let first = match self.held.take() {
            Some(held) => held,
            None => self.lines.recv().await?,
        };
        let mut batch = Batch::new(self.bounds);
        match first {
            Ok(line) => _ = batch.add(line),
            Err(failure) => return Some(Err(failure)),
        }
        loop {
            match self.lines.try_recv() {
                Ok(Ok(line)) => match batch.add(line) {
                    None => {}
                    full => self.held = full.map(Ok),
                },
                Ok(failure) => self.held = Some(failure),
                Err(_) => return Some(Ok(batch.bodies)),
            }
            if self.held.is_some() {
                return Some(Ok(batch.bodies));
            }
        }
    }
}

/// Bodies of messages that go out together.
struct Batch {
    bodies: Vec<Vec<u8>>,
    bytes: usize,
    bounds: Bounds,
}

impl Batch {
    fn new(bounds: Bounds) -> Self {
        Self { bodies: Vec::new(), bytes: 0, bounds }
    }

    /// Takes the body, or gives it back if the batch is full. An empty one takes anything.
    fn add(&mut self, body: Vec<u8>) -> Option<Vec<u8>> {
        let bytes = self.bytes + body.len() + self.bounds.extra_bytes + MESSAGE_BYTES;
        let fits = self.bodies.len() < self.bounds.messages && bytes <= self.bounds.bytes;
        if !fits && !self.bodies.is_empty() {
            return Some(body);
        }
        self.bytes = bytes;
        self.bodies.push(body);
        None
    }
}

/// Cuts bodies into batches.
pub(super) fn batches(bodies: Vec<Vec<u8>>, bounds: Bounds) -> Vec<Vec<Vec<u8>>> {
    let mut batches = vec![Batch::new(bounds)];
    for body in bodies {
        let left = match batches.last_mut() {
            Some(batch) => batch.add(body),
            None => Some(body),
        };
        if let Some(body) = left {
            let mut batch = Batch::new(bounds);
            // It is empty.
            let _ = batch.add(body);
            batches.push(batch);
        }
    }
    batches.into_iter().map(|batch| batch.bodies).filter(|bodies| !bodies.is_empty()).collect()
}

/// Hands on all lines of a file. Answers whether to read on.
fn read_file(file: &Path, send: &impl Fn(Result<Vec<u8>, Failure>) -> bool) -> bool {
    let name = file.display().to_string();
    match File::open(file) {
        Ok(opened) => read_all(&mut BufReader::new(opened), &name, send),
        Err(error) => send(Err(unreadable(&name, &error))),
    }
}

/// Hands on all lines, without their ends. Answers whether to read on.
fn read_all(
    input: &mut impl BufRead,
    name: &str,
    send: &impl Fn(Result<Vec<u8>, Failure>) -> bool,
) -> bool {
    for number in 1_u64.. {
        let mut line = Vec::new();
        // One byte more than allowed, to tell; and the end of the line.
        let most = BODY_BYTES_MAX as u64 + 2;
        match input.by_ref().take(most).read_until(b'\n', &mut line) {
            Ok(0) => return true,
            Ok(_) if line.last() == Some(&b'\n') => _ = line.pop(),
            Ok(_) => {}
            Err(error) => {
                send(Err(unreadable(name, &error)));
                return false;
            }
        }
        if line.len() > BODY_BYTES_MAX {
            send(Err(Failure::failed(format!(
                "line {number} of {name} has more than {BODY_BYTES_MAX} bytes, which is too much; \
                 look whether these are lines"
            ))));
            return false;
        }
        if !send(Ok(line)) {
            return false;
        }
    }
    false
}

/// Whether this stands for the standard input, as is usual.
fn is_input(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// All of a file, as one body.
pub(super) fn whole(file: &Path) -> Result<Vec<u8>, Failure> {
    if is_input(file) {
        return whole_input();
    }
    let name = file.display().to_string();
    let opened = File::open(file).map_err(|error| unreadable(&name, &error))?;
    read_whole(opened, &name)
}

/// All of the standard input, as one body.
pub(super) fn whole_input() -> Result<Vec<u8>, Failure> {
    read_whole(io::stdin().lock(), INPUT)
}

/// Reads no more than a body can have: of what does not end, memory would not either.
fn read_whole(input: impl Read, name: &str) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    // One byte more than allowed, to tell.
    let read = input.take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut body);
    read.map_err(|error| unreadable(name, &error))?;
    if body.len() > BODY_BYTES_MAX {
        return Err(Failure::failed(format!(
            "{name} has more than {BODY_BYTES_MAX} bytes, which no message and no value may have; \
             look whether it is the right one, or take it apart"
        )));
    }
    Ok(body)
}

/// Whoever types at a terminal, and has given nothing, has forgotten something.
pub(super) fn refuse_terminal(what: &str) -> Result<(), Failure> {
    match io::stdin().is_terminal() {
        true => Err(Failure::usage(format!("{what}; give a BODY, or --file, or a pipe"))),
        false => Ok(()),
    }
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::failed(format!(
        "cannot read {name}: {error}; look whether it is a file that you may read"
    ))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::Cursor;

    use super::*;

    fn lines(input: &[u8]) -> Vec<Result<Vec<u8>, Failure>> {
        let read = RefCell::new(Vec::new());
        let send = |line| {
            read.borrow_mut().push(line);
            true
        };
        read_all(&mut Cursor::new(input), "it", &send);
        read.into_inner()
    }

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        let check = |input: &str, expect: &[&str]| {
            let read: Vec<_> = lines(input.as_bytes()).into_iter().map(Result::unwrap).collect();
            let expect: Vec<_> = expect.iter().map(|line| line.as_bytes().to_vec()).collect();
            assert_eq!(read, expect, "{input:?}");
        };
        check("", &[]);
        check("a", &["a"]);
        check("a\n", &["a"]);
        check("a\r\n\n b ", &["a\r", "", " b "]);
    }

    #[test]
    fn a_line_may_be_as_large_as_a_message_and_not_larger() {
        let mut most = vec![b'x'; BODY_BYTES_MAX];
        assert_eq!(lines(&most), [Ok(most.clone())]);
        most.extend(b"\ny");
        assert_eq!(lines(&most).len(), 2);
        let refused = lines(&vec![b'x'; BODY_BYTES_MAX + 1]).remove(0).unwrap_err();
        assert!(refused.to_string().starts_with("line 1 of it has more than"), "{refused}");
    }

    #[test]
    fn what_is_read_as_a_whole_is_read_up_to_its_limit() {
        let most = vec![b'x'; BODY_BYTES_MAX];
        assert_eq!(read_whole(&most[..], "it"), Ok(most));
        // This one would never end.
        let refused = read_whole(io::repeat(b'x'), "it").unwrap_err().to_string();
        assert!(refused.starts_with("it has more than 4194304 bytes"), "{refused}");
    }

    #[tokio::test]
    async fn batches_keep_to_their_bounds_and_the_order() {
        let dir = tempfile::tempdir().unwrap();
        let (small, large) = (dir.path().join("small"), dir.path().join("large"));
        let numbers: Vec<String> = (0..1_700).map(|n| n.to_string()).collect();
        std::fs::write(&small, numbers.join("\n")).unwrap();
        let body = vec![b'x'; BATCH_BYTES_MAX / 2];
        std::fs::write(&large, [&body[..], b"\n", &body, b"\n", &body, b"\nend"].concat()).unwrap();
        let mut read = Lines::read(&[small, large], Bounds::default());
        let mut all = Vec::new();
        while let Some(batch) = read.batch().await {
            let batch = batch.unwrap();
            assert!((1..=BATCH_MESSAGES_MAX).contains(&batch.len()));
            assert!(batch.iter().map(Vec::len).sum::<usize>() <= BATCH_BYTES_MAX);
            all.extend(batch);
        }
        let told: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
        let mut expect: Vec<&[u8]> = numbers.iter().map(String::as_bytes).collect();
        expect.extend([&body[..], &body, &body, b"end"]);
        assert!(told == expect);
    }

    #[test]
    fn bodies_are_cut_into_batches() {
        let sizes = |bodies: Vec<Vec<u8>>, extra| -> Vec<usize> {
            batches(bodies, Bounds::default().extra_bytes(extra)).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(vec![], 0), [0; 0]);
        assert_eq!(sizes(vec![vec![]; 1_001], 0), [500, 500, 1]);
        assert_eq!(sizes(vec![vec![0; BATCH_BYTES_MAX / 2 - 64]; 5], 0), [2, 2, 1]);
        assert_eq!(sizes(vec![vec![0; BATCH_BYTES_MAX + 1]; 2], 0), [1, 1]);
        assert_eq!(sizes(vec![vec![]; 100], 16 << 10), [63, 37]);
    }

    #[test]
    fn batches_are_a_part_of_what_a_queue_may_hold() {
        let part = |messages, bytes| {
            let bounds = Bounds::default().part_of(8, messages, bytes);
            (bounds.messages, bounds.bytes)
        };
        assert_eq!(part(None, None), (BATCH_MESSAGES_MAX, BATCH_BYTES_MAX));
        assert_eq!(part(Some(u64::MAX), Some(u64::MAX)), (BATCH_MESSAGES_MAX, BATCH_BYTES_MAX));
        assert_eq!(part(Some(100), Some(8_000)), (12, 1_000));
        assert_eq!(part(Some(1), Some(1)), (1, 1));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told_after_what_could() {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("there");
        std::fs::write(&there, "a\nb\n").unwrap();
        let mut read = Lines::read(&[there, dir.path().join("missing")], Bounds::default());
        let mut bodies = 0;
        let failure = loop {
            match read.batch().await.expect("a failure comes before the end") {
                Ok(batch) => bodies += batch.len(),
                Err(failure) => break failure,
            }
        };
        assert_eq!(bodies, 2);
        assert!(failure.to_string().contains("missing: No such file"), "{failure}");
    }
}
