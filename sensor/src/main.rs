//! The `sensor` binary: parses the command line and calls the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sensor::cli::main()
}
