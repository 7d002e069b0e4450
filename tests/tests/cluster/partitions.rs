//! Nodes in networks of their own, which are cut off in the middle of traffic.

use std::io::Write;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use holdfast_tests::net::{End, Manner, Network, apart, possible};
use holdfast_tests::partition_rounds::{Kind, Plan, run};
use holdfast_tests::traffic::Load;

use crate::BINARY;

/// Those in which a mistake would do the most harm; the binary `partition` has them all.
const KINDS: [Kind; 3] =
    [Kind::LeaderFromPeers, Kind::LeaderFromOneFollower, Kind::AllFromEachOther];

/// Long on a link within the machine.
const ARRIVES_WITHIN: Duration = Duration::from_millis(100);

#[test]
fn no_promise_is_broken_by_nodes_that_are_cut_off() {
    if let Err(why) = possible() {
        // Past the runner, which keeps what is printed by a test that passes.
        writeln!(std::io::stderr(), "skipped, nothing is cut off: {why}").expect("stderr is open");
        return;
    }
    let load = Load { clients: 3, seed: 1 };
    let plan = Plan { rounds: KINDS.len(), kinds: KINDS.to_vec(), nodes: 3, load };
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let rounds = apart(|| {
        let runtime = runtime().expect("a runtime");
        runtime.block_on(run(Path::new(BINARY), plan, |line| println!("{line}")))
    });
    let summary = rounds.and_then(|summary| summary).unwrap_or_else(|why| panic!("{why}"));
    // Every client keeps one lock, which must be found again in every round.
    assert!(summary.confirmed >= KINDS.len() * load.clients, "{summary:?}");
    assert!(summary.refused > 0, "nobody who was alone was asked: {summary:?}");
}

#[test]
fn what_is_cut_does_not_arrive_and_what_is_mended_does() {
    if possible().is_err() {
        return;
    }
    let (here, there) = (End::Node(0), End::Node(1));
    let trying = apart(|| {
        let mut network = Network::build(2)?;
        let bind = |node: usize| {
            let bound = || UdpSocket::bind(network.peer_addr(node)).expect("its own address");
            network.namespace(node).within(bound).map_err(|e| e.to_string())
        };
        let sockets = [bind(0)?, bind(1)?];
        let addresses = [network.peer_addr(0), network.peer_addr(1)];
        let mut number = 0;
        let mut arrives = |from: usize, to: usize| {
            number += 1;
            sockets[to].set_read_timeout(Some(ARRIVES_WITHIN)).expect("longer than nothing");
            // Where the way is known to be gone, this fails.
            let _ = sockets[from].send_to(&[number], &addresses[to]);
            let mut said = [0];
            // What was held back may come late.
            while sockets[to].recv(&mut said).is_ok() {
                if said == [number] {
                    return true;
                }
            }
            false
        };
        let both = |arrives: &mut dyn FnMut(usize, usize) -> bool| (arrives(0, 1), arrives(1, 0));
        assert_eq!(both(&mut arrives), (true, true));
        for (manner, passes) in [
            (Manner::Down, (false, false)),
            (Manner::Lost, (false, false)),
            (Manner::Mute, (false, true)),
            (Manner::Deaf, (true, false)),
        ] {
            let links = network.cut(here, &[there], manner)?;
            assert_eq!(both(&mut arrives), passes, "{manner:?}");
            assert!(network.is_open(End::Clients, here) && !network.is_open(there, here));
            assert_eq!(network.cut(there, &[here], manner)?, [], "it is cut already");
            network.heal(&links)?;
            assert_eq!(both(&mut arrives), (true, true), "{manner:?}");
        }
        Ok::<_, String>(())
    });
    trying.and_then(|tried| tried).unwrap_or_else(|why| panic!("{why}"));
}
