//! `compare`: Holdfast and its peers side by side.

use crate::cli::CompareArgs;
use crate::commands::rounds;
use crate::error::BenchError;
use crate::folder::RunFolder;
use crate::report;
use crate::systems::{self, AnySystem, Binaries, Etcd, Holdfast, Peer, System};

pub(crate) async fn run(args: CompareArgs) -> Result<(), BenchError> {
    report::check_writable(args.place.json.as_deref())?;
    // Dropped last: the servers end before their data goes.
    let folder = RunFolder::create(args.place.data_dir.as_deref())?;
    let binaries = Binaries { etcd: args.etcd.clone(), ..args.place.binaries() };
    let mut systems: Vec<AnySystem> = Vec::new();
    systems.extend(launch_if_here::<Holdfast>(&binaries, &folder).await?);
    for peer in distinct(&args.peers) {
        systems.extend(match peer {
            Peer::Etcd => launch_if_here::<Etcd>(&binaries, &folder).await?,
        });
    }
    if systems.is_empty() {
        return Err(BenchError::NothingRan);
    }
    let rows = rounds::measure(&mut systems, &args.load).await?;
    rounds::publish(&rows, &args.load, &args.place)
}

/// A system that is not on this machine is skipped with a word; one that fails to start is an
/// error, because a table without it would hide that.
async fn launch_if_here<S: System + Into<AnySystem>>(
    binaries: &Binaries,
    folder: &RunFolder,
) -> Result<Option<AnySystem>, BenchError> {
    match systems::launch::<S>(binaries, folder).await {
        Ok(system) => Ok(Some(system.into())),
        Err(BenchError::Missing(why)) => {
            eprintln!("skipped {}: {why}", S::NAME);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn distinct(peers: &[Peer]) -> Vec<Peer> {
    let mut distinct = Vec::new();
    for peer in peers {
        if !distinct.contains(peer) {
            distinct.push(*peer);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_named_twice_runs_once() {
        assert_eq!(distinct(&[Peer::Etcd, Peer::Etcd]), [Peer::Etcd]);
    }
}
