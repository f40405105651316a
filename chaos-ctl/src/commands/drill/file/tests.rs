//! Every key of the schema, and what is said about a wrong one.

use hyper::Method as Verb;

use super::*;
use crate::drill::metric::Tag;
use crate::drill::threshold::Method;

const LEAST: &str = "load: { url: http://web/, rate: 20/s }\nphases: [{ name: base, for: 30s }]\n";

fn read(text: &str) -> Result<Plan, String> {
    DrillFile::read("x.yaml", Path::new("/etc/chaos"), text).map_err(|error| error.to_string())
}

#[test]
fn the_least_has_defaults() {
    let plan = read(LEAST).unwrap();
    let asked = &plan.load.asked;
    assert_eq!(asked.method, Verb::GET);
    assert_eq!(asked.timeout, TIMEOUT);
    assert_eq!(plan.load.max_in_flight, MAX_IN_FLIGHT);
    assert_eq!(plan.load.rate.count, 20);
    assert_eq!(plan.load.checks.names(), ["status is 2xx or 3xx"]);
    assert_eq!(plan.trust, Trust::System);
    assert!(!asked.new_connections && !asked.keeps_body);
    assert_eq!(plan.length(), Duration::from_secs(30));
    assert!(plan.phases[0].faults.is_none() && plan.thresholds.is_empty());
}

#[test]
fn the_documented_example_is_valid() {
    let document = include_str!("../../../../../docs/drill.md");
    let parts = document.split("```yaml\n").skip(1);
    let examples = parts.filter_map(|part| part.split("```").next());
    let drills: Vec<_> = examples.filter(|text| text.starts_with("load:")).collect();
    assert!(!drills.is_empty());
    for drill in drills {
        assert_eq!(read(drill).map(|plan| plan.phases.len()), Ok(3), "{drill}");
    }
}

#[test]
fn all_keys_are_read() {
    let plan = read(
        "
load:
  url: https://web:8443/a?b=c
  method: post
  headers: { X-Key: one, content-type: text/plain }
  body: hello
  rate: 1200/m
  timeout: 500ms
  max-in-flight: 50
  new-connections: true
  ca: ca.pem
check: { status: [200, 2xx, 301-303], body: ok }
phases:
  - { name: base, for: 30s }
  - name: chaos.1
    for: 1m
    faults:
      netns: ./web
      seed: 7
      rules: [{ delay: { latency: 100ms } }, { loss: { percent: 5 } }]
thresholds:
  http_req_duration{phase:chaos.1}:
    - p(95)<800
    - { threshold: avg<200, abortOnFail: true, delayAbortEval: 10s }
  checks{scenario:base}: rate>0.9
  http_req_failed: { threshold: rate<0.1, abortOnFail: false }
",
    )
    .unwrap();
    let asked = &plan.load.asked;
    assert_eq!(asked.method, Verb::POST);
    assert_eq!(asked.headers["x-key"], "one");
    assert_eq!(asked.body, "hello");
    assert_eq!(asked.timeout, Duration::from_millis(500));
    assert!(asked.new_connections && asked.keeps_body);
    assert_eq!(plan.trust, Trust::File("/etc/chaos/ca.pem".into()));
    assert_eq!(
        plan.load.checks.names(),
        ["status is 200 or 2xx or 301-303", "body contains \"ok\""]
    );
    let faults = plan.phases[1].faults.as_ref().unwrap();
    assert_eq!(faults.drafts.len(), 2);
    let netns = faults.selector.point.netns.as_ref().unwrap();
    assert_eq!(netns, Path::new("/etc/chaos/./web"));
    let [checks, durations, failed] = &plan.thresholds[..] else {
        panic!("{:?}", plan.thresholds);
    };
    assert_eq!(checks.0.tags, [Tag::Phase("base".to_owned())]);
    assert_eq!(durations.1[0].method, Method::Percentile(95.0));
    assert_eq!(durations.1[0].abort, None);
    let after = Duration::from_secs(10);
    assert_eq!(durations.1[1].abort, Some(Abort { after }));
    assert_eq!(failed.1[0].abort, None);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_is_wrong_is_said() {
    let load = |load: &str| format!("load: {{ {load} }}\nphases: [{{ name: a, for: 1s }}]");
    let phases = |phases: &str| format!("load: {{ url: http://x, rate: 1/s }}\nphases: {phases}");
    let more = |more: &str| format!("{LEAST}{more}");
    for (text, sentence) in [
        (
            String::new(),
            "the drill x.yaml does not say what to send: give `load`",
        ),
        (load("rate: 1/s"), "does not say what to send"),
        (
            load("url: http://x"),
            "does not say how often: give `rate` of `load`",
        ),
        (
            load("url: http://x, rate: 20"),
            "is not valid: line 1, column 30: rate `20` has no unit: give a whole number",
        ),
        (
            load("url: ftp://x, rate: 1/s"),
            "url `ftp://x`, which does not begin with http://",
        ),
        (
            load("url: 'http://a:b@x', rate: 1/s"),
            "which has a user: give it as a header",
        ),
        (
            load("url: '/x', rate: 1/s"),
            "url `/x`, which does not begin with http://",
        ),
        (
            load("url: http://x, rate: 1/s, method: 'G T'"),
            "has the method `G T`, which is none",
        ),
        (
            load("url: http://x, rate: 1/s, headers: { 'a b': c }"),
            "has the header `a b`, which",
        ),
        (
            load("url: http://x, rate: 1/s, max-in-flight: 0"),
            "lets 0 requests be under way",
        ),
        (
            load("url: http://x, rate: 1/s, ca: x, insecure: true"),
            "both `ca` and `insecure`",
        ),
        (
            load("url: http://x, rate: 1/s, ratte: 1"),
            "unknown key `ratte` at line 1, column 35: did you mean `rate`?",
        ),
        (phases("[]"), "has no phases: give at least one"),
        (
            phases("[{ for: 1s }]"),
            "calls its phase 1 ``: give it a name of letters",
        ),
        (
            phases("[{ name: 'a b', for: 1s }]"),
            "calls its phase 1 `a b`",
        ),
        (
            phases("[{ name: a }]"),
            "does not say how long its phase `a` is: give `for`",
        ),
        (phases("[{ name: a, for: 0s }]"), "duration `0s` is zero"),
        (
            phases("[{ name: a, for: 1s }, { name: a, for: 1s }]"),
            "has two phases called `a`",
        ),
        (
            phases("[{ name: a, for: 1s, faults: { rules: [{ partition: }] } }]"),
            "the experiment x.yaml, phase `a` does not say where: give exactly one of",
        ),
        (
            phases(
                "[{ name: a, for: 1s, faults: { netns: w, duration: 5s, rules: [{ partition: }] } }]",
            ),
            "phase `a` has a duration: leave it out",
        ),
        (
            phases("[{ name: a, for: 1s, faults: { netns: w, rules: [{ delay: {} }] } }]"),
            "phase `a`, rule 1: delay does not say",
        ),
        (
            phases("[{ name: a, for: 1s, faults: { netns: w, rules: [{ dellay: 1 }] } }]"),
            "column 60: did you mean `delay`?",
        ),
        (
            more("check: { status: [20] }"),
            "status `20` is not one: give one such as 200",
        ),
        (
            more("thresholds: { latency: avg<1 }"),
            "metric `latency` is none of a drill",
        ),
        (
            more("thresholds: { http_req_duraton: avg<1 }"),
            "metric `http_req_duraton` is none of a drill: did you mean `http_req_duration`?",
        ),
        (
            more("thresholds: { http_req_duration: 'p(95)<200ms' }"),
            "threshold `p(95)<200ms` of http_req_duration",
        ),
        (
            more("thresholds: { http_reqs: avg<1 }"),
            "threshold `avg<1` of http_reqs asks for `avg`",
        ),
        (
            more("thresholds: { 'http_reqs{phase:chaos}': count>1 }"),
            "a threshold on `http_reqs{phase:chaos}`, and there is no such phase: there are base",
        ),
        (
            more("thresholds: { 'checks{check:ok}': rate>1 }"),
            "and there is no such check: there are status is 2xx or 3xx",
        ),
        (
            more("thresholds: { checks: [{ threshold: rate>1, abort: true }] }"),
            "there are threshold, abortOnFail",
        ),
    ] {
        let error = read(&text)
            .err()
            .unwrap_or_else(|| panic!("{text} is read"));
        assert!(error.contains(sentence), "{text}\n{error}");
    }
}
