//! Selectors: the same target, pointed at in every way.

use std::time::Duration;

use chaos_tests::{
    daemon::{Daemon, write_inventory},
    lab::{Family, Lab},
    requires, services,
    traffic::{Series, ping_rtt},
};

use crate::scenario::{Scenario, assert_adds, assert_hit, rate};

#[test]
fn every_selector_finds_the_target() {
    requires!(root, cgroup2);
    let mut scenario = Scenario::new("selectors");
    let process = scenario.target.spawn("sleep", &["600"]).unwrap();
    let inventory =
        write_inventory(&scenario.lab, "web", std::slice::from_ref(&scenario.target)).unwrap();
    let peer = scenario.peer.address(Family::V4);
    let series = Series::new(30, rate(100));
    let measure = || [ping_rtt(&scenario.target, peer, series).unwrap()];
    let before = measure();
    for selector in [
        "--netns {target}".to_owned(),
        format!("--netns {}", scenario.target.netns_path().display()),
        format!("--pid {}", process.pid()),
        format!("--cgroup {}", scenario.target.cgroup().display()),
        format!("--svc web --inventory {}", inventory.display()),
        format!("--svc web -n default --inventory {}", inventory.display()),
        "--netns {target} --interface eth0".to_owned(),
    ] {
        // Before the latency, and after it.
        for words in [
            format!("delay {selector} 50ms"),
            format!("delay 50ms {selector}"),
        ] {
            let attempt = || {
                let answer = scenario.ask(&format!("{words} --peer {peer} --duration 1m --detach"));
                let target = &answer["experiment"]["targets"][0];
                assert_eq!(target["interface"], "eth0", "{words}: {answer}");
                let during = measure();
                let id = answer["experiment"]["id"].as_str().unwrap();
                (during, scenario.stop(id))
            };
            let added = ([Duration::from_millis(50)], 1);
            let (_, ended) = assert_adds(&words, &before, added, attempt);
            assert_hit(&words, &ended, 30);
        }
    }
    scenario.leaves_nothing();
}

#[test]
fn a_service_is_all_its_endpoints() {
    requires!(root, "curl");
    let lab = Lab::new("selectors-service").unwrap();
    let providers: Vec<_> = (1..=5)
        .map(|number| lab.host(&format!("provider-{number}")).unwrap())
        .collect();
    let consumer = lab.host("consumer").unwrap();
    let _providers: Vec<_> = providers
        .iter()
        .map(|host| services::provider(host).unwrap())
        .collect();
    let _consumer = services::consumer(&consumer, &providers).unwrap();
    let daemon = Daemon::start_with_service(&lab, "provider-chaos-service", &providers).unwrap();
    let seconds = || {
        let url = format!("http://{}:3000/consuming", consumer.address_v4());
        let arguments = ["-sS", "-o", "/dev/null", "-w", "%{time_total}", &url];
        let output = consumer
            .output("curl", &arguments, Duration::from_secs(30))
            .unwrap()
            .success()
            .unwrap();
        Duration::from_secs_f64(output.stdout.parse().unwrap())
    };
    let arguments = [
        "delay",
        "--svc",
        "provider-chaos-service",
        "100ms",
        "--duration",
        "5m",
        "--detach",
    ];
    daemon.chaosctl(&arguments).unwrap().success().unwrap();
    for call in 1..=5 {
        let took = seconds();
        assert!(
            took >= Duration::from_millis(100),
            "call {call}, to a provider of its own, took {took:?}"
        );
    }
    let stopped = daemon
        .chaosctl(&["stop", "--all", "-o", "json"])
        .unwrap()
        .success()
        .unwrap()
        .json()
        .unwrap();
    let targets = stopped["experiments"][0]["targets"].as_array().unwrap();
    let hit = targets
        .iter()
        .filter(|target| target["counters"][0]["delayed_packets"].as_u64() > Some(0));
    assert_eq!((targets.len(), hit.count()), (5, 5), "{stopped}");
}
