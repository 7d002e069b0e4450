//! Entry point of the `holdfast` binary; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast::main()
}
