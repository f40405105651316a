//! Faults: from messages, and back.

use std::time::Duration;

use chaos_proto::v1::{self, loss::Model, rule::Fault as Wire};

use super::{
    dns, grpc, http,
    ramp::{self, read_share, write_share},
    rewrite,
    wire::{RequestError, read_time, write_time},
};
use crate::engine::{Choice, Delay, Distribution, Fault, Ppm, Rate, Reset, Share, SpecError};

pub(super) fn read(fault: Wire) -> Result<Fault, RequestError> {
    Ok(match fault {
        Wire::Delay(delay) => Fault::Delay(read_delay(delay)?),
        Wire::Loss(loss) => Fault::Loss(read_loss(loss)?),
        Wire::Duplicate(v1::Duplicate {
            share_ppm,
            correlation_ppm,
            ramp,
        }) => Fault::Duplicate(random(read_share(share_ppm, ramp)?, correlation_ppm, 0)),
        Wire::Reorder(v1::Reorder {
            share_ppm,
            correlation_ppm,
            gap,
            by,
            ramp,
        }) => Fault::Reorder {
            choice: random(read_share(share_ppm, ramp)?, correlation_ppm, gap),
            by: read_time(
                "the reordering",
                by.ok_or(RequestError::Missing("time to reorder by"))?,
            )?,
        },
        Wire::Corrupt(v1::Corrupt {
            share_ppm,
            correlation_ppm,
            drop,
            ramp,
        }) => Fault::Corrupt {
            choice: random(read_share(share_ppm, ramp)?, correlation_ppm, 0),
            drop,
        },
        Wire::Rate(v1::Rate {
            bytes_per_second,
            burst_bytes,
            queue_bytes,
            per_flow,
            ramp,
        }) => Fault::Rate(Rate {
            bytes_per_second,
            ramp: ramp::read(ramp, |ramp| Ok(ramp.from_bytes_per_second))?,
            burst_bytes,
            queue_bytes,
            per_flow,
        }),
        Wire::Partition(v1::Partition {
            reject,
            share_ppm,
            ramp,
        }) => Fault::Partition {
            reject,
            share: read_share(share_ppm.unwrap_or(Ppm::ALL.0), ramp)?,
        },
        Wire::Rewrite(rewrite) => Fault::Rewrite(rewrite::read(rewrite)?),
        Wire::Reset(v1::Reset {
            share_ppm,
            after,
            after_bytes,
            ramp,
        }) => Fault::Reset(Reset {
            share: read_share(share_ppm, ramp)?,
            after: after
                .map(|after| read_time("the life of a connection", after))
                .transpose()?,
            after_bytes,
        }),
        Wire::Dns(dns) => Fault::Dns(dns::read(dns)?),
        Wire::Http(wire) => Fault::Http(Box::new(http::read(wire)?)),
        Wire::Grpc(wire) => Fault::Grpc(Box::new(grpc::read(wire)?)),
    })
}

const fn random(share: Share, correlation_ppm: u32, gap: u32) -> Choice {
    Choice::Random {
        share,
        correlation: Ppm(correlation_ppm),
        gap,
    }
}

fn read_delay(delay: v1::Delay) -> Result<Delay, RequestError> {
    let measured = !delay.quantile_ns.is_empty();
    let latency = match delay.latency {
        Some(latency) => read_time("the delay", latency)?,
        None if measured => Duration::ZERO,
        None => return Err(RequestError::Missing("latency")),
    };
    let distribution = match v1::Distribution::try_from(delay.distribution) {
        _ if measured => Distribution::Measured(delay.quantile_ns),
        Ok(v1::Distribution::Unspecified | v1::Distribution::Uniform) => Distribution::Uniform,
        Ok(v1::Distribution::Normal) => Distribution::Normal,
        Ok(v1::Distribution::Pareto) => Distribution::Pareto,
        Ok(v1::Distribution::Paretonormal) => Distribution::ParetoNormal,
        Err(_) => {
            return Err(RequestError::Unknown {
                what: "distribution",
                value: delay.distribution,
            });
        }
    };
    Ok(Delay {
        latency,
        jitter: read_time("the jitter", delay.jitter.unwrap_or_default())?,
        distribution,
        correlation: Ppm(delay.correlation_ppm),
        reorder: delay.reorder,
        ramp: ramp::read(delay.ramp, |ramp| {
            read_time("the ramp", ramp.from.unwrap_or_default())
        })?,
    })
}

fn read_loss(loss: v1::Loss) -> Result<Choice, RequestError> {
    if loss.model.is_some() && loss.ramp.is_some() {
        return Err(SpecError::RampOfModel.into());
    }
    Ok(match loss.model {
        None => random(
            read_share(loss.share_ppm, loss.ramp)?,
            loss.correlation_ppm,
            0,
        ),
        Some(Model::GilbertElliott(model)) => Choice::GilbertElliott {
            to_bad: Ppm(model.to_bad_ppm),
            to_good: Ppm(model.to_good_ppm),
            in_bad: Ppm(model.lost_in_bad_ppm),
            in_good: Ppm(model.lost_in_good_ppm),
        },
        Some(Model::FourStates(model)) => Choice::FourStates([
            Ppm(model.p13_ppm),
            Ppm(model.p31_ppm),
            Ppm(model.p32_ppm),
            Ppm(model.p23_ppm),
            Ppm(model.p14_ppm),
        ]),
        Some(Model::Every(count)) => Choice::Every(count),
        Some(Model::First(count)) => Choice::First(count),
    })
}

pub(super) fn write(fault: &Fault) -> Wire {
    match fault {
        Fault::Delay(delay) => Wire::Delay(write_delay(delay)),
        Fault::Loss(choice) => Wire::Loss(write_loss(*choice)),
        Fault::Duplicate(choice) => {
            let (share_ppm, ramp, correlation_ppm, _) = parts(*choice);
            Wire::Duplicate(v1::Duplicate {
                share_ppm,
                correlation_ppm,
                ramp,
            })
        }
        Fault::Reorder { choice, by } => {
            let (share_ppm, ramp, correlation_ppm, gap) = parts(*choice);
            Wire::Reorder(v1::Reorder {
                share_ppm,
                correlation_ppm,
                gap,
                by: Some(write_time(*by)),
                ramp,
            })
        }
        Fault::Corrupt { choice, drop } => {
            let (share_ppm, ramp, correlation_ppm, _) = parts(*choice);
            Wire::Corrupt(v1::Corrupt {
                share_ppm,
                correlation_ppm,
                drop: *drop,
                ramp,
            })
        }
        Fault::Rate(rate) => Wire::Rate(v1::Rate {
            bytes_per_second: rate.bytes_per_second,
            burst_bytes: rate.burst_bytes,
            queue_bytes: rate.queue_bytes,
            per_flow: rate.per_flow,
            ramp: ramp::write(rate.ramp, |from, ramp| ramp.from_bytes_per_second = from),
        }),
        Fault::Partition { reject, share } => {
            let (share_ppm, ramp) = write_share(*share);
            Wire::Partition(v1::Partition {
                reject: *reject,
                share_ppm: Some(share_ppm),
                ramp,
            })
        }
        Fault::Rewrite(rewrite) => Wire::Rewrite(rewrite::write(rewrite)),
        Fault::Reset(reset) => {
            let (share_ppm, ramp) = write_share(reset.share);
            Wire::Reset(v1::Reset {
                share_ppm,
                after: reset.after.map(write_time),
                after_bytes: reset.after_bytes,
                ramp,
            })
        }
        Fault::Dns(dns) => Wire::Dns(dns::write(dns)),
        Fault::Http(fault) => Wire::Http(http::write(fault)),
        Fault::Grpc(fault) => Wire::Grpc(grpc::write(fault)),
    }
}

/// Of a random choice, which is the only one that the message of such a fault has.
fn parts(choice: Choice) -> (u32, Option<v1::Ramp>, u32, u32) {
    match choice {
        Choice::Random {
            share,
            correlation,
            gap,
        } => {
            let (share_ppm, ramp) = write_share(share);
            (share_ppm, ramp, correlation.0, gap)
        }
        Choice::GilbertElliott { .. }
        | Choice::FourStates(_)
        | Choice::Every(_)
        | Choice::First(_) => (0, None, 0, 0),
    }
}

fn write_delay(delay: &Delay) -> v1::Delay {
    let (distribution, quantile_ns) = match &delay.distribution {
        Distribution::Uniform => (v1::Distribution::Uniform, Vec::new()),
        Distribution::Normal => (v1::Distribution::Normal, Vec::new()),
        Distribution::Pareto => (v1::Distribution::Pareto, Vec::new()),
        Distribution::ParetoNormal => (v1::Distribution::Paretonormal, Vec::new()),
        Distribution::Measured(quantiles) => (v1::Distribution::Unspecified, quantiles.clone()),
    };
    v1::Delay {
        latency: Some(write_time(delay.latency)),
        jitter: Some(write_time(delay.jitter)),
        distribution: distribution.into(),
        quantile_ns,
        correlation_ppm: delay.correlation.0,
        reorder: delay.reorder,
        ramp: ramp::write(delay.ramp, |from, ramp| ramp.from = Some(write_time(from))),
    }
}

fn write_loss(choice: Choice) -> v1::Loss {
    let (share_ppm, ramp, correlation_ppm, _) = parts(choice);
    let model = match choice {
        Choice::Random { .. } => None,
        Choice::GilbertElliott {
            to_bad,
            to_good,
            in_bad,
            in_good,
        } => Some(Model::GilbertElliott(v1::GilbertElliott {
            to_bad_ppm: to_bad.0,
            to_good_ppm: to_good.0,
            lost_in_bad_ppm: in_bad.0,
            lost_in_good_ppm: in_good.0,
        })),
        Choice::FourStates([p13, p31, p32, p23, p14]) => Some(Model::FourStates(v1::FourStates {
            p13_ppm: p13.0,
            p31_ppm: p31.0,
            p32_ppm: p32.0,
            p23_ppm: p23.0,
            p14_ppm: p14.0,
        })),
        Choice::Every(count) => Some(Model::Every(count)),
        Choice::First(count) => Some(Model::First(count)),
    };
    v1::Loss {
        share_ppm,
        correlation_ppm,
        model,
        ramp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: i32) -> prost_types::Duration {
        prost_types::Duration {
            seconds: 0,
            nanos: ms * 1_000_000,
        }
    }

    fn ramp(from_ppm: u32) -> v1::Ramp {
        v1::Ramp {
            from_ppm,
            over: Some(ms(7)),
            ..v1::Ramp::default()
        }
    }

    #[test]
    fn what_is_read_is_written_again() {
        let delay = v1::Delay {
            latency: Some(ms(100)),
            jitter: Some(ms(20)),
            distribution: v1::Distribution::Pareto.into(),
            quantile_ns: vec![],
            correlation_ppm: 250_000,
            reorder: true,
            ramp: Some(v1::Ramp {
                from: Some(ms(1)),
                over: Some(ms(2)),
                ..v1::Ramp::default()
            }),
        };
        let measured = v1::Delay {
            latency: Some(ms(0)),
            jitter: Some(ms(0)),
            quantile_ns: vec![1, 2, 3],
            ..v1::Delay::default()
        };
        let loss = |model| v1::Loss {
            model: Some(model),
            ..v1::Loss::default()
        };
        for fault in [
            Wire::Delay(delay),
            Wire::Delay(measured),
            Wire::Loss(v1::Loss {
                share_ppm: 1,
                correlation_ppm: 2,
                model: None,
                ramp: Some(ramp(3)),
            }),
            Wire::Loss(loss(Model::GilbertElliott(v1::GilbertElliott {
                to_bad_ppm: 1,
                to_good_ppm: 2,
                lost_in_bad_ppm: 3,
                lost_in_good_ppm: 4,
            }))),
            Wire::Loss(loss(Model::FourStates(v1::FourStates {
                p13_ppm: 1,
                p31_ppm: 2,
                p32_ppm: 3,
                p23_ppm: 4,
                p14_ppm: 5,
            }))),
            Wire::Loss(loss(Model::Every(3))),
            Wire::Loss(loss(Model::First(4))),
            Wire::Duplicate(v1::Duplicate {
                share_ppm: 1,
                correlation_ppm: 2,
                ramp: Some(ramp(4)),
            }),
            Wire::Reorder(v1::Reorder {
                share_ppm: 1,
                correlation_ppm: 2,
                gap: 3,
                by: Some(ms(4)),
                ramp: Some(ramp(5)),
            }),
            Wire::Corrupt(v1::Corrupt {
                share_ppm: 1,
                correlation_ppm: 2,
                drop: true,
                ramp: Some(ramp(6)),
            }),
        ] {
            assert_eq!(write(&read(fault.clone()).unwrap()), fault);
        }
    }

    #[test]
    fn what_is_read_of_the_others_is_written_again() {
        for fault in [
            Wire::Rate(v1::Rate {
                bytes_per_second: 1,
                burst_bytes: 2,
                queue_bytes: 3,
                per_flow: true,
                ramp: Some(v1::Ramp {
                    from_bytes_per_second: 4,
                    over: Some(ms(5)),
                    ..v1::Ramp::default()
                }),
            }),
            Wire::Partition(v1::Partition {
                reject: true,
                share_ppm: Some(2),
                ramp: Some(ramp(3)),
            }),
            Wire::Reset(v1::Reset {
                share_ppm: 1,
                after: Some(ms(2)),
                after_bytes: 3,
                ramp: Some(ramp(4)),
            }),
        ] {
            assert_eq!(write(&read(fault.clone()).unwrap()), fault);
        }
    }

    #[test]
    fn only_a_percentage_of_losses_changes() {
        let bursts = v1::Loss {
            model: Some(Model::Every(3)),
            ramp: Some(v1::Ramp::default()),
            ..v1::Loss::default()
        };
        let refused = read(Wire::Loss(bursts)).unwrap_err();
        assert_eq!(refused, SpecError::RampOfModel.into());
    }

    #[test]
    fn a_partition_that_does_not_say_so_is_whole() {
        let partition = Wire::Partition(v1::Partition::default());
        let whole = Fault::Partition {
            reject: false,
            share: Share::ALL,
        };
        assert_eq!(read(partition).unwrap(), whole);
    }
}
