//! Answers that no application gave. Knows no tokio.

use std::time::SystemTime;

use http::StatusCode;

use crate::engine::ErrorAnswer;

/// How an answer of ours is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Without its body: it answers HEAD.
    pub(super) head_only: bool,
    /// The connection ends after it.
    pub(super) closes: bool,
}

/// The bytes of an answer.
pub(super) fn answer(error: &ErrorAnswer, form: Form, now: SystemTime) -> Vec<u8> {
    let reason = StatusCode::from_u16(error.code).ok();
    let reason = reason
        .and_then(|code| code.canonical_reason())
        .unwrap_or("Unknown");
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", error.code).into_bytes();
    let mut field = |name: &str, value: &str| {
        for piece in [name, ": ", value, "\r\n"] {
            bytes.extend_from_slice(piece.as_bytes());
        }
    };
    let is_date = |name: &str| name.eq_ignore_ascii_case("date");
    if !error.headers.iter().any(|given| is_date(&given.name)) {
        field("Date", &httpdate::fmt_http_date(now));
    }
    for given in &error.headers {
        field(&given.name, &given.value);
    }
    let bare = matches!(error.code, 204 | 304);
    if !bare {
        field("Content-Length", &error.body.len().to_string());
    }
    if form.closes {
        field("Connection", "close");
    }
    bytes.extend_from_slice(b"\r\n");
    if !bare && !form.head_only {
        bytes.extend_from_slice(&error.body);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Field, Ppm};

    #[test]
    fn an_answer_of_ours_is_whole() {
        let mut error = ErrorAnswer {
            share: Ppm::ALL,
            first: 0,
            code: 503,
            headers: vec![Field {
                name: "Content-Type".into(),
                value: "text/plain".into(),
            }],
            body: b"broken".into(),
        };
        let write = |error: &ErrorAnswer, head_only, closes| {
            let form = Form { head_only, closes };
            String::from_utf8(answer(error, form, SystemTime::UNIX_EPOCH)).unwrap()
        };
        let head = "HTTP/1.1 503 Service Unavailable\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n";
        assert_eq!(write(&error, false, false), format!("{head}\r\nbroken"));
        assert_eq!(
            write(&error, true, true),
            format!("{head}Connection: close\r\n\r\n")
        );
        error.code = 599;
        assert!(write(&error, false, false).starts_with("HTTP/1.1 599 Unknown\r\n"));
        error.code = 204;
        assert!(write(&error, false, false).ends_with("text/plain\r\n\r\n"));
    }
}
