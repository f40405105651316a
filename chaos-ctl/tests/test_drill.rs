//! `chaosctl drill` against a real HTTP server on loopback and a scripted agent.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chaos_proto::v1::EndReason;
use nix::sys::signal::Signal;
use tonic::Status;

use crate::agent::{Agent, Call};
use crate::chaosctl::{Finished, Running, run, run_alone, text};
use crate::script::{Script, Then};

/// Answers 200, or 500 once it is told to.
pub(crate) struct Server {
    url: String,
    asked: Arc<AtomicU64>,
    fails: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (asked, fails) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, is_bad) = (asked.clone(), fails.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (count, is_bad) = (count.clone(), is_bad.clone());
                thread::spawn(move || serve(stream, &count, &is_bad));
            }
        });
        Self { url, asked, fails }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

fn serve(mut stream: TcpStream, asked: &AtomicU64, fails: &AtomicBool) {
    let mut head = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|n| n > 0) {
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        head.clear();
        asked.fetch_add(1, Ordering::Relaxed);
        let status = if fails.load(Ordering::Relaxed) {
            500
        } else {
            200
        };
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 2\r\n\r\nok");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// A drill of one phase without faults and one with, and what else the file has.
pub(crate) fn file(agent: &Agent, server: &Server, lengths: [&str; 2], more: &str) -> String {
    let [base, chaos] = lengths;
    let path = agent.directory().join("drill.yaml");
    let drill = format!(
        "
load: {{ url: '{}', rate: 50/s }}
phases:
  - {{ name: base, for: {base} }}
  - name: chaos
    for: {chaos}
    faults:
      netns: web
      seed: 7
      rules: [{{ delay: {{ latency: 100ms }} }}]
{more}",
        server.url
    );
    std::fs::write(&path, drill).unwrap();
    text(&path).to_owned()
}

pub(crate) fn drill(agent: &Agent, server: &Server, more: &str, options: &[&str]) -> Finished {
    let file = file(agent, server, ["400ms", "600ms"], more);
    run(agent, &[&["drill", &file], options].concat())
}

pub(crate) const STRICT: &str = "thresholds: { http_req_duration: max<0 }";

#[test]
fn phases_are_gone_through_and_judged() {
    let (agent, server) = (Agent::start(Script::default()), Server::start());
    let report = agent.directory().join("report.html");
    let thresholds = "thresholds: { 'checks{phase:chaos}': rate>0.99, http_reqs: count>=50 }";
    let finished = drill(&agent, &server, thresholds, &["--report", text(&report)]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let out = &finished.stdout;
    assert!(
        out.starts_with(
            "  █ THRESHOLDS \n\n    checks{phase:chaos}\n    ✓ 'rate>0.99' rate=100.00%\n"
        ),
        "{out}"
    );
    assert!(
        out.contains("\n  █ TOTAL RESULTS \n\n    checks_total"),
        "{out}"
    );
    assert!(out.contains("    http_req_failed"), "{out}");
    assert!(
        out.contains("\nPHASE  LENGTH  REQUESTS  FAILED  DROPPED  MED "),
        "{out}"
    );
    assert!(
        out.contains("\nchaos: delay 100 ms egress on 1 target\nTARGET  INTERFACE  MATCHED"),
        "{out}"
    );
    let page = std::fs::read_to_string(report).unwrap();
    assert!(page.contains("delay 100 ms egress on 1 target"), "{page}");
    assert!(server.asked() >= 50);
    // Planned before anything was sent; then in place, watched, armed, for as long as the phase is.
    let calls = agent.calls();
    let [Call::Prepare(planned), Call::Prepare(prepared), rest @ ..] = &calls[..] else {
        panic!("{calls:?}");
    };
    assert!(planned.dry_run && !prepared.dry_run);
    assert_eq!(
        prepared.duration,
        Duration::from_millis(600).try_into().ok()
    );
    assert_eq!(prepared.seed, Some(7));
    assert!(
        matches!(rest, [Call::Watch { hold: true, .. }, Call::Arm(_), ..]),
        "{rest:?}"
    );
}

#[test]
fn the_json_has_phases_metrics_and_experiments() {
    let (agent, server) = (Agent::start(Script::default()), Server::start());
    let finished = drill(&agent, &server, STRICT, &["-o", "json"]);
    assert_eq!(finished.code, Some(99), "{finished:?}");
    let json = finished.json();
    assert_eq!(json["outcome"], "crossed");
    let [base, chaos] = &json["phases"].as_array().unwrap()[..] else {
        panic!("{json}");
    };
    assert_eq!(base["requests"], 20);
    assert_eq!(base["experiment"], serde_json::Value::Null);
    assert!(chaos["requests"].as_u64() >= Some(30), "{chaos}");
    assert_eq!(chaos["experiment"]["outcome"], "completed");
    assert_eq!(chaos["statuses"]["200"], chaos["requests"]);
    let durations = &json["metrics"]["http_req_duration"];
    assert_eq!(durations["thresholds"]["max<0"]["ok"], false);
    assert!(durations["values"]["p(95)"].as_f64() > Some(0.0));
    let points = json["series"]["points"].as_array().unwrap();
    assert!(!points.is_empty());
    assert!(
        finished
            .stderr
            .ends_with("error: thresholds on metrics 'http_req_duration' have been crossed\n"),
        "{finished:?}"
    );
}

#[test]
fn a_threshold_may_end_it_at_once() {
    let (agent, server) = (Agent::start(Script::default()), Server::start());
    server.fails.store(true, Ordering::Relaxed);
    let more = "thresholds: { checks: { threshold: rate>0.9, abortOnFail: true } }";
    let file = file(&agent, &server, ["10m", "10m"], more);
    let begin = Instant::now();
    let finished = run(&agent, &["drill", &file]);
    assert_eq!(finished.code, Some(99), "{finished:?}");
    assert!(begin.elapsed() < Duration::from_mins(5));
    assert!(
        finished.stderr.ends_with(
            "error: threshold `rate>0.9` on metric 'checks' was crossed, and ended the drill\n"
        ),
        "{finished:?}"
    );
    assert!(
        finished
            .stdout
            .contains("✗ status is 2xx or 3xx\n      ↳  0% — ✓ 0 / ✗ ")
    );
    assert!(finished.stdout.contains("chaos  not begun"), "{finished:?}");
    assert!(
        !agent
            .calls()
            .iter()
            .any(|call| matches!(call, Call::Arm(_)))
    );
}

#[test]
fn where_nobody_answers_nothing_is_done_to_them() {
    let (agent, mut server) = (Agent::start(Script::default()), Server::start());
    // Nothing listens there: it is for root, and for a protocol that is gone.
    server.url = "http://127.0.0.1:1/".to_owned();
    let file = file(&agent, &server, ["2500ms", "10m"], "");
    let finished = run(&agent, &["drill", &file]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    for words in [
        "error: no request of phase `base` was answered, although no fault acted yet (",
        " × connection refused): check `url` of the load, and that it can be reached from here\n",
    ] {
        assert!(finished.stderr.contains(words), "{words}: {finished:?}");
    }
    let ended = "\n\nHow requests ended\nbase: ";
    assert!(finished.stdout.contains(ended), "{finished:?}");
    let calls = agent.calls();
    let acted = calls.iter().any(|call| matches!(call, Call::Arm(_)));
    assert!(!acted, "{calls:?}");
}

#[test]
fn an_interruption_ends_load_and_faults_and_shows_what_there_is() {
    let agent = Agent::start(Script {
        then: Then::Run,
        ..Script::default()
    });
    let server = Server::start();
    let file = file(&agent, &server, ["300ms", "10m"], "");
    let mut running = Running::against(&agent, &["drill", &file]);
    running.wait_for("chaos for 10 min: delay 100 ms egress on 1 target");
    running.signal(Signal::SIGINT);
    let finished = running.wait();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stdout.contains("█ TOTAL RESULTS"), "{finished:?}");
    assert!(
        finished
            .stderr
            .ends_with("error: interrupted: the drill did not run to its end\n"),
        "{finished:?}"
    );
    assert!(
        agent
            .calls()
            .iter()
            .any(|call| matches!(call, Call::Disarm(_)))
    );
}

#[test]
fn what_cannot_be_done_is_said_before_the_first_request() {
    let agent = Agent::start(Script {
        refuse_prepare: Some(Status::failed_precondition("no such namespace: web")),
        ..Script::default()
    });
    let server = Server::start();
    let finished = drill(&agent, &server, "", &[]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(
        finished.stderr.lines().next(),
        Some("error: phase `chaos`: no such namespace: web")
    );
    assert_eq!(server.asked(), 0);
}

#[test]
fn an_agent_that_is_lost_ends_it() {
    let agent = Agent::start(Script {
        then: Then::Fail(Status::unavailable("gone")),
        ..Script::default()
    });
    let server = Server::start();
    let file = file(&agent, &server, ["200ms", "10m"], "");
    let finished = run(&agent, &["drill", &file]);
    assert_eq!(finished.code, Some(4), "{finished:?}");
    assert!(finished.stdout.contains("█ TOTAL RESULTS"), "{finished:?}");
    assert!(
        finished
            .stderr
            .contains("error: phase `chaos`: the agent at"),
        "{finished:?}"
    );
}

#[test]
fn faults_that_somebody_stops_end_it() {
    let agent = Agent::start(Script {
        then: Then::End(EndReason::Stopped, ""),
        ..Script::default()
    });
    let server = Server::start();
    let file = file(&agent, &server, ["200ms", "10m"], "");
    let finished = run(&agent, &["drill", &file, "-o", "json"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(finished.json()["outcome"], "failed");
    assert!(
        finished
            .stderr
            .ends_with("error: phase `chaos`: its faults were stopped by somebody else\n"),
        "{finished:?}"
    );
}

#[test]
fn faults_may_act_from_the_first_request_on() {
    let (agent, server) = (Agent::start(Script::default()), Server::start());
    let path = agent.directory().join("drill.yaml");
    let drill = format!(
        "load: {{ url: '{}', rate: 50/s }}\nphases: [{{ name: chaos, for: 300ms, faults: {{ netns: web, rules: [{{ partition: }}] }} }}]",
        server.url
    );
    std::fs::write(&path, drill).unwrap();
    let finished = run(&agent, &["drill", text(&path), "-o", "json"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.json()["phases"][0]["requests"].as_u64() >= Some(15));
}

#[test]
fn a_file_that_is_wrong_is_usage() {
    let (agent, server) = (Agent::start(Script::default()), Server::start());
    let finished = drill(&agent, &server, "threshold: {}", &[]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(
        finished.stderr.contains("did you mean `thresholds`?"),
        "{finished:?}"
    );
    assert_eq!((server.asked(), agent.calls().len()), (0, 0));
}

#[test]
fn the_help_says_what_counts() {
    let help = run_alone(&["drill", "--help"]).stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for fact in [
        "docs/drill.md",
        "latencies count from then (no coordinated omission)",
        "99 where a threshold was crossed, else 3",
    ] {
        assert!(help.contains(fact), "{fact}\n{help}");
    }
    let without = run_alone(&["drill"]);
    assert_eq!(without.code, Some(2), "{without:?}");
    let sentence = "error: the command does not say which drill to run: give its file\n";
    assert!(without.stderr.starts_with(sentence), "{without:?}");
}
