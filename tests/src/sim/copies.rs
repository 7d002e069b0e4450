//! Whoever has a copy of a line stands in the directory, or would never be asked to let it go.

use holdfast_client::Cache;
use holdfast_primitives::{LineName, Name};

use super::ledger::Ledger;
use super::nodes::Nodes;
use crate::cache_traffic::{CACHE, copied};

/// Looks for the copies that a client has at this moment in the directory of a node that has
/// applied whatever any node has.
pub(super) fn are_known(client: u64, session: u64, cache: &Cache, nodes: &Nodes, ledger: &Ledger) {
    let copied = copied(cache);
    if copied.is_empty() {
        return;
    }
    let newest = nodes.newest_revision();
    let running = nodes.seen();
    let applied = running.iter().map(|(id, node)| (*id, node.machine.read()));
    let Some((id, applied)) = applied.max_by_key(|(_, applied)| applied.machine.revision()) else {
        return;
    };
    let revision = applied.machine.revision().get();
    if revision < newest {
        return;
    }
    for key in copied {
        let name = |text| Name::parse(text).expect("the names of the simulation are names");
        let line = applied.machine.line(&LineName { cache: name(CACHE), key: name(key) });
        let mut copies = line.iter().flat_map(|line| &line.copies);
        if !copies.any(|copy| copy.session.get() == session) {
            ledger.violated(format!(
                "client {client} has a copy of {key} in session {session}, which the directory of \
                 node {id} does not know at revision {revision}"
            ));
        }
    }
}
