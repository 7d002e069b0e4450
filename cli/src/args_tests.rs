//! Tests of the command line.

use clap::CommandFactory;

use super::*;

fn parse_line(line: &str) -> Result<Command, Failure> {
    match parse(line.split(' ').map(OsString::from).collect())? {
        Parsed::Run(command) => Ok(command),
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
    for command in Cli::command().get_subcommands_mut() {
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

#[test]
fn mistakes_are_one_line_with_a_way_out_and_code_2() {
    let check = |line: &str, parts: &[&str]| {
        let failure = parse_line(line).unwrap_err();
        let message = failure.to_string();
        assert_eq!(failure.code, 2, "{message}");
        assert!(!message.contains('\n') && message.contains(';'), "{message}");
        for part in parts {
            assert!(message.contains(part), "{message}");
        }
    };
    check("holdfast", &["no command is given"]);
    check("holdfast lcok a", &["'lcok'", "'lock'"]);
    check("holdfast lock", &["<NAME>", "usage: holdfast lock"]);
    check("holdfast lock a -n 2 --shared", &["--permits", "--shared"]);
    check("holdfast lock a -n 0", &["'0'"]);
    check("holdfast lock a --try --timeout 1s", &["--try", "--wait"]);
    check("holdfast lock a --ttl 5", &["5", "give a whole number with a unit"]);
    check("holdfast lock a --tll 5s", &["--tll", "'--ttl'"]);
    check("holdfast serve --node 1", &["--node"]);
    check("holdfast dev --nodes 10", &["10", "1..=9"]);
    check("holdfast status -o yaml", &["yaml", "table, json"]);
    check("holdfast completions cmd", &["cmd", "bash"]);
}
