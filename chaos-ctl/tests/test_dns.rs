//! `chaosctl dns`: what it asks and what it tells beforehand.

use std::time::Duration;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Direction, Dns, DnsReply, Filter, PortRange, Protocol};

use crate::agent::Agent;
use crate::chaosctl::{run, text};
use crate::script::Script;

const DNS: PortRange = PortRange {
    first: 53,
    last: 53,
};

fn asked(arguments: &str) -> (Dns, Filter) {
    let agent = Agent::start(Script::default());
    let words: Vec<_> = arguments.split(' ').collect();
    assert_eq!(run(&agent, &words).code, Some(0), "{arguments}");
    let rule = agent.prepared().rules.remove(0);
    match rule.fault {
        Some(Fault::Dns(dns)) => (dns, rule.filter.unwrap()),
        other => panic!("{other:?}"),
    }
}

fn seconds(seconds: u64) -> Option<prost_types::Duration> {
    Duration::from_secs(seconds).try_into().ok()
}

#[test]
fn an_error_needs_no_more_than_its_name() {
    let (dns, filter) = asked("dns NXDOMAIN --netns web");
    let expected = Dns {
        reply: DnsReply::Nxdomain.into(),
        ttl: seconds(5),
        share_ppm: 1_000_000,
        ..Dns::default()
    };
    assert_eq!(dns, expected);
    assert_eq!(filter.direction(), Direction::Egress);
    assert_eq!(filter.protocol(), Protocol::Udp);
    assert_eq!(filter.peer_ports, [DNS]);
    for (word, reply) in [
        ("servfail", DnsReply::Servfail),
        ("Refused", DnsReply::Refused),
        ("drop", DnsReply::Drop),
    ] {
        assert_eq!(asked(&format!("dns {word} --netns web")).0.reply(), reply);
    }
}

#[test]
fn everything_that_is_said_of_questions_is_asked() {
    let (dns, _) = asked(
        "dns 10.0.0.9,fd00::9 --name api.example.com,*.db.example.com --name _x.y --type a,TYPE65 --type mx \
         --ttl 1m --percent 12.5 --netns web",
    );
    assert_eq!(dns.reply(), DnsReply::Addresses);
    assert_eq!(dns.addresses, ["10.0.0.9", "fd00::9"]);
    assert_eq!(dns.names, ["api.example.com", "*.db.example.com", "_x.y"]);
    assert_eq!(dns.types, [1, 65, 15]);
    assert_eq!((dns.ttl, dns.share_ppm), (seconds(60), 125_000));
    let (dns, _) = asked("dns refused --type A,ANY --netns web");
    assert_eq!(dns.types, Vec::<u32>::new(), "any is all");
}

#[test]
fn a_filter_that_is_given_wins() {
    let (_, filter) = asked("dns drop --netns web --peer-port 5353 --peer 10.0.0.1");
    assert_eq!(
        filter.peer_ports,
        [PortRange {
            first: 5353,
            last: 5353
        }]
    );
    assert_eq!(filter.peers, ["10.0.0.1"]);
    let (_, filter) = asked("dns drop --netns web --direction ingress");
    assert_eq!(
        (filter.target_ports, filter.peer_ports),
        (vec![DNS], vec![])
    );
    let (_, filter) = asked("dns drop --netns web --direction both");
    assert_eq!(filter.ports, [DNS]);
}

#[test]
fn what_is_no_question_is_refused_before_the_agent_is_asked() {
    let agent = Agent::start(Script::default());
    for (arguments, sentence) in [
        (
            "dns",
            "dns does not say what the answer is: give nxdomain, servfail, refused, drop, or an address",
        ),
        (
            "dns nodata",
            "answer `nodata` is not one: give nxdomain, servfail",
        ),
        (
            "dns 10.0.0.1,10.0.0.2",
            "answer `10.0.0.1,10.0.0.2` has two addresses of one kind",
        ),
        (
            "dns drop --name a.*.com",
            "name `a.*.com` has * elsewhere than as its whole first label",
        ),
        (
            "dns drop --name bücher.example",
            "in punycode, such as xn--bcher-kva.example",
        ),
        (
            "dns drop --type B",
            "type of records `B` is not one: give a type such as A, AAAA, MX or TYPE65",
        ),
        ("dns drop --ttl 5", "time to live `5` has no unit"),
        ("dns drop --percent 0", "percentage `0` is zero"),
    ] {
        let words = [arguments.split(' ').collect(), vec!["--netns", "web"]].concat();
        let finished = run(&agent, &words);
        assert_eq!(finished.code, Some(2), "{arguments}");
        assert!(
            finished.stderr.contains(sentence),
            "{arguments}: {}",
            finished.stderr
        );
    }
    assert_eq!(agent.calls(), []);
}

#[test]
fn a_dry_run_tells_what_askers_see() {
    let says = |arguments: &str| {
        let agent = Agent::start(Script::default());
        let words: Vec<_> = arguments.split(' ').collect();
        run(
            &agent,
            &[&words[..], &["--netns", "web", "--dry-run"]].concat(),
        )
        .stdout
    };
    let stdout = says("dns nxdomain --name *.example.com --type A --percent 10%");
    assert!(
        stdout.contains(
            "\
Rule:   dns NXDOMAIN for *.example.com (A, 10 % of questions): UDP packets that leave the target, peer's port 53
Effect: 10 % of A questions of the target for *.example.com are answered NXDOMAIN at once: the name does not exist; \
DNS over TCP, TLS or HTTPS, and what is in a cache already, is not touched
"
        ),
        "{stdout}"
    );
    let stdout = says("dns 10.0.0.9,fd00::9 --ttl 1m");
    assert!(
        stdout.contains(
            "\
Rule:   dns 10.0.0.9, fd00::9 for all names (TTL 1 min): UDP packets that leave the target, peer's port 53
Effect: questions of the target for all names are answered 10.0.0.9 and fd00::9 at once: new connections go there; \
who asks for another type of record is told that there is none; DNS over TCP, TLS or HTTPS, and what is in a cache already, is not touched
"
        ),
        "{stdout}"
    );
}

#[test]
fn a_file_has_the_same_options() {
    let agent = Agent::start(Script::default());
    let file = agent.directory().join("experiment.yaml");
    let experiment = "\
netns: web
rules:
  - dns: { answer: [10.0.0.9, \"fd00::9\"], names: [\"*.example.com\", db], types: [A, MX], ttl: 7s, percent: 10 }
  - dns: { answer: NXDOMAIN }
    filter: { peer-ports: [5353] }
";
    std::fs::write(&file, experiment).unwrap();
    let finished = run(
        &agent,
        &["apply", "-f", text(&file), "--dry-run", "-o", "json"],
    );
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let rules = agent.prepared().rules;
    let Some(Fault::Dns(first)) = &rules[0].fault else {
        panic!("{rules:?}")
    };
    assert_eq!(first.addresses, ["10.0.0.9", "fd00::9"]);
    assert_eq!(first.names, ["*.example.com", "db"]);
    assert_eq!((&first.types[..], first.ttl), (&[1, 15][..], seconds(7)));
    let filter = rules[1].filter.as_ref().unwrap();
    assert_eq!(
        (filter.peer_ports[0].first, filter.protocol()),
        (5353, Protocol::Udp)
    );
    let json: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(
        json["experiment"]["rules"][0]["fault"],
        serde_json::json!({
            "kind": "dns",
            "reply": "addresses",
            "addresses": ["10.0.0.9", "fd00::9"],
            "names": ["*.example.com", "db"],
            "types": [1, 15],
            "ttl_ns": 7_000_000_000_u64,
            "share_ppm": 100_000,
            "ramp": null,
        })
    );
}
