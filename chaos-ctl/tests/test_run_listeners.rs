//! Who hears of `chaosctl run`: webhooks, collectors of traces, whoever reads logs, and the script that started it.

use hyper::StatusCode;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::{Value, json};

use crate::chaosctl::documented;
use crate::collector::{Collector, Spans};
use crate::lab::{Lab, experiment, shell};
use crate::receiver::{Posted, Receiver, nobody};

/// Deviates, and is rolled back.
fn deviates() -> Lab {
    Lab::new(&experiment(
        "test ! -e broken",
        &[shell("action", "break it", "touch broken")],
        &[shell("action", "mend it", "rm broken")],
    ))
}

/// Where there is nobody, said once.
const UNTOLD: &str = "warning: the webhook at 127.0.0.1 was not reached\n";

#[test]
fn slack_is_told_of_beginning_and_end() {
    let receiver = Receiver::start(StatusCode::OK);
    let mut of = experiment(
        "test ! -e broken",
        &[shell("action", "a", "touch broken")],
        &[],
    );
    of["title"] = "Do *we* & <they> hold?".into();
    let lab = Lab::new(&of);
    let finished = lab.run(&["--webhook", &receiver.url("/services/T0/B0")]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let posted = receiver.posted();
    assert_eq!(posted.len(), 2, "{posted:?}");
    for posted in &posted {
        assert_eq!(posted.path, "/services/T0/B0");
        assert_eq!(posted.content_type, "application/json");
        assert_eq!(posted.json().as_object().unwrap().len(), 1);
    }
    let [begins, ends] = [&posted[0], &posted[1]].map(|posted| posted.json()["text"].clone());
    let title = "*Do \u{2019}we\u{2019} &amp; &lt;they&gt; hold?*";
    assert_eq!(begins, format!("\u{25b6} {title} begins"));
    let ends = ends.as_str().unwrap();
    let head = format!("\u{26a0} {title} deviated: a weakness may have been found after ");
    assert!(ends.starts_with(&head), "{ends}");
    assert!(
        ends.ends_with(" s\n\u{2022} after: `steady` was not met"),
        "{ends}"
    );
}

#[test]
fn programs_are_told_what_happened_and_the_verdict() {
    let [one, other] = [(); 2].map(|()| Receiver::start(StatusCode::OK));
    let mut of = experiment("true", &[shell("action", "a", "touch a; sleep 1000")], &[]);
    of["abort_when"] = json!([{
        "name": "it is there", "every": "20ms", "is": 0,
        "provider": {"type": "process", "path": "test", "arguments": ["-e", "a"]},
    }]);
    let lab = Lab::new(&of);
    let [to_one, to_other] = [&one, &other].map(|receiver| receiver.url("/hook"));
    let finished = lab.run(&[
        "--webhook",
        &to_one,
        "--webhook",
        &to_other,
        "--webhook-format",
        "json",
        "-o",
        "json",
    ]);
    let mut verdict = finished.json();
    assert_eq!(verdict["verdict"], "aborted", "{finished:?}");
    // Where it is on this host is nobody else's business.
    verdict["journal"] = "".into();
    for receiver in [one, other] {
        let told: Vec<Value> = receiver.posted().iter().map(Posted::json).collect();
        let events: Vec<_> = told.iter().map(|told| &told["event"]).collect();
        assert_eq!(events, ["started", "guard tripped", "ended"]);
        assert_eq!(
            told[1]["details"],
            json!({"guard": "it is there", "saw": "0"})
        );
        assert_eq!(told[2]["details"], verdict);
    }
}

#[test]
fn a_hook_that_is_down_fails_nothing_and_is_said() {
    let lab = Lab::new(&experiment("true", &[], &[]));
    let receiver = Receiver::start(StatusCode::OK);
    let [down, up] = [format!("{}/T0/quiet", nobody()), receiver.url("/")];
    let finished = lab.run(&["--webhook", &down, "--webhook", &up]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stderr.matches(UNTOLD).count(), 1, "{finished:?}");
    // The path of such an address is its password.
    assert!(!finished.stderr.contains("quiet"), "{finished:?}");
    assert_eq!(receiver.posted().len(), 2);
    assert_eq!(lab.journal()["status"], "completed");
}

#[test]
fn a_hook_that_refuses_is_said() {
    let receiver = Receiver::start(StatusCode::FORBIDDEN);
    let finished = deviates().run(&["--webhook", &receiver.url("/")]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let said = "warning: the webhook at 127.0.0.1 answered 403\n";
    assert_eq!(finished.stderr.matches(said).count(), 1, "{finished:?}");
}

#[test]
fn addresses_and_protocols_that_are_none_are_usage_errors() {
    let lab = Lab::new(&experiment("touch ran", &[], &[]));
    for options in [
        &["--webhook", "hooks.example.com"][..],
        &["--webhook", "ftp://hooks.example.com/"],
        &["--webhook-format", "teams"],
        &[
            "--otlp-endpoint",
            "http://127.0.0.1:1",
            "--otlp-protocol",
            "json",
        ],
        &["--log-format", "xml"],
    ] {
        let finished = lab.run(options);
        assert_eq!(finished.code, Some(2), "{options:?} {finished:?}");
        assert!(finished.stderr.starts_with("error: "), "{finished:?}");
    }
    assert!(!lab.path().join("ran").exists());
    assert_eq!(lab.files("journal"), [""; 0].map(std::path::PathBuf::from));
}

/// Each span of what deviates, with its parent.
const TREE: [(&str, &str); 9] = [
    ("break it", "method"),
    ("experiment Does it hold?", ""),
    ("hypothesis after", "experiment Does it hold?"),
    ("hypothesis before", "experiment Does it hold?"),
    ("mend it", "rollbacks"),
    ("method", "experiment Does it hold?"),
    ("rollbacks", "experiment Does it hold?"),
    ("steady", "hypothesis after"),
    ("steady", "hypothesis before"),
];

/// What OpenTelemetry calls well and not.
const OK: i32 = 1;
const ERROR: i32 = 2;

#[test]
fn a_collector_gets_a_span_for_each_phase_and_activity() {
    let collector = Collector::start();
    let lab = deviates();
    let finished = lab.run(&["--otlp-endpoint", collector.url()]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(!finished.stderr.contains("collector"), "{finished:?}");
    let spans = collector.spans();
    assert_eq!(spans.tree(), TREE);
    let code = |name| {
        spans
            .of_name(name)
            .status
            .as_ref()
            .map_or(0, |status| status.code)
    };
    assert_eq!(code("break it"), OK);
    assert_eq!(code("hypothesis before"), 0);
    assert_eq!(code("hypothesis after"), ERROR);
    assert_eq!(code("experiment Does it hold?"), ERROR);
}

#[test]
fn over_http_and_as_a_part_of_what_is_traced_already() {
    let receiver = Receiver::start(StatusCode::OK);
    let lab = deviates();
    let mut command = lab.command(&["--otlp-protocol", "http/protobuf"]);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url(""))
        .env(
            "TRACEPARENT",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        );
    let finished = crate::chaosctl::finish(&mut command);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let posted = receiver.posted();
    let requests: Vec<_> = posted
        .iter()
        .map(|posted| {
            assert_eq!(posted.path, "/v1/traces");
            assert_eq!(posted.content_type, "application/x-protobuf");
            ExportTraceServiceRequest::decode(posted.body.as_slice()).unwrap()
        })
        .collect();
    let spans = Spans::of(&requests);
    assert_eq!(spans.tree(), TREE);
    let run = spans.of_name("experiment Does it hold?");
    assert_eq!(
        run.trace_id,
        0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes()
    );
    assert_eq!(run.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
}

#[test]
fn a_collector_that_is_down_fails_nothing_and_is_said() {
    for protocol in ["grpc", "http/protobuf"] {
        let lab = Lab::new(&experiment("true", &[], &[]));
        let options = ["--otlp-endpoint", &nobody(), "--otlp-protocol", protocol];
        let finished = lab.run(&options);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let said = "warning: the collector did not take the trace: ";
        assert_eq!(finished.stderr.matches(said).count(), 1, "{finished:?}");
        assert_eq!(lab.journal()["status"], "completed");
    }
}

#[test]
fn each_line_of_a_json_log_is_an_object() {
    let lab = deviates();
    // What nobody takes is said in the same form, and so is why it failed.
    let options = ["--log-format", "json", "--webhook", &nobody()];
    let finished = lab.run(&options);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let lines: Vec<Value> = finished
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let is_whole = |line: &Value| line["time"].is_string() && line["level"].is_string();
    assert!(lines.iter().all(is_whole), "{finished:?}");
    let events: Vec<_> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    let activity = ["activity started", "activity ended"];
    let phase = [&["phase started"][..], &activity, &["phase ended"]].concat();
    let expected = [
        &["started"][..],
        &phase,
        &phase,
        &phase,
        &phase,
        &["ended", "untold", "message"],
    ];
    assert_eq!(events, expected.concat());
    let last = &lines[lines.len() - 2..];
    assert_eq!(
        (&last[0]["level"], &last[1]["level"]),
        (&json!("warn"), &json!("error"))
    );
    assert_eq!(last[0]["why"], UNTOLD["warning: ".len()..].trim_end());
    assert_eq!(
        last[1]["text"],
        "deviated: after the method, probe `steady` was expected to see 0, and saw 1"
    );
    assert!(finished.stdout.starts_with("deviated in "), "{finished:?}");
}

#[test]
fn what_cannot_be_run_is_said_in_a_json_log_too() {
    let lab = Lab::new(&json!({"title": "t"}));
    let finished = lab.run(&["--log-format", "json"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let line: Value = serde_json::from_str(&finished.stderr).unwrap();
    assert_eq!(
        (&line["level"], &line["event"]),
        (&json!("error"), &json!("message"))
    );
    assert!(
        line["text"].as_str().unwrap().contains("nothing ran"),
        "{line}"
    );
}

#[test]
fn the_verdict_is_one_object_with_the_documented_keys() {
    let lab = deviates();
    let finished = lab.run(&["-o", "json", "--journal-path", "here.json"]);
    let told = finished.json();
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let documented = documented("## run");
    assert_eq!(keys(&told), keys(&documented));
    assert_eq!(keys(&told["unmet"][0]), keys(&documented["unmet"][0]));
    for key in [
        "verdict", "title", "status", "deviated", "start", "end", "duration", "journal",
    ] {
        let kind = |value: &Value| std::mem::discriminant(&value[key]);
        assert_eq!(kind(&told), kind(&documented), "{key}");
    }
    assert_eq!(told["verdict"], "deviated");
    let unmet = &told["unmet"].as_array().unwrap()[..];
    assert_eq!(unmet.len(), 1);
    assert_eq!(
        (
            &unmet[0]["hypothesis"],
            &unmet[0]["probe"],
            &unmet[0]["output"]["status"]
        ),
        (&json!("after"), &json!("steady"), &json!(1))
    );
    assert_eq!(
        (&told["guards"], &told["journal"]),
        (&json!([]), &json!("here.json"))
    );
}
