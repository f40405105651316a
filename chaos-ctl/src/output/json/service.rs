//! Faults of requests in the schema of `-o json`.

use chaos_proto::v1 as wire;
use serde::Serialize;

use super::ns;
use super::rule::WHOLE_PPM;

#[derive(Debug, Serialize)]
pub(super) struct Http {
    delay: Option<Pause>,
    error: Option<ErrorAnswer>,
    abort_ppm: u32,
    throttle_bytes_per_second: Option<u64>,
    set_headers: Vec<Header>,
    remove_headers: Vec<String>,
    set_request_headers: Vec<Header>,
    remove_request_headers: Vec<String>,
    truncate_body: Option<u64>,
    exclude: Vec<String>,
    #[serde(rename = "match")]
    matches: Vec<RequestMatch>,
    match_headers: Vec<HeaderMatch>,
    door: Door,
}

#[derive(Debug, Serialize)]
pub(super) struct Grpc {
    delay: Option<Pause>,
    error: Option<ErrorStatus>,
    exclude: Vec<String>,
    match_metadata: Vec<HeaderMatch>,
    door: Door,
}

#[derive(Debug, Serialize)]
struct Pause {
    delay_ns: u64,
    variation_ns: u64,
    share_ppm: u32,
}

#[derive(Debug, Serialize)]
struct ErrorAnswer {
    share_ppm: u32,
    first: u32,
    code: u32,
    headers: Vec<Header>,
    /// As text; what is none of UTF-8 is replaced.
    body: String,
}

#[derive(Debug, Serialize)]
struct ErrorStatus {
    share_ppm: u32,
    first: u32,
    code: u32,
    message: String,
}

#[derive(Debug, Serialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Debug, Serialize)]
struct RequestMatch {
    method: Option<String>,
    path: Option<String>,
}

#[derive(Debug, Serialize)]
struct HeaderMatch {
    name: String,
    value: Option<String>,
}

#[derive(Debug, Serialize)]
struct Door {
    keep_existing: bool,
    drain_ns: u64,
    include_loopback: bool,
    local_source: bool,
}

impl From<&wire::Http> for Http {
    fn from(http: &wire::Http) -> Self {
        let fails = http.error_ppm > 0 || http.error_first > 0;
        Self {
            delay: Pause::of(http.delay, http.delay_variation, http.delay_ppm),
            error: fails.then(|| ErrorAnswer {
                share_ppm: http.error_ppm,
                first: http.error_first,
                code: http.error_code,
                headers: headers(&http.error_headers),
                body: String::from_utf8_lossy(&http.error_body).into_owned(),
            }),
            abort_ppm: http.abort_ppm,
            throttle_bytes_per_second: Some(http.throttle_bytes_per_second)
                .filter(|rate| *rate > 0),
            set_headers: headers(&http.set_headers),
            remove_headers: http.remove_headers.clone(),
            set_request_headers: headers(&http.set_request_headers),
            remove_request_headers: http.remove_request_headers.clone(),
            truncate_body: http.truncate_body,
            exclude: http.exclude.clone(),
            matches: http
                .r#match
                .iter()
                .map(|wanted| RequestMatch {
                    method: super::unless_empty(&wanted.method),
                    path: super::unless_empty(&wanted.path),
                })
                .collect(),
            match_headers: header_matches(&http.match_headers),
            door: Door::of(http.door.as_ref()),
        }
    }
}

impl From<&wire::Grpc> for Grpc {
    fn from(grpc: &wire::Grpc) -> Self {
        let fails = grpc.error_ppm > 0 || grpc.error_first > 0;
        Self {
            delay: Pause::of(grpc.delay, grpc.delay_variation, grpc.delay_ppm),
            error: fails.then(|| ErrorStatus {
                share_ppm: grpc.error_ppm,
                first: grpc.error_first,
                code: grpc.status_code,
                message: grpc.status_message.clone(),
            }),
            exclude: grpc.exclude.clone(),
            match_metadata: header_matches(&grpc.match_metadata),
            door: Door::of(grpc.door.as_ref()),
        }
    }
}

impl Pause {
    fn of(
        delay: Option<prost_types::Duration>,
        variation: Option<prost_types::Duration>,
        ppm: Option<u32>,
    ) -> Option<Self> {
        delay.map(|delay| Self {
            delay_ns: ns(Some(&delay)),
            variation_ns: ns(variation.as_ref()),
            share_ppm: ppm.unwrap_or(WHOLE_PPM),
        })
    }
}

impl Door {
    fn of(door: Option<&wire::Door>) -> Self {
        let none = wire::Door::default();
        let door = door.unwrap_or(&none);
        Self {
            keep_existing: door.keep_existing,
            drain_ns: ns(door.drain.as_ref()),
            include_loopback: door.include_loopback,
            local_source: door.local_source,
        }
    }
}

fn headers(headers: &[wire::Header]) -> Vec<Header> {
    let header = |header: &wire::Header| Header {
        name: header.name.clone(),
        value: header.value.clone(),
    };
    headers.iter().map(header).collect()
}

fn header_matches(matches: &[wire::HeaderMatch]) -> Vec<HeaderMatch> {
    let one = |wanted: &wire::HeaderMatch| HeaderMatch {
        name: wanted.name.clone(),
        value: wanted.value.clone(),
    };
    matches.iter().map(one).collect()
}
