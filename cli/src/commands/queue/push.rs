//! `holdfast queue push`: puts messages in, few or very many.

use std::os::unix::ffi::OsStrExt;

use holdfast_client::{Client, NewMessage, Proof, Queue};

use super::outstanding::{BATCHES_MAX, Outstanding};
use crate::args::PushArgs;
use crate::commands::faults::{SESSION_TTL, failed};
use crate::commands::lines::{self, Bounds, Lines};
use crate::commands::outer;
use crate::commands::progress::Progress;
use crate::commands::stopping::{Stop, Stopping};
use crate::counted::counted;
use crate::failure::{Failure, OK};
use crate::signals::{Ending, Endings};
use crate::{client, output};

/// Puts all messages in, and says what their numbers are, or how many there are.
pub(super) async fn run(args: &PushArgs) -> Result<u8, Failure> {
    // Whatever is wrong is said before anything is sent.
    let outer = outer::lock(args.under.alone)?;
    let bodies = if args.lines { Vec::new() } else { bodies(args)? };
    if args.lines && args.files.is_empty() {
        lines::refuse_terminal("--lines reads the standard input, which is a terminal")?;
    }
    let mut endings = Endings::listen()?;
    let purpose = "holdfast queue push";
    let client = tokio::select! {
        connected = client::connect(&args.endpoints, purpose, SESSION_TTL) => connected?,
        ending = endings.next() => return Ok(ending.exit_code()),
    };
    let queue = queue(&client, args, outer);
    let bounds = tokio::select! {
        bounds = bounds(&queue, args, bodies.len()) => bounds,
        ending = endings.next() => {
            client::close(client).await;
            return Ok(ending.exit_code());
        }
    };
    let outcome = match bounds {
        Ok(bounds) if args.lines => {
            push_lines(Outstanding::new(queue), bounds, args, &mut endings).await
        }
        Ok(bounds) => {
            let batches = lines::batches(bodies, bounds);
            push_bodies(Outstanding::new(queue), batches, args, &mut endings).await
        }
        Err(failure) => Err(failure),
    };
    client::close(client).await;
    outcome
}

/// What a batch may have. A small queue takes no large one.
async fn bounds(queue: &Queue, args: &PushArgs, bodies: usize) -> Result<Bounds, Failure> {
    let bounds = Bounds::default().extra_bytes(extra_bytes(args));
    if !args.lines && bodies == 1 {
        return Ok(bounds);
    }
    let info = queue.info().await;
    let info = info.map_err(|error| failed(&format!("cannot push to {:?}", args.name), &error))?;
    let settings = info.map(|info| info.settings).unwrap_or_default();
    Ok(bounds.part_of(BATCHES_MAX as u64, settings.max_messages, settings.max_bytes))
}

fn queue(client: &Client, args: &PushArgs, outer: Option<Proof>) -> Queue {
    let mut queue = client.queue(&args.name);
    if let Some(outer) = outer {
        queue = queue.under(outer);
    }
    match args.wait {
        Some(wait) => queue.room_within(wait),
        None => queue,
    }
}

/// What was given as arguments and files, or else the standard input.
fn bodies(args: &PushArgs) -> Result<Vec<Vec<u8>>, Failure> {
    let mut bodies: Vec<Vec<u8>> =
        args.bodies.iter().map(|body| body.as_bytes().to_vec()).collect();
    for file in &args.files {
        bodies.push(lines::whole(file)?);
    }
    if bodies.is_empty() {
        lines::refuse_terminal("no message is given, and the standard input is a terminal")?;
        bodies.push(lines::whole_input()?);
    }
    if args.dedup_id.is_some() && bodies.len() > 1 {
        let many = bodies.len();
        return Err(Failure::usage(format!(
            "--dedup-id is for one message, and these are {many}; push them one by one"
        )));
    }
    Ok(bodies)
}

fn message(body: Vec<u8>, args: &PushArgs) -> NewMessage {
    let mut message = NewMessage::new(body).priority(args.priority.unwrap_or(0));
    for (name, value) in &args.headers {
        message = message.header(name, value);
    }
    if let Some(group) = &args.group {
        message = message.group(group);
    }
    if let Some(delay) = args.delay {
        message = message.delay(delay);
    }
    match &args.dedup_id {
        Some(id) => message.dedup_id(id),
        None => message,
    }
}

/// What each message has beside its body.
fn extra_bytes(args: &PushArgs) -> usize {
    let headers: usize = args.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    headers + args.group.as_ref().map_or(0, String::len)
}

/// Sends what there is, a batch after the other, and prints the numbers as they become certain.
async fn push_bodies(
    mut outstanding: Outstanding,
    batches: Vec<Vec<Vec<u8>>>,
    args: &PushArgs,
    endings: &mut Endings,
) -> Result<u8, Failure> {
    let total: usize = batches.iter().map(Vec::len).sum();
    let mut batches = batches.into_iter();
    let mut next = batches.next();
    let mut stopping = Stopping::new();
    while next.is_some() || !outstanding.is_empty() {
        tokio::select! {
            biased;
            stop = stopping.next(endings) => {
                next = None;
                if stop == Stop::Waiting {
                    outstanding.give_up();
                }
            }
            () = std::future::ready(()), if next.is_some() && outstanding.has_room() => {
                let batch = next.take().into_iter().flatten();
                outstanding.send(batch.map(|body| message(body, args)).collect()).await;
                next = batches.next();
            }
            numbers = outstanding.next() => {
                let lines: String = numbers.iter().map(|number| format!("{number}\n")).collect();
                output::print(lines)?;
                if outstanding.tally().error.is_some() {
                    next = None;
                }
            }
        }
    }
    finish(&outstanding, args, None, stopping.ending(), total > 1)
}

/// Sends lines as they are read, and says how many they were.
async fn push_lines(
    mut outstanding: Outstanding,
    bounds: Bounds,
    args: &PushArgs,
    endings: &mut Endings,
) -> Result<u8, Failure> {
    let mut lines = Lines::read(&args.files, bounds);
    let mut progress = Progress::begin("pushed", "message", &args.progress);
    let (mut unreadable, mut stopping, mut at_end) = (None, Stopping::new(), false);
    while !at_end || !outstanding.is_empty() {
        tokio::select! {
            biased;
            stop = stopping.next(endings) => {
                at_end = true;
                if stop == Stop::Waiting {
                    outstanding.give_up();
                }
            }
            batch = lines.batch(), if !at_end && outstanding.has_room() => match batch {
                Some(Ok(batch)) => {
                    let messages = batch.into_iter().map(|body| message(body, args));
                    outstanding.send(messages.collect()).await;
                }
                Some(Err(failure)) => (unreadable, at_end) = (Some(failure), true),
                None => at_end = true,
            },
            _ = outstanding.next() => {
                progress.update(outstanding.tally().certain);
                at_end |= outstanding.tally().error.is_some();
            }
        }
    }
    progress.end();
    let outcome = finish(&outstanding, args, unreadable, stopping.ending(), true)?;
    if stopping.ending().is_none() {
        let messages = counted(outstanding.tally().certain, "message");
        output::note_line(format!("pushed {messages} to {}", args.name));
    }
    Ok(outcome)
}

/// What came of it: success, or why not and how much is certain.
fn finish(
    outstanding: &Outstanding,
    args: &PushArgs,
    unreadable: Option<Failure>,
    stopped: Option<Ending>,
    many: bool,
) -> Result<u8, Failure> {
    let tally = outstanding.tally();
    let certainty = tally.certainty();
    let failure = match (&tally.error, unreadable) {
        (Some(error), _) => failed(&format!("cannot push to {:?}", args.name), error),
        (None, Some(failure)) => failure,
        (None, None) => {
            let Some(ending) = stopped else { return Ok(OK) };
            output::warning_line(format!("stopped by a signal; {certainty}"));
            return Ok(ending.exit_code());
        }
    };
    match many {
        true => Err(Failure::new(failure.code, format!("{failure}; {certainty}"))),
        false => Err(failure),
    }
}
