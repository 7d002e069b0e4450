//! Tests of how answers become a table, a summary and an exit code.

use holdfast_proto::v1::Member;

use super::*;

fn endpoint(id: u64) -> String {
    format!("127.0.0.1:740{id}")
}

fn answer(id: u64, role: Role, members: u64) -> Answer {
    let member = |node_id| Member {
        node_id,
        client_endpoint: endpoint(node_id),
        peer_endpoint: String::new(),
    };
    let status = StatusResponse {
        node_id: id,
        cluster: "c".into(),
        role: role.into(),
        term: 4,
        leader_id: 1,
        applied_index: 12,
        members: (1..=members).map(member).collect(),
        ..StatusResponse::default()
    };
    Answer { endpoint: endpoint(id), result: Ok(status) }
}

fn silent(id: u64) -> Answer {
    Answer { endpoint: endpoint(id), result: Err("connection\nrefused".into()) }
}

#[test]
fn nodes_are_shown_in_order_with_the_silent_ones_among_them() {
    let view = View::new(vec![answer(3, Role::Follower, 3), silent(2), answer(1, Role::Leader, 3)]);
    let table = view.table();
    let lines: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines[1],
        "1 127.0.0.1:7401 leader 4 0 0 12 - 1 healthy".split(' ').collect::<Vec<_>>()
    );
    assert_eq!(lines[2][..3], ["2", "127.0.0.1:7402", "unreachable"]);
    assert_eq!(lines[2][lines[2].len() - 2..], ["connection", "refused"]);
    assert_eq!(lines[3][..3], ["3", "127.0.0.1:7403", "follower"]);
    assert!(table.ends_with("\n\ncluster c: 2 of 3 members answer; node 1 leads in term 4\n"));
    assert_eq!(view.json()["nodes"][1]["error"], "connection\nrefused");
}

#[test]
fn a_quorum_is_more_than_half_of_the_members() {
    let check = |answers: Vec<Answer>, quorum: bool, summary: &str| {
        let view = View::new(answers);
        assert_eq!(view.has_quorum(), quorum);
        assert!(view.summary().contains(summary), "{}", view.summary());
    };
    check(vec![silent(1), silent(2)], false, "no node answers; ");
    check(vec![answer(1, Role::Leader, 1)], true, "1 of 1 member answers; node 1 leads");
    check(
        vec![answer(1, Role::Follower, 3), silent(2)],
        false,
        "1 of 3 members answers, which is no quorum; no node leads",
    );
    check(
        vec![answer(1, Role::Leader, 2), answer(2, Role::Stopped, 2)],
        false,
        "1 of 2 members answers, which is no quorum",
    );
}

#[test]
fn a_node_under_two_names_is_one_row() {
    let mut other_name = answer(1, Role::Leader, 3);
    other_name.endpoint = "localhost:7401".into();
    let view = View::new(vec![answer(1, Role::Leader, 3), other_name]);
    assert_eq!(view.answers.len(), 1);
}

#[test]
fn members_that_did_not_answer_are_found_through_those_that_did() {
    let answers = [answer(2, Role::Follower, 3), silent(1)];
    let unheard: Vec<_> = unheard_members(&answers).into_iter().collect();
    assert_eq!(unheard, [(3, endpoint(3))]);
}
