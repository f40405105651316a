//! How a fault changes while it runs.

use clap::Args;

use crate::quantity::{Pulse, pulse};

/// How a fault changes while it runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Shape over time")]
pub struct ShapeArgs {
    /// On and off by turns, beginning with on: `2s/8s` is on for 2 s of every 10 s [default: always on]
    ///
    /// Each from 1ms to 1h. The kernel keeps the time by itself, to the millisecond.
    #[arg(long, value_name = "ON/OFF", value_parser = pulse, allow_hyphen_values = true)]
    pub pulse: Option<Pulse>,
}
