//! What a delay will feel like.

use std::fmt::Write as _;
use std::time::Duration;

use chaos_proto::v1::{Delay, Distribution, Protocol};

use super::Way;
use crate::quantity::{from_wire, interval, time_in_words};

/// The effect to expect of a delay.
pub(super) fn of(delay: &Delay, way: Way, protocol: Protocol) -> String {
    let mut text = if delay.quantile_ns.is_empty() {
        around_latency(delay, way, protocol)
    } else {
        measured(&delay.quantile_ns, way)
    };
    let jitter = from_wire(delay.jitter.as_ref());
    if delay.reorder {
        text.push_str("; packets of a flow overtake each other, which TCP may take for loss");
    } else if !jitter.is_zero() && is_uniform(delay) {
        let _ = write!(
            text,
            "; no packet overtakes another of its flow, so packets closer together than {} lean to the upper end",
            time_in_words(jitter.saturating_mul(2))
        );
    } else if !jitter.is_zero() || !delay.quantile_ns.is_empty() {
        text.push_str(
            "; no packet overtakes another of its flow, so packets that are close together lean to the upper end",
        );
    }
    text
}

fn is_uniform(delay: &Delay) -> bool {
    match delay.distribution() {
        Distribution::Unspecified | Distribution::Uniform => true,
        Distribution::Normal | Distribution::Pareto | Distribution::Paretonormal => false,
    }
}

fn around_latency(delay: &Delay, way: Way, protocol: Protocol) -> String {
    let latency = from_wire(delay.latency.as_ref());
    let jitter = from_wire(delay.jitter.as_ref());
    let uniform = is_uniform(delay);
    let longer = |latency: Duration, round_trips: u32| {
        let times = way.times * round_trips;
        let spread = if uniform { jitter } else { Duration::ZERO };
        let least = latency.saturating_sub(spread).saturating_mul(times);
        let most = latency.saturating_add(spread).saturating_mul(times);
        interval(least, most)
    };
    let average = if uniform { "" } else { " on average" };
    let (changes, then) = match &delay.ramp {
        None => (format!("{} longer{average}", longer(latency, 1)), ""),
        Some(ramp) => {
            let changes = format!(
                "{} longer at the start, and evenly changing {} longer{average} after {}",
                longer(from_wire(ramp.from.as_ref()), 1),
                longer(latency, 1),
                time_in_words(from_wire(ramp.over.as_ref()))
            );
            (changes, " then")
        }
    };
    let mut text = match protocol {
        Protocol::Unspecified | Protocol::Tcp => format!(
            "each round trip of matching packets takes {changes}: a new HTTP connection{then} about {}",
            longer(latency, 2)
        ),
        Protocol::Udp => format!(
            "each round trip of matching packets takes {changes}: a DNS question{then} about {}",
            longer(latency, 1)
        ),
        Protocol::Icmp => format!("each ping takes {changes}"),
    };
    if !uniform {
        let _ = write!(
            text,
            "; each packet's delay has a standard deviation of {}",
            time_in_words(jitter)
        );
    }
    text
}

fn measured(quantile_ns: &[u64], way: Way) -> String {
    let at = |percent: usize| {
        let place = quantile_ns.len().saturating_sub(1) * percent / 100;
        Duration::from_nanos(quantile_ns.get(place).copied().unwrap_or_default())
    };
    let passes = match way.times {
        1 => "once",
        _ => "twice",
    };
    format!(
        "each matching packet is held for {}, half of them for at most {} and 99 % for at most {}; a round trip meets that {passes}",
        interval(at(0), at(100)),
        time_in_words(at(50)),
        time_in_words(at(99))
    )
}

#[cfg(test)]
mod tests {
    use chaos_proto::v1::Ramp;

    use super::*;

    const ONCE: Way = Way {
        times: 1,
        packets: "that leave the target",
    };

    fn ms(ms: u64) -> Option<prost_types::Duration> {
        Duration::from_millis(ms).try_into().ok()
    }

    #[test]
    fn named_distributions_are_told_by_mean_and_deviation() {
        let mut delay = Delay {
            latency: ms(100),
            jitter: ms(20),
            distribution: Distribution::Pareto.into(),
            ..Delay::default()
        };
        assert_eq!(
            of(&delay, ONCE, Protocol::Tcp),
            "each round trip of matching packets takes 100 ms longer on average: a new HTTP connection about 200 ms; \
             each packet's delay has a standard deviation of 20 ms; \
             no packet overtakes another of its flow, so packets that are close together lean to the upper end"
        );
        delay.reorder = true;
        assert!(of(&delay, ONCE, Protocol::Tcp).ends_with("which TCP may take for loss"));
    }

    #[test]
    fn a_ramp_is_told_by_both_ends() {
        let delay = Delay {
            latency: ms(200),
            ramp: Some(Ramp {
                from: ms(0),
                over: ms(30_000),
                ..Ramp::default()
            }),
            ..Delay::default()
        };
        assert_eq!(
            of(&delay, ONCE, Protocol::Icmp),
            "each ping takes 0 s longer at the start, and evenly changing 200 ms longer after 30 s"
        );
        assert_eq!(
            of(&delay, ONCE, Protocol::Tcp),
            "each round trip of matching packets takes 0 s longer at the start, and evenly changing 200 ms longer \
             after 30 s: a new HTTP connection then about 400 ms"
        );
    }

    #[test]
    fn measured_latencies_are_told_by_their_quantiles() {
        let delay = Delay {
            quantile_ns: (0..=1000).map(|ms| ms * 1_000_000).collect(),
            ..Delay::default()
        };
        assert_eq!(
            of(&delay, Way { times: 2, ..ONCE }, Protocol::Tcp),
            "each matching packet is held for 0 to 1 s, half of them for at most 500 ms and 99 % for at most 990 ms; \
             a round trip meets that twice; \
             no packet overtakes another of its flow, so packets that are close together lean to the upper end"
        );
    }
}
