//! `chaosctl corrupt`: flips bits of matching packets.

use chaos_proto::v1::Corrupt;
use chaos_proto::v1::rule::Fault;
use clap::Args;
use serde::Deserialize;

use crate::arguments::{self, Base, ExperimentArgs, FaultArgs, FaultError, end_of, text};
use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;
use crate::quantity::{Ramp, Share, correlation, percent, share_ramp};

/// Flip one bit behind the headers of some matching packets
///
/// The checksum stays as it was, so a receiver that checks it drops the packet: TCP then sends again, UDP loses it.
///
/// But with checksum offload the checksum is written or checked elsewhere. On the way out, a packet whose checksum the
/// network card (or the other end of a virtual link, such as a pod's) has yet to compute gets one that fits the flipped
/// bit; on the way in, a packet that the card has already checked is not checked again. Either way the application
/// receives WRONG DATA THAT LOOKS VALID. Use --drop-corrupt for what a receiver that checks would make of it. The fault
/// ends by itself.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CorruptArgs {
    #[command(flatten)]
    fault: CorruptFault,

    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// Which packets are corrupted. In a file, the keys of `corrupt`.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CorruptFault {
    /// Share of the matching packets to corrupt
    ///
    /// In percent, with or without the sign, such as 5, 5% or 0.5%; above 0, at most 100, in steps of 0.0001.
    #[arg(value_name = "PERCENT", value_parser = percent)]
    #[serde(deserialize_with = "text::percent")]
    percent: Option<Share>,

    /// How much one such packet follows another: 0 for not at all, close to 100 for long series [default: 0]
    ///
    /// In percent. With share p and correlation c, a packet is corrupted with probability p + c(1 - p) when the one
    /// before was, and with p(1 - c) when it was not; over time the share stays p.
    #[arg(long, value_name = "PERCENT", value_parser = correlation, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::correlation")]
    correlation: Option<Share>,

    /// Change the percentage evenly from the start on, such as 0%..5%/30s: from 0 to 5 % within 30 s, then 5 %
    ///
    /// The second percentage is the one that stays, so PERCENT is not needed beside it. It may be smaller, or 0.
    #[arg(long, value_name = "FROM..TO/TIME", value_parser = share_ramp, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::share_ramp")]
    ramp: Option<Ramp<Share>>,

    /// Drop the packets instead, as a receiver does that finds the checksum wrong
    #[arg(long)]
    drop_corrupt: bool,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl corrupt 1% --netns web --proto udp
  chaosctl corrupt 0.1% --drop-corrupt --svc provider-chaos-service --direction both";

impl FaultArgs for CorruptFault {
    fn to_wire(&self, _base: Base<'_>) -> Result<Fault, FaultError> {
        let share = end_of("corrupt", "a percentage", self.percent, self.ramp)?;
        let share = share.ok_or(FaultError::Incomplete {
            fault: "corrupt",
            what: "how many packets to corrupt",
            give: "a percentage such as 5%, or a ramp such as 0%..5%/30s",
        })?;
        Ok(Fault::Corrupt(Corrupt {
            share_ppm: share.ppm(),
            correlation_ppm: self.correlation.map_or(0, Share::ppm),
            ramp: arguments::share_ramp(self.ramp),
            drop: self.drop_corrupt,
        }))
    }
}

impl CorruptArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        super::asked::apply_fault(&self.fault, &self.experiment, global, output).await
    }
}
