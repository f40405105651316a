//! Faults in a few words, without their filters.

use std::time::Duration;

use chaos_proto::v1::loss::Model;
use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{
    Corrupt, Delay, Distribution, Loss, Partition, Ramp, Rate, Reorder, Reset, Rewrite, Rule,
};

use super::distribution;
use crate::quantity::{
    from_wire, interval, packets, rate_in_words, share_in_words, size_in_words, time_in_words,
};

const WHOLE_PPM: u32 = 1_000_000;

/// A fault without its filter: `delay 100 ms ± 20 ms`.
pub fn fault(rule: &Rule) -> String {
    match &rule.fault {
        None => "nothing".to_owned(),
        Some(Fault::Delay(delay)) => of_delay(delay),
        Some(Fault::Loss(loss)) => of_loss(loss),
        Some(Fault::Duplicate(duplicate)) => {
            let share = share(duplicate.share_ppm, duplicate.ramp.as_ref());
            with(
                format!("duplicate {share}"),
                &[correlation(duplicate.correlation_ppm)],
            )
        }
        Some(Fault::Reorder(reorder)) => of_reorder(reorder),
        Some(Fault::Corrupt(corrupt)) => of_corrupt(corrupt),
        Some(Fault::Rate(rate)) => of_rate(rate),
        Some(Fault::Partition(partition)) => of_partition(partition),
        Some(Fault::Reset(reset)) => of_reset(reset),
        Some(Fault::Rewrite(rewrite)) => of_rewrite(rewrite),
        Some(Fault::Dns(dns)) => {
            let (text, details) = super::dns::fault(dns);
            with(text, &details)
        }
        Some(Fault::Http(http)) => super::service::http(http),
        Some(Fault::Grpc(grpc)) => super::service::grpc(grpc),
    }
}

fn of_delay(delay: &Delay) -> String {
    let text = match delay.quantile_ns[..] {
        [first, .., last] => {
            let held = interval(Duration::from_nanos(first), Duration::from_nanos(last));
            format!("delay {held} as measured")
        }
        _ => around_latency(delay),
    };
    with(
        text,
        &[
            correlation(delay.correlation_ppm),
            delay.reorder.then(|| "reordering".to_owned()),
        ],
    )
}

fn around_latency(delay: &Delay) -> String {
    let latency = from_wire(delay.latency.as_ref());
    let jitter = from_wire(delay.jitter.as_ref());
    let mut text = match &delay.ramp {
        None => format!("delay {}", time_in_words(latency)),
        Some(ramp) => format!(
            "delay {}",
            changing(
                &time_in_words(from_wire(ramp.from.as_ref())),
                &time_in_words(latency),
                ramp
            )
        ),
    };
    if !jitter.is_zero() {
        text.push_str(" ± ");
        text.push_str(&time_in_words(jitter));
        match delay.distribution() {
            Distribution::Unspecified | Distribution::Uniform => {}
            named @ (Distribution::Normal | Distribution::Pareto | Distribution::Paretonormal) => {
                text.push(' ');
                text.push_str(distribution(named));
            }
        }
    }
    text
}

fn of_loss(loss: &Loss) -> String {
    let percent = share_in_words;
    match &loss.model {
        None => with(
            format!("loss {}", share(loss.share_ppm, loss.ramp.as_ref())),
            &[correlation(loss.correlation_ppm)],
        ),
        Some(Model::GilbertElliott(model)) => format!(
            "loss in bursts (p {}, r {}, 1-h {}, 1-k {})",
            percent(model.to_bad_ppm),
            percent(model.to_good_ppm),
            percent(model.lost_in_bad_ppm),
            percent(model.lost_in_good_ppm)
        ),
        Some(Model::FourStates(model)) => format!(
            "loss by four states (p13 {}, p31 {}, p32 {}, p23 {}, p14 {})",
            percent(model.p13_ppm),
            percent(model.p31_ppm),
            percent(model.p32_ppm),
            percent(model.p23_ppm),
            percent(model.p14_ppm)
        ),
        Some(Model::Every(number)) => format!("loss of 1 packet in {}", packets((*number).into())),
        Some(Model::First(1)) => "loss of the first packet of each connection".to_owned(),
        Some(Model::First(number)) => format!(
            "loss of the first {} packets of each connection",
            packets((*number).into())
        ),
    }
}

fn of_reorder(reorder: &Reorder) -> String {
    let by = time_in_words(from_wire(reorder.by.as_ref()));
    let gap = (reorder.gap > 0).then(|| format!("gap {}", packets(reorder.gap.into())));
    with(
        format!(
            "reorder {} by {by}",
            share(reorder.share_ppm, reorder.ramp.as_ref())
        ),
        &[correlation(reorder.correlation_ppm), gap],
    )
}

fn of_corrupt(corrupt: &Corrupt) -> String {
    with(
        format!(
            "corrupt {}",
            share(corrupt.share_ppm, corrupt.ramp.as_ref())
        ),
        &[
            correlation(corrupt.correlation_ppm),
            corrupt.drop.then(|| "dropped".to_owned()),
        ],
    )
}

/// A share of something that is not all of it: `30 % of packets`, `of packets: 0 % to 30 % within 1 min`.
pub(super) fn part(ppm: u32, ramp: Option<&Ramp>, of: &str) -> Option<String> {
    match ramp {
        None => (ppm < WHOLE_PPM).then(|| format!("{} of {of}", share_in_words(ppm))),
        Some(_) => Some(format!("of {of}: {}", share(ppm, ramp))),
    }
}

fn share(ppm: u32, ramp: Option<&Ramp>) -> String {
    match ramp {
        None => share_in_words(ppm),
        Some(ramp) => changing(&share_in_words(ramp.from_ppm), &share_in_words(ppm), ramp),
    }
}

fn changing(from: &str, to: &str, ramp: &Ramp) -> String {
    let over = time_in_words(from_wire(ramp.over.as_ref()));
    format!("{from} to {to} within {over}")
}

fn of_partition(partition: &Partition) -> String {
    let ppm = partition.share_ppm.unwrap_or(WHOLE_PPM);
    with(
        "partition".to_owned(),
        &[
            part(ppm, partition.ramp.as_ref(), "packets"),
            partition.reject.then(|| "rejecting".to_owned()),
        ],
    )
}

fn of_rewrite(rewrite: &Rewrite) -> String {
    let ppm = rewrite.share_ppm.unwrap_or(WHOLE_PPM);
    let share = part(ppm, rewrite.ramp.as_ref(), "packets");
    with(format!("rewrite {}", super::rewritten(rewrite)), &[share])
}

fn of_reset(reset: &Reset) -> String {
    let share = part(reset.share_ppm, reset.ramp.as_ref(), "connections");
    let after = reset
        .after
        .as_ref()
        .map(|after| format!("after {}", time_in_words(from_wire(Some(after)))));
    let carried =
        (reset.after_bytes > 0).then(|| format!("after {}", size_in_words(reset.after_bytes)));
    with("reset".to_owned(), &[share, after, carried])
}

fn of_rate(rate: &Rate) -> String {
    let end = rate_in_words(rate.bytes_per_second);
    let bandwidth = match &rate.ramp {
        None => end,
        Some(ramp) => changing(&rate_in_words(ramp.from_bytes_per_second), &end, ramp),
    };
    let size = |name: &str, bytes| (bytes > 0).then(|| format!("{name} {}", size_in_words(bytes)));
    with(
        format!("rate {bandwidth}"),
        &[
            rate.per_flow.then(|| "per flow".to_owned()),
            size("burst", rate.burst_bytes),
            size("queue", rate.queue_bytes),
        ],
    )
}

fn correlation(ppm: u32) -> Option<String> {
    (ppm > 0).then(|| format!("correlation {}", share_in_words(ppm)))
}

pub(super) fn with(text: String, details: &[Option<String>]) -> String {
    let details: Vec<_> = details.iter().flatten().map(String::as_str).collect();
    if details.is_empty() {
        text
    } else {
        format!("{text} ({})", details.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use chaos_proto::v1::{self, Dns, Duplicate, FourStates, GilbertElliott};

    use super::*;

    fn say(fault: Fault) -> String {
        super::fault(&Rule {
            fault: Some(fault),
            ..Rule::default()
        })
    }

    fn ms(ms: u64) -> Option<prost_types::Duration> {
        Duration::from_millis(ms).try_into().ok()
    }

    #[test]
    fn delays_say_how_long_and_how_they_vary() {
        let plain = Delay {
            latency: ms(100),
            ..Delay::default()
        };
        assert_eq!(say(Fault::Delay(plain.clone())), "delay 100 ms");
        let normal = Delay {
            jitter: ms(20),
            distribution: Distribution::Normal.into(),
            correlation_ppm: 250_000,
            reorder: true,
            ..plain.clone()
        };
        assert_eq!(
            say(Fault::Delay(normal)),
            "delay 100 ms ± 20 ms normal (correlation 25 %, reordering)"
        );
        let ramp = Delay {
            ramp: Some(v1::Ramp {
                from: ms(0),
                over: ms(30_000),
                ..Ramp::default()
            }),
            ..plain
        };
        assert_eq!(say(Fault::Delay(ramp)), "delay 0 s to 100 ms within 30 s");
        let measured = Delay {
            quantile_ns: vec![1_000_000, 2_000_000, 250_000_000],
            ..Delay::default()
        };
        assert_eq!(say(Fault::Delay(measured)), "delay 1 to 250 ms as measured");
    }

    #[test]
    fn losses_say_how_packets_are_chosen() {
        let model = |model| {
            say(Fault::Loss(Loss {
                model: Some(model),
                ..Loss::default()
            }))
        };
        let bursts = Model::GilbertElliott(GilbertElliott {
            to_bad_ppm: 10_000,
            to_good_ppm: 100_000,
            lost_in_bad_ppm: 1_000_000,
            lost_in_good_ppm: 0,
        });
        assert_eq!(
            model(bursts),
            "loss in bursts (p 1 %, r 10 %, 1-h 100 %, 1-k 0 %)"
        );
        assert_eq!(
            model(Model::FourStates(FourStates {
                p13_ppm: 10_000,
                ..FourStates::default()
            })),
            "loss by four states (p13 1 %, p31 0 %, p32 0 %, p23 0 %, p14 0 %)"
        );
        assert_eq!(model(Model::Every(1000)), "loss of 1 packet in 1,000");
        assert_eq!(
            model(Model::First(1)),
            "loss of the first packet of each connection"
        );
        assert_eq!(
            model(Model::First(3)),
            "loss of the first 3 packets of each connection"
        );
    }

    #[test]
    fn the_others_say_what_was_asked() {
        let reorder = Reorder {
            share_ppm: 50_000,
            correlation_ppm: 10_000,
            gap: 9,
            by: ms(10),
            ramp: None,
        };
        assert_eq!(
            say(Fault::Reorder(reorder)),
            "reorder 5 % by 10 ms (correlation 1 %, gap 9)"
        );
        let corrupt = Corrupt {
            share_ppm: 10_000,
            correlation_ppm: 0,
            drop: true,
            ramp: None,
        };
        assert_eq!(say(Fault::Corrupt(corrupt)), "corrupt 1 % (dropped)");
        let rate = Rate {
            bytes_per_second: 1_250_000,
            burst_bytes: 65_536,
            queue_bytes: 500_000,
            per_flow: true,
            ramp: None,
        };
        assert_eq!(
            say(Fault::Rate(rate)),
            "rate 10 Mbit/s (per flow, burst 64 KiB, queue 500 kB)"
        );
        let partition = |reject| {
            say(Fault::Partition(Partition {
                reject,
                ..Partition::default()
            }))
        };
        assert_eq!(partition(false), "partition");
        assert_eq!(partition(true), "partition (rejecting)");
        let reset = |share_ppm, after_bytes| {
            say(Fault::Reset(v1::Reset {
                share_ppm,
                after_bytes,
                ..v1::Reset::default()
            }))
        };
        assert_eq!(reset(1_000_000, 0), "reset");
        assert_eq!(
            reset(200_000, 65_536),
            "reset (20 % of connections, after 64 KiB)"
        );
    }

    #[test]
    fn ramps_say_both_ends() {
        let ramp = Some(Ramp {
            from_ppm: 0,
            from_bytes_per_second: 1_250_000,
            over: ms(60_000),
            ..Ramp::default()
        });
        let share_ppm = 300_000;
        for (fault, expected) in [
            (
                Fault::Loss(Loss {
                    share_ppm,
                    correlation_ppm: 10_000,
                    ramp,
                    ..Loss::default()
                }),
                "loss 0 % to 30 % within 1 min (correlation 1 %)",
            ),
            (
                Fault::Duplicate(Duplicate {
                    share_ppm,
                    ramp,
                    ..Duplicate::default()
                }),
                "duplicate 0 % to 30 % within 1 min",
            ),
            (
                Fault::Corrupt(Corrupt {
                    share_ppm,
                    ramp,
                    ..Corrupt::default()
                }),
                "corrupt 0 % to 30 % within 1 min",
            ),
            (
                Fault::Reorder(Reorder {
                    share_ppm,
                    ramp,
                    by: ms(10),
                    ..Reorder::default()
                }),
                "reorder 0 % to 30 % within 1 min by 10 ms",
            ),
            (
                Fault::Rate(Rate {
                    bytes_per_second: 125_000,
                    ramp,
                    ..Rate::default()
                }),
                "rate 10 Mbit/s to 1 Mbit/s within 1 min",
            ),
            (
                Fault::Partition(Partition {
                    reject: true,
                    share_ppm: Some(WHOLE_PPM),
                    ramp,
                }),
                "partition (of packets: 0 % to 100 % within 1 min, rejecting)",
            ),
            (
                Fault::Reset(v1::Reset {
                    share_ppm,
                    ramp,
                    ..v1::Reset::default()
                }),
                "reset (of connections: 0 % to 30 % within 1 min)",
            ),
            (
                Fault::Rewrite(v1::Rewrite {
                    ttl: Some(3),
                    share_ppm: Some(share_ppm),
                    ramp,
                    ..v1::Rewrite::default()
                }),
                "rewrite TTL 3 (of packets: 0 % to 30 % within 1 min)",
            ),
            (
                Fault::Dns(Dns {
                    reply: v1::DnsReply::Nxdomain.into(),
                    share_ppm,
                    ramp,
                    ..Dns::default()
                }),
                "dns NXDOMAIN for all names (of questions: 0 % to 30 % within 1 min)",
            ),
        ] {
            assert_eq!(say(fault), expected);
        }
    }
}
