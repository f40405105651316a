//! Traces as real collectors get them: over gRPC, and over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use opentelemetry::trace::SpanId;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Map, json};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status as Refused};

use super::spans::{MOST, cut, parse_parent};
use super::*;
use crate::http::testing::{Server, says};
use crate::observe::Phase;
use crate::provider::python::Python;
use crate::run::{Options, Setup, run};
use crate::variables::{Environment, Variables};
use serde_json::Value;

/// Keeps what it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Refused> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Serves on loopback; its address.
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        format!("http://{address}")
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock().unwrap();
        let of_resources = requests.iter().flat_map(|request| &request.resource_spans);
        of_resources
            .flat_map(|spans| &spans.scope_spans)
            .flat_map(|spans| spans.spans.clone())
            .collect()
    }
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A run of one action that starts a fault, and a hypothesis that is not met after it.
fn play(traces: &Traces) {
    let journal = map(&json!({"experiment": {"title": "t"}}));
    traces.hear(Event::Started { journal: &journal });
    traces.hear(Event::PhaseStarted(Phase::Method));
    let action = json!({"type": "action", "name": "slow", "provider": {"type": "chaos"}});
    let activity = map(&action);
    traces.hear(Event::ActivityStarted {
        number: 1,
        phase: Phase::Method,
        activity: &activity,
    });
    let run = map(&json!({"activity": action, "status": "succeeded", "output": {"id": "delay-1"}}));
    traces.hear(Event::ActivityEnded {
        number: 1,
        phase: Phase::Method,
        run: &run,
    });
    traces.hear(Event::PhaseEnded {
        phase: Phase::Method,
        met: None,
    });
    traces.hear(Event::PhaseStarted(Phase::After));
    traces.hear(Event::PhaseEnded {
        phase: Phase::After,
        met: Some(false),
    });
    traces.hear(Event::FaultEnded {
        name: "slow",
        ended: &json!({"reason": "stopped"}),
    });
    let journal = map(&json!({"status": "completed", "deviated": true}));
    traces.hear(Event::Ended { journal: &journal });
}

fn of<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).unwrap()
}

#[tokio::test]
async fn a_span_for_the_run_each_phase_each_activity_and_each_fault() {
    let collector = Collector::default();
    let address = collector.serve().await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traces = Traces::new(Some(&address), Protocol::Grpc, Some(parent)).unwrap();
    play(&traces);
    assert_eq!(traces.close().await, Ok(()));
    let spans = collector.spans();
    let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "experiment t",
            "fault slow",
            "hypothesis after",
            "method",
            "slow"
        ]
    );
    let run = of(&spans, "experiment t");
    assert_eq!(
        run.parent_span_id,
        [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]
    );
    for (child, parent) in [
        ("method", "experiment t"),
        ("hypothesis after", "experiment t"),
        ("fault slow", "experiment t"),
        ("slow", "method"),
    ] {
        assert_eq!(
            of(&spans, child).parent_span_id,
            of(&spans, parent).span_id,
            "{child}"
        );
    }
    for span in &spans {
        assert_eq!(span.trace_id, run.trace_id, "{}", span.name);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    }
    // 2 is an error, 1 is well.
    let status = |name| of(&spans, name).status.as_ref().unwrap().code;
    assert_eq!(
        (
            status("hypothesis after"),
            status("experiment t"),
            status("slow")
        ),
        (2, 2, 1)
    );
}

#[tokio::test]
async fn an_activity_that_is_under_way_has_a_traceparent() {
    let collector = Collector::default();
    let address = collector.serve().await;
    let traces = Traces::new(Some(&address), Protocol::Grpc, None).unwrap();
    assert_eq!(traces.traceparent(1), None);
    let activity = map(&json!({"type": "probe", "name": "p"}));
    traces.hear(Event::ActivityStarted {
        number: 1,
        phase: Phase::Before,
        activity: &activity,
    });
    let given = traces.traceparent(1).unwrap();
    let (trace, span) = parse_parent(&given).unwrap();
    let journal = Map::new();
    traces.hear(Event::Ended { journal: &journal });
    traces.close().await.unwrap();
    let spans = collector.spans();
    assert_eq!(of(&spans, "p").trace_id, trace.to_bytes());
    assert_eq!(of(&spans, "p").span_id, span.to_bytes());
}

#[tokio::test]
async fn over_http_it_is_protobuf_below_the_path_of_traces() {
    use prost::Message as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut got = Vec::new();
        loop {
            let mut chunk = [0; 4096];
            let read = connection.read(&mut chunk).await.unwrap();
            got.extend_from_slice(&chunk[..read]);
            let Some(end) = got.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&got[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .unwrap();
            if got.len() >= end + 4 + length.parse::<usize>().unwrap() {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                connection.write_all(answer).await.unwrap();
                return (head, got.split_off(end + 4));
            }
        }
    });
    let traces = Traces::new(Some(&address), Protocol::Http, None).unwrap();
    play(&traces);
    assert_eq!(traces.close().await, Ok(()));
    let (head, body) = server.await.unwrap();
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    assert_eq!(request.resource_spans.len(), 1);
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_said_at_the_end() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address = format!("http://127.0.0.1:{port}");
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let traces = Traces::new(Some(&address), protocol, None).unwrap();
        play(&traces);
        let error = traces.close().await.unwrap_err();
        assert!(
            error.contains("did not take the trace") || error.contains("did not answer"),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_traceparent_starts_a_trace_of_its_own() {
    for text in [
        "",
        "00",
        "00-xyz-1-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    ] {
        assert_eq!(parse_parent(text), None, "{text}");
    }
}

#[test]
fn long_values_are_cut_between_characters() {
    let long = "\u{e4}".repeat(MOST);
    assert_eq!(cut(&long).len(), MOST);
    assert_eq!(cut(&format!("a{long}")).len(), MOST - 1);
}

/// An activity that gives back the span that it was told of; in the environment, or by a server that echoes the header.
fn probe(name: &str, provider: &Value) -> Value {
    json!({"type": "probe", "name": name, "provider": provider})
}

#[tokio::test]
async fn what_an_activity_calls_is_told_of_its_span() {
    let collector = Collector::default();
    let address = collector.serve().await;
    let server = Server::start(|asked| {
        let span = asked.header("Traceparent").unwrap_or("none");
        says("200 OK", &[], span)
    })
    .await;
    let url = server.url("/");
    let printed = json!({"type": "process", "path": "printenv", "arguments": "TRACEPARENT"});
    let mut steady = probe("steady", &json!({"type": "http", "url": url}));
    let judged = json!({"type": "http", "url": server.url("/judge"), "arguments": {}});
    steady["tolerance"] = probe("judge", &judged);
    steady["tolerance"]["type"] = "probe".into();
    let own = json!({"type": "http", "url": url, "headers": {"traceParent": "own"}});
    let get = json!({"type": "python", "module": "os", "func": "getenv", "arguments": {"key": "TRACEPARENT"}});
    let experiment = json!({
        "title": "t",
        "description": "d",
        "steady-state-hypothesis": {"title": "h", "probes": [steady]},
        "method": [
            probe("asked", &json!({"type": "http", "url": url})),
            probe("own", &own),
            probe("printed", &printed),
            probe("python", &get),
            probe("python again", &get),
        ],
        "rollbacks": [probe("undone", &printed)],
    });
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traces = Traces::new(Some(&address), Protocol::Grpc, Some(parent)).unwrap();
    // What whoever started the run is a part of is not what its activities are.
    let around = BTreeMap::from([("TRACEPARENT".to_owned(), parent.to_owned())]);
    let variables = Variables {
        environment: Environment::with(around),
        ..Variables::default()
    };
    let setup = Setup {
        experiment,
        variables,
        settings: json!({}),
        options: Options::default(),
        journal: None,
        python: Arc::new(Python::new("python3".into())),
        faults: None,
        controls: None,
        controls_of_settings: Vec::new(),
        observers: vec![Arc::new(traces)],
        gate: None,
        signals: futures::stream::pending().boxed(),
    };
    let journal = Value::Object(run(setup).await.unwrap());
    let spans = collector.spans();
    let told = |name: &str| {
        let span = of(&spans, name);
        let id = SpanId::from_bytes(span.span_id.clone().try_into().unwrap());
        format!("00-0af7651916cd43dd8448eb211c80319c-{id}-01")
    };
    let output = |pointer: &str| {
        journal
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{journal}"))
            .clone()
    };
    for (pointer, name) in [
        ("/run/0/output/body", "asked"),
        ("/run/3/output", "python"),
        ("/run/4/output", "python again"),
    ] {
        assert_eq!(output(pointer), told(name), "{name}");
    }
    assert_eq!(output("/run/1/output/body"), "own");
    for (pointer, name) in [
        ("/run/2/output/stdout", "printed"),
        ("/rollbacks/0/output/stdout", "undone"),
    ] {
        assert_eq!(output(pointer), told(name) + "\n", "{name}");
    }
    let steady: Vec<_> = spans.iter().filter(|span| span.name == "steady").collect();
    assert_eq!(steady.len(), 2, "before and after");
    let asked = server.seen();
    let judge = asked
        .iter()
        .find(|asked| asked.line.contains("/judge"))
        .unwrap();
    let before = told("steady");
    assert_eq!(judge.header("traceparent"), Some(before.as_str()));
}
