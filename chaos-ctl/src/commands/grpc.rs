//! `chaosctl grpc`: delays and fails gRPC calls.

use std::time::Duration;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Filter, Grpc, HeaderMatch};
use clap::Args;
use serde::Deserialize;

use super::http::PORT;
use crate::arguments::{
    Base, DoorArgs, ExperimentArgs, FaultArgs, FaultError, arriving, text, to_wire,
};
use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;
use crate::quantity::{
    Fraction, drain, fraction, grpc_code, header_match, pause, request_count, variation,
};

/// Delay or fail gRPC calls to the target, over HTTP/2 without TLS
///
/// New connections to the port are led to the agent, which reads their calls and passes them on to the application, with
/// metadata, trailers and streams; nothing in the target is changed or restarted. Connections that are open at the start are
/// closed once, so that clients open new ones. At the end new connections go straight to the application again, and calls
/// that run are let finish. What is encrypted passes untouched and is counted: use delay, loss or reset for it.
///
/// --port is the service's, by number or name, and without it the only TCP port of the service. A call that fails gets its
/// status at once and is not delayed; one that is delayed is held before it gets to the application. The fault ends by
/// itself.
///
/// For users of xk6-disruptor: the options are averageDelay, delayVariation, errorRate and so on, and mean the same.
/// What differs: a call that fails does so at once, and not when its client has sent everything; gRPC-Web is HTTP, see
/// `chaosctl http`.
#[derive(Debug, Args)]
#[command(
    after_help = EXAMPLES,
    mut_arg("ports", |arg| arg.help(PORT).long_help(PORT)),
    mut_arg("direction", |arg| arg.hide(true)),
    mut_arg("proto", |arg| arg.hide(true)),
    mut_arg("peer_ports", |arg| arg.hide(true)),
    mut_arg("connections", |arg| arg.hide(true)),
    mut_arg("dscp", |arg| arg.hide(true)),
    mut_arg("length", |arg| arg.hide(true))
)]
pub struct GrpcArgs {
    #[command(flatten)]
    fault: GrpcFault,

    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// What happens to calls, and to which. In a file, the keys of `grpc`.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GrpcFault {
    /// Hold calls before they get to the application, such as for 100ms
    #[arg(long, value_name = "LATENCY", value_parser = pause, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::pause")]
    delay: Option<Duration>,

    /// Vary the delay evenly: from --delay minus this to --delay plus this; at most --delay
    #[arg(long, value_name = "LATENCY", value_parser = variation, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::variation")]
    delay_variation: Option<Duration>,

    /// Share of the calls to delay, as a fraction or with a sign: 0.1 or 10% [default: all]
    #[arg(long, value_name = "SHARE", value_parser = fraction, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::fraction")]
    delay_rate: Option<Fraction>,

    /// Share of the calls that fail, as a fraction or with a sign: 0.1 or 10%
    #[arg(long, value_name = "SHARE", value_parser = fraction, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::fraction")]
    error_rate: Option<Fraction>,

    /// Let the first so many calls of each target fail; --error-rate is for the others
    #[arg(long, value_name = "NUMBER", value_parser = request_count, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::request_count")]
    error_first: Option<u32>,

    /// Status of calls that fail: 1 to 16, or its name, such as UNAVAILABLE
    #[arg(long, value_name = "STATUS", value_parser = grpc_code, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::grpc_code")]
    status_code: Option<u32>,

    /// Message of calls that fail [default: none]
    #[arg(long, value_name = "TEXT")]
    status_message: Option<String>,

    /// Calls to leave alone: package.Service, or package.Service/Method
    #[arg(long, value_name = "SERVICE[/METHOD]", value_delimiter = ',')]
    #[serde(deserialize_with = "text::words")]
    exclude: Vec<String>,

    /// Only calls with this metadata: NAME, NAME=VALUE or 'NAME: VALUE'; may be repeated
    ///
    /// In a value, * stands for anything. With several, all of them.
    #[arg(long = "match-metadata", visible_alias = "match-header", value_name = "NAME[=VALUE]", value_parser = header_match)]
    #[serde(deserialize_with = "text::header_matches")]
    match_metadata: Vec<HeaderMatch>,

    /// Leave connections alone that are open at the start
    #[arg(long)]
    keep_existing: bool,

    /// How long calls that run at the end may run on [default: 10s]
    ///
    /// Those that are delayed go on at once. No others begin on their connection.
    #[arg(long, value_name = "DURATION", value_parser = drain, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::drain")]
    drain: Option<Duration>,

    /// Also calls from the target itself: of a sidecar, or of a probe that runs in it
    #[arg(long)]
    include_loopback: bool,

    /// Do not try to keep the client's address: the application sees the target's own
    #[arg(long)]
    local_source: bool,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl grpc --svc catalog --error-rate 0.1 --status-code 14 --status-message 'try again' --duration 30s
  chaosctl grpc --svc catalog --port grpc --delay 900ms --delay-variation 150ms --exclude grpc.health.v1.Health
  chaosctl grpc --netns catalog --port 50051 --error-first 3 --status-code UNAVAILABLE";

impl FaultArgs for GrpcFault {
    fn to_wire(&self, _base: Base<'_>) -> Result<Fault, FaultError> {
        let error_ppm = self.error_rate.map_or(0, Fraction::ppm);
        let error_first = self.error_first.unwrap_or(0);
        let fails = error_ppm > 0 || error_first > 0;
        if fails && self.status_code.is_none() {
            return Err(FaultError::Incomplete {
                fault: "grpc",
                what: "with which status calls fail",
                give: "a status-code such as 14 or UNAVAILABLE",
            });
        }
        // A rate of 0 is an error that nobody gets.
        let is_off = self.error_rate.is_some() && !fails;
        let door = DoorArgs {
            keep_existing: self.keep_existing,
            drain: self.drain,
            include_loopback: self.include_loopback,
            local_source: self.local_source,
        };
        Ok(Fault::Grpc(Grpc {
            delay: self.delay.and_then(to_wire),
            delay_variation: self.delay_variation.and_then(to_wire),
            delay_ppm: self.delay_rate.map(Fraction::ppm),
            error_ppm,
            status_code: self.status_code.filter(|_| !is_off).unwrap_or(0),
            status_message: self
                .status_message
                .clone()
                .filter(|_| !is_off)
                .unwrap_or_default(),
            exclude: self.exclude.clone(),
            match_metadata: self.match_metadata.clone(),
            error_first,
            door: Some(door.to_wire()),
        }))
    }

    fn narrow(&self, filter: &mut Filter) {
        arriving(filter);
    }
}

impl GrpcArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        super::asked::apply_fault(&self.fault, &self.experiment, global, output).await
    }
}
