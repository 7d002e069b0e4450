//! `holdfast locks`: who holds what since when, and who waits for it.

use std::time::Duration;

use holdfast_client::{LockInfo, LockMode, LockSpec};
use serde_json::{Value, json};

use super::graph;
use crate::args::{LocksArgs, Output};
use crate::counted::counted;
use crate::duration::{ms, show};
use crate::failure::{Failure, OK};
use crate::table::{Align, Table};
use crate::{client, output};

/// Lists are asked for and done with, so their session may be short.
const SESSION_TTL: Duration = Duration::from_secs(10);

/// Shows one lock, a list, or who waits for whom.
pub(crate) async fn run(args: &LocksArgs) -> Result<u8, Failure> {
    let client = client::connect(&args.endpoints, "holdfast locks", SESSION_TTL).await?;
    if let Some(form) = args.graph {
        return graph::run(client, args, form).await;
    }
    // A name that nobody uses at the moment may still be how others begin.
    let one = match args.prefix.is_empty() || args.prefix.ends_with('/') {
        true => Ok(None),
        false => client.lock_info(&args.prefix).await,
    };
    let listed = match one {
        Ok(Some(lock)) => Ok((vec![lock], false)),
        Ok(None) => {
            let listed = client.locks(&args.prefix, args.limit).await;
            listed.map(|listed| (listed.locks, listed.truncated))
        }
        Err(error) => Err(error),
    };
    client::close(client).await;
    let failed = |error| client::failed("cannot list the locks", &error);
    let (locks, truncated) = listed.map_err(failed)?;
    match args.output.output {
        Output::Table => output::print(table(&locks))?,
        Output::Json => output::print(format!("{:#}\n", json(&locks, truncated)))?,
    }
    if truncated {
        output::warning_line(format!(
            "there are more than {}; give a longer prefix or a higher --limit",
            counted(args.limit, "lock")
        ));
    }
    Ok(OK)
}

fn table(locks: &[LockInfo]) -> String {
    let mut table = Table::new(&[
        ("LOCK", Align::Left),
        ("", Align::Left),
        ("FOR", Align::Right),
        ("MODE", Align::Left),
        ("TOKEN", Align::Right),
        ("GIVES UP", Align::Right),
        ("SESSION", Align::Right),
        ("NAME", Align::Left),
    ]);
    for lock in locks {
        let mut name = lock.name.clone();
        for holder in &lock.holders {
            let (what, time) = match holder.closed_for {
                Some(left) => ("closed", left),
                None => ("held", holder.held),
            };
            table.row([
                std::mem::take(&mut name),
                what.into(),
                show(ms(time)),
                mode(holder.mode, holder.permits, lock.capacity),
                holder.token.to_string(),
                String::new(),
                holder.session_id.to_string(),
                holder.session_name.clone(),
            ]);
        }
        for waiter in &lock.waiters {
            let here = waiter.wants.iter().find(|want| want.name() == lock.name);
            table.row([
                std::mem::take(&mut name),
                if waiter.upgrades.is_some() { "upgrades" } else { "waits" }.into(),
                show(ms(waiter.waiting)),
                here.map(|want| wanted(want, &waiter.wants)).unwrap_or_default(),
                waiter.upgrades.map(|token| token.to_string()).unwrap_or_default(),
                waiter.gives_up_in.map(|left| show(ms(left))).unwrap_or_default(),
                waiter.session_id.to_string(),
                waiter.session_name.clone(),
            ]);
        }
    }
    table.render()
}

fn mode(mode: LockMode, permits: u32, capacity: u32) -> String {
    match mode {
        LockMode::Exclusive => "exclusive".into(),
        LockMode::Shared => "shared".into(),
        LockMode::Permits => format!("{permits} of {capacity}"),
    }
}

/// The mode in which a lock is wanted, and with how many others.
fn wanted(here: &LockSpec, all: &[LockSpec]) -> String {
    let mode = mode(here.mode(), here.count(), here.of());
    match all.len() {
        1 => mode,
        many => format!("{mode}, with {} more", many - 1),
    }
}

/// The mode as REST has it.
pub(super) fn mode_word(mode: LockMode) -> &'static str {
    match mode {
        LockMode::Exclusive => "exclusive",
        LockMode::Shared => "shared",
        LockMode::Permits => "permits",
    }
}

fn want_json(want: &LockSpec) -> Value {
    let mut object = json!({ "name": want.name(), "mode": mode_word(want.mode()) });
    if want.mode() == LockMode::Permits {
        object["permits"] = want.count().into();
        object["capacity"] = want.of().into();
    }
    object
}

fn json(locks: &[LockInfo], truncated: bool) -> Value {
    let lock_json = |lock: &LockInfo| {
        let holders = lock.holders.iter().map(|holder| {
            json!({
                "session_id": holder.session_id,
                "session_name": holder.session_name,
                "token": holder.token,
                "held_ms": ms(holder.held),
                "mode": mode_word(holder.mode),
                "permits": holder.permits,
                "closed_ms": holder.closed_for.map(ms),
            })
        });
        let waiters = lock.waiters.iter().map(|waiter| {
            json!({
                "session_id": waiter.session_id,
                "session_name": waiter.session_name,
                "waiting_ms": ms(waiter.waiting),
                "gives_up_ms": waiter.gives_up_in.map(ms),
                "ticket": waiter.ticket,
                "upgrades": waiter.upgrades,
                "wants": waiter.wants.iter().map(want_json).collect::<Vec<_>>(),
            })
        });
        json!({
            "name": lock.name,
            "capacity": lock.capacity,
            "holders": holders.collect::<Vec<_>>(),
            "waiters": waiters.collect::<Vec<_>>(),
        })
    };
    json!({ "locks": locks.iter().map(lock_json).collect::<Vec<_>>(), "truncated": truncated })
}

#[cfg(test)]
mod tests {
    use holdfast_client::{LockHolder, LockWaiter};
    use serde_json::json;

    use super::*;

    #[test]
    fn holders_come_first_and_waiters_below_in_their_order() {
        let waiter = |session_id, wants: &[&str], gives_up_in| LockWaiter {
            session_id,
            session_name: format!("w{session_id}"),
            waiting: Duration::from_millis(1_500),
            wants: wants.iter().map(|name| LockSpec::exclusive(*name)).collect(),
            gives_up_in,
            upgrades: None,
            ticket: session_id + 100,
        };
        let holder = LockHolder {
            session_id: 7,
            session_name: "me".into(),
            token: 42,
            held: Duration::from_secs(61),
            mode: LockMode::Shared,
            permits: 0,
            closed_for: None,
        };
        let locks = [LockInfo {
            name: "a/b".into(),
            holders: vec![holder],
            waiters: vec![
                waiter(9, &["a/b"], Some(Duration::from_secs(5))),
                waiter(8, &["a/b", "c"], None),
            ],
            capacity: 0,
        }];
        let expect = "\
LOCK           FOR  MODE                    TOKEN  GIVES UP  SESSION  NAME
a/b   held   1m 1s  shared                     42                  7  me
      waits   1.5s  exclusive                          5.0s        9  w9
      waits   1.5s  exclusive, with 1 more                         8  w8
";
        assert_eq!(table(&locks), expect);
    }

    #[test]
    fn objects_have_the_words_of_rest() {
        let holder = |mode, permits| LockHolder {
            session_id: 7,
            session_name: "me".into(),
            token: 42,
            held: Duration::from_secs(61),
            mode,
            permits,
            closed_for: None,
        };
        let waiter = LockWaiter {
            session_id: 9,
            session_name: "w".into(),
            waiting: Duration::from_millis(1_500),
            wants: vec![LockSpec::permits("a", 2, 3), LockSpec::shared("b")],
            gives_up_in: None,
            upgrades: None,
            ticket: 5,
        };
        let locks = [LockInfo {
            name: "a".into(),
            holders: vec![holder(LockMode::Permits, 1)],
            waiters: vec![waiter],
            capacity: 3,
        }];
        let shown = super::json(&locks, true);
        assert_eq!(shown["truncated"], true);
        let lock = &shown["locks"][0];
        assert_eq!(lock["holders"][0]["token"], 42);
        assert_eq!(
            (&lock["holders"][0]["mode"], &lock["holders"][0]["permits"]),
            (&json!("permits"), &json!(1))
        );
        let wants = json!([
            { "name": "a", "mode": "permits", "permits": 2, "capacity": 3 },
            { "name": "b", "mode": "shared" },
        ]);
        assert_eq!(lock["waiters"][0]["wants"], wants);
    }
}
