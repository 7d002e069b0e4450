//! `holdfast queue work`: runs a command for each message, several at a time.
//!
//! ```text
//! messages -> Shop -> a task per message (worker.rs) -> the command (../child.rs)
//! signals  -> Shop -> at the second, all commands
//! ```

use std::sync::Arc;

use holdfast_client::{Consumer, Error, Message};
use tokio::sync::broadcast;
use tokio::task::{JoinError, JoinSet};

use super::worker::{Stop, Worker};
use crate::args::WorkArgs;
use crate::commands::faults::failed;
use crate::commands::outer;
use crate::failure::{Failure, LOST, OK};
use crate::signals::{Ending, Endings};
use crate::{client, output};

/// How many signals a command may have to catch up with.
const SIGNALS: usize = 8;

/// Works until it is told to stop, or has had its fill.
pub(super) async fn run(args: &WorkArgs) -> Result<u8, Failure> {
    let outer = outer::lock(args.under.alone)?;
    let mut endings = Endings::listen()?;
    let command = args.command.first().map(|command| command.to_string_lossy());
    let purpose = format!("holdfast queue work -- {}", command.unwrap_or_default());
    let client = tokio::select! {
        connected = client::connect(&args.endpoints, &purpose, args.ttl) => connected?,
        ending = endings.next() => return Ok(ending.exit_code()),
    };
    let mut queue = client.queue(&args.name);
    if let Some(outer) = outer {
        queue = queue.under(outer);
    }
    let limit = if args.once { Some(1) } else { args.count };
    // More than it is to handle it does not take.
    let credits = limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(args.jobs);
    let outcome = match queue.consumer(credits.min(args.jobs)).await {
        Ok(consumer) => {
            let worker = Worker::new(args, client.session());
            Shop::new(consumer, worker, args, limit).run(&mut endings).await
        }
        Err(error) => Err(failed(&format!("cannot consume {:?}", args.name), &error)),
    };
    client::close(client).await;
    outcome
}

/// Hands messages to commands.
struct Shop<'a> {
    args: &'a WorkArgs,
    worker: Arc<Worker>,
    /// Gone as soon as no more messages are wanted: to drop it gives back what nobody has begun.
    consumer: Option<Consumer>,
    jobs: JoinSet<Result<Option<Failure>, Stop>>,
    signals: broadcast::Sender<Ending>,
    /// How many messages may still be begun.
    left: Option<u64>,
    /// The first thing after which it could not go on, or, of so many messages, the first one that
    /// was lost.
    failure: Option<Failure>,
}

impl<'a> Shop<'a> {
    fn new(consumer: Consumer, worker: Worker, args: &'a WorkArgs, limit: Option<u64>) -> Self {
        Self {
            args,
            worker: Arc::new(worker),
            consumer: Some(consumer),
            jobs: JoinSet::new(),
            signals: broadcast::channel(SIGNALS).0,
            left: limit,
            failure: None,
        }
    }

    /// Ends when no more messages are wanted and all commands have ended.
    async fn run(mut self, endings: &mut Endings) -> Result<u8, Failure> {
        let mut was_told = false;
        while self.consumer.is_some() || !self.jobs.is_empty() {
            let may_begin = self.jobs.len() < self.args.jobs as usize;
            tokio::select! {
                biased;
                ending = endings.next() => {
                    self.consumer = None;
                    if was_told {
                        // Without a command there is nobody to be told.
                        let _ = self.signals.send(ending);
                    }
                    was_told = true;
                }
                Some(done) = self.jobs.join_next() => self.done(done),
                next = next(&mut self.consumer), if may_begin => self.begin(next),
            }
        }
        self.failure.map_or(Ok(OK), Err)
    }

    fn begin(&mut self, next: Result<Message, Error>) {
        let message = match next {
            Ok(message) => message,
            Err(error) => {
                let mut failure = failed(&format!("cannot consume {:?}", self.args.name), &error);
                if matches!(error, Error::SessionLost { .. }) {
                    failure.code = LOST;
                }
                return self.stop(failure);
            }
        };
        let (worker, requests) = (self.worker.clone(), self.signals.subscribe());
        self.jobs.spawn(async move { worker.handle(message, requests).await });
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.consumer = None;
            }
        }
    }

    fn done(&mut self, done: Result<Result<Option<Failure>, Stop>, JoinError>) {
        match done {
            Ok(Ok(None)) => {}
            // Whoever asked for so many wants to know whether they are done with.
            Ok(Ok(Some(lost))) if self.left.is_some() && self.failure.is_none() => {
                self.failure = Some(lost);
            }
            Ok(Ok(Some(lost))) => output::warning_line(lost),
            Ok(Err(stop)) => {
                // Before the message goes back.
                self.consumer = None;
                self.stop(stop.failure);
            }
            Err(error) => {
                let what = format!("a task has failed: {error}; please report it");
                self.stop(Failure::failed(what));
            }
        }
    }

    /// Begins nothing new. What runs comes to its end.
    fn stop(&mut self, failure: Failure) {
        self.consumer = None;
        self.failure.get_or_insert(failure);
    }
}

/// The next message. Never comes without a consumer.
async fn next(consumer: &mut Option<Consumer>) -> Result<Message, Error> {
    match consumer {
        Some(consumer) => consumer.next().await,
        None => std::future::pending().await,
    }
}
