//! One request and its answer on a connection of its own. hyper speaks; the head of the answer is also kept as it came,
//! because hyper writes names of headers in lower case.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;

use super::connect::{Proxies, Route, Stream, connect};
use super::{HttpError, Request, Response};

/// More than hyper takes for a head.
const HEAD: usize = 1024 * 1024;
const HEADERS: usize = 256;

pub(super) async fn ask(request: &Request, proxies: &Proxies) -> Result<Response, HttpError> {
    let url = request.url.as_str();
    let lost = |why: String, reached: bool| HttpError::Connect {
        url: url.to_owned(),
        why,
        reached,
    };
    let connection = match limited(
        request.connect_timeout,
        connect(&request.url, &request.trust, proxies),
    )
    .await
    {
        None => return Err(lost("it took too long".to_owned(), false)),
        Some(Err(error)) => return Err(lost(error.to_string(), false)),
        Some(Ok(connection)) => connection,
    };
    let message = message(request, &connection.route)?;
    let head = Head::default();
    let stream = Kept {
        stream: connection.stream,
        head: head.clone(),
    };
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .title_case_headers(true)
        .max_headers(HEADERS)
        .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|error| lost(sentence(&error), true))?;
    // Gone with this function, whether it ends or is given up.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = match limited(request.read_timeout, sender.send_request(message)).await {
        None => {
            return Err(HttpError::Timeout {
                url: url.to_owned(),
            });
        }
        Some(Err(error)) => return Err(lost(sentence(&error), true)),
        Some(Ok(response)) => response,
    };
    let (parts, mut incoming) = response.into_parts();
    let headers = head.take().unwrap_or_else(|| {
        parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), latin(value.as_bytes())))
            .collect()
    });
    let mut body = Vec::new();
    loop {
        let frame = match limited(request.read_timeout, incoming.frame()).await {
            None => {
                return Err(lost(
                    "the rest of its answer did not come in time".to_owned(),
                    true,
                ));
            }
            Some(None) => break,
            Some(Some(Err(error))) => {
                return Err(HttpError::Answer {
                    url: url.to_owned(),
                    why: sentence(&error),
                });
            }
            Some(Some(Ok(frame))) => frame,
        };
        if let Some(data) = frame.data_ref() {
            body.extend_from_slice(data);
        }
    }
    Ok(Response {
        status: parts.status.as_u16(),
        headers: joined(headers),
        body,
    })
}

/// None: the time was over first.
async fn limited<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match limit {
        None => Some(work.await),
        Some(limit) => tokio::time::timeout(limit, work).await.ok(),
    }
}

/// What hyper says, with what lies behind it.
fn sentence(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn message(request: &Request, route: &Route) -> Result<http::Request<Full<Bytes>>, HttpError> {
    let wrong = |why: String| HttpError::Address {
        url: request.url.to_string(),
        why,
    };
    let url = &request.url;
    let target = if let Route::Proxy { .. } = route {
        let mut plain = url.clone();
        // Nobody but the server is to see them; an address with a host takes both.
        let _ = (plain.set_username(""), plain.set_password(None));
        plain.set_fragment(None);
        plain.to_string()
    } else {
        url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()
    };
    let mut message = http::Request::builder()
        .method(request.method.clone())
        .uri(target);
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    if request.header("Host").is_none() {
        message = message.header(HOST, host);
    }
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| wrong(format!("`{name}` is no name of a header")))?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            wrong(format!(
                "the value of the header {name} has a line break in it"
            ))
        })?;
        message = message.header(name, value);
    }
    if let Route::Proxy {
        authorization: Some(authorization),
    } = route
    {
        message = message.header(PROXY_AUTHORIZATION, authorization);
    }
    let body = Full::new(request.body.clone().unwrap_or_default());
    if request.body.is_none() && !matches!(request.method.as_str(), "GET" | "HEAD") {
        message = message.header(http::header::CONTENT_LENGTH, 0);
    }
    message.body(body).map_err(|error| wrong(error.to_string()))
}

/// Each name once, as it was written first.
fn joined(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut joined: Vec<(String, String)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        match joined
            .iter_mut()
            .find(|(own, _)| own.eq_ignore_ascii_case(&name))
        {
            Some((_, values)) => {
                values.push_str(", ");
                values.push_str(&value);
            }
            None => joined.push((name, value)),
        }
    }
    joined
}

/// Each byte is a character, as Python reads headers.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// What was read before an answer began; none once it was taken.
#[derive(Clone)]
struct Head(Arc<Mutex<Option<Vec<u8>>>>);

impl Default for Head {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some(Vec::new()))))
    }
}

impl Head {
    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_mut().filter(|kept| kept.len() < HEAD) {
            kept.extend_from_slice(bytes);
        }
    }

    /// The headers of the answer; those of answers that only say that one will come are passed over.
    fn take(&self) -> Option<Vec<(String, String)>> {
        let bytes = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        let mut rest = bytes.as_slice();
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS];
            let mut response = httparse::Response::new(&mut headers);
            let httparse::Status::Complete(length) = response.parse(rest).ok()? else {
                return None;
            };
            if matches!(response.code, Some(100..=199)) {
                rest = &rest[length..];
                continue;
            }
            return Some(
                response
                    .headers
                    .iter()
                    .map(|header| (header.name.to_owned(), latin(header.value)))
                    .collect(),
            );
        }
    }
}

/// A connection that keeps the beginning of what comes.
struct Kept {
    stream: Box<dyn Stream>,
    head: Head,
}

impl AsyncRead for Kept {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.head.keep(&buffer.filled()[before..]);
        read
    }
}

impl AsyncWrite for Kept {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
