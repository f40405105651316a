//! A run as a trace over OTLP: one span for the run, each phase, each activity and each fault, so that it shows beside the
//! traces of the application that it is about.
//!
//! Where a run is part of something that is traced, such as a CI job, `TRACEPARENT` says what (W3C Trace Context).

mod spans;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use opentelemetry::KeyValue;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::observe::{Event, Observer};
use spans::State;

/// An answer may take so long.
const ANSWER: Duration = Duration::from_secs(5);
/// The end of the run waits so long for what has not been sent.
const LAST: Duration = Duration::from_secs(6);

/// Over what spans travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC, usually to port 4317.
    Grpc,
    /// Protobuf over HTTP, usually to port 4318.
    Http,
}

/// Makes spans of events, and sends those that have ended.
pub struct Traces {
    state: Mutex<State>,
    to: Mutex<Option<mpsc::UnboundedSender<SpanData>>>,
    sending: Mutex<Option<JoinHandle<Sent>>>,
}

/// What became of spans.
#[derive(Debug, Default)]
struct Sent {
    /// Why some were not taken.
    failed: Option<String>,
}

impl Traces {
    /// Sends to `endpoint`, or else where the variables of OpenTelemetry say. Must be called within a runtime.
    pub fn new(
        endpoint: Option<&str>,
        protocol: Protocol,
        parent: Option<&str>,
    ) -> Result<Self, ExporterBuildError> {
        let mut exporter = match protocol {
            Protocol::Grpc => {
                let builder = SpanExporter::builder().with_tonic().with_timeout(ANSWER);
                match endpoint {
                    Some(endpoint) => builder.with_endpoint(endpoint),
                    None => builder,
                }
                .build()?
            }
            Protocol::Http => {
                let client = HyperClient::with_default_connector(ANSWER, None);
                let builder = SpanExporter::builder()
                    .with_http()
                    .with_http_client(client)
                    .with_timeout(ANSWER);
                match endpoint {
                    Some(endpoint) => builder.with_endpoint(traces_of(endpoint)),
                    None => builder,
                }
                .build()?
            }
        };
        exporter.set_resource(
            &Resource::builder()
                .with_service_name("chaosctl")
                .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
                .build(),
        );
        let (to, from) = mpsc::unbounded_channel();
        let sending = tokio::spawn(send(exporter, from));
        Ok(Self {
            state: Mutex::new(State::new(parent)),
            to: Mutex::new(Some(to)),
            sending: Mutex::new(Some(sending)),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, span: SpanData) {
        let to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(to) = &*to {
            // Whoever sends has ended, and says why at the end.
            let _gone = to.send(span);
        }
    }
}

impl Observer for Traces {
    fn hear(&self, event: Event<'_>) {
        let ended = self.lock().hear(event);
        for span in ended {
            self.send(span);
        }
    }

    fn traceparent(&self, number: u64) -> Option<String> {
        self.lock().traceparent(number)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), String>> {
        self.to
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let sending = self
            .sending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Box::pin(async move {
            let Some(sending) = sending else {
                return Ok(());
            };
            match timeout(LAST, sending).await {
                Ok(Ok(Sent { failed: None })) => Ok(()),
                Ok(Ok(Sent { failed: Some(why) })) => {
                    Err(format!("the collector did not take the trace: {why}"))
                }
                Ok(Err(_)) => Err("the trace was not sent".to_owned()),
                Err(_) => Err(format!(
                    "the collector did not answer within {} s; the trace was not sent",
                    LAST.as_secs()
                )),
            }
        })
    }
}

/// Sends what comes, in as few requests as come together.
async fn send(exporter: SpanExporter, mut from: mpsc::UnboundedReceiver<SpanData>) -> Sent {
    let mut sent = Sent::default();
    let mut batch = Vec::new();
    while from.recv_many(&mut batch, 512).await > 0 {
        if let Err(error) = exporter.export(std::mem::take(&mut batch)).await {
            sent.failed = Some(error.to_string());
        }
    }
    sent
}

/// As the specification has it: the path of traces below a collector's address.
fn traces_of(endpoint: &str) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    if endpoint.ends_with("/v1/traces") {
        endpoint.to_owned()
    } else {
        format!("{endpoint}/v1/traces")
    }
}

#[cfg(test)]
mod tests;
