//! `compare`: Holdfast and its peers side by side.

use crate::cli::CompareArgs;
use crate::commands::rounds;
use crate::error::BenchError;
use crate::folder::RunFolder;
use crate::report;
use crate::systems::{
    self, AnySystem, Binaries, Etcd, Holdfast, Nats, Peer, RabbitMq, Redis, System,
};
use crate::works::{Cell, Work};

pub(crate) async fn run(args: CompareArgs) -> Result<(), BenchError> {
    let peers = distinct(&args.peers);
    check_sense(&peers, &args.load.cells())?;
    report::check_writable(args.place.json.as_deref())?;
    // Dropped last: the servers end before their data goes.
    let folder = RunFolder::create(args.place.data_dir.as_deref())?;
    let binaries = args.binaries();
    let mut systems: Vec<AnySystem> = Vec::new();
    systems.extend(launch_if_here::<Holdfast>(&binaries, &folder).await?);
    for peer in peers {
        systems.extend(match peer {
            Peer::Etcd => launch_if_here::<Etcd>(&binaries, &folder).await?,
            Peer::Nats => launch_if_here::<Nats>(&binaries, &folder).await?,
            Peer::RabbitMq => launch_if_here::<RabbitMq>(&binaries, &folder).await?,
            Peer::Redis => launch_if_here::<Redis>(&binaries, &folder).await?,
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

/// Refuses what nobody could compare: a work that no peer can do, a peer that can do no work.
fn check_sense(peers: &[Peer], cells: &[Cell]) -> Result<(), BenchError> {
    for cell in cells {
        cell.check_sense()?;
        if !peers.iter().any(|peer| peer.does(cell.work)) {
            let able: Vec<_> = Peer::ALL.into_iter().filter(|peer| peer.does(cell.work)).collect();
            return Err(BenchError::Senseless(format!(
                "--work {}: {} cannot do that; {} can (--peers)",
                cell.work.name(),
                names(peers),
                names(&able)
            )));
        }
    }
    let is_idle = |peer: &&Peer| !cells.iter().any(|cell| peer.does(cell.work));
    match peers.iter().find(is_idle) {
        None => Ok(()),
        Some(idle) => {
            let able: Vec<_> = Work::ALL.into_iter().filter(|work| idle.does(*work)).collect();
            let able: Vec<_> = able.into_iter().map(Work::name).collect();
            Err(BenchError::Senseless(format!(
                "--peers {}: it can do none of the works asked for, but {} (--work)",
                idle.name(),
                able.join(", ")
            )))
        }
    }
}

fn names(peers: &[Peer]) -> String {
    peers.iter().map(|peer| peer.name()).collect::<Vec<_>>().join(", ")
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
    use crate::works::Shape;

    fn refusal(peers: &[Peer], works: &[Work], clients: &[usize]) -> String {
        let cells = Cell::all(works, &[Shape::Shared], clients);
        check_sense(peers, &cells).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn combinations_without_sense_are_refused() {
        let (nats, etcd) = (&[Peer::Nats][..], &[Peer::Etcd][..]);
        let both = &[Peer::Etcd, Peer::Nats][..];
        for (peers, works, clients, expected) in [
            (nats, &[Work::Queue][..], 1, ""),
            (both, &[Work::Queue, Work::Lock], 64, ""),
            (etcd, &[Work::Queue], 1, "--work queue: etcd cannot do that; nats, rabbitmq can"),
            (nats, &[Work::Queue, Work::Lock], 1, "--work lock: nats cannot do that; etcd can"),
            (both, &[Work::Queue], 1, "--peers etcd: it can do none of the works asked for"),
            (nats, &[Work::QueueFlow], 1, "--work queue-flow needs at least 2 clients"),
            (nats, &[Work::QueueFlow], 2, ""),
        ] {
            let said = refusal(peers, works, &[clients]);
            assert_eq!(said.is_empty(), expected.is_empty(), "{said}");
            assert!(said.starts_with(expected), "{said}");
        }
    }

    #[test]
    fn a_peer_named_twice_runs_once() {
        assert_eq!(distinct(&[Peer::Etcd, Peer::Etcd]), [Peer::Etcd]);
    }
}
