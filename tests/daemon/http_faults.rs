//! Each fault of HTTP requests by itself, as `chaosctl http` names it: what the client gets, what the application sees, and
//! what is counted.

mod exchange;

use std::{
    fs,
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use chaos_tests::{
    lab::Output,
    requires,
    stats::Binomial,
    wait::{wait_for, wait_until},
};
use serde_json::Value;

use self::exchange::{Answer, Client, LARGE, serve};
use crate::scenario::{PATIENCE, Scenario};

struct Scene {
    scenario: Scenario,
    /// Requests that the application has seen.
    seen: Arc<AtomicU64>,
}

impl Scene {
    fn new(name: &str) -> Self {
        let scenario = Scenario::new(name);
        let seen = serve(&scenario.target);
        Self { scenario, seen }
    }

    fn client(&self) -> Client {
        Client::new(&self.scenario.peer, &self.scenario.target)
    }

    fn words<'a>(&'a self, options: &[&'a str]) -> Vec<&'a str> {
        let target = self.scenario.target.netns_name();
        [&["http", "--netns", target, "--port", "3000"], options].concat()
    }

    fn start(&self, options: &[&str]) -> String {
        let mut words = self.words(options);
        words.extend(["--duration", "10m", "--detach", "-o", "json"]);
        let answer = self.scenario.daemon.chaosctl(&words).unwrap();
        let answer = answer.success().unwrap().json().unwrap();
        answer["experiment"]["id"].as_str().unwrap().to_owned()
    }

    /// Has a client ask while a fault acts; gives what came of it, and what was counted.
    fn during<T>(&self, options: &[&str], ask: impl FnOnce(&mut Client) -> T) -> (T, Counted) {
        let before = self.seen.load(Ordering::Relaxed);
        let id = self.start(options);
        let came = ask(&mut self.client());
        let ended = self.scenario.stop(&id);
        let requests = ended["totals"]["requests"].clone();
        let application = self.seen.load(Ordering::Relaxed) - before;
        (
            came,
            Counted {
                requests,
                application,
            },
        )
    }
}

/// What the agent and the application have counted.
#[derive(Debug)]
struct Counted {
    requests: Value,
    application: u64,
}

impl Counted {
    fn of(&self, counter: &str) -> u64 {
        self.requests[counter].as_u64().unwrap()
    }

    fn is(&self, expected: &[(&str, u64)]) {
        for (counter, count) in expected {
            assert_eq!(self.of(counter), *count, "{counter}: {self:?}");
        }
    }
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

#[test]
fn each_fault_does_what_it_says() {
    requires!(root);
    let mut scene = Scene::new("http-faults");
    errors_come_first(&scene);
    a_share_is_delayed(&scene);
    aborts_are_decided_before_errors(&scene);
    fields_change(&scene);
    bodies_are_cut_and_slowed_down(&scene);
    only_what_matches_is_hit(&scene);
    what_is_held_is_let_go_at_the_end(&scene);
    the_last_words_tell(&scene);
    scene.scenario.leaves_nothing();
}

fn errors_come_first(scene: &Scene) {
    let body = scene.scenario.lab.directory().join("error.json");
    fs::write(&body, b"{\"down\": \"\xc3\xb6\"}\n").unwrap();
    let file = format!("@{}", body.display());
    let options = [
        "--error-first",
        "3",
        "--error-code",
        "429",
        "--error-body",
        &file,
        "--error-header",
        "Retry-After: 7",
        "--error-header",
        "Content-Type=application/json",
    ];
    let (answers, counted) = scene.during(&options, |client| {
        let posted = client.ask("POST", "/", "Content-Length: 0\r\n").unwrap();
        [
            client.get("/"),
            posted,
            client.ask("HEAD", "/", "").unwrap(),
            client.get("/"),
        ]
    });
    for (answer, body) in
        answers[..3]
            .iter()
            .zip(["{\"down\": \"ö\"}\n", "{\"down\": \"ö\"}\n", ""])
    {
        assert!(
            answer
                .head
                .starts_with("HTTP/1.1 429 Too Many Requests\r\n"),
            "{answer:?}"
        );
        for field in [
            "Retry-After: 7\r\n",
            "Content-Type: application/json\r\n",
            "Content-Length: 15\r\n",
        ] {
            assert!(answer.head.contains(field), "{field}: {answer:?}");
        }
        assert_eq!(text(answer), body);
    }
    assert_eq!(answers[3].status, 200);
    counted.is(&[
        ("seen", 4),
        ("errors", 3),
        ("passed", 1),
        ("connections", 1),
    ]);
    assert_eq!(counted.application, 1);
}

fn a_share_is_delayed(scene: &Scene) {
    const DELAY: Duration = Duration::from_millis(60);
    let options = ["--delay", "60ms", "--delay-rate", "30%"];
    let (slow, counted) = scene.during(&options, |client| {
        let answers = (0..50).map(|_| client.get("/"));
        answers.filter(|answer| answer.took >= DELAY).count() as u64
    });
    // By chance outside of it once in a million runs.
    let bound = Binomial {
        n: 50,
        p: 0.3,
        z: 4.9,
    };
    let delayed = counted.of("delayed");
    assert!(bound.contains(delayed), "{delayed} of {bound}");
    // Others may be slow, too.
    assert!(slow >= delayed, "{slow}, {counted:?}");
    counted.is(&[("passed", 50 - delayed), ("errors", 0)]);
    assert_eq!(counted.application, 50);
}

fn aborts_are_decided_before_errors(scene: &Scene) {
    let options = ["--abort", "50%", "--error-rate", "1", "--error-code", "500"];
    let (statuses, counted) = scene.during(&options, |client| {
        let ask = |_| client.ask("GET", "/", "").map(|answer| answer.status);
        let statuses = (0..40).map(ask).collect::<Vec<_>>();
        statuses
            .into_iter()
            .map(|it| it.map_err(|error| error.kind()))
            .collect::<Vec<_>>()
    });
    let aborted = statuses
        .iter()
        .filter(|it| **it == Err(ErrorKind::ConnectionReset));
    let aborted = aborted.count() as u64;
    let failed = statuses.iter().filter(|it| **it == Ok(500)).count() as u64;
    assert_eq!(aborted + failed, 40, "{statuses:?}");
    // Each is decided by itself: both happen, of 40, but for once in 10^11 runs.
    assert!(aborted > 0 && failed > 0, "{statuses:?}");
    counted.is(&[
        ("aborted", aborted),
        ("errors", failed),
        ("connections", aborted + u64::from(statuses[39].is_ok())),
    ]);
    assert_eq!(counted.application, 0);
}

fn fields_change(scene: &Scene) {
    let options = [
        "--header-set",
        "X-Served=chaos",
        "--header-set",
        "etag: \"b\"",
        "--header-remove",
        "Set-Cookie",
        "--request-header-set",
        "X-Env: chaos",
        "--request-header-remove",
        "Cookie,x-none",
    ];
    let (answer, counted) = scene.during(&options, |client| {
        let fields = "cookie: c=1\r\nX-Kept:  as it is\r\nx-env: old\r\nCookie: d\r\n";
        client.ask("GET", "/", fields).unwrap()
    });
    let asked = "GET / HTTP/1.1\r\nHost: service\r\nX-Kept:  as it is\r\nX-Env: chaos\r\n\r\n";
    assert_eq!(text(&answer), asked);
    let length = asked.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nX-Served: chaos\r\netag: \"b\"\r\n\r\n"
    );
    assert_eq!(answer.head, head);
    counted.is(&[("headers_changed", 1), ("passed", 0)]);
}

fn bodies_are_cut_and_slowed_down(scene: &Scene) {
    let (answers, counted) = scene.during(&["--truncate-body", "1500"], |client| {
        ["/large", "/chunks", "/"].map(|path| client.get(path))
    });
    assert!(
        answers[0]
            .head
            .contains(&format!("Content-Length: {LARGE}\r\n"))
    );
    assert_eq!(answers[0].body, vec![b'l'; 1500]);
    // Of chunks it is their content that counts.
    let chunks = [
        b"3e8\r\n",
        [b'c'; 1000].as_slice(),
        b"\r\n3e8\r\n",
        &[b'c'; 500],
    ]
    .concat();
    assert_eq!(answers[1].body, chunks);
    assert!(text(&answers[2]).starts_with("GET / HTTP/1.1"));
    counted.is(&[("truncated", 2), ("passed", 1), ("connections", 3)]);

    let (answer, counted) = scene.during(&["--throttle", "80kB/s"], |client| client.get("/large"));
    assert_eq!(answer.body, vec![b'l'; LARGE]);
    // Half a second, of which the first piece, a twentieth of a second's worth, needs nothing.
    assert!(
        answer.took >= Duration::from_millis(440),
        "{:?}",
        answer.took
    );
    counted.is(&[("throttled", 1), ("passed", 0)]);
}

fn only_what_matches_is_hit(scene: &Scene) {
    let options = [
        "--error-rate",
        "1",
        "--error-code",
        "500",
        "--match",
        "GET /api/*",
        "--match",
        "/all/**",
        "--match-header",
        "x-user: test-*",
        "--match-header",
        "x-there",
        "--exclude",
        "/API/Fine,/all/ö",
    ];
    let (statuses, counted) = scene.during(&options, |client| {
        let meant = "X-User: test-7\r\nX-There:\r\n";
        [
            ("GET", "/api/a?b", meant, 500),
            ("DELETE", "/all/a/b", meant, 500),
            ("DELETE", "/api/a", meant, 200),
            ("GET", "/api/a/b", meant, 200),
            ("GET", "/api/a", "X-User: test-7\r\n", 200),
            ("GET", "/api/a", "X-User: user-7\r\nX-There: 1\r\n", 200),
            ("GET", "/aPi/fINe?x", meant, 200),
            ("GET", "/all/%C3%B6", meant, 200),
            ("GET", "/api/fin", meant, 500),
        ]
        .map(|(method, path, fields, expected)| {
            let status = client.ask(method, path, fields).unwrap().status;
            (method, path, fields, expected, status)
        })
    });
    for (method, path, fields, expected, status) in statuses {
        assert_eq!(status, expected, "{method} {path} {fields}");
    }
    // What /API/Fine excludes is in another case in the request, and so would not match.
    counted.is(&[
        ("errors", 3),
        ("unmatched", 4),
        ("excluded", 2),
        ("connections", 1),
    ]);
    assert_eq!(counted.application, 6);
}

/// Nobody waits for a fault that is over: what is held goes on, and the connection ends with it.
fn what_is_held_is_let_go_at_the_end(scene: &Scene) {
    for (options, path) in [
        (["--delay", "60s", "--drain", "1m"], "/"),
        (["--throttle", "10B/s", "--drain", "1m"], "/large"),
    ] {
        let id = scene.start(&options);
        let mut client = scene.client();
        let before = scene.seen.load(Ordering::Relaxed);
        let asks = thread::spawn(move || client.get(path));
        wait_until("the application has answered", PATIENCE, || {
            scene.seen.load(Ordering::Relaxed) > before
        })
        .unwrap();
        scene.scenario.stop(&id);
        let answer = asks.join().unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.took < Duration::from_secs(40), "{:?}", answer.took);
        if path == "/" {
            // Its head had not gone yet.
            assert!(
                answer.head.contains("\r\nConnection: close\r\n"),
                "{}",
                answer.head
            );
        } else {
            assert_eq!(answer.body.len(), LARGE);
        }
    }
}

fn the_last_words_tell(scene: &Scene) {
    let options = [
        "--error-rate",
        "1",
        "--error-code",
        "503",
        "--exclude",
        "/fine",
        "--duration",
        "2s",
    ];
    let mut command = scene.scenario.daemon.chaosctl_command().unwrap();
    command.args(scene.words(&options));
    let runs = thread::spawn(move || Output::of(command, PATIENCE));
    let mut client = scene.client();
    wait_for("the fault acts", PATIENCE, || {
        // The start ends connections that are open.
        client
            .ask("GET", "/", "")
            .ok()
            .filter(|answer| answer.status == 503)
    })
    .unwrap();
    assert_eq!(client.get("/").status, 503);
    assert_eq!(client.get("/fine").status, 200);
    let ended = runs.join().unwrap().unwrap().success().unwrap();
    let name = scene.scenario.target.netns_name();
    let columns: Vec<Vec<&str>> = ended
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        columns[0],
        ["TARGET", "REQUESTS", "ERRORS", "EXCLUDED", "CONNECTIONS"],
        "{ended:?}"
    );
    assert_eq!(columns[1], [name, "2", "2", "1", "1"], "{ended:?}");
    assert!(
        ended.stderr.contains("of 2 requests all were answered 503"),
        "{ended:?}"
    );
}
