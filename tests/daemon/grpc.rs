//! Faults of gRPC calls, of all four kinds, with a real client and a real service: what is hit, what is not, and what of a
//! call goes on as it was.

mod words;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chaos_tests::{lab::Family, requires, wait::wait_until};
use futures::stream;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::{Code, Request, Status};

use self::words::{Client, PORT, Seen, connect, serve};
use crate::scenario::{PATIENCE, Scenario};

const SAY: &str = "/chaos.test.Words/Say";
const OTHER: &str = "/chaos.test.Other/Say";
const FAIL: &str = "/chaos.test.Words/Fail";

/// What gRPC has to write otherwise than it is.
const MESSAGE: &str = "größe 100% used\nup";

struct Scene {
    scenario: Scenario,
    runtime: Runtime,
    seen: Arc<Seen>,
}

impl Scene {
    fn new(name: &str) -> Self {
        let scenario = Scenario::new(name);
        let runtime = Runtime::new().unwrap();
        let seen = serve(&scenario.target, &runtime);
        Self {
            scenario,
            runtime,
            seen,
        }
    }

    fn client(&self) -> Client {
        Client::new(&self.scenario.peer, &self.scenario.target, &self.runtime)
    }

    /// Starts a fault whose options have spaces; gives its id.
    fn start(&self, options: &[&str]) -> String {
        let target = self.scenario.target.netns_name();
        let port = PORT.to_string();
        let mut words = vec![
            "grpc",
            "--netns",
            target,
            "--port",
            &port,
            "--duration",
            "10m",
        ];
        words.extend(["--detach", "-o", "json"]);
        words.extend(options);
        let output = self.scenario.daemon.chaosctl(&words).unwrap();
        let answer = output.success().unwrap().json().unwrap();
        answer["experiment"]["id"].as_str().unwrap().to_owned()
    }

    fn counted(&self, id: &str) -> Value {
        self.scenario.status(id)["totals"]["requests"].clone()
    }
}

fn word(word: &str) -> Request<String> {
    Request::new(word.to_owned())
}

/// A call that a fault of `--match-metadata x-chaos=yes` hits.
fn hit<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("x-chaos", "yes".parse().unwrap());
    request
}

/// All that a client can see of a call that failed.
fn shown(status: &Status) -> (Code, String, Vec<u8>, Vec<String>) {
    let fields = status.metadata().clone().into_headers();
    let mut fields: Vec<String> = fields
        .iter()
        // When it was sent differs.
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    fields.sort();
    (
        status.code(),
        status.message().to_owned(),
        status.details().to_vec(),
        fields,
    )
}

/// Everything that the service says, as a client sees it.
async fn all_that_is_said(client: &Client) -> Vec<String> {
    let mut said = Vec::new();
    let mut told = word("hello");
    told.metadata_mut()
        .insert("x-told", "this".parse().unwrap());
    let answer = client.say(SAY, told).await.unwrap();
    let mut fields = answer.metadata().clone().into_headers();
    fields.remove("date");
    let mut fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    fields.sort();
    said.push(format!("{fields:?} {}", answer.into_inner()));
    let large = "x".repeat(1 << 20);
    said.push(client.say(SAY, word(&large)).await.unwrap().into_inner());
    let failed = client.say(FAIL, word(MESSAGE)).await.unwrap_err();
    said.push(format!("{:?}", shown(&failed)));
    let words = stream::iter(["a", "b", "c"].map(str::to_owned));
    said.push(client.join(Request::new(words)).await.unwrap().into_inner());
    for to in ["1000", "3!", "0!"] {
        let (words, status) = client.count(word(to)).await;
        said.push(format!("{words:?} {:?}", shown(&status)));
    }
    let mut chat = client.chat(Request::new(())).await.unwrap();
    for word in ["one", "two"] {
        said.push(chat.say(word).await.unwrap().unwrap());
    }
    let (rest, status) = chat.end().await;
    said.push(format!("{rest:?} {:?}", shown(&status)));
    said
}

/// Calls that are not meant are what they were, with metadata, trailers and streams; those that are meant fail, each kind,
/// before the service sees anything of them, and in spite of a delay at once.
#[test]
fn calls_of_all_kinds_pass_or_fail() {
    requires!(root);
    let mut scene = Scene::new("grpc-kinds");
    let straight = scene.runtime.block_on(all_that_is_said(&scene.client()));
    let id = scene.start(&[
        "--error-rate",
        "1",
        "--status-code",
        "UNAVAILABLE",
        "--status-message",
        MESSAGE,
        "--delay",
        "60s",
        "--match-metadata",
        "x-chaos=yes",
        "--exclude",
        "chaos.test.Other,chaos.test.Words/Count",
    ]);
    let client = scene.client();
    let through = scene.runtime.block_on(all_that_is_said(&client));
    assert_eq!(straight, through);

    let calls = scene.seen.calls(SAY).len();
    scene.runtime.block_on(async {
        let mut open = client.chat(Request::new(())).await.unwrap();
        let failed = [
            client
                .say(SAY, hit("no".to_owned()))
                .await
                .map(drop)
                .unwrap_err(),
            // More follows that the client has not said yet.
            client
                .join(hit(stream::pending()))
                .await
                .map(drop)
                .unwrap_err(),
            client.chat(hit(())).await.map(drop).unwrap_err(),
        ];
        for status in failed {
            assert_eq!(
                (status.code(), status.message()),
                (Code::Unavailable, MESSAGE)
            );
        }
        // Excluded: one method, one service.
        let (words, status) = client.count(hit("2".to_owned())).await;
        assert_eq!((words.len(), status.code()), (2, Code::Ok));
        let other = client.say(OTHER, hit("yes".to_owned())).await.unwrap();
        assert_eq!(other.into_inner(), "yes");
        // On the same connection all the while.
        assert_eq!(open.say("still").await.unwrap().unwrap(), "STILL");
    });
    assert_eq!(
        scene.seen.calls(SAY).len(),
        calls,
        "the service saw a call that failed"
    );

    let counted = scene.counted(&id);
    for (counter, count) in [
        ("errors", 3),
        ("excluded", 5),
        ("unmatched", 6),
        ("seen", 14),
        ("delayed", 0),
        ("connections", 1),
        ("upstream_failed", 0),
        ("other_connections", 0),
    ] {
        assert_eq!(counted[counter], count, "{counter}: {counted}");
    }
    scene.scenario.stop(&id);
    drop((client, scene.runtime));
    scene.scenario.leaves_nothing();
}

/// What goes over the wire for a call that fails: its status in the only header block, which ends the stream, as gRPC calls
/// trailers without anything before them.
#[test]
fn a_status_is_all_there_is_of_an_answer() {
    requires!(root);
    let mut scene = Scene::new("grpc-wire");
    let id = scene.start(&[
        "--error-first",
        "1",
        "--status-code",
        "8",
        "--status-message",
        MESSAGE,
    ]);
    let to = scene.scenario.target.socket_address(Family::V4, PORT);
    scene.runtime.block_on(async {
        let stream = TokioIo::new(connect(&scene.scenario.peer, to).unwrap());
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (mut sender, connection) = builder.handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut call = async || {
            let request = hyper::Request::post(format!("http://words{SAY}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(Full::new(Bytes::from_static(b"\0\0\0\0\x04\x0a\x02hi")));
            sender.send_request(request.unwrap()).await.unwrap()
        };
        let answer = call().await;
        assert!(answer.body().is_end_stream());
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        assert_eq!(answer.headers()["grpc-status"], "8");
        assert_eq!(
            answer.headers()["grpc-message"],
            "gr%C3%B6%C3%9Fe 100%25 used%0Aup"
        );
        assert!(!answer.headers().contains_key("content-length"));
        // The second is the service's: a message, and its status in trailers after it.
        let answer = call().await;
        assert!(!answer.headers().contains_key("grpc-status"));
        let body = answer.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(body.to_bytes(), b"\0\0\0\0\x04\x0a\x02hi"[..]);
    });
    let ended = scene.scenario.stop(&id);
    assert_eq!(ended["totals"]["requests"]["errors"], 1, "{ended}");
    assert_eq!(ended["totals"]["requests"]["passed"], 1, "{ended}");
    drop(scene.runtime);
    scene.scenario.leaves_nothing();
}

/// Streams that are open go on, both ways, when the fault becomes another one and when it ends; calls that are delayed get
/// to the service that much later.
#[test]
fn open_streams_go_on_while_calls_are_delayed_and_fail() {
    const DELAY: Duration = Duration::from_millis(200);
    requires!(root);
    let mut scene = Scene::new("grpc-streams");
    let id = scene.start(&["--delay", "200ms"]);
    let client = scene.client();
    let (mut chat, cancelled) = scene.runtime.block_on(async {
        let began = Instant::now();
        let mut chat = client.chat(Request::new(())).await.unwrap();
        assert!(began.elapsed() >= DELAY);
        // Its beginning was, what is said on it is not.
        let began = Instant::now();
        for _ in 0..10 {
            assert_eq!(chat.say("word").await.unwrap().unwrap(), "WORD");
        }
        assert!(began.elapsed() < 10 * DELAY, "{:?}", began.elapsed());
        let began = Instant::now();
        client.say(SAY, word("late")).await.unwrap();
        assert!(began.elapsed() >= DELAY);
        assert!(
            scene.seen.calls(SAY)[0] - began >= DELAY,
            "it is held before the service sees it"
        );
        (chat, client.chat(Request::new(())).await.unwrap())
    });
    assert_eq!(scene.seen.chats(), 2);
    scene
        .scenario
        .ask(&format!("update {id} grpc --error-rate 1 --status-code 13"));
    scene.runtime.block_on(async {
        let failed = client.say(SAY, word("no")).await.unwrap_err();
        assert_eq!(failed.code(), Code::Internal);
        for _ in 0..10 {
            assert_eq!(chat.say("word").await.unwrap().unwrap(), "WORD");
        }
    });
    // Nobody reads it any more, and the service gets to know.
    drop(cancelled);
    wait_until("the service knows", PATIENCE, || scene.seen.chats() == 1).unwrap();
    let ended = scene.scenario.stop(&id);
    assert_eq!(ended["totals"]["requests"]["delayed"], 3, "{ended}");
    assert_eq!(ended["totals"]["requests"]["errors"], 1, "{ended}");
    scene.runtime.block_on(async {
        assert_eq!(chat.say("after").await.unwrap().unwrap(), "AFTER");
        // The client was told that its connection takes no more calls, and opens another. tonic notices with the first
        // call that it cannot send, and gives that back.
        if let Err(status) = client.say(SAY, word("straight")).await {
            assert_eq!(status.code(), Code::Cancelled, "{status}");
        }
        client.say(SAY, word("straight")).await.unwrap();
        let (rest, status) = chat.end().await;
        assert_eq!((rest.len(), status.code()), (0, Code::Ok));
    });
    drop((client, scene.runtime));
    scene.scenario.leaves_nothing();
}
