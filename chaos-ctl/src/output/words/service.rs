//! Faults of requests in a few words.

use chaos_proto::v1::{Door, Filter, Grpc, Header, HeaderMatch, Http, RequestMatch};

use super::fault::with;
use crate::quantity::{
    STATUSES, from_wire, packets, ports_in_words, share_in_words, size_in_words, time_in_words,
};

const WHOLE_PPM: u32 = 1_000_000;
/// More of a list are counted.
const SHOWN: usize = 4;

/// What happens to HTTP requests: `http delay 100 ms ± 50 ms and 10 % answered 500 (not /health)`.
pub(super) fn http(http: &Http) -> String {
    let mut parts = Vec::new();
    parts.extend(
        http.delay
            .as_ref()
            .map(|delay| pause(delay, http.delay_variation.as_ref(), http.delay_ppm)),
    );
    if http.abort_ppm > 0 {
        parts.push(format!("{} aborted", share_in_words(http.abort_ppm)));
    }
    let answered = format!("answered {}", http.error_code);
    parts.extend(failed(http.error_ppm, http.error_first, &answered));
    if http.throttle_bytes_per_second > 0 {
        let rate = size_in_words(http.throttle_bytes_per_second);
        parts.push(format!("answers at {rate}/s"));
    }
    parts.extend(edits("answers", &http.set_headers, &http.remove_headers));
    parts.extend(edits(
        "requests",
        &http.set_request_headers,
        &http.remove_request_headers,
    ));
    if let Some(bytes) = http.truncate_body {
        parts.push(format!("bodies cut after {}", size_in_words(bytes)));
    }
    let details = [
        list(http.r#match.iter().map(request_match)),
        list(http.match_headers.iter().map(header_match)),
        list(http.exclude.iter().cloned()).map(|paths| format!("not {paths}")),
    ];
    with(format!("http {}", said(&parts)), &details)
}

/// What happens to gRPC calls: `grpc 10 % failed with 14 (not shop.Catalog)`.
pub(super) fn grpc(grpc: &Grpc) -> String {
    let mut parts = Vec::new();
    parts.extend(
        grpc.delay
            .as_ref()
            .map(|delay| pause(delay, grpc.delay_variation.as_ref(), grpc.delay_ppm)),
    );
    let failed_with = format!("failed with {}", status(grpc.status_code));
    parts.extend(failed(grpc.error_ppm, grpc.error_first, &failed_with));
    let details = [
        list(grpc.match_metadata.iter().map(header_match)),
        list(grpc.exclude.iter().cloned()).map(|calls| format!("not {calls}")),
    ];
    with(format!("grpc {}", said(&parts)), &details)
}

/// A status of gRPC by its name: `UNAVAILABLE (14)`.
pub fn status(code: u32) -> String {
    let name = usize::try_from(code)
        .ok()
        .and_then(|code| STATUSES.get(code));
    name.map_or_else(|| code.to_string(), |name| format!("{name} ({code})"))
}

/// Which requests: `requests that arrive at the target's port 80, from 10.0.0.0/8`.
pub(super) fn requests(filter: &Filter, door: Option<&Door>) -> String {
    let mut parts = vec![format!(
        "requests that arrive at the target's {}",
        ports_in_words(&filter.target_ports)
    )];
    parts.extend(super::rule::peers_in_words("from", filter));
    if let Some(share) = filter.flows_ppm {
        parts.push(format!("of {} of the connections", share_in_words(share)));
    }
    if let Some(door) = door {
        parts.extend(self::door(door));
    }
    parts.join(", ")
}

/// How connections get there, where it is not as usual.
fn door(door: &Door) -> impl Iterator<Item = String> {
    let drain = door.drain.as_ref().map(|drain| from_wire(Some(drain)));
    let drain = drain.filter(|drain| *drain != std::time::Duration::from_secs(10));
    let flag = |given: bool, text: &str| given.then(|| text.to_owned());
    [
        flag(door.include_loopback, "also from the target itself"),
        flag(door.keep_existing, "of connections opened meanwhile"),
        flag(door.local_source, "from the target's own address"),
        drain.map(|drain| format!("let finish for {}", time_in_words(drain))),
    ]
    .into_iter()
    .flatten()
}

/// `delay 100 ms ± 50 ms of 30 %`.
pub(crate) fn pause(
    delay: &prost_types::Duration,
    variation: Option<&prost_types::Duration>,
    ppm: Option<u32>,
) -> String {
    let mut text = format!("delay {}", time_in_words(from_wire(Some(delay))));
    let variation = from_wire(variation);
    if !variation.is_zero() {
        text.push_str(" ± ");
        text.push_str(&time_in_words(variation));
    }
    if let Some(ppm) = ppm.filter(|ppm| *ppm < WHOLE_PPM) {
        text.push_str(" of ");
        text.push_str(&share_in_words(ppm));
    }
    text
}

/// `the first 3 and 10 % answered 500`.
fn failed(ppm: u32, first: u32, how: &str) -> Option<String> {
    let share = share_in_words(ppm);
    match (first, ppm) {
        (0, 0) => None,
        (0, _) => Some(format!("{share} {how}")),
        (first, 0) => Some(format!("the first {} {how}", packets(first.into()))),
        (first, _) => Some(format!(
            "the first {} and {share} of the others {how}",
            packets(first.into())
        )),
    }
}

fn edits(of: &str, set: &[Header], remove: &[String]) -> Option<String> {
    let set = list(
        set.iter()
            .map(|field| format!("{}: {}", field.name, field.value)),
    );
    let remove = list(remove.iter().cloned());
    match (set, remove) {
        (None, None) => None,
        (Some(set), None) => Some(format!("{of} with {set}")),
        (None, Some(remove)) => Some(format!("{of} without {remove}")),
        (Some(set), Some(remove)) => Some(format!("{of} with {set} and without {remove}")),
    }
}

fn request_match(wanted: &RequestMatch) -> String {
    let parts = [wanted.method.as_str(), wanted.path.as_str()];
    let given: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    given.join(" ")
}

fn header_match(wanted: &HeaderMatch) -> String {
    match &wanted.value {
        Some(value) => format!("{}: {value}", wanted.name),
        None => format!("with {}", wanted.name),
    }
}

fn said(parts: &[String]) -> String {
    match parts {
        [] => "nothing".to_owned(),
        parts => parts.join(" and "),
    }
}

fn list(items: impl Iterator<Item = String>) -> Option<String> {
    let all: Vec<String> = items.collect();
    match all.len() {
        0 => None,
        1..=SHOWN => Some(all.join(", ")),
        more => Some(format!(
            "{} and {} more",
            all[..SHOWN].join(", "),
            more - SHOWN
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chaos_proto::v1::{Direction, PortRange, Protocol, Rule, rule::Fault};

    use super::*;
    use crate::output::words;

    fn ms(ms: u64) -> Option<prost_types::Duration> {
        Duration::from_millis(ms).try_into().ok()
    }

    #[test]
    fn requests_say_what_happens_to_them() {
        let tutorial = Http {
            delay: ms(100),
            delay_variation: ms(50),
            error_ppm: 100_000,
            error_code: 500,
            exclude: vec!["/health".into(), "/metrics".into()],
            ..Http::default()
        };
        assert_eq!(
            http(&tutorial),
            "http delay 100 ms ± 50 ms and 10 % answered 500 (not /health, /metrics)"
        );
        let others = Http {
            error_first: 3,
            error_ppm: 1_000_000,
            error_code: 503,
            abort_ppm: 50_000,
            throttle_bytes_per_second: 10_000,
            set_headers: vec![Header {
                name: "x-a".into(),
                value: "1".into(),
            }],
            remove_request_headers: vec!["cookie".into()],
            truncate_body: Some(100),
            r#match: vec![RequestMatch {
                method: "GET".into(),
                path: "/api/**".into(),
            }],
            match_headers: vec![HeaderMatch {
                name: "x-user".into(),
                value: None,
            }],
            ..Http::default()
        };
        assert_eq!(
            http(&others),
            "http 5 % aborted and the first 3 and 100 % of the others answered 503 and answers at 10 kB/s and answers \
             with x-a: 1 and requests without cookie and bodies cut after 100 B (GET /api/**, with x-user)"
        );
    }

    #[test]
    fn calls_say_what_happens_to_them() {
        let calls = Grpc {
            delay: ms(10),
            delay_ppm: Some(500_000),
            error_first: 2,
            status_code: 14,
            exclude: vec!["shop.Catalog".into()],
            ..Grpc::default()
        };
        assert_eq!(
            grpc(&calls),
            "grpc delay 10 ms of 50 % and the first 2 failed with UNAVAILABLE (14) (not shop.Catalog)"
        );
        assert_eq!(status(99), "99");
    }

    #[test]
    fn a_rule_says_where_requests_arrive() {
        let rule = Rule {
            filter: Some(Filter {
                direction: Direction::Ingress.into(),
                protocol: Protocol::Tcp.into(),
                target_ports: vec![PortRange {
                    first: 80,
                    last: 80,
                }],
                peers: vec!["10.0.0.0/8".into()],
                ..Filter::default()
            }),
            fault: Some(Fault::Http(Http {
                delay: ms(1),
                door: Some(Door {
                    keep_existing: true,
                    drain: ms(0),
                    ..Door::default()
                }),
                ..Http::default()
            })),
            pulse: None,
        };
        assert_eq!(
            words::rule(&rule),
            "http delay 1 ms: requests that arrive at the target's port 80, from 10.0.0.0/8, of connections opened \
             meanwhile, let finish for 0 s"
        );
    }
}
