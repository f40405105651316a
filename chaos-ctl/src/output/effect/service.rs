//! What faults of requests do to those who asked.

use chaos_proto::v1::{Grpc, Http};

use super::WHOLE_PPM;
use crate::output::words::service as words;
use crate::quantity::{from_wire, interval, packets, share_in_words, size_in_words};

const UNTOUCHED: &str = "what is encrypted, or is not HTTP, passes untouched and is counted; connections that are open at the start are \
     closed once";
const KEPT: &str = "what is encrypted, or is not HTTP, passes untouched and is counted; connections that are open at the start are left \
     alone";

pub(super) fn http(http: &Http) -> String {
    let mut parts = Vec::new();
    parts.extend(longer(
        http.delay.as_ref(),
        http.delay_variation.as_ref(),
        http.delay_ppm,
        "requests",
    ));
    if http.abort_ppm > 0 {
        let some = some(http.abort_ppm, "requests");
        parts.push(format!("{some} find their connection closed"));
    }
    let how = format!(
        "are answered {}, and the application does not see them",
        http.error_code
    );
    parts.extend(failed(http.error_ppm, http.error_first, "requests", &how));
    if http.throttle_bytes_per_second > 0 {
        let rate = size_in_words(http.throttle_bytes_per_second);
        parts.push(format!("each answer's body comes at {rate}/s"));
    }
    if !(http.set_headers.is_empty() && http.remove_headers.is_empty()) {
        parts.push("header fields of answers are changed".to_owned());
    }
    if !(http.set_request_headers.is_empty() && http.remove_request_headers.is_empty()) {
        parts.push("header fields of requests are changed".to_owned());
    }
    if let Some(bytes) = http.truncate_body {
        let bytes = size_in_words(bytes);
        parts.push(format!(
            "answers end after {bytes} of their body, with the connection"
        ));
    }
    let keeps = http.door.as_ref().is_some_and(|door| door.keep_existing);
    finish(parts, keeps)
}

pub(super) fn grpc(grpc: &Grpc) -> String {
    let mut parts = Vec::new();
    parts.extend(longer(
        grpc.delay.as_ref(),
        grpc.delay_variation.as_ref(),
        grpc.delay_ppm,
        "calls",
    ));
    let status = words::status(grpc.status_code);
    let how = format!("fail with {status} at once, and the application does not see them");
    parts.extend(failed(grpc.error_ppm, grpc.error_first, "calls", &how));
    let keeps = grpc.door.as_ref().is_some_and(|door| door.keep_existing);
    finish(parts, keeps)
}

fn finish(mut parts: Vec<String>, keeps: bool) -> String {
    parts.push(if keeps { KEPT } else { UNTOUCHED }.to_owned());
    parts.join("; ")
}

fn longer(
    delay: Option<&prost_types::Duration>,
    variation: Option<&prost_types::Duration>,
    ppm: Option<u32>,
    what: &str,
) -> Option<String> {
    let delay = from_wire(Some(delay?));
    let variation = from_wire(variation);
    let by = interval(
        delay.saturating_sub(variation),
        delay.saturating_add(variation),
    );
    let some = some(ppm.unwrap_or(WHOLE_PPM), what);
    Some(format!("{some} take {by} longer"))
}

fn some(ppm: u32, what: &str) -> String {
    if ppm >= WHOLE_PPM {
        format!("matching {what}")
    } else {
        format!("{} of matching {what}", share_in_words(ppm))
    }
}

fn failed(ppm: u32, first: u32, what: &str, how: &str) -> Option<String> {
    match (first, ppm) {
        (0, 0) => None,
        (0, ppm) => Some(format!("{} {how}", some(ppm, what))),
        (first, 0) => Some(format!(
            "the first {} matching {what} of each target {how}",
            packets(first.into())
        )),
        (first, ppm) => Some(format!(
            "the first {} matching {what} of each target, and {} of the others, {how}",
            packets(first.into()),
            share_in_words(ppm)
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chaos_proto::v1::Door;

    use super::*;

    #[test]
    fn the_tutorial_is_told_what_to_expect() {
        let ms = |ms| Duration::from_millis(ms).try_into().ok();
        let tutorial = Http {
            delay: ms(100),
            delay_variation: ms(50),
            error_ppm: 100_000,
            error_code: 500,
            ..Http::default()
        };
        assert_eq!(
            http(&tutorial),
            format!(
                "matching requests take 50 to 150 ms longer; 10 % of matching requests are answered 500, and the \
                 application does not see them; {UNTOUCHED}"
            )
        );
        let calls = Grpc {
            error_first: 3,
            status_code: 14,
            door: Some(Door {
                keep_existing: true,
                ..Door::default()
            }),
            ..Grpc::default()
        };
        assert_eq!(
            grpc(&calls),
            format!(
                "the first 3 matching calls of each target fail with UNAVAILABLE (14) at once, and the application does \
                 not see them; {KEPT}"
            )
        );
    }
}
