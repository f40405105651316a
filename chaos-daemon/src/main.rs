//! `chaos-daemon`: see `chaos_daemon`.

use std::process::ExitCode;

use chaos_daemon::{config::Config, sentence::sentence};

fn main() -> ExitCode {
    match chaos_daemon::run(&Config::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the log may not have started")]
            {
                eprintln!("chaos-daemon: {}", sentence(error.as_ref()));
            }
            ExitCode::FAILURE
        }
    }
}
