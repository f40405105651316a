//! One request of a connection, and its answer.

use std::{
    sync::atomic::Ordering,
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use h2::Reason;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
    uri::Scheme,
};
use hyper::body::Incoming;

use super::{
    Application,
    body::{Broken, Limit, Passing, Reply},
};
use crate::{
    engine::{ErrorAnswer, ErrorStatus},
    relay::{
        decide::{self, Act, Asked, decide, error_answer, error_status},
        guide::Guide,
        http1::edit::Edit,
        slow::Slow,
    },
};

/// Answers a request, with what the application says or without.
pub(super) async fn exchange(
    mut request: Request<Incoming>,
    mut application: Application,
    mut guide: Guide,
) -> Result<Response<Reply>, Broken> {
    if !guide.look() {
        let answer = application.ask(request, &guide).await?;
        return Ok(answer.map(|body| Reply::theirs(body, None, None)));
    }
    let decision = {
        let asked = Asked {
            method: request.method().as_str(),
            target: request.uri().path(),
            is_grpc: is_grpc(request.headers()),
            fields: request.headers(),
        };
        decide(&guide.seen, &asked, Instant::now())
    };
    match decision.act {
        Act::Pass => {}
        Act::Abort => {
            guide.hold(&decision.delay).await;
            // Not REFUSED_STREAM: clients of gRPC try that again without a word.
            return Err(h2::Error::from(Reason::INTERNAL_ERROR).into());
        }
        Act::Error(rule) => {
            guide.hold(&decision.delay).await;
            let head_only = request.method() == Method::HEAD;
            let status = error_status(&guide.seen, rule).map(trailers_only);
            let answer = || error_answer(&guide.seen, rule).map(|error| made(error, head_only));
            return status
                .or_else(answer)
                .ok_or_else(|| h2::Error::from(Reason::INTERNAL_ERROR).into());
        }
    }
    guide.hold(&decision.delay_request).await;
    {
        let edit = decision.request_edit(&guide.seen);
        apply(&edit, request.headers_mut());
        if edit.sets("host") {
            // The pseudo-field is what says that here.
            aim(&mut request);
            request.headers_mut().remove(header::HOST);
        }
    }
    let mut answer = application.ask(request, &guide).await?;
    guide.hold(&decision.delay).await;
    apply(&decision.answer_edit(&guide.seen), answer.headers_mut());
    let limit = decision
        .truncate
        .map(|cut| Limit::new(cut, guide.seen.clone()));
    let slow = Slow::new(&decision.throttle, &guide);
    Ok(answer.map(|body| Reply::theirs(body, slow, limit)))
}

/// The request as it goes on.
fn outgoing(request: Request<Incoming>) -> Request<Passing> {
    let mut request = request.map(Passing);
    // Clients may say where they want to go in a field only; hyper wants to know it from the URI.
    if request.uri().authority().is_none() {
        aim(&mut request);
    }
    request
}

/// Has the URI say what the field of the host says.
fn aim<B>(request: &mut Request<B>) {
    if let Some(host) = request.headers().get(header::HOST)
        && let Ok(authority) = host.as_bytes().try_into()
    {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme.get_or_insert(Scheme::HTTP);
        parts.authority = Some(authority);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

impl Application {
    /// Its answer, or why there is none, for the client.
    async fn ask(
        &mut self,
        request: Request<Incoming>,
        guide: &Guide,
    ) -> Result<Response<Incoming>, Broken> {
        let error = match self.sender.send_request(outgoing(request)).await {
            Ok(answer) => {
                self.has_answered.store(true, Ordering::Relaxed);
                return Ok(answer);
            }
            Err(error) => error,
        };
        // An application that is about to close does not take all requests, and that is no failure.
        let is_refused = error.is_canceled();
        if !is_refused || !self.has_answered.load(Ordering::Relaxed) {
            guide.upstream_failed();
        }
        if is_refused {
            // It never left: the client may ask again.
            return Err(h2::Error::from(Reason::REFUSED_STREAM).into());
        }
        // A reset of the application's goes on as that.
        Err(error.into())
    }
}

/// Calls of gRPC, and not of what is made for browsers.
fn is_grpc(fields: &HeaderMap) -> bool {
    let kind = fields.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

impl decide::Fields for HeaderMap {
    fn any(&self, test: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
        self.iter()
            .any(|(name, value)| test(name.as_str().as_bytes(), value.as_bytes()))
    }
}

fn apply(edit: &Edit<'_>, fields: &mut HeaderMap) {
    for name in &edit.remove {
        fields.remove(*name);
    }
    for (name, value) in &edit.set {
        insert(fields, name, value);
    }
}

fn insert(fields: &mut HeaderMap, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
        fields.insert(name, value);
    }
}

/// An answer of ours.
fn made(error: &ErrorAnswer, head_only: bool) -> Response<Reply> {
    let is_bare = matches!(error.code, 204 | 304);
    let body = (!is_bare && !head_only && !error.body.is_empty())
        .then(|| Bytes::copy_from_slice(&error.body));
    let mut answer = Response::new(Reply::Made(body));
    *answer.status_mut() =
        StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fields = answer.headers_mut();
    insert(fields, "date", &httpdate::fmt_http_date(SystemTime::now()));
    for field in &error.headers {
        insert(fields, &field.name, &field.value);
    }
    if !is_bare {
        fields.insert(header::CONTENT_LENGTH, error.body.len().into());
    }
    answer
}

/// A status of ours: fields without a body, which gRPC takes for the trailers of a call without messages.
fn trailers_only(error: &ErrorStatus) -> Response<Reply> {
    let mut answer = Response::new(Reply::Made(None));
    let fields = answer.headers_mut();
    let kind = HeaderValue::from_static("application/grpc");
    fields.insert(header::CONTENT_TYPE, kind);
    insert(fields, "grpc-status", &error.code.to_string());
    if !error.message.is_empty() {
        insert(fields, "grpc-message", &percent_encoded(&error.message));
    }
    answer
}

/// As gRPC writes messages: printable ASCII as it is, but for the percent sign.
fn percent_encoded(message: &str) -> String {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            let digits = b"0123456789ABCDEF";
            let digit = |of: u8| char::from(digits[usize::from(of)]);
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_as_grpc_reads_them() {
        assert_eq!(percent_encoded("down 100%\n"), "down 100%25%0A");
        assert_eq!(percent_encoded("größe"), "gr%C3%B6%C3%9Fe");
    }

    #[test]
    fn a_call_is_known_by_its_content() {
        for (kind, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; x", true),
            ("application/grpc-web+proto", false),
            ("application/json", false),
        ] {
            let mut fields = HeaderMap::new();
            assert!(!is_grpc(&fields));
            insert(&mut fields, "content-type", kind);
            assert_eq!(is_grpc(&fields), expected, "{kind}");
        }
    }
}
