//! `chaosctl reorder`: lets matching packets be overtaken.

use std::time::Duration;

use chaos_proto::v1::Reorder;
use chaos_proto::v1::rule::Fault;
use clap::Args;
use serde::Deserialize;

use crate::arguments::{self, Base, ExperimentArgs, FaultArgs, FaultError, end_of, text, to_wire};
use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;
use crate::quantity::{Ramp, Share, by, correlation, gap, percent, share_ramp};

/// Hold some matching packets back, so that those behind them overtake them
///
/// A packet that is held back leaves after --by; the others pass at once. Only packets that follow within that time
/// overtake it, so a reordering shows in traffic that is denser than that. TCP may take an overtaken packet for a lost
/// one and send it again; UDP applications see the order change. The fault ends by itself.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReorderArgs {
    #[command(flatten)]
    fault: ReorderFault,

    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// Which packets are held back, and for how long. In a file, the keys of `reorder`.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReorderFault {
    /// Share of the matching packets to hold back
    ///
    /// In percent, with or without the sign, such as 5, 5% or 0.5%; above 0, at most 100, in steps of 0.0001.
    #[arg(value_name = "PERCENT", value_parser = percent)]
    #[serde(deserialize_with = "text::percent")]
    percent: Option<Share>,

    /// How much one such packet follows another: 0 for not at all, close to 100 for long series [default: 0]
    ///
    /// In percent. With share p and correlation c, a packet is held back with probability p + c(1 - p) when the one
    /// before was, and with p(1 - c) when it was not; over time the share stays p.
    #[arg(long, value_name = "PERCENT", value_parser = correlation, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::correlation")]
    correlation: Option<Share>,

    /// Change the percentage evenly from the start on, such as 0%..20%/30s: from 0 to 20 % within 30 s, then 20 %
    ///
    /// The second percentage is the one that stays, so PERCENT is not needed beside it. It may be smaller, or 0.
    #[arg(long, value_name = "FROM..TO/TIME", value_parser = share_ramp, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::share_ramp")]
    ramp: Option<Ramp<Share>>,

    /// Let at least N packets pass between two that are held back [default: 0]
    #[arg(long, value_name = "N", value_parser = gap, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::gap")]
    gap: Option<u32>,

    /// For how long they are held back [default: 10ms]
    ///
    /// A number with its unit (ns, us, ms, s, m, h); above 0, at most 60s.
    #[arg(long, value_name = "TIME", value_parser = by, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::by")]
    by: Option<Duration>,
}

/// Long enough for some packets of a busy connection, and too short for a timeout.
const BY: Duration = Duration::from_millis(10);

const EXAMPLES: &str = "\
Examples:
  chaosctl reorder 5% --netns web --by 10ms
  chaosctl reorder 100% --gap 9 --netns web --proto udp --port 5004";

impl FaultArgs for ReorderFault {
    fn to_wire(&self, _base: Base<'_>) -> Result<Fault, FaultError> {
        let share = end_of("reorder", "a percentage", self.percent, self.ramp)?;
        let share = share.ok_or(FaultError::Incomplete {
            fault: "reorder",
            what: "how many packets to hold back",
            give: "a percentage such as 5%, or a ramp such as 0%..20%/30s",
        })?;
        Ok(Fault::Reorder(Reorder {
            share_ppm: share.ppm(),
            correlation_ppm: self.correlation.map_or(0, Share::ppm),
            ramp: arguments::share_ramp(self.ramp),
            gap: self.gap.unwrap_or(0),
            by: to_wire(self.by.unwrap_or(BY)),
        }))
    }
}

impl ReorderArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        super::asked::apply_fault(&self.fault, &self.experiment, global, output).await
    }
}
