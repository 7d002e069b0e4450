//! `holdfast queue purge` and `redrive`: what is done to very many messages, in steps.

use holdfast_client::{Client, DeadReason, Redrive};

use super::stats::look_at;
use crate::args::{DeadReasonArg, PurgeArgs, RedriveArgs};
use crate::commands::confirm;
use crate::commands::faults::{SESSION_TTL, failed};
use crate::commands::progress::Progress;
use crate::counted::{agreed, counted};
use crate::failure::{Failure, OK};
use crate::{client, output};

/// Removes all messages that are not in flight, and says how many they were.
pub(super) async fn purge(args: &PurgeArgs) -> Result<u8, Failure> {
    confirm::possible(args.yes, format!("to empty {:?}", args.name))?;
    let client = client::connect(&args.endpoints, "holdfast queue purge", SESSION_TTL).await?;
    let outcome = purge_if_sure(&client, args).await;
    client::close(client).await;
    outcome
}

async fn purge_if_sure(client: &Client, args: &PurgeArgs) -> Result<u8, Failure> {
    if !args.yes && !ask(client, &args.name).await? {
        return Err(confirm::refused());
    }
    let mut progress = Progress::begin("removed", "message", &args.progress);
    let mut removed = 0;
    let told = |count| {
        removed = count;
        progress.update(count);
    };
    let purged = client.queue(&args.name).purge(told).await;
    progress.end();
    let what = format!("cannot purge {:?}", args.name);
    let count = purged.map_err(|error| failed(&so_far(&what, removed, "removed"), &error))?;
    output::print(format!("removed {} from {}\n", counted(count, "message"), args.name))?;
    Ok(OK)
}

/// Asks at the terminal.
async fn ask(client: &Client, name: &str) -> Result<bool, Failure> {
    let Some(queue) = look_at(client, name).await? else {
        return Err(Failure::failed(format!(
            "there is no queue {name:?}; see `holdfast queue stats` for those there are"
        )));
    };
    let messages = counted(queue.ready + queue.delayed + queue.parked, "message");
    Ok(confirm::ask(format!("remove {messages} from {name} for good?")).await)
}

/// Gives dead letters another chance, and says how many they were.
pub(super) async fn redrive(args: &RedriveArgs) -> Result<u8, Failure> {
    let which = Redrive {
        to: args.to.clone(),
        messages: args.ids.clone(),
        reason: args.reason.map(|reason| match reason {
            DeadReasonArg::Deliveries => DeadReason::Deliveries,
            DeadReasonArg::Rejected => DeadReason::Rejected,
            DeadReasonArg::Expired => DeadReason::Expired,
        }),
        group: args.group.clone(),
        limit: args.limit,
    };
    let client = client::connect(&args.endpoints, "holdfast queue redrive", SESSION_TTL).await?;
    let mut progress = Progress::begin("moved", "message", &args.progress);
    let mut moved = 0;
    let told = |count| {
        moved = count;
        progress.update(count);
    };
    let redriven = client.queue(&args.name).redrive(&which, told).await;
    client::close(client).await;
    progress.end();
    let what = format!("cannot redrive {:?}", args.name);
    let count = redriven.map_err(|error| failed(&so_far(&what, moved, "moved"), &error))?;
    output::print(format!("moved {} from {}\n", counted(count, "message"), args.name))?;
    Ok(OK)
}

/// What a step that failed left done.
fn so_far(what: &str, count: u64, done: &str) -> String {
    match count {
        0 => what.to_owned(),
        count => {
            let were = agreed(count, "was", "were");
            format!("{what} to the end, {} {were} {done}", counted(count, "message"))
        }
    }
}
