//! Who hears of a run besides the terminal: a log, a trace, webhooks.

#![expect(
    clippy::doc_markdown,
    reason = "doc comments of options are help texts, printed as they stand"
)]

use std::io::stderr;
use std::sync::Arc;

use chaos_toolkit::control::log::JsonLog;
use chaos_toolkit::control::otlp::{Protocol, Traces};
use chaos_toolkit::control::webhook::{Format, Webhook};
use chaos_toolkit::observe::Observer;
use clap::{Args, ValueEnum};

use crate::error::{CommandError, ErrorKind};

/// The options about them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who hears of it")]
pub(super) struct ListenerArgs {
    /// How the run is told on standard error: for people, or one JSON object a line for each event
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,

    /// Send a trace to this collector: a span for the run, each phase, activity and fault [env: OTEL_EXPORTER_OTLP_ENDPOINT]
    ///
    /// Where TRACEPARENT is set, the run is a part of that trace. Other variables of OpenTelemetry, such as
    /// OTEL_EXPORTER_OTLP_HEADERS, count too.
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,

    /// How the collector is spoken to [env: OTEL_EXPORTER_OTLP_PROTOCOL] [default: grpc]
    #[arg(long, value_name = "PROTOCOL", value_enum)]
    otlp_protocol: Option<OtlpProtocol>,

    /// POST to this address when the run begins and ends, a guard trips, or somebody interrupts; may be repeated
    #[arg(long, value_name = "URL")]
    webhook: Vec<String>,

    /// What is posted: a message for Slack (Mattermost and others take it too), or an object with the verdict
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = WebhookFormat::Slack)]
    webhook_format: WebhookFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OtlpProtocol {
    Grpc,
    #[value(name = "http/protobuf", alias = "http")]
    Http,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WebhookFormat {
    Slack,
    Json,
}

/// A collector that cannot be spoken to.
#[derive(Debug, thiserror::Error)]
#[error("no trace can be sent to the collector: {0}")]
struct NoCollector(String);

/// A protocol that nobody here speaks.
#[derive(Debug, thiserror::Error)]
#[error("OTEL_EXPORTER_OTLP_PROTOCOL is `{0}`: chaosctl speaks grpc and http/protobuf")]
struct NoProtocol(String);

impl ListenerArgs {
    /// Whether people are told on standard error.
    pub(super) fn tells_people(&self) -> bool {
        self.log_format == LogFormat::Text
    }

    /// Those of one run.
    pub(super) fn listeners(&self) -> Result<Vec<Arc<dyn Observer>>, CommandError> {
        let mut listeners: Vec<Arc<dyn Observer>> = Vec::new();
        if self.log_format == LogFormat::Json {
            listeners.push(Arc::new(JsonLog::new(stderr())));
        }
        if let Some(traces) = self.traces()? {
            listeners.push(Arc::new(traces));
        }
        let format = match self.webhook_format {
            WebhookFormat::Slack => Format::Slack,
            WebhookFormat::Json => Format::Json,
        };
        for address in &self.webhook {
            let webhook = Webhook::new(address, format)
                .map_err(|error| CommandError::new(ErrorKind::Usage, error))?;
            listeners.push(Arc::new(webhook));
        }
        Ok(listeners)
    }

    fn traces(&self) -> Result<Option<Traces>, CommandError> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is_asked_for = self.otlp_endpoint.is_some()
            || set("OTEL_EXPORTER_OTLP_ENDPOINT").is_some()
            || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").is_some();
        if !is_asked_for {
            return Ok(None);
        }
        let of_environment = || match set("OTEL_EXPORTER_OTLP_PROTOCOL").as_deref() {
            None | Some("grpc") => Ok(Protocol::Grpc),
            Some("http/protobuf") => Ok(Protocol::Http),
            Some(other) => Err(CommandError::new(
                ErrorKind::Usage,
                NoProtocol(other.to_owned()),
            )),
        };
        let protocol = match self.otlp_protocol {
            Some(OtlpProtocol::Grpc) => Protocol::Grpc,
            Some(OtlpProtocol::Http) => Protocol::Http,
            None => of_environment()?,
        };
        let parent = set("TRACEPARENT");
        let traces = Traces::new(self.otlp_endpoint.as_deref(), protocol, parent.as_deref());
        traces
            .map(Some)
            .map_err(|error| CommandError::new(ErrorKind::Usage, NoCollector(error.to_string())))
    }
}
