//! `chaosctl k6-module`: prints the module that load tests of k6 import.

use std::io::{self, Write as _};

use clap::Args;

use crate::error::CommandError;
use crate::output::WriteError;

/// Print a module for k6 with the interface of xk6-disruptor, which asks `chaosctl serve`
///
/// Save it beside the script, and change one line of the script: import from './chaos.js' what was imported from
/// 'k6/x/disruptor'. It needs no extension of k6.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct K6ModuleArgs {}

const EXAMPLES: &str = "\
Examples:
  chaosctl k6-module > chaos.js
  chaosctl serve &
  k6 run script.js";

const MODULE: &str = include_str!("../../../integrations/k6/chaos.js");

/// Prints it as it is.
pub(super) fn print() -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(MODULE.as_bytes());
    written
        .and_then(|()| stdout.flush())
        .map_err(WriteError::from)?;
    Ok(())
}
