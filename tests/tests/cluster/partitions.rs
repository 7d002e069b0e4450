//! Nodes in networks of their own, which are cut off in the middle of traffic.

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use holdfast_tests::net::{End, Manner, Network, apart, possible};
use holdfast_tests::partition_rounds::{GOES_ON_WITHIN, Kind, Plan, run};
use holdfast_tests::traffic::Load;

use crate::{BINARY, can_be_tried};

/// Those in which a mistake would do the most harm; the binary `partition` has them all.
const KINDS: [Kind; 3] = [Kind::LeaderFromPeers, Kind::Split, Kind::AllFromEachOther];

/// Long on a link within the machine.
const ARRIVES_WITHIN: Duration = Duration::from_millis(100);
const TRIES_MAX: usize = 50;

#[test]
fn no_promise_is_broken_by_nodes_that_are_cut_off() {
    if !can_be_tried(possible()) {
        return;
    }
    let load = Load { clients: 3, seed: 1 };
    // As short as may be to demand that work goes on.
    let lasts = Some(GOES_ON_WITHIN + Duration::from_millis(100));
    let plan = Plan { rounds: KINDS.len(), kinds: KINDS.to_vec(), lasts, nodes: 3, load };
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let rounds = apart(|| {
        let runtime = runtime().expect("a runtime");
        runtime.block_on(run(Path::new(BINARY), plan, |line| println!("{line}")))
    });
    let summary = rounds.and_then(|summary| summary).unwrap_or_else(|why| panic!("{why}"));
    // Every client keeps one lock, which must be found again in every round.
    assert!(summary.confirmed >= KINDS.len() * load.clients, "{summary:?}");
    assert!(summary.went_on == 2 && summary.refused > 0, "too little was asked: {summary:?}");
}

#[test]
fn what_is_cut_does_not_arrive_and_what_is_mended_does() {
    if !can_be_tried(possible()) {
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
        let mut number = 0_u64;
        let mut arrives = |from: usize, to: usize| {
            number += 1;
            sockets[to].set_read_timeout(Some(ARRIVES_WITHIN)).expect("longer than nothing");
            // Where the way is known to be gone, this fails.
            let _ = sockets[from].send_to(&number.to_be_bytes(), &addresses[to]);
            let mut said = [0; 8];
            // What was held back may come late.
            while sockets[to].recv(&mut said).is_ok() {
                if u64::from_be_bytes(said) == number {
                    return true;
                }
            }
            false
        };
        let mut passes = |from: usize, to: usize, want: bool| {
            // A link that has come up takes a moment to carry anything. One that is cut takes none.
            let tries = if want { TRIES_MAX } else { 1 };
            let is_wanted = (0..tries).any(|_| arrives(from, to)) == want;
            assert!(is_wanted, "from {from} to {to}: {want} is wanted");
        };
        passes(0, 1, true);
        passes(1, 0, true);
        for (manner, said, heard) in [
            (Manner::Down, false, false),
            (Manner::Lost, false, false),
            (Manner::Mute, false, true),
            (Manner::Deaf, true, false),
        ] {
            println!("{manner:?}");
            let links = network.cut(here, &[there], manner)?;
            passes(0, 1, said);
            passes(1, 0, heard);
            assert!(network.is_open(End::Clients, here) && !network.is_open(there, here));
            assert_eq!(network.cut(there, &[here], manner)?, [], "it is cut already");
            network.heal(&links)?;
            passes(0, 1, true);
            passes(1, 0, true);
        }
        Ok::<_, String>(())
    });
    trying.and_then(|tried| tried).unwrap_or_else(|why| panic!("{why}"));
}
