//! `chaosctl loss`: drops matching packets.

use chaos_proto::v1::loss::Model;
use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Filter, FourStates, GilbertElliott, Loss, Protocol};
use clap::Args;
use serde::Deserialize;

use crate::arguments::{self, Base, ExperimentArgs, FaultArgs, FaultError, end_of, text};
use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;
use crate::quantity::{
    Ramp, Share, burst, correlation, every, first, four_state, percent, share_ramp,
};

/// Drop matching packets
///
/// Matching packets are dropped silently: neither the sender nor its kernel is told, as in a network. TCP sends again,
/// which looks like slowness; UDP does not. With PERCENT each packet is dropped by that chance, independently of the
/// others; --burst, --four-state, --every and --first choose them otherwise, and are given instead of it. The fault
/// ends by itself.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct LossArgs {
    #[command(flatten)]
    fault: LossFault,

    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// Which packets are dropped. In a file, the keys of `loss`.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LossFault {
    /// Share of the matching packets to drop
    ///
    /// In percent, with or without the sign, such as 30, 30% or 0.5%; above 0, at most 100, in steps of 0.0001.
    #[arg(value_name = "PERCENT", value_parser = percent)]
    #[serde(deserialize_with = "text::percent")]
    percent: Option<Share>,

    /// How much a loss follows a loss: 0 for not at all, close to 100 for long series; with PERCENT only [default: 0]
    ///
    /// In percent. With share p and correlation c, a packet is dropped with probability p + c(1 - p) when the one
    /// before was, and with p(1 - c) when it was not; over time the share stays p.
    #[arg(long, value_name = "PERCENT", value_parser = correlation, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::correlation")]
    correlation: Option<Share>,

    /// Change the percentage evenly from the start on, such as 0%..30%/1m: from 0 to 30 % within a minute, then 30 %
    ///
    /// The second percentage is the one that stays, so PERCENT is not needed beside it; it may be the smaller one,
    /// or 0. With --correlation, but not with --burst, --four-state, --every and --first, which have no single
    /// percentage.
    #[arg(long, value_name = "FROM..TO/TIME", value_parser = share_ramp, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::share_ramp")]
    ramp: Option<Ramp<Share>>,

    /// Losses in bursts (Gilbert and Elliott): p,r[,1-h[,1-k]] in percent, such as 1,10
    ///
    /// After each packet a burst begins by chance p, and ends by chance r. In a burst a packet is lost by chance 1-h
    /// (100 unless given), outside by 1-k (0 unless given). `1,10` loses series of 10 packets on average, 9 % of all.
    #[arg(long, value_name = "P,R[,1-H[,1-K]]", value_parser = burst, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::burst")]
    burst: Option<GilbertElliott>,

    /// Bursts with gaps, and losses alone: p13,p31[,p32[,p23[,p14]]] in percent, as netem's `loss state`
    ///
    /// States: 1 received between bursts, 3 lost in a burst, 2 received in a burst, 4 lost alone. pAB is the chance to
    /// go from A to B; unless given, p32 is 0, p23 is 100 and p14 is 0.
    #[arg(long, value_name = "P13,P31[,P32,P23,P14]", value_parser = four_state, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::four_state")]
    four_state: Option<FourStates>,

    /// Drop each N-th matching packet
    #[arg(long, value_name = "N", value_parser = every, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::every")]
    every: Option<u32>,

    /// Drop the first N matching packets of each connection
    ///
    /// Of TCP, connections that are opened while the fault acts; of others, from the first packet that it sees on.
    #[arg(long, value_name = "N", value_parser = first, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::first")]
    first: Option<u32>,

    /// Only packets that open a TCP connection (SYN); means --proto tcp
    ///
    /// It leaves a client and arrives at a server: see --direction. The kernel tries again after 1 s, 3 s, 7 s …, so
    /// that connections open late, or not at all. Open ones are not touched.
    #[arg(long)]
    syn_only: bool,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl loss --svc provider-chaos-service 30% --duration 30s
  chaosctl loss 0.5% --netns web --direction both --proto udp --port 53
  chaosctl loss 100 --pid 4711 --direction ingress --peer 10.0.0.7
  chaosctl loss --burst 1,10 --netns web
  chaosctl loss --ramp 0%..30%/1m --netns web --duration 2m
  chaosctl loss 50% --syn-only --netns web --target-port 443 --direction ingress";

impl FaultArgs for LossFault {
    fn to_wire(&self, _base: Base<'_>) -> Result<Fault, FaultError> {
        let models = [
            (self.burst.map(Model::GilbertElliott), "burst"),
            (self.four_state.map(Model::FourStates), "four-state"),
            (self.every.map(Model::Every), "every"),
            (self.first.map(Model::First), "first"),
        ];
        let mut given = models
            .into_iter()
            .filter_map(|(model, name)| Some((model?, name)));
        let model = given.next();
        let others = [
            given.next().map(|(_, name)| name),
            self.percent.map(|_| "a percentage"),
            self.correlation.map(|_| "a correlation"),
        ];
        if let (Some((_, one)), Some(_)) = (model, self.ramp) {
            return Err(FaultError::Together {
                fault: "loss",
                one,
                other: "a ramp",
                because: "a ramp changes a percentage of packets, and this has none, so leave out one of them",
            });
        }
        if let (Some((_, one)), Some(other)) = (model, others.into_iter().flatten().next()) {
            return Err(FaultError::Together {
                fault: "loss",
                one,
                other,
                because: "each chooses the packets in its own way, so give one of them",
            });
        }
        let share = end_of("loss", "a percentage", self.percent, self.ramp)?;
        if model.is_none() && share.is_none() {
            return Err(FaultError::Incomplete {
                fault: "loss",
                what: "how many packets to drop",
                give: "a percentage such as 30%, a ramp such as 0%..30%/1m, or one of burst, four-state, every and first",
            });
        }
        Ok(Fault::Loss(Loss {
            share_ppm: share.map_or(0, Share::ppm),
            correlation_ppm: self.correlation.map_or(0, Share::ppm),
            model: model.map(|(model, _)| model),
            ramp: arguments::share_ramp(self.ramp),
        }))
    }

    fn narrow(&self, filter: &mut Filter) {
        if self.syn_only {
            filter.syn_only = true;
            if filter.protocol() == Protocol::Unspecified {
                filter.protocol = Protocol::Tcp.into();
            }
        }
    }
}

impl LossArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        super::asked::apply_fault(&self.fault, &self.experiment, global, output).await
    }
}
