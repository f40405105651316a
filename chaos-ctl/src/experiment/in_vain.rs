//! Rules that took packets and did nothing to any: what a person should know who thinks that the fault acted.

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Counters, Experiment, Loss, Requests, Rewrite, loss};

use crate::output::words;
use crate::quantity::packets;

/// A sentence for each rule that matched packets, and did nothing to any of them.
pub(super) fn sentences(ended: &Experiment) -> Vec<String> {
    let rules = ended.rules.iter().enumerate();
    let of_rule = rules.filter_map(|(place, rule)| {
        let of_targets = ended.targets.iter();
        let counters = of_targets.filter_map(|target| target.counters.get(place));
        let (mut matched, mut done) = (0_u64, 0_u64);
        for counters in counters {
            matched = matched.saturating_add(counters.matched_packets);
            done = done.saturating_add(acted(counters));
        }
        let (what, why) = why(rule.fault.as_ref()?)?;
        (matched > 0 && done == 0).then(|| {
            format!(
                "{}: {} matched, 0 {what}: {why}",
                words::fault(rule),
                packets(matched)
            )
        })
    });
    of_rule.collect()
}

/// How often something happened to a packet; that a line refused it is said elsewhere.
fn acted(counters: &Counters) -> u64 {
    [
        counters.delayed_packets,
        counters.dropped_packets,
        counters.undelayed_packets,
        counters.duplicated_packets,
        counters.corrupted_packets,
        counters.answered_packets,
        counters.rewritten_packets,
        counters.requests.as_ref().map_or(0, hit),
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}

/// How often something happened to a request.
fn hit(requests: &Requests) -> u64 {
    [
        requests.delayed,
        requests.errors,
        requests.aborted,
        requests.throttled,
        requests.truncated,
        requests.headers_changed,
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}

const FEW: &str = "of few packets a small share may be none";

/// What did not happen, and what the reason may be.
fn why(fault: &Fault) -> Option<(&'static str, &'static str)> {
    Some(match fault {
        // Everything that matches is held or dropped.
        Fault::Delay(_) => return None,
        Fault::Http(_) | Fault::Grpc(_) => ("hit", "of few requests a small share may be none"),
        Fault::Rewrite(rewrite) if rewrite.ramp.is_some() => ("changed", FEW),
        Fault::Rewrite(rewrite) => ("changed", nothing_written(rewrite)),
        Fault::Reset(reset) if reset.after.is_some() || reset.after_bytes > 0 => (
            "answered",
            "no connection has come to its end, by its time or by its bytes",
        ),
        Fault::Reset(_) => ("answered", "none of them could be answered"),
        Fault::Rate(_) => ("delayed", "the bandwidth was enough for all of them"),
        Fault::Dns(_) => ("answered", "of few questions a small share may be none"),
        Fault::Loss(loss) => ("dropped", nothing_lost(loss)),
        Fault::Partition(_) => ("dropped", FEW),
        Fault::Duplicate(_) => (
            "sent twice",
            "of few packets a small share may be none, and what another rule drops is not copied",
        ),
        Fault::Reorder(_) => ("held back", FEW),
        Fault::Corrupt(corrupt) if corrupt.drop => ("dropped", FEW),
        Fault::Corrupt(_) => (
            "corrupted",
            "of few packets a small share may be none, and those without a payload stay as they are",
        ),
    })
}

fn nothing_lost(loss: &Loss) -> &'static str {
    match loss.model {
        Some(loss::Model::Every(_)) => "there were fewer of them than --every counts",
        Some(loss::Model::First(_)) => "connections that were open before keep their first packets",
        Some(loss::Model::GilbertElliott(_) | loss::Model::FourStates(_)) => {
            "of few packets none may fall into a burst"
        }
        None => FEW,
    }
}

fn nothing_written(rewrite: &Rewrite) -> &'static str {
    if rewrite.destination_port.is_some() || !rewrite.destination_address.is_empty() {
        "connections that were open before stay where they are, and so do packets of the other version of IP"
    } else if rewrite.replace.is_some() {
        "what is to be replaced was in none of them, as far as --within looks, and may be in several packets or encrypted"
    } else if rewrite.payload.is_some() {
        "none had a payload that reaches so far"
    } else if rewrite.mss.is_some() {
        "only packets that open a TCP connection have a maximum segment size, and a smaller one stays"
    } else if rewrite.ecn_ce {
        "none was of a connection that understands ECN"
    } else {
        "all of them had it already, or have no place for it"
    }
}

#[cfg(test)]
mod tests {
    use chaos_proto::v1::{PayloadReplace, Rule, Target};

    use super::*;

    fn ended(counters: &[Counters]) -> Experiment {
        let rule = |fault| Rule {
            fault: Some(fault),
            ..Rule::default()
        };
        let replace = Fault::Rewrite(Rewrite {
            replace: Some(PayloadReplace {
                old: b"OK".to_vec(),
                new: b"KO".to_vec(),
                within: 0,
            }),
            ..Rewrite::default()
        });
        let loss = Fault::Loss(Loss {
            share_ppm: 10_000,
            ..Loss::default()
        });
        let target = Target {
            counters: counters.to_vec(),
            ..Target::default()
        };
        Experiment {
            rules: vec![rule(replace), rule(loss)],
            targets: vec![target.clone(), target],
            ..Experiment::default()
        }
    }

    #[test]
    fn only_rules_that_did_nothing_are_told() {
        let matched = Counters {
            matched_packets: 6,
            ..Counters::default()
        };
        let written = Counters {
            rewritten_packets: 1,
            ..matched
        };
        assert_eq!(
            sentences(&ended(&[matched, matched])),
            [
                "rewrite \"KO\" for \"OK\": 12 matched, 0 changed: what is to be replaced was in none of them, \
                 as far as --within looks, and may be in several packets or encrypted",
                "loss 1 %: 12 matched, 0 dropped: of few packets a small share may be none",
            ]
        );
        assert_eq!(sentences(&ended(&[written, matched])).len(), 1);
        assert!(sentences(&ended(&[written, Counters::default()])).is_empty());
        assert!(
            sentences(&ended(&[])).is_empty(),
            "an agent without counters"
        );
    }
}
