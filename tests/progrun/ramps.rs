//! Amounts that change, as the kernel computes them, against their plain model: a straight line in floating point.

use std::net::Ipv4Addr;

use chaos_abi::{
    line::ENGINE_TAP,
    rule::{
        FAULT_DELAY, FAULT_DUPLICATE, FAULT_RATE, FAULT_RESET, PROTOCOL_TCP, RAMPS_CONNECTIONS,
        RAMPS_DELAY, RAMPS_RATE, RAMPS_SHARE, REORDERS, Rule,
    },
};
use chaos_daemon::attach::monotonic_ns;
use chaos_ebpf::chance;
use chaos_tests::{
    packet::{Frame, tcp_flags},
    random::Random,
};

use crate::{
    classifier::{Classifier, DROPPED, loss},
    holds::apart,
};

const SECOND: u64 = 1_000_000_000;
/// Any machine has been up for so long when a test runs on it.
const PASSED: u64 = 5 * SECOND;
/// Loopback is number 1 in each network namespace.
const LOOPBACK: u32 = 1;

fn frame() -> Vec<u8> {
    Frame::v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)).udp(1, 2, b"x")
}

#[expect(clippy::cast_precision_loss, reason = "a model to compare with")]
fn number(integer: u64) -> f64 {
    integer as f64
}

/// A ramp that began some time ago.
#[derive(Debug, Clone, Copy)]
struct Line {
    from: f64,
    to: f64,
    start_ns: u64,
    ramp_ns: u64,
}

impl Line {
    fn new(from: u64, to: u64, start_ns: u64, ramp_ns: u64) -> Self {
        Self {
            from: number(from),
            to: number(to),
            start_ns,
            ramp_ns,
        }
    }

    fn at(&self, now_ns: u64) -> f64 {
        let passed = number(now_ns.saturating_sub(self.start_ns));
        let part = (passed / number(self.ramp_ns)).min(1.0);
        self.from + (self.to - self.from) * part
    }

    /// Smallest and largest between two times, with what the kernel's integers may be off.
    fn between(&self, before_ns: u64, after_ns: u64) -> (f64, f64) {
        let ends = [self.at(before_ns), self.at(after_ns)];
        let off = 1.0 + (self.to - self.from).abs() * 3e-6;
        (ends[0].min(ends[1]) - off, ends[0].max(ends[1]) + off)
    }
}

/// How long a ramp is of which so many per cent have passed; above 100, it is over.
fn ramp_ns(percent: u64) -> u64 {
    PASSED * 100 / percent.max(1)
}

/// The upper half of a random number, in parts per million as they are compared with a share.
fn drawn(random: u64) -> f64 {
    number(((random >> 32) * 1_000_000) >> 32)
}

#[test]
fn shares_are_as_the_line_has_them() {
    let mut random = Random::new();
    let seed = random.seed();
    let mut near = 0;
    let mut classifier = Classifier::new(&[loss()]);
    for case in 0..40 {
        let mut below = |end| random.next_u64() % end;
        let (from, to, percent) = (below(1_000_001), below(1_000_001), below(120));
        let correlation = [0, 300_000][case % 2];
        let rule = Rule {
            seed: below(u64::MAX),
            ramps: RAMPS_SHARE,
            ramp_from: from,
            share_ppm: u32::try_from(to).unwrap(),
            correlation_ppm: correlation,
            ramp_ns: ramp_ns(percent),
            ..loss()
        };
        classifier.replace(0, &rule);
        let line = Line::new(from, to, monotonic_ns() - PASSED, rule.ramp_ns);
        classifier.window(0, line.start_ns, u64::MAX);
        let mut was_lost = false;
        for position in 0..200 {
            let before = monotonic_ns();
            let is_lost = classifier.egress(&frame()).verdict == DROPPED;
            let (least, most) = line.between(before, monotonic_ns());
            let correlation = f64::from(correlation) / 1e6;
            let follows = |share: f64| match was_lost {
                _ if correlation == 0.0 => share,
                true => share + correlation * (1e6 - share),
                false => share * (1.0 - correlation),
            };
            let drawn = drawn(chance::at(rule.seed, position));
            // What is drawn between the two may become either.
            if drawn < follows(least) - 1.0 {
                assert!(
                    is_lost,
                    "packet {position}, seed {seed}: {drawn} of {line:?}, {rule:?}"
                );
            } else if drawn > follows(most) + 1.0 {
                assert!(
                    !is_lost,
                    "packet {position}, seed {seed}: {drawn} of {line:?}, {rule:?}"
                );
            } else {
                near += 1;
            }
            was_lost = is_lost;
        }
    }
    // 8000 draws, and a share moves by some parts in a million meanwhile: a busy machine sees more.
    assert!(
        near < 400,
        "{near} of 8000 were too near to say, seed {seed}"
    );
}

#[test]
fn what_is_done_to_a_share_does_not_matter() {
    // Half of it: of what is not lost, the packets are counted by what was done to them.
    let rule = Rule {
        fault: FAULT_DUPLICATE,
        seed: 20_261_121,
        ramps: RAMPS_SHARE,
        share_ppm: 1_000_000,
        ramp_ns: ramp_ns(50),
        ..loss()
    };
    let mut classifier = Classifier::new(&[rule]).interface(0x7fff_ffff);
    classifier.window(0, monotonic_ns() - PASSED, u64::MAX);
    for _ in 0..1000 {
        classifier.egress(&frame());
    }
    let twice = classifier.counters(0).duplicated_packets;
    // n = 1000, p = 0.5 and, on a machine that takes a second for it, 0.6 in the end: five standard errors are 79.
    assert!((420..=680).contains(&twice), "{twice}");
}

#[test]
fn connections_end_when_the_line_has_come_to_them() {
    let mut random = Random::new();
    let seed = random.seed();
    for _ in 0..10 {
        let mut below = |end| random.next_u64() % end;
        let (from, to, percent) = (below(1_000_001), below(1_000_001), below(120));
        let rule = Rule {
            seed: below(u64::MAX),
            fault: FAULT_RESET,
            protocol: PROTOCOL_TCP,
            ramps: RAMPS_CONNECTIONS,
            ramp_from: from,
            model_ppm: [u32::try_from(to).unwrap(), 0, 0, 0, 0],
            ramp_ns: ramp_ns(percent),
            ..loss()
        };
        let mut classifier = Classifier::new(&[rule]);
        let line = Line::new(from, to, monotonic_ns() - PASSED, rule.ramp_ns);
        classifier.window(0, line.start_ns, u64::MAX);
        let frame = Frame::v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let before = monotonic_ns();
        for port in 1000..1300 {
            classifier.egress(&frame.tcp(port, 80, tcp_flags::ACK, b"x"));
        }
        let (least, most) = line.between(before, monotonic_ns());
        let ended = number(classifier.counters(0).matched_packets);
        // n = 300: five standard errors are 43 at most.
        let (least, most) = (300e-6 * least - 43.0, 300e-6 * most + 43.0);
        assert!(
            (least..=most).contains(&ended),
            "{ended} of 300, expected {least} to {most}, seed {seed}: {line:?}"
        );
    }
}

/// When a packet leaves that is held, by the label that it carries into a TAP line; and between which times it was held.
fn departure(classifier: &Classifier) -> (u64, u64, u64) {
    let before = monotonic_ns();
    let run = classifier.egress(&frame());
    let after = monotonic_ns();
    let departure = run.frame.first_chunk().unwrap();
    (u64::from_ne_bytes(*departure), before, after)
}

#[test]
fn delays_are_as_the_line_has_them() {
    let mut random = Random::new();
    let seed = random.seed();
    apart(move || {
        let mut classifier = Classifier::new(&[loss()]).line(ENGINE_TAP, LOOPBACK);
        for _ in 0..30 {
            let mut below = |end| random.next_u64() % end;
            let (from, to) = (below(60 * SECOND), 1 + below(60 * SECOND));
            let rule = Rule {
                fault: FAULT_DELAY,
                flags: REORDERS,
                ramps: RAMPS_DELAY,
                ramp_from: from,
                delay_ns: to,
                ramp_ns: ramp_ns(below(120)),
                ..loss()
            };
            classifier.replace(0, &rule);
            let line = Line::new(from, to, monotonic_ns() - PASSED, rule.ramp_ns);
            classifier.window(0, line.start_ns, u64::MAX);
            let (departure, before, after) = departure(&classifier);
            let (least, most) = line.between(before, after);
            let held = (number(departure - after), number(departure - before));
            assert!(
                held.0 <= most && held.1 >= least,
                "held for {held:?}, expected {least} to {most}, seed {seed}: {line:?}"
            );
        }
    });
}

#[test]
fn bandwidths_are_as_the_line_has_them() {
    let mut random = Random::new();
    let seed = random.seed();
    apart(move || {
        let mut classifier = Classifier::new(&[loss()]).line(ENGINE_TAP, LOOPBACK);
        for _ in 0..30 {
            let mut below = |end| random.next_u64() % end;
            // So slow that packets queue up while they are sent.
            let (from, to) = (1000 + below(20_000), 1000 + below(20_000));
            let rule = Rule {
                fault: FAULT_RATE,
                ramps: RAMPS_RATE,
                ramp_from: from,
                rate_bytes_per_s: to,
                ramp_ns: ramp_ns(below(120)),
                queue_ns: 60 * SECOND,
                ..loss()
            };
            classifier.replace(0, &rule);
            let line = Line::new(from, to, monotonic_ns() - PASSED, rule.ramp_ns);
            classifier.window(0, line.start_ns, u64::MAX);
            let bytes = number(frame().len().try_into().unwrap());
            let mut room = 0;
            for packet in 0..5 {
                let (departure, before, after) = departure(&classifier);
                let (least, most) = line.between(before, after);
                // It takes its turn behind the one before, or at once.
                let (soonest, latest) = (before.max(room), after.max(room));
                let took = (number(departure - latest), number(departure - soonest));
                let (shortest, longest) = (bytes * 1e9 / most - 1.0, bytes * 1e9 / least + 1.0);
                assert!(
                    took.0 <= longest && took.1 >= shortest,
                    "packet {packet} took {took:?}, expected {shortest} to {longest}, seed {seed}: {line:?}"
                );
                room = departure;
            }
        }
    });
}

#[test]
fn bytes_of_a_burst_and_a_queue_stay_while_the_bandwidth_changes() {
    let frame = frame();
    let size = u64::try_from(frame.len()).unwrap();
    // Packets of a second each: three in the burst, and four wait.
    let rule = Rule {
        fault: FAULT_RATE,
        ramps: RAMPS_RATE,
        ramp_from: size,
        rate_bytes_per_s: 1_000_000_000,
        ramp_ns: 3600 * SECOND,
        burst_bytes: 3 * size + size / 2,
        queue_bytes: 4 * size,
        ..loss()
    };
    let mut classifier = Classifier::new(&[rule]).line(ENGINE_TAP, 0x7fff_ffff);
    // It has not begun, for as long as this takes.
    classifier.window(0, monotonic_ns() + 3600 * SECOND, u64::MAX);
    for _ in 0..20 {
        classifier.egress(&frame);
    }
    let counters = classifier.counters(0);
    assert_eq!(counters.undelayed_packets, 4, "{counters:?}");
    assert_eq!(counters.dropped_packets, 20 - 3 - 4, "{counters:?}");
}
