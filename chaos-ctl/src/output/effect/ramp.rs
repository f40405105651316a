//! What an amount that changes will feel like: the sentence is about the most of it, and here is when that is.

use chaos_proto::v1::Ramp;
use chaos_proto::v1::rule::Fault;

use super::WHOLE_PPM;
use crate::quantity::{from_wire, rate_in_words, share_in_words, time_in_words};

/// The larger end of a share.
pub(super) fn at_most(share_ppm: u32, ramp: Option<&Ramp>) -> u32 {
    ramp.map_or(share_ppm, |ramp| share_ppm.max(ramp.from_ppm))
}

/// When it is as the sentence says, and what it is before or after; nothing where it does not change, or where the
/// sentence says so itself.
pub(super) fn of(fault: &Fault) -> Option<String> {
    match fault {
        // They do not change.
        Fault::Delay(_) | Fault::Http(_) | Fault::Grpc(_) => None,
        Fault::Loss(loss) => share(loss.share_ppm, loss.ramp.as_ref()),
        Fault::Duplicate(duplicate) => share(duplicate.share_ppm, duplicate.ramp.as_ref()),
        Fault::Reorder(reorder) => share(reorder.share_ppm, reorder.ramp.as_ref()),
        Fault::Corrupt(corrupt) => share(corrupt.share_ppm, corrupt.ramp.as_ref()),
        Fault::Reset(reset) => share(reset.share_ppm, reset.ramp.as_ref()),
        Fault::Dns(dns) => share(dns.share_ppm, dns.ramp.as_ref()),
        Fault::Partition(partition) => share(
            partition.share_ppm.unwrap_or(WHOLE_PPM),
            partition.ramp.as_ref(),
        ),
        Fault::Rewrite(rewrite) => share(
            rewrite.share_ppm.unwrap_or(WHOLE_PPM),
            rewrite.ramp.as_ref(),
        ),
        Fault::Rate(rate) => rate.ramp.as_ref().map(|ramp| {
            format!(
                "that is after {}, evenly changing from {} until then",
                over(ramp),
                rate_in_words(ramp.from_bytes_per_second)
            )
        }),
    }
}

fn share(share_ppm: u32, ramp: Option<&Ramp>) -> Option<String> {
    let ramp = ramp?;
    let over = over(ramp);
    Some(if ramp.from_ppm <= share_ppm {
        let from = share_in_words(ramp.from_ppm);
        format!("that is after {over}, evenly growing from {from} until then")
    } else {
        let to = share_in_words(share_ppm);
        format!("that is at the start, evenly shrinking to {to} within {over}")
    })
}

fn over(ramp: &Ramp) -> String {
    time_in_words(from_wire(ramp.over.as_ref()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chaos_proto::v1::{Direction, Filter, Loss, Partition, Protocol, Rate, Rule};

    use super::*;
    use crate::output::effect::of_rule;

    fn say(fault: Fault) -> String {
        of_rule(&Rule {
            filter: Some(Filter {
                direction: Direction::Egress.into(),
                protocol: Protocol::Udp.into(),
                ..Filter::default()
            }),
            fault: Some(fault),
            pulse: None,
        })
    }

    fn ramp(from_ppm: u32) -> Ramp {
        Ramp {
            from_ppm,
            from_bytes_per_second: 1_250_000,
            over: Duration::from_mins(1).try_into().ok(),
            ..Ramp::default()
        }
    }

    #[test]
    fn a_share_is_told_by_its_larger_end() {
        let loss = |from, share_ppm| {
            say(Fault::Loss(Loss {
                share_ppm,
                ramp: Some(ramp(from)),
                ..Loss::default()
            }))
        };
        let thirty = "30 % of matching packets that leave the target are dropped silently: \
                      30 % of questions get no answer unless the application asks again; that is ";
        assert_eq!(
            loss(0, 300_000),
            format!("{thirty}after 1 min, evenly growing from 0 % until then")
        );
        assert_eq!(
            loss(300_000, 0),
            format!("{thirty}at the start, evenly shrinking to 0 % within 1 min")
        );
    }

    #[test]
    fn what_has_no_amount_of_its_own_is_told_by_its_share() {
        let partition = say(Fault::Partition(Partition {
            ramp: Some(ramp(0)),
            ..Partition::default()
        }));
        assert_eq!(
            partition,
            "all matching packets that leave the target are dropped silently: no question is answered, \
             and nobody is told why; that is after 1 min, evenly growing from 0 % until then"
        );
    }

    #[test]
    fn a_bandwidth_is_told_by_its_end() {
        let rate = say(Fault::Rate(Rate {
            bytes_per_second: 125_000,
            ramp: Some(ramp(0)),
            ..Rate::default()
        }));
        assert!(
            rate.contains("pass at 1 Mbit/s, ")
                && rate
                    .ends_with("; that is after 1 min, evenly changing from 10 Mbit/s until then"),
            "{rate}"
        );
    }
}
