//! What an experiment will feel like, before it runs: one sentence for each rule.
//!
//! A round trip crosses the target's interface once in each direction, so a rule for one direction meets it once and a
//! rule for both meets it twice. A new HTTP connection needs two round trips: the handshake, then question and answer.

mod delay;
mod dns;
mod loss;
mod ramp;
mod service;

use std::time::Duration;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{
    Connections, Corrupt, Direction, Duplicate, Filter, Partition, Protocol, Rate, Reorder, Reset,
    Rewrite, Rule,
};

use self::ramp::at_most;
use super::words;
use crate::quantity::{
    from_wire, packets, rate_in_words, share_in_words, size_in_words, time_in_words,
};

const WHOLE_PPM: u32 = 1_000_000;

/// The effect to expect of one rule.
pub fn of_rule(rule: &Rule) -> String {
    let none = Filter::default();
    let filter = rule.filter.as_ref().unwrap_or(&none);
    let way = Way::of(filter.direction());
    let protocol = filter.protocol();
    let mut text = match &rule.fault {
        None => "nothing happens".to_owned(),
        Some(Fault::Delay(delay)) => delay::of(delay, way, protocol),
        Some(Fault::Loss(loss)) => loss::of(loss, way, filter),
        Some(Fault::Duplicate(duplicate)) => of_duplicate(duplicate, way, protocol),
        Some(Fault::Reorder(reorder)) => of_reorder(reorder, way, protocol),
        Some(Fault::Corrupt(corrupt)) => of_corrupt(corrupt, way, filter),
        Some(Fault::Rate(rate)) => of_rate(rate, way),
        Some(Fault::Partition(partition)) => of_partition(partition, way, filter),
        Some(Fault::Reset(reset)) => of_reset(reset, filter),
        Some(Fault::Rewrite(rewrite)) => of_rewrite(rewrite, way),
        Some(Fault::Dns(dns)) => dns::of(dns, filter),
        Some(Fault::Http(http)) => service::http(http),
        Some(Fault::Grpc(grpc)) => service::grpc(grpc),
    };
    if let Some(ramp) = rule.fault.as_ref().and_then(ramp::of) {
        text.push_str("; ");
        text.push_str(&ramp);
    }
    if let Some(pulse) = &rule.pulse {
        text.push_str("; ");
        text.push_str(&words::pulse(pulse));
    }
    text
}

#[derive(Clone, Copy)]
struct Way {
    /// How often a round trip meets the rule.
    times: u32,
    packets: &'static str,
}

impl Way {
    fn of(direction: Direction) -> Self {
        match direction {
            Direction::Unspecified | Direction::Egress => Self {
                times: 1,
                packets: "that leave the target",
            },
            Direction::Ingress => Self {
                times: 1,
                packets: "that arrive at the target",
            },
            Direction::Both => Self {
                times: 2,
                packets: "in either direction",
            },
        }
    }
}

/// `30 % of matching packets that leave the target`.
fn some(share_ppm: u32, way: Way) -> String {
    if share_ppm >= WHOLE_PPM {
        return format!("all matching packets {}", way.packets);
    }
    format!(
        "{} of matching packets {}",
        share_in_words(share_ppm),
        way.packets
    )
}

fn of_duplicate(duplicate: &Duplicate, way: Way, protocol: Protocol) -> String {
    let consequence = match protocol {
        Protocol::Unspecified => "TCP discards the copies, UDP applications get them",
        Protocol::Tcp => "TCP discards the copies, which cost bandwidth",
        Protocol::Udp => "applications get the same datagram again",
        Protocol::Icmp => "ping shows them as DUP",
    };
    let some = some(at_most(duplicate.share_ppm, duplicate.ramp.as_ref()), way);
    format!("{some} are sent twice: {consequence}")
}

fn of_reorder(reorder: &Reorder, way: Way, protocol: Protocol) -> String {
    let by = time_in_words(from_wire(reorder.by.as_ref()));
    let tcp = "TCP may take them for lost and send them again";
    let consequence = match protocol {
        Protocol::Unspecified => format!("{tcp}, UDP applications see the order change"),
        Protocol::Tcp => tcp.to_owned(),
        Protocol::Udp => "applications see the order change".to_owned(),
        Protocol::Icmp => format!("pings more than {by} apart are not overtaken, only delayed"),
    };
    let gap = match reorder.gap {
        0 => String::new(),
        gap => format!(", with at least {} between two,", packets(gap.into())),
    };
    let some = some(at_most(reorder.share_ppm, reorder.ramp.as_ref()), way);
    format!(
        "{some} are held for {by}{gap} and overtaken by those that follow meanwhile: {consequence}"
    )
}

fn of_partition(partition: &Partition, way: Way, filter: &Filter) -> String {
    let share_ppm = partition.share_ppm.unwrap_or(WHOLE_PPM);
    let share_ppm = at_most(share_ppm, partition.ramp.as_ref());
    if !partition.reject {
        return loss::by_share(share_ppm, way, filter);
    }
    let consequence = match filter.protocol() {
        Protocol::Unspecified => {
            "connections are refused, open ones end, and pings find the port unreachable"
        }
        Protocol::Tcp => "connections are refused, and open ones end",
        Protocol::Udp => "questions are refused at once",
        Protocol::Icmp => "pings find the port unreachable",
    };
    format!(
        "{} are dropped, and their senders told: {consequence}",
        some(share_ppm, way)
    )
}

fn of_rewrite(rewrite: &Rewrite, way: Way) -> String {
    let share_ppm = rewrite.share_ppm.unwrap_or(WHOLE_PPM);
    let mut text = format!(
        "{} go on with {}; checksums of IP, TCP and UDP stay right",
        some(at_most(share_ppm, rewrite.ramp.as_ref()), way),
        words::rewritten(rewrite)
    );
    if rewrite.destination_port.is_some() || !rewrite.destination_address.is_empty() {
        text.push_str(
            "; new connections go there and get answers from there, open ones stay, and those that went there break when the fault ends",
        );
    }
    text
}

fn of_reset(reset: &Reset, filter: &Filter) -> String {
    let share_ppm = at_most(reset.share_ppm, reset.ramp.as_ref());
    let some = match share_ppm {
        ppm if ppm >= WHOLE_PPM => "matching TCP connections".to_owned(),
        ppm => format!("{} of matching TCP connections", share_in_words(ppm)),
    };
    let when = match &reset.after {
        Some(after) => format!(
            "{} after their first packet",
            time_in_words(from_wire(Some(after)))
        ),
        None if reset.after_bytes > 0 => {
            format!(
                "when they have carried {}",
                size_in_words(reset.after_bytes)
            )
        }
        None => "with their next packet".to_owned(),
    };
    let new = match filter.connections() {
        Connections::Established => "; new ones are not touched",
        Connections::Unspecified | Connections::New
            if reset.after.is_some() || reset.after_bytes > 0 =>
        {
            "; new ones as well"
        }
        Connections::Unspecified | Connections::New if share_ppm < WHOLE_PPM => {
            "; of new ones, as many are refused"
        }
        Connections::Unspecified | Connections::New => "; new ones are refused",
    };
    format!("{some} end {when}, and both ends see \"connection reset\"{new}")
}

fn of_corrupt(corrupt: &Corrupt, way: Way, filter: &Filter) -> String {
    let share_ppm = at_most(corrupt.share_ppm, corrupt.ramp.as_ref());
    if corrupt.drop {
        return format!(
            "as corrupt packets, {}",
            loss::by_share(share_ppm, way, filter)
        );
    }
    let some = some(share_ppm, way);
    format!(
        "one bit of {some} is flipped: a receiver that checks the checksum drops them; where it is offloaded, the application gets wrong data"
    )
}

fn of_rate(rate: &Rate, way: Way) -> String {
    let bandwidth = rate_in_words(rate.bytes_per_second);
    let shared = match (rate.per_flow, way.times) {
        (true, _) => "each flow by itself",
        (false, 1) => "all of a target together",
        (false, _) => "all of a target and direction together",
    };
    let queue = match rate.queue_bytes {
        0 => "more waits for up to 1 s, and what is beyond that is dropped".to_owned(),
        bytes => format!(
            "of more, {} wait, which takes {}, and what is beyond that is dropped",
            size_in_words(bytes),
            time_in_words(takes(rate.bytes_per_second, bytes))
        ),
    };
    format!(
        "matching packets {} pass at {bandwidth}, {shared}: 1 MB takes {}; {queue}",
        way.packets,
        time_in_words(takes(rate.bytes_per_second, 1_000_000))
    )
}

/// How long so many bytes take, with three digits.
fn takes(bytes_per_second: u64, bytes: u64) -> Duration {
    let ns = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_second.max(1));
    let step = match ns {
        0..1_000 => 1,
        ns => 10_u128.pow(ns.ilog10() - 2),
    };
    let rounded = (ns + step / 2) / step * step;
    Duration::from_nanos(u64::try_from(rounded).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use chaos_proto::v1::{Delay, Loss, Pulse};

    use super::*;

    fn filter(direction: Direction, protocol: Protocol) -> Filter {
        Filter {
            direction: direction.into(),
            protocol: protocol.into(),
            ..Filter::default()
        }
    }

    fn delay(latency_ms: u64, jitter_ms: u64, direction: Direction, protocol: Protocol) -> String {
        let wire = |ms| Duration::from_millis(ms).try_into().ok();
        of_rule(&Rule {
            filter: Some(filter(direction, protocol)),
            fault: Some(Fault::Delay(Delay {
                latency: wire(latency_ms),
                jitter: wire(jitter_ms),
                ..Delay::default()
            })),
            pulse: None,
        })
    }

    fn loss(share_ppm: u32, direction: Direction, protocol: Protocol) -> String {
        of_rule(&Rule {
            filter: Some(filter(direction, protocol)),
            fault: Some(Fault::Loss(Loss {
                share_ppm,
                ..Loss::default()
            })),
            pulse: None,
        })
    }

    #[test]
    fn a_delay_is_told_by_round_trips() {
        for direction in [
            Direction::Unspecified,
            Direction::Egress,
            Direction::Ingress,
        ] {
            assert_eq!(
                delay(100, 0, direction, Protocol::Tcp),
                "each round trip of matching packets takes 100 ms longer: a new HTTP connection about 200 ms"
            );
        }
        assert_eq!(
            delay(100, 0, Direction::Both, Protocol::Unspecified),
            "each round trip of matching packets takes 200 ms longer: a new HTTP connection about 400 ms"
        );
        assert_eq!(
            delay(100, 0, Direction::Both, Protocol::Icmp),
            "each ping takes 200 ms longer"
        );
        assert_eq!(
            delay(50, 0, Direction::Egress, Protocol::Udp),
            "each round trip of matching packets takes 50 ms longer: a DNS question about 50 ms"
        );
    }

    #[test]
    fn jitter_makes_a_range() {
        assert_eq!(
            delay(100, 20, Direction::Both, Protocol::Tcp),
            "each round trip of matching packets takes 160 to 240 ms longer: \
             a new HTTP connection about 320 to 480 ms; \
             no packet overtakes another of its flow, so packets closer together than 40 ms lean to the upper end"
        );
    }

    #[test]
    fn a_loss_is_told_by_what_it_breaks() {
        assert_eq!(
            loss(300_000, Direction::Egress, Protocol::Udp),
            "30 % of matching packets that leave the target are dropped silently: \
             30 % of questions get no answer unless the application asks again"
        );
        assert_eq!(
            loss(300_000, Direction::Both, Protocol::Icmp),
            "30 % of matching packets in either direction are dropped silently: 51 % of pings get no answer"
        );
        assert!(
            loss(300_000, Direction::Ingress, Protocol::Tcp).contains("slower rather than broken")
        );
        assert_eq!(
            loss(1_000_000, Direction::Ingress, Protocol::Tcp),
            "all matching packets that arrive at the target are dropped silently: \
             open connections stall, new ones fail by timeout, and nobody is told why"
        );
    }

    fn say(fault: Fault, direction: Direction, protocol: Protocol) -> String {
        of_rule(&Rule {
            filter: Some(filter(direction, protocol)),
            fault: Some(fault),
            pulse: None,
        })
    }

    fn ms(ms: u64) -> Option<prost_types::Duration> {
        Duration::from_millis(ms).try_into().ok()
    }

    #[test]
    fn the_other_faults_are_told_by_what_a_receiver_sees() {
        let (both, egress) = (Direction::Both, Direction::Egress);
        let duplicate = Fault::Duplicate(Duplicate {
            share_ppm: 50_000,
            ..Duplicate::default()
        });
        assert_eq!(
            say(duplicate, both, Protocol::Udp),
            "5 % of matching packets in either direction are sent twice: applications get the same datagram again"
        );
        let reorder = |gap| {
            Fault::Reorder(Reorder {
                share_ppm: WHOLE_PPM,
                gap,
                by: ms(10),
                ..Reorder::default()
            })
        };
        assert_eq!(
            say(reorder(9), egress, Protocol::Tcp),
            "all matching packets that leave the target are held for 10 ms, with at least 9 between two, \
             and overtaken by those that follow meanwhile: TCP may take them for lost and send them again"
        );
        assert!(say(reorder(0), egress, Protocol::Icmp).contains("held for 10 ms and overtaken"));
        let corrupt = |drop| {
            Fault::Corrupt(Corrupt {
                share_ppm: 10_000,
                drop,
                ..Corrupt::default()
            })
        };
        assert!(say(corrupt(false), egress, Protocol::Udp).contains("gets wrong data"));
        assert_eq!(
            say(corrupt(true), egress, Protocol::Udp),
            "as corrupt packets, 1 % of matching packets that leave the target are dropped silently: \
             1 % of questions get no answer unless the application asks again"
        );
        assert!(
            say(Fault::Partition(Partition::default()), both, Protocol::Tcp).starts_with(
                "all matching packets in either direction are dropped silently: open connections stall"
            )
        );
    }

    #[test]
    fn what_is_answered_is_told_by_what_applications_see() {
        let partition = Fault::Partition(Partition {
            reject: true,
            ..Partition::default()
        });
        assert_eq!(
            say(partition, Direction::Both, Protocol::Tcp),
            "all matching packets in either direction are dropped, and their senders told: \
             connections are refused, and open ones end"
        );
        let reset = |after_ms: Option<u64>, after_bytes| {
            Fault::Reset(Reset {
                share_ppm: 200_000,
                after: after_ms.and_then(ms),
                after_bytes,
                ..Reset::default()
            })
        };
        let both = Direction::Both;
        assert_eq!(
            say(reset(None, 0), both, Protocol::Tcp),
            "20 % of matching TCP connections end with their next packet, and both ends see \"connection reset\"; \
             of new ones, as many are refused"
        );
        assert!(say(reset(Some(500), 0), both, Protocol::Tcp).contains("500 ms after their first"));
        assert!(say(reset(None, 1024), both, Protocol::Tcp).contains("have carried 1 KiB"));
    }

    #[test]
    fn a_rate_is_told_by_how_long_things_take() {
        let rate = Rate {
            bytes_per_second: 1_250_000,
            queue_bytes: 65_536,
            ..Rate::default()
        };
        assert_eq!(
            say(Fault::Rate(rate), Direction::Egress, Protocol::Tcp),
            "matching packets that leave the target pass at 10 Mbit/s, all of a target together: 1 MB takes 800 ms; \
             of more, 64 KiB wait, which takes 52.4 ms, and what is beyond that is dropped"
        );
        let rate = Rate {
            queue_bytes: 0,
            per_flow: true,
            ..rate
        };
        assert!(
            say(Fault::Rate(rate), Direction::Egress, Protocol::Tcp)
                .ends_with("each flow by itself: 1 MB takes 800 ms; more waits for up to 1 s, and what is beyond that is dropped")
        );
    }

    #[test]
    fn a_pulse_comes_last() {
        let mut rule = Rule {
            fault: Some(Fault::Partition(Partition::default())),
            ..Rule::default()
        };
        rule.pulse = Some(Pulse {
            on: ms(2000),
            off: ms(8000),
        });
        assert!(of_rule(&rule).ends_with("; 2 s on and 8 s off by turns"));
    }
}
