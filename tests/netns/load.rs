//! The load counts what it asked for, and sees a stalled service instead of waiting for it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use chaos_tests::{lab::Lab, load::Load, requires, services};
use nix::sys::signal::Signal;

fn load(url: String) -> Load {
    Load {
        rate: 50,
        duration: Duration::from_secs(2),
        url,
        timeout: Duration::from_secs(5),
    }
}

#[test]
fn every_request_is_counted() {
    requires!(root);
    let lab = Lab::new("load").unwrap();
    let (client, server) = (lab.host("client").unwrap(), lab.host("server").unwrap());
    let _provider = services::provider(&server).unwrap();
    let seen = AtomicUsize::new(0);
    let load = load(format!("http://{}:3000/", server.address_v4()));
    let report = client
        .run(|| {
            load.run_until(&std::sync::atomic::AtomicBool::new(false), |_| {
                seen.fetch_add(1, Ordering::Relaxed);
            })
        })
        .unwrap()
        .unwrap();
    let summary = report.summary().unwrap();
    assert_eq!(
        (summary.requests, summary.errors, seen.into_inner()),
        (100, 0, 100)
    );
    assert!(
        summary.p50 <= summary.p95 && summary.p95 <= summary.p99,
        "{summary:?}"
    );
    let first_half = report
        .between(Duration::ZERO, Duration::from_secs(1))
        .unwrap();
    assert_eq!(first_half.requests, 50);
}

#[test]
fn errors_are_counted() {
    requires!(root);
    let lab = Lab::new("load-errors").unwrap();
    let (client, server) = (lab.host("client").unwrap(), lab.host("server").unwrap());
    let _consumer = services::consumer(&server, std::slice::from_ref(&client)).unwrap();
    let load = load(format!("http://{}:3000/consuming", server.address_v4()));
    let summary = client
        .run(|| load.run())
        .unwrap()
        .unwrap()
        .summary()
        .unwrap();
    assert_eq!((summary.requests, summary.errors), (100, 100));
}

#[test]
fn a_stall_is_in_the_latencies_of_all_requests_that_it_delayed() {
    requires!(root);
    let lab = Lab::new("load-stall").unwrap();
    let (client, server) = (lab.host("client").unwrap(), lab.host("server").unwrap());
    let mut provider = services::provider(&server).unwrap();
    let load = load(format!("http://{}:3000/", server.address_v4()));
    provider.signal(Signal::SIGSTOP).unwrap();
    let provider = std::sync::Mutex::new(provider);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            // The fault itself takes time: the service stands still for two seconds. Where the load begins up to one of
            // them late, its first requests still wait long enough.
            std::thread::sleep(Duration::from_secs(2));
            provider.lock().unwrap().signal(Signal::SIGCONT).unwrap();
        });
        client.run(|| load.run()).unwrap().unwrap()
    });
    let stalled = report
        .between(Duration::ZERO, Duration::from_millis(500))
        .unwrap();
    assert_eq!((stalled.requests, stalled.errors), (25, 0));
    assert!(stalled.p50 > Duration::from_millis(500), "{stalled:?}");
}
