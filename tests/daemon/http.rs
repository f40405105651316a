//! Faults of HTTP requests, through chaosctl, the agent, its doors and relays, to a real server.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use chaos_tests::{
    lab::{Family, Host, Process},
    requires, services,
    stats::{Binomial, median},
    wait::wait_until,
};
use serde_json::{Value, json};

use crate::scenario::{PATIENCE, Scenario};

/// An answer, and how long it took.
struct Answer {
    status: u16,
    body: String,
    took: Duration,
}

/// A client that keeps its connection, and opens another when that has ended.
struct Client<'a> {
    host: &'a Host,
    server: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
    /// How often a connection was at its end.
    lost: usize,
}

impl<'a> Client<'a> {
    fn new(host: &'a Host, server: &Host, family: Family) -> Self {
        Self {
            host,
            server: server.socket_address(family, services::PORT),
            connection: None,
            lost: 0,
        }
    }

    /// Whether the server has closed its connection.
    fn is_at_its_end(&self) -> bool {
        let stream = self.connection.as_ref().unwrap().get_ref();
        stream.set_nonblocking(true).unwrap();
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false).unwrap();
        matches!(peeked, Ok(0))
    }

    /// Asks, once more on a new connection where the old one had ended.
    fn get(&mut self, path: &str) -> Answer {
        for _ in 0..2 {
            match self.try_get(path) {
                Ok(answer) => return answer,
                Err(error) => {
                    assert!(
                        matches!(
                            error.kind(),
                            ErrorKind::ConnectionReset
                                | ErrorKind::UnexpectedEof
                                | ErrorKind::BrokenPipe
                        ),
                        "{error}"
                    );
                    self.connection = None;
                    self.lost += 1;
                }
            }
        }
        panic!("two connections in a row have ended before an answer");
    }

    fn try_get(&mut self, path: &str) -> std::io::Result<Answer> {
        let began = Instant::now();
        if self.connection.is_none() {
            let server = self.server;
            let opened = self
                .host
                .run(|| TcpStream::connect_timeout(&server, PATIENCE))
                .unwrap()?;
            opened.set_read_timeout(Some(PATIENCE))?;
            self.connection = Some(BufReader::new(opened));
        }
        let connection = self.connection.as_mut().unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: provider\r\n\r\n");
        connection.get_mut().write_all(request.as_bytes())?;
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let start = head.len();
            if connection.read_line(&mut head)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let line = head[start..].trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body)?;
        Ok(Answer {
            status: head[9..12].parse().unwrap(),
            body: String::from_utf8(body).unwrap(),
            took: began.elapsed(),
        })
    }

    fn gets(&mut self, path: &str, count: usize) -> Vec<Answer> {
        (0..count).map(|_| self.get(path)).collect()
    }
}

fn served(name: &str) -> (Scenario, Process) {
    let scenario = Scenario::new(name);
    let provider = services::provider(&scenario.target).unwrap();
    (scenario, provider)
}

fn failed(answers: &[Answer]) -> u64 {
    answers.iter().filter(|it| it.status == 500).count() as u64
}

fn took(answers: &[Answer]) -> Duration {
    let mut all: Vec<Duration> = answers.iter().map(|answer| answer.took).collect();
    all.sort();
    median(&all)
}

fn requests(experiment: &Value) -> &Value {
    &experiment["totals"]["requests"]
}

/// The whole of it: before, during and after; on connections that were open before, in both families.
#[test]
fn requests_are_delayed_and_fail_as_asked() {
    requires!(root);
    let (mut scenario, _provider) = served("http-whole");
    for family in Family::BOTH {
        let mut client = Client::new(&scenario.peer, &scenario.target, family);
        let before = client.gets("/", 20);
        assert_eq!(failed(&before), 0);
        let id = scenario.start(
            "http --port 3000 --delay 100ms --delay-variation 50ms --error-rate 0.3 --error-code 500 --error-body down",
        );
        let during = client.gets("/", 60);
        let now = scenario.status(&id);
        assert_eq!(requests(&now)["open_connections"], 1, "{now}");
        let ended = scenario.stop(&id);
        let after = client.gets("/", 20);
        // Closed at the start, so that it came back through the door, and when it was idle at the end.
        assert_eq!(client.lost, 2, "{family:?}");
        // By chance outside of it once in 500,000 runs.
        let bound = Binomial {
            n: 60,
            p: 0.3,
            z: 4.9,
        };
        let errors = failed(&during);
        eprintln!(
            "{family:?}: {errors} of {bound}, {:?} before, {:?} during, {:?} after",
            took(&before),
            took(&during),
            took(&after)
        );
        assert!(bound.contains(errors), "{errors} of {bound}");
        for answer in &during {
            assert!(
                answer.took >= Duration::from_millis(50),
                "{:?}",
                answer.took
            );
            if answer.status == 500 {
                assert_eq!(answer.body, "down");
            } else {
                assert!(answer.body.starts_with("Current time is"));
            }
        }
        assert_eq!(failed(&after), 0);
        assert!(took(&after) < Duration::from_millis(50));
        let counted = requests(&ended);
        for (counter, count) in [
            ("seen", 60),
            ("delayed", 60),
            ("errors", errors),
            ("connections", 1),
            ("closed_existing", 1),
            ("excluded", 0),
            ("upstream_failed", 0),
        ] {
            assert_eq!(counted[counter], count, "{counter}: {ended}");
        }
        assert_eq!(ended["totals"]["matched_packets"], 60, "{ended}");
    }
    scenario.leaves_nothing();
}

/// What is excluded, or does not match, is left alone; what an update says holds from the next request on.
#[test]
fn only_what_is_meant_is_hit_and_an_update_says_otherwise() {
    requires!(root);
    let (mut scenario, _provider) = served("http-which");
    let mut client = Client::new(&scenario.peer, &scenario.target, Family::V4);
    let id = scenario
        .start("http --port 3000 --error-rate 1 --error-code 503 --exclude /Health --match /a/*");
    assert_eq!(client.get("/a/b?c").status, 503);
    assert_eq!(client.get("/a/b/c").status, 404);
    assert_eq!(client.get("/health").status, 404);
    scenario.ask(&format!(
        "update {id} http --error-rate 1 --error-code 418 --match /"
    ));
    assert_eq!(client.get("/").status, 418);
    assert_eq!(client.get("/a/b").status, 404);
    let refused = scenario.chaosctl(&format!(
        "update {id} http --error-rate 1 --error-code 418 --keep-existing"
    ));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let ended = scenario.stop(&id);
    let counted = requests(&ended);
    assert_eq!(counted["errors"], 2, "{ended}");
    assert_eq!(counted["connections"], 1, "{ended}");
    assert_eq!(client.lost, 0, "updates keep connections");
    assert_eq!(client.get("/").status, 200);
    scenario.leaves_nothing();
}

/// Connections that were open are left alone where somebody says so, and the deadline needs nobody.
#[test]
fn existing_connections_are_kept_where_asked_and_the_deadline_ends_it() {
    requires!(root);
    let (mut scenario, _provider) = served("http-keep");
    let mut old = Client::new(&scenario.peer, &scenario.target, Family::V4);
    let mut new = Client::new(&scenario.peer, &scenario.target, Family::V4);
    old.get("/");
    let answer = scenario.ask(
        "http --netns {target} --port 3000 --error-rate 1 --error-code 500 --keep-existing --duration 3s --detach",
    );
    let id = answer["experiment"]["id"].as_str().unwrap().to_owned();
    assert_eq!(new.get("/").status, 500);
    assert_eq!(old.get("/").status, 200);
    let ended = scenario.ended(&id);
    assert_eq!(ended["end_reason"], "expired");
    assert_eq!(requests(&ended)["closed_existing"], 0);
    // Not at once: a request on its way is to be answered.
    wait_until("idle connections are closed", PATIENCE, || {
        new.is_at_its_end()
    })
    .unwrap();
    assert_eq!(new.get("/").status, 200);
    assert_eq!((old.lost, new.lost), (0, 1));
    scenario.leaves_nothing();
}

/// Faults of packets and of requests in one experiment: each does its part, and delays add.
#[test]
fn packets_and_requests_are_hit_by_one_experiment() {
    requires!(root);
    let (mut scenario, _provider) = served("http-both");
    let file = scenario.lab.directory().join("both.yaml");
    let experiment = json!({
        "netns": scenario.target.netns_name(),
        "duration": "10m",
        "rules": [
            { "http": { "delay": "50ms" }, "filter": { "ports": [3000] } },
            { "delay": { "latency": "50ms" }, "filter": { "proto": "tcp" } },
        ],
    });
    std::fs::write(&file, experiment.to_string()).unwrap();
    let answer = scenario.ask(&format!("apply -f {} --detach", file.display()));
    let id = answer["experiment"]["id"].as_str().unwrap().to_owned();
    let mut client = Client::new(&scenario.peer, &scenario.target, Family::V4);
    client.get("/");
    let during = client.gets("/", 10);
    assert!(
        during
            .iter()
            .all(|it| it.took >= Duration::from_millis(100))
    );
    let ended = scenario.stop(&id);
    let counters = &ended["targets"][0]["counters"];
    assert_eq!(counters[0]["requests"]["delayed"], 11, "{ended}");
    assert_eq!(counters[1]["requests"], Value::Null, "{ended}");
    assert!(
        counters[1]["delayed_packets"].as_u64().unwrap() > 10,
        "{ended}"
    );
    scenario.leaves_nothing();
}

/// Where nothing listens there are no requests, and that is said before anything is touched.
#[test]
fn a_port_that_nobody_listens_on_is_refused() {
    requires!(root);
    let (mut scenario, _provider) = served("http-nobody");
    for more in ["", " --dry-run"] {
        let refused = scenario.chaosctl(&format!(
            "http --netns {{target}} --port 3001 --delay 1ms --duration 5s{more}"
        ));
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let said = &refused.stderr;
        assert!(said.contains("nothing listens on port 3001"), "{said}");
    }
    let dry = scenario.chaosctl("http --netns {target} --port 3000 --delay 1ms --dry-run");
    assert!(dry.stdout.contains("process "), "{dry:?}");
    scenario.leaves_nothing();
}

/// A target that goes takes its relay with it, which would else keep its namespace alive.
#[test]
fn a_target_that_is_gone_is_let_go_of_at_once() {
    requires!(root);
    let (scenario, provider) = served("http-gone");
    let id = scenario.start("http --port 3000 --delay 1ms --drain 5m");
    let mut client = Client::new(&scenario.peer, &scenario.target, Family::V4);
    client.get("/");
    drop(provider);
    scenario.target.delete().unwrap();
    let ended = scenario.ended(&id);
    assert_eq!(ended["end_reason"], "target_gone", "{ended}");
    wait_until("the connection has ended", PATIENCE, || {
        client.try_get("/").is_err()
    })
    .unwrap();
}
