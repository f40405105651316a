//! A collector of traces over gRPC, and what a test wants to know of spans.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::receiver::serving;

/// What it was sent so far.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Sent {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// The collector; it ends when dropped.
pub(crate) struct Collector {
    address: String,
    sent: Sent,
    _runtime: Runtime,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let runtime = serving();
        let sent = Sent::default();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(
            tonic::transport::Server::builder()
                .add_service(TraceServiceServer::new(sent.clone()))
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        Self {
            address,
            sent,
            _runtime: runtime,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.address
    }

    pub(crate) fn spans(&self) -> Spans {
        Spans::of(&self.sent.0.lock().unwrap())
    }
}

/// The spans of a trace.
#[derive(Debug)]
pub(crate) struct Spans(Vec<Span>);

impl Spans {
    pub(crate) fn of(requests: &[ExportTraceServiceRequest]) -> Self {
        let of_resources = requests.iter().flat_map(|request| &request.resource_spans);
        let spans = of_resources.flat_map(|spans| &spans.scope_spans);
        Self(spans.flat_map(|spans| spans.spans.clone()).collect())
    }

    /// Each with the name of its parent, in the order of names; all are of one trace.
    pub(crate) fn tree(&self) -> Vec<(&str, &str)> {
        let name_of = |id: &[u8]| {
            let span = self.0.iter().find(|span| span.span_id == id);
            span.map_or("", |span| span.name.as_str())
        };
        let mut tree: Vec<_> = self
            .0
            .iter()
            .map(|span| (span.name.as_str(), name_of(&span.parent_span_id)))
            .collect();
        tree.sort_unstable();
        assert!(
            self.0
                .iter()
                .all(|span| span.trace_id == self.0[0].trace_id)
        );
        tree
    }

    pub(crate) fn of_name(&self, name: &str) -> &Span {
        let span = self.0.iter().find(|span| span.name == name);
        span.unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}
