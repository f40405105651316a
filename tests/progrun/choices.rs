//! Every way of choosing packets, and what happens to those that are chosen, against its plain model.

use std::net::Ipv4Addr;

use chaos_abi::{
    line::ENGINE_TAP,
    rule::{
        CHOICE_EVERY, CHOICE_FIRST, CHOICE_FOUR_STATES, CHOICE_GILBERT_ELLIOTT, FAULT_CORRUPT,
        FAULT_DUPLICATE, FAULT_RATE, Memory, PER_FLOW, PROTOCOL_TCP, Rule,
    },
};
use chaos_ebpf::{chance, choice};
use chaos_tests::packet::{Frame, tcp_flags};

use crate::classifier::{Classifier, DROPPED, PASSED, delay, loss};

/// No namespace has so many interfaces.
const NOWHERE: u32 = 0x7fff_ffff;

fn v4() -> Frame {
    Frame::v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2))
}

fn frame() -> Vec<u8> {
    v4().udp(1, 2, &[0x5a; 64])
}

#[test]
fn kernel_chooses_as_the_model_does() {
    let rule = |choice, model_ppm| Rule {
        choice,
        model_ppm,
        seed: 5,
        ..loss()
    };
    let every = Rule {
        count: 3,
        ..rule(CHOICE_EVERY, [0; 5])
    };
    let correlated = Rule {
        share_ppm: 200_000,
        correlation_ppm: 700_000,
        ..rule(0, [0; 5])
    };
    let with_gap = Rule {
        share_ppm: 500_000,
        count: 2,
        ..rule(0, [0; 5])
    };
    for rule in [
        rule(
            CHOICE_GILBERT_ELLIOTT,
            [50_000, 300_000, 900_000, 10_000, 0],
        ),
        rule(
            CHOICE_FOUR_STATES,
            [50_000, 300_000, 200_000, 400_000, 20_000],
        ),
        every,
        correlated,
        with_gap,
    ] {
        let classifier = Classifier::new(&[rule]);
        let mut memory = Memory::default();
        let mut chosen = 0;
        for position in 0..1500 {
            let random = chance::at(rule.seed, position);
            let expected = choice::chooses(&rule, rule.share_ppm, &mut memory, random, u64::MAX);
            chosen += u64::from(expected);
            let verdict = classifier.egress(&frame()).verdict;
            assert_eq!(
                verdict == DROPPED,
                expected,
                "packet {position} of {rule:?}"
            );
        }
        assert!(chosen > 50, "the model chose {chosen} only: {rule:?}");
        assert_eq!(classifier.counters(0).dropped_packets, chosen);
    }
}

#[test]
fn first_packets_of_each_connection() {
    let classifier = Classifier::new(&[Rule {
        choice: CHOICE_FIRST,
        count: 2,
        ..loss()
    }]);
    for port in [1000, 1001] {
        let verdicts = [0; 4].map(|_| classifier.egress(&v4().udp(port, 2, b"x")).verdict);
        assert_eq!(verdicts, [DROPPED, DROPPED, PASSED, PASSED]);
    }
    // A TCP connection that was open before has its first packets behind it.
    let tcp = |port, flags| classifier.egress(&v4().tcp(port, 80, flags, b"x")).verdict;
    assert_eq!(tcp(7, tcp_flags::ACK), PASSED);
    let opened = [
        tcp(8, tcp_flags::SYN),
        tcp(8, tcp_flags::ACK),
        tcp(8, tcp_flags::ACK),
    ];
    assert_eq!(opened, [DROPPED, DROPPED, PASSED]);
    // A SYN that is sent again opens no second connection: else its loss would never end.
    let again = [0; 3].map(|_| tcp(9, tcp_flags::SYN));
    assert_eq!(again, [DROPPED, DROPPED, PASSED]);
}

#[test]
fn one_bit_behind_the_headers_is_flipped() {
    let classifier = Classifier::new(&[Rule {
        fault: FAULT_CORRUPT,
        ..loss()
    }]);
    let udp = frame();
    let tcp = v4().vlan(3).tcp(1, 2, tcp_flags::ACK, &[7; 30]);
    // Ethernet, IPv4, UDP; the same with a tag and TCP.
    for (sent, headers) in [(udp, 14 + 20 + 8), (tcp, 18 + 20 + 20)] {
        let mut places = Vec::new();
        for _ in 0..200 {
            let run = classifier.egress(&sent);
            assert_eq!(run.verdict, PASSED);
            let differing: Vec<usize> = (0..sent.len())
                .filter(|&at| run.frame[at] != sent[at])
                .collect();
            let [at] = differing[..] else {
                panic!("bytes {differing:?} differ");
            };
            assert_eq!((run.frame[at] ^ sent[at]).count_ones(), 1);
            assert!(at >= headers, "a header byte, {at}");
            places.push(at);
        }
        places.sort_unstable();
        places.dedup();
        assert!(places.len() > 10, "always the same bytes: {places:?}");
    }
    assert_eq!(
        classifier.counters(0).corrupted_packets,
        400,
        "one for each"
    );
    // Nothing to corrupt.
    let empty = v4().tcp(1, 2, tcp_flags::ACK, b"");
    assert_eq!(classifier.egress(&empty).frame, empty);
    assert_eq!(classifier.counters(0).corrupted_packets, 400);
}

#[test]
fn packets_that_are_sent_twice_are_counted_and_pass() {
    let classifier = Classifier::new(&[Rule {
        fault: FAULT_DUPLICATE,
        share_ppm: 500_000,
        seed: 9,
        ..loss()
    }])
    .interface(NOWHERE);
    for _ in 0..1000 {
        let run = classifier.egress(&frame());
        assert_eq!((run.verdict, run.frame), (PASSED, frame()));
    }
    let duplicated = classifier.counters(0).duplicated_packets;
    // n = 1000, p = 0.5: one standard error is 15.8, the bound is four of them.
    assert!((437..=563).contains(&duplicated), "{duplicated}, seed 9");
}

#[test]
fn copies_of_what_is_dropped_are_not_made() {
    let twice = Rule {
        fault: FAULT_DUPLICATE,
        ..loss()
    };
    let half = Rule {
        share_ppm: 500_000,
        seed: 9,
        ..loss()
    };
    let classifier = Classifier::new(&[twice, half, twice]).interface(NOWHERE);
    for _ in 0..100 {
        classifier.egress(&frame());
    }
    let [first, dropped, last] = [0, 1, 2].map(|slot| classifier.counters(slot));
    let dropped = dropped.dropped_packets;
    assert!((20..=80).contains(&dropped), "{dropped}, seed 9");
    assert_eq!(first.matched_packets, 100);
    assert_eq!(first.duplicated_packets, 100 - dropped);
    assert_eq!(last.duplicated_packets, 100 - dropped);
    // A line that is not there takes none, and the packet goes on alone.
    let classifier = Classifier::new(&[twice, delay()]);
    classifier.egress(&frame());
    assert_eq!(classifier.counters(0).duplicated_packets, 0);
}

#[test]
fn bandwidth_has_a_burst_a_queue_and_an_end() {
    assert_eq!(frame().len(), 106);
    let rule = |flags| Rule {
        fault: FAULT_RATE,
        flags,
        rate_bytes_per_s: 20,
        burst_ns: 11_000_000_000,
        queue_ns: 50_000_000_000,
        ..loss()
    };
    // A packet takes 5.3 s, longer than this test: 2 of them are in the burst of 11 s (which a machine that has just booted has
    // been up for), and 9 more in the queue of 50 s.
    let (in_burst, in_queue) = (2, 9);
    let shared = Classifier::new(&[rule(0)]).line(ENGINE_TAP, NOWHERE);
    for port in 0..20 {
        shared.egress(&v4().udp(port, 2, &[0x5a; 64]));
    }
    let counters = shared.counters(0);
    assert_eq!(counters.matched_packets, 20);
    // Those that wait would be held, were there a line.
    assert_eq!(counters.undelayed_packets, in_queue);
    assert_eq!(counters.dropped_packets, 20 - in_burst - in_queue);
    let per_flow = Classifier::new(&[rule(PER_FLOW)]).line(ENGINE_TAP, NOWHERE);
    for port in 0..20 {
        assert_eq!(
            per_flow.egress(&v4().udp(port, 2, &[0x5a; 64])).verdict,
            PASSED
        );
    }
    assert_eq!(per_flow.counters(0).undelayed_packets, 0);
}

#[test]
fn faults_of_several_rules_meet_in_one_packet() {
    let rules = [
        Rule {
            fault: FAULT_CORRUPT,
            ..loss()
        },
        Rule {
            protocol: PROTOCOL_TCP,
            ..loss()
        },
        delay(),
    ];
    let classifier = Classifier::new(&rules).line(ENGINE_TAP, NOWHERE);
    assert_ne!(classifier.egress(&frame()).frame, frame());
    let tcp = v4().tcp(1, 2, tcp_flags::ACK, b"xyz");
    assert_eq!(classifier.egress(&tcp).verdict, DROPPED);
    let matched = [0, 1, 2].map(|slot| classifier.counters(slot).matched_packets);
    assert_eq!(matched, [2, 1, 1]);
}

#[test]
fn pulse_acts_in_its_time_only() {
    let second = 1_000_000_000;
    let hour = 3600 * second;
    let mut classifier = Classifier::new(&[Rule {
        pulse_on_ns: hour,
        pulse_period_ns: 2 * hour,
        ..loss()
    }]);
    let now = chaos_daemon::attach::monotonic_ns();
    for (began, verdict) in [
        // A machine that has just booted has not been up for so long.
        (now.wrapping_sub(60 * second), DROPPED),
        (now.wrapping_sub(hour + 60 * second), PASSED),
        (now.wrapping_sub(2 * hour + 60 * second), DROPPED),
    ] {
        classifier.window(0, began, u64::MAX);
        assert_eq!(classifier.egress(&frame()).verdict, verdict);
    }
}
