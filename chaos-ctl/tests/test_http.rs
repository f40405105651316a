//! `chaosctl http` and `chaosctl grpc`: what they ask.

use std::time::Duration;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{
    Direction, Door, Filter, Grpc, Header, HeaderMatch, Http, PortRange, Protocol, RequestMatch,
};

use crate::agent::Agent;
use crate::chaosctl::{run, text};
use crate::script::Script;

fn asked(words: &[&str]) -> (Fault, Filter) {
    let agent = Agent::start(Script::default());
    let finished = run(&agent, words);
    assert_eq!(finished.code, Some(0), "{words:?}: {finished:?}");
    let rule = agent.prepared().rules.remove(0);
    (rule.fault.unwrap(), rule.filter.unwrap())
}

fn http(arguments: &str) -> Http {
    let words: Vec<_> = arguments.split(' ').collect();
    let fault = asked(&words).0;
    let Fault::Http(http) = fault else {
        panic!("{fault:?}");
    };
    http
}

fn refused(arguments: &str) -> String {
    let agent = Agent::start(Script::default());
    let words: Vec<_> = arguments.split(' ').collect();
    let finished = run(&agent, &words);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    finished.stderr
}

fn ms(ms: u64) -> Option<prost_types::Duration> {
    Duration::from_millis(ms).try_into().ok()
}

fn port(port: u32) -> Vec<PortRange> {
    vec![PortRange {
        first: port,
        last: port,
    }]
}

#[test]
fn the_tutorial_is_one_line() {
    let (fault, filter) = asked(&[
        "http",
        "--netns",
        "web",
        "--port",
        "80",
        "--delay",
        "100ms",
        "--delay-variation",
        "50ms",
        "--error-rate",
        "0.1",
        "--error-code",
        "500",
        "--exclude",
        "/health,/metrics",
        "--duration",
        "30s",
    ]);
    let expected = Http {
        delay: ms(100),
        delay_variation: ms(50),
        error_ppm: 100_000,
        error_code: 500,
        exclude: vec!["/health".into(), "/metrics".into()],
        door: Some(Door::default()),
        ..Http::default()
    };
    assert_eq!(fault, Fault::Http(expected));
    assert_eq!(filter.direction(), Direction::Ingress);
    assert_eq!(filter.protocol(), Protocol::Tcp);
    assert_eq!((filter.ports, filter.target_ports), (vec![], port(80)));
}

#[test]
fn everything_that_is_said_of_requests_is_asked() {
    let (fault, filter) = asked(&[
        "http",
        "--netns=web",
        "--target-port=8080",
        "--delay=0",
        "--delay-rate=20%",
        "--error-first=3",
        "--error-code=503",
        "--error-body=down",
        "--error-header=retry-after: 5",
        "--abort=5%",
        "--throttle=10kb/s",
        "--header-set=x-a=1",
        "--header-remove=etag,server",
        "--request-header-set=x-b: 2",
        "--request-header-remove=cookie",
        "--truncate-body=100",
        "--match=get /api/**",
        "--match=/other",
        "--match-header=x-user=test-*",
        "--match-header=x-any",
        "--keep-existing",
        "--drain=0s",
        "--include-loopback",
        "--local-source",
        "--peer=10.0.0.0/8",
        "--percent-flows=50",
    ]);
    let field = |name: &str, value: &str| Header {
        name: name.into(),
        value: value.into(),
    };
    let expected = Http {
        delay: ms(0),
        delay_ppm: Some(200_000),
        error_first: 3,
        error_code: 503,
        error_body: b"down".to_vec(),
        error_headers: vec![field("retry-after", "5")],
        abort_ppm: 50_000,
        throttle_bytes_per_second: 10_000,
        set_headers: vec![field("x-a", "1")],
        remove_headers: vec!["etag".into(), "server".into()],
        set_request_headers: vec![field("x-b", "2")],
        remove_request_headers: vec!["cookie".into()],
        truncate_body: Some(100),
        r#match: vec![
            RequestMatch {
                method: "GET".into(),
                path: "/api/**".into(),
            },
            RequestMatch {
                method: String::new(),
                path: "/other".into(),
            },
        ],
        match_headers: vec![
            HeaderMatch {
                name: "x-user".into(),
                value: Some("test-*".into()),
            },
            HeaderMatch {
                name: "x-any".into(),
                value: None,
            },
        ],
        door: Some(Door {
            keep_existing: true,
            drain: ms(0),
            include_loopback: true,
            local_source: true,
        }),
        ..Http::default()
    };
    assert_eq!(fault, Fault::Http(expected));
    assert_eq!(filter.target_ports, port(8080));
    assert_eq!(filter.peers, ["10.0.0.0/8"]);
    assert_eq!(filter.flows_ppm, Some(500_000));
}

#[test]
fn calls_are_asked_for_by_grpc() {
    let (fault, filter) = asked(&[
        "grpc",
        "--pid=7",
        "--port=50051",
        "--error-rate=10%",
        "--status-code=unavailable",
        "--status-message=try again",
        "--delay=1s",
        "--exclude=grpc.health.v1.Health,shop.Cart/Get",
        "--match-metadata=x-user",
    ]);
    let expected = Grpc {
        delay: ms(1000),
        error_ppm: 100_000,
        status_code: 14,
        status_message: "try again".into(),
        exclude: vec!["grpc.health.v1.Health".into(), "shop.Cart/Get".into()],
        match_metadata: vec![HeaderMatch {
            name: "x-user".into(),
            value: None,
        }],
        door: Some(Door::default()),
        ..Grpc::default()
    };
    assert_eq!(fault, Fault::Grpc(expected));
    assert_eq!(filter.target_ports, port(50_051));
}

#[test]
fn abort_alone_means_all() {
    let all = http("http --netns web --port 80 --abort --exclude /a");
    assert_eq!((all.abort_ppm, all.exclude), (1_000_000, vec!["/a".into()]));
    let some = http("http --netns web --port 80 --abort 0.25");
    assert_eq!(some.abort_ppm, 250_000);
}

#[test]
fn an_error_that_nobody_gets_is_none() {
    let off = http("http --netns web --port 80 --delay 1ms --error-rate 0 --error-code 500");
    assert_eq!((off.error_ppm, off.error_code), (0, 0));
}

#[test]
fn a_body_may_be_in_a_file() {
    let agent = Agent::start(Script::default());
    let file = agent.directory().join("down.json");
    std::fs::write(&file, b"{\"down\": true}").unwrap();
    let body = format!("@{}", text(&file));
    let words = [
        "http",
        "--netns=web",
        "--port=80",
        "--error-rate=1",
        "--error-code=503",
        "--error-body",
        &body,
    ];
    assert_eq!(run(&agent, &words).code, Some(0));
    match agent.prepared().rules.remove(0).fault {
        Some(Fault::Http(http)) => assert_eq!(http.error_body, b"{\"down\": true}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_missing_or_wrong_is_said_before_the_agent_is_asked() {
    for (arguments, sentence) in [
        (
            "http --netns web --delay 1ms",
            "error: the fault of requests does not say which port they arrive at: give --port, the one that the target listens on\n",
        ),
        (
            "http --netns web --port 80 --error-rate 0.1",
            "error: http does not say with which status requests fail: give an error-code such as 500\n",
        ),
        (
            "grpc --netns web --port 80 --error-rate 0.1",
            "error: grpc does not say with which status calls fail: give a status-code such as 14 or UNAVAILABLE\n",
        ),
        (
            "http --netns web --port 80 --error-rate 10 --error-code 500",
            "error: share `10` is above 1: give a fraction such as 0.1, or a percentage with its sign such as 10%\n",
        ),
        (
            "http --netns web --port 80 --delay 100",
            "error: delay `100` has no unit: give a number, 0 or above, with its unit (ns, us, ms, s, m or h), such as 100ms, 1.5s or 0s\n",
        ),
        (
            "http --netns web --port http --delay 1ms",
            "error: port `http` is not a number: give a port or a range from 1 to 65535, such as 80 or 8000-8100; names are for --svc in a cluster\n",
        ),
    ] {
        let said = refused(arguments);
        if arguments.contains("--port http ") {
            assert!(said.contains("port `http`"), "{said}");
        } else {
            assert_eq!(said, sentence);
        }
    }
}

#[test]
fn a_file_has_the_same_options() {
    let agent = Agent::start(Script::default());
    let file = agent.directory().join("experiment.yaml");
    let experiment = "\
netns: web
rules:
  - http:
      delay: 100ms
      delay-variation: 50ms
      error-rate: 0.1
      error-code: 500
      error-body: down, for now
      exclude: [/health, /metrics]
      match: ['GET /a,b', POST]
      match-header: 'x-user: test-*'
      header-set: ['x-a: 1']
      header-remove: etag
      abort: true
    filter: { ports: [80] }
  - grpc: { error-rate: 10%, status-code: 14, exclude: shop.Cart, drain: 1s }
    filter: { target-ports: [50051] }
";
    std::fs::write(&file, experiment).unwrap();
    let finished = run(
        &agent,
        &["apply", "-f", text(&file), "--dry-run", "-o", "json"],
    );
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let rules = agent.prepared().rules;
    let Some(Fault::Http(http)) = &rules[0].fault else {
        panic!("{rules:?}")
    };
    assert_eq!(http.error_body, b"down, for now");
    assert_eq!(http.exclude, ["/health", "/metrics"]);
    assert_eq!(http.r#match[0].path, "/a,b");
    assert_eq!(http.r#match[1].method, "POST");
    assert_eq!((http.error_ppm, http.abort_ppm), (100_000, 1_000_000));
    assert_eq!(rules[0].filter.as_ref().unwrap().target_ports, port(80));
    let json = finished.json();
    assert_eq!(
        json["experiment"]["rules"][1]["fault"],
        serde_json::json!({
            "kind": "grpc",
            "delay": null,
            "error": {
                "share_ppm": 100_000,
                "first": 0,
                "code": 14,
                "message": "",
            },
            "exclude": ["shop.Cart"],
            "match_metadata": [],
            "door": {
                "keep_existing": false,
                "drain_ns": 1_000_000_000,
                "include_loopback": false,
                "local_source": false,
            },
        })
    );
    assert_eq!(
        json["experiment"]["rules"][0]["fault"]["delay"],
        serde_json::json!({
            "delay_ns": 100_000_000,
            "variation_ns": 50_000_000,
            "share_ppm": 1_000_000,
        })
    );
}
