//! What is to happen to requests. Knows neither how they come nor who asked.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use ipnet::IpNet;

use super::counters::Tally;
use crate::engine::{Fault, Filter, Grpc, Http, Ppm, Pulse, Rule};

/// What a rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceFault {
    /// To HTTP.
    Http(Box<Http>),
    /// To gRPC.
    Grpc(Box<Grpc>),
}

/// Which connections a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// In one of these; empty: any.
    pub peers: Vec<IpNet>,
    /// In none of these.
    pub exceptions: Vec<IpNet>,
    /// Share of them.
    pub flows: Ppm,
}

/// When a rule acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From then on.
    pub start: Instant,
    /// Not then any more.
    pub deadline: Instant,
    /// By turns in between.
    pub pulse: Option<Pulse>,
}

/// A rule of one port.
#[derive(Clone, Debug)]
pub struct ServiceRule {
    /// Which connections.
    pub clients: Clients,
    /// When.
    pub window: Window,
    /// What.
    pub fault: ServiceFault,
    /// What chance follows from.
    pub seed: u64,
    /// Where it counts; a rule that replaces another may go on with its numbers.
    pub tally: Arc<Tally>,
}

/// The rules of one port, which can be replaced while requests run.
#[derive(Debug)]
pub(super) struct Rules {
    epoch: AtomicU64,
    rules: Mutex<Arc<[ServiceRule]>>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            epoch: AtomicU64::new(0),
            rules: Mutex::new(Arc::new([])),
        }
    }
}

/// The rules of one port as a connection last saw them, and which of them look at it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    epoch: u64,
    pub(super) rules: Arc<[ServiceRule]>,
    /// Whether each looks at this connection; empty: all do.
    looks: Box<[bool]>,
}

impl Rules {
    /// Each request meets the rules before, or these.
    pub(super) fn set(&self, rules: Arc<[ServiceRule]>) {
        let mut held = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        *held = rules;
        self.epoch.fetch_add(1, Ordering::Release);
    }

    pub(super) fn current(&self) -> Arc<[ServiceRule]> {
        let held = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&held)
    }

    /// Whether a rule of those that were seen is there still, or one that goes on with its numbers.
    pub(super) fn has(&self, seen: &Seen, index: usize) -> bool {
        let Some(rule) = seen.rules.get(index) else {
            return false;
        };
        let is_same = |other: &ServiceRule| Arc::ptr_eq(&other.tally, &rule.tally);
        self.epoch.load(Ordering::Acquire) == seen.epoch || self.current().iter().any(is_same)
    }

    /// Brings `seen` up to date for a connection from `client`.
    pub(super) fn look(&self, seen: &mut Seen, client: (IpAddr, u16)) {
        // Read first: rules that come in between are looked at again.
        let epoch = self.epoch.load(Ordering::Acquire);
        if seen.epoch == epoch {
            return;
        }
        let rules = self.current();
        let looks = if rules.iter().all(|rule| rule.clients.is_all()) {
            Box::default()
        } else {
            let looks = |rule: &ServiceRule| rule.clients.has(client, rule.seed);
            rules.iter().map(looks).collect()
        };
        *seen = Seen {
            epoch,
            rules,
            looks,
        };
    }
}

impl ServiceRule {
    /// A rule as the engine has it; nothing if it is one of packets.
    pub fn new(
        rule: &Rule,
        window: (Instant, Instant),
        seed: u64,
        tally: Arc<Tally>,
    ) -> Option<Self> {
        let fault = match &rule.fault {
            Fault::Http(http) => ServiceFault::Http(http.clone()),
            Fault::Grpc(grpc) => ServiceFault::Grpc(grpc.clone()),
            Fault::Delay(_)
            | Fault::Loss(_)
            | Fault::Duplicate(_)
            | Fault::Reorder { .. }
            | Fault::Corrupt { .. }
            | Fault::Rate(_)
            | Fault::Partition { .. }
            | Fault::Reset(_)
            | Fault::Rewrite(_)
            | Fault::Dns(_) => return None,
        };
        let (start, deadline) = window;
        Some(Self {
            clients: Clients::of(&rule.filter),
            window: Window {
                start,
                deadline,
                pulse: rule.pulse,
            },
            fault,
            seed,
            tally,
        })
    }
}

impl Seen {
    /// Nothing has been seen.
    pub(super) fn nothing() -> Self {
        Self {
            epoch: u64::MAX,
            rules: Arc::new([]),
            looks: Box::default(),
        }
    }

    /// Whether the rule of this index looks at the connection.
    pub(super) fn looks(&self, index: usize) -> bool {
        self.looks.get(index).copied().unwrap_or(true)
    }
}

impl Clients {
    /// Every connection.
    #[cfg(test)]
    pub(super) const fn all() -> Self {
        Self {
            peers: Vec::new(),
            exceptions: Vec::new(),
            flows: Ppm::ALL,
        }
    }

    fn of(filter: &Filter) -> Self {
        Self {
            peers: filter.peers.clone(),
            exceptions: filter.exceptions.clone(),
            flows: filter.flows,
        }
    }

    fn is_all(&self) -> bool {
        self.peers.is_empty() && self.exceptions.is_empty() && self.flows == Ppm::ALL
    }

    fn has(&self, (address, port): (IpAddr, u16), seed: u64) -> bool {
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        if within(&self.exceptions) || !(self.peers.is_empty() || within(&self.peers)) {
            return false;
        }
        let bits = match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        #[expect(clippy::cast_possible_truncation, reason = "both halves go in")]
        let folded = (bits >> 64) as u64 ^ bits as u64;
        chance::hits(
            self.flows,
            seed,
            folded ^ (u64::from(port) << 48),
            chance::FLOW,
        )
    }
}

impl Window {
    /// Whether a rule acts.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        let Some(since) = now.checked_duration_since(self.start) else {
            return false;
        };
        let is_on = |Pulse { on, off }| {
            let period = (on + off).as_nanos().max(1);
            since.as_nanos() % period < on.as_nanos()
        };
        now < self.deadline && self.pulse.is_none_or(is_on)
    }
}

/// Chance that repeats: the same seed, number and purpose give the same.
pub(super) mod chance {
    use std::time::Duration;

    use crate::engine::Ppm;

    pub(in crate::relay) const FLOW: u64 = 1;
    pub(in crate::relay) const ERROR: u64 = 2;
    pub(in crate::relay) const ABORT: u64 = 3;
    pub(in crate::relay) const DELAY: u64 = 4;
    pub(in crate::relay) const AMOUNT: u64 = 5;

    /// The finish of splitmix64.
    fn mix(mut bits: u64) -> u64 {
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn draw(seed: u64, number: u64, purpose: u64) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15_u64;
        mix(mix(seed.wrapping_add(purpose.wrapping_mul(step)))
            .wrapping_add(number.wrapping_mul(step)))
    }

    /// Below `bound`, evenly.
    fn below(bound: u64, seed: u64, number: u64, purpose: u64) -> u64 {
        let product = u128::from(draw(seed, number, purpose)) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// Whether the request of this number is one of the share.
    pub(in crate::relay) fn hits(share: Ppm, seed: u64, number: u64, purpose: u64) -> bool {
        share == Ppm::ALL
            || (share != Ppm::NONE && below(1_000_000, seed, number, purpose) < u64::from(share.0))
    }

    /// Evenly from `delay - variation` to `delay + variation`.
    pub(in crate::relay) fn around(
        delay: Duration,
        variation: Duration,
        seed: u64,
        number: u64,
    ) -> Duration {
        if variation.is_zero() {
            return delay;
        }
        let width = u64::try_from(2 * variation.as_nanos() + 1).unwrap_or(u64::MAX);
        let amount = Duration::from_nanos(below(width, seed, number, AMOUNT));
        (delay + amount).saturating_sub(variation)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_rule_acts_from_its_start_to_its_deadline_by_turns() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut window = Window {
            start: at(100),
            deadline: at(1000),
            pulse: None,
        };
        let open = |window: &Window, ms| window.is_open(at(ms));
        assert!(!open(&window, 99) && open(&window, 100) && open(&window, 999));
        assert!(!open(&window, 1000));
        window.pulse = Some(Pulse {
            on: Duration::from_millis(20),
            off: Duration::from_millis(80),
        });
        assert!(open(&window, 100) && open(&window, 119) && !open(&window, 120));
        assert!(!open(&window, 199) && open(&window, 200) && !open(&window, 1000));
    }

    #[test]
    fn connections_are_chosen_by_address_and_by_share() {
        let mut clients = Clients {
            peers: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            exceptions: vec!["10.1.0.0/16".parse().unwrap()],
            flows: Ppm::ALL,
        };
        let has = |clients: &Clients, address: &str, port| {
            clients.has((address.parse().unwrap(), port), 3)
        };
        assert!(has(&clients, "10.2.0.1", 1) && has(&clients, "fd00::1", 1));
        assert!(!has(&clients, "10.1.0.1", 1) && !has(&clients, "11.0.0.1", 1));
        clients.flows = Ppm(250_000);
        let hit = (0..40_000)
            .filter(|&port| has(&clients, "10.2.0.1", port))
            .count();
        // n = 40,000, p = 0.25: five standard deviations are 433.
        assert!((9_567..=10_433).contains(&hit), "{hit}");
        let again = (0..40_000)
            .filter(|&port| has(&clients, "10.2.0.1", port))
            .count();
        assert_eq!(hit, again);
    }

    #[test]
    fn chance_keeps_its_share_and_its_bounds_and_repeats() {
        for seed in [0, 1, u64::MAX] {
            let hits = |purpose| {
                let hit = |&number: &u64| chance::hits(Ppm(100_000), seed, number, purpose);
                (0..100_000).filter(hit).count()
            };
            // n = 100,000, p = 0.1: five standard deviations are 474.
            for purpose in [chance::ERROR, chance::ABORT, chance::DELAY] {
                assert!(
                    (9_526..=10_474).contains(&hits(purpose)),
                    "{seed} {}",
                    hits(purpose)
                );
            }
            let both = |&number: &u64| {
                chance::hits(Ppm(100_000), seed, number, chance::ERROR)
                    && chance::hits(Ppm(100_000), seed, number, chance::DELAY)
            };
            // One says nothing of the other: p = 0.01, five standard deviations are 157.
            let both = (0..100_000).filter(both).count();
            assert!((843..=1_157).contains(&both), "{seed} {both}");

            let (delay, variation) = (Duration::from_millis(100), Duration::from_millis(50));
            let amounts = (0..10_000).map(|number| chance::around(delay, variation, seed, number));
            let amounts: Vec<Duration> = amounts.collect();
            let (least, most) = (amounts.iter().min().unwrap(), amounts.iter().max().unwrap());
            assert!(
                (50..52).contains(&least.as_millis()) && (148..=150).contains(&most.as_millis())
            );
            let mean = amounts.iter().sum::<Duration>() / 10_000;
            // Evenly over 100 ms: the mean of 10,000 is within 5 of 0.29 ms.
            assert!((98_500..101_500).contains(&mean.as_micros()), "{mean:?}");
        }
        assert!(chance::hits(Ppm::ALL, 1, 2, 3) && !chance::hits(Ppm::NONE, 1, 2, 3));
    }
}
