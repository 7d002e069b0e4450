//! `holdfast cache`: a file for each kind of command, and the choice among them.

mod list;
mod look;
mod put;
mod settings;
mod stats;
mod sweep;
mod values;
mod watch;

use holdfast_client::{Cache, Client, Proof};

use crate::args::cache::CacheCommand;
use crate::failure::Failure;

/// Runs what was asked for.
pub(super) async fn run(command: &CacheCommand) -> Result<u8, Failure> {
    match command {
        CacheCommand::Get(args) => values::get(args).await,
        CacheCommand::Put(args) => put::run(args).await,
        CacheCommand::Del(args) => values::del(args).await,
        CacheCommand::Cas(args) => values::cas(args).await,
        CacheCommand::Add(args) => values::add(args).await,
        CacheCommand::Watch(args) => watch::run(args).await,
        CacheCommand::Stats(args) => stats::run(args).await,
        CacheCommand::Holders(args) => stats::holders(args).await,
        CacheCommand::List(args) => list::run(args).await,
        CacheCommand::Sweep(args) => sweep::run(args).await,
        CacheCommand::Create(args) => settings::create(args).await,
        CacheCommand::Change(args) => settings::change(args).await,
        CacheCommand::Delete(args) => settings::delete(args).await,
    }
}

/// The cache, on behalf of the lock around this program.
fn cache_under(client: &Client, name: &str, outer: Option<Proof>) -> Cache {
    let cache = client.cache(name);
    match outer {
        Some(outer) => cache.under(outer),
        None => cache,
    }
}
