//! `holdfast unlock`: takes a lock from whoever holds it.

use std::time::Duration;

use crate::args::UnlockArgs;
use crate::failure::{Failure, OK};
use crate::{client, output};

/// Only for one question and one command.
const SESSION_TTL: Duration = Duration::from_secs(10);

/// Takes the lock and says from whom.
pub(crate) async fn run(args: &UnlockArgs) -> Result<u8, Failure> {
    let client = client::connect(&args.endpoints, "holdfast unlock", SESSION_TTL).await?;
    let before = client.lock_info(&args.name).await;
    let forced = match &before {
        Ok(_) => client.force_release(&args.name, args.token).await,
        Err(_) => Ok(()),
    };
    client::close(client).await;
    let what = format!("cannot take the lock {:?} away", args.name);
    let before = before.map_err(|error| client::failed(&what, &error))?;
    forced.map_err(|error| client::failed(&what, &error))?;
    let holders = before.into_iter().flat_map(|lock| lock.holders);
    for holder in holders.filter(|holder| args.token.is_none_or(|token| token == holder.token)) {
        output::print(format!(
            "took {} from session {} ({}), token {}\n",
            args.name,
            holder.session_id,
            output::printable(&holder.session_name),
            holder.token
        ))?;
    }
    Ok(OK)
}
