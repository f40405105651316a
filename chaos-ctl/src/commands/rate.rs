//! `chaosctl rate`: limits the bandwidth of matching packets.

use std::path::Path;

use chaos_proto::v1::Rate;
use chaos_proto::v1::rule::Fault;
use clap::Args;
use serde::Deserialize;

use crate::arguments::{ExperimentArgs, FaultArgs, FaultError, text};
use crate::client::Address;
use crate::error::CommandError;
use crate::output::Output;
use crate::quantity::{rate, size};

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
    #[arg(long, value_name = "SIZE", value_parser = size)]
    #[serde(deserialize_with = "text::size")]
    burst: Option<u64>,

    /// How much may wait; more is dropped [default: as much as in 1s]
    ///
    /// Such as 64kB or 1MiB; waiting must not take more than 60s.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    #[serde(deserialize_with = "text::size")]
    queue: Option<u64>,

    /// Give each flow (addresses, protocol, ports) the bandwidth for itself
    #[arg(long)]
    per_flow: bool,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl rate 10mbit --svc provider-chaos-service --duration 30s
  chaosctl rate 500kB/s --queue 64kB --netns web --direction both
  chaosctl rate 1mbit --per-flow --pid 4711 --peer-port 443";

impl FaultArgs for RateFault {
    fn to_wire(&self, _base: &Path) -> Result<Fault, FaultError> {
        let bytes_per_second = self.rate.ok_or(FaultError::Incomplete {
            fault: "rate",
            what: "how much may pass",
            give: "a bandwidth, such as 10mbit or 1.25MB/s",
        })?;
        Ok(Fault::Rate(Rate {
            bytes_per_second,
            burst_bytes: self.burst.unwrap_or(0),
            queue_bytes: self.queue.unwrap_or(0),
            per_flow: self.per_flow,
        }))
    }
}

impl RateArgs {
    pub(super) async fn run(&self, address: &Address, output: Output) -> Result<(), CommandError> {
        super::apply_fault(&self.fault, &self.experiment, address, output).await
    }
}
