//! `chaosctl duplicate`: sends matching packets twice.

use chaos_proto::v1::Duplicate;
use chaos_proto::v1::rule::Fault;
use clap::Args;
use serde::Deserialize;

use crate::arguments::{self, Base, ExperimentArgs, FaultArgs, FaultError, end_of, text};
use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;
use crate::quantity::{Ramp, Share, correlation, percent, share_ramp};

/// Send some matching packets twice
///
/// The copy follows at once. TCP discards it and may slow down a little; of UDP the application gets both. The copy is
/// not duplicated again by the same fault. The fault ends by itself.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DuplicateArgs {
    #[command(flatten)]
    fault: DuplicateFault,

    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// Which packets are sent twice. In a file, the keys of `duplicate`.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DuplicateFault {
    /// Share of the matching packets to send twice
    ///
    /// In percent, with or without the sign, such as 5, 5% or 0.5%; above 0, at most 100, in steps of 0.0001.
    #[arg(value_name = "PERCENT", value_parser = percent)]
    #[serde(deserialize_with = "text::percent")]
    percent: Option<Share>,

    /// How much one such packet follows another: 0 for not at all, close to 100 for long series [default: 0]
    ///
    /// In percent. With share p and correlation c, a packet is sent twice with probability p + c(1 - p) when the one
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
}

const EXAMPLES: &str = "\
Examples:
  chaosctl duplicate 5% --netns web --proto udp
  chaosctl duplicate 100% --svc provider-chaos-service --peer-port 5432 --duration 10s";

impl FaultArgs for DuplicateFault {
    fn to_wire(&self, _base: Base<'_>) -> Result<Fault, FaultError> {
        let share = end_of("duplicate", "a percentage", self.percent, self.ramp)?;
        let share = share.ok_or(FaultError::Incomplete {
            fault: "duplicate",
            what: "how many packets to send twice",
            give: "a percentage such as 5%, or a ramp such as 0%..20%/30s",
        })?;
        Ok(Fault::Duplicate(Duplicate {
            share_ppm: share.ppm(),
            correlation_ppm: self.correlation.map_or(0, Share::ppm),
            ramp: arguments::share_ramp(self.ramp),
        }))
    }
}

impl DuplicateArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        super::asked::apply_fault(&self.fault, &self.experiment, global, output).await
    }
}
