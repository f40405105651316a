//! `chaosctl init` writes what `chaosctl validate` finds nothing in, with questions and without.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::channel;

use nix::pty::openpty;
use serde_json::{Value, json};

use crate::agent::DEADLINE;
use crate::chaosctl::{Finished, chaosctl, finish};

fn init(directory: &Path, arguments: &[&str]) -> Finished {
    let arguments: Vec<_> = ["init"].iter().chain(arguments).copied().collect();
    finish(chaosctl(&arguments).current_dir(directory))
}

fn experiment(directory: &Path) -> Value {
    let text = std::fs::read_to_string(directory.join("experiment.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn options_are_answers() {
    let directory = tempfile::tempdir().unwrap();
    let words = [
        "--title",
        "Slow provider",
        "--probe",
        "http://127.0.0.1:3000/health",
        "--fault",
        "delay=100ms",
        "--service",
        "provider",
        "--duration",
        "10s",
        "--rollback",
        "true -x",
    ];
    let finished = init(directory.path(), &words);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let written = experiment(directory.path());
    assert_eq!(written["title"], "Slow provider");
    assert_eq!(written["description"], "Slow provider");
    let probe = &written["steady-state-hypothesis"]["probes"][0];
    assert_eq!(probe["tolerance"], 200);
    assert_eq!(probe["provider"]["url"], "http://127.0.0.1:3000/health");
    assert_eq!(
        written["method"][0]["provider"],
        json!({"type": "chaos", "fault": "delay", "latency": "100ms", "service": "provider", "duration": "10s"})
    );
    assert_eq!(
        written["rollbacks"][0]["provider"]["arguments"],
        json!(["-x"])
    );
    let valid = finish(chaosctl(&["validate", "experiment.json"]).current_dir(directory.path()));
    assert_eq!(valid.stdout, "experiment.json: a valid experiment\n");

    let again = init(directory.path(), &words);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(
        again.stderr.contains("./experiment.json is there already"),
        "{again:?}"
    );
    let forced = init(directory.path(), &["--title", "Other", "--force"]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
    assert_eq!(experiment(directory.path())["method"], json!([]));
}

#[test]
fn wrong_options_write_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for (words, said) in [
        (
            &["--no-input"][..],
            "the options do not say what the experiment is about",
        ),
        (
            &["--title", "t", "--experiment-path", "x.txt"],
            "x.txt is not written as .json, .yaml or .yml",
        ),
        (
            &["--title", "t", "--fault", "delay", "--service", "s"],
            "delay needs a value",
        ),
        (
            &["--title", "t", "--fault", "slow=1", "--service", "s"],
            "`slow` is no fault that init knows",
        ),
        (
            &["--title", "t", "--probe", "true", "--tolerance", "{"],
            "the tolerance `{` is not JSON",
        ),
        (&["--title", "t", "--fault", "reset"], "--service"),
    ] {
        let finished = init(directory.path(), words);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains(said), "{said}: {finished:?}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn what_was_discovered_goes_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let discovery = json!({"activities": [
        {"type": "probe", "name": "is_up", "mod": "ext.probes", "doc": "Is it?", "arguments": [
            {"name": "secrets", "type": "mapping"}, {"name": "wait", "type": "integer", "default": 5}
        ]},
        {"type": "action", "name": "kill", "mod": "ext.actions", "arguments": [{"name": "pod", "type": "string"}]}
    ]});
    std::fs::write(
        directory.path().join("discovery.json"),
        discovery.to_string(),
    )
    .unwrap();
    let words = [
        "--title",
        "t",
        "--probe",
        "is_up",
        "--experiment-path",
        "experiment.json",
    ];
    let finished = init(directory.path(), &words);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let probe = &experiment(directory.path())["steady-state-hypothesis"]["probes"][0];
    assert_eq!(probe["tolerance"], true);
    assert_eq!(
        probe["provider"],
        json!({"type": "python", "module": "ext.probes", "func": "is_up", "arguments": {}})
    );
    let finished = init(
        directory.path(),
        &["--title", "t", "--force", "--action", "kill"],
    );
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(
        finished.stderr.contains("kill needs its argument `pod`"),
        "{finished:?}"
    );
}

#[test]
fn a_terminal_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let terminal = openpty(None, None).unwrap();
    let slave = || Stdio::from(terminal.slave.try_clone().unwrap());
    let mut command = chaosctl(&["init", "--experiment-path", "experiment.json"]);
    command
        .current_dir(directory.path())
        .env("TERM", "xterm")
        .stdin(slave())
        .stdout(slave())
        .stderr(slave());
    let mut child = command.spawn().unwrap();
    drop((command, terminal.slave));
    let mut master = File::from(terminal.master);
    let mut reader = master.try_clone().unwrap();
    let (sender, pieces) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            let piece = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if sender.send(piece).is_err() {
                return;
            }
        }
    });
    let mut screen = String::new();
    for (question, answer) in [
        ("What is the experiment about", "Slow\r"),
        ("What do you believe, in a sentence", "\r"),
        ("How do you see that all is well", "\r"),
        ("Which address", "\r"),
        ("Which status must it give", "204\r"),
        ("Something more", "n"),
        ("What is that called", "\r"),
        ("What happens", "\r"),
        ("How much longer", "\r"),
        ("To which service", "web\r"),
        ("For how long", "5s\r"),
    ] {
        while !screen.contains(question) {
            screen.push_str(
                &pieces
                    .recv_timeout(DEADLINE)
                    .unwrap_or_else(|_| panic!("no {question:?}: {screen:?}")),
            );
        }
        screen.clear();
        master.write_all(answer.as_bytes()).unwrap();
    }
    while let Ok(piece) = pieces.recv_timeout(DEADLINE) {
        screen.push_str(&piece);
    }
    assert_eq!(child.wait().unwrap().code(), Some(0), "{screen:?}");
    let written = experiment(directory.path());
    assert_eq!(written["title"], "Slow");
    assert_eq!(written["description"], "Slow");
    let hypothesis = &written["steady-state-hypothesis"];
    assert_eq!(hypothesis["title"], "All is well");
    assert_eq!(hypothesis["probes"][0]["tolerance"], 204);
    assert_eq!(
        written["method"][0]["provider"],
        json!({"type": "chaos", "fault": "delay", "latency": "100ms", "service": "web", "duration": "5s"})
    );
}
