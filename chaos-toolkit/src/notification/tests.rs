//! What channels hear, beside what the reference tells the same ones.

use std::fs;

use tokio::process::Command;

use super::*;
use crate::http::testing::{Seen, Server, says};
use crate::provider::python::world::{World, reference};

/// Tells the channels of these settings what it is given, as the commands of the reference do.
const TELLS: &str = r#"
import json, sys
from chaoslib import notification as told
from chaoslib.exceptions import DiscoveryFailed, InvalidExperiment
given = json.loads(sys.argv[1])
for flow, name, payload, error in given["events"]:
    kind = DiscoveryFailed if flow == "DiscoverFlowEvent" else InvalidExperiment
    told.notify(given["settings"], getattr(getattr(told, flow), name), payload, kind(error) if error else None)
"#;

/// Writes down what it is told, without the time.
const PLUGIN: &str = r#"
import json, os
def write(channel, event):
    assert isinstance(event.pop("ts"), float)
    with open(os.path.join(os.path.dirname(__file__), channel["file"]), "a") as file:
        print(json.dumps([channel["func"], event], default=lambda error: [type(error).__name__, str(error)]), file=file)
notify = write
def fails(channel, event): 1 / 0
def leaves(channel, event): raise SystemExit(3)
"#;

/// Every event as the reference names it, with a payload and an error.
const EVENTS: [(Event, &str, &str, Option<&str>); 12] = [
    (
        Event::DiscoveryStarted,
        "DiscoverFlowEvent",
        "DiscoverStarted",
        None,
    ),
    (
        Event::DiscoveryFailed,
        "DiscoverFlowEvent",
        "DiscoverFailed",
        Some("it's \u{e9}"),
    ),
    (
        Event::DiscoveryCompleted,
        "DiscoverFlowEvent",
        "DiscoverCompleted",
        None,
    ),
    (Event::InitStarted, "InitFlowEvent", "InitStarted", None),
    (Event::InitCompleted, "InitFlowEvent", "InitCompleted", None),
    (Event::RunStarted, "RunFlowEvent", "RunStarted", None),
    (Event::RunFailed, "RunFlowEvent", "RunFailed", None),
    (Event::RunCompleted, "RunFlowEvent", "RunCompleted", None),
    (Event::RunDeviated, "RunFlowEvent", "RunDeviated", None),
    (
        Event::ValidateStarted,
        "ValidateFlowEvent",
        "ValidateStarted",
        None,
    ),
    (
        Event::ValidateFailed,
        "ValidateFlowEvent",
        "ValidateFailed",
        Some("bad"),
    ),
    (
        Event::ValidateCompleted,
        "ValidateFlowEvent",
        "ValidateCompleted",
        None,
    ),
];

fn payload() -> Value {
    json!({"title": "caf\u{e9}", "list": [1, 2.5, null, true], "status": "completed"})
}

async fn server() -> Server {
    Server::start(|asked| {
        let status = if asked.line.contains("/refuses") {
            "403 Forbidden"
        } else {
            "200 OK"
        };
        says(status, &[], "")
    })
    .await
}

/// What was asked, without what libraries say of themselves, and the time.
fn told(seen: &[Seen]) -> Vec<Seen> {
    let of_the_library = [
        "user-agent",
        "accept-encoding",
        "accept",
        "connection",
        "content-length",
        "host",
    ];
    let without_time = |body: &str| {
        let Some((before, after)) = body.split_once("\"ts\": ") else {
            return body.to_owned();
        };
        let rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        assert!(rest.len() + 10 < after.len(), "{body}");
        format!("{before}\"ts\": 0{rest}")
    };
    seen.iter()
        .map(|seen| {
            let headers = seen
                .headers
                .iter()
                .map(|(name, value)| (name.to_lowercase(), value.clone()));
            let mut headers: Vec<_> = headers.collect();
            headers.retain(|(name, _)| !of_the_library.contains(&name.as_str()));
            headers.sort();
            Seen {
                line: seen.line.clone(),
                headers,
                body: without_time(&seen.body),
            }
        })
        .collect()
}

#[tokio::test]
async fn channels_hear_what_the_reference_tells_them() {
    let (Some(world), Some(venv)) = (World::with_reference(), reference()) else {
        return;
    };
    fs::write(world.path("channel.py"), PLUGIN).unwrap();
    let server = server().await;
    let settings = |file: &str| {
        json!({"notifications": [
            {"type": "http", "url": server.url("/all")},
            {"type": "http", "url": server.url("/refuses"), "headers": {"Authorization": "Bearer t"}, "events": ["run-failed"]},
            {"type": "http", "url": server.url("/get?a=b"), "forward_event_payload": false, "verify_tls": false, "headers": {"content-type": "x"}},
            {"type": "http", "url": server.url("/typed"), "headers": {"content-type": "application/x"}, "events": "run-deviated, run-completed"},
            {"type": "plugin", "module": "channel", "func": "write", "file": file, "own": 1},
            {"type": "plugin", "module": "channel", "func": "fails", "events": []},
            {"type": "plugin", "module": "nowhere", "events": ["validate-failed", "discovery-failed"]},
            {"type": "pigeon"},
        ]})
    };
    let events: Vec<Value> = EVENTS
        .iter()
        .map(|(_, flow, name, error)| json!([flow, name, payload(), error]))
        .collect();
    let given = json!({"events": events, "settings": settings("theirs")});
    let told_by_them = Command::new(venv.join("bin/python3"))
        .args(["-c", TELLS, &given.to_string()])
        .env("PYTHONPATH", world.folder.path())
        .output();
    let run = told_by_them.await.unwrap();
    assert!(run.status.success(), "{run:?}");
    let theirs = server.seen();
    let python = Arc::new(world.python);
    let ours = Notifications::new(&settings("ours"), python.clone());
    let mut untold = Vec::new();
    for (event, _, _, error) in EVENTS {
        untold.extend(ours.tell(event, &payload(), error).await);
    }
    python.close().await;
    let (theirs, ours) = (told(&theirs), told(&server.seen()[theirs.len()..]));
    assert_eq!(ours, theirs);
    assert_eq!(theirs.len(), 12 + 1 + 12 + 2);
    let written = |file: &str| fs::read_to_string(world.folder.path().join(file)).unwrap();
    assert_eq!(written("ours"), written("theirs"));
    let count = |what: &str| untold.iter().filter(|why| why.contains(what)).count();
    assert_eq!(count("run-failed: 127.0.0.1 answered 403"), 1, "{untold:?}");
    assert_eq!(
        count("`channel.fails` failed: ZeroDivisionError: division by zero"),
        12
    );
    assert_eq!(count("the Python module `nowhere` cannot be imported"), 2);
    assert_eq!(count("its `type` is neither http nor plugin"), 12);
    assert_eq!(untold.len(), 1 + 12 + 2 + 12);
}

async fn untold(channels: Value) -> Vec<String> {
    let world = World::new();
    fs::write(world.path("channel.py"), PLUGIN).unwrap();
    let python = Arc::new(world.python);
    let notifications = Notifications::new(&json!({"notifications": channels}), python.clone());
    let untold = notifications
        .tell(Event::RunStarted, &Value::Null, None)
        .await;
    python.close().await;
    untold
}

#[tokio::test]
async fn what_is_no_channel_is_said_and_nothing_else_happens() {
    assert_eq!(untold(json!(null)).await, [""; 0]);
    assert_eq!(
        untold(json!({"type": "http"})).await,
        [
            "nobody is told: `notifications` of the settings must be a list of channels, not a mapping"
        ]
    );
    for (channel, why) in [
        (json!("http"), "its `type` is neither http nor plugin"),
        (
            json!({"type": "http"}),
            "a channel of type http needs a `url` that begins with http:// or https://",
        ),
        (
            json!({"type": "http", "url": "ftp://x/"}),
            "a channel of type http needs a `url` that begins with http:// or https://",
        ),
        (
            json!({"type": "http", "url": "http://127.0.0.1:1/secret"}),
            "127.0.0.1 was not reached",
        ),
        (
            json!({"type": "http", "url": "http://x/", "headers": []}),
            "`headers` must be a mapping of names to values, not a list",
        ),
        (
            json!({"type": "http", "url": "http://x/", "headers": {"a": 1}}),
            "the value of the header a must be a text, not a number",
        ),
        (
            json!({"type": "plugin"}),
            "a channel of type plugin needs `module`: the name of a Python module",
        ),
        (
            json!({"type": "plugin", "module": "channel", "func": "no"}),
            "the Python module `channel` has no function `no`",
        ),
        (
            json!({"type": "plugin", "module": "channel", "func": "leaves"}),
            "Python code left with 3",
        ),
    ] {
        let said = format!("a channel of the settings was not told of run-started: {why}");
        assert_eq!(untold(json!([channel])).await, [said], "{channel}");
    }
}

#[tokio::test]
async fn the_end_of_a_run_is_told_when_it_is_over() {
    let server = server().await;
    let settings = json!({"notifications": [{"type": "http", "url": server.url("/")}]});
    let ends = async |journal: Value| {
        let before = server.seen().len();
        let notifications = Notifications::new(&settings, World::new().python.into());
        let journal = journal.as_object().unwrap();
        notifications.hear(observe::Event::Ended { journal });
        assert_eq!(notifications.close().await, Ok(()));
        assert_eq!(notifications.close().await, Ok(()), "once");
        let name = |seen: &Seen| {
            let body: Value = serde_json::from_str(&seen.body).unwrap();
            assert_eq!(body["payload"], Value::Object(journal.clone()));
            body["name"].as_str().unwrap().to_owned()
        };
        server.seen()[before..].iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(
        ends(json!({"status": "completed", "deviated": false})).await,
        ["run-completed"]
    );
    assert_eq!(
        ends(json!({"status": "completed", "deviated": true})).await,
        ["run-completed", "run-deviated"]
    );
    assert_eq!(ends(json!({"status": "interrupted"})).await, ["run-failed"]);
}

#[test]
fn secrets_of_the_file_are_not_told() {
    let experiment = json!({
        "title": "says hunter22",
        "secrets": {"own": {"password": "hunter22", "other": {"type": "env", "key": "HOME"}}},
    });
    let said = without_secrets(&experiment);
    assert_eq!(
        said,
        json!({"title": "says ***", "secrets": {"own": {"password": "***", "other": {"type": "env", "key": "HOME"}}}})
    );
    assert_eq!(without_secrets(&json!([1])), json!([1]));
}
