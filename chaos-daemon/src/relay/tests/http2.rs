//! HTTP/2 and gRPC through the relay.

mod draining;

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client, server, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;
use crate::engine::{Edits, ErrorStatus, Field, Glob, Grpc, RequestMatch};

/// Frames in their order.
struct Frames(VecDeque<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

fn trailers(status: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    trailers
}

/// Answers each message of a call with it, and then with a status.
async fn echo(request: Request<Incoming>) -> Result<Response<Frames>, Infallible> {
    let mut frames = VecDeque::new();
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.unwrap().into_data() {
            frames.push_back(Frame::data(data));
        }
    }
    frames.push_back(Frame::trailers(trailers("0")));
    let mut answer = Response::new(Frames(frames));
    answer
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(answer)
}

async fn grpc_application() -> SocketAddr {
    let (listener, address) = application().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(
                server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service_fn(echo)),
            );
        }
    });
    address
}

type Caller = client::conn::http2::SendRequest<Full<Bytes>>;

async fn caller(scene: &Scene) -> Caller {
    let stream = TokioIo::new(scene.connect().await);
    let builder = client::conn::http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// What came of a call: its head, its content and its trailers.
async fn call(
    caller: &mut Caller,
    path: &str,
) -> Result<(Response<()>, Bytes, Option<HeaderMap>), hyper::Error> {
    let request = Request::post(format!("http://service{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from_static(b"\0\0\0\0\x02hi")))
        .unwrap();
    let answer = timeout(PATIENCE, caller.send_request(request))
        .await
        .unwrap()?;
    let (head, body) = answer.into_parts();
    let body = timeout(PATIENCE, body.collect()).await.unwrap()?;
    let trailers = body.trailers().cloned();
    Ok((Response::from_parts(head, ()), body.to_bytes(), trailers))
}

fn grpc(grpc: Grpc) -> ServiceFault {
    ServiceFault::Grpc(Box::new(grpc))
}

fn status() -> ErrorStatus {
    ErrorStatus {
        share: Ppm::ALL,
        first: 0,
        code: 14,
        message: "down 100%".into(),
    }
}

/// Describes gRPC too.
fn anything() -> Vec<RequestMatch> {
    let path = Some(Glob::of_path("/**").unwrap());
    vec![RequestMatch { method: None, path }]
}

#[tokio::test]
async fn calls_pass_with_their_trailers() {
    let scene = Scene::new(grpc_application().await, None);
    let mut caller = caller(&scene).await;
    for rules in [None, Some(grpc(Grpc::default()))] {
        scene.set(rules);
        let (head, content, trailers) = call(&mut caller, "/p.S/M").await.unwrap();
        assert_eq!(content, b"\0\0\0\0\x02hi"[..]);
        assert_eq!(trailers, Some(super::http2::trailers("0")));
        assert!(!head.headers().contains_key("content-length"));
    }
    assert_eq!((scene.counted().seen, scene.counted().passed), (1, 1));
}

#[tokio::test]
async fn an_error_is_a_status_without_a_body_and_excluded_calls_pass() {
    let scene = Scene::new(
        grpc_application().await,
        grpc(Grpc {
            error: Some(status()),
            pause: Some(Pause {
                delay: Duration::from_mins(1),
                variation: Duration::ZERO,
                share: Ppm::ALL,
            }),
            exclude: vec!["p.Health".parse().unwrap(), "p.S/Fine".parse().unwrap()],
            ..Grpc::default()
        }),
    );
    let mut caller = caller(&scene).await;
    // At once, in spite of the delay.
    let (head, content, trailers) = call(&mut caller, "/p.S/M").await.unwrap();
    assert_eq!(head.headers()["grpc-status"], "14");
    assert_eq!(head.headers()["grpc-message"], "down 100%25");
    assert_eq!(head.headers()["content-type"], "application/grpc");
    assert!(content.is_empty() && trailers.is_none());
    for path in ["/p.Health/Check", "/p.S/Fine"] {
        let (head, _, trailers) = call(&mut caller, path).await.unwrap();
        assert!(!head.headers().contains_key("grpc-status"));
        assert_eq!(trailers, Some(super::http2::trailers("0")));
    }
    let Requests {
        seen,
        excluded,
        errors,
        delayed,
        ..
    } = scene.counted();
    assert_eq!((seen, excluded, errors, delayed), (3, 2, 1, 0));
}

#[tokio::test]
async fn faults_of_http_take_http_2_and_leave_grpc() {
    let scene = Scene::new(
        grpc_application().await,
        http(Http {
            error: Some(error()),
            ..Http::default()
        }),
    );
    let mut caller = caller(&scene).await;
    let (_, _, trailers) = call(&mut caller, "/p.S/M").await.unwrap();
    assert_eq!(trailers, Some(super::http2::trailers("0")));
    let plain = |path: &str| {
        Request::get(format!("http://service{path}"))
            .body(Full::default())
            .unwrap()
    };
    let answer = caller.send_request(plain("/x")).await.unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.headers()["content-length"], "6");
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        b"broken"[..]
    );
    let counted = scene.counted();
    assert_eq!((counted.unmatched, counted.errors), (1, 1));

    scene.set(http(Http {
        abort: Ppm::ALL,
        ..Http::default()
    }));
    let aborted = caller.send_request(plain("/x")).await.unwrap_err();
    let aborted = std::error::Error::source(&aborted)
        .unwrap()
        .downcast_ref::<h2::Error>();
    assert_eq!(
        aborted.and_then(h2::Error::reason),
        Some(h2::Reason::INTERNAL_ERROR)
    );

    // Cut, and slowed down.
    scene.set(http(Http {
        truncate: Some(3),
        matches: anything(),
        ..Http::default()
    }));
    assert!(call(&mut caller, "/p.S/M").await.is_err());
    until(|| scene.counted().truncated == 1).await;
    scene.set(http(Http {
        throttle: 20,
        matches: anything(),
        ..Http::default()
    }));
    let before = Instant::now();
    let (_, content, trailers) = call(&mut caller, "/p.S/M").await.unwrap();
    assert_eq!(content.len(), 7);
    assert!(
        trailers.is_some() && before.elapsed() >= Duration::from_millis(290),
        "{:?}",
        before.elapsed()
    );
}

#[tokio::test]
async fn answers_are_held_and_fields_change() {
    let field = |name: &str, value: &str| Field {
        name: name.into(),
        value: value.into(),
    };
    let (listener, address) = application().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // It says which fields it got.
        let service = service_fn(|request: Request<Incoming>| async move {
            let mut answer = Response::new(Full::<Bytes>::default());
            *answer.headers_mut() = request.headers().clone();
            answer
                .headers_mut()
                .insert("etag", HeaderValue::from_static("x"));
            Ok::<_, Infallible>(answer)
        });
        server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await
    });
    let delay = Duration::from_millis(50);
    let scene = Scene::new(
        address,
        http(Http {
            pause: Some(Pause {
                delay,
                variation: Duration::ZERO,
                share: Ppm::ALL,
            }),
            request: Edits {
                set: vec![field("X-Chaos", "1")],
                remove: vec!["Cookie".into()],
            },
            answer: Edits {
                set: vec![field("X-Answer", "2")],
                remove: vec!["ETag".into()],
            },
            ..Http::default()
        }),
    );
    let mut caller = caller(&scene).await;
    let request = Request::get("http://service/x")
        .header("cookie", "c")
        .header("keep", "k");
    let before = Instant::now();
    let answer = caller
        .send_request(request.body(Full::default()).unwrap())
        .await
        .unwrap();
    assert!(before.elapsed() >= delay);
    let fields = answer.headers();
    assert_eq!(
        (&fields["x-chaos"], &fields["x-answer"], &fields["keep"]),
        (
            &"1".parse().unwrap(),
            &"2".parse().unwrap(),
            &"k".parse().unwrap()
        )
    );
    assert!(!fields.contains_key("cookie") && !fields.contains_key("etag"));
    let counted = scene.counted();
    assert_eq!(
        (counted.delayed, counted.headers_changed, counted.passed),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn an_application_that_speaks_no_http_2_is_counted() {
    let (listener, address) = application().await;
    let scene = Scene::new(address, http(Http::default()));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            .await;
    });
    let mut caller = caller(&scene).await;
    assert!(call(&mut caller, "/x").await.is_err());
    until(|| scene.counted().upstream_failed > 0).await;
}

#[tokio::test]
async fn what_is_held_leaves_room_for_what_is_spared() {
    // More than a connection's worth of windows, as long as those of a few streams fill it.
    const BODY: usize = 512 << 10;
    const HELD: usize = 20;
    let (listener, address) = application().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|_| async {
                let body = Full::new(Bytes::from(vec![7; BODY]));
                Ok::<_, Infallible>(Response::new(body))
            });
            tokio::spawn(
                server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    let scene = Scene::new(
        address,
        http(Http {
            pause: Some(Pause {
                delay: Duration::from_mins(1),
                variation: Duration::ZERO,
                share: Ppm::ALL,
            }),
            exclude: vec!["/health".into()],
            ..Http::default()
        }),
    );
    let mut caller = caller(&scene).await;
    let get = |path: &str| {
        let request = Request::get(format!("http://service{path}"));
        request.body(Full::default()).unwrap()
    };
    let held: Vec<_> = (0..HELD)
        .map(|_| tokio::spawn(caller.send_request(get("/big"))))
        .collect();
    until(|| scene.counted().delayed == HELD as u64).await;
    let answer = timeout(PATIENCE, caller.send_request(get("/health")));
    let body = answer.await.unwrap().unwrap().into_body();
    let body = timeout(PATIENCE, body.collect()).await.unwrap().unwrap();
    assert_eq!(body.to_bytes().len(), BODY);
    assert!(held.iter().all(|held| !held.is_finished()));
}

#[tokio::test]
async fn another_host_takes_the_place_of_the_one_that_was_asked() {
    let (listener, address) = application().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(|request: Request<Incoming>| async move {
            let field = request.headers().get("host").cloned();
            let said = format!("{:?} {field:?}", request.uri().authority());
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(said)))
        });
        server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await
    });
    let request = Edits {
        set: vec![Field {
            name: "Host".into(),
            value: "elsewhere:81".into(),
        }],
        remove: Vec::new(),
    };
    let scene = Scene::new(
        address,
        http(Http {
            request,
            ..Http::default()
        }),
    );
    let mut caller = caller(&scene).await;
    let request = Request::get("http://service/x").body(Full::default());
    let answer = caller.send_request(request.unwrap()).await.unwrap();
    let said = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(said, "Some(elsewhere:81) None");
}
