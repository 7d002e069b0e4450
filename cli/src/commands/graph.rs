//! `holdfast locks --graph`: who waits for whom.

use std::fmt::Write;

use holdfast_client::{Client, LockMode, WaitEdge};
use serde_json::json;

use super::locks::mode_word;
use crate::args::{GraphForm, LocksArgs, Output};
use crate::counted::counted;
use crate::duration::{ms, show};
use crate::failure::{Failure, OK};
use crate::{client, output};

/// Prints the edges of the wait-for graph.
pub(super) async fn run(client: Client, args: &LocksArgs, form: GraphForm) -> Result<u8, Failure> {
    let asked = client.wait_graph(&args.prefix, args.limit).await;
    client::close(client).await;
    let graph = asked.map_err(|error| client::failed("cannot show who waits for whom", &error))?;
    output::print(match (args.output.output, form) {
        (Output::Json, _) => format!("{:#}\n", json(&graph.edges, graph.truncated)),
        (Output::Table, GraphForm::Dot) => dot(&graph.edges),
        (Output::Table, GraphForm::Text) => text(&graph.edges),
    })?;
    if graph.truncated {
        output::warning_line(format!(
            "there are more than {}; give a longer prefix or a higher --limit",
            counted(args.limit, "edge")
        ));
    }
    Ok(OK)
}

fn text(edges: &[WaitEdge]) -> String {
    let mut text = String::new();
    let mut last = None;
    for edge in edges {
        let wait = (edge.ticket, &edge.name);
        if last.replace(wait) != Some(wait) {
            let waiting = show(ms(edge.waiting));
            let who = output::session(edge.waiter_id, &edge.waiter_name);
            let name = output::printable(&edge.name);
            let _ = writeln!(text, "{who} waits {waiting} for {name} ({})", mode(edge));
        }
        let blocker = output::session(edge.blocker_id, &edge.blocker_name);
        let _ = match edge.token {
            Some(token) => writeln!(text, "  held by {blocker}, token {token}"),
            None => writeln!(text, "  behind {blocker}"),
        };
    }
    if text.is_empty() { "nobody waits\n".into() } else { text }
}

fn dot(edges: &[WaitEdge]) -> String {
    let mut text = String::from("digraph waits {\n  node [shape=box];\n");
    let mut nodes: Vec<(u64, &str)> = edges
        .iter()
        .flat_map(|edge| {
            [
                (edge.waiter_id, edge.waiter_name.as_str()),
                (edge.blocker_id, edge.blocker_name.as_str()),
            ]
        })
        .collect();
    nodes.sort_unstable();
    nodes.dedup();
    for (id, name) in nodes {
        let _ = writeln!(text, "  s{id} [label={}];", quoted(&output::session(id, name)));
    }
    for edge in edges {
        let label = quoted(&format!("{} ({})", output::printable(&edge.name), mode(edge)));
        let style = if edge.token.is_some() { "solid" } else { "dashed" };
        let (from, to) = (edge.waiter_id, edge.blocker_id);
        let _ = writeln!(text, "  s{from} -> s{to} [label={label}, style={style}];");
    }
    text + "}\n"
}

fn json(edges: &[WaitEdge], truncated: bool) -> serde_json::Value {
    let edge_json = |edge: &WaitEdge| {
        json!({
            "lock": edge.name,
            "mode": mode_word(edge.mode),
            "permits": edge.permits,
            "ticket": edge.ticket,
            "waiting_ms": ms(edge.waiting),
            "waiter": { "session_id": edge.waiter_id, "session_name": edge.waiter_name },
            "blocker": {
                "session_id": edge.blocker_id,
                "session_name": edge.blocker_name,
                "token": edge.token,
            },
        })
    };
    json!({ "edges": edges.iter().map(edge_json).collect::<Vec<_>>(), "truncated": truncated })
}

fn mode(edge: &WaitEdge) -> String {
    match edge.mode {
        LockMode::Exclusive => "exclusive".into(),
        LockMode::Shared => "shared".into(),
        LockMode::Permits => counted(edge.permits, "permit"),
    }
}

/// A string as Graphviz writes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn edge(waiter: u64, blocker: u64, token: Option<u64>) -> WaitEdge {
        WaitEdge {
            name: "a/b".into(),
            waiter_id: waiter,
            waiter_name: format!("w{waiter}"),
            ticket: waiter + 100,
            waiting: Duration::from_millis(1_500),
            mode: LockMode::Exclusive,
            permits: 0,
            blocker_id: blocker,
            blocker_name: "say \"me\"".into(),
            token,
        }
    }

    #[test]
    fn a_wait_is_told_once_with_all_that_is_in_its_way() {
        let edges = [edge(9, 7, Some(42)), edge(9, 8, None)];
        let expect = "\
session 9 (w9) waits 1.5s for a/b (exclusive)
  held by session 7 (say \"me\"), token 42
  behind session 8 (say \"me\")
";
        assert_eq!(text(&edges), expect);
        assert_eq!(text(&[]), "nobody waits\n");
    }

    #[test]
    fn graphviz_gets_a_node_for_each_session() {
        let expect = "\
digraph waits {
  node [shape=box];
  s7 [label=\"session 7 (say \\\"me\\\")\"];
  s9 [label=\"session 9 (w9)\"];
  s9 -> s7 [label=\"a/b (exclusive)\", style=solid];
}
";
        assert_eq!(dot(&[edge(9, 7, Some(42))]), expect);
    }
}
