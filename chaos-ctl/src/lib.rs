//! Control: reads what the user points at, asks the agent for it, and says what came of it.
//!
//! The binary `chaosctl` is one call of [`run`]. Modules, from the user inwards: `cli`, `global` and `arguments` (syntax),
//! `commands` (verbs), `experiment` (the order of calls), `way` (whom to ask), `cluster` (who is meant in one),
//! `client` (the wire), `output` (everything that is printed), `quantity` (numbers with units). Nothing here decides
//! what a request means: that is for the agent.

pub mod arguments;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod commands;
pub mod drill;
pub mod error;
pub mod experiment;
pub mod global;
pub mod output;
pub mod quantity;
mod usage;
pub mod way;

use std::ffi::OsString;
use std::process::ExitCode;

use cli::Cli;
use error::{CommandError, ErrorKind};
use output::Output;

/// Runs one command line, the program's name first, and returns what to exit with.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match usage::parse(&arguments.into_iter().collect::<Vec<_>>()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let output = cli.command.output(&cli.global);
    match execute(&cli, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            error.kind.into()
        }
    }
}

fn execute(cli: &Cli, output: Output<'static>) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::new(ErrorKind::Failed, error))?;
    let done = runtime.block_on(cli.command.run(&cli.global, output));
    // Neither a name server nor a plugin for logging in that hangs is waited for.
    runtime.shutdown_background();
    done
}
