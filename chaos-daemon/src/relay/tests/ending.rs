//! Who closes first, what becomes of whoever was about to ask, and what goes on when a rule ends.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{body::Incoming, client, server, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;

use super::*;
use crate::engine::{Glob, RequestMatch};

async fn ask(client: &mut TcpStream, served: &mut TcpStream) {
    client.write_all(GET).await.unwrap();
    hear(served, GET).await;
    served.write_all(OK).await.unwrap();
}

#[tokio::test]
async fn a_request_under_way_when_its_port_drains_is_answered() {
    let (application, address) = application().await;
    let mut scene = Scene::new(address, http(Http::default()));
    let mut asks = scene.connect().await;
    let (mut asked, _) = application.accept().await.unwrap();
    let mut idle = scene.connect().await;
    let (mut never_asked, _) = application.accept().await.unwrap();
    for (client, served) in [(&mut asks, &mut asked), (&mut idle, &mut never_asked)] {
        ask(client, served).await;
        hear(client, OK).await;
    }
    scene.relays.drain(scene.id, scene.address.port(), PATIENCE);
    // By then the relay knows. The client cannot.
    tokio::time::sleep(Duration::from_millis(50)).await;
    ask(&mut asks, &mut asked).await;
    hear(
        &mut asks,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    )
    .await;
    assert_eq!(end(&mut asks).await.unwrap(), 0);
    // Who does not ask for a while is closed.
    assert_eq!(end(&mut idle).await.unwrap(), 0);
}

#[tokio::test]
async fn an_application_that_closes_what_was_silent_spoke_nothing_else() {
    let (application, address) = application().await;
    let scene = Scene::new(address, http(Http::default()));
    let mut client = scene.connect().await;
    let (served, _) = application.accept().await.unwrap();
    drop(served);
    assert_eq!(end(&mut client).await.unwrap(), 0);
    let counted = scene.counted();
    assert_eq!((counted.connections, counted.other_connections), (1, 0));
}

/// What the application of the next tests answers: of 1 byte/s nobody lives to see the end.
const LENGTH: usize = 100;

/// Answers in the version of HTTP in which it is asked.
async fn two_versions(is_2: bool) -> SocketAddr {
    let (listener, address) = application().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|_: Request<Incoming>| async {
                let body = Full::new(Bytes::from_static(&[7; LENGTH]));
                Ok::<_, Infallible>(Response::new(body))
            });
            let stream = TokioIo::new(stream);
            tokio::spawn(async move {
                if is_2 {
                    let builder = server::conn::http2::Builder::new(TokioExecutor::new());
                    builder.serve_connection(stream, service).await
                } else {
                    let builder = server::conn::http1::Builder::new();
                    builder.serve_connection(stream, service).await
                }
            });
        }
    });
    address
}

/// Asks on a connection of its own, and hears how long the content of the answer was.
async fn asks(scene: &Scene, is_2: bool, path: &str) -> JoinHandle<usize> {
    let stream = TokioIo::new(scene.connect().await);
    let request = Request::get(format!("http://service{path}"));
    let request = request
        .header("host", "service")
        .body(Empty::<Bytes>::new());
    let request = request.unwrap();
    tokio::spawn(async move {
        let body = if is_2 {
            let builder = client::conn::http2::Builder::new(TokioExecutor::new());
            let (mut sender, connection) = builder.handshake(stream).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap().into_body()
        } else {
            let builder = client::conn::http1::Builder::new();
            let (mut sender, connection) = builder.handshake(stream).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap().into_body()
        };
        body.collect().await.unwrap().to_bytes().len()
    })
}

/// Waits for the answer.
async fn goes_on(asks: JoinHandle<usize>, what: &str) {
    let heard = timeout(PATIENCE, asks).await;
    assert_eq!(heard.expect(what).unwrap(), LENGTH, "{what}");
}

/// Asks for what no rule hits, which the relay's only thread answers after all that it had to do before, and which comes
/// here after all that came before.
async fn settle(scene: &Scene, is_2: bool) {
    for _ in 0..3 {
        goes_on(asks(scene, is_2, "/spared").await, "what is spared").await;
    }
}

/// A rule of its own experiment, for these paths.
fn of_paths(http: &Http, paths: [&str; 2]) -> ServiceRule {
    let matches = paths.map(|path| RequestMatch {
        method: None,
        path: Some(Glob::of_path(path).unwrap()),
    });
    let http = Http {
        matches: matches.into(),
        ..http.clone()
    };
    rule(self::http(http), &Arc::default())
}

#[tokio::test]
async fn what_a_rule_holds_goes_on_when_that_rule_ends() {
    let delay = Http {
        pause: Some(Pause {
            delay: Duration::from_mins(1),
            variation: Duration::ZERO,
            share: Ppm::ALL,
        }),
        ..Http::default()
    };
    let throttle = Http {
        throttle: 1,
        ..Http::default()
    };
    for (fault, is_2) in [
        (&delay, false),
        (&delay, true),
        (&throttle, false),
        (&throttle, true),
    ] {
        let what = format!("{fault:?}, HTTP/{}", if is_2 { 2 } else { 1 });
        let mut scene = Scene::new(two_versions(is_2).await, None);
        let first = of_paths(fault, ["/first", "/both"]);
        let second = of_paths(fault, ["/second", "/both"]);
        // The order says whose delay comes first.
        for ends in [[&first, &second], [&second, &first]] {
            let [ends, stays] = ends;
            scene.set_all(&[first.clone(), second.clone()]);
            let hits = |rule: &ServiceRule| {
                let counted = rule.tally.read(0);
                counted.delayed + counted.throttled
            };
            let before = [hits(ends), hits(stays)];
            let is_first = Arc::ptr_eq(&ends.tally, &first.tally);
            let [own, others] = if is_first {
                ["/first", "/second"]
            } else {
                ["/second", "/first"]
            };
            let own = asks(&scene, is_2, own).await;
            let others = asks(&scene, is_2, others).await;
            let both = asks(&scene, is_2, "/both").await;
            until(|| [hits(ends), hits(stays)] == before.map(|hits| hits + 2)).await;
            settle(&scene, is_2).await;

            // An update keeps both, changed or not.
            let mut changed = ends.clone();
            changed.seed = 2;
            scene.set_all(&[changed, stays.clone()]);
            settle(&scene, is_2).await;
            assert!(!own.is_finished(), "{what}: let go by an update");

            scene.set_all(std::slice::from_ref(stays));
            goes_on(own, &what).await;
            settle(&scene, is_2).await;
            assert!(!others.is_finished(), "{what}: another's is let go");
            assert!(!both.is_finished(), "{what}: the other's part is let go");

            scene.set_all(&[]);
            goes_on(others, &what).await;
            goes_on(both, &what).await;
        }
        // And with the port, whose rules have ended with it.
        scene.set_all(&[first]);
        let held = asks(&scene, is_2, "/first").await;
        settle(&scene, is_2).await;
        scene.relays.drain(scene.id, scene.address.port(), PATIENCE);
        goes_on(held, &what).await;
    }
}

#[tokio::test]
async fn an_answer_goes_as_fast_as_the_slowest_rule_that_is_left_says() {
    for is_2 in [false, true] {
        let scene = Scene::new(two_versions(is_2).await, None);
        let at = |throttle| {
            let http = Http {
                throttle,
                ..Http::default()
            };
            of_paths(&http, ["/slow", "/slow"])
        };
        let (slow, fast) = (at(1), at(1 << 30));
        for rules in [[&slow, &fast], [&fast, &slow]] {
            scene.set_all(&rules.map(Clone::clone));
            let before = slow.tally.read(0).throttled;
            let asks = asks(&scene, is_2, "/slow").await;
            until(|| slow.tally.read(0).throttled > before).await;
            settle(&scene, is_2).await;
            assert!(!asks.is_finished());
            scene.set_all(std::slice::from_ref(&fast));
            goes_on(asks, "the faster").await;
        }
    }
}
