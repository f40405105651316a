//! Bad input: one clear sentence, the exit code that fits, and nothing applied.

use std::os::unix::process::CommandExt;

use chaos_tests::{lab::Output, requires};
use nix::{sys::stat::Mode, unistd::mkfifo};

use crate::scenario::{PATIENCE, Scenario};

/// Asserts that a command failed as it should, and says all of `words`.
fn assert_refused(what: &str, output: &Output, code: i32, words: &[&str]) {
    let said = &output.stderr;
    assert_eq!(output.code, Some(code), "{what}: {output:?}");
    assert_eq!(output.stdout, "", "{what}: a result of nothing");
    assert!(!said.trim().is_empty(), "{what}: no word of explanation");
    for word in words {
        assert!(
            said.to_lowercase().contains(&word.to_lowercase()),
            "{what}: no {word:?} in: {said}"
        );
    }
    for noise in ["panicked", "Error {", "Some(", "Status {", "os error"] {
        assert!(!said.contains(noise), "{what}: {noise:?} in: {said}");
    }
    // The sentence, what to do about it, and what clap adds.
    assert!(said.lines().count() <= 12, "{what}: too much: {said}");
}

#[test]
fn is_refused_and_nothing_is_applied() {
    requires!(root);
    let mut scenario = Scenario::new("bad-input");
    let fifo = scenario.lab.directory().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let fifo = format!("delay 100ms --netns {}", fifo.display());
    for (words, code, expected) in [
        ("delay -5ms --netns {target}", 2, &["-5ms"][..]),
        ("delay 0ms --netns {target}", 2, &["0ms"]),
        ("delay 100 --netns {target}", 2, &["100", "ms"]),
        ("delay 10parsecs --netns {target}", 2, &["parsecs"]),
        ("delay 61s --netns {target}", 1, &["60"]),
        (
            "delay 100ms --jitter 200ms --netns {target}",
            1,
            &["jitter"],
        ),
        (
            "delay 100ms --netns {target} --duration 0s",
            2,
            &["duration"],
        ),
        ("delay 100ms --netns {target} --duration 25h", 1, &["24 h"]),
        ("delay 100ms", 2, &["--netns"]),
        ("delay 100ms --netns {target} --pid 1", 2, &["--pid"]),
        ("delay 100ms --netns {target} --port 70000", 2, &["70000"]),
        (
            "delay 100ms --netns {target} --port 80 --proto icmp",
            1,
            &["port"],
        ),
        (
            "delay 100ms --netns {target} --peer 10.0.0.0/33",
            2,
            &["10.0.0.0/33"],
        ),
        (
            "delay 100ms --netns {target} --direction sideways",
            2,
            &["sideways", "egress"],
        ),
        ("loss 101% --netns {target}", 2, &["101"]),
        ("loss -1% --netns {target}", 2, &["-1%"]),
        ("loss 0% --netns {target}", 2, &["0%"]),
        ("loss many --netns {target}", 2, &["many"]),
        ("delay 100ms --svc no-such-service", 1, &["no-such-service"]),
        (
            "delay 100ms --netns no-such-namespace",
            1,
            &["no-such-namespace"],
        ),
        ("delay 100ms --netns /etc/passwd", 1, &["/etc/passwd"]),
        (&fifo, 1, &["fifo", "no namespace"]),
        ("delay 100ms --cgroup /etc", 1, &["/etc", "no cgroup"]),
        ("delay 100ms --pid 4194305", 1, &["4194305"]),
        (
            "delay 100ms --cgroup /no/such/cgroup",
            1,
            &["/no/such/cgroup"],
        ),
        (
            "delay 100ms --netns {target} --interface eth7",
            1,
            &["eth7"],
        ),
        (
            "delay 100ms --svc web --inventory /no/such/file",
            2,
            &["/no/such/file"],
        ),
        ("stop no-such-experiment", 1, &["no-such-experiment"]),
        ("status no-such-experiment", 1, &["no-such-experiment"]),
        ("frobnicate", 2, &["frobnicate"]),
    ] {
        assert_refused(words, &scenario.chaosctl(words), code, expected);
    }
    let list = scenario.ask("list --all");
    assert_eq!(
        list["experiments"].as_array().map(Vec::len),
        Some(0),
        "{list}"
    );
    scenario.leaves_nothing();
}

#[test]
fn an_agent_that_does_not_answer() {
    requires!(root);
    let mut scenario = Scenario::new("bad-socket");
    let fault = "delay 100ms --netns {target}";
    let missing = scenario.chaosctl(&format!("{fault} --socket /no/such/socket"));
    assert_refused(
        "no socket",
        &missing,
        4,
        &["/no/such/socket", "chaos-daemon"],
    );
    let socket = scenario.daemon.socket().to_string_lossy().into_owned();
    scenario.daemon.kill().unwrap();
    assert_refused(
        "a dead agent's socket",
        &scenario.chaosctl(fault),
        4,
        &[&socket],
    );
    let server = scenario.chaosctl(&format!("{fault} --server http://127.0.0.1:1"));
    assert_refused("no server", &server, 4, &["127.0.0.1:1"]);
}

#[test]
fn somebody_else() {
    requires!(root);
    let scenario = Scenario::new("bad-user");
    let directory = scenario.lab.directory();
    std::fs::set_permissions(
        directory,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let mut command = scenario.daemon.chaosctl_command().unwrap();
    // "nobody": may see that the socket is there, and no more.
    command
        .args(["delay", "100ms", "--netns", scenario.target.netns_name()])
        .uid(65534)
        .gid(65534);
    let output = Output::of(command, PATIENCE).unwrap();
    assert_refused("nobody", &output, 4, &["permission", "root"]);
}
