//! Faults of HTTP requests: from messages, and back.

use chaos_proto::v1;

use super::{service, wire::RequestError};
use crate::engine::{ErrorAnswer, Http, Ppm, ServiceError};

pub(super) fn read(http: v1::Http) -> Result<Http, RequestError> {
    let code = http.error_code;
    let says_error = http.error_ppm > 0
        || http.error_first > 0
        || code > 0
        || !http.error_body.is_empty()
        || !http.error_headers.is_empty();
    let error = if says_error {
        Some(ErrorAnswer {
            share: Ppm(http.error_ppm),
            first: http.error_first,
            code: u16::try_from(code).map_err(|_| ServiceError::ErrorCode(code))?,
            headers: service::read_fields(http.error_headers),
            body: http.error_body,
        })
    } else {
        None
    };
    Ok(Http {
        pause: service::read_pause(http.delay, http.delay_variation, http.delay_ppm)?,
        error,
        abort: Ppm(http.abort_ppm),
        throttle: http.throttle_bytes_per_second,
        answer: service::read_edits(http.set_headers, http.remove_headers),
        request: service::read_edits(http.set_request_headers, http.remove_request_headers),
        truncate: http.truncate_body,
        exclude: http.exclude,
        matches: service::read_matches(http.r#match)?,
        match_headers: service::read_header_matches(http.match_headers)?,
        door: service::read_door(http.door.as_ref())?,
    })
}

pub(super) fn write(http: &Http) -> v1::Http {
    let (delay, delay_variation, delay_ppm) = service::write_pause(http.pause);
    let error = http.error.as_ref();
    v1::Http {
        delay,
        delay_variation,
        delay_ppm,
        error_ppm: error.map_or(0, |error| error.share.0),
        error_code: error.map_or(0, |error| error.code.into()),
        error_body: error.map_or_else(Vec::new, |error| error.body.clone()),
        error_headers: error.map_or_else(Vec::new, |error| service::write_fields(&error.headers)),
        error_first: error.map_or(0, |error| error.first),
        abort_ppm: http.abort.0,
        throttle_bytes_per_second: http.throttle,
        set_headers: service::write_fields(&http.answer.set),
        remove_headers: http.answer.remove.clone(),
        set_request_headers: service::write_fields(&http.request.set),
        remove_request_headers: http.request.remove.clone(),
        truncate_body: http.truncate,
        exclude: http.exclude.clone(),
        r#match: service::write_matches(&http.matches),
        match_headers: service::write_header_matches(&http.match_headers),
        door: Some(service::write_door(&http.door)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Door;

    fn ms(ms: i32) -> prost_types::Duration {
        prost_types::Duration {
            seconds: 0,
            nanos: ms * 1_000_000,
        }
    }

    fn header(name: &str) -> Vec<v1::Header> {
        vec![v1::Header {
            name: name.into(),
            value: "1".into(),
        }]
    }

    #[test]
    fn what_is_read_is_written_again() {
        let wire = v1::Http {
            delay: Some(ms(100)),
            delay_variation: Some(ms(50)),
            delay_ppm: Some(2),
            error_ppm: 3,
            error_code: 503,
            error_body: b"down".to_vec(),
            error_headers: header("x-a"),
            error_first: 4,
            abort_ppm: 5,
            throttle_bytes_per_second: 6,
            set_headers: header("x-b"),
            remove_headers: vec!["x-c".into()],
            set_request_headers: header("x-d"),
            remove_request_headers: vec!["x-e".into()],
            truncate_body: Some(0),
            exclude: vec!["/health".into()],
            r#match: vec![v1::RequestMatch {
                method: "GET".into(),
                path: "/a/**".into(),
            }],
            match_headers: vec![v1::HeaderMatch {
                name: "x-f".into(),
                value: Some("b*".into()),
            }],
            door: Some(v1::Door {
                keep_existing: true,
                drain: Some(ms(7)),
                include_loopback: true,
                local_source: true,
            }),
        };
        assert_eq!(write(&read(wire.clone()).unwrap()), wire);
    }

    #[test]
    fn what_is_not_said_is_not_done() {
        assert_eq!(read(v1::Http::default()).unwrap(), Http::default());
        assert_eq!(Door::default(), Http::default().door);
        let all = v1::Http {
            delay: Some(ms(1)),
            ..v1::Http::default()
        };
        assert_eq!(read(all).unwrap().pause.unwrap().share, Ppm::ALL);
    }

    #[test]
    fn half_an_error_is_refused() {
        let code = v1::Http {
            error_code: 70_000,
            ..v1::Http::default()
        };
        assert_eq!(
            read(code).unwrap_err(),
            ServiceError::ErrorCode(70_000).into()
        );
        let variation = v1::Http {
            delay_variation: Some(ms(1)),
            ..v1::Http::default()
        };
        assert_eq!(read(variation).unwrap_err(), ServiceError::NoDelay.into());
    }
}
