//! `chaosctl rate`: limits the bandwidth of matching packets.

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{self, Rate};
use clap::Args;
use serde::Deserialize;

use crate::arguments::{Base, ExperimentArgs, FaultArgs, FaultError, end_of, text, to_wire};
use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;
use crate::quantity::{Ramp, rate, rate_ramp, size};

/// Limit the bandwidth of matching packets
///
/// Packets beyond the rate wait for their turn; when too many wait, more are dropped silently. Bytes are counted as on
/// the wire, with Ethernet headers. The limit is shared by all matching packets of a target in one direction (both
/// directions: each has it for itself), unless --per-flow is given. The fault ends by itself.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RateArgs {
    #[command(flatten)]
    fault: RateFault,

    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// How much may pass. In a file, the keys of `rate`.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RateFault {
    /// Bandwidth: bits a second such as 10mbit or 1.5Gbit/s, or bytes a second such as 500kB/s or 1.25MB/s
    ///
    /// Prefixes are decimal. From 8kbit to 1Tbit. `mbps` is refused: it is bytes to tc, and bits to most people.
    #[arg(value_name = "RATE", value_parser = rate)]
    #[serde(deserialize_with = "text::rate")]
    rate: Option<u64>,

    /// How much may pass at once after a pause [default: as much as in 10ms, and at least 3kB]
    ///
    /// Such as 64kB or 1MiB; at most 1GiB.
    #[arg(long, value_name = "SIZE", value_parser = size, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::size")]
    burst: Option<u64>,

    /// How much may wait; more is dropped [default: as much as in 1s]
    ///
    /// Such as 64kB or 1MiB; waiting must not take more than 60s.
    #[arg(long, value_name = "SIZE", value_parser = size, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::size")]
    queue: Option<u64>,

    /// Give each flow (addresses, protocol, ports) the bandwidth for itself
    #[arg(long)]
    per_flow: bool,

    /// Change the bandwidth evenly from the start on, such as 10mbit..1mbit/30s: from 10 to 1 Mbit/s within 30 s, then
    /// 1 Mbit/s
    ///
    /// The second bandwidth is the one that stays, so RATE is not needed beside it. A --burst or --queue stays so many
    /// bytes.
    #[arg(long, value_name = "FROM..TO/TIME", value_parser = rate_ramp, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::rate_ramp")]
    ramp: Option<Ramp<u64>>,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl rate 10mbit --svc provider-chaos-service --duration 30s
  chaosctl rate 500kB/s --queue 64kB --netns web --direction both
  chaosctl rate --ramp 10mbit..1mbit/30s --netns web --duration 1m
  chaosctl rate 1mbit --per-flow --pid 4711 --peer-port 443";

impl FaultArgs for RateFault {
    fn to_wire(&self, _base: Base<'_>) -> Result<Fault, FaultError> {
        let bytes_per_second = end_of("rate", "a bandwidth", self.rate, self.ramp)?;
        let bytes_per_second = bytes_per_second.ok_or(FaultError::Incomplete {
            fault: "rate",
            what: "how much may pass",
            give: "a bandwidth such as 10mbit or 1.25MB/s, or a ramp such as 10mbit..1mbit/30s",
        })?;
        Ok(Fault::Rate(Rate {
            bytes_per_second,
            burst_bytes: self.burst.unwrap_or(0),
            queue_bytes: self.queue.unwrap_or(0),
            per_flow: self.per_flow,
            ramp: self.ramp.map(|ramp| v1::Ramp {
                from_bytes_per_second: ramp.from,
                over: to_wire(ramp.over),
                ..v1::Ramp::default()
            }),
        }))
    }
}

impl RateArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        super::asked::apply_fault(&self.fault, &self.experiment, global, output).await
    }
}
