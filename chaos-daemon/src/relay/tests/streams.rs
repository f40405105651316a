//! Calls of gRPC whose messages go both ways at once.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::{body::Incoming, client, server, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

#[tokio::test]
async fn a_stream_of_messages_passes_while_the_client_still_sends() {
    let (listener, address) = application().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // One message back for the first, before the second has come.
        let service = service_fn(|request: Request<Incoming>| async move {
            Ok::<_, Infallible>(Response::new(request.into_body()))
        });
        server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await
    });
    let scene = Scene::new(address, ServiceFault::Grpc(Box::default()));
    let stream = TokioIo::new(scene.connect().await);
    let builder = client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let (says, body) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let body = Channel(body);
    let request = Request::post("http://s/p.S/Chat")
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap();
    let answer = timeout(PATIENCE, sender.send_request(request))
        .await
        .unwrap()
        .unwrap();
    let mut hears = answer.into_body();
    for word in ["one", "two", "three"] {
        says.send(Bytes::from_static(word.as_bytes())).unwrap();
        let frame = timeout(PATIENCE, hears.frame())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(frame.into_data().unwrap(), word.as_bytes());
    }
    drop(says);
    // The end may be a frame without data.
    let rest = timeout(PATIENCE, hears.collect()).await.unwrap().unwrap();
    assert!(rest.to_bytes().is_empty());
}

/// A body that is said bit by bit.
struct Channel(tokio::sync::mpsc::UnboundedReceiver<Bytes>);

impl Body for Channel {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|data| data.map(|data| Ok(Frame::data(data))))
    }
}

/// A body that never ends, and says nothing.
struct Silence;

impl Body for Silence {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn calls_that_nobody_answers_end_with_either_side_and_with_the_relay() {
    for who in ["client", "application", "relay"] {
        let (listener, address) = application().await;
        let serves = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(|_: Request<Incoming>| async {
                std::future::pending::<Result<Response<Silence>, Infallible>>().await
            });
            server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await
        });
        let mut scene = Scene::new(address, ServiceFault::Grpc(Box::default()));
        // hyper keeps a connection on which somebody waits.
        let stream = scene.connect().await.into_std().unwrap();
        let plug = stream.try_clone().unwrap();
        let stream = TokioIo::new(tokio::net::TcpStream::from_std(stream).unwrap());
        let builder = client::conn::http2::Builder::new(TokioExecutor::new());
        let (mut sender, connection) = builder.handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let request = Request::post("http://s/p.S/M");
                let request = request.header("content-type", "application/grpc");
                tokio::spawn(sender.send_request(request.body(Silence).unwrap()))
            })
            .collect();
        until(|| scene.counted().seen == 20).await;
        match who {
            "client" => plug.shutdown(std::net::Shutdown::Both).unwrap(),
            "application" => serves.abort(),
            _ => scene.relays.abort(scene.id),
        }
        until(|| scene.counted().open_connections == 0).await;
        for call in calls {
            assert!(
                timeout(PATIENCE, call).await.unwrap().unwrap().is_err(),
                "{who}"
            );
        }
        let failed = scene.counted().upstream_failed;
        assert_eq!(failed, if who == "application" { 20 } else { 0 }, "{who}");
    }
}

#[tokio::test]
async fn a_server_of_http_2_that_speaks_first_is_one_still() {
    let (listener, address) = application().await;
    let scene = Scene::new(address, ServiceFault::Grpc(Box::default()));
    let mut stream = scene.connect().await;
    let (served, _) = listener.accept().await.unwrap();
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    tokio::spawn(
        server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(served), service),
    );
    // Its settings do not go on before it is known what the client speaks.
    let early = timeout(Duration::from_millis(100), stream.read(&mut [0])).await;
    assert!(early.is_err());
    let builder = client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://s/p.S/M").header("content-type", "application/grpc");
    let request = request.body(http_body_util::Empty::<Bytes>::new()).unwrap();
    let answer = timeout(PATIENCE, sender.send_request(request))
        .await
        .unwrap();
    assert_eq!(answer.unwrap().status(), 200);
    let counted = scene.counted();
    assert_eq!((counted.seen, counted.other_connections), (1, 0));
}
