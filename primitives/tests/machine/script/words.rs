//! The words of a script that ask for something.

use holdfast_primitives::{
    Command, Guard, Mode, Names, Policy, Seq, SessionId, Terms, Token, Want, Wants,
};

use super::caches::cache_command_of;
use super::name;
use super::queues::queue_command_of;

pub(super) fn open(ttl: &str, name_bytes: usize, who: &str) -> Command {
    let name = "n".repeat(name_bytes);
    Command::OpenSession { ttl_ms: millis(ttl), name, secret_hash: secret(who) }
}

pub(super) fn secret(who: &str) -> [u8; 32] {
    [who.as_bytes()[0]; 32]
}

/// `if(x,3)`, if it stands before the rest.
pub(super) fn guard_of<'a, 'b>(words: &'a [&'b str]) -> (Option<Guard>, &'a [&'b str]) {
    let guard = words[0].strip_prefix("if(").and_then(|guard| guard.strip_suffix(')'));
    let Some(guard) = guard else { return (None, words) };
    let (lock, token) = guard.split_once(',').expect("`if(LOCK,TOKEN)`");
    (Some(Guard { name: name(lock), token: token_of(token) }), &words[1..])
}

pub(super) fn command_of(words: &[&str]) -> Command {
    match *words {
        ["end"] => Command::EndSession,
        ["tick"] => Command::Tick,
        ["renew"] => Command::RenewSessions { sessions: Vec::new() },
        ["open"] => open("10s", 1, "x"),
        ["resume"] => {
            Command::ResumeSession { session: SessionId::new(1), secret_hash: secret("a") }
        }
        ["acquire", lock, ref how @ ..] => acquire(one(lock, Mode::Exclusive), how),
        ["share", lock, ref how @ ..] => acquire(one(lock, Mode::Shared), how),
        ["take", permits, lock, ref how @ ..] => acquire(one(lock, permits_of(permits)), how),
        ["all", locks, ref how @ ..] => acquire(all(locks), how),
        ["try", lock] => acquire(one(lock, Mode::Exclusive), &["0"]),
        ["release", locks, token] => {
            let names = locks.split(',').map(name).collect();
            let names = Names::all(names).expect("good names");
            Command::ReleaseLock { names, token: token_of(token) }
        }
        ["cancel", lock, seq] => {
            Command::CancelAcquire { name: name(lock), seq: Seq::new(number(seq)) }
        }
        ["upgrade", lock, token, ref wait @ ..] => Command::UpgradeLock {
            name: name(lock),
            token: token_of(token),
            wait_ms: wait.first().map(|wait| millis(wait)),
        },
        ["downgrade", lock, token] => {
            Command::DowngradeLock { name: name(lock), token: token_of(token) }
        }
        ["force", lock, ref token @ ..] => Command::ForceRelease {
            name: name(lock),
            token: token.first().map(|token| token_of(token)),
        },
        _ => cache_command_of(words)
            .or_else(|| queue_command_of(words))
            .unwrap_or_else(|| panic!("no such command: {words:?}")),
    }
}

fn one(lock: &str, mode: Mode) -> Wants {
    Wants::one(name(lock), mode)
}

/// `x,share:y,1/3:z`
fn all(locks: &str) -> Wants {
    let want = |lock: &str| match lock.split_once(':') {
        None => Want { name: name(lock), mode: Mode::Exclusive },
        Some(("share", lock)) => Want { name: name(lock), mode: Mode::Shared },
        Some((permits, lock)) => Want { name: name(lock), mode: permits_of(permits) },
    };
    Wants::all(locks.split(',').map(want).collect()).expect("good wishes")
}

/// How long to wait, and on which terms.
fn acquire(wants: Wants, how: &[&str]) -> Command {
    let (mut wait_ms, mut terms) = (None, Terms::default());
    for word in how {
        match *word {
            "own" => terms.own_flow = true,
            "reentrant" => terms.reentrant = true,
            "woundwait" => terms.policy = Policy::WoundWait,
            "waitdie" => terms.policy = Policy::WaitDie,
            _ => match word.strip_prefix("delay=") {
                Some(delay) => terms.delay_ms = millis(delay) as u32,
                None => wait_ms = Some(millis(word)),
            },
        }
    }
    Command::AcquireLock { wants, wait_ms, terms }
}

/// `2/3`
fn permits_of(text: &str) -> Mode {
    let (count, of) = text.split_once('/').expect("`COUNT/OF`");
    Mode::permits(number(count) as u32, number(of) as u32).expect("good permits")
}

fn token_of(text: &str) -> Token {
    Token::new(number(text))
}

pub(super) fn millis(text: &str) -> u64 {
    match text.strip_suffix('s') {
        Some(seconds) => number(seconds) * 1_000,
        None => number(text),
    }
}

pub(super) fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text:?}"))
}
