//! Secrets of an experiment are in nothing that `chaosctl run` prints, writes or sends.

use std::fs;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::chaosctl::{Finished, finish};
use crate::lab::{Lab, experiment, shell};
use crate::receiver::Receiver;
use crate::script::{Script, Then};

const SECRET: &str = "hunter2/\"correct horse\"";

/// One whose secret comes back wherever something can come back: in titles, outputs, exceptions, tolerances and guards.
fn lab() -> Lab {
    let print = |kind: &str, name: &str, script: &str| {
        let mut activity = shell(kind, name, script);
        activity["provider"]["arguments"] = json!(["-c", script, "${token}"]);
        activity
    };
    let mut fails = print("probe", &format!("ask with {SECRET}"), "true");
    fails["provider"] =
        json!({"type": "http", "url": "http://127.0.0.1:1/", "headers": {"Authorization": SECRET}});
    let fault = json!({"type": "action", "name": format!("slow down {SECRET}"), "provider": {
        "type": "chaos", "fault": "delay", "latency": "100ms", "netns": "web", "duration": "30s",
    }});
    let mut method = vec![
        fault,
        print("action", "log in", "echo \"$0\"; echo \"$0\" >&2"),
        fails,
    ];
    let mut last = print("action", "wait", "touch began; sleep 1000");
    last["provider"]["arguments"] = json!(["-c", "touch began; sleep 1000", SECRET]);
    method.push(last);
    let mut of = experiment(
        "true",
        &method,
        &[print("action", "log out", "echo \"$0\"")],
    );
    of["title"] = format!("Does {SECRET} hold?").into();
    of["secrets"] = json!({"token": {"type": "env", "key": "CHAOS_TEST_TOKEN"}});
    of["steady-state-hypothesis"]["title"] = format!("{SECRET} is taken").into();
    of["steady-state-hypothesis"]["probes"] =
        json!([print("probe", "whose it is", "printf %s \"$0\"")]);
    of["steady-state-hypothesis"]["probes"][0]["tolerance"] =
        json!({"type": "regex", "target": "stdout", "pattern": "hunter2/\"correct horse\""});
    of["abort_when"] = json!([{
        "name": format!("{SECRET} is there"), "every": "20ms",
        "is_not": {"type": "regex", "target": "stdout", "pattern": "^$"},
        "provider": {"type": "process", "path": "sh",
            "arguments": ["-c", "if test -e began; then echo \"$CHAOS_TEST_TOKEN\"; fi"]},
    }]);
    Lab::new(&of)
}

/// Everything that anybody gets to see, by name.
fn told(lab: &Lab, finished: Finished, posted: &Receiver) -> Vec<(String, String)> {
    let mut told = vec![
        ("standard output".to_owned(), finished.stdout),
        ("standard error".to_owned(), finished.stderr),
    ];
    for file in ["journal.json", "junit.xml"] {
        told.push((
            file.to_owned(),
            fs::read_to_string(lab.path().join(file)).unwrap(),
        ));
    }
    for posted in posted.posted() {
        told.push((
            posted.path.clone(),
            String::from_utf8_lossy(&posted.body).into_owned(),
        ));
    }
    told
}

#[test]
fn they_are_in_nothing_that_is_printed_written_or_sent() {
    for (log, webhook) in [("text", "json"), ("json", "slack")] {
        let lab = lab();
        let receiver = Receiver::start(StatusCode::OK);
        let [hook, traces] = [receiver.url("/hook"), receiver.url("")];
        let agent = Agent::start(Script {
            then: Then::Run,
            ..Script::default()
        });
        let mut command = lab.command(&[
            "-v",
            "-o",
            "json",
            "--junit",
            "junit.xml",
            "--log-format",
            log,
            "--webhook",
            &hook,
            "--webhook-format",
            webhook,
            "--otlp-endpoint",
            &traces,
            "--otlp-protocol",
            "http/protobuf",
        ]);
        let finished = finish(
            command
                .env("CHAOS_TEST_TOKEN", SECRET)
                .env("CHAOS_SOCKET", agent.socket()),
        );
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert_eq!(finished.json()["verdict"], "aborted", "{finished:?}");
        let journal = lab.journal();
        assert_eq!(journal["run"][1]["output"]["stdout"], "***\n", "{journal}");
        assert_eq!(
            journal["run"][0]["chaos"]["outcome"], "stopped",
            "{journal}"
        );
        assert_eq!(journal["rollbacks"][0]["output"]["stdout"], "***\n");
        assert_eq!(journal["guards"][0]["name"], "*** is there");
        let told = told(&lab, finished, &receiver);
        // Beginning, guard and end; and a trace.
        assert_eq!(told.iter().filter(|(name, _)| name == "/hook").count(), 3);
        assert!(told.iter().any(|(name, _)| name == "/v1/traces"));
        let in_json = Value::from(SECRET).to_string();
        let hidden = [
            SECRET,
            &in_json[1..in_json.len() - 1],
            "hunter2",
            "correct horse",
        ];
        for (name, text) in &told {
            for hidden in hidden {
                assert!(!text.contains(hidden), "{log} {name}: {text}");
            }
        }
        // And each would have had something to tell; in Slack's markup three stars are three other signs.
        for (name, text) in &told {
            let is_hidden = ["***", "\u{2019}\u{2019}\u{2019}"]
                .iter()
                .any(|stars| text.contains(stars));
            assert!(is_hidden || name == "/v1/traces", "{log} {name}: {text}");
        }
        let traces = told.iter().filter(|(name, _)| name == "/v1/traces");
        assert!(
            traces
                .map(|(_, text)| text)
                .any(|text| text.contains("***"))
        );
    }
}

#[test]
fn a_secret_that_is_too_short_to_be_hidden_is_named() {
    let mut of = experiment("true", &[], &[]);
    of["secrets"] = json!({"shop": {"pin": "123", "token": "long enough", "none": ""}});
    let finished = Lab::new(&of).run(&[]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let warnings: Vec<_> = finished
        .stderr
        .lines()
        .filter(|line| line.contains("too short"))
        .collect();
    assert_eq!(
        warnings,
        [
            "warning: the secret at /secrets/shop/pin is too short to be hidden where it comes back, as in outputs"
        ]
    );
}
