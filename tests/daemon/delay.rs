//! Delay: adds what it says, to every protocol, in every direction, in order, and changes nothing else.

use std::{process::Command, thread, time::Duration};

use chaos_tests::{
    lab::{Family, Host},
    pauses::Times,
    requires,
    stats::{median, percentile},
    traffic::{
        BulkTcp, NetCounters, Series, TcpServer, UdpProbe, ping_rtt, tcp_connect_time, tcp_rtt,
    },
    wait::wait_until,
};
use serde_json::Value;

use crate::scenario::{
    ATTEMPTS, PATIENCE, Scenario, assert_added, assert_adds, assert_exact, assert_hit, is_emulated,
    is_exact, let_pass, rate, series, tolerances,
};

const LATENCY: Duration = Duration::from_millis(100);

/// Direction, and how many times a round trip passes the delay.
const DIRECTIONS: [(&str, u32); 3] = [("egress", 1), ("ingress", 1), ("both", 2)];

/// How many, and how many a second: in one direction after the other, and beside it.
const PACKETS: (u32, u32) = (200, 200);
/// 8 of a second's 40 are under way at 200 ms: fewer than the first congestion window of 10.
const SEGMENTS: (u32, u32) = (120, 40);

/// Measures round trips from the target in each direction of a 100 ms delay, over IPv4 and IPv6. Beside it, those of a
/// protocol that is not delayed, as many at the same time: by what these are late, the machine is.
fn adds_its_latency(
    name: &str,
    proto: &str,
    measure: impl Fn(&Scenario, Family) -> Times + Sync,
    beside: impl Fn(&Scenario, Family) -> Times + Sync,
) {
    let mut scenario = Scenario::new(name);
    for family in Family::BOTH {
        let before = measure(&scenario, family);
        for (direction, times) in DIRECTIONS {
            let fault = format!("delay 100ms --proto {proto} --direction {direction}");
            let what = format!("{proto} {family:?} {direction}");
            let added = LATENCY * times;
            let attempt = || {
                let both = || {
                    thread::scope(|scope| {
                        let beside = scope.spawn(|| beside(&scenario, family));
                        (measure(&scenario, family), beside.join().unwrap())
                    })
                };
                scenario.during(&fault, both)
            };
            let ((mut during, mut other), mut ended) = attempt();
            let delayed = |ended: &Value| ended["totals"]["delayed_packets"].as_u64();
            for _ in 1..ATTEMPTS {
                // What TCP could not send for a while goes in fewer segments.
                if is_exact(&before, &other, &during, added, times)
                    && delayed(&ended) >= Some(during.count() as u64)
                {
                    break;
                }
                eprintln!("{what}: the machine had something else to do; once more");
                ((during, other), ended) = attempt();
            }
            assert_exact(&what, &before, &other, &during, added, times);
            let matched = ended["totals"]["matched_packets"].as_u64();
            assert_eq!(matched, delayed(&ended), "{ended}");
            assert!(matched >= Some(during.count() as u64), "{ended}");
        }
    }
    scenario.leaves_nothing();
}

fn udp((count, per_second): (u32, u32), scenario: &Scenario, family: Family) -> Times {
    let probe = UdpProbe {
        family,
        series: series(count, per_second),
        ..UdpProbe::default()
    };
    let report = probe.run(&scenario.target, &scenario.peer).unwrap();
    assert_eq!(
        report.unanswered(),
        Vec::<usize>::new(),
        "nothing may be lost"
    );
    assert!(report.is_in_order());
    report.rtts()
}

fn icmp(scenario: &Scenario, family: Family) -> Times {
    let (count, per_second) = PACKETS;
    let peer = scenario.peer.address(family);
    let series = series(count, per_second);
    let times = ping_rtt(&scenario.target, peer, series).unwrap();
    assert_eq!(times.count(), series.count as usize, "all are answered");
    times
}

#[test]
fn udp_takes_longer() {
    requires!(root);
    let measure = |scenario: &_, family| udp(PACKETS, scenario, family);
    adds_its_latency("delay-udp", "udp", measure, icmp);
}

#[test]
fn tcp_takes_longer() {
    requires!(root);
    let measure = |scenario: &Scenario, family| {
        let server = TcpServer::echo(&scenario.peer, family, 0).unwrap();
        let (count, per_second) = SEGMENTS;
        tcp_rtt(
            &scenario.target,
            &server,
            Series::new(count, rate(per_second)),
        )
        .unwrap()
    };
    let beside = |scenario: &_, family| udp(SEGMENTS, scenario, family);
    adds_its_latency("delay-tcp", "tcp", measure, beside);
}

#[test]
fn icmp_takes_longer() {
    requires!(root);
    let beside = |scenario: &_, family| udp(PACKETS, scenario, family);
    adds_its_latency("delay-icmp", "icmp", icmp, beside);
}

#[test]
fn a_connection_takes_one_delay_to_set_up() {
    requires!(root);
    let scenario = Scenario::new("delay-connect");
    let server = TcpServer::echo(&scenario.peer, Family::V4, 0).unwrap();
    let measure = || [tcp_connect_time(&scenario.target, &server, 10).unwrap()];
    scenario.adds("delay 100ms", &measure(), ([LATENCY], 1), measure);
}

#[test]
fn units_mean_what_they_say() {
    requires!(root);
    let scenario = Scenario::new("delay-units");
    let measure = || [echo(&scenario.target, &scenario.peer, series(200, 400))];
    let before = measure();
    for (text, latency) in [
        ("0.5ms", Duration::from_micros(500)),
        ("250us", Duration::from_micros(250)),
        ("0.1s", LATENCY),
    ] {
        let fault = format!("delay {text} --proto udp");
        let ([during], ended) = scenario.adds(&fault, &before, ([latency], 1), measure);
        assert_hit(text, &ended, during.count());
        // The tolerance is larger than the smallest of them: it must have had some effect at least.
        assert!(
            is_emulated()
                || median(&during.undisturbed()) >= median(&before[0].undisturbed()) + latency / 2,
            "{text} has no effect"
        );
        assert_eq!(
            ended["rules"][0]["fault"]["latency_ns"],
            u64::try_from(latency.as_nanos()).unwrap()
        );
    }
}

fn echo(from: &Host, to: &Host, series: Series) -> Times {
    let report = UdpProbe {
        series,
        ..UdpProbe::default()
    }
    .run(from, to)
    .unwrap();
    assert_eq!(
        report.unanswered(),
        Vec::<usize>::new(),
        "nothing may be lost"
    );
    report.rtts()
}

#[test]
fn jitter_spreads_and_does_not_reorder() {
    requires!(root);
    let scenario = Scenario::new("delay-jitter");
    let id = scenario.start("delay 50ms --jitter 20ms");
    // Close together: each would overtake many, if it could.
    let dense = UdpProbe {
        series: series(1000, 1000),
        ..UdpProbe::default()
    };
    let report = dense.run(&scenario.target, &scenario.peer).unwrap();
    assert_eq!((report.lost(), report.is_in_order()), (0, true));
    // Far apart: none is held back by the one before, so the spread is that of the jitter.
    let sparse = UdpProbe {
        series: Series::new(150, 20),
        ..UdpProbe::default()
    };
    let report = sparse.run(&scenario.target, &scenario.peer).unwrap();
    let times = report.rtts().undisturbed();
    // An emulated machine, which stands still now and then, makes some of them much later than they were to be.
    let (highest, one_in) = if is_emulated() {
        (90.0, 10)
    } else {
        (98.0, 50)
    };
    let (low, middle, high) = (
        percentile(&times, 2.0),
        median(&times),
        percentile(&times, highest),
    );
    eprintln!(
        "jitter: n={} p2 {low:?}, median {middle:?}, p{highest} {high:?}",
        times.len()
    );
    let slack = tolerances().1;
    let limit = Duration::from_millis(70) + slack;
    let late = times.iter().filter(|time| **time > limit).count();
    assert!(
        low >= Duration::from_millis(30) && late * one_in <= times.len(),
        "{late} took longer than {limit:?}"
    );
    // Of 150 uniform values, fewer than 3 below 34 ms or above 66 ms has a probability under 1 in 1000, and so have
    // fewer than 15 above 60 ms.
    let least_high = Duration::from_millis(if is_emulated() { 60 } else { 64 });
    assert!(low <= Duration::from_millis(36) + slack && high >= least_high);
    // The median's standard deviation is 20 ms / sqrt(150) = 1.6 ms: 5 of them.
    assert!(middle.abs_diff(Duration::from_millis(50)) <= Duration::from_millis(8) + slack);
    scenario.stop(&id);
}

#[test]
fn delays_of_two_experiments_add() {
    requires!(root);
    let scenario = Scenario::new("delay-two");
    let measure = || [echo(&scenario.target, &scenario.peer, series(200, 200))];
    let [more, both] = [40, 70].map(Duration::from_millis);
    let none = measure();
    let first = scenario.start("delay 30ms --proto udp");
    let one = measure();
    let (two, _) = scenario.adds("delay 40ms", &one, ([more], 1), measure);
    assert_added("both delays", &none[0], &two[0], both, 2);
    scenario.stop(&first);
}

#[test]
fn stop_ends_it_at_once() {
    requires!(root);
    let mut scenario = Scenario::new("delay-stop");
    let measure = || [echo(&scenario.target, &scenario.peer, series(100, 200))];
    let (before, _, _) = scenario.compare("delay 100ms --direction both", measure);
    let nothing = ([Duration::ZERO], 1);
    assert_adds("after stop", &before, nothing, || (measure(), ()));
    scenario.leaves_nothing();
}

#[test]
fn bulk_data_goes_through_whole() {
    requires!(root);
    let scenario = Scenario::new("delay-bulk");
    let counted = || NetCounters::of(&scenario.target).unwrap();
    let measure = || {
        let before = counted();
        let mut bulk = BulkTcp::start(&scenario.target, &scenario.peer, Family::V4).unwrap();
        let_pass(Duration::from_secs(3));
        bulk.stop().unwrap();
        let needless = || counted().grew(&before, "TcpExt.TCPDSACKRecvSegs");
        let again = || u64::from(bulk.retransmits().unwrap());
        // Of what was lost, the receiver never says that it had it already.
        let what = "the receiver had all that was sent again";
        wait_until(what, PATIENCE, || needless() >= again()).unwrap();
        (bulk.received(), again())
    };
    // How fast it is, the benchmark says; here: super-packets pass, and none was lost or let through.
    let attempt = || scenario.during("delay 20ms", measure);
    let ((mut received, mut again), mut ended) = attempt();
    // A sender that stands still for longer than TCP's timeout sends something again, an emulated one each time.
    for _ in 1..ATTEMPTS {
        if is_emulated() || again == 0 {
            break;
        }
        ((received, again), ended) = attempt();
    }
    assert!(is_emulated() || again == 0, "{again} were sent again");
    assert_eq!(
        ended["totals"]["undelayed_packets"],
        Value::from(0),
        "{ended}"
    );
    assert!(
        ended["totals"]["delayed_bytes"].as_u64() >= Some(received),
        "{ended}"
    );
}

#[test]
fn no_qdisc_of_the_interface_is_replaced() {
    requires!(root);
    let scenario = Scenario::new("delay-qdisc");
    let qdiscs = || {
        let namespace = scenario.target.netns_name();
        let mut tc = Command::new("tc");
        tc.args([
            "-n",
            namespace,
            "-json",
            "qdisc",
            "show",
            "dev",
            Host::INTERFACE,
        ]);
        let list: Value = serde_json::from_slice(&tc.output().unwrap().stdout).unwrap();
        let list = list.as_array().unwrap().iter();
        // clsact only holds filters: no packet waits in it.
        let queues = list.filter(|qdisc| qdisc["kind"] != "clsact");
        queues
            .map(|qdisc| format!("{} {}", qdisc["kind"], qdisc["handle"]))
            .collect::<Vec<_>>()
    };
    let (before, during, _) = scenario.compare("delay 100ms --direction both", qdiscs);
    assert_eq!(before, during);
    assert_eq!(before, qdiscs());
}
