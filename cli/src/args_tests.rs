//! Tests of the command line.

use clap::CommandFactory;

use super::*;

fn parse_line(line: &str) -> Result<Command, Failure> {
    match parse(line.split(' ').map(OsString::from).collect())? {
        Parsed::Run(command) => Ok(*command),
        Parsed::Done(code) => panic!("{line} is done with {code}"),
    }
}

fn lock(line: &str) -> LockArgs {
    match parse_line(line) {
        Ok(Command::Lock(lock)) => lock,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_definitions_hold_together() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_shows_examples_that_fit_the_screen() {
    let top = Cli::command();
    let commands = top
        .get_subcommands()
        .flat_map(|command| std::iter::once(command).chain(command.get_subcommands()));
    for command in commands {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains("Examples:\n") && help.contains("holdfast "), "{help}");
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}

#[test]
fn a_command_is_taken_as_it_is() {
    let lock = lock("holdfast lock a/b --timeout 5s -- make -j2 --timeout x -- y");
    assert_eq!(lock.names, ["a/b"]);
    assert_eq!(lock.wait, Some(Duration::from_secs(5)));
    assert_eq!(lock.command, ["make", "-j2", "--timeout", "x", "--", "y"]);
    assert_eq!((lock.ttl.as_secs(), lock.grace.as_secs()), (10, 5));
}

#[test]
fn locks_are_taken_in_every_mode() {
    let several = lock("holdfast lock a b c --shared --wait 5s --alone -- true");
    assert_eq!((several.names.len(), several.shared, several.alone), (3, true, true));
    assert_eq!(several.wait, Some(Duration::from_secs(5)));
    let permit = lock("holdfast lock -n 3 pool --try --delay 30s");
    assert_eq!((permit.permits, permit.no_wait), (Some(3), true));
    assert_eq!(permit.delay, Some(Duration::from_secs(30)));
}

#[test]
fn a_graph_is_for_people_unless_said_otherwise() {
    let graph = |line| match parse_line(line) {
        Ok(Command::Locks(locks)) => (locks.graph, locks.prefix),
        other => panic!("{other:?}"),
    };
    assert_eq!(graph("holdfast locks"), (None, String::new()));
    assert_eq!(graph("holdfast locks --graph"), (Some(GraphForm::Text), String::new()));
    assert_eq!(graph("holdfast locks --graph jobs/"), (Some(GraphForm::Text), "jobs/".into()));
    assert_eq!(graph("holdfast locks --graph=dot a"), (Some(GraphForm::Dot), "a".into()));
}

fn check_mistake(line: &str, parts: &[&str]) {
    let failure = parse_line(line).unwrap_err();
    let message = failure.to_string();
    assert_eq!(failure.code, 2, "{message}");
    assert!(!message.contains('\n') && message.contains(';'), "{message}");
    for part in parts {
        assert!(message.contains(part), "{line}: {message}");
    }
}

#[test]
fn mistakes_are_one_line_with_a_way_out_and_code_2() {
    let check = |line: &str, parts: &[&str]| check_mistake(line, parts);
    check("holdfast", &["no command is given"]);
    check("holdfast lcok a", &["'lcok'", "'lock'"]);
    check("holdfast lock", &["<NAME>", "usage: holdfast lock"]);
    check("holdfast lock a -n 2 --shared", &["--permits", "--shared"]);
    check("holdfast lock a -n 0", &["'0'"]);
    check("holdfast lock a --try --timeout 1s", &["--try", "--wait"]);
    check("holdfast lock a --ttl 5", &["5", "give a number with a unit"]);
    check("holdfast lock a --tll 5s", &["--tll", "'--ttl'"]);
    check("holdfast serve --node 1", &["--node"]);
    check("holdfast dev --nodes 10", &["10", "1..=9"]);
    check("holdfast status -o yaml", &["yaml", "table, json"]);
    check("holdfast completions cmd", &["cmd", "bash"]);
}

fn queue(line: &str) -> QueueCommand {
    match parse_line(line) {
        Ok(Command::Queue(queue)) => *queue.command,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn messages_are_pushed_with_all_that_goes_with_them() {
    let line = "holdfast queue push a/b x y --header k=v=w --header e= --group g --priority 9 \
                --delay 5s --wait 1m --alone";
    let QueueCommand::Push(push) = queue(line) else { panic!("{line}") };
    assert_eq!(push.name, "a/b");
    assert_eq!(push.bodies, ["x", "y"]);
    let headers = [("k", "v=w"), ("e", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(push.headers, headers);
    assert_eq!((push.group.as_deref(), push.priority), (Some("g"), Some(9)));
    assert_eq!((push.delay, push.wait), (Some(secs(5)), Some(secs(60))));
    assert!(push.under.alone && !push.lines && !push.progress.progress);
    let line = "holdfast queue push a --lines --file x --file y --progress --no-progress";
    let QueueCommand::Push(push) = queue(line) else { panic!("{line}") };
    assert_eq!((push.lines, push.files.len()), (true, 2));
    assert!(push.progress.no_progress && !push.progress.progress);
    let QueueCommand::Push(push) = queue("holdfast queue push a -- -x") else { panic!() };
    assert_eq!(push.bodies, ["-x"]);
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_command_for_messages_is_taken_as_it_is() {
    let line = "holdfast queue work a -j 4 -n 10 --backoff-max 1m -- sh -c x --jobs 3";
    let QueueCommand::Work(work) = queue(line) else { panic!("{line}") };
    assert_eq!((work.jobs, work.count, work.once), (4, Some(10), false));
    assert_eq!((work.backoff_max, work.grace), (secs(60), secs(5)));
    assert_eq!(work.command, ["sh", "-c", "x", "--jobs", "3"]);
}

#[test]
fn settings_have_a_flag_each() {
    let line = "holdfast queue create a --visibility 1m --max-deliveries 0 --dead-letter d \
                --delay 1s --max-messages 5 --max-bytes 2GiB --max-message-bytes 64KiB \
                --retention 48h --when-full wait --dedup-window 1h";
    let QueueCommand::Create(create) = queue(line) else { panic!("{line}") };
    let SettingArgs { visibility, max_bytes, max_message_bytes, when_full, .. } = create.settings;
    assert_eq!((visibility, when_full), (Some(secs(60)), Some(Full::Wait)));
    assert_eq!((max_bytes, max_message_bytes), (Some(2 << 30), Some(64 << 10)));
    let line = "holdfast queue change a --no-dead-letter --no-retention";
    let QueueCommand::Change(change) = queue(line) else { panic!("{line}") };
    assert!(change.settings.no_dead_letter && change.settings.no_retention);
}

#[test]
fn to_watch_is_every_second_unless_said_otherwise() {
    let watch = |line| match queue(line) {
        QueueCommand::Stats(stats) => (stats.watch, stats.prefix),
        other => panic!("{other:?}"),
    };
    assert_eq!(watch("holdfast queue stats"), (None, String::new()));
    assert_eq!(watch("holdfast queue stats --watch a"), (Some(secs(1)), "a".into()));
    assert_eq!(watch("holdfast queue stats a --watch=5s"), (Some(secs(5)), "a".into()));
}

#[test]
fn mistakes_with_queues_are_one_line_with_a_way_out_and_code_2() {
    let check = |line: &str, parts: &[&str]| check_mistake(line, parts);
    check("holdfast queue", &["no command is given"]);
    check("holdfast queue psuh a", &["'psuh'", "'push'"]);
    check("holdfast queue push", &["<NAME>", "usage: holdfast queue push"]);
    check("holdfast queue push a x --lines", &["--lines", "BODY"]);
    check("holdfast queue push a --lines --dedup-id x", &["--lines", "--dedup-id"]);
    check("holdfast queue push a x --header kv", &["kv", "give a name and a value"]);
    check("holdfast queue push a x --header =v", &["=v", "give a name and a value"]);
    check("holdfast queue push a x --priority 10", &["10", "0..=9"]);
    check("holdfast queue pop a -n 0", &["'0'"]);
    check("holdfast queue pop a --raw -n 2", &["--raw", "--count"]);
    check("holdfast queue ack", &["<TICKET>"]);
    check("holdfast queue ack T --dead --return", &["--dead", "--return"]);
    check("holdfast queue ack T --delay 1s", &["--return"]);
    check("holdfast queue peek a --place there", &["there", "in-flight"]);
    check("holdfast queue work a", &["<COMMAND>"]);
    check("holdfast queue work a --once -n 2 -- x", &["--once", "--count"]);
    check("holdfast queue create a --max-bytes 1kb", &["1kb", "KiB"]);
    check("holdfast queue create a --dead-letter d --no-dead-letter", &["--no-dead-letter"]);
    check("holdfast queue create a --when-full drop", &["drop", "refuse, wait"]);
    check("holdfast queue redrive a --reason x", &["deliveries, rejected, expired"]);
    check("holdfast queue redrive a --id x", &["'x'"]);
    check("holdfast queue watch a --every 10ms", &["10ms", "100ms"]);
}

fn cache(line: &str) -> cache::CacheCommand {
    match parse_line(line) {
        Ok(Command::Cache(cache)) => *cache.command,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn values_are_given_in_every_way() {
    use cache::CacheCommand::{Add, Cas, Create, Put};
    let Put(put) = cache("holdfast cache put c a/b x --ttl 30s --alone") else { panic!() };
    assert_eq!((put.name.as_str(), put.key.as_deref()), ("c", Some("a/b")));
    assert_eq!(put.body.body, Some("x".into()));
    assert_eq!(put.body.ttl, Some(secs(30)));
    assert!(put.under.alone && !put.lines);
    let Put(put) = cache("holdfast cache put c --lines --file f") else { panic!() };
    assert_eq!((put.key, put.lines, put.body.file), (None, true, Some("f".into())));
    let Cas(cas) = cache("holdfast cache cas c k x --version 0") else { panic!() };
    assert_eq!((cas.version, cas.body.body), (0, Some("x".into())));
    let number = |line| match cache(line) {
        Add(add) => add.number,
        other => panic!("{other:?}"),
    };
    assert_eq!(number("holdfast cache add c k"), 1);
    assert_eq!(number("holdfast cache add c k -3"), -3);
    let line =
        "holdfast cache create c --max-entries 5 --max-bytes 2GiB --ttl 1h --when-full evict";
    let Create(create) = cache(line) else { panic!() };
    let cache::CacheSettingArgs { max_bytes, ttl, when_full, .. } = create.settings;
    assert_eq!((max_bytes, ttl), (Some(2 << 30), Some(secs(3_600))));
    assert_eq!(when_full, Some(cache::Full::Evict));
}

#[test]
fn mistakes_with_caches_are_one_line_with_a_way_out_and_code_2() {
    let check = |line: &str, parts: &[&str]| check_mistake(line, parts);
    check("holdfast cache", &["no command is given"]);
    check("holdfast cache wacth c", &["'wacth'", "'watch'"]);
    check("holdfast cache get c", &["<KEY>", "usage: holdfast cache get"]);
    check("holdfast cache put c", &["<KEY>"]);
    check("holdfast cache put c k --lines", &["--lines", "KEY"]);
    check("holdfast cache put c k x --file f", &["BODY", "--file"]);
    check("holdfast cache put c k x --ttl 5", &["give a number with a unit"]);
    check("holdfast cache cas c k x", &["--version"]);
    check("holdfast cache del c", &["<KEY>"]);
    check("holdfast cache del c k --version 0", &["'0'"]);
    check("holdfast cache add c k much", &["much"]);
    check("holdfast cache create c --ttl 1h --no-ttl", &["--no-ttl"]);
    check("holdfast cache create c --when-full drop", &["drop", "refuse, evict"]);
    check("holdfast cache list c -n 0", &["'0'"]);
}
