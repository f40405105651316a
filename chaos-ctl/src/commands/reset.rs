//! `chaosctl reset`: ends TCP connections.

use std::time::Duration;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Direction, Filter, Protocol, Reset};
use clap::Args;
use serde::Deserialize;

use crate::arguments::{self, Base, ExperimentArgs, FaultArgs, FaultError, end_of, text, to_wire};
use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;
use crate::quantity::{Ramp, Share, duration, percent, share_ramp, size};

/// Tear down matching TCP connections: both ends get a RST
///
/// A connection ends with its next packet that matches, in either direction unless --direction says otherwise: whoever
/// sent it gets a RST in the name of the other end, the other end gets one in the sender's name, and the packet itself
/// does not arrive. A connection over which nothing goes is not noticed. As long as the fault acts, new connections end
/// as well: with their first packet (connection refused), or after --after or --after-bytes; --connections established
/// leaves them alone. The fault ends by itself.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ResetArgs {
    #[command(flatten)]
    fault: ResetFault,

    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// Which connections are ended, and when. In a file, the keys of `reset`.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ResetFault {
    /// Let a connection live for so long, from its first packet that matches, such as 500ms or 5s
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true, conflicts_with = "after_bytes")]
    #[serde(deserialize_with = "text::duration")]
    after: Option<Duration>,

    /// Let a connection carry so much before, in the directions that match together, such as 64kB or 1MiB
    #[arg(long, value_name = "SIZE", value_parser = size, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::size")]
    after_bytes: Option<u64>,

    /// Share of the connections to end; the others live [default: 100%]
    ///
    /// In percent, with or without the sign; chosen once for each connection, by its addresses and ports.
    #[arg(long, value_name = "PERCENT", value_parser = percent, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::percent")]
    probability: Option<Share>,

    /// Change --probability evenly from the start on, such as 0%..50%/30s: from 0 to 50 % within 30 s, then 50 %
    ///
    /// Each connection ends when the share has grown to its place, an open one with its next packet, a new one with its
    /// first; as the share shrinks, fewer new ones end. The second percentage stays, so --probability is not needed
    /// beside it.
    #[arg(long, value_name = "FROM..TO/TIME", value_parser = share_ramp, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::share_ramp")]
    ramp: Option<Ramp<Share>>,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl reset --svc provider-chaos-service --duration 30s
  chaosctl reset --after 2s --probability 20% --netns web --peer-port 5432
  chaosctl reset --ramp 0%..50%/30s --netns web --duration 1m
  chaosctl reset --after-bytes 64kB --pid 4711 --direction ingress";

const ALL_PPM: u32 = 1_000_000;

impl FaultArgs for ResetFault {
    fn to_wire(&self, _base: Base<'_>) -> Result<Fault, FaultError> {
        if self.after.is_some() && self.after_bytes.is_some() {
            return Err(FaultError::Together {
                fault: "reset",
                one: "after",
                other: "after-bytes",
                because: "each says when a connection ends",
            });
        }
        let share = end_of("reset", "a probability", self.probability, self.ramp)?;
        Ok(Fault::Reset(Reset {
            share_ppm: share.map_or(ALL_PPM, Share::ppm),
            after: self.after.and_then(to_wire),
            after_bytes: self.after_bytes.unwrap_or(0),
            ramp: arguments::share_ramp(self.ramp),
        }))
    }

    fn narrow(&self, filter: &mut Filter) {
        if filter.direction() == Direction::Unspecified {
            filter.direction = Direction::Both.into();
        }
        if filter.protocol() == Protocol::Unspecified {
            filter.protocol = Protocol::Tcp.into();
        }
    }
}

impl ResetArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        super::asked::apply_fault(&self.fault, &self.experiment, global, output).await
    }
}
