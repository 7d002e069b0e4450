//! Addresses for nodes under test.
//!
//! A node that was stopped must find its ports again. Ports that the system hands out by itself
//! come from the range that outgoing connections take theirs from, so one of those could sit on a
//! stopped node's port. Ports below that range are only ever taken on purpose.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::ops::Range;
use std::sync::{LazyLock, Mutex};

use rand::RngExt;

/// Below this, services of the machine are to be expected.
const PORT_MIN: u16 = 10_000;

/// Where outgoing connections begin on most systems.
const EPHEMERAL_MIN: u16 = 32_768;

/// How many ports are tried before there must be something wrong with the machine.
const TRIES_MAX: usize = 1_000;

static TAKEN: LazyLock<Mutex<BTreeSet<u16>>> = LazyLock::new(Mutex::default);

/// An address on this machine that nobody uses, and that nobody else in this process is given.
pub fn free_address() -> String {
    let range = range();
    let mut rng = rand::rng();
    let mut taken = TAKEN.lock().expect("no holder of this lock panics");
    for _ in 0..TRIES_MAX {
        let port = rng.random_range(range.clone());
        if !taken.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            taken.insert(port);
            return format!("127.0.0.1:{port}");
        }
    }
    panic!("no free port in {range:?} after {TRIES_MAX} attempts");
}

fn range() -> Range<u16> {
    let ephemeral = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    let lowest = ephemeral.and_then(|text| text.split_whitespace().next()?.parse().ok());
    let end = lowest.filter(|lowest| *lowest > PORT_MIN + 1_000).unwrap_or(EPHEMERAL_MIN);
    PORT_MIN..end
}
