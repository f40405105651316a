//! Bandwidth: a token bucket, written as the time at which it has room again.

use chaos_abi::rule::{RAMPS_RATE, Rule, Window};

use crate::shape;

/// A bandwidth at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// Wire bytes per second.
    pub bytes_per_s: u64,
    /// How far it may be used in advance, as the time that this takes.
    pub burst_ns: u64,
    /// A packet that would have to wait for longer is dropped.
    pub queue_ns: u64,
}

/// What becomes of a packet under a bandwidth limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How long it waits.
    pub wait_ns: u64,
    /// When there is room for the next one.
    pub room_ns: u64,
}

/// The rule's bandwidth at `now_ns`. Of one that changes, burst and queue are so many bytes all the time, which take more or
/// less time.
#[inline(always)]
pub const fn at(rule: &Rule, window: &Window, now_ns: u64) -> Bandwidth {
    let (mut burst_ns, mut queue_ns) = (rule.burst_ns, rule.queue_ns);
    let bytes_per_s = shape::bytes_per_s(rule, window, now_ns);
    if rule.ramps == RAMPS_RATE && bytes_per_s != 0 {
        burst_ns = larger(burst_ns, takes_ns(rule.burst_bytes, bytes_per_s));
        queue_ns = larger(queue_ns, takes_ns(rule.queue_bytes, bytes_per_s));
    }
    Bandwidth {
        bytes_per_s,
        burst_ns,
        queue_ns,
    }
}

/// To the microsecond: what waits is at most what the largest bandwidth takes 60 s for (43 bits).
#[inline(always)]
const fn takes_ns(bytes: u64, bytes_per_s: u64) -> u64 {
    bytes * 1_000_000 / bytes_per_s * 1000
}

#[inline(always)]
const fn larger(one: u64, other: u64) -> u64 {
    if one > other { one } else { other }
}

/// Turn of a packet of so many wire bytes that comes at `now_ns`; nothing when it would have to wait for too long.
///
/// A packet may go when the ones before it have gone at the rate; the bucket lets as much as `burst_ns` be ahead of it.
#[inline(always)]
pub const fn turn(bandwidth: &Bandwidth, room_ns: u64, now_ns: u64, bytes: u64) -> Option<Turn> {
    if bandwidth.bytes_per_s == 0 {
        return None;
    }
    // 64 KiB at 1 byte/s are 46 bits.
    let takes_ns = bytes * 1_000_000_000 / bandwidth.bytes_per_s;
    let earliest = now_ns.saturating_sub(bandwidth.burst_ns);
    let begins = larger(room_ns, earliest);
    let ends = begins + takes_ns;
    let wait_ns = ends.saturating_sub(now_ns);
    if wait_ns > bandwidth.queue_ns && begins > now_ns {
        return None;
    }
    Some(Turn {
        wait_ns,
        room_ns: ends,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// 1 MB/s, a burst of 10 kB, a queue of 100 kB.
    fn rule() -> Bandwidth {
        Bandwidth {
            bytes_per_s: 1_000_000,
            burst_ns: SECOND / 100,
            queue_ns: SECOND / 10,
        }
    }

    #[test]
    fn burst_goes_at_once_and_the_rest_at_the_rate() {
        let (rule, now) = (rule(), 5 * SECOND);
        let mut room = 0;
        let mut waits = [0; 20];
        for wait in &mut waits {
            let turn = turn(&rule, room, now, 1000).unwrap();
            (*wait, room) = (turn.wait_ns, turn.room_ns);
        }
        assert!(waits[..10].iter().all(|wait| *wait == 0), "{waits:?}");
        for (place, wait) in (1..).zip(&waits[10..]) {
            assert_eq!(*wait, place * SECOND / 1000, "{waits:?}");
        }
    }

    #[test]
    fn full_queue_drops_and_forgets_the_packet() {
        let (rule, now) = (rule(), 5 * SECOND);
        let mut room = 0;
        let mut passed = 0;
        for _ in 0..1000 {
            if let Some(turn) = turn(&rule, room, now, 1000) {
                room = turn.room_ns;
                passed += 1;
            }
        }
        // The burst, and what the queue holds.
        assert_eq!(passed, 10 + 100);
        assert!(turn(&rule, room, now + SECOND / 50, 1000).is_some());
    }

    #[test]
    fn idle_time_is_not_saved_beyond_the_burst() {
        let rule = rule();
        let turn = turn(&rule, 5 * SECOND, 50 * SECOND, 1000).unwrap();
        assert_eq!(turn.room_ns, 50 * SECOND - SECOND / 100 + SECOND / 1000);
    }

    #[test]
    fn packet_larger_than_the_queue_passes_when_it_is_alone() {
        let turn = turn(&rule(), 0, SECOND, 500_000).unwrap();
        assert_eq!(turn.wait_ns, SECOND / 2 - SECOND / 100);
    }

    /// What passes 1 MB/s within a second when it becomes 3 MB/s in the meantime, in packets of 1000 bytes.
    #[test]
    fn as_much_passes_as_the_middle_of_a_ramp_lets() {
        let window = Window {
            start_ns: 5 * SECOND,
            deadline_ns: u64::MAX,
        };
        let up = Rule {
            ramps: RAMPS_RATE,
            ramp_ns: SECOND,
            ramp_from: 1_000_000,
            rate_bytes_per_s: 3_000_000,
            burst_bytes: 3000,
            queue_bytes: 20_000,
            ..Rule::default()
        };
        let down = Rule {
            ramp_from: 3_000_000,
            rate_bytes_per_s: 1_000_000,
            ..up
        };
        for rule in [up, down] {
            let (mut room_ns, mut passed) = (0, 0);
            // A packet each 100 us, which are 10 MB/s.
            for now in (0..10_000).map(|packet| window.start_ns + packet * 100_000) {
                let bandwidth = at(&rule, &window, now);
                if let Some(turn) = turn(&bandwidth, room_ns, now, 1000) {
                    room_ns = turn.room_ns;
                    // What waits is at most the queue.
                    assert!(turn.wait_ns <= 20_000 * SECOND / bandwidth.bytes_per_s);
                    passed += u64::from(now + turn.wait_ns <= window.start_ns + SECOND);
                }
            }
            // Packets leave as fast as it was when they came, up to 20 ms earlier: 20 kB at most of it.
            assert!((1960..=2040).contains(&passed), "{passed} packets");
        }
    }

    #[test]
    fn a_bandwidth_that_changes_keeps_its_burst_and_queue() {
        let window = Window {
            start_ns: 0,
            deadline_ns: u64::MAX,
        };
        let given = Rule {
            ramps: RAMPS_RATE,
            ramp_ns: 100 * SECOND,
            ramp_from: 1_000_000,
            rate_bytes_per_s: 10_000_000,
            burst_bytes: 100_000,
            queue_bytes: 1_000_000,
            ..Rule::default()
        };
        let times = |rule: &Rule, now| {
            let now = at(rule, &window, now);
            (now.burst_ns, now.queue_ns)
        };
        assert_eq!(times(&given, 0), (SECOND / 10, SECOND));
        assert_eq!(times(&given, 200 * SECOND), (SECOND / 100, SECOND / 10));
        // Those that nobody asked for: 10 ms and at least 3000 bytes, and 1 s.
        let usual = Rule {
            burst_ns: SECOND / 100,
            queue_ns: SECOND,
            burst_bytes: 3000,
            queue_bytes: 0,
            ramp_from: 1000,
            ..given
        };
        assert_eq!(times(&usual, 0), (3 * SECOND, SECOND));
        assert_eq!(times(&usual, 200 * SECOND), (SECOND / 100, SECOND));
        // The largest that the agent lets pass.
        let largest = Rule {
            ramp_from: 125_000_000_000,
            rate_bytes_per_s: 125_000_000_000,
            burst_bytes: 1 << 30,
            queue_bytes: 60 * 125_000_000_000,
            ..given
        };
        assert_eq!(times(&largest, 0), (8_589_000, 60 * SECOND));
    }

    #[test]
    fn no_bandwidth_is_no_division_by_it() {
        let nothing = Rule {
            ramps: RAMPS_RATE,
            ramp_ns: SECOND,
            burst_bytes: 1,
            ..Rule::default()
        };
        let window = Window::default();
        assert_eq!(turn(&at(&nothing, &window, 0), 0, 0, 1), None);
    }
}
