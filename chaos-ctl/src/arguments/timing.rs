//! For how long a fault acts, and whose it is.

use std::time::Duration;

use clap::Args;

use crate::quantity::{duration, grace, seed};

/// How long a fault acts when nobody says.
pub(super) const DEFAULT_DURATION: Duration = Duration::from_secs(30);

/// For how long, and whose it is.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Run")]
pub struct TimingArgs {
    /// How long the fault acts [default: 30s]
    ///
    /// A number with its unit (ns, us, ms, s, m, h), such as 30s or 1m30s; above 0, at most 24h. The kernel keeps the
    /// deadline by itself.
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub duration: Option<Duration>,

    /// Print the id and return; the fault runs to its end without this client
    #[arg(long)]
    pub detach: bool,

    /// How long the fault outlives this client when it disappears [default: 5s, set by the agent]
    ///
    /// From 0s to 5m. An interrupted chaosctl ends the fault at once; this is for one that was killed.
    #[arg(long, value_name = "TIME", value_parser = grace, allow_hyphen_values = true, conflicts_with = "detach")]
    pub grace: Option<Duration>,

    /// Seed of the per-packet decisions, and of the choice of --mode: the same seed and packets (or pods) give the same
    /// decisions [default: drawn]
    #[arg(long, value_name = "N", value_parser = seed, allow_hyphen_values = true)]
    pub seed: Option<u64>,

    /// Print targets, rules and the effect to expect; apply nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What an experiment file says about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileTiming {
    /// As the option.
    pub duration: Option<Duration>,
    /// As the option.
    pub grace: Option<Duration>,
    /// As the option.
    pub seed: Option<u64>,
}
