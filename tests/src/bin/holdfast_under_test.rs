//! The `holdfast` binary once more, so that Cargo builds it for the tests of this package and tells
//! them where it is.

fn main() -> std::process::ExitCode {
    holdfast::main()
}
