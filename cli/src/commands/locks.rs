//! `holdfast locks`: who holds what since when, and who waits for it.

use std::time::Duration;

use holdfast_proto::v1::LockInfo;
use serde_json::json;

use crate::args::{LocksArgs, Output};
use crate::duration::show;
use crate::failure::{Failure, OK};
use crate::table::{Align, Table};
use crate::{client, output};

/// Lists are asked for and done with, so their session may be short.
const SESSION_TTL: Duration = Duration::from_secs(10);

/// Lists the locks.
pub(crate) async fn run(args: &LocksArgs) -> Result<u8, Failure> {
    let client = client::connect(&args.endpoints, "holdfast locks", SESSION_TTL).await?;
    let listed = client.locks(&args.prefix, args.limit).await;
    client::close(client).await;
    let locks = listed.map_err(|error| client::failed("cannot list the locks", &error))?;
    match args.output.output {
        Output::Table => output::print(table(&locks))?,
        Output::Json => output::print(format!("{:#}\n", json(&locks)))?,
    }
    if locks.len() >= args.limit as usize {
        output::warning_line(format!(
            "there may be more than {} locks; give a longer prefix or a higher --limit",
            args.limit
        ));
    }
    Ok(OK)
}

fn table(locks: &[LockInfo]) -> String {
    let mut table = Table::new(&[
        ("LOCK", Align::Left),
        ("", Align::Left),
        ("FOR", Align::Right),
        ("TOKEN", Align::Right),
        ("SESSION", Align::Right),
        ("NAME", Align::Left),
    ]);
    for lock in locks {
        let mut name = lock.name.clone();
        if let Some(holder) = &lock.holder {
            table.row([
                std::mem::take(&mut name),
                "held".into(),
                show(holder.held_ms),
                holder.token.to_string(),
                holder.session_id.to_string(),
                holder.session_name.clone(),
            ]);
        }
        for waiter in &lock.waiters {
            table.row([
                std::mem::take(&mut name),
                "waits".into(),
                show(waiter.waiting_ms),
                String::new(),
                waiter.session_id.to_string(),
                waiter.session_name.clone(),
            ]);
        }
    }
    table.render()
}

fn json(locks: &[LockInfo]) -> serde_json::Value {
    let lock_json = |lock: &LockInfo| {
        let holder = lock.holder.as_ref().map(|holder| {
            json!({
                "session_id": holder.session_id,
                "session_name": holder.session_name,
                "token": holder.token,
                "held_ms": holder.held_ms,
            })
        });
        let waiters = lock.waiters.iter().map(|waiter| {
            json!({
                "session_id": waiter.session_id,
                "session_name": waiter.session_name,
                "waiting_ms": waiter.waiting_ms,
            })
        });
        json!({ "name": lock.name, "holder": holder, "waiters": waiters.collect::<Vec<_>>() })
    };
    json!({ "locks": locks.iter().map(lock_json).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use holdfast_proto::v1::{LockHolder, LockWaiter};

    use super::*;

    #[test]
    fn holders_come_first_and_waiters_below_in_their_order() {
        let waiter = |session_id| LockWaiter {
            session_id,
            session_name: format!("w{session_id}"),
            waiting_ms: 1_500,
        };
        let holder =
            LockHolder { session_id: 7, session_name: "me".into(), token: 42, held_ms: 61_000 };
        let locks = [LockInfo {
            name: "a/b".into(),
            holder: Some(holder),
            waiters: vec![waiter(9), waiter(8)],
        }];
        let expect = "\
LOCK           FOR  TOKEN  SESSION  NAME
a/b   held   1m 1s     42        7  me
      waits   1.5s               9  w9
      waits   1.5s               8  w8
";
        assert_eq!(table(&locks), expect);
        assert_eq!(json(&locks)["locks"][0]["holder"]["token"], 42);
        assert_eq!(json(&locks)["locks"][0]["waiters"][1]["session_id"], 8);
    }
}
