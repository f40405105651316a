//! What became of requests, in sentences: what was done to them, what could not be, and what to check when none came.

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Experiment, Requests, Rule};

use crate::output::{requests, tally, words};
use crate::quantity::{from_wire, interval, packets};

/// Whether all that it does is to requests.
pub(super) fn is_all_of(experiment: &Experiment) -> bool {
    let mut faults = experiment.rules.iter().flat_map(|rule| &rule.fault);
    !experiment.rules.is_empty() && faults.all(requests::is_of)
}

/// A sentence for each rule that took requests: `of 600 requests 61 were answered 500, and all delayed by 50 to 150 ms`.
pub(super) fn sentences(ended: &Experiment) -> Vec<String> {
    let rules = ended.rules.iter().enumerate();
    let of_rule = rules.filter_map(|(place, rule)| {
        let of_targets = ended.targets.iter();
        let counters = of_targets.filter_map(|target| target.counters.get(place));
        let sum = tally::sum(counters).requests?;
        (requests::taken(&sum) > 0).then(|| done(rule, &sum))
    });
    of_rule.collect()
}

fn done(rule: &Rule, sum: &Requests) -> String {
    let taken = requests::taken(sum);
    let (answered, delayed) = match &rule.fault {
        Some(Fault::Http(http)) => (
            format!("answered {}", http.error_code),
            by(http.delay.as_ref(), http.delay_variation.as_ref()),
        ),
        Some(Fault::Grpc(grpc)) => (
            format!("failed with {}", words::service::status(grpc.status_code)),
            by(grpc.delay.as_ref(), grpc.delay_variation.as_ref()),
        ),
        Some(_) | None => (String::new(), String::new()),
    };
    let parts: Vec<String> = [
        (sum.errors, answered.as_str()),
        (sum.aborted, "closed without an answer"),
        (sum.delayed, delayed.as_str()),
        (sum.throttled, "answered slowly"),
        (sum.truncated, "cut short"),
        (sum.headers_changed, "changed in their header"),
        (sum.upstream_failed, "not answered by the application"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| match count {
        count if count == taken => format!("all were {what}"),
        1 => format!("1 was {what}"),
        count => format!("{} were {what}", packets(count)),
    })
    .collect();
    let of = match taken {
        1 => "of 1 request".to_owned(),
        taken => format!("of {} requests", packets(taken)),
    };
    if parts.is_empty() {
        format!("{of} none was hit")
    } else {
        format!("{of} {}", parts.join(", "))
    }
}

fn by(delay: Option<&prost_types::Duration>, variation: Option<&prost_types::Duration>) -> String {
    let (delay, variation) = (from_wire(delay), from_wire(variation));
    let by = interval(
        delay.saturating_sub(variation),
        delay.saturating_add(variation),
    );
    format!("delayed by {by}")
}

/// What passed untouched although somebody may have meant it.
pub(super) fn warnings(ended: &Experiment) -> Vec<String> {
    let Some(sum) = tally::of_experiment(ended).requests else {
        return Vec::new();
    };
    let connections = |count: u64| match count {
        1 => "1 connection".to_owned(),
        count => format!("{} connections", packets(count)),
    };
    let all = [
        (
            sum.encrypted_connections,
            "encrypted: nothing to inject; use delay, loss or reset",
        ),
        (sum.other_connections, "not HTTP: passed untouched"),
        (
            sum.unframed,
            "passed untouched from a request on whose end two readers might not agree about",
        ),
    ];
    let all = all.into_iter().filter(|(count, _)| *count > 0);
    all.map(|(count, what)| format!("{}: {what}", connections(count)))
        .collect()
}

/// What may be wrong when no request was hit.
pub(super) fn what_to_check(experiment: &Experiment) -> Vec<String> {
    let sum = tally::of_experiment(experiment)
        .requests
        .unwrap_or_default();
    let mut hints = Vec::new();
    if sum.encrypted_connections > 0 {
        hints.push("encrypted: nothing to inject; use delay, loss or reset".to_owned());
    }
    if sum.other_connections > 0 {
        hints.push("not HTTP: for other protocols use delay, loss or reset".to_owned());
    }
    if sum.excluded > 0 {
        hints.push(format!(
            "exclude: {} requests were for paths or calls that are left alone",
            packets(sum.excluded)
        ));
    }
    if sum.unmatched > 0 {
        hints.push(format!(
            "match: {} requests came that it is not for; gRPC calls are `chaosctl grpc`'s",
            packets(sum.unmatched)
        ));
    }
    if sum.connections == 0 {
        hints.extend([
            "port: it is the one that the target itself listens on, after any translation elsewhere".to_owned(),
            "connections: none was opened meanwhile; those that were open are closed only without --keep-existing".to_owned(),
            "loopback: requests from within the target, such as a sidecar's, are hit with --include-loopback only".to_owned(),
        ]);
    } else if sum.seen == 0
        && sum.connections
            > sum
                .encrypted_connections
                .saturating_add(sum.other_connections)
    {
        hints.push("requests: connections were opened, and no request came over them".to_owned());
    }
    hints
}

#[cfg(test)]
mod tests {
    use chaos_proto::v1::{Counters, Http, Target};

    use super::*;

    fn ended(requests: Requests) -> Experiment {
        let ms = |ms: i32| {
            Some(prost_types::Duration {
                seconds: 0,
                nanos: ms * 1_000_000,
            })
        };
        let fault = Fault::Http(Http {
            delay: ms(100),
            delay_variation: ms(50),
            error_ppm: 100_000,
            error_code: 500,
            ..Http::default()
        });
        Experiment {
            rules: vec![Rule {
                fault: Some(fault),
                ..Rule::default()
            }],
            targets: vec![Target {
                counters: vec![Counters {
                    requests: Some(requests),
                    ..Counters::default()
                }],
                ..Target::default()
            }],
            ..Experiment::default()
        }
    }

    #[test]
    fn the_end_says_what_was_done() {
        let counted = Requests {
            seen: 650,
            excluded: 50,
            delayed: 600,
            errors: 61,
            ..Requests::default()
        };
        assert_eq!(
            sentences(&ended(counted)),
            ["of 600 requests 61 were answered 500, all were delayed by 50 to 150 ms"]
        );
        assert!(sentences(&ended(Requests::default())).is_empty());
    }

    #[test]
    fn what_could_not_be_hit_is_said() {
        let encrypted = ended(Requests {
            connections: 3,
            encrypted_connections: 3,
            ..Requests::default()
        });
        let said = "encrypted: nothing to inject; use delay, loss or reset";
        assert_eq!(warnings(&encrypted), [format!("3 connections: {said}")]);
        assert_eq!(what_to_check(&encrypted)[0], said);
        let none = what_to_check(&ended(Requests::default()));
        assert!(none.iter().any(|hint| hint.starts_with("loopback:")));
    }
}
