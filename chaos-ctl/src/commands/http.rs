//! `chaosctl http`: delays, fails and changes HTTP requests.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments of options are help texts, printed as they stand"
)]

use std::time::Duration;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Filter, Header, HeaderMatch, Http, RequestMatch};
use clap::Args;
use serde::Deserialize;

use crate::arguments::{
    Base, DoorArgs, ExperimentArgs, FaultArgs, FaultError, arriving, read_body, text, to_wire,
};
use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;
use crate::quantity::{
    Body, Fraction, abort, body, byte_count, drain, fraction, header, header_match, http_code,
    pause, request_count, request_match, throttle, variation,
};

/// Delay, fail or change HTTP requests to the target: HTTP/1.0, 1.1, and 2 without TLS
///
/// New connections to the port are led to the agent, which reads their requests and passes them on to the application; nothing
/// in the target is changed or restarted. Connections that are open at the start are closed once, so that clients open new
/// ones: those see one error ("connection reset"). At the end new connections go straight to the application again, and
/// requests that run are let finish. WebSockets and other upgrades pass; what is no HTTP, or encrypted, passes untouched and
/// is counted: for TLS use delay, loss or reset.
///
/// --port is the service's, by number or name, and without it the only TCP port of the service. Options that several requests
/// meet apply in this order: --exclude and the matches decide which requests are meant; of these a share is aborted
/// (--abort), of the others a share gets the error (--error-rate); the delay is for both the error and the application's
/// answer, and begins when that is there. The fault ends by itself.
///
/// For users of xk6-disruptor: --delay is averageDelay, --delay-variation delayVariation, --error-rate errorRate, and so on,
/// and they mean the same. What differs: --exclude folds the case of ASCII letters only; where the application cannot be
/// reached the connection is closed, and no 502 is made up; an error's content-type is text/plain unless --error-header
/// says otherwise.
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
pub struct HttpArgs {
    #[command(flatten)]
    fault: HttpFault,

    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// What happens to requests, and to which. In a file, the keys of `http`.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HttpFault {
    /// Let answers take longer, such as 100ms: added to the time that the application takes
    #[arg(long, value_name = "LATENCY", value_parser = pause, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::pause")]
    delay: Option<Duration>,

    /// Vary the delay evenly: from --delay minus this to --delay plus this; at most --delay
    #[arg(long, value_name = "LATENCY", value_parser = variation, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::variation")]
    delay_variation: Option<Duration>,

    /// Share of the requests to delay, as a fraction or with a sign: 0.1 or 10% [default: all]
    #[arg(long, value_name = "SHARE", value_parser = fraction, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::fraction")]
    delay_rate: Option<Fraction>,

    /// Share of the requests to answer with an error, as a fraction or with a sign: 0.1 or 10%
    ///
    /// The application does not see them. Drawn for each request that is not excluded and matches.
    #[arg(long, value_name = "SHARE", value_parser = fraction, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::fraction")]
    error_rate: Option<Fraction>,

    /// Answer the first so many requests of each target with the error; --error-rate is for the others
    #[arg(long, value_name = "NUMBER", value_parser = request_count, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::request_count")]
    error_first: Option<u32>,

    /// Status of the error: 200 to 599
    #[arg(long, value_name = "STATUS", value_parser = http_code, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::http_code")]
    error_code: Option<u32>,

    /// Body of the error, or @FILE [default: none]
    ///
    /// A text that begins with @ is written with two of them. At most 64 KiB.
    #[arg(long, value_name = "TEXT|@FILE", value_parser = body)]
    #[serde(deserialize_with = "text::body")]
    error_body: Option<Body>,

    /// Header field of the error: NAME=VALUE or 'NAME: VALUE'; may be repeated
    #[arg(long = "error-header", value_name = "NAME=VALUE", value_parser = header)]
    #[serde(rename = "error-header", deserialize_with = "text::headers")]
    error_headers: Vec<Header>,

    /// Close the connection without an answer; of HTTP/2, end the stream [default share: all]
    ///
    /// Of a share of the requests where one is given: 0.1 or 10%.
    #[arg(
        long,
        value_name = "SHARE",
        value_parser = abort,
        num_args = 0..=1,
        default_missing_value = "100%",
        allow_hyphen_values = false
    )]
    #[serde(deserialize_with = "text::abort")]
    abort: Option<Fraction>,

    /// Let the body of each answer come slowly, such as 10kB/s
    #[arg(long, value_name = "RATE", value_parser = throttle, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::throttle")]
    throttle: Option<u64>,

    /// Set a header field of answers: NAME=VALUE or 'NAME: VALUE'; may be repeated
    ///
    /// Instead of those of its name. Fields that say where a message ends stay as they are.
    #[arg(long = "header-set", value_name = "NAME=VALUE", value_parser = header)]
    #[serde(rename = "header-set", deserialize_with = "text::headers")]
    set_headers: Vec<Header>,

    /// Remove header fields of answers
    #[arg(
        long = "header-remove",
        value_name = "NAME[,NAME]",
        value_delimiter = ','
    )]
    #[serde(rename = "header-remove", deserialize_with = "text::words")]
    remove_headers: Vec<String>,

    /// Set a header field of requests, before the application sees them; written as for --header-set
    #[arg(long = "request-header-set", value_name = "NAME=VALUE", value_parser = header)]
    #[serde(rename = "request-header-set", deserialize_with = "text::headers")]
    set_request_headers: Vec<Header>,

    /// Remove header fields of requests
    #[arg(
        long = "request-header-remove",
        value_name = "NAME[,NAME]",
        value_delimiter = ','
    )]
    #[serde(rename = "request-header-remove", deserialize_with = "text::words")]
    remove_request_headers: Vec<String>,

    /// Cut answers after so many bytes of their body, and close the connection; of HTTP/2, reset the stream
    ///
    /// Of a body of chunks, what is in them counts. Shorter answers pass whole.
    #[arg(long, value_name = "BYTES", value_parser = byte_count, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::byte_count")]
    truncate_body: Option<u64>,

    /// Paths to leave alone, such as /health,/metrics: whole, without the query, in either case
    #[arg(long, value_name = "PATH[,PATH]", value_delimiter = ',')]
    #[serde(deserialize_with = "text::words")]
    exclude: Vec<String>,

    /// Only these requests: 'GET /api/*', '/api/**' or POST; may be repeated [default: all that are no gRPC calls]
    ///
    /// In a path, * stands for any part between two slashes, and ** for anything. With several, any of them.
    #[arg(long = "match", value_name = "METHOD PATH", value_parser = request_match)]
    #[serde(rename = "match", deserialize_with = "text::request_matches")]
    matches: Vec<RequestMatch>,

    /// Only requests with this header field: NAME, NAME=VALUE or 'NAME: VALUE'; may be repeated
    ///
    /// In a value, * stands for anything. With several, all of them.
    #[arg(long = "match-header", value_name = "NAME[=VALUE]", value_parser = header_match)]
    #[serde(rename = "match-header", deserialize_with = "text::header_matches")]
    match_headers: Vec<HeaderMatch>,

    /// Leave connections alone that are open at the start
    #[arg(long)]
    keep_existing: bool,

    /// How long requests that run at the end may run on [default: 10s]
    ///
    /// What is delayed or throttled then goes on at once. Answers of HTTP/1 that begin then say `Connection: close`.
    #[arg(long, value_name = "DURATION", value_parser = drain, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::drain")]
    drain: Option<Duration>,

    /// Also requests from the target itself: of a sidecar, or of a probe that runs in it
    #[arg(long)]
    include_loopback: bool,

    /// Do not try to keep the client's address: the application sees the target's own
    #[arg(long)]
    local_source: bool,
}

pub(super) const PORT: &str =
    "Ports that the requests arrive at [default: the only TCP port of the service]

At most 8. With --svc in a cluster a port of the service, by number or name, and the pods' own port behind it is what is meant; otherwise the one that the target listens on, which is not known without it.";

const EXAMPLES: &str = "\
Examples:
  chaosctl http --svc provider --delay 100ms --delay-variation 50ms --error-rate 0.1 --error-code 500 --duration 30s
  chaosctl http --svc web --port http --error-rate 10% --error-code 503 --error-body @down.json --exclude /health
  chaosctl http --netns web --port 80 --match 'POST /orders/**' --abort 5%
  chaosctl http --pid 4711 --port 8080 --throttle 10kB/s --match-header x-user=test-*";

impl FaultArgs for HttpFault {
    fn to_wire(&self, base: Base<'_>) -> Result<Fault, FaultError> {
        let error_ppm = self.error_rate.map_or(0, Fraction::ppm);
        let error_first = self.error_first.unwrap_or(0);
        if (error_ppm > 0 || error_first > 0) && self.error_code.is_none() {
            return Err(FaultError::Incomplete {
                fault: "http",
                what: "with which status requests fail",
                give: "an error-code such as 500",
            });
        }
        let fails = error_ppm > 0 || error_first > 0;
        // A rate of 0 is an error that nobody gets.
        let is_off = self.error_rate.is_some() && !fails;
        let door = DoorArgs {
            keep_existing: self.keep_existing,
            drain: self.drain,
            include_loopback: self.include_loopback,
            local_source: self.local_source,
        };
        let mut http = Http {
            delay: self.delay.and_then(to_wire),
            delay_variation: self.delay_variation.and_then(to_wire),
            delay_ppm: self.delay_rate.map(Fraction::ppm),
            error_ppm,
            error_code: self.error_code.unwrap_or(0),
            error_body: read_body(self.error_body.as_ref(), base)?,
            error_headers: self.error_headers.clone(),
            error_first,
            abort_ppm: self.abort.map_or(0, Fraction::ppm),
            throttle_bytes_per_second: self.throttle.unwrap_or(0),
            set_headers: self.set_headers.clone(),
            remove_headers: self.remove_headers.clone(),
            set_request_headers: self.set_request_headers.clone(),
            remove_request_headers: self.remove_request_headers.clone(),
            truncate_body: self.truncate_body,
            exclude: self.exclude.clone(),
            r#match: self.matches.clone(),
            match_headers: self.match_headers.clone(),
            door: Some(door.to_wire()),
        };
        if is_off {
            http.error_code = 0;
            http.error_body.clear();
            http.error_headers.clear();
        }
        Ok(Fault::Http(http))
    }

    fn narrow(&self, filter: &mut Filter) {
        arriving(filter);
    }
}

impl HttpArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        super::asked::apply_fault(&self.fault, &self.experiment, global, output).await
    }
}
