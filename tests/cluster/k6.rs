//! The module for k6, on the k6 that everybody has: what it asks of agents, which are simulated, and what it refuses.

mod mistakes;

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, Result};
use chaos_proto::v1::{Direction, EndReason, Experiment, Http, Protocol, rule::Fault};
use chaos_tests::{
    lab::Output,
    programs::{k6, program},
    requires,
};
use serde_json::Value;

use crate::run::{SERVICE, Scene};

/// What a script makes of a scene, run by k6.
fn run(scene: &Scene, script: &str) -> Result<Output> {
    let mut serve = scene.chaosctl(&["serve", "--listen", "127.0.0.1:0"])?;
    let address = serve.word_after("listening at ")?;
    let directory = tempfile::tempdir()?;
    let module = Output::of(command(&["k6-module"])?, Duration::from_secs(20))?;
    fs::write(directory.path().join("chaos.js"), &module.stdout)?;
    let file = directory.path().join("script.js");
    fs::write(&file, script)?;
    let mut k6 = Command::new(k6()?);
    k6.args([
        "run",
        "--quiet",
        "--no-usage-report",
        "--log-format",
        "json",
        "--address",
        "127.0.0.1:0",
    ])
    .arg(&file)
    .env("CHAOS_SERVE", address.trim_end_matches(';'))
    .env("HOME", directory.path());
    let output = Output::of(k6, Duration::from_mins(1))?;
    serve.interrupt()?;
    serve.finish()?;
    Ok(output)
}

fn command(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(program("chaosctl")?);
    command.args(arguments);
    Ok(command)
}

/// What was said by `console.log(JSON.stringify(…))`.
fn logged(output: &Output) -> Result<Value> {
    let lines = output.stderr.lines();
    let entries = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut messages = entries.filter_map(|entry| Some(entry["msg"].as_str()?.to_owned()));
    let said = messages.find(|message| message.starts_with('{'));
    let said = said.with_context(|| output.stderr.clone())?;
    Ok(serde_json::from_str(&said)?)
}

#[test]
fn a_script_of_the_tutorial_needs_another_import_only() {
    requires!("k6");
    tutorial().unwrap();
}

fn tutorial() -> Result<()> {
    let scene = Scene::new(2, 3)?;
    let script = format!(
        r"
        import {{ ServiceDisruptor }} from './chaos.js';
        export const options = {{
          scenarios: {{ chaos: {{ executor: 'shared-iterations', iterations: 1, vus: 1, exec: 'disrupt' }} }},
        }};
        export function disrupt() {{
          const fault = {{
            averageDelay: 100, delayVariation: '50ms', errorRate: 0.1, errorCode: 500, errorBody: 'down',
            exclude: '/health,/metrics',
          }};
          const disruptor = new ServiceDisruptor('{SERVICE}', 'demo');
          const targets = disruptor.targets();
          const result = disruptor.injectHTTPFaults(fault, 1);
          console.log(JSON.stringify({{ targets, outcome: result.outcome }}));
        }}"
    );
    let output = run(&scene, &script)?;
    assert_eq!(output.code, Some(0), "{output:?}");
    let logged = logged(&output)?;
    assert_eq!(
        logged["targets"],
        serde_json::json!(["provider-0", "provider-1", "provider-2"])
    );
    assert_eq!(logged["outcome"], "nothing_matched", "of simulated agents");
    let experiment = &scene.experiments("node-001")[0];
    let rule = &experiment.rules[0];
    let Some(Fault::Http(http)) = &rule.fault else {
        panic!("{rule:?}");
    };
    let milliseconds = |count: i32| {
        Some(prost_types::Duration {
            seconds: 0,
            nanos: count * 1_000_000,
        })
    };
    let wanted = Http {
        delay: milliseconds(100),
        delay_variation: milliseconds(50),
        error_ppm: 100_000,
        error_code: 500,
        error_body: b"down".to_vec(),
        exclude: vec!["/health".into(), "/metrics".into()],
        ..http.clone()
    };
    assert_eq!(*http, wanted);
    let ports = &rule.filter.as_ref().context("a filter")?.target_ports;
    assert_eq!(
        (ports.len(), ports[0].first),
        (1, 3000),
        "the service's only port"
    );
    assert_eq!(experiment.end_reason(), EndReason::Expired);
    let duration = experiment.duration.context("a duration")?;
    assert_eq!((duration.seconds, duration.nanos), (1, 0));
    Ok(())
}

#[test]
fn pods_are_chosen_cut_off_and_terminated() {
    requires!("k6");
    pods().unwrap();
}

fn pods() -> Result<()> {
    let scene = Scene::new(1, 4)?;
    let script = r"
        import { PodDisruptor } from './chaos.js';
        export default function () {
          const disruptor = new PodDisruptor({ namespace: 'demo', select: { labels: { app: 'provider-chaos' } } });
          disruptor.injectNetworkFaults({ port: 5432, protocol: 'TCP' }, '1s');
          disruptor.injectGrpcFaults({ statusCode: 14, errorRate: 1, port: 3000 }, '1s');
          const gone = disruptor.terminatePods({ count: '50%' });
          console.log(JSON.stringify({ gone, left: disruptor.targets() }));
        }";
    let output = run(&scene, script)?;
    assert_eq!(output.code, Some(0), "{output:?}");
    let logged = logged(&output)?;
    let names = |name: &str| logged[name].as_array().map_or(0, Vec::len);
    assert_eq!((names("gone"), names("left")), (2, 2), "{logged}");
    let experiments = scene.experiments("node-000");
    let faults: Vec<_> = experiments
        .iter()
        .map(|experiment| experiment.rules[0].fault.clone())
        .collect();
    let [Some(Fault::Loss(loss)), Some(Fault::Grpc(grpc))] = &faults[..] else {
        panic!("{faults:?}");
    };
    assert_eq!(loss.share_ppm, 1_000_000);
    // What comes in at the pods' port, as theirs drops it.
    let filter = experiments[0].rules[0].filter.as_ref();
    let filter = filter.context("a filter")?;
    let what = (
        filter.direction(),
        filter.protocol(),
        filter.target_ports[0].first,
    );
    assert_eq!(what, (Direction::Ingress, Protocol::Tcp, 5432));
    assert_eq!((grpc.error_ppm, grpc.status_code), (1_000_000, 14));
    Ok(())
}

#[test]
fn each_fault_of_packets_can_be_injected() {
    requires!("k6");
    packets().unwrap();
}

fn packets() -> Result<()> {
    let scene = Scene::new(1, 1)?;
    // All at once: each takes longer than it acts.
    let script = format!(
        r"
        import {{ ServiceDisruptor }} from './chaos.js';
        import exec from 'k6/execution';
        const disruptor = new ServiceDisruptor('{SERVICE}', 'demo');
        const faults = [
          {{ delay: {{ latency: '100ms', jitter: '20ms' }} }},
          {{ loss: {{ percent: 5 }}, filter: {{ proto: 'tcp', ports: ['http'] }} }},
          {{ duplicate: {{ percent: '0.5%' }} }},
          {{ reorder: {{ percent: 5, gap: 9 }} }},
          {{ corrupt: {{ percent: 0.1 }} }},
          {{ rate: {{ rate: '10mbit' }} }},
          {{ partition: {{}}, filter: {{ peers: ['10.0.0.7'] }} }},
          {{ reset: {{}} }},
          {{ rewrite: {{ ttl: 3 }} }},
          {{ dns: {{ answer: 'nxdomain' }} }},
          {{ port: 3001 }},
          [{{ delay: {{ latency: '1s' }} }}, {{ loss: {{ percent: 5 }} }}],
        ];
        const others = [
          () => disruptor.injectNetworkShapingFaults({{ delay: 50, jitter: '10ms', loss: 0.01, rate: '1mbit' }}, 0.1),
          () => disruptor.injectNetworkPartition({{ hosts: ['10.1.0.0/16'], direction: 'both' }}, '100ms'),
        ];
        const count = faults.length + others.length;
        export const options = {{ scenarios: {{ all: {{ executor: 'per-vu-iterations', vus: count, iterations: 1 }} }} }};
        export default function () {{
          const turn = exec.vu.idInTest - 1;
          turn < faults.length ? disruptor.injectNetworkFaults(faults[turn], '100ms') : others[turn - faults.length]();
        }}"
    );
    let output = run(&scene, &script)?;
    assert_eq!(output.code, Some(0), "{output:?}");
    let experiments = scene.experiments("node-000");
    let mut kinds: Vec<String> = experiments.iter().map(kinds_of).collect();
    kinds.sort();
    let wanted = [
        "Corrupt",
        "Delay",
        "Delay Loss",
        "Delay Loss Rate",
        "Dns",
        "Duplicate",
        "Loss",
        "Loss",
        "Partition",
        "Partition",
        "Rate",
        "Reorder",
        "Reset",
        "Rewrite",
    ];
    assert_eq!(kinds, wanted);
    // By name in our rule, by number in theirs: the service's, of which the pods' is known.
    let losses = experiments.iter().filter(|one| kinds_of(one) == "Loss");
    let ports = losses.map(|one| {
        one.rules[0]
            .filter
            .as_ref()
            .map(|f| f.target_ports[0].first)
    });
    assert_eq!(ports.collect::<Vec<_>>(), [Some(3000), Some(3000)]);
    Ok(())
}

/// The names of an experiment's faults.
fn kinds_of(experiment: &Experiment) -> String {
    let names = experiment.rules.iter().map(|rule| {
        let name = format!("{:?}", rule.fault).replace("Some(", "");
        name.split('(').next().unwrap_or_default().to_owned()
    });
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn options_are_numbers_or_strings() {
    requires!("k6");
    options().unwrap();
}

fn options() -> Result<()> {
    let scene = Scene::new(1, 1)?;
    let script = format!(
        r"
        import {{ PodDisruptor, ServiceDisruptor }} from './chaos.js';
        export default function () {{
          const options = {{ proxyPort: 8000, iface: 'eth0' }};
          const service = new ServiceDisruptor('{SERVICE}', 'demo', {{ injectTimeout: '30s' }});
          service.injectHTTPFaults({{
            averageDelay: '1.5s', delayVariation: 500, delayRate: '50%', errorRate: '10%', errorCode: 503, errorBody: '',
            errorHeader: 'retry-after: 1', exclude: ['/health', '/metrics'], match: 'GET /api/**',
            matchHeader: {{ 'x-user': 'a*' }}, headerSet: ['cache-control: no-store, private'],
            headerRemove: 'server,x-powered-by', requestHeaderSet: {{ 'x-chaos': 1 }}, port: 'http',
          }}, '100ms', options);
          service.injectHTTPFaults({{ averageDelay: 0, errorRate: 0, errorCode: 500, exclude: '' }}, 0.1);
          service.injectHTTPFaults({{ averageDelay: '0', abort: 0.5, truncateBody: 10, throttle: '10kb/s' }}, '0.1s', {{ drain: 0 }});
          const pods = new PodDisruptor({{ namespace: 'demo', exclude: {{ labels: {{ app: 'other' }} }} }});
          pods.injectGrpcFaults({{
            averageDelay: 100, delayVariation: '50ms', errorRate: 0.25, statusCode: 8, statusMessage: 'full',
            exclude: 'grpc.health.v1.Health,shop.Cart/Get', matchMetadata: 'x-user: b', port: 3000,
          }}, 0.1);
        }}"
    );
    let output = run(&scene, &script)?;
    assert_eq!(output.code, Some(0), "{output:?}");
    let experiments = scene.experiments("node-000");
    let faults: Vec<_> = experiments
        .iter()
        .map(|experiment| experiment.rules[0].fault.clone())
        .collect();
    let [
        Some(Fault::Http(all)),
        Some(Fault::Http(none)),
        Some(Fault::Http(abort)),
        Some(Fault::Grpc(grpc)),
    ] = &faults[..]
    else {
        panic!("{faults:?}");
    };
    let time = |time: &Option<prost_types::Duration>| time.map(|t| (t.seconds, t.nanos));
    assert_eq!(time(&all.delay), Some((1, 500_000_000)));
    assert_eq!(time(&all.delay_variation), Some((0, 500_000_000)));
    assert_eq!((all.delay_ppm, all.error_ppm), (Some(500_000), 100_000));
    assert_eq!((all.error_code, &all.exclude[1][..]), (503, "/metrics"));
    let set: Vec<_> = [
        &all.set_headers[0],
        &all.set_request_headers[0],
        &all.error_headers[0],
    ]
    .map(|header| (header.name.as_str(), header.value.as_str()))
    .into();
    let headers = [
        ("cache-control", "no-store, private"),
        ("x-chaos", "1"),
        ("retry-after", "1"),
    ];
    assert_eq!(set, headers);
    assert_eq!(all.remove_headers, ["server", "x-powered-by"]);
    assert_eq!(
        (none.error_ppm, time(&none.delay).unwrap_or_default()),
        (0, (0, 0))
    );
    assert_eq!((abort.abort_ppm, abort.truncate_body), (500_000, Some(10)));
    assert_eq!((grpc.error_ppm, grpc.status_code), (250_000, 8));
    assert_eq!(grpc.exclude, ["grpc.health.v1.Health", "shop.Cart/Get"]);
    Ok(())
}

#[test]
fn the_documented_script_is_one() {
    requires!("k6");
    documented().unwrap();
}

fn documented() -> Result<()> {
    let document = include_str!("../../docs/k6.md");
    let parts = document.split("```javascript\n").skip(1);
    let mut scripts = parts.filter_map(|part| part.split("```").next());
    let script = scripts.find(|text| text.contains("export const options"));
    let script = script.context("a whole script")?;
    let directory = tempfile::tempdir()?;
    let module = Output::of(command(&["k6-module"])?, Duration::from_secs(20))?;
    fs::write(directory.path().join("chaos.js"), &module.stdout)?;
    let file = directory.path().join("script.js");
    fs::write(&file, script)?;
    let mut k6 = Command::new(k6()?);
    k6.arg("inspect").arg(&file).env("HOME", directory.path());
    let read: Value = Output::of(k6, Duration::from_secs(30))?.success()?.json()?;
    let names = ["base", "disrupt", "chaos"];
    for name in names {
        assert!(read["scenarios"][name].is_object(), "{name}: {read}");
    }
    Ok(())
}
