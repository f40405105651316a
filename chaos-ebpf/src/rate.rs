//! Bandwidth: a token bucket, written as the time at which it has room again.

use chaos_abi::rule::Rule;

/// What becomes of a packet under a bandwidth limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How long it waits.
    pub wait_ns: u64,
    /// When there is room for the next one.
    pub room_ns: u64,
}

/// Turn of a packet of so many wire bytes that comes at `now_ns`; nothing when it would have to wait for too long.
///
/// A packet may go when the ones before it have gone at the rate; the bucket lets as much as `burst_ns` be ahead of it.
#[inline(always)]
pub const fn turn(rule: &Rule, room_ns: u64, now_ns: u64, bytes: u64) -> Option<Turn> {
    if rule.rate_bytes_per_s == 0 {
        return None;
    }
    // 64 KiB at 1 byte/s are 46 bits.
    let takes_ns = bytes * 1_000_000_000 / rule.rate_bytes_per_s;
    let earliest = now_ns.saturating_sub(rule.burst_ns);
    let begins = if room_ns > earliest {
        room_ns
    } else {
        earliest
    };
    let ends = begins + takes_ns;
    let wait_ns = ends.saturating_sub(now_ns);
    if wait_ns > rule.queue_ns && begins > now_ns {
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
    fn rule() -> Rule {
        Rule {
            rate_bytes_per_s: 1_000_000,
            burst_ns: SECOND / 100,
            queue_ns: SECOND / 10,
            ..Rule::default()
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
}
