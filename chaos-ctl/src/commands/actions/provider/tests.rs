//! Every fault and every way to be wrong.

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Delay, Direction};

use super::*;

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// With where, and for how long.
fn provider(mut more: Value) -> Map<String, Value> {
    let all = more.as_object_mut().unwrap();
    for (key, value) in [
        ("type", "chaos"),
        ("service", "provider-chaos-service"),
        ("duration", "30s"),
    ] {
        all.entry(key).or_insert_with(|| value.into());
    }
    object(&more)
}

fn problem(provider: &Map<String, Value>) -> (Option<String>, String, String) {
    let problem = check(provider).err();
    let problem = problem.unwrap_or_else(|| panic!("nothing is wrong with {provider:?}"));
    let same = read(provider).err().unwrap();
    assert_eq!(problem, same);
    let Flaw { key, what, instead } = problem;
    (key, what, instead.unwrap_or_default())
}

fn key_of(more: Value) -> String {
    problem(&provider(more)).0.unwrap()
}

#[test]
fn every_fault_is_read() {
    for more in [
        json!({ "fault": "delay", "latency": "100ms", "jitter": "20ms", "distribution": "normal" }),
        json!({ "fault": "loss", "percent": 5, "correlation": "10%" }),
        json!({ "fault": "duplicate", "percent": 0.5 }),
        json!({ "fault": "reorder", "percent": "5", "by": "10ms" }),
        json!({ "fault": "corrupt", "percent": 0.1, "drop-corrupt": true }),
        json!({ "fault": "rate", "rate": "10mbit", "per-flow": true }),
        json!({ "fault": "partition" }),
        json!({ "fault": "partition", "reject": true, "pulse": "1s/1m" }),
        json!({ "fault": "reset", "after": "2s", "probability": "20%" }),
        json!({ "fault": "rewrite", "ttl": 3 }),
        json!({ "fault": "dns", "answer": "nxdomain", "names": ["*.example.com"], "types": ["A"] }),
        json!({ "fault": "http", "delay": "100ms", "error-rate": 0.1, "error-code": 500, "match": ["GET /a"] }),
        json!({ "fault": "grpc", "error-rate": "10%", "status-code": "UNAVAILABLE" }),
    ] {
        let provider = provider(more);
        let described =
            read(&provider).unwrap_or_else(|problem| panic!("{problem:?}: {provider:?}"));
        assert_eq!(described.drafts.len(), 1);
        assert_eq!(check(&provider), Ok(()));
    }
    assert_eq!(faults().len(), 12, "one of each above: {:?}", faults());
}

#[test]
fn options_stand_beside_the_fault_and_the_rest_is_the_experiments() {
    let described = read(&object(&json!({
        "type": "chaos", "fault": "delay", "latency": "100ms", "netns": "web", "interface": "eth1",
        "filter": { "direction": "ingress", "target-ports": [3000] }, "duration": "1m30s", "grace": "1s", "seed": 7,
    })))
    .ok()
    .unwrap();
    let rule = &described.drafts[0].rule;
    let latency = prost_types::Duration {
        seconds: 0,
        nanos: 100_000_000,
    };
    let delay = Delay {
        latency: Some(latency),
        ..Delay::default()
    };
    assert_eq!(rule.fault, Some(Fault::Delay(delay)));
    let filter = rule.filter.as_ref().unwrap();
    assert_eq!(filter.direction(), Direction::Ingress);
    assert_eq!(filter.target_ports[0].first, 3000);
    assert_eq!(described.selector.interface.as_deref(), Some("eth1"));
    assert_eq!(described.timing.seed, Some(7));
    let seconds = described.timing.duration.map(|time| time.as_secs());
    assert_eq!(seconds, Some(90));
    assert_eq!(described.timing.grace.map(|time| time.as_secs()), Some(1));
}

#[test]
fn several_faults_are_rules() {
    let described = read(&provider(json!({
        "rules": [
            { "delay": { "latency": "100ms" }, "filter": { "ports": [80] } },
            { "loss": { "percent": 5 }, "pulse": "2s/8s" },
            { "partition": null },
        ],
    })));
    assert_eq!(described.ok().unwrap().drafts.len(), 3);
}

#[test]
fn no_option_of_a_fault_has_the_name_of_something_else() {
    let of_experiment = keys(&json!({ NOBODY: null }));
    assert!(of_experiment.contains(&"service"), "{of_experiment:?}");
    for fault in faults() {
        let of_fault = keys_of_rule(fault);
        assert!(!of_fault.is_empty(), "{fault}");
        let mut both = of_fault.iter().filter(|key| {
            of_experiment.contains(key) || is_of_rule(key) || matches!(**key, "type" | "fault")
        });
        assert_eq!(both.next(), None, "{fault}");
    }
}

#[test]
fn a_key_that_nobody_knows_has_a_suggestion() {
    let unknown = |more: Value, key: &str, instead: &str| {
        let (found, what, said) = problem(&provider(more));
        assert_eq!(found.as_deref(), Some(key), "{what}");
        assert!(what.contains(key.rsplit('/').next().unwrap()), "{what}");
        assert_eq!(said, instead, "{what}");
    };
    unknown(
        json!({ "fault": "delay", "latncy": "100ms" }),
        "latncy",
        "did you mean `latency`?",
    );
    unknown(
        json!({ "fault": "partition", "servce": "web" }),
        "servce",
        "did you mean `service`?",
    );
    unknown(
        json!({ "fault": "http", "error_rate": 1, "error-code": 500 }),
        "error_rate",
        "did you mean `error-rate`?",
    );
    unknown(
        json!({ "fault": "partition", "ports": [80] }),
        "ports",
        "which packets is said by `filter`: { ports: … }",
    );
    unknown(
        json!({ "fault": "duplicate", "percent": 1, "bandwidth": 1 }),
        "bandwidth",
        "there are percent, correlation, ramp",
    );
    unknown(
        json!({ "fault": "partition", "filter": { "prot": "tcp" } }),
        "filter/prot",
        "did you mean `proto`?",
    );
    unknown(
        json!({ "rules": [{ "partition": {} }, { "loss": { "percnt": 5 } }] }),
        "rules/1/loss/percnt",
        "did you mean `percent`?",
    );
    unknown(
        json!({ "rules": [{ "partition": {} }], "durations": "5s" }),
        "durations",
        "did you mean `duration`?",
    );
}

#[test]
fn a_wrong_value_is_said_at_its_key_in_the_words_of_the_option() {
    let said = |more: Value| {
        let (key, what, _) = problem(&provider(more));
        format!("{}: {what}", key.unwrap_or_default())
    };
    for (more, sentence) in [
        (
            json!({ "fault": "delay", "latency": 5 }),
            "latency: latency `5` has no unit: give a number above 0",
        ),
        (
            json!({ "fault": "delay", "latency": "5ms", "duration": "soon" }),
            "duration: duration `soon` is not a number with a unit: ",
        ),
        (
            json!({ "fault": "partition", "filter": { "dscp": 64 } }),
            "filter/dscp: DSCP `64` is too large: ",
        ),
        (
            json!({ "fault": "partition", "filter": { "direction": "out" } }),
            "filter/direction: `filter/direction` cannot be `out`",
        ),
        (
            json!({ "fault": "partition", "reject": "maybe" }),
            "reject: `reject` is string \"maybe\", and must be a boolean",
        ),
        (
            json!({ "rules": [{ "loss": { "percent": 101 } }] }),
            "rules/0/loss/percent: percentage `101` is too large: ",
        ),
        (
            json!({ "rules": "loss" }),
            "rules: `rules` is string \"loss\", and must be a sequence",
        ),
    ] {
        let said = said(more);
        assert!(said.starts_with(sentence), "{said}\nnot {sentence}");
    }
}

#[test]
fn what_is_missing_or_does_not_go_together_is_said() {
    let said = |provider: Value| {
        let (key, what, instead) = problem(&object(&provider));
        (key, format!("{what}: {instead}"))
    };
    for (wrong, key, sentence) in [
        (
            json!({ "netns": "a", "duration": "5s" }),
            None,
            "does not say what to do: give `fault`, one of delay, loss",
        ),
        (
            json!({ "fault": "partition", "netns": "a" }),
            None,
            "does not say for how long: give `duration`",
        ),
        (
            json!({ "fault": "partition", "duration": "5s" }),
            None,
            "does not say where: give exactly one of service, pod",
        ),
        (
            json!({ "fault": "partition", "netns": "a", "pid": 4, "duration": "5s" }),
            None,
            "does not say where: ",
        ),
        (
            json!({ "fault": "delay", "netns": "a", "duration": "5s" }),
            None,
            "delay does not say how long to hold packets: give",
        ),
        (
            json!({ "fault": "dely", "netns": "a", "duration": "5s" }),
            Some("fault"),
            "there is no fault `dely`: did you mean `delay`?",
        ),
        (
            json!({ "fault": 5, "netns": "a", "duration": "5s" }),
            Some("fault"),
            "`fault` is 5, and must be a word: there are delay",
        ),
        (
            json!({ "fault": "loss", "percent": 1, "rules": [], "netns": "a", "duration": "5s" }),
            Some("rules"),
            "`rules` and `fault` both",
        ),
        (
            json!({ "rules": [], "netns": "a", "duration": "5s" }),
            Some("rules"),
            "there is no rule: give at least one rule",
        ),
        (
            json!({ "rules": [{}], "netns": "a", "duration": "5s" }),
            Some("rules/0"),
            "a rule has one fault, no more and no less: give exactly one of delay",
        ),
        (
            json!({ "rules": [{ "loss": {} }], "netns": "a", "duration": "5s" }),
            Some("rules/0"),
            "loss does not say",
        ),
        (
            json!({ "fault": "partition", "netns": "a", "namespace": "b", "duration": "5s" }),
            Some("namespace"),
            "`namespace` goes with `service` only: leave it out",
        ),
        (
            json!({ "fault": "partition", "pod": "Web", "duration": "5s" }),
            Some("pod"),
            "pod `Web` is not a name: give small letters",
        ),
        (
            json!({ "fault": "partition", "netns": "web", "mode": "one", "duration": "5s" }),
            Some("mode"),
            "mode is for a cluster",
        ),
    ] {
        let (found, said) = said(wrong);
        assert_eq!(found.as_deref(), key, "{said}");
        assert!(said.starts_with(sentence), "{said}\nnot {sentence}");
    }
}

#[test]
fn what_configuration_will_say_is_not_judged_yet() {
    for more in [
        json!({ "fault": "delay", "latency": "${latency}" }),
        json!({ "fault": "${fault}", "latency": "5ms" }),
        json!({ "fault": "delay", "latency": "5ms", "duration": "${length}" }),
        json!({ "fault": "partition", "reject": "${reject}" }),
        json!({ "rules": [{ "loss": { "percent": "${percent}" } }] }),
        json!({ "fault": "partition", "filter": { "peers": ["${peer}"] } }),
    ] {
        let provider = provider(more);
        assert_eq!(check(&provider), Ok(()), "{provider:?}");
        assert!(read(&provider).is_err(), "{provider:?}");
    }
    let wrong = provider(json!({ "fault": "delay", "latncy": "${latency}" }));
    assert_eq!(check(&wrong).unwrap_err().key.as_deref(), Some("latncy"));
    let wrong = provider(json!({ "fault": "delay", "latency": "${latency}", "jitter": 5 }));
    assert_eq!(check(&wrong).unwrap_err().key.as_deref(), Some("jitter"));
}

#[test]
fn a_key_is_a_pointers_rest() {
    assert_eq!(
        key_of(json!({ "fault": "delay", "latency": "x" })),
        "latency"
    );
    let two = json!({ "rules": [{ "partition": {}, "filter": { "ports": "x y" } }] });
    assert_eq!(key_of(two), "rules/0/filter/ports");
}
