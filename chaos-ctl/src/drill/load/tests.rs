//! A load against real servers on loopback: one that answers, one that stalls, one that breaks.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use super::super::sample::Failure;
use super::*;
use crate::quantity::frequency;

/// Serves each connection on a thread of its own, until the process ends.
fn server(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    format!("http://{address}/path?x=1")
}

/// Reads requests without a body; false at the end.
fn asked(stream: &mut TcpStream) -> bool {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return false;
        }
        text.push(byte[0]);
    }
    assert!(text.starts_with(b"GET /path?x=1 HTTP/1.1\r\n"), "{text:?}");
    true
}

fn answer(stream: &mut TcpStream, status: u16) {
    let text = format!("HTTP/1.1 {status} x\r\ncontent-length: 2\r\n\r\nok");
    let _ = stream.write_all(text.as_bytes());
}

fn load(url: &str, rate: &str) -> Load {
    Load {
        asked: Asked {
            uri: url.parse().unwrap(),
            method: hyper::Method::GET,
            headers: hyper::HeaderMap::new(),
            body: bytes::Bytes::new(),
            timeout: Duration::from_secs(5),
            new_connections: false,
            keeps_body: false,
        },
        rate: frequency(rate).unwrap(),
        max_in_flight: 1_000,
        checks: Checks::default(),
    }
}

/// All samples, in the order of their due times, and what was dropped.
fn run(load: &Load, length: Duration) -> (Vec<Sample>, Vec<Duration>) {
    let begin = Instant::now();
    let client = Client::new(load.asked.clone(), None).unwrap();
    let mut running = load.start(client, begin).unwrap();
    running.until.set(begin + length);
    let (mut samples, mut dropped) = (Vec::new(), Vec::new());
    while let Some(event) = running.events.blocking_recv() {
        match event {
            Event::Over(sample) => samples.push(*sample),
            Event::Dropped { due } => dropped.push(due),
        }
    }
    samples.sort_by_key(|sample| sample.due);
    (samples, dropped)
}

#[test]
fn each_request_is_sent_and_counted_once() {
    let connections = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&connections);
    let url = server(move |mut stream| {
        seen.fetch_add(1, Ordering::Relaxed);
        while asked(&mut stream) {
            answer(&mut stream, 200);
        }
    });
    let (samples, dropped) = run(&load(&url, "100/s"), Duration::from_millis(500));
    assert_eq!((samples.len(), dropped.len()), (50, 0));
    for (index, sample) in samples.iter().enumerate() {
        assert_eq!(sample.due, Duration::from_millis(10 * index as u64));
        assert!(
            sample.is_expected() && sample.checks == [true],
            "{sample:?}"
        );
        assert_eq!(sample.received, 39, "{sample:?}");
        assert!(sample.sent > 30, "{sample:?}");
        let times = &sample.timings;
        let sum = times.blocked + times.sending + times.waiting + times.receiving;
        assert!(sum <= sample.duration, "{sample:?}");
    }
    // As few as it took: none is waited for that is under way.
    assert!(connections.load(Ordering::Relaxed) < 25);
}

/// The whole point: a closed loop would have sent one request into the stall, and seen 49 fast ones.
#[test]
fn a_stall_is_in_the_latency_of_all_that_were_due_in_it() {
    const STALL: Duration = Duration::from_millis(400);
    let begin = Arc::new(std::sync::OnceLock::new());
    let url = server(move |mut stream| {
        while asked(&mut stream) {
            // Nothing is answered until the stall is over, which begins with the first request.
            let first: &Instant = begin.get_or_init(Instant::now);
            thread::sleep(STALL.saturating_sub(first.elapsed()));
            answer(&mut stream, 200);
        }
    });
    let (samples, dropped) = run(&load(&url, "100/s"), Duration::from_millis(600));
    assert_eq!((samples.len(), dropped.len()), (60, 0));
    for sample in &samples {
        let left = STALL.saturating_sub(sample.due);
        assert!(
            sample.duration >= left,
            "due {:?}: {:?}",
            sample.due,
            sample.duration
        );
    }
    let slow = samples.iter().filter(|sample| sample.duration >= STALL / 2);
    assert!(slow.count() >= 20);
}

/// As where this process had no time: what should have gone out before was slow, and not what is sent now fast.
#[test]
fn what_is_sent_late_counts_from_its_time() {
    const LATE: Duration = Duration::from_millis(300);
    let url = server(|mut stream| {
        while asked(&mut stream) {
            answer(&mut stream, 200);
        }
    });
    let load = load(&url, "100/s");
    let begin = Instant::now().checked_sub(LATE).unwrap();
    let client = Client::new(load.asked.clone(), None).unwrap();
    let mut running = load.start(client, begin).unwrap();
    running.until.set(begin + LATE);
    let mut count = 0;
    while let Some(Event::Over(sample)) = running.events.blocking_recv() {
        let late = LATE.saturating_sub(sample.due);
        assert!(sample.duration >= late, "{sample:?}");
        assert!(sample.timings.blocked >= late, "{sample:?}");
        count += 1;
    }
    // One that was due meanwhile may be among them.
    assert!(count >= 30);
    assert!(running.latest() >= LATE);
}

#[test]
fn what_may_not_be_under_way_is_dropped_and_said() {
    let url = server(|mut stream| {
        asked(&mut stream);
        thread::sleep(Duration::from_secs(2));
        answer(&mut stream, 200);
    });
    let load = Load {
        max_in_flight: 3,
        ..load(&url, "100/s")
    };
    let (samples, dropped) = run(&load, Duration::from_millis(200));
    assert_eq!((samples.len(), dropped.len()), (3, 17));
    assert_eq!(dropped[0], Duration::from_millis(30));
}

#[test]
fn each_failure_is_called_by_its_name() {
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/path?x=1", listener.local_addr().unwrap())
    };
    let closes = server(|mut stream| {
        asked(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\nok");
        let _ = stream.shutdown(Shutdown::Both);
    });
    let resets = server(|stream| {
        // What was not read when it is closed makes a reset of it.
        let mut byte = [0];
        let _ = stream.peek(&mut byte);
    });
    let babbles = server(|mut stream| {
        asked(&mut stream);
        let _ = stream.write_all(b"SSH-2.0-OpenSSH\r\n");
        asked(&mut stream);
    });
    let hangs = server(|mut stream| {
        asked(&mut stream);
        asked(&mut stream);
    });
    let unresolved = "http://nothing.invalid/path?x=1".to_owned();
    for (url, failure) in [
        (refused, Failure::Refused),
        (closes, Failure::Closed),
        (resets, Failure::Reset),
        (babbles, Failure::Malformed),
        (hangs, Failure::TimedOut),
        (unresolved, Failure::Unresolved),
    ] {
        let mut load = load(&url, "10/s");
        if failure == Failure::TimedOut {
            load.asked.timeout = Duration::from_millis(200);
        }
        let (samples, _) = run(&load, Duration::from_millis(50));
        assert_eq!(samples.len(), 1);
        assert_eq!(samples[0].end, End::Failed(failure), "{url}");
        assert_eq!(samples[0].checks, [false]);
    }
}

#[test]
fn a_connection_that_was_closed_while_idle_is_no_failure() {
    let url = server(|mut stream| {
        asked(&mut stream);
        answer(&mut stream, 503);
        // As servers do whose patience is over.
    });
    let (samples, _) = run(&load(&url, "20/s"), Duration::from_millis(500));
    assert_eq!(samples.len(), 10);
    for sample in &samples {
        assert_eq!(sample.status(), 503, "{sample:?}");
    }
}

#[test]
fn dropped_it_ends_at_once() {
    let url = server(|mut stream| {
        asked(&mut stream);
        asked(&mut stream);
    });
    let load = load(&url, "50/s");
    let client = Client::new(load.asked.clone(), None).unwrap();
    let running = load.start(client, Instant::now()).unwrap();
    let state = Arc::downgrade(&running.state);
    drop(running);
    let begin = Instant::now();
    while state.upgrade().is_some() {
        assert!(begin.elapsed() < Duration::from_secs(30), "still there");
        thread::sleep(Duration::from_millis(1));
    }
}
