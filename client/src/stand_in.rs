//! A stand-in for the connection's task, for tests of handles: it shows what is asked, and answers.

use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::v1::{self, cache_change};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::client::Inner;
use crate::clock::Clock;
use crate::connection::{Answer, Ask, CacheAsk, Operation, QueueAsk, ReplySender};
use crate::session::SessionState;
use crate::{Client, Error, LeaseClock};

/// What the handles of a client ask for, and the answers to it.
pub(crate) struct Task {
    asks: mpsc::UnboundedReceiver<Ask>,
}

/// A session with a long lease.
pub(crate) fn state() -> Arc<SessionState> {
    let clock = Clock::start(LeaseClock::Tokio);
    let second = Duration::from_secs(1);
    Arc::new(SessionState::new(7, 10 * second, clock, 3_600 * second))
}

pub(crate) fn pair() -> (Client, Task) {
    let state = state();
    let (asks, receiver) = mpsc::unbounded_channel();
    let (_, channels) = watch::channel(None);
    let settings = Arc::default();
    let runtime = Handle::current();
    (Client::new(Inner { settings, state, asks, channels, runtime }), Task { asks: receiver })
}

impl Task {
    /// The next thing that is asked, as it is.
    pub(crate) fn ask(&mut self) -> Option<Ask> {
        self.asks.try_recv().ok()
    }

    /// The next request, if anything is asked.
    pub(crate) fn request(&mut self) -> Option<(Operation, Option<ReplySender>)> {
        match self.ask()? {
            Ask::Request { operation, reply } => Some((*operation, reply)),
            other => panic!("{other:?}"),
        }
    }

    /// The next request, shown, with the way to answer it.
    pub(crate) fn next(&mut self) -> (String, Option<ReplySender>) {
        match self.asks.try_recv().expect("something is asked") {
            Ask::Request { operation, reply } => (show(&operation), reply),
            Ask::Withdraw { wish, .. } => (format!("withdraw {}", wish.name), None),
            Ask::EndQueueRequest { queue, .. } => (format!("end {queue}"), None),
            Ask::Leave { token } => (format!("leave {token}"), None),
            Ask::EndCacheRequest { cache, key, .. } => (format!("end {cache}:{key}"), None),
            Ask::GiveBack { cache, lines } => {
                (format!("give back {cache}: {}", copies(&lines)), None)
            }
            Ask::Close { .. } => ("close".to_owned(), None),
        }
    }

    /// Checks what is asked, and answers it.
    #[track_caller]
    pub(crate) fn answer(&mut self, want: &str, answer: Result<Answer, Error>) {
        let (asked, reply) = self.next();
        assert_eq!(asked, want);
        reply.expect("somebody waits").send(answer).expect("and still does");
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, want: &[&str]) {
        for want in want {
            assert_eq!(self.next().0, *want);
        }
        assert!(self.asks.try_recv().is_err(), "nothing more");
    }
}

fn show(operation: &Operation) -> String {
    let wait = |wait: &Option<u64>| wait.map_or(String::new(), |ms| format!(" {ms} ms"));
    match operation {
        Operation::Acquire { wish, hold, wait_ms, .. } => {
            let names: Vec<&str> = wish.names().map(AsRef::as_ref).collect();
            format!("{:?} {}{}", hold.mode, names.join(","), wait(wait_ms))
        }
        Operation::Upgrade { wish, token, wait_ms, .. } => {
            format!("upgrade {} {token}{}", wish.name, wait(wait_ms))
        }
        Operation::Downgrade { wish, token } => format!("downgrade {} {token}", wish.name),
        Operation::Release { wish, token, .. } => format!("release {} {token}", wish.name),
        Operation::Cancel { name, seq } => format!("cancel {name} {seq}"),
        Operation::Queue { queue, under, ask, .. } => {
            let under = under.as_ref().map_or(String::new(), |p| format!(" under {}", p.name()));
            format!("{queue}: {}{under}", show_queue(ask))
        }
        Operation::Cache { cache, under, ask, .. } => {
            let under = under.as_ref().map_or(String::new(), |p| format!(" under {}", p.name()));
            format!("{cache}: {}{under}", show_cache(ask))
        }
    }
}

fn show_cache(ask: &CacheAsk) -> String {
    match ask {
        CacheAsk::Fill { key, copy, load_ms: None } => format!("fill {key} {copy:?}"),
        CacheAsk::Fill { key, load_ms: Some(ms), .. } => format!("load {key} {ms} ms"),
        CacheAsk::Write { key, change, if_version, load } => {
            let load = if *load == 0 { String::new() } else { format!(" of load {load}") };
            let when = if_version.map_or(String::new(), |version| format!(" if {version}"));
            format!("{} {key}{when}{load}", show_change(change))
        }
        CacheAsk::Flush { key, token, change } => {
            format!("flush {key} {token} {}", show_change(change))
        }
        CacheAsk::GiveBack { key, back } => {
            let change = back.change.as_ref().map_or("nothing".to_owned(), show_change);
            format!("give back {key} {} {change}", back.token)
        }
        CacheAsk::LetGo { lines } => {
            format!("let go {}", copies(lines))
        }
        CacheAsk::GiveUp { key, token } => format!("give up {key} {token}"),
        CacheAsk::End { key, seq } => format!("end {key} {seq}"),
        CacheAsk::Sweep { prefix } => format!("sweep {prefix:?}"),
    }
}

fn copies(lines: &[(Arc<str>, u64)]) -> String {
    lines.iter().map(|(key, at)| format!("{key}@{at}")).collect::<Vec<_>>().join(",")
}

fn show_change(change: &v1::CacheChange) -> String {
    match &change.change {
        Some(cache_change::Change::Put(put)) => {
            format!("put {:?}", String::from_utf8_lossy(&put.body))
        }
        Some(cache_change::Change::Delete(_)) => "delete".to_owned(),
        Some(cache_change::Change::Add(number)) => format!("add {number}"),
        None => "nothing".to_owned(),
    }
}

fn show_queue(ask: &QueueAsk) -> String {
    let tokens = |receipts: &[v1::Receipt]| {
        receipts.iter().map(|receipt| receipt.token.to_string()).collect::<Vec<_>>().join(",")
    };
    match ask {
        QueueAsk::Enqueue { messages, wait_ms } => {
            format!("enqueue {} {wait_ms:?}", messages.len())
        }
        QueueAsk::Consume { credits, .. } => format!("consume {credits}"),
        QueueAsk::Claim { max, wait_ms, visibility_ms } => {
            format!("claim {max} {wait_ms:?} {visibility_ms:?}")
        }
        QueueAsk::Settle { receipts, how, delay_ms } => {
            format!("{how:?} {} {delay_ms}", tokens(receipts))
        }
        QueueAsk::Extend { receipts, visibility_ms } => {
            format!("extend {} {visibility_ms}", tokens(receipts))
        }
        QueueAsk::End { seq } => format!("end {seq}"),
    }
}
