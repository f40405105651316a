//! Filters: what they match is delayed, and what they do not match does not notice.

use std::{
    thread,
    time::{Duration, Instant},
};

use chaos_tests::{
    lab::{Family, Host},
    packet::{Frame, FrameSocket},
    pauses::Times,
    requires,
    traffic::{Series, TcpServer, UdpProbe, ping_rtt, tcp_rtt},
};

use crate::scenario::{PATIENCE, Scenario, assert_adds, assert_hit, of, rate, series};

const LATENCY: Duration = Duration::from_millis(100);

fn udp(from: &Host, to: &Host, family: Family, port: u16) -> Times {
    let report = UdpProbe {
        family,
        port,
        series: series(100, 200),
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

fn tcp(from: &Host, to: &Host, family: Family) -> Times {
    let server = TcpServer::echo(to, family, 0).unwrap();
    tcp_rtt(from, &server, Series::new(50, rate(50))).unwrap()
}

fn icmp(from: &Host, to: &Host, family: Family) -> Times {
    let series = series(100, 200);
    let times = ping_rtt(from, to.address(family), series).unwrap();
    assert_eq!(times.count(), series.count as usize, "all are answered");
    times
}

/// Measures side by side; gives what each measured.
fn at_once<const N: usize>(measures: [&(dyn Fn() -> Times + Sync); N]) -> [Times; N] {
    thread::scope(|scope| {
        measures
            .map(|measure| scope.spawn(measure))
            .map(|measuring| measuring.join().unwrap())
    })
}

#[test]
fn by_protocol() {
    requires!(root);
    let scenario = Scenario::new("filter-protocol");
    let (target, peer) = (&scenario.target, &scenario.peer);
    for family in Family::BOTH {
        let measure = || {
            at_once([
                &|| udp(target, peer, family, 0),
                &|| tcp(target, peer, family),
                &|| icmp(target, peer, family),
            ])
        };
        let before = measure();
        for (matched, proto) in ["udp", "tcp", "icmp"].iter().enumerate() {
            let fault = format!("delay 100ms --direction both --proto {proto}");
            let mut added = [Duration::ZERO; 3];
            added[matched] = LATENCY * 2;
            let (during, ended) = scenario.adds(&fault, &before, (added, 2), measure);
            // There and back; TCP has packets of its own besides, and ICMPv6 has reports of multicast groups.
            let packets = 2 * during[matched].count();
            if *proto == "udp" || (*proto == "icmp" && family == Family::V4) {
                assert_hit(&fault, &ended, packets);
            } else {
                let delayed = ended["totals"]["delayed_packets"].as_u64();
                assert!(delayed >= Some(packets as u64), "{fault}: {ended}");
            }
        }
    }
}

#[test]
fn by_port() {
    requires!(root);
    let scenario = Scenario::new("filter-port");
    let (target, peer) = (&scenario.target, &scenario.peer);
    for family in Family::BOTH {
        let to = |port| udp(target, peer, family, port);
        let measure = || at_once([&|| to(7000), &|| to(7005), &|| to(7009), &|| to(7011)]);
        let fault = "delay 100ms --proto udp --port 7000,7005-7009";
        let before = measure();
        // The last port is beside the filter.
        let added = [LATENCY, LATENCY, LATENCY, Duration::ZERO];
        let (during, ended) = scenario.adds(fault, &before, (added, 1), measure);
        assert_hit(fault, &ended, during[..3].iter().map(Times::count).sum());
    }
}

#[test]
fn by_port_also_in_fragments() {
    requires!(root);
    let scenario = Scenario::new("filter-fragments");
    for family in Family::BOTH {
        let id = scenario.start("loss 100% --proto udp --port 7000");
        let [matched, others] = [7000, 7001].map(|port| {
            UdpProbe {
                family,
                port,
                series: series(40, 200),
                // Three fragments.
                size: 4000,
            }
            .run(&scenario.target, &scenario.peer)
            .unwrap()
        });
        let totals = scenario.stop(&id)["totals"].clone();
        assert_eq!(matched.lost(), matched.sent.len(), "{family:?}");
        assert_eq!(others.lost(), 0, "{family:?}");
        let fragments = 3 * matched.sent.len() as u64;
        assert_eq!(totals["dropped_packets"], fragments, "{family:?}: {totals}");
    }
}

#[test]
fn by_peer() {
    requires!(root);
    let scenario = Scenario::new("filter-peer");
    let other = scenario.lab.host("other").unwrap();
    let only_the_first = ([LATENCY, Duration::ZERO], 1);
    for family in Family::BOTH {
        let to = |host| udp(&scenario.target, host, family, 0);
        let measure = || at_once([&|| to(&scenario.peer), &|| to(&other)]);
        let address = scenario.peer.address(family);
        // A host, a network around the peer and not the other (.2 and .3 of a /31), and one that matches nobody.
        let networks = of(
            family,
            ["10.77.0.2", "10.77.0.2/32", "192.0.2.0/24,10.77.0.2"],
            ["fd77::2", "fd77::2/128", "2001:db8::/32,fd77::2"],
        );
        assert!(
            networks[0].parse() == Ok(address),
            "the peer is host number 2"
        );
        let before = measure();
        for peers in networks {
            let fault = format!("delay 100ms --peer {peers}");
            let (during, ended) = scenario.adds(&fault, &before, only_the_first, measure);
            assert_hit(&fault, &ended, during[0].count());
        }
    }
    let fault = "delay 100ms --peer 10.77.0.0/24";
    let measure = || Family::BOTH.map(|family| udp(&scenario.target, &other, family, 0));
    let before = measure();
    let (during, ended) = scenario.adds(fault, &before, only_the_first, measure);
    assert_hit(fault, &ended, during[0].count());
}

#[test]
fn by_direction() {
    requires!(root);
    let scenario = Scenario::new("filter-direction");
    let probe = UdpProbe {
        series: series(100, 200),
        ..UdpProbe::default()
    };
    let one_way = |from: &Host, to: &Host| {
        let report = probe.run(from, to).unwrap();
        assert_eq!(report.lost(), 0);
        report.one_ways()
    };
    let measure = || {
        [
            one_way(&scenario.target, &scenario.peer),
            one_way(&scenario.peer, &scenario.target),
        ]
    };
    let before = measure();
    for (direction, delayed) in [("egress", 0), ("ingress", 1)] {
        let fault = format!("delay 100ms --proto udp --direction {direction}");
        let mut added = [Duration::ZERO; 2];
        added[delayed] = LATENCY;
        let (during, ended) = scenario.adds(&fault, &before, (added, 1), measure);
        // The datagrams of one series, and the echoes of the other.
        assert_hit(&fault, &ended, during[0].count() + during[1].count());
    }
}

#[test]
fn other_hosts_do_not_notice() {
    requires!(root);
    let scenario = Scenario::new("filter-others");
    let other = scenario.lab.host("other").unwrap();
    let measure = || [udp(&scenario.peer, &other, Family::V4, 0)];
    let fault = "delay 100ms --proto udp --direction both";
    let nothing = ([Duration::ZERO], 1);
    let (_, ended) = scenario.adds(fault, &measure(), nothing, measure);
    assert_hit(fault, &ended, 0);
}

#[test]
fn vlan_frames_are_matched_by_what_is_inside() {
    requires!(root);
    let scenario = Scenario::new("filter-vlan");
    let (target, peer) = (&scenario.target, &scenario.peer);
    let (from, to) = (
        FrameSocket::open(target).unwrap(),
        FrameSocket::open(peer).unwrap(),
    );
    let id = scenario.start("delay 100ms --proto udp --port 7000");
    for family in Family::BOTH {
        let frame = Frame::ip(target.address(family), peer.address(family))
            .unwrap()
            .vlan(7);
        let times = |port| {
            let one = |number| {
                let payload = format!("{family:?} to {port}, {number}").into_bytes();
                let sent = Instant::now();
                from.send(&frame.udp(1000, port, &payload)).unwrap();
                let arrived = to
                    .receive(PATIENCE, |frame| frame.bytes.ends_with(&payload))
                    .unwrap();
                let tag = arrived.expect("the frame arrives").vlan;
                assert_eq!(tag, Some(7), "the tag is still there");
                (sent, sent.elapsed())
            };
            (0..20).map(one).collect::<Times>()
        };
        let attempt = || ([times(7000)], ());
        assert_adds("matched", &[times(7001)], ([LATENCY], 1), attempt);
    }
    scenario.stop(&id);
}
