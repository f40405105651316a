//! `chaosctl`: everything is in the library, so that it can be embedded.

use std::process::ExitCode;

fn main() -> ExitCode {
    chaos_ctl::run(std::env::args_os())
}
