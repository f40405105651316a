//! Every key of the schema, and each way to write a value.

use std::path::Path;

use chaos_proto::v1::loss::Model;
use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{
    Connections, Delay, Direction, Distribution, Filter, GilbertElliott, Loss, Protocol, Rate, Rule,
};

use super::*;

fn rules(text: &str) -> Result<Vec<Rule>, String> {
    let parsed = ExperimentFile::parse("x.yaml", text).map_err(|error| error.to_string())?;
    parsed
        .drafts("x.yaml", Base::of_process())
        .map(|drafts| drafts.into_iter().map(|draft| draft.rule).collect())
        .map_err(|error| error.to_string())
}

fn one(rule: &str) -> Rule {
    rules(&format!("netns: web\nrules:\n  - {rule}\n"))
        .unwrap()
        .remove(0)
}

fn ms(ms: u64) -> Option<prost_types::Duration> {
    Duration::from_millis(ms).try_into().ok()
}

#[test]
fn every_fault_is_read() {
    let fault = |text: &str| one(text).fault.unwrap();
    assert_eq!(
        fault(
            "delay: { latency: 100ms, jitter: 20ms, distribution: normal, correlation: 25%, reorder: true }"
        ),
        Fault::Delay(Delay {
            latency: ms(100),
            jitter: ms(20),
            distribution: Distribution::Normal.into(),
            correlation_ppm: 250_000,
            reorder: true,
            ..Delay::default()
        })
    );
    assert_eq!(
        fault("delay: { ramp: 0..200ms/30s }"),
        Fault::Delay(Delay {
            latency: ms(200),
            ramp: Some(chaos_proto::v1::Ramp {
                from: ms(0),
                over: ms(30_000),
                ..chaos_proto::v1::Ramp::default()
            }),
            ..Delay::default()
        })
    );
    assert_eq!(
        fault("loss: { percent: 0.5, correlation: 10 }"),
        Fault::Loss(Loss {
            share_ppm: 5_000,
            correlation_ppm: 100_000,
            ..Loss::default()
        })
    );
    assert_eq!(
        fault("loss: { ramp: 0%..30%/1m, correlation: 10 }"),
        Fault::Loss(Loss {
            share_ppm: 300_000,
            correlation_ppm: 100_000,
            ramp: Some(chaos_proto::v1::Ramp {
                over: ms(60_000),
                ..chaos_proto::v1::Ramp::default()
            }),
            ..Loss::default()
        })
    );
    for text in [
        "duplicate: { ramp: 0..5/30s }",
        "reorder: { ramp: 0..5/30s }",
        "corrupt: { ramp: 0..5/30s }",
        "rate: { ramp: 10mbit..1mbit/30s }",
        "partition: { ramp: 0..100/30s }",
        "reset: { ramp: 0..50/30s }",
        "rewrite: { ttl: 3, ramp: 0..50/30s }",
        "dns: { answer: nxdomain, ramp: 0..50/30s }",
    ] {
        fault(text);
    }
    let bursts = Fault::Loss(Loss {
        model: Some(Model::GilbertElliott(GilbertElliott {
            to_bad_ppm: 10_000,
            to_good_ppm: 100_000,
            lost_in_bad_ppm: 700_000,
            lost_in_good_ppm: 0,
        })),
        ..Loss::default()
    });
    for burst in ["[1, 10, 70]", "'1,10,70'", "'1%, 10%, 70%'"] {
        assert_eq!(fault(&format!("loss: {{ burst: {burst} }}")), bursts);
    }
    assert_eq!(fault("loss:\n      burst: 1,10,70"), bursts);
    for text in [
        "loss: { four-state: [1, 10] }",
        "loss: { every: 100 }",
        "loss: { first: 3 }",
        "duplicate: { percent: 5, correlation: 1 }",
        "reorder: { percent: 5, gap: 9, by: 10ms, correlation: 1 }",
        "corrupt: { percent: 1%, drop-corrupt: true }",
        "partition: {}",
        "partition:",
    ] {
        fault(text);
    }
    assert_eq!(
        fault("rate: { rate: 10mbit, burst: 64kB, queue: 1MiB, per-flow: true }"),
        Fault::Rate(Rate {
            bytes_per_second: 1_250_000,
            burst_bytes: 64_000,
            queue_bytes: 1 << 20,
            per_flow: true,
            ramp: None,
        })
    );
}

#[test]
fn every_filter_is_read() {
    let rule = one(
        "{ partition: {}, filter: { direction: both, proto: tcp, ports: 80, target-ports: [1-2, 5], \
         peer-ports: '443, 8443', peers: [10.0.0.0/8, fd00::/8], except: 10.1.0.0/16, percent-flows: 12.5%, \
         connections: new, dscp: ef, length: -128 } }",
    );
    let port = |(first, last)| chaos_proto::v1::PortRange { first, last };
    assert_eq!(
        rule.filter.unwrap(),
        Filter {
            direction: Direction::Both.into(),
            protocol: Protocol::Tcp.into(),
            ports: vec![port((80, 80))],
            target_ports: [(1, 2), (5, 5)].map(port).into(),
            peer_ports: [(443, 443), (8443, 8443)].map(port).into(),
            peers: vec!["10.0.0.0/8".to_owned(), "fd00::/8".to_owned()],
            except_peers: vec!["10.1.0.0/16".to_owned()],
            flows_ppm: Some(125_000),
            connections: Connections::New.into(),
            syn_only: false,
            dscp: Some(46),
            length: Some(chaos_proto::v1::LengthRange {
                least: 0,
                most: 128,
            }),
        }
    );
    let syn = one("loss: { percent: 5, syn-only: true }").filter.unwrap();
    assert!(syn.syn_only && syn.protocol() == Protocol::Tcp);
}

#[test]
fn a_wrong_value_is_said_in_the_words_of_the_option() {
    for (rule, sentence) in [
        (
            "delay: { latency: 5 }",
            "latency `5` has no unit: give a number above 0",
        ),
        ("loss: { percent: 101 }", "percentage `101` is too large: "),
        ("loss: { every: 0 }", "number of packets `0` is zero: "),
        (
            "rate: { rate: 10mbps }",
            "rate `10mbps` has the unknown unit `mbps`: ",
        ),
        ("{ partition: {}, pulse: 2s }", "pulse `2s` is not one: "),
        (
            "{ partition: {}, filter: { ports: [80, X] } }",
            "port `X` is not one: ",
        ),
        (
            "{ partition: {}, filter: { dscp: 64 } }",
            "DSCP `64` is too large: ",
        ),
        (
            "partition: { peers: [] }",
            "unknown key `peers` at line 3, column 18: there are reject, ramp",
        ),
        (
            "delay: { latency: 5ms, bandwidth: 1 }",
            "unknown key `bandwidth` at line 3, column 28: there are latency, jitter",
        ),
    ] {
        let error = rules(&format!("netns: web\nrules:\n  - {rule}\n")).unwrap_err();
        assert!(error.contains(sentence), "{rule}\n{error}");
    }
}

#[test]
fn paths_start_where_the_file_is_and_names_stay() {
    let selector = |text: &str| {
        let text = format!("{text}\nrules: [{{ partition: }}]\n");
        ExperimentFile::parse("x.yaml", &text)
            .unwrap()
            .selector("x.yaml", Base::Directory(Path::new("/etc/chaos")))
            .unwrap()
    };
    let netns = |text: &str| selector(text).point.netns.unwrap();
    assert_eq!(netns("netns: web"), Path::new("web"));
    assert_eq!(netns("netns: ./web"), Path::new("/etc/chaos/./web"));
    assert_eq!(netns("netns: /run/netns/web"), Path::new("/run/netns/web"));
    let inventory = selector("service: web\ninventory: services.yaml").inventory;
    assert_eq!(inventory.unwrap(), Path::new("/etc/chaos/services.yaml"));
}

#[test]
fn requests_name_no_files() {
    let refused = |text: &str| {
        let parsed = ExperimentFile::parse("x", text).unwrap();
        let described = parsed.describe("x", Base::Nowhere);
        described.map(|_| ()).unwrap_err().to_string()
    };
    for (text, sentence) in [
        (
            "netns: web\nrules: [{ http: { error-rate: 1, error-code: 500, error-body: '@/etc/hostname' } }]",
            "the experiment x, rule 1: `/etc/hostname` would be a file, and none is read for a request: give the text itself",
        ),
        (
            "netns: web\nrules: [{ delay: { distribution: /etc/hostname } }]",
            "the experiment x, rule 1: `/etc/hostname` would be a file, and none is read for a request: give uniform",
        ),
        (
            "service: web\ninventory: /etc/hostname\nrules: [{ partition: }]",
            "the experiment x has an inventory: `/etc/hostname` would be a file, and none is read for a request: leave",
        ),
    ] {
        let error = refused(text);
        assert!(error.starts_with(sentence), "{error}");
    }
    let text =
        "netns: ./web\nrules: [{ http: { error-rate: 1, error-code: 500, error-body: '@@home' } }]";
    let described = ExperimentFile::parse("x", text)
        .unwrap()
        .describe("x", Base::Nowhere);
    let described = described.unwrap();
    assert_eq!(described.selector.point.netns.unwrap(), Path::new("./web"));
    let Some(Fault::Http(http)) = &described.drafts[0].rule.fault else {
        panic!("{:?}", described.drafts);
    };
    assert_eq!(http.error_body, b"@home");
}
