//! Stories of load tests that cause chaos, told by scripts of xk6-disruptor with another import: a real k6, real
//! services, real agents.

use std::{fs, net::SocketAddr, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use chaos_tests::{
    cluster::Cluster,
    lab::{Host, Output, Process},
    programs::{k6, program},
    requires, services,
};
use serde_json::{Value, json};

use crate::tutorial::Tutorial;

/// The summary of a script that k6 ran, on a host from which the cluster and the services can be reached.
struct Told {
    summary: Value,
}

impl Told {
    /// Runs a script with these variables. Its thresholds must hold.
    fn tell(
        cluster: &Cluster,
        host: &Host,
        script: &str,
        variables: &[(&str, String)],
    ) -> Result<Self> {
        let mut serve = host.command(program("chaosctl")?)?;
        serve
            .args(["serve", "-q"])
            .env("KUBECONFIG", cluster.kubeconfig_within()?)
            .env_remove("CHAOS_SOCKET")
            .env_remove("CHAOS_SERVER")
            .stdin(Stdio::null());
        let serve = Process::spawn(serve)?;
        services::listening_at(host, SocketAddr::from(([127, 0, 0, 1], 7420)))?;
        let directory = tempfile::tempdir()?;
        let mut module = host.command(program("chaosctl")?)?;
        module.arg("k6-module");
        let module = Output::of(module, Duration::from_secs(20))?;
        fs::write(directory.path().join("chaos.js"), &module.stdout)?;
        let (file, summary) = (
            directory.path().join("script.js"),
            directory.path().join("summary.json"),
        );
        fs::write(&file, script)?;
        let mut k6 = host.command(k6()?)?;
        k6.args([
            "run",
            "--quiet",
            "--no-usage-report",
            "--address",
            "127.0.0.1:0",
            "--summary-export",
        ])
        .args([&summary, &file])
        .env("HOME", directory.path())
        .envs(variables.iter().map(|(name, value)| (name, value)));
        let output = Output::of(k6, Duration::from_mins(3))?;
        drop(serve);
        ensure!(output.code == Some(0), "{output:?}");
        let summary = serde_json::from_slice(&fs::read(&summary)?)?;
        Ok(Self { summary })
    }

    /// A figure of a metric in one scenario.
    fn figure(&self, name: &str, scenario: &str, key: &str) -> Result<f64> {
        let metric = &self.summary["metrics"][format!("{name}{{scenario:{scenario}}}")][key];
        let what = || format!("{key} of {name} of {scenario}: {}", self.summary);
        metric.as_f64().with_context(what)
    }
}

/// The tutorial's script, with one line changed, against its services: 20 requests a second to the consumer, and as many
/// to one that retries, at once to save time.
const TUTORIAL: &str = r#"
import { ServiceDisruptor } from './chaos.js';
import http from 'k6/http';
import { check } from 'k6';

const load = (exec, startTime) => ({
  executor: 'constant-arrival-rate', rate: 20, preAllocatedVUs: 5, maxVUs: 100, exec, duration: '30s', startTime,
});
export const options = {
  scenarios: {
    base: load('consume', '0s'),
    retrying_base: load('retrying', '0s'),
    inject: { executor: 'shared-iterations', iterations: 1, vus: 1, exec: 'inject', startTime: '30s' },
    chaos: load('consume', '31s'),
    retrying_chaos: load('retrying', '31s'),
  },
  summaryTrendStats: ['med'],
  thresholds: {
    'http_req_duration{scenario:base}': ['p(95)<800'],
    'checks{scenario:base}': ['rate>0.9'],
    'http_req_duration{scenario:chaos}': ['p(95)<1200'],
    'checks{scenario:chaos}': ['rate>0.5'],
    'http_req_duration{scenario:retrying_base}': ['p(95)<800'],
    'checks{scenario:retrying_base}': ['rate>0.9'],
    'http_req_duration{scenario:retrying_chaos}': ['p(95)<1200'],
    'checks{scenario:retrying_chaos}': ['rate>0.5'],
  },
};

const ask = (consumer) => {
  const answer = http.get(`http://${consumer}/consuming`);
  check(answer, { 'status is 200': (r) => r.status === 200 });
};
export function consume() { ask(__ENV.CONSUMER); }
export function retrying() { ask(__ENV.RETRYING); }

export function inject() {
  const fault = { averageDelay: '100ms', errorRate: 0.1, errorCode: 500, errorBody: '{"error":"on purpose"}', exclude: '/health' };
  new ServiceDisruptor('provider-chaos-service', 'demo').injectHTTPFaults(fault, '33s');
}
"#;

#[test]
fn the_tutorial_is_what_it_says_and_a_consumer_that_retries_is_not_hurt() {
    requires!(root, cgroup2, "k6");
    tutorial().unwrap();
}

fn tutorial() -> Result<()> {
    let scene = Tutorial::new("k6-tutorial")?;
    let mut running = Vec::new();
    for provider in &scene.providers {
        running.push(services::provider(provider)?);
    }
    let (consumer, providers) = (&scene.consumer, &scene.providers);
    for (port, retries) in [(3000, 0), (3001, 4)] {
        running.push(services::consumer_that_retries(
            consumer, port, providers, retries,
        )?);
    }
    // Beside the consumers: k6 and what it asks are on one host.
    let at = [("CONSUMER", 3000), ("RETRYING", 3001)];
    let at = at.map(|(name, port)| (name, format!("127.0.0.1:{port}")));
    let told = Told::tell(&scene.cluster, consumer, TUTORIAL, &at)?;
    // The share of requests that went well while the fault acts.
    let share = |base: &str, chaos: &str| -> Result<f64> {
        assert!((told.figure("checks", base, "value")? - 1.0).abs() < f64::EPSILON);
        let share = told.figure("checks", chaos, "value")?;
        let median = |scenario| told.figure("http_req_duration", scenario, "med");
        let added = median(chaos)? - median(base)?;
        eprintln!("{:.1} % of the checks, {added:.2} ms added", share * 100.0);
        assert!((added - 100.0).abs() <= 5.0, "{added} ms added, {chaos}");
        Ok(share)
    };
    let plain = share("base", "chaos")?;
    assert!((plain - 0.9).abs() <= 0.04, "{plain} of the checks");
    let retrying = share("retrying_base", "retrying_chaos")?;
    // All of five tries fail for one of 100,000 requests.
    assert!(retrying > 0.998, "{retrying} of the checks");
    Ok(())
}

/// The pizza story's script, with one line changed; the service before and after it was mended, and a client of the
/// catalog that calls it once, all at once to save time.
const PIZZA: &str = r"
import { ServiceDisruptor } from './chaos.js';
import http from 'k6/http';

// A request may take as long as all its calls and their retries: so many may be under way.
const load = (exec, seconds) => ({
  executor: 'constant-arrival-rate', rate: 18, preAllocatedVUs: 18 * seconds, maxVUs: 18 * 12, exec, startTime: '2s', duration: '8s',
});
export const options = {
  scenarios: {
    disrupt: { executor: 'shared-iterations', iterations: 1, vus: 1, exec: 'disrupt' },
    once: load('once', 5),
    retrying: load('retrying', 8),
    call: load('call', 2),
  },
  thresholds: {
    'http_req_failed{scenario:once}': ['rate<1.01'],
    'http_req_failed{scenario:retrying}': ['rate<1.01'],
    'http_req_failed{scenario:call}': ['rate<1.01'],
  },
};

export function disrupt() {
  const disruptor = new ServiceDisruptor('quickpizza-catalog', 'demo');
  disruptor.injectHTTPFaults({ averageDelay: '900ms', delayVariation: '150ms' }, '17s');
}

const order = (port) => http.post(`http://127.0.0.1:${port}/api/pizza`, '{}', { timeout: '60s' });
export function once() { order(3333); }
export function retrying() { order(3334); }
export function call() { http.get(`http://${__ENV.CATALOG}/api/doughs`, { timeout: '1s' }); }
";

#[test]
fn a_timeout_that_one_call_of_six_misses_fails_most_requests() {
    requires!(root, cgroup2, "k6");
    pizza().unwrap();
}

/// A catalog in a pod of a service, and a host that calls it.
struct Catalog {
    cluster: Cluster,
    pod: Host,
    host: Host,
    running: Process,
}

impl Catalog {
    fn new(name: &str) -> Result<Self> {
        let mut cluster = Cluster::new(name)?;
        cluster.add_node("node-a", &[])?;
        let labels = [("app", "quickpizza-catalog")];
        let ports = [("http", 3333, json!(3000))];
        let server = &cluster.server;
        server.add_service("demo", "quickpizza-catalog", &labels, &ports, false);
        let host = cluster.lab.host("recommender")?;
        let pod = cluster.add_pod("node-a", "catalog-1", &labels, None)?;
        let running = services::catalog(&pod)?;
        Ok(Self {
            cluster,
            pod,
            host,
            running,
        })
    }
}

fn pizza() -> Result<()> {
    let scene = Catalog::new("k6-pizza")?;
    let Catalog { pod, host, .. } = &scene;
    let running = [
        services::recommender(host, 3333, pod, 0)?,
        services::recommender(host, 3334, pod, 3)?,
    ];
    let at = [(
        "CATALOG",
        format!("{}:{}", pod.address_v4(), services::PORT),
    )];
    let told = Told::tell(&scene.cluster, host, PIZZA, &at)?;
    drop(running);
    let failed = |scenario| told.figure("http_req_failed", scenario, "value");
    let (call, once, retrying) = (failed("call")?, failed("once")?, failed("retrying")?);
    let counts = ["call", "once", "retrying"]
        .map(|scenario| told.figure("http_req_failed", scenario, "passes"));
    eprintln!(
        "failed: {:.2} % of the calls, {:.2} % of the requests, {:.2} % with retries; counts {counts:?}",
        call * 100.0,
        once * 100.0,
        retrying * 100.0
    );
    // The delay is uniform in 750..1050 ms. One call misses its 1000 ms with p = (50 + base) / 300, where base is what a
    // call takes without the fault: with 0..10 ms, p is in 1/6..1/5. A request of five calls fails with
    // 1 - (1 - p)^5, which is 0.598..0.672; with three retries of each call with 5 p^4, at most 0.008.
    // n = 18/s * 8 s = 144 of each, so four standard deviations of the binomial are 4 sqrt(p (1 - p) / n):
    // 0.125 at p = 1/6, 0.134 at 1/5, 0.164 at 0.598, 0.157 at 0.672.
    assert!((0.041..=0.334).contains(&call), "{call} of the calls");
    assert!((0.434..=0.829).contains(&once), "{once} of the requests");
    assert!(
        once > 1.5 * call,
        "{once} of the requests, {call} of the calls"
    );
    // Of 144 requests 0.55 fail on average at p = 1/6 (1.15 at 1/5), as Poisson has it: more than 6 in 4 of a
    // million runs (in 2 of 10,000). That is no failure in a hundred, as the story says: 0 %.
    assert!(retrying <= 6.0 / 144.0, "{retrying} with retries");
    Ok(())
}

#[test]
fn a_drill_needs_no_k6() {
    requires!(root, cgroup2);
    drill().unwrap();
}

fn drill() -> Result<()> {
    let scene = Catalog::new("drill")?;
    let directory = tempfile::tempdir()?;
    let (file, report) = (
        directory.path().join("drill.yaml"),
        directory.path().join("drill.html"),
    );
    let text = format!(
        r"
load: {{ url: http://{}:{}/api/doughs, rate: 50/s }}
check: {{ status: [200] }}
phases:
  - {{ name: base, for: 2s }}
  - name: chaos
    for: 3s
    faults:
      service: quickpizza-catalog
      rules: [{{ http: {{ delay: 100ms, error-rate: 0.2, error-code: 503 }} }}]
  - {{ name: recovery, for: 2s }}
thresholds:
  http_req_duration{{phase:base}}: med<50
  http_req_duration{{phase:chaos}}: med<50
  checks{{phase:recovery}}: rate>0.9
",
        scene.pod.address_v4(),
        services::PORT
    );
    fs::write(&file, text)?;
    let mut drill = scene.host.command(program("chaosctl")?)?;
    drill
        .args(["drill", "-o", "json", "--report"])
        .args([&report, &file])
        .env("KUBECONFIG", scene.cluster.kubeconfig_within()?)
        .env_remove("CHAOS_SOCKET")
        .env_remove("CHAOS_SERVER");
    let output = Output::of(drill, Duration::from_mins(1))?;
    drop(scene.running);
    assert_eq!(output.code, Some(99), "{output:?}");
    let told: Value = output.json()?;
    let phase = |number: usize| &told["phases"][number];
    let median = |number: usize| phase(number)["durations_ms"]["med"].as_f64();
    let [base, chaos, recovery] = [0, 1, 2].map(|number| median(number).unwrap_or(f64::NAN));
    assert!((chaos - base - 100.0).abs() <= 5.0, "{base} ms, {chaos} ms");
    assert!((recovery - base).abs() <= 5.0, "{base} ms, {recovery} ms");
    let count = |number: usize, status: &str| phase(number)["statuses"][status].as_f64();
    assert_eq!((count(0, "503"), count(2, "503")), (None, None), "{told}");
    // n = 150, p = 0.2: four standard deviations are 20.
    let errors = count(1, "503").unwrap_or_default();
    assert!((10.0..=50.0).contains(&errors), "{errors} of 150");
    let holds: Vec<_> = ["{phase:base}", "{phase:chaos}"]
        .map(
            |tag| &told["metrics"][format!("http_req_duration{tag}")]["thresholds"]["med<50"]["ok"],
        )
        .into();
    assert_eq!(holds, [&json!(true), &json!(false)], "{told}");
    let page = fs::read_to_string(&report)?;
    for words in ["thresholds crossed", "faults act", "http"] {
        assert!(page.contains(words), "{words}");
    }
    Ok(())
}
