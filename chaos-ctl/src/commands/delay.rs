//! `chaosctl delay`: holds matching packets.

use std::time::Duration;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{self, Delay};
use clap::Args;
use serde::Deserialize;

use crate::arguments::{
    Base, Distribution, ExperimentArgs, FaultArgs, FaultError, distribution, end_of, quantiles,
    text, to_wire,
};
use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;
use crate::quantity::{Ramp, Share, correlation, jitter, latency, latency_ramp};

/// Hold matching packets for a while
///
/// Each matching packet is held for the latency and then goes on to where it was going. With --direction egress or
/// ingress each round trip takes that much longer, with both twice as much; a new HTTP connection needs two round
/// trips. Packets of a flow stay in order while the fault lasts; those sent after its end may overtake those still
/// held. (--reorder gives the order up.) The fault ends by itself.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DelayArgs {
    #[command(flatten)]
    fault: DelayFault,

    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// How long packets are held. In a file, the keys of `delay`.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DelayFault {
    /// How long each matching packet is held; not given with a file of latencies, and not needed with --ramp
    ///
    /// A number with its unit (ns, us, ms, s, m, h), such as 100ms, 0.5ms, 250us or 0.1s; above 0, at most 60s.
    #[arg(value_name = "LATENCY", value_parser = latency)]
    #[serde(deserialize_with = "text::latency")]
    latency: Option<Duration>,

    /// Vary the latency by about this much to both sides; --distribution says how [default: 0ms]
    ///
    /// From 0ms to the latency: with `100ms --jitter 20ms` each packet is held for 80 to 120 ms, but does not overtake
    /// its predecessor in the same flow (--reorder lets it).
    #[arg(long, value_name = "TIME", value_parser = jitter, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::jitter")]
    jitter: Option<Duration>,

    /// What --jitter means: uniform, normal, pareto or paretonormal; or a FILE of measured latencies [default: uniform]
    ///
    /// uniform: evenly from latency - jitter to latency + jitter. normal, pareto, paretonormal: the latency is the mean
    /// and the jitter the standard deviation; with pareto a few packets wait for very long, paretonormal is a quarter
    /// normal and three quarters pareto.
    ///
    /// FILE: instead of latency and jitter, what was measured elsewhere: each packet is held for one of the latencies,
    /// and for each as often as it is there. Each line has one latency with its unit, such as 12.5ms, or a latency and
    /// how often it was seen (a histogram); `#` begins a comment. A file named like a distribution is written as
    /// ./normal.
    #[arg(long, value_name = "NAME_OR_FILE", value_parser = distribution)]
    #[serde(deserialize_with = "text::distribution")]
    distribution: Option<Distribution>,

    /// Share of the packets that are held for as long as their predecessor [default: 0]
    ///
    /// In percent, below 100. Neighbours then correlate by it, and the distribution stays what it is.
    #[arg(long, value_name = "PERCENT", value_parser = correlation, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::correlation")]
    correlation: Option<Share>,

    /// Let a packet overtake those of its flow that are held for longer
    #[arg(long)]
    reorder: bool,

    /// Change the latency evenly from the start on, such as 0..200ms/30s: from 0 to 200 ms within 30 s, then 200 ms
    ///
    /// The second latency is the one that stays, so LATENCY is not needed beside it.
    #[arg(long, value_name = "FROM..TO/TIME", value_parser = latency_ramp, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::latency_ramp")]
    ramp: Option<Ramp<Duration>>,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl delay --svc provider-chaos-service 100ms --duration 30s
  chaosctl delay 250us --netns web --direction both --proto tcp --port 80,443
  chaosctl delay 1.5s --jitter 500ms --pid 4711 --peer 10.0.0.0/8 --dry-run
  chaosctl delay 50ms --jitter 20ms --distribution pareto --netns web
  chaosctl delay --distribution production.txt --netns web --target-port 3000
  chaosctl delay --ramp 0..200ms/30s --netns web --duration 1m
  chaosctl delay 20ms --cgroup /sys/fs/cgroup/web.slice --detach";

/// What to do where no file is read.
const NAMES: &str = "give uniform, normal, pareto or paretonormal";

impl FaultArgs for DelayFault {
    fn to_wire(&self, base: Base<'_>) -> Result<Fault, FaultError> {
        let shape = match &self.distribution {
            Some(Distribution::File(path)) => {
                self.nothing_but_the_file()?;
                Delay {
                    quantile_ns: quantiles(&base.file(path, NAMES)?)?,
                    ..Delay::default()
                }
            }
            Some(Distribution::Named(named)) => self.around_latency(*named)?,
            None => self.around_latency(v1::Distribution::Unspecified)?,
        };
        Ok(Fault::Delay(Delay {
            correlation_ppm: self.correlation.map_or(0, Share::ppm),
            reorder: self.reorder,
            ..shape
        }))
    }
}

impl DelayFault {
    fn nothing_but_the_file(&self) -> Result<(), FaultError> {
        let given = [
            (self.latency.is_some(), "a latency"),
            (self.jitter.is_some(), "a jitter"),
            (self.ramp.is_some(), "a ramp"),
        ];
        match given.into_iter().find(|(given, _)| *given) {
            None => Ok(()),
            Some((_, other)) => Err(FaultError::Together {
                fault: "delay",
                one: "a file of latencies",
                other,
                because: "the file alone says how long packets are held (the distributions by name are uniform, normal, pareto and paretonormal)",
            }),
        }
    }

    fn around_latency(&self, distribution: v1::Distribution) -> Result<Delay, FaultError> {
        let latency = end_of("delay", "a latency", self.latency, self.ramp)?;
        let latency = latency.ok_or(FaultError::Incomplete {
            fault: "delay",
            what: "how long to hold packets",
            give: "a latency such as 100ms, a ramp such as 0..200ms/30s, or a file of latencies as distribution",
        })?;
        if distribution != v1::Distribution::Unspecified && self.jitter.is_none() {
            return Err(FaultError::Incomplete {
                fault: "delay",
                what: "how wide the distribution is",
                give: "a jitter, such as 20ms",
            });
        }
        Ok(Delay {
            latency: to_wire(latency),
            jitter: self.jitter.and_then(to_wire),
            distribution: distribution.into(),
            ramp: self.ramp.map(|ramp| v1::Ramp {
                from: to_wire(ramp.from),
                over: to_wire(ramp.over),
                ..v1::Ramp::default()
            }),
            ..Delay::default()
        })
    }
}

impl DelayArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        super::asked::apply_fault(&self.fault, &self.experiment, global, output).await
    }
}
