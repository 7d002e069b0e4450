//! The gate and its repairs.
//!
//! - `cargo xtask verify` checks everything and changes nothing. `--no-tests` leaves out the tests.
//! - `cargo xtask fix` formats, applies what clippy offers, and lowers the figures of the ratchet.
//! - `cargo xtask tidy` checks the style alone.
//!
//! It depends on nothing but the standard library, so it builds in a moment.

mod cargo;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  verify [--no-tests]   check format, style, lints, docs and tests; changes nothing
  fix                   format, apply clippy's suggestions, lower the ratchet
  tidy                  check the style alone";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root();
    let outcome = match arguments[..] {
        ["verify"] => verify(&root, true),
        ["verify", "--no-tests"] => verify(&root, false),
        ["fix"] => fix(&root),
        ["tidy"] => tidy(&root),
        ["help" | "-h" | "--help"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace: the directory above this crate.
fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map(PathBuf::from).unwrap_or(own)
}

/// Cheap checks come first. The first that fails ends the run.
fn verify(root: &std::path::Path, tests: bool) -> Result<(), String> {
    cargo::run(root, &["fmt", "--all", "--check"], &[])?;
    tidy(root)?;
    cargo::run(
        root,
        &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
        &[],
    )?;
    cargo::run(
        root,
        &["doc", "--workspace", "--no-deps", "--locked"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    )?;
    if tests {
        cargo::run(root, &["test", "--workspace", "--locked"], &[])?;
    }
    Ok(())
}

fn fix(root: &std::path::Path) -> Result<(), String> {
    cargo::run(
        root,
        &["clippy", "--fix", "--workspace", "--all-targets", "--allow-dirty", "--allow-staged"],
        &[],
    )?;
    cargo::run(root, &["fmt", "--all"], &[])?;
    tidy::lower_ratchet(root)?;
    tidy(root)
}

fn tidy(root: &std::path::Path) -> Result<(), String> {
    println!("== tidy");
    let problems = tidy::check(root)?;
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => Err("one problem of style, see above; `cargo xtask tidy` checks again".into()),
        count => {
            Err(format!("{count} problems of style, see above; `cargo xtask tidy` checks again"))
        }
    }
}
