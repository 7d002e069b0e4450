//! `holdfast queue pop`: takes messages out and writes their bodies.
//!
//! A message is acknowledged only after it was written, and stays in the queue if that fails.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use holdfast_client::{Client, ClientBuilder, Message, Proof, Queue};
use tokio::task::JoinSet;

use super::ticket::Ticket;
use super::unary::Nodes;
use super::written::delivery_json;
use crate::args::{Output, PopArgs};
use crate::commands::faults::{SESSION_TTL, failed};
use crate::commands::outer;
use crate::duration::{ms, show};
use crate::failure::{Failure, NOT_NOW, OK};
use crate::signals::Endings;
use crate::{client, output};

/// How many messages are asked for at a time.
const AT_A_TIME: u32 = 1_000;

/// How long a session that is kept lives without a renewal: as long as any may, since nobody renews
/// it but `holdfast queue ack --extend`.
const KEPT_SESSION_TTL: Duration = Duration::from_secs(600);

/// How long a secret of a ticket is.
const SECRET_BYTES: usize = 32;

/// Takes what there is, writes it, and ends the deliveries unless they are to be kept.
pub(super) async fn run(args: &PopArgs) -> Result<u8, Failure> {
    if args.raw && args.output.output == Output::Json {
        return Err(Failure::usage("--raw writes no objects; leave it, or -o json, away"));
    }
    let outer = outer::lock(args.under.alone)?;
    let mut endings = Endings::listen()?;
    let session = tokio::select! {
        opened = Session::open(args) => opened?,
        ending = endings.next() => return Ok(ending.exit_code()),
    };
    let popped = tokio::select! {
        popped = pop(&session, args, outer) => popped,
        ending = endings.next() => {
            client::close(session.client).await;
            return Ok(ending.exit_code());
        }
    };
    // A session that was to be kept, and has nothing to keep, is closed like any other.
    match (&session.secret, &popped) {
        (Some(_), Ok(count)) if *count > 0 => std::mem::forget(session.client),
        _ => client::close(session.client).await,
    }
    match popped? {
        0 => Err(Failure::new(NOT_NOW, nothing(args))),
        _ => Ok(OK),
    }
}

fn nothing(args: &PopArgs) -> String {
    let name = &args.name;
    match args.wait {
        Some(_) => format!("no message came in time in {name:?}; see `holdfast queue stats`"),
        None => format!(
            "no message is ready in {name:?}; wait for one with --wait, or see `holdfast queue \
             stats`"
        ),
    }
}

/// A session, and its secret if it is to outlive this process.
struct Session {
    client: Client,
    secret: Option<Vec<u8>>,
}

impl Session {
    async fn open(args: &PopArgs) -> Result<Self, Failure> {
        let purpose = "holdfast queue pop";
        if !args.keep {
            let client = client::connect(&args.endpoints, purpose, SESSION_TTL).await?;
            return Ok(Self { client, secret: None });
        }
        let secret: [u8; SECRET_BYTES] = rand::random();
        let with_secret = |builder: ClientBuilder| builder.secret(secret);
        let client =
            client::connect_with(&args.endpoints, purpose, KEPT_SESSION_TTL, with_secret).await?;
        Ok(Self { client, secret: Some(secret.to_vec()) })
    }
}

/// Says so if the session that is kept will not live as long as a delivery lasts.
async fn warn_of_short_life(queue: &Queue, args: &PopArgs) -> Result<(), Failure> {
    let visibility = match args.visibility {
        Some(visibility) => Some(visibility),
        None => {
            let what = format!("cannot look at {:?}", args.name);
            let info = queue.info().await.map_err(|error| failed(&what, &error))?;
            info.and_then(|info| info.settings.visibility)
        }
    };
    if let Some(visibility) = visibility.filter(|visibility| *visibility > KEPT_SESSION_TTL) {
        output::warning_line(format!(
            "a ticket is good for {} only, as long as its session lives, and not for {}; use \
             `holdfast queue ack --extend` before that",
            show(ms(KEPT_SESSION_TTL)),
            show(ms(visibility)),
        ));
    }
    Ok(())
}

/// Answers how many messages were written.
async fn pop(session: &Session, args: &PopArgs, outer: Option<Proof>) -> Result<u32, Failure> {
    let mut queue = session.client.queue(&args.name);
    if let Some(outer) = outer {
        queue = queue.under(outer);
    }
    if session.secret.is_some() {
        warn_of_short_life(&queue, args).await?;
    }
    let mut count = 0;
    let mut wait = args.wait.unwrap_or(Duration::ZERO);
    while count < args.count {
        let messages = claim(&queue, args, (args.count - count).min(AT_A_TIME), wait).await?;
        if messages.is_empty() {
            break;
        }
        count += u32::try_from(messages.len()).unwrap_or(u32::MAX);
        match &session.secret {
            None => write_and_ack(messages, args).await?,
            Some(secret) => write_and_keep(messages, session, secret, args).await?,
        }
        wait = Duration::ZERO;
    }
    Ok(count)
}

async fn claim(
    queue: &Queue,
    args: &PopArgs,
    max: u32,
    wait: Duration,
) -> Result<Vec<Message>, Failure> {
    let claimed = queue.claim_for(max, wait, args.visibility).await;
    claimed.map_err(|error| failed(&format!("cannot pop from {:?}", args.name), &error))
}

async fn write_and_ack(messages: Vec<Message>, args: &PopArgs) -> Result<(), Failure> {
    let texts = messages.iter().map(|message| text(message, args, None));
    write(texts.collect()).await?;
    let mut acks = JoinSet::new();
    for message in messages {
        acks.spawn(async move {
            let id = message.id();
            message.ack().await.map_err(|error| (id, error))
        });
    }
    let mut outcome = Ok(());
    for acked in acks.join_all().await {
        if let Err((id, error)) = acked {
            let what = format!("message {id} of {:?} was written but not acknowledged", args.name);
            if let Err(earlier) = std::mem::replace(&mut outcome, Err(failed(&what, &error))) {
                output::error_line(&earlier);
            }
        }
    }
    outcome
}

async fn write_and_keep(
    messages: Vec<Message>,
    session: &Session,
    secret: &[u8],
    args: &PopArgs,
) -> Result<(), Failure> {
    let session_id = session.client.session().id();
    let ticket = |message: &Message| {
        let (receipt, queue) = (message.receipt(), args.name.clone());
        Ticket { session_id, secret: secret.to_vec(), receipt, queue }.encode()
    };
    let tickets: Vec<String> = messages.iter().map(ticket).collect();
    let written = messages.iter().zip(&tickets);
    write(written.map(|(message, ticket)| text(message, args, Some(ticket))).collect()).await?;
    // The ticket's time begins now, as far as the session is concerned.
    Nodes::new(&args.endpoints, None)?.renew(session_id, secret).await?;
    for (message, ticket) in messages.into_iter().zip(tickets) {
        let _ = message.leave();
        if args.output.output == Output::Table {
            output::note_line(ticket);
        }
    }
    Ok(())
}

/// A message as it is written.
fn text(message: &Message, args: &PopArgs, ticket: Option<&str>) -> Bytes {
    match args.output.output {
        Output::Json => format!("{}\n", delivery_json(&args.name, message, ticket)).into(),
        Output::Table if args.raw => message.body().clone(),
        Output::Table => [message.body(), &b"\n"[..]].concat().into(),
    }
}

/// Writes to standard output, beside the session's connection: the reader may take its time. If
/// nobody reads, the messages must go back.
async fn write(texts: Vec<Bytes>) -> Result<(), Failure> {
    let write = move || {
        let mut out = io::stdout().lock();
        texts.iter().try_for_each(|text| out.write_all(text)).and_then(|()| out.flush())
    };
    let written = tokio::task::spawn_blocking(write)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)));
    written.map_err(|error| {
        Failure::failed(format!(
            "cannot write to standard output: {error}; the messages go back to the queue"
        ))
    })
}
