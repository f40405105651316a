//! A delay line that is not there must not cost a packet, nor change one.

use std::net::Ipv4Addr;

use chaos_abi::line::{ENGINE_FQ, ENGINE_TAP};
use chaos_tests::packet::Frame;

use crate::classifier::{Classifier, PASSED, delay, loss};

/// No namespace has so many interfaces.
const NOWHERE: u32 = 0x7fff_ffff;

fn frames() -> [Vec<u8>; 2] {
    [
        Frame::v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)).udp(1, 2, &[0x5a; 300]),
        Frame::v6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap()).tcp(1, 2, 0x10, b"x"),
    ]
}

#[test]
fn packet_passes_unchanged_when_its_line_is_gone() {
    for engine in [ENGINE_FQ, ENGINE_TAP] {
        let classifier = Classifier::new(&[delay()]).line(engine, NOWHERE);
        for frame in frames() {
            for run in [classifier.egress(&frame), classifier.ingress(&frame)] {
                assert_eq!(run.verdict, PASSED, "engine {engine}");
                assert_eq!(run.frame, frame, "engine {engine}");
            }
        }
        let counters = classifier.counters(0);
        assert_eq!(
            (counters.matched_packets, counters.undelayed_packets),
            (4, 4)
        );
        assert_eq!(counters.delayed_packets, 0);
    }
}

#[test]
fn packet_passes_when_there_never_was_a_line() {
    let classifier = Classifier::new(&[delay()]);
    for frame in frames() {
        assert_eq!(classifier.egress(&frame).verdict, PASSED);
    }
    assert_eq!(classifier.counters(0).undelayed_packets, 2);
}

#[test]
fn what_is_lost_is_not_delayed() {
    let classifier = Classifier::new(&[delay(), loss()]).line(ENGINE_TAP, NOWHERE);
    classifier.egress(&frames()[0]);
    assert_eq!(classifier.counters(0).undelayed_packets, 0);
    assert_eq!(classifier.counters(1).dropped_packets, 1);
}
