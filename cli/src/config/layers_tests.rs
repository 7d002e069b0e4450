//! Tests of layering: precedence, origins, slips and values that do not go together.

use super::super::print::print;
use super::*;

/// Reads `KEY=VALUE` pairs.
fn pairs(texts: &[&str]) -> Vec<(String, String)> {
    texts
        .iter()
        .map(|text| {
            let (key, value) = text.split_once('=').unwrap();
            (key.to_string(), value.to_string())
        })
        .collect()
}

fn layers(file: &str, environment: &[&str], flags: &[&str]) -> Layers {
    Layers {
        file: (!file.is_empty()).then(|| ("f.toml".into(), file.into())),
        environment: pairs(environment),
        flags: pairs(flags)
            .into_iter()
            .map(|(key, text)| (SETTINGS[Setting::position(&key).unwrap()].key, text))
            .collect(),
    }
}

/// Resolves, and compares the description of one setting or the message of the error.
fn check(file: &str, environment: &[&str], flags: &[&str], key: &str, expect: &str) {
    let got = match layers(file, environment, flags).resolve() {
        Ok(resolved) => resolved.describe(key),
        Err(error) => error.to_string(),
    };
    assert_eq!(got, expect, "file {file:?}, environment {environment:?}, flags {flags:?}");
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let check = |file: &str, environment: &[&str], flags: &[&str], expect: &str| {
        check(file, environment, flags, "heartbeat_ms", expect);
    };
    let file = "# first line\nheartbeat_ms = 10\n";
    let variable = ["HOLDFAST_HEARTBEAT_MS=20", "PATH=/bin"];
    check("", &[], &[], "heartbeat_ms = 50 (default)");
    check(file, &[], &[], "heartbeat_ms = 10 (f.toml, line 2)");
    check(file, &variable, &[], "heartbeat_ms = 20 (environment variable HOLDFAST_HEARTBEAT_MS)");
    check(file, &variable, &["heartbeat_ms=30"], "heartbeat_ms = 30 (flag --heartbeat-ms)");
    check(
        "",
        &variable,
        &["node_id=1"],
        "heartbeat_ms = 20 (environment variable HOLDFAST_HEARTBEAT_MS)",
    );
    check("heartbeat_ms = 0x10", &[], &[], "heartbeat_ms = 16 (f.toml, line 1)");
}

#[test]
fn slips_are_named_with_the_nearest_key() {
    let check = |file: &str, environment: &[&str], expect: &str| {
        check(file, environment, &[], "node_id", expect);
    };
    check(
        "\nhartbeat_ms = 1",
        &[],
        "f.toml, line 2: unknown key `hartbeat_ms`; did you mean `heartbeat_ms`?",
    );
    check(
        "[[member]]\nid = 1",
        &[],
        "f.toml, line 2: unknown key `id`; give node_id, client_addr, peer_addr",
    );
    check("foo = 1", &[], "f.toml, line 1: unknown key `foo`; see `holdfast serve --help`");
    check("members = []", &[], "f.toml, line 1: unknown key `members`; did you mean `member`?");
    check(
        "",
        &["HOLDFAST_NODEID=2"],
        "unknown environment variable HOLDFAST_NODEID; did you mean HOLDFAST_NODE_ID?",
    );
    check(
        "",
        &["HOLDFAST_HEARTBEAT=20"],
        "unknown environment variable HOLDFAST_HEARTBEAT; did you mean HOLDFAST_HEARTBEAT_MS?",
    );
    let known = ["HOLDFAST_CONFIG=x", "HOLDFAST_ENDPOINTS=x", "HOLDFAST_LOCK=x"];
    check("", &known, "node_id = 1 (default)");
}

#[test]
fn variables_of_others_are_let_be_and_listed() {
    let names = ["HOLDFAST_PORT", "HOLDFAST_SERVICE_PORT", "HOLDFAST_PORT_7400_TCP_ADDR"];
    let variables = names.map(|name| format!("{name}=10.0.0.1"));
    let resolved = layers("", &variables.each_ref().map(String::as_str), &[]).resolve().unwrap();
    assert_eq!(resolved.ignored, names);
}

#[test]
fn bad_values_say_which_from_where_and_what_is_allowed() {
    let check = |file: &str, environment: &[&str], flags: &[&str], expect: &str| {
        check(file, environment, flags, "node_id", expect);
    };
    let number = "give a whole number from 1 to 60000";
    check(
        "heartbeat_ms = 0",
        &[],
        &[],
        &format!("heartbeat_ms = 0 (f.toml, line 1) is not allowed; {number}"),
    );
    check(
        "heartbeat_ms = \"20\"",
        &[],
        &[],
        &format!("heartbeat_ms = \"20\" (f.toml, line 1) is not allowed; {number}"),
    );
    check(
        "",
        &["HOLDFAST_HEARTBEAT_MS=5s"],
        &[],
        &format!(
            "heartbeat_ms = 5s (environment variable HOLDFAST_HEARTBEAT_MS) is not allowed; \
             {number}"
        ),
    );
    check(
        "",
        &[],
        &["log_format=xml"],
        "log_format = xml (flag --log-format) is not allowed; give text or json",
    );
    check(
        "cluster = 5",
        &[],
        &[],
        "cluster = 5 (f.toml, line 1) is not allowed; \
         give 1 to 64 letters, digits, '-', '_' or '.'",
    );
    check(
        "",
        &[],
        &["member=1=a:1"],
        "member = 1=a:1 (flag --member) is not allowed; \
         give ID=CLIENT_ADDR/PEER_ADDR, each address as host:port",
    );
    check(
        "[[member]]\nnode_id = \"1\"\nclient_addr = \"a:1\"\npeer_addr = \"a:2\"",
        &[],
        &[],
        "member = [[member]] (f.toml, line 1) is not allowed; \
         give node_id as a number, client_addr and peer_addr as strings",
    );
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    let error = layers("node_id = 1\nnode_id = = 2\n", &[], &[]).resolve().unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("f.toml, line 2: "), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn values_that_do_not_go_together_are_refused() {
    let check = |flags: &[&str], expect: &str| {
        let message = layers("", &[], flags).resolve().unwrap_err().to_string();
        assert!(message.contains(expect), "{message}");
        assert!(message.contains("flag --") && message.contains("; "), "{message}");
    };
    check(&["heartbeat_ms=125"], "must be more than twice heartbeat_ms = 125");
    check(&["election_timeout_max_ms=200"], "must be less than election_timeout_max_ms = 200");
    check(&["segment_bytes=1048576"], "must be at least twice batch_bytes_max = 1048576");
    check(&["peer_listen=127.0.0.1:7401"], "are the same");
    check(&["metrics_listen=127.0.0.1:7401"], "are the same");
    check(&["metrics_listen=127.0.0.1:7501"], "give metrics a port of their own");
    check(&["client_listen=0.0.0.0:7400"], "names no address that others could use");
    check(&["member=2=a:1/a:2"], "is not among the members 2 (");
    check(&["member=1=a:1/a:2,1=b:1/b:2"], "member 1 is given twice");
    check(&["log=inof"], "\"inof\" is no level; give one of error, warn, info, debug, trace, off");
    check(&["member=1=a:1/a:2,2=b:1/a:2"], "address a:2 of member 2 is taken by member 1");
}

#[test]
fn members_come_from_every_layer_alike() {
    let check = |file: &str, environment: &[&str], flags: &[&str]| {
        let resolved = layers(file, environment, flags).resolve().unwrap();
        let ids: Vec<_> = resolved.config.node.members.iter().map(|m| m.node_id).collect();
        assert_eq!(ids, [1, 2]);
        assert_eq!(resolved.config.node.members[1].peer_addr, "b:2");
    };
    check(
        "[[member]]\nnode_id = 1\nclient_addr = \"a:1\"\npeer_addr = \"a:2\"\n\
         [[member]]\nnode_id = 2\nclient_addr = \"b:1\"\npeer_addr = \"b:2\"\n",
        &[],
        &[],
    );
    check("", &["HOLDFAST_MEMBERS=1=a:1/a:2,2=b:1/b:2"], &[]);
    check("", &[], &["member=1=a:1/a:2,2=b:1/b:2"]);
}

#[test]
fn a_node_without_members_is_alone() {
    let resolved = layers("", &[], &["node_id=5"]).resolve().unwrap();
    let members = &resolved.config.node.members;
    assert_eq!(members.len(), 1);
    assert_eq!((members[0].node_id, members[0].client_addr.as_str()), (5, "127.0.0.1:7401"));
}

#[test]
fn what_is_printed_says_where_from_and_can_be_read_again() {
    let flags = ["data_dir=/tmp/a \"b\"", "member=1=a:1/a:2,2=b:1/b:2"];
    let resolved = layers("heartbeat_ms = 10", &["HOLDFAST_LOG=warn"], &flags).resolve().unwrap();
    let printed = print(&resolved);
    let line = |start: &str| printed.lines().find(|line| line.starts_with(start)).unwrap();
    assert!(line("heartbeat_ms = 10 ").ends_with("# f.toml, line 1"));
    assert!(line("log = \"warn\" ").ends_with("# environment variable HOLDFAST_LOG"));
    assert!(line("node_id = 1 ").ends_with("# default"));
    assert!(line("[[member]]").ends_with("# flag --member"));
    let again = layers(&printed, &[], &[]).resolve().unwrap();
    assert_eq!(again.config, resolved.config);
}

#[test]
fn a_value_of_the_wrong_type_is_no_empty_one() {
    for (key, value) in [
        ("watch_origins", r#"["https://a", "https://b"]"#),
        ("client_tls_cert", r#"["a.pem"]"#),
        ("client_tls_key", "7"),
        ("heartbeat_ms", r#""50""#),
        ("member", "true"),
    ] {
        let setting = &SETTINGS[Setting::position(key).unwrap()];
        let allowed = setting.allowed();
        let expect = format!("{key} = {value} (f.toml, line 1) is not allowed; give {allowed}");
        check(&format!("{key} = {value}"), &[], &[], key, &expect);
    }
}
