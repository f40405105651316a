//! The HTTP side: connections, the state of the server as a whole (paused, slow), headers, bodies.

use std::{convert::Infallible, sync::Arc, time::Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::{self, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Shared,
    access::Identity,
    answers::{Answer, Asked, answer, identify},
    forward, random_uid,
    request::Parameters,
    requests::Seen,
    status::{Body, Failure},
};

type Payload = UnsyncBoxBody<Bytes, Infallible>;

/// Accepts connections until it is dropped, and ends them with it.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (shared, tls) = (Arc::clone(&shared), tls.clone());
        connections.spawn(async move {
            let Some(tls) = tls else {
                return connection(shared, stream, None).await;
            };
            shared.running().await;
            if let Ok(stream) = tls.accept(stream).await {
                let certificate = stream
                    .get_ref()
                    .1
                    .peer_certificates()
                    .and_then(<[_]>::first)
                    .and_then(|certificate| shared.certified(certificate));
                connection(shared, stream, certificate).await;
            }
        });
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    shared: Arc<Shared>,
    stream: S,
    certificate: Option<Identity>,
) {
    // What a request started ends with its connection.
    let service = service_fn(move |request| {
        let (shared, certificate) = (Arc::clone(&shared), certificate.clone());
        async move { Ok::<_, Infallible>(respond(shared, certificate, request).await) }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn respond(
    shared: Arc<Shared>,
    certificate: Option<Identity>,
    mut request: Request<Incoming>,
) -> Response<Payload> {
    let came = Instant::now();
    shared.running().await;
    let delay = shared.state().delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let upgrade = request
        .headers()
        .contains_key(header::UPGRADE)
        .then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
    let asked = Asked {
        parameters: Parameters::parse(parts.uri.query()),
        path: parts.uri.path().to_owned(),
        method: parts.method,
        headers: parts.headers,
        body,
        certificate,
    };
    let user = identify(&shared, &asked);
    let mut seen = Seen {
        at: came,
        method: asked.method.to_string(),
        path: asked.path.clone(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        user: user
            .as_ref()
            .map_or(String::new(), |user| user.name.clone()),
        body: asked.body.clone(),
        status: 0,
    };
    let answered = match user {
        Ok(user) => {
            let failure = shared.state().next_failure(&seen);
            match failure {
                Some(failure) => Err(failure),
                None => answer(&shared, &user, &asked).await,
            }
        }
        Err(failure) => Err(failure),
    };
    let response = match answered {
        Ok(Answer::Object(code, object)) => of_object(code, &object),
        Ok(Answer::Text(text)) => {
            let mut response = of_text(StatusCode::OK, text.to_owned());
            no_sniffing(response.headers_mut());
            response
        }
        Ok(Answer::Watch(watch)) => {
            let (lines, receiver) = mpsc::channel(64);
            let shared = Arc::clone(&shared);
            tokio::spawn(async move { watch.run(&shared, lines).await });
            let frames = ReceiverStream::new(receiver).map(|line| Ok(Frame::data(line)));
            response(
                StatusCode::OK,
                "application/json",
                StreamBody::new(frames).boxed_unsync(),
            )
        }
        Ok(Answer::Forward(forward)) => match upgrade {
            Some(upgrade) => upgraded(&shared, forward, upgrade),
            None => of_failure(&Failure::bad_request("Upgrade request required")),
        },
        Err(failure) => of_failure(&failure),
    };
    seen.status = response.status().as_u16();
    shared.state().seen.push(seen);
    headed(&shared, response)
}

/// Accepts an upgrade, and carries bytes in a task that can be cut.
fn upgraded(
    shared: &Arc<Shared>,
    forward: forward::Forward,
    upgrade: hyper::upgrade::OnUpgrade,
) -> Response<Payload> {
    let mut response = Response::new(Full::default().boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(forward::PROTOCOL),
    );
    if let Ok(accept) = HeaderValue::from_str(&forward.accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    let node = forward.node.clone();
    let task = tokio::spawn({
        let shared = Arc::clone(shared);
        async move {
            if let Ok(upgraded) = upgrade.await {
                forward::carry(shared, forward, upgraded).await;
            }
        }
    });
    let mut state = shared.state();
    state
        .forwards
        .retain(|(_, task): &(String, tokio::task::AbortHandle)| !task.is_finished());
    state.forwards.push((node, task.abort_handle()));
    response
}

fn of_object(code: StatusCode, object: &Value) -> Response<Payload> {
    let text = format!("{object}\n");
    response(code, "application/json", Full::from(text).boxed_unsync())
}

fn of_text(code: StatusCode, text: String) -> Response<Payload> {
    response(
        code,
        "text/plain; charset=utf-8",
        Full::from(text).boxed_unsync(),
    )
}

fn of_failure(failure: &Failure) -> Response<Payload> {
    let mut response = match &failure.body {
        Body::Status(status) => of_object(failure.code, status),
        Body::Text(text) => of_text(failure.code, text.clone()),
    };
    let is_page = failure.code == StatusCode::NOT_FOUND && matches!(failure.body, Body::Text(_));
    if failure.code == StatusCode::FORBIDDEN || is_page {
        no_sniffing(response.headers_mut());
    }
    if failure.status()["details"]["retryAfterSeconds"].is_number() {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn response(code: StatusCode, media: &'static str, body: Payload) -> Response<Payload> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

fn no_sniffing(headers: &mut HeaderMap) {
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
}

/// The headers that all answers have.
fn headed(shared: &Shared, mut response: Response<Payload>) -> Response<Payload> {
    let clock = shared.state().clock;
    // Who is refused at the door has no place in the queue, and whose time is over is no longer in it.
    let queued = response.status() != StatusCode::UNAUTHORIZED
        && response.status() != StatusCode::GATEWAY_TIMEOUT;
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    let mut insert = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    insert("date", clock.http_date());
    insert("audit-id", random_uid());
    if queued {
        insert("x-kubernetes-pf-flowschema-uid", shared.flow.0.clone());
        insert("x-kubernetes-pf-prioritylevel-uid", shared.flow.1.clone());
    }
    response
}
