//! Loss against its plain model: the same seed and packets give the same decisions.

use std::net::Ipv4Addr;

use chaos_abi::rule::Rule;
use chaos_ebpf::chance;
use chaos_tests::packet::Frame;

use crate::classifier::{Classifier, DROPPED, PASSED, loss};

fn frame() -> Vec<u8> {
    Frame::v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)).udp(1, 2, b"x")
}

#[test]
fn decisions_are_those_of_the_seed() {
    let rule = Rule {
        share_ppm: 300_000,
        seed: 7,
        ..loss()
    };
    let classifier = Classifier::new(&[rule]);
    for position in 0..2000 {
        let lost = chance::hit(chance::at(7, position), 300_000);
        let expected = if lost { DROPPED } else { PASSED };
        assert_eq!(
            classifier.egress(&frame()).verdict,
            expected,
            "packet {position}"
        );
    }
    let counters = classifier.counters(0);
    assert_eq!(counters.matched_packets, 2000);
    // n = 2000, p = 0.3: one standard error is 20.5, the bound is four of them.
    assert!(
        (518..=682).contains(&counters.dropped_packets),
        "{} dropped, seed 7",
        counters.dropped_packets
    );
}

#[test]
fn losses_compose_independently() {
    let rules = [
        Rule {
            share_ppm: 500_000,
            seed: 1,
            ..loss()
        },
        Rule {
            share_ppm: 500_000,
            seed: 2,
            ..loss()
        },
    ];
    let classifier = Classifier::new(&rules);
    let dropped = (0..2000)
        .filter(|_| classifier.egress(&frame()).verdict == DROPPED)
        .count();
    // n = 2000, p = 0.75: one standard error is 19.4, the bound is four of them.
    assert!(
        (1423..=1577).contains(&dropped),
        "{dropped} of 2000 dropped, seeds 1 and 2"
    );
    // The second rule sees only what the first left.
    assert_eq!(
        classifier.counters(1).matched_packets,
        2000 - classifier.counters(0).dropped_packets
    );
}

#[test]
fn offloaded_packet_counts_as_its_segments() {
    let classifier = Classifier::new(&[loss()]);
    let frame = frame();
    assert_eq!(classifier.egress_segments(&frame, 10).verdict, DROPPED);
    let counters = classifier.counters(0);
    assert_eq!(
        (counters.matched_packets, counters.dropped_packets),
        (10, 10)
    );
    assert_eq!(counters.matched_bytes, frame.len() as u64 + 9 * 54);
}
