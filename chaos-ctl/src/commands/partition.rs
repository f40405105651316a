//! `chaosctl partition`: cuts a target off.

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Direction, Filter, Partition};
use clap::Args;
use serde::Deserialize;

use crate::arguments::{self, Base, ExperimentArgs, FaultArgs, FaultError, text};
use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;
use crate::quantity::{Ramp, Share, share_ramp};

/// Cut the target off from its peers: nothing that matches passes
///
/// In both directions, unless --direction says otherwise, and silently: nobody is told, as when a cable is cut. Open
/// connections stall, and new ones fail by timeout. With --reject, senders are told. Without --peer it is everybody
/// that --except does not name. Packets are dropped at the target's interface, so that the target still talks to
/// itself. The fault ends by itself.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PartitionArgs {
    #[command(flatten)]
    fault: PartitionFault,

    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// Who is told. In a file, the keys of `partition`.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PartitionFault {
    /// Tell whoever sends: TCP by a RST, other protocols by an ICMP error "port unreachable"
    ///
    /// As a firewall that rejects: applications see "connection refused", and open connections end. What must not be
    /// answered (RST, ICMP errors, multicast, later fragments) is dropped silently.
    #[arg(long)]
    reject: bool,

    /// Change the share of the packets that do not pass evenly from the start on, such as 0%..100%/30s: from none to
    /// all within 30 s, then all
    ///
    /// The others pass. The second percentage is the one that stays; a constant share is what `loss` takes.
    #[arg(long, value_name = "FROM..TO/TIME", value_parser = share_ramp, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::share_ramp")]
    ramp: Option<Ramp<Share>>,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl partition --peer 10.0.0.0/8 --svc provider-chaos-service --duration 30s
  chaosctl partition --netns web --except 10.0.0.7,10.0.0.8
  chaosctl partition --reject --netns web --peer 10.0.0.7
  chaosctl partition --ramp 0%..100%/30s --netns web --duration 1m
  chaosctl partition --netns web --peer 10.0.0.7 --peer-port 5432 --direction egress";

impl FaultArgs for PartitionFault {
    fn to_wire(&self, _base: Base<'_>) -> Result<Fault, FaultError> {
        Ok(Fault::Partition(Partition {
            reject: self.reject,
            share_ppm: self.ramp.map(|ramp| ramp.to.ppm()),
            ramp: arguments::share_ramp(self.ramp),
        }))
    }

    fn narrow(&self, filter: &mut Filter) {
        if filter.direction() == Direction::Unspecified {
            filter.direction = Direction::Both.into();
        }
    }
}

impl PartitionArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        super::asked::apply_fault(&self.fault, &self.experiment, global, output).await
    }
}
