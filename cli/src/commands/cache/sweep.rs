//! `holdfast cache sweep`: removes very many values, in steps.

use holdfast_client::Client;

use super::stats::look_at;
use crate::args::cache::SweepArgs;
use crate::commands::confirm;
use crate::commands::faults::{SESSION_TTL, failed};
use crate::commands::progress::Progress;
use crate::counted::{agreed, counted};
use crate::failure::{Failure, OK};
use crate::{client, output};

/// Removes everything with the prefix, and says how much it was.
pub(super) async fn run(args: &SweepArgs) -> Result<u8, Failure> {
    confirm::possible(args.yes, format!("to sweep {:?}", args.name))?;
    let client = client::connect(&args.endpoints, "holdfast cache sweep", SESSION_TTL).await?;
    let outcome = sweep_if_sure(&client, args).await;
    client::close(client).await;
    outcome
}

async fn sweep_if_sure(client: &Client, args: &SweepArgs) -> Result<u8, Failure> {
    if !args.yes && !ask(client, args).await? {
        return Err(confirm::refused());
    }
    let mut progress = Progress::begin("removed", "entry", &args.progress);
    let mut removed = 0;
    let told = |count| {
        removed = count;
        progress.update(count);
    };
    let swept = client.cache(&args.name).sweep(&args.prefix, told).await;
    progress.end();
    let what = match removed {
        0 => format!("cannot sweep {:?}", args.name),
        _ => format!(
            "cannot sweep {:?} to the end, {} {} removed",
            args.name,
            counted(removed, "entry"),
            agreed(removed, "was", "were")
        ),
    };
    let count = swept.map_err(|error| failed(&what, &error))?;
    output::print(format!("removed {} from {}\n", counted(count, "entry"), args.name))?;
    Ok(OK)
}

async fn ask(client: &Client, args: &SweepArgs) -> Result<bool, Failure> {
    let SweepArgs { name, prefix, .. } = args;
    let Some(cache) = look_at(client, name).await? else {
        return Err(Failure::failed(format!(
            "there is no cache {name:?}; see `holdfast cache stats` for those there are"
        )));
    };
    let question = match prefix.is_empty() {
        true => {
            let all = counted(cache.entries, "entry");
            format!("remove all of {name} for good, {all}?")
        }
        false => format!("remove what begins with {prefix:?} from {name} for good?"),
    };
    Ok(confirm::ask(question).await)
}
