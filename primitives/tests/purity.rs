//! Proves that nothing impure is linked into the state machine. What its own code may name is
//! in its `clippy.toml`.

#![allow(clippy::disallowed_types, reason = "this test runs cargo; it is not the machine")]

use std::process::Command;

/// All that may be linked in; procedural macros only run in the compiler. A new name here must be
/// pure: no clock, no randomness, no threads, no I/O.
const ALLOWED: [&str; 6] =
    ["holdfast-primitives", "bytes", "hashbrown", "smallvec", "smol_str", "thiserror"];

#[test]
fn nothing_impure_is_linked_in() {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "tree",
            "--offline",
            "--package",
            "holdfast-primitives",
            "--edges",
            "normal,no-proc-macro",
        ])
        .args(["--prefix", "none", "--format", "{p}"])
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let linked: Vec<&str> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(linked.contains(&"holdfast-primitives"), "the tree is not what it should be:\n{tree}");
    for name in linked {
        assert!(ALLOWED.contains(&name), "{name} is linked into the state machine:\n{tree}");
    }
}
