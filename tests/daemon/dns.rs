//! Answers to DNS questions: what `dig` sees of a real server, with and without them.

use std::fs;

use chaos_tests::{
    lab::{Family, Host, Output, Process},
    requires,
    wait::wait_until,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::scenario::{PATIENCE, Scenario};

/// What the server says, of every name that it knows and of all below.
const REAL: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

/// A server that knows example.com and other.test, and remembers what it was asked.
struct Server {
    host: Host,
    directory: TempDir,
    _process: Process,
}

impl Server {
    fn new(host: &Host) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = format!("--log-facility={}", directory.path().join("log").display());
        let mut options = vec![
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--user=root",
            "--pid-file=",
            "--no-resolv",
            "--no-hosts",
            "--log-queries",
            &log,
        ];
        let known: Vec<String> = ["example.com", "other.test"]
            .iter()
            .flat_map(|name| REAL.map(|address| format!("--address=/{name}/{address}")))
            .collect();
        options.extend(known.iter().map(String::as_str));
        let server = Self {
            host: host.clone(),
            directory,
            _process: host.spawn("dnsmasq", &options).unwrap(),
        };
        for family in Family::BOTH {
            wait_until("the server answers", PATIENCE, || {
                server.dig(host, family, "example.com A +timeout=1").status == "NOERROR"
            })
            .unwrap();
        }
        server
    }

    /// Asks once from `from`: a name, a type, and options of `dig`.
    fn dig(&self, from: &Host, family: Family, question: &str) -> Answer {
        let server = format!("@{}", self.host.address(family));
        let mut words = vec![
            server.as_str(),
            "+tries=1",
            "+timeout=5",
            "+noall",
            "+comments",
            "+answer",
        ];
        words.extend(question.split_whitespace());
        Answer::read(&from.output("dig", &words, PATIENCE).unwrap())
    }

    /// Whether it was asked about a name.
    fn saw(&self, name: &str) -> bool {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
        log.lines().any(|line| line.contains(&format!(" {name} ")))
    }
}

/// What `dig` was told.
#[derive(Debug, PartialEq)]
struct Answer {
    /// Response code, or `timeout`.
    status: String,
    /// Type and data of each record.
    records: Vec<String>,
    /// Of the first record, in seconds.
    ttl: Option<u32>,
}

impl Answer {
    fn read(output: &Output) -> Self {
        let text = &output.stdout;
        assert!(
            !text.contains("mismatch") && !text.contains("malformed") && !text.contains("WARNING"),
            "{text}"
        );
        let status = text
            .split("status: ")
            .nth(1)
            .and_then(|rest| rest.split(',').next());
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with(';'));
        let fields: Vec<Vec<&str>> = lines
            .map(|line| line.split_whitespace().collect())
            .collect();
        Self {
            status: status.unwrap_or("timeout").to_owned(),
            records: fields.iter().map(|fields| fields[3..].join(" ")).collect(),
            ttl: fields.first().map(|fields| fields[1].parse().unwrap()),
        }
    }

    fn is(&self, status: &str, records: &[&str]) -> bool {
        self.status == status && self.records == records
    }
}

fn real(family: &str) -> (&'static str, String) {
    match family {
        "A" => ("NOERROR", format!("A {}", REAL[0])),
        _ => ("NOERROR", format!("AAAA {}", REAL[1])),
    }
}

/// Asserts that the real server answers.
#[track_caller]
fn assert_real(server: &Server, from: &Host, family: Family, question: &str) {
    let kind = question.split(' ').nth(1).unwrap();
    let (status, record) = real(kind);
    let answer = server.dig(from, family, question);
    assert!(answer.is(status, &[&record]), "{question}: {answer:?}");
}

fn counted(ended: &Value) -> (u64, u64, u64) {
    let count = |name: &str| ended["totals"][name].as_u64().unwrap();
    (
        count("matched_packets"),
        count("answered_packets"),
        count("dropped_packets"),
    )
}

#[test]
fn names_are_gone_and_others_are_not_touched() {
    requires!(root, "dig", "dnsmasq", "ethtool");
    let mut scenario = Scenario::new("dns-gone");
    let server = Server::new(&scenario.peer);
    let target = scenario.target.clone();
    // With the checksum left to the card, and in the packet.
    for offload in ["on", "off"] {
        let words = ["-K", Host::INTERFACE, "tx", offload];
        target
            .output("ethtool", &words, PATIENCE)
            .unwrap()
            .success()
            .unwrap();
        let id = scenario.start("dns nxdomain --name *.example.com,Gone.test");
        let mut asked = 0;
        for family in Family::BOTH {
            for question in [
                "hidden.example.com A",
                "hidden.example.com TXT",
                "hidden.example.com A +noedns",
                "hidden.example.com AAAA +dnssec",
                "HIDDEN.eXample.com A",
                "a.hidden.example.com A",
                "gone.test AAAA",
            ] {
                let answer = server.dig(&target, family, question);
                assert!(answer.is("NXDOMAIN", &[]), "{question}: {answer:?}");
                asked += 1;
            }
            for others in [
                "example.com A",
                "example.com AAAA",
                "b.other.test A",
                "tcp.example.com A +tcp",
                "tcp.example.com AAAA +tcp",
            ] {
                assert_real(&server, &target, family, others);
            }
            let unknown = server.dig(&target, family, "unknown.test A");
            assert_eq!(unknown.status, "REFUSED", "the server's own answer");
        }
        assert_eq!(counted(&scenario.stop(&id)), (asked, asked, 0));
        assert!(!server.saw("hidden.example.com") && server.saw("tcp.example.com"));
    }
    for family in Family::BOTH {
        assert_real(&server, &target, family, "after.example.com A");
    }
    scenario.leaves_nothing();
}

#[test]
fn names_lead_elsewhere() {
    requires!(root, "dig", "dnsmasq");
    let mut scenario = Scenario::new("dns-elsewhere");
    let server = Server::new(&scenario.peer);
    let target = scenario.target.clone();
    let id = scenario.start("dns 10.9.9.9,fd00::9 --name api.example.com --ttl 7s");
    for family in Family::BOTH {
        for (question, records) in [
            ("api.example.com A", &["A 10.9.9.9"][..]),
            ("API.example.com AAAA", &["AAAA fd00::9"]),
            ("api.example.com MX", &[]),
        ] {
            let answer = server.dig(&target, family, question);
            assert!(answer.is("NOERROR", records), "{question}: {answer:?}");
            assert!(answer.ttl.is_none_or(|seconds| seconds == 7));
        }
        assert_real(&server, &target, family, "b.api.example.com A");
    }
    let words = format!("update {id} dns fd00::8 --name api.example.com --type AAAA");
    scenario.ask(&words);
    let answer = server.dig(&target, Family::V4, "api.example.com AAAA");
    assert!(answer.is("NOERROR", &["AAAA fd00::8"]), "{answer:?}");
    assert_eq!(answer.ttl, Some(5));
    assert_real(&server, &target, Family::V4, "api.example.com A");
    assert_eq!(counted(&scenario.stop(&id)), (7, 7, 0));
    assert_real(&server, &target, Family::V4, "api.example.com AAAA");
    scenario.leaves_nothing();
}

#[test]
fn servers_fail_refuse_and_fall_silent() {
    requires!(root, "dig", "dnsmasq");
    let scenario = Scenario::new("dns-fails");
    let server = Server::new(&scenario.peer);
    let target = scenario.target.clone();
    for (word, status) in [("SERVFAIL", "SERVFAIL"), ("refused", "REFUSED")] {
        let id = scenario.start(&format!("dns {word} --type A"));
        let answer = server.dig(&target, Family::V6, "any.example.com A");
        assert!(answer.is(status, &[]), "{answer:?}");
        assert_real(&server, &target, Family::V6, "any.example.com AAAA");
        assert_eq!(counted(&scenario.stop(&id)), (1, 1, 0));
    }
    let id = scenario.start("dns drop --name *.example.com");
    let answer = server.dig(&target, Family::V4, "any.example.com A +timeout=1");
    assert_eq!(answer.status, "timeout");
    assert_real(&server, &target, Family::V4, "example.com A");
    assert_eq!(counted(&scenario.stop(&id)), (1, 0, 1));
    assert_real(&server, &target, Family::V4, "any.example.com A");
}

#[test]
fn a_server_answers_wrongly_to_whoever_asks() {
    requires!(root, "dig", "dnsmasq");
    let scenario = Scenario::new("dns-server");
    let server = Server::new(&scenario.target);
    let id = scenario.start("dns nxdomain --direction ingress --name *.example.com");
    for family in Family::BOTH {
        let answer = server.dig(&scenario.peer, family, "a.example.com A");
        assert!(answer.is("NXDOMAIN", &[]), "{answer:?}");
        assert_real(&server, &scenario.peer, family, "example.com A");
    }
    assert_eq!(counted(&scenario.stop(&id)), (2, 2, 0));
}

#[test]
fn a_rule_forgets_its_names() {
    requires!(root, "dig", "dnsmasq");
    let scenario = Scenario::new("dns-forgets");
    let server = Server::new(&scenario.peer);
    for (name, other) in [("a", "b"), ("b", "a")] {
        // The same slot, with another name.
        let id = scenario.start(&format!("dns nxdomain --name {name}.example.com"));
        let answer = server.dig(
            &scenario.target,
            Family::V4,
            &format!("{name}.example.com A"),
        );
        assert_eq!(answer.status, "NXDOMAIN");
        assert_real(
            &server,
            &scenario.target,
            Family::V4,
            &format!("{other}.example.com A"),
        );
        scenario.stop(&id);
    }
}

#[test]
fn names_that_are_none_are_refused() {
    requires!(root);
    let scenario = Scenario::new("dns-refused");
    let many = (0..65)
        .map(|number| format!("n{number}"))
        .collect::<Vec<_>>()
        .join(",");
    for (options, sentence) in [
        (
            "nxdomain --name bücher.example",
            "is not ASCII: give it as it is asked for, in punycode",
        ),
        ("nxdomain --name a..b", "has nothing between two dots"),
        (
            &format!("nxdomain --name {many}"),
            "a rule has at most 64 names, not 65",
        ),
        ("nxdomain --proto tcp", "only DNS over UDP is answered"),
        ("10.0.0.1 --ttl 1500ms", "a time to live is whole seconds"),
    ] {
        let output = scenario.chaosctl(&format!("dns {options} --netns {{target}}"));
        assert!(output.stderr.contains(sentence), "{options}: {output:?}");
        assert_ne!(output.code, Some(0));
    }
}
