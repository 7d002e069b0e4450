//! `holdfast cache put`: stores values, one or very many.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use holdfast_client::{Cache, Error};

use super::cache_under;
use super::values::{body, print_number};
use crate::args::cache::PutArgs;
use crate::commands::faults::{SESSION_TTL, failed};
use crate::commands::lines::{self, Bounds, Lines};
use crate::commands::outer;
use crate::commands::progress::Progress;
use crate::commands::stopping::{Stop, Stopping};
use crate::counted::{agreed, counted};
use crate::failure::{Failure, OK};
use crate::signals::Endings;
use crate::{client, output};

/// How many values are on their way at a time.
const ON_THE_WAY_MAX: usize = 1_000;

/// Stores what was given, and says its version, or how many values there were.
pub(super) async fn run(args: &PutArgs) -> Result<u8, Failure> {
    match &args.key {
        Some(key) => put_one(args, key).await,
        None => put_lines(args).await,
    }
}

async fn put_one(args: &PutArgs, key: &str) -> Result<u8, Failure> {
    let outer = outer::lock(args.under.alone)?;
    let body = body(&args.body)?;
    let client = client::connect(&args.endpoints, "holdfast cache put", SESSION_TTL).await?;
    let cache = cache_under(&client, &args.name, outer);
    let stored = put(cache, key.to_owned(), body, args.body.ttl).await;
    client::close(client).await;
    print_number(stored, &format!("cannot store {key:?} in {:?}", args.name))
}

async fn put(
    cache: Cache,
    key: String,
    body: Vec<u8>,
    ttl: Option<Duration>,
) -> Result<u64, Error> {
    match ttl {
        Some(ttl) => cache.put_for(key, body, ttl).await,
        None => cache.put(key, body).await,
    }
}

async fn put_lines(args: &PutArgs) -> Result<u8, Failure> {
    if args.body.file.is_none() {
        lines::refuse_terminal("--lines reads the standard input, which is a terminal")?;
    }
    let outer = outer::lock(args.under.alone)?;
    let mut endings = Endings::listen()?;
    let purpose = "holdfast cache put";
    let client = tokio::select! {
        connected = client::connect(&args.endpoints, purpose, SESSION_TTL) => connected?,
        ending = endings.next() => return Ok(ending.exit_code()),
    };
    let cache = cache_under(&client, &args.name, outer);
    let outcome = put_all(Puts::new(cache, args.body.ttl), args, &mut endings).await;
    client::close(client).await;
    outcome
}

/// Sends lines as they are read, and says how many they were.
async fn put_all(mut puts: Puts, args: &PutArgs, endings: &mut Endings) -> Result<u8, Failure> {
    let files: Vec<_> = args.body.file.iter().cloned().collect();
    let mut lines = Lines::read(&files, Bounds::default());
    let mut progress = Progress::begin("stored", "value", &args.progress);
    let (mut failure, mut stopping, mut at_end) = (None, Stopping::new(), false);
    while !at_end || !puts.is_empty() {
        tokio::select! {
            biased;
            stop = stopping.next(endings) => {
                at_end = true;
                if stop == Stop::Waiting {
                    puts.give_up();
                }
            }
            batch = lines.batch(), if !at_end && puts.has_room() => match batch {
                Some(Ok(batch)) => {
                    if let Err(mistake) = puts.send_all(batch).await {
                        (failure, at_end) = (Some(mistake), true);
                    }
                }
                Some(Err(unreadable)) => (failure, at_end) = (Some(unreadable), true),
                None => at_end = true,
            },
            () = puts.next() => {
                progress.update(puts.certain);
                at_end |= puts.error.is_some();
            }
        }
    }
    progress.end();
    let certainty = puts.certainty();
    if let Some((key, error)) = &puts.error {
        failure = Some(failed(&format!("cannot store {key:?} in {:?}", args.name), error));
    }
    if let Some(failure) = failure {
        return Err(Failure::new(failure.code, format!("{failure}; {certainty}")));
    }
    if let Some(ending) = stopping.ending() {
        output::warning_line(format!("stopped by a signal; {certainty}"));
        return Ok(ending.exit_code());
    }
    output::note_line(format!("stored {} in {}", counted(puts.certain, "value"), args.name));
    Ok(OK)
}

type Putting = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>>;

/// Values that are on their way, in their order, so that of two under one key the last one counts.
struct Puts {
    cache: Cache,
    ttl: Option<Duration>,
    on_the_way: VecDeque<(String, Putting)>,
    /// How many lines there were.
    lines: u64,
    /// How many values are certainly stored.
    certain: u64,
    /// How many may be.
    unknown: u64,
    /// What the first that failed was, and why.
    error: Option<(String, Error)>,
}

impl Puts {
    fn new(cache: Cache, ttl: Option<Duration>) -> Self {
        let on_the_way = VecDeque::new();
        Self { cache, ttl, on_the_way, lines: 0, certain: 0, unknown: 0, error: None }
    }

    fn is_empty(&self) -> bool {
        self.on_the_way.is_empty()
    }

    /// Whether more may be sent.
    fn has_room(&self) -> bool {
        self.on_the_way.len() < ON_THE_WAY_MAX
    }

    /// Sends a value for each line, without waiting for the answers.
    async fn send_all(&mut self, lines: Vec<Vec<u8>>) -> Result<(), Failure> {
        for line in lines {
            self.lines += 1;
            let (key, body) = key_and_value(&line, self.lines)?;
            let put = put(self.cache.clone(), key.clone(), body, self.ttl);
            let mut putting: Putting = Box::pin(put);
            // The first poll hands it over.
            let answer = poll_fn(|cx| Poll::Ready(putting.as_mut().poll(cx))).await;
            let putting: Putting = match answer {
                Poll::Pending => putting,
                Poll::Ready(answer) => Box::pin(std::future::ready(answer)),
            };
            self.on_the_way.push_back((key, putting));
        }
        Ok(())
    }

    /// The answer to the oldest one. To drop the future loses nothing. Never resolves while nothing
    /// is on its way.
    async fn next(&mut self) {
        let Some((_, putting)) = self.on_the_way.front_mut() else {
            return std::future::pending().await;
        };
        let answer = putting.as_mut().await;
        let Some((key, _)) = self.on_the_way.pop_front() else { return };
        match answer {
            Ok(_) => self.certain += 1,
            Err(error) => {
                self.unknown += u64::from(error.is_unknown());
                self.error.get_or_insert((key, error));
            }
        }
    }

    /// Waits for no more answers. What waits for copies to go is withdrawn, unless it is stored
    /// first; which it was is not known.
    fn give_up(&mut self) {
        self.unknown += self.on_the_way.drain(..).count() as u64;
    }

    /// What is certain, in words.
    fn certainty(&self) -> String {
        let Self { certain, unknown, .. } = *self;
        let values = counted(certain, "value");
        let stored = format!("{values} {} certainly stored", agreed(certain, "is", "are"));
        match unknown {
            0 => stored,
            unknown => format!("{stored}, and {unknown} more may be"),
        }
    }
}

/// Takes a line apart at its first `=`.
fn key_and_value(line: &[u8], number: u64) -> Result<(String, Vec<u8>), Failure> {
    let parts = line.iter().position(|byte| *byte == b'=').map(|at| line.split_at(at));
    let key = parts.and_then(|(key, _)| std::str::from_utf8(key).ok());
    match (key, parts) {
        (Some(key), Some((_, value))) => Ok((key.to_owned(), value[1..].to_vec())),
        _ => Err(Failure::failed(format!(
            "line {number} is no KEY=VALUE; look whether these are such lines"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_key_and_a_value() {
        let check = |line: &[u8], expect: Option<(&str, &[u8])>| {
            let parts = key_and_value(line, 7).ok();
            let expect = expect.map(|(key, value)| (key.to_owned(), value.to_vec()));
            assert_eq!(parts, expect, "{line:?}");
        };
        check(b"a=b", Some(("a", b"b")));
        check(b"a/b=c=d ", Some(("a/b", b"c=d ")));
        check(b"a=", Some(("a", b"")));
        check(b"a=\xff", Some(("a", b"\xff")));
        // An empty key is refused like any other wrong name.
        check(b"=b", Some(("", b"b")));
        check(b"a", None);
        check(b"", None);
        check(b"\xff=b", None);
        let failure = key_and_value(b"a", 7).unwrap_err().to_string();
        assert!(failure.starts_with("line 7 is no KEY=VALUE"), "{failure}");
    }
}
