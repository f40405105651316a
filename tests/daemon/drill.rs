//! A drill against a real service and a real agent: what a phase does is in its own requests, and nowhere else.

use std::{fs, path::Path};

use chaos_tests::{lab::Output, programs::program, requires, services};
use serde_json::Value;

use crate::scenario::{PATIENCE, Scenario, tolerances};

const DELAY_MS: f64 = 100.0;

/// Runs a drill on the peer, against the provider on the target; `{target}` and `{url}` stand for it.
fn drill(scenario: &Scenario, directory: &Path, drill: &str, options: &[&str]) -> Output {
    let url = format!("http://{}:3000/", scenario.target.address_v4());
    let drill = drill
        .replace("{target}", scenario.target.netns_name())
        .replace("{url}", &url);
    let file = directory.join("drill.yaml");
    fs::write(&file, drill).unwrap();
    let chaosctl = program("chaosctl").unwrap();
    let mut command = scenario.peer.command(chaosctl).unwrap();
    command
        .arg("--socket")
        .arg(scenario.daemon.socket())
        .arg("drill")
        .arg(file)
        .args(options);
    Output::of(command, PATIENCE * 3).unwrap()
}

fn median_ms(phase: &Value) -> f64 {
    phase["durations_ms"]["med"].as_f64().unwrap()
}

#[test]
fn a_delay_is_added_to_the_requests_of_its_phase_alone() {
    requires!(root);
    let mut scenario = Scenario::new("drill");
    let _provider = services::provider(&scenario.target).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("report.html");
    let output = drill(
        &scenario,
        directory.path(),
        "
load: { url: '{url}', rate: 20/s }
check: { status: [200] }
phases:
  - { name: base, for: 4s }
  - name: chaos
    for: 4s
    faults:
      netns: '{target}'
      rules: [{ delay: { latency: 100ms }, filter: { proto: tcp, ports: [3000] } }]
  - { name: recovery, for: 3s }
thresholds:
  'http_req_duration{phase:base}': med<50
  'http_req_duration{phase:chaos}': [med>=100, med<150]
  'http_req_duration{phase:recovery}': med<50
  checks: rate==1
",
        &["-o", "json", "--report", report.to_str().unwrap()],
    );
    let json = output.success().unwrap().json().unwrap();
    assert_eq!(json["outcome"], "passed", "{json}");
    let [base, chaos, recovery] = &json["phases"].as_array().unwrap()[..] else {
        panic!("{json}");
    };
    let [before, during, after] = [base, chaos, recovery].map(median_ms);
    eprintln!("medians: {before} ms, {during} ms, {after} ms");
    let tolerance = tolerances().0.as_secs_f64() * 1e3;
    let off = during - before - DELAY_MS;
    assert!(off.abs() <= tolerance + 1.0, "{off} ms off");
    assert!((after - before).abs() <= tolerance + 1.0, "{after} ms");
    // None of the faults is in the phase before; what else the machine does may be in a few.
    assert!(
        base["durations_ms"]["p(90)"].as_f64().unwrap() < DELAY_MS,
        "{base}"
    );
    assert_eq!(base["requests"], 80);
    let rule = &chaos["experiment"]["experiment"]["totals"];
    assert!(rule["delayed_packets"].as_u64() >= Some(80), "{chaos}");
    assert!(fs::read_to_string(report).unwrap().contains("delay 100 ms"));
    scenario.leaves_nothing();
}

#[test]
fn what_a_partition_does_is_counted_from_when_requests_were_due() {
    requires!(root);
    let mut scenario = Scenario::new("drill-cut");
    let _provider = services::provider(&scenario.target).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let output = drill(
        &scenario,
        directory.path(),
        "
load: { url: '{url}', rate: 20/s, timeout: 1s }
phases:
  - { name: base, for: 2s }
  - { name: cut, for: 3s, faults: { netns: '{target}', rules: [{ partition: }] } }
  - { name: recovery, for: 4s }
thresholds:
  'checks{phase:base}': rate==1
  'checks{phase:cut}': rate>0.9
",
        &["-o", "json"],
    );
    assert_eq!(output.code, Some(99), "{output:?}");
    let json = output.json().unwrap();
    let cut = &json["phases"][1];
    // All of the first two seconds: their second of patience is over before the cut is.
    assert!(cut["failed"].as_u64() >= Some(35), "{cut}");
    assert_eq!(cut["failures"]["timed_out"], cut["failed"], "{cut}");
    assert!(
        cut["durations_ms"]["p(90)"].as_f64() >= Some(990.0),
        "{cut}"
    );
    assert_eq!(json["phases"][0]["failed"], 0, "{json}");
    scenario.leaves_nothing();
}

#[test]
fn faults_that_hit_nothing_are_told() {
    requires!(root);
    let scenario = Scenario::new("drill-vain");
    let _provider = services::provider(&scenario.target).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let output = drill(
        &scenario,
        directory.path(),
        "
load: { url: '{url}', rate: 20/s }
phases:
  - name: chaos
    for: 1s
    faults:
      netns: '{target}'
      rules: [{ delay: { latency: 100ms }, filter: { proto: tcp, ports: [4000] } }]
thresholds: { http_req_duration: max<0 }
",
        &[],
    );
    // A crossed threshold decides, and what was wrong is said all the same.
    assert_eq!(output.code, Some(99), "{output:?}");
    assert!(
        output
            .stderr
            .contains("error: phase `chaos`: nothing was hit"),
        "{output:?}"
    );
    assert!(
        output.stderr.contains("thresholds on metrics"),
        "{output:?}"
    );
}
