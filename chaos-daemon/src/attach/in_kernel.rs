//! Rules in the words of the kernel.

use chaos_abi::rule as abi;

use super::clock::nanoseconds;
use crate::engine::{
    Choice, Connections, Delay, Direction, Fault, Filter, Ppm, Protocol, Ramp, Rate, Rule,
    SMALLEST_BURST, Share, Side,
};

/// A rule of this target. What it needs from other maps is still missing: its table and its identity.
pub(super) fn in_kernel(target: u32, rule: &Rule, seed: u64) -> abi::Rule {
    let mut out = abi::Rule {
        seed,
        target,
        ..abi::Rule::default()
    };
    filter(&mut out, &rule.filter);
    if let Some(pulse) = rule.pulse {
        out.pulse_on_ns = nanoseconds(pulse.on);
        out.pulse_period_ns = nanoseconds(pulse.on + pulse.off);
    }
    fault(&mut out, &rule.fault);
    out
}

fn filter(out: &mut abi::Rule, filter: &Filter) {
    out.directions = match filter.direction {
        Direction::Egress => abi::EGRESS,
        Direction::Ingress => abi::INGRESS,
        Direction::Both => abi::EGRESS | abi::INGRESS,
    };
    out.protocol = match filter.protocol {
        None => abi::PROTOCOL_ANY,
        Some(Protocol::Tcp) => abi::PROTOCOL_TCP,
        Some(Protocol::Udp) => abi::PROTOCOL_UDP,
        Some(Protocol::Icmp) => abi::PROTOCOL_ICMP,
    };
    out.port_count = u32::try_from(filter.ports.len()).unwrap_or(u32::MAX);
    for (to, (side, range)) in out.ports.iter_mut().zip(&filter.ports) {
        *to = abi::PortRange {
            first: range.first,
            last: range.last,
            side: match side {
                Side::Either => abi::PORT_OF_EITHER,
                Side::Target => abi::PORT_OF_TARGET,
                Side::Peer => abi::PORT_OF_PEER,
            },
            reserved: 0,
        };
        out.port_sides |= u32::from(to.side);
    }
    out.flows_ppm = filter.flows.0;
    out.dscp = filter.dscp.unwrap_or_default().into();
    (out.least_len, out.most_len) = filter.length;
    let flags = [
        (!filter.peers.is_empty(), abi::HAS_PEERS),
        (!filter.exceptions.is_empty(), abi::HAS_EXCEPTIONS),
        (filter.syn_only, abi::SYN_ONLY),
        (filter.dscp.is_some(), abi::HAS_DSCP),
        (filter.connections == Connections::New, abi::NEW_CONNECTIONS),
        (
            filter.connections == Connections::Established,
            abi::OLD_CONNECTIONS,
        ),
    ];
    for (_, flag) in flags.iter().filter(|(wanted, _)| *wanted) {
        out.flags |= flag;
    }
}

fn fault(out: &mut abi::Rule, fault: &Fault) {
    // Everything that matches, unless the fault says otherwise.
    out.share_ppm = Ppm::ALL.0;
    match fault {
        Fault::Delay(delay) => hold(out, delay),
        Fault::Loss(choice) => {
            out.fault = abi::FAULT_LOSS;
            choose(out, choice);
        }
        Fault::Duplicate(choice) => {
            out.fault = abi::FAULT_DUPLICATE;
            choose(out, choice);
        }
        Fault::Reorder { choice, by } => {
            out.fault = abi::FAULT_DELAY;
            out.flags |= abi::REORDERS;
            out.delay_ns = nanoseconds(*by);
            choose(out, choice);
        }
        Fault::Corrupt { choice, drop } => {
            out.fault = if *drop {
                abi::FAULT_LOSS
            } else {
                abi::FAULT_CORRUPT
            };
            choose(out, choice);
        }
        Fault::Rate(rate) => limit(out, rate),
        Fault::Partition { reject, share } => {
            out.fault = if *reject {
                abi::FAULT_REJECT
            } else {
                abi::FAULT_LOSS
            };
            of_packets(out, *share);
        }
        Fault::Rewrite(rewrite) => {
            out.fault = abi::FAULT_REWRITE;
            of_packets(out, rewrite.share);
        }
        Fault::Reset(reset) => {
            out.fault = abi::FAULT_RESET;
            out.model_ppm[0] = reset.share.ppm.0;
            ramp(out, abi::RAMPS_CONNECTIONS, reset.share.ramp, from_ppm);
            out.after_ns = reset.after.map_or(0, nanoseconds);
            out.after_bytes = reset.after_bytes;
        }
        Fault::Dns(dns) => {
            out.fault = abi::FAULT_DNS;
            of_packets(out, dns.share);
        }
        // Never gets here; a rule without a fault lets everything pass.
        Fault::Http(_) | Fault::Grpc(_) => {}
    }
}

fn hold(out: &mut abi::Rule, delay: &Delay) {
    out.fault = abi::FAULT_DELAY;
    out.delay_ns = nanoseconds(delay.latency);
    out.jitter_ns = nanoseconds(delay.jitter);
    out.repeat_ppm = delay.correlation.0;
    if delay.reorder {
        out.flags |= abi::REORDERS;
    }
    ramp(out, abi::RAMPS_DELAY, delay.ramp, nanoseconds);
}

fn of_packets(out: &mut abi::Rule, share: Share) {
    out.share_ppm = share.ppm.0;
    ramp(out, abi::RAMPS_SHARE, share.ramp, from_ppm);
}

fn from_ppm(ppm: Ppm) -> u64 {
    ppm.0.into()
}

fn ramp<T>(out: &mut abi::Rule, what: u32, ramp: Option<Ramp<T>>, number: impl Fn(T) -> u64) {
    if let Some(Ramp { from, over }) = ramp {
        out.ramps = what;
        out.ramp_from = number(from);
        out.ramp_ns = nanoseconds(over);
    }
}

fn choose(out: &mut abi::Rule, choice: &Choice) {
    match *choice {
        Choice::Random {
            share,
            correlation,
            gap,
        } => {
            out.choice = abi::CHOICE_RANDOM;
            of_packets(out, share);
            out.correlation_ppm = correlation.0;
            out.count = gap;
        }
        Choice::GilbertElliott {
            to_bad,
            to_good,
            in_bad,
            in_good,
        } => {
            out.choice = abi::CHOICE_GILBERT_ELLIOTT;
            out.model_ppm = [to_bad.0, to_good.0, in_bad.0, in_good.0, 0];
        }
        Choice::FourStates(all) => {
            out.choice = abi::CHOICE_FOUR_STATES;
            out.model_ppm = all.map(|ppm| ppm.0);
        }
        Choice::Every(count) => {
            out.choice = abi::CHOICE_EVERY;
            out.count = count;
        }
        Choice::First(count) => {
            out.choice = abi::CHOICE_FIRST;
            out.count = count;
        }
    }
}

fn limit(out: &mut abi::Rule, rate: &Rate) {
    out.fault = abi::FAULT_RATE;
    out.rate_bytes_per_s = rate.bytes_per_second;
    if rate.ramp.is_some() {
        changing_limit(out, rate);
    } else {
        let burst =
            u128::from(rate.burst()) * 1_000_000_000 / u128::from(rate.bytes_per_second.max(1));
        out.burst_ns = u64::try_from(burst).unwrap_or(u64::MAX);
        out.queue_ns = nanoseconds(rate.longest_wait());
    }
    if rate.per_flow {
        out.flags |= abi::PER_FLOW;
    }
}

/// Burst and queue of a bandwidth that changes: those that were given are bytes, the others a time.
fn changing_limit(out: &mut abi::Rule, rate: &Rate) {
    ramp(out, abi::RAMPS_RATE, rate.ramp, |from| from);
    match rate.burst_bytes {
        0 => (out.burst_ns, out.burst_bytes) = (USUAL_BURST_NS, SMALLEST_BURST),
        bytes => out.burst_bytes = bytes,
    }
    match rate.queue_bytes {
        0 => out.queue_ns = nanoseconds(rate.longest_wait()),
        bytes => out.queue_bytes = bytes,
    }
}

/// What passes in so long may pass at once.
const USUAL_BURST_NS: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::{Distribution, PortRange, Pulse, Reset};

    fn of(fault: Fault) -> abi::Rule {
        let rule = Rule {
            filter: Filter::default(),
            fault,
            pulse: None,
        };
        in_kernel(1, &rule, 2)
    }

    #[test]
    fn every_part_of_a_filter_arrives() {
        let rule = Rule {
            filter: Filter {
                direction: Direction::Both,
                protocol: Some(Protocol::Udp),
                ports: vec![
                    (
                        Side::Either,
                        PortRange {
                            first: 53,
                            last: 54,
                        },
                    ),
                    (Side::Peer, PortRange { first: 1, last: 2 }),
                ],
                peers: vec!["fd00::/8".parse().unwrap()],
                exceptions: vec!["fd00::1/128".parse().unwrap()],
                flows: Ppm(5),
                connections: Connections::Established,
                syn_only: true,
                dscp: Some(46),
                length: (64, 1500),
            },
            fault: Fault::Partition {
                reject: false,
                share: Share::ALL,
            },
            pulse: Some(Pulse {
                on: Duration::from_secs(2),
                off: Duration::from_secs(8),
            }),
        };
        let out = in_kernel(7, &rule, 9);
        assert_eq!((out.target, out.seed, out.directions), (7, 9, 3));
        assert_eq!((out.protocol, out.port_count, out.port_sides), (17, 2, 5));
        let first = abi::PortRange {
            first: 53,
            last: 54,
            side: abi::PORT_OF_EITHER,
            reserved: 0,
        };
        assert_eq!(out.ports[0], first);
        assert_eq!((out.flows_ppm, out.dscp), (5, 46));
        assert_eq!((out.least_len, out.most_len), (64, 1500));
        let flags = abi::HAS_PEERS
            | abi::HAS_EXCEPTIONS
            | abi::SYN_ONLY
            | abi::HAS_DSCP
            | abi::OLD_CONNECTIONS;
        assert_eq!(out.flags, flags);
        assert_eq!(
            (out.pulse_on_ns, out.pulse_period_ns),
            (2_000_000_000, 10_000_000_000)
        );
        assert_eq!((out.fault, out.share_ppm), (abi::FAULT_LOSS, 1_000_000));
    }

    #[test]
    fn every_part_of_a_delay_arrives() {
        let out = of(Fault::Delay(Delay {
            latency: Duration::from_millis(2),
            jitter: Duration::from_micros(1),
            distribution: Distribution::Uniform,
            correlation: Ppm(3),
            reorder: true,
            ramp: Some(Ramp {
                from: Duration::from_nanos(4),
                over: Duration::from_nanos(5),
            }),
        }));
        assert_eq!(
            (out.fault, out.delay_ns, out.jitter_ns),
            (abi::FAULT_DELAY, 2_000_000, 1000)
        );
        assert_eq!((out.repeat_ppm, out.flags), (3, abi::REORDERS));
        assert_eq!(
            (out.ramps, out.ramp_from, out.ramp_ns, out.share_ppm),
            (abi::RAMPS_DELAY, 4, 5, 1_000_000)
        );
    }

    #[test]
    fn choices_are_told_apart() {
        let random = Choice::Random {
            share: Share::of(Ppm(1)),
            correlation: Ppm(2),
            gap: 3,
        };
        let out = of(Fault::Duplicate(random));
        assert_eq!(
            (out.fault, out.choice),
            (abi::FAULT_DUPLICATE, abi::CHOICE_RANDOM)
        );
        assert_eq!((out.share_ppm, out.correlation_ppm, out.count), (1, 2, 3));
        let out = of(Fault::Corrupt {
            choice: random,
            drop: true,
        });
        assert_eq!(out.fault, abi::FAULT_LOSS);
        let out = of(Fault::Loss(Choice::FourStates([1, 2, 3, 4, 5].map(Ppm))));
        assert_eq!(
            (out.choice, out.model_ppm),
            (abi::CHOICE_FOUR_STATES, [1, 2, 3, 4, 5])
        );
        let out = of(Fault::Loss(Choice::First(6)));
        assert_eq!((out.choice, out.count), (abi::CHOICE_FIRST, 6));
    }

    #[test]
    fn bandwidth_becomes_times() {
        let out = of(Fault::Rate(Rate {
            bytes_per_second: 1_000_000,
            burst_bytes: 10_000,
            queue_bytes: 100_000,
            per_flow: true,
            ramp: None,
        }));
        assert_eq!((out.fault, out.flags), (abi::FAULT_RATE, abi::PER_FLOW));
        assert_eq!((out.burst_ns, out.queue_ns), (10_000_000, 100_000_000));
    }

    #[test]
    fn every_kind_of_ramp_arrives() {
        let share = Share {
            ppm: Ppm(1),
            ramp: Some(Ramp {
                from: Ppm(2),
                over: Duration::from_nanos(3),
            }),
        };
        let ramp = |out: abi::Rule| (out.ramps, out.share_ppm, out.ramp_from, out.ramp_ns);
        for fault in [
            Fault::Loss(Choice::Random {
                share,
                correlation: Ppm::NONE,
                gap: 0,
            }),
            Fault::Partition {
                reject: true,
                share,
            },
        ] {
            assert_eq!(ramp(of(fault)), (abi::RAMPS_SHARE, 1, 2, 3));
        }
        let out = of(Fault::Reset(Reset {
            share,
            after: None,
            after_bytes: 0,
        }));
        assert_eq!(ramp(out), (abi::RAMPS_CONNECTIONS, 1_000_000, 2, 3));
        assert_eq!(out.model_ppm[0], 1);
    }

    #[test]
    fn bandwidth_that_changes_keeps_what_was_given_in_bytes() {
        let rate = Rate {
            bytes_per_second: 10_000_000,
            ramp: Some(Ramp {
                from: 1_000_000,
                over: Duration::from_secs(1),
            }),
            burst_bytes: 0,
            queue_bytes: 0,
            per_flow: false,
        };
        let times = |out: abi::Rule| (out.burst_ns, out.burst_bytes, out.queue_ns, out.queue_bytes);
        let usual = of(Fault::Rate(rate));
        assert_eq!((usual.ramps, usual.ramp_from), (abi::RAMPS_RATE, 1_000_000));
        assert_eq!(times(usual), (10_000_000, 3000, 1_000_000_000, 0));
        let given = of(Fault::Rate(Rate {
            burst_bytes: 7,
            queue_bytes: 8,
            ..rate
        }));
        assert_eq!(times(given), (0, 7, 0, 8));
    }
}
