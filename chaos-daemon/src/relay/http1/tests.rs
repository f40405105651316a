//! Whole connections over pipes in memory.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    task::JoinHandle,
};

use super::{
    Ending, serve,
    shapes::{AMBIGUOUS, BROKEN_CHUNKS},
};
use crate::{
    engine::{Edits, ErrorAnswer, Field, Glob, Http, Pause, Ppm, RequestMatch, Requests},
    relay::{
        Clients, ServiceFault, ServiceRule, Tally, Window, guide::Guide, port::Port, side::Side,
        tunnel::tunnel,
    },
};

/// How much a pipe holds: little, so that messages do not fit.
const PIPE: usize = 256;

/// A relay between a client and an application.
struct Scene {
    client: DuplexStream,
    application: DuplexStream,
    relay: JoinHandle<Ending>,
    port: Arc<Port>,
    tally: Arc<Tally>,
}

fn nothing() -> Http {
    Http::default()
}

fn error(share: Ppm, first: u32) -> ErrorAnswer {
    ErrorAnswer {
        share,
        first,
        code: 500,
        headers: vec![field("content-type", "text/plain")],
        body: b"broken".into(),
    }
}

fn field(name: &str, value: &str) -> Field {
    Field {
        name: name.into(),
        value: value.into(),
    }
}

fn failing() -> Http {
    Http {
        error: Some(error(Ppm::ALL, 0)),
        ..nothing()
    }
}

fn rule(http: Http, tally: &Arc<Tally>) -> ServiceRule {
    let start = Instant::now();
    ServiceRule {
        clients: Clients::all(),
        window: Window {
            start,
            deadline: start + Duration::from_hours(1),
            pulse: None,
        },
        fault: ServiceFault::Http(Box::new(http)),
        seed: 7,
        tally: Arc::clone(tally),
    }
}

impl Scene {
    fn new(http: Option<Http>) -> Self {
        Self::with_pipes(http, PIPE)
    }

    fn with_pipes(http: Option<Http>, pipe: usize) -> Self {
        let (client, near) = duplex(pipe);
        let (far, application) = duplex(pipe);
        let port = Arc::new(Port::default());
        let tally = Arc::new(Tally::default());
        if let Some(http) = http {
            port.rules.set([rule(http, &tally)].into());
        }
        let mut guide = Guide::new(Arc::clone(&port), ([127, 0, 0, 1], 9).into());
        let relay = tokio::spawn(async move {
            let (mut near, mut far) = (Side::new(split(near)), Side::new(split(far)));
            let ending = serve(&mut near, &mut far, &mut guide).await;
            match ending {
                Ending::Tunnel => drop(tunnel(&mut near, &mut far).await),
                Ending::Linger => drop(near.writer.shutdown().await),
                Ending::Close | Ending::Reset => {}
            }
            ending
        });
        Self {
            client,
            application,
            relay,
            port,
            tally,
        }
    }

    fn counted(&self) -> Requests {
        self.tally.read(0)
    }

    /// The client says this.
    async fn say(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
    }

    /// The client hears exactly this.
    async fn hear(&mut self, bytes: &[u8]) {
        exactly(&mut self.client, bytes).await;
    }

    /// The application gets exactly this, and says that.
    async fn serve(&mut self, request: &[u8], answer: &[u8]) {
        exactly(&mut self.application, request).await;
        self.application.write_all(answer).await.unwrap();
    }

    /// All that the client hears until the end.
    async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.client.read_to_end(&mut rest).await.unwrap();
        rest
    }
}

async fn exactly(stream: &mut DuplexStream, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    let read = async {
        let mut at = 0;
        while at < got.len() {
            match stream.read(&mut got[at..]).await? {
                0 => break,
                count => at += count,
            }
        }
        io::Result::Ok(at)
    };
    let at = tokio::time::timeout(Duration::from_secs(5), read).await;
    let at = at.map_or(0, Result::unwrap);
    assert_eq!(
        got[..at].escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

/// Requests and their answers, each pair as the application sees it.
const TALK: &[(&[u8], &[u8])] = &[
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-y:  Z \r\n\r\nhello"),
    (b"\r\nPOST /a HTTP/1.1\r\nhOST:x\r\nContent-Length: 11\r\n\r\nGET / HTTP/", b"HTTP/1.1 204 No Content\r\n\r\n"),
    (
        b"PUT /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=\"v\"\r\nhello\r\n0\r\nTrailer: t\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\n\r\n0003\r\nabc\r\n0\r\n\r\n",
    ),
    (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"),
    (b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nX: \xff\xfe\r\n\r\n", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
    (b"GET http://x/y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nuntil the end"),
];

#[tokio::test]
async fn any_split_of_the_bytes_gives_the_same_bytes() {
    for step in [1, 2, 3, 5, 7, 16, 64, 1000, 100_000] {
        for late in [false, true] {
            let scene = Scene::new(late.then(nothing));
            let (mut says, mut application) = (scene.client, scene.application);
            let talks = tokio::spawn(async move {
                let requests: Vec<u8> = TALK
                    .iter()
                    .flat_map(|(request, _)| *request)
                    .copied()
                    .collect();
                let (mut ears, mut mouth) = split(&mut says);
                let say = async {
                    for piece in requests.chunks(step) {
                        mouth.write_all(piece).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                };
                let mut heard = Vec::new();
                let hear = async { ears.read_to_end(&mut heard).await.unwrap() };
                tokio::join!(say, hear);
                heard
            });
            for (request, answer) in TALK {
                exactly(&mut application, request).await;
                for piece in answer.chunks(step) {
                    application.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
            drop(application);
            let answers: Vec<u8> = TALK
                .iter()
                .flat_map(|(_, answer)| *answer)
                .copied()
                .collect();
            let heard = talks.await.unwrap();
            assert_eq!(
                heard.escape_ascii().to_string(),
                answers.escape_ascii().to_string()
            );
            let counted = scene.tally.read(0);
            let requests = TALK.len() as u64;
            let passed = Requests {
                seen: requests,
                passed: requests,
                ..Requests::default()
            };
            assert_eq!(counted, if late { passed } else { Requests::default() });
        }
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn what_can_be_framed_in_two_ways_passes_as_it_came() {
    for shape in AMBIGUOUS {
        // A fault that would hit every request shows that these are none to it.
        let mut scene = Scene::new(Some(nothing()));
        scene.say(GET).await;
        scene.serve(GET, OK).await;
        scene.hear(OK).await;
        scene.port.rules.set([rule(failing(), &scene.tally)].into());
        scene.say(shape).await;
        scene.say(GET).await;
        let both = [shape, GET].concat();
        scene.serve(&both, b"anything\n").await;
        scene.hear(b"anything\n").await;
        let counted = scene.counted();
        assert_eq!(
            (counted.unframed, counted.errors),
            (1, 0),
            "{}",
            shape.escape_ascii()
        );
    }
}

#[tokio::test]
async fn a_body_that_breaks_its_framing_passes_as_it_came() {
    for broken in BROKEN_CHUNKS {
        let mut scene = Scene::new(Some(nothing()));
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n";
        let sent = [head.as_slice(), broken, GET].concat();
        scene.say(&sent).await;
        scene.serve(&sent, OK).await;
        scene.hear(OK).await;
        scene.say(GET).await;
        scene.serve(GET, b"more").await;
        scene.hear(b"more").await;
        assert_eq!((scene.counted().unframed, scene.counted().seen), (1, 1));
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_framed_passes_as_it_came() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 2\r\n\r\nhello"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabX",
        b"<html>version 0.9</html>",
        b"HTTP/1.1 99999 x\r\n\r\n",
    ] {
        let mut scene = Scene::new(Some(nothing()));
        scene.say(GET).await;
        scene.serve(GET, answer).await;
        scene.hear(answer).await;
        scene.application.write_all(b" and more").await.unwrap();
        scene.hear(b" and more").await;
        assert_eq!(scene.counted().unframed, 1, "{}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn interim_answers_pass_before_the_body_is_sent() {
    let mut scene = Scene::new(None);
    let head = b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    scene.say(head).await;
    scene.serve(head, b"HTTP/1.1 100 Continue\r\n\r\n").await;
    scene.hear(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    scene.say(b"body").await;
    scene.serve(b"body", OK).await;
    scene.hear(OK).await;
}

#[tokio::test]
async fn an_early_answer_passes_while_the_body_still_comes() {
    let mut scene = Scene::new(None);
    let head = b"PUT / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n";
    scene.say(head).await;
    scene.say(&[b'a'; 100]).await;
    scene.serve(head, OK).await;
    scene.hear(OK).await;
    let (mut reads, mut writes) = split(scene.application);
    let taken = tokio::spawn(async move {
        let mut body = [0; 1000];
        reads.read_exact(&mut body).await.unwrap();
        let mut next = [0; 64];
        let count = reads.read(&mut next).await.unwrap();
        next[..count].to_vec()
    });
    scene.client.write_all(&[b'b'; 900]).await.unwrap();
    scene.client.write_all(GET).await.unwrap();
    assert_eq!(taken.await.unwrap(), GET);
    writes.write_all(OK).await.unwrap();
    exactly(&mut scene.client, OK).await;
}

#[tokio::test]
async fn an_upgrade_is_a_tunnel_from_then_on() {
    let mut scene = Scene::new(Some(nothing()));
    let ask = b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello";
    scene.say(ask).await;
    scene.serve(ask, switch).await;
    scene.hear(switch).await;
    scene.say(b"\x81\x85GET / HTTP/1.1\r\n\r\n").await;
    scene
        .serve(b"\x81\x85GET / HTTP/1.1\r\n\r\n", b"\x00")
        .await;
    scene.hear(b"\x00").await;
    assert_eq!(scene.counted().seen, 1);

    let mut scene = Scene::new(None);
    scene
        .say(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
        .await;
    scene
        .serve(
            b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        )
        .await;
    scene
        .hear(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        .await;
    scene.say(b"raw").await;
    scene.serve(b"raw", b"war").await;
    scene.hear(b"war").await;
}

#[tokio::test]
async fn each_side_hears_of_the_others_end() {
    // The client ends after its request: the application sees that, and the answer still comes.
    let mut scene = Scene::new(None);
    scene.say(GET).await;
    scene.client.shutdown().await.unwrap();
    exactly(&mut scene.application, GET).await;
    assert_eq!(scene.application.read(&mut [0]).await.unwrap(), 0);
    scene.application.write_all(OK).await.unwrap();
    drop(scene.application);
    exactly(&mut scene.client, OK).await;
    assert_eq!(scene.client.read(&mut [0]).await.unwrap(), 0);

    // The application ends between two requests.
    let mut scene = Scene::new(None);
    scene.say(GET).await;
    scene.serve(GET, OK).await;
    scene.hear(OK).await;
    drop(scene.application);
    assert_eq!(scene.client.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(scene.relay.await.unwrap(), Ending::Close);

    // The application ends in the middle of an answer.
    let mut scene = Scene::new(Some(nothing()));
    scene.say(GET).await;
    exactly(&mut scene.application, GET).await;
    scene.application.write_all(&OK[..30]).await.unwrap();
    drop(scene.application);
    let mut heard = Vec::new();
    scene.client.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, &OK[..30]);
    assert_eq!(scene.tally.read(0).upstream_failed, 1);

    // A part of a request, and the end.
    let mut scene = Scene::new(None);
    scene.say(b"GET / HT").await;
    scene.client.shutdown().await.unwrap();
    let mut heard = Vec::new();
    scene.application.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"GET / HT");
}

#[tokio::test]
async fn an_answer_nobody_asked_for_passes() {
    let mut scene = Scene::new(None);
    scene.say(GET).await;
    scene.serve(GET, OK).await;
    scene.hear(OK).await;
    let timeout = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n";
    scene.application.write_all(timeout).await.unwrap();
    scene.hear(timeout).await;
}

#[tokio::test]
async fn more_than_an_answer_passes_at_once() {
    for extra in [40, 20_000] {
        let mut scene = Scene::with_pipes(Some(nothing()), 1 << 16);
        scene.say(GET).await;
        let extra = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &vec![b'y'; extra]].concat();
        let both = [OK, &extra].concat();
        scene.serve(GET, &both).await;
        scene.hear(&both).await;
        scene.say(GET).await;
        scene.serve(GET, b"\r\n").await;
        scene.hear(b"\r\n").await;
        assert_eq!(scene.counted().seen, 1);
    }
}

#[tokio::test]
async fn long_heads_pass_and_longer_ones_pass_unread() {
    for (length, unframed) in [(40_000, 0), (100_000, 1)] {
        let mut scene = Scene::new(Some(nothing()));
        let field = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(length));
        let sent = field.clone();
        let (mut ears, mut mouth) = split(scene.client);
        tokio::spawn(async move { mouth.write_all(sent.as_bytes()).await });
        exactly(&mut scene.application, field.as_bytes()).await;
        scene.application.write_all(OK).await.unwrap();
        let mut heard = [0; 40];
        ears.read_exact(&mut heard[..OK.len()]).await.unwrap();
        assert_eq!(scene.tally.read(0).unframed, unframed);
    }
}

/// An answer's status and what follows its head.
fn status_and_body(answer: &[u8]) -> (String, String) {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn an_error_takes_the_place_of_the_answer_and_the_connection_goes_on() {
    let mut scene = Scene::new(Some(Http {
        exclude: vec!["/health".into()],
        ..failing()
    }));
    let mut heard = [0; 512];
    for _ in 0..2 {
        // The body of the first is dropped, not taken for a request.
        scene
            .say(b"POST / HTTP/1.1\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n")
            .await;
        let count = scene.client.read(&mut heard).await.unwrap();
        let (status, body) = status_and_body(&heard[..count]);
        assert_eq!(
            (status.as_str(), body.as_str()),
            ("HTTP/1.1 500 Internal Server Error", "broken")
        );
    }
    let health = b"GET /HEALTH?full HTTP/1.1\r\n\r\n";
    scene.say(health).await;
    scene.serve(health, OK).await;
    scene.hear(OK).await;
    scene.say(b"HEAD / HTTP/1.0\r\n\r\n").await;
    let (status, body) = status_and_body(&scene.rest().await);
    assert_eq!(
        (status.as_str(), body.as_str()),
        ("HTTP/1.1 500 Internal Server Error", "")
    );
    let counted = scene.counted();
    let expected = Requests {
        seen: 4,
        excluded: 1,
        errors: 3,
        ..Requests::default()
    };
    assert_eq!(counted, expected);
}

#[tokio::test]
async fn an_error_does_not_wait_for_what_it_will_not_get() {
    let mut scene = Scene::new(Some(failing()));
    scene
        .say(b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .await;
    let (_, body) = status_and_body(&scene.rest().await);
    assert_eq!(body, "broken");
    assert_eq!(scene.relay.await.unwrap(), Ending::Linger);

    let mut scene = Scene::new(Some(failing()));
    let large = b"PUT / HTTP/1.1\r\nContent-Length: 10000000\r\n\r\n";
    scene.say(large).await;
    let (mut ears, mut mouth) = split(scene.client);
    tokio::spawn(async move { while mouth.write_all(&[0; 1000]).await.is_ok() {} });
    let mut heard = Vec::new();
    ears.read_to_end(&mut heard).await.unwrap();
    assert_eq!(status_and_body(&heard).1, "broken");
}

#[tokio::test]
async fn the_first_requests_fail_and_the_rest_by_chance() {
    let mut scene = Scene::new(Some(Http {
        error: Some(error(Ppm::NONE, 2)),
        ..nothing()
    }));
    let mut heard = [0; 512];
    for _ in 0..2 {
        scene.say(GET).await;
        let count = scene.client.read(&mut heard).await.unwrap();
        assert_eq!(status_and_body(&heard[..count]).1, "broken");
    }
    scene.say(GET).await;
    scene.serve(GET, OK).await;
    scene.hear(OK).await;
    assert_eq!((scene.counted().errors, scene.counted().passed), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn answers_and_errors_are_held_and_what_comes_before_them_is_not() {
    let pause = Pause {
        delay: Duration::from_millis(100),
        variation: Duration::from_millis(50),
        share: Ppm::ALL,
    };
    for http in [nothing(), failing()] {
        let is_error = http.error.is_some();
        let mut scene = Scene::new(Some(Http {
            pause: Some(pause),
            ..http
        }));
        let mut sum = Duration::ZERO;
        for _ in 0..100 {
            scene.say(GET).await;
            let before = tokio::time::Instant::now();
            if !is_error {
                scene.serve(GET, b"HTTP/1.1 103 x\r\n\r\n").await;
                scene.hear(b"HTTP/1.1 103 x\r\n\r\n").await;
                assert!(before.elapsed() < Duration::from_millis(5));
                tokio::time::sleep(Duration::from_millis(30)).await;
                scene.application.write_all(OK).await.unwrap();
            }
            let answered = tokio::time::Instant::now();
            let mut heard = [0; 512];
            assert!(scene.client.read(&mut heard).await.unwrap() > 0);
            let held = answered.elapsed();
            assert!((50..=152).contains(&held.as_millis()), "{held:?}");
            sum += held;
        }
        // Evenly from 50 to 150: the mean of 100 is within 5 of 2.9.
        assert!((85..=116).contains(&(sum / 100).as_millis()), "{sum:?}");
        assert_eq!(scene.counted().delayed, 100);
    }
}

#[tokio::test]
async fn an_aborted_request_is_answered_by_nobody() {
    let scene = Scene::new(Some(Http {
        abort: Ppm::ALL,
        ..nothing()
    }));
    let (mut client, mut application) = (scene.client, scene.application);
    client.write_all(GET).await.unwrap();
    assert_eq!(scene.relay.await.unwrap(), Ending::Reset);
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(application.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(scene.tally.read(0).aborted, 1);
}

#[tokio::test]
async fn a_body_is_cut_after_so_many_bytes_of_its_content() {
    for (answer, heard) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n01234567"[..], &b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n01234"[..]),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n012\r\n3\r\n345\r\n0\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n012\r\n3\r\n34"),
        (b"HTTP/1.1 200 OK\r\n\r\n0123456789", b"HTTP/1.1 200 OK\r\n\r\n01234"),
    ] {
        let mut scene = Scene::new(Some(Http { truncate: Some(5), ..nothing() }));
        scene.say(GET).await;
        scene.serve(GET, answer).await;
        assert_eq!(scene.rest().await.escape_ascii().to_string(), heard.escape_ascii().to_string());
        assert_eq!((scene.counted().truncated, scene.counted().passed), (1, 0));
    }
    let mut scene = Scene::new(Some(Http {
        truncate: Some(2),
        ..nothing()
    }));
    scene.say(GET).await;
    scene.serve(GET, OK).await;
    scene.hear(OK).await;
    scene.say(GET).await;
    scene.serve(GET, OK).await;
    scene.hear(OK).await;
    assert_eq!((scene.counted().truncated, scene.counted().passed), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_body_comes_no_faster_than_it_may() {
    let mut scene = Scene::with_pipes(
        Some(Http {
            throttle: 1000,
            ..nothing()
        }),
        1 << 16,
    );
    scene.say(GET).await;
    let body = [b'z'; 3000];
    let answer = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n".as_slice(),
        &body,
    ]
    .concat();
    let before = tokio::time::Instant::now();
    scene.serve(GET, &answer).await;
    let head = answer.len() - body.len();
    scene.hear(&answer[..head]).await;
    assert!(before.elapsed() < Duration::from_millis(5));
    scene.hear(&answer[head..head + 1000]).await;
    assert!(
        (900..1100).contains(&before.elapsed().as_millis()),
        "{:?}",
        before.elapsed()
    );
    scene.hear(&answer[head + 1000..]).await;
    assert!(
        (2900..3100).contains(&before.elapsed().as_millis()),
        "{:?}",
        before.elapsed()
    );
    assert_eq!(scene.counted().throttled, 1);
}

#[tokio::test]
async fn fields_change_where_they_are_to_and_nowhere_else() {
    let mut scene = Scene::new(Some(Http {
        request: Edits {
            set: vec![field("X-Chaos", "1")],
            remove: vec!["cookie".into()],
        },
        answer: Edits {
            set: vec![field("Cache-Control", "no-store")],
            remove: vec!["etag".into()],
        },
        ..nothing()
    }));
    scene
        .say(b"POST / HTTP/1.1\r\nCookie: a\r\nHOST: x\r\nContent-Length: 3\r\n\r\nabc")
        .await;
    scene
        .serve(
            b"POST / HTTP/1.1\r\nHOST: x\r\nContent-Length: 3\r\nX-Chaos: 1\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nETag: x\r\ncache-control: max-age=1\r\nContent-Length: 2\r\n\r\nok",
        )
        .await;
    scene
        .hear(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: no-store\r\n\r\nok")
        .await;
    assert_eq!(scene.counted().headers_changed, 1);
}

#[tokio::test]
async fn only_what_matches_is_taken() {
    let mut scene = Scene::new(Some(Http {
        matches: vec![RequestMatch {
            method: Some("GET".into()),
            path: Some(Glob::of_path("/api/*").unwrap()),
        }],
        ..failing()
    }));
    for passes in [
        &b"POST /api/x HTTP/1.1\r\nContent-Length: 0\r\n\r\n"[..],
        b"GET /api/x/y HTTP/1.1\r\n\r\n",
    ] {
        scene.say(passes).await;
        scene.serve(passes, OK).await;
        scene.hear(OK).await;
    }
    scene
        .say(b"GET /api/x?y HTTP/1.1\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(status_and_body(&scene.rest().await).1, "broken");
    assert_eq!((scene.counted().unmatched, scene.counted().taken()), (2, 1));
}

#[tokio::test]
async fn draining_ends_idle_connections_and_lets_requests_finish() {
    let mut scene = Scene::new(Some(failing()));
    scene.port.drain();
    scene.say(GET).await;
    scene.serve(GET, OK).await;
    // Faults are over, and so is the connection after this answer.
    scene
        .hear(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        .await;
    assert_eq!(scene.counted().errors, 0);
    // The application was not told, and would wait for another request.
    assert_eq!(scene.relay.await.unwrap(), Ending::Linger);
}

#[tokio::test(start_paused = true)]
async fn draining_lets_go_of_what_is_held() {
    let pause = Some(Pause {
        delay: Duration::from_mins(1),
        variation: Duration::ZERO,
        share: Ppm::ALL,
    });
    let aborted = Http {
        abort: Ppm::ALL,
        ..nothing()
    };
    let slow = Http {
        throttle: 1,
        ..nothing()
    };
    for (http, pause) in [
        (nothing(), pause),
        (failing(), pause),
        (aborted, pause),
        (slow, None),
    ] {
        let answers = http.error.is_none() && http.abort == Ppm::NONE;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{:0100}", 7);
        let mut scene = Scene::new(Some(Http { pause, ..http }));
        scene.say(GET).await;
        if answers {
            scene.serve(GET, answer.as_bytes()).await;
        }
        let before = tokio::time::Instant::now();
        // For as long as nothing else is left to do, which is when the answer waits.
        tokio::time::sleep(Duration::from_millis(10)).await;
        scene.port.drain();
        let heard = scene.rest().await;
        // At a byte a second the second one is under way already, and then the connection is idle for a second.
        let took = before.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
        let is_whole = heard.ends_with(&answer.as_bytes()[answer.len() - 100..]);
        assert_eq!(is_whole, answers, "{}", heard.escape_ascii());
    }
}

/// Changes some bytes, leaves some out and doubles some.
fn mangled(bytes: &[u8], random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    const SPECIAL: &[u8] = b"\r\n :;,\t\x00015aX/";
    let mut mangled = bytes.to_vec();
    for _ in 0..=random(6) {
        let at = random(mangled.len());
        match random(4) {
            0 => drop(mangled.remove(at)),
            1 => mangled.insert(at, SPECIAL[random(SPECIAL.len())]),
            2 => mangled[at] = SPECIAL[random(SPECIAL.len())],
            _ => {
                let end = mangled.len().min(at + random(40));
                let again = mangled[at..end].to_vec();
                mangled.splice(at..at, again);
            }
        }
    }
    mangled
}

#[tokio::test(start_paused = true)]
async fn whatever_a_client_says_is_what_the_application_hears() {
    let talk: Vec<u8> = TALK[..6]
        .iter()
        .flat_map(|(request, _)| *request)
        .copied()
        .collect();
    for seed in 0..600_u64 {
        let mut state = seed;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(0x1405_7b7e_f767_814f);
            usize::try_from((state >> 33) % below as u64).unwrap()
        };
        let said = mangled(&talk, &mut random);
        let scene = Scene::new((seed % 2 == 0).then(nothing));
        let mut application = scene.application;
        let step = 1 + random(200);
        let sent = said.clone();
        let (mut ears, mut mouth) = split(scene.client);
        let says = tokio::spawn(async move {
            for piece in sent.chunks(step) {
                mouth.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            mouth.shutdown().await.unwrap();
        });
        tokio::spawn(async move {
            while ears.read(&mut [0; 512]).await.is_ok_and(|count| count > 0) {}
        });
        // It answers when nothing more comes, whatever came.
        let mut heard = Vec::new();
        let mut piece = [0; 512];
        loop {
            let read = application.read(&mut piece);
            match tokio::time::timeout(Duration::from_millis(20), read).await {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(count)) => heard.extend_from_slice(&piece[..count]),
                Err(_) => application.write_all(OK).await.unwrap(),
            }
        }
        drop(application);
        says.await.unwrap();
        assert_eq!(
            heard.escape_ascii().to_string(),
            said.escape_ascii().to_string(),
            "seed {seed}"
        );
    }
}
