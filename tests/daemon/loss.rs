//! Loss: as much as it says, silent, repeatable with a seed, and without touching what holds a network together.

use std::{
    io::Write,
    net::TcpStream,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use chaos_tests::{
    lab::{Family, Host},
    requires,
    stats::Binomial,
    traffic::{NetCounters, Series, TcpInfo, TcpServer, UdpProbe},
    wait::wait_until,
};
use nix::sys::socket::{setsockopt, sockopt::SndBufForce};

use crate::scenario::{PATIENCE, Scenario, is_emulated, rate};

fn probe(family: Family, count: u32, per_second: u32) -> UdpProbe {
    // Longer than an emulated machine stands still: what arrives later counts as lost.
    let patience = Duration::from_millis(if is_emulated() { 2000 } else { 500 });
    UdpProbe {
        family,
        series: Series {
            count,
            rate: rate(per_second),
            patience,
        },
        ..UdpProbe::default()
    }
}

#[test]
fn thirty_per_cent_of_datagrams_are_lost() {
    requires!(root);
    let mut scenario = Scenario::new("loss-share");
    // 27 % to 33 % of 5,000 is 4.6 standard deviations to either side: by chance about once in 270,000 runs.
    let bound = Binomial {
        n: 5000,
        p: 0.3,
        z: 0.03 * 5000.0 / (5000.0_f64 * 0.3 * 0.7).sqrt(),
    };
    for family in Family::BOTH {
        for direction in ["egress", "ingress"] {
            let (from, to) = match direction {
                "egress" => (&scenario.target, &scenario.peer),
                _ => (&scenario.peer, &scenario.target),
            };
            let id = scenario.start(&format!("loss 30% --proto udp --direction {direction}"));
            let seed = scenario.status(&id)["seed"].clone();
            let report = probe(family, 5000, 2500).run(from, to).unwrap();
            let ended = scenario.stop(&id);
            eprintln!(
                "{family:?} {direction}: seed {seed}, lost {} of {bound}",
                report.lost()
            );
            assert!(
                bound.contains(report.lost() as u64),
                "lost {} of {bound}, seed {seed}",
                report.lost()
            );
            assert_eq!(report.send_errors, 0, "the sender must not be told");
            assert_eq!(ended["totals"]["dropped_packets"], report.lost(), "{ended}");
        }
    }
    scenario.leaves_nothing();
}

/// The kernel takes programs off a target after the experiment has ended: they neither act beside those of the next
/// one, nor do what another target's rules say.
#[test]
fn programs_that_are_leaving_do_nothing() {
    requires!(root);
    let mut scenario = Scenario::new("loss-again");
    let (target, peer) = (&scenario.target, &scenario.peer);
    let lost = || {
        let report = probe(Family::V4, 20, 2000).run(target, peer).unwrap();
        report.lost()
    };
    let at_peer = format!("--netns {}", peer.netns_name());
    // What the peer never sends, and the target does.
    let to_peer = format!("loss 100% --proto udp --peer {}", peer.address(Family::V4));
    for round in 0..10 {
        for direction in ["egress", "both"] {
            let id = scenario.start(&format!(
                "loss --every 1000000 --proto udp --direction {direction}"
            ));
            assert_eq!(lost(), 0);
            let ended = scenario.stop(&id);
            let seen = if direction == "both" { 40 } else { 20 };
            assert_eq!(
                ended["totals"]["matched_packets"], seen,
                "round {round}: {ended}"
            );
            let other = scenario.start_at(&at_peer, &to_peer);
            assert_eq!(lost(), 0, "round {round}");
            let ended = scenario.stop(&other);
            assert_eq!(ended["totals"]["matched_packets"], 0, "{ended}");
        }
    }
    scenario.leaves_nothing();
}

#[test]
fn everything_and_nothing() {
    requires!(root);
    let scenario = Scenario::new("loss-all");
    let lost = || {
        probe(Family::V4, 200, 1000)
            .run(&scenario.target, &scenario.peer)
            .unwrap()
            .lost()
    };
    let (before, during, _) = scenario.compare("loss 100% --proto udp", lost);
    assert_eq!((before, during, lost()), (0, 200, 0));
    let (_, tcp_only, _) = scenario.compare("loss 100% --proto tcp", lost);
    assert_eq!(tcp_only, 0, "UDP under a loss of TCP");
}

#[test]
fn the_same_seed_loses_the_same_packets() {
    requires!(root);
    let scenario = Scenario::new("loss-seed");
    let pattern = |seed: u32| {
        let id = scenario.start(&format!("loss 30% --proto udp --seed {seed}"));
        let report = probe(Family::V4, 500, 2000)
            .run(&scenario.target, &scenario.peer)
            .unwrap();
        scenario.stop(&id);
        report
            .one_way
            .iter()
            .map(Option::is_some)
            .collect::<Vec<bool>>()
    };
    let first = pattern(42);
    assert_eq!(first, pattern(42));
    assert_ne!(first, pattern(43));
}

#[test]
fn a_local_udp_sender_is_not_told() {
    requires!(root);
    let scenario = Scenario::new("loss-udp-silent");
    let before = NetCounters::of(&scenario.target).unwrap();
    for family in Family::BOTH {
        let id = scenario.start("loss 100% --proto udp");
        let report = probe(family, 500, 2000)
            .run(&scenario.target, &scenario.peer)
            .unwrap();
        scenario.stop(&id);
        assert_eq!((report.lost(), report.send_errors), (500, 0));
    }
    let after = NetCounters::of(&scenario.target).unwrap();
    // Where a drop is reported (NET_XMIT_DROP), UDP and IP count it here.
    for counter in [
        "Udp.SndbufErrors",
        "Udp6SndbufErrors",
        "Ip.OutDiscards",
        "Ip6OutDiscards",
    ] {
        assert_eq!(after.grew(&before, counter), 0, "{counter}");
    }
}

#[test]
fn a_local_tcp_sender_retransmits_and_is_not_told() {
    requires!(root);
    let scenario = Scenario::new("loss-tcp-silent");
    for family in Family::BOTH {
        let server = TcpServer::sink(&scenario.peer, family, 0).unwrap();
        let address = server.address();
        let mut stream = scenario
            .target
            .run(|| TcpStream::connect(address))
            .unwrap()
            .unwrap();
        // Room for all of it, so that the write does not wait for what is lost.
        setsockopt(&stream, SndBufForce, &(1 << 20)).unwrap();
        let id = scenario.start("loss 30% --proto tcp --seed 7");
        let mut noticed = 0;
        let deadline = Instant::now() + Duration::from_secs(5);
        stream.write_all(&vec![0x5a; 300_000]).unwrap();
        let all_arrived = || server.received() == 300_000;
        while Instant::now() < deadline && !all_arrived() {
            let info = TcpInfo::of(&stream).unwrap();
            noticed += u32::from(info.congestion_state == TcpInfo::REDUCED_WINDOW);
            thread::sleep(Duration::from_micros(200));
        }
        let info = TcpInfo::of(&stream).unwrap();
        let ended = scenario.stop(&id);
        eprintln!("{family:?}: {info:?}, {}", ended["totals"]);
        let dropped = ended["totals"]["dropped_packets"].as_u64().unwrap();
        assert!(dropped > 0, "{ended}");
        // What is lost is sent again, unless it is still waiting for its timer.
        assert!(info.retransmits > 0, "{info:?} after {dropped} drops");
        assert_eq!(
            noticed, 0,
            "times that the sender was seen to react to a local drop"
        );
        wait_until(
            "the rest arrives when the loss is over",
            PATIENCE * 3,
            all_arrived,
        )
        .unwrap();
    }
}

#[test]
fn arp_and_neighbour_discovery_are_left_alone() {
    requires!(root);
    let scenario = Scenario::new("loss-neighbours");
    let ip = |words: &str| {
        let mut command = Command::new("ip");
        command
            .args(["-n", scenario.target.netns_name()])
            .args(words.split(' '));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let id = scenario.start("loss 100% --direction both");
    for family in Family::BOTH {
        ip("neighbour flush all");
        let address = scenario.peer.address(family);
        probe(family, 1, 1)
            .run(&scenario.target, &scenario.peer)
            .unwrap();
        let query = format!("neighbour show to {address} dev {}", Host::INTERFACE);
        wait_until("the peer's Ethernet address is known", PATIENCE, || {
            ip(&query).contains("lladdr")
        })
        .unwrap();
    }
    scenario.stop(&id);
}
