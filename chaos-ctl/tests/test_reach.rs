//! Agents that cannot be reached, or that go away: exit code 4, a sentence, and what to do.

use std::os::unix::net::UnixListener;
use std::process::Stdio;

use chaos_proto::v1::EndReason;
use tonic::Status;

use crate::agent::{Agent, Call};
use crate::chaosctl::{Running, chaosctl, finish, run, run_alone, text};
use crate::script::{Answer, Script, Then};

#[test]
fn every_verb_says_that_there_is_no_agent() {
    for arguments in [
        &["delay", "--netns", "web", "100ms"][..],
        &["loss", "--netns", "web", "1%"],
        &["list"],
        &["status", "x"],
        &["stop", "x"],
        &["doctor"],
    ] {
        let finished = run_alone(arguments);
        assert_eq!(
            finished.stderr,
            "\
error: cannot reach the agent at /nonexistent/chaos.sock: no such socket
  hint: start it with `sudo chaos-daemon`, or point --socket to where it listens
"
        );
        assert_eq!((finished.stdout.as_str(), finished.code), ("", Some(4)));
    }
}

#[test]
fn a_socket_without_a_listener_is_told_from_a_missing_one() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("chaos.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let finished = finish(&mut chaosctl(&["list", "--socket", text(&socket)]));
    assert!(
        finished.stderr.contains("nothing listens on this socket"),
        "{finished:?}"
    );
    assert_eq!(finished.code, Some(4));
}

#[test]
fn a_socket_of_somebody_else_says_to_become_root() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("chaos.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o600)).unwrap();
    // The build directory may be closed to others, a copy beside the socket is not. Copied by another process: a
    // file that any child of this one inherited open for writing could not be executed.
    let program = directory.path().join("chaosctl");
    let copied = std::process::Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_chaosctl"))
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    let mut command = std::process::Command::new(program);
    command
        .args(["list", "--socket", text(&socket)])
        .uid(65534)
        .gid(65534);
    let finished = finish(&mut command);
    assert!(
        finished.stderr.contains(": permission denied\n  hint: "),
        "{finished:?}"
    );
    assert!(
        finished.stderr.contains("run chaosctl as root"),
        "{finished:?}"
    );
    assert_eq!(finished.code, Some(4));
}

#[test]
fn a_server_that_refuses_the_connection_is_named() {
    // Bound and closed again: nobody else listens there now.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = format!("http://127.0.0.1:{port}");
    for command in [
        chaosctl(&["list", "--server", &server]).stdin(Stdio::null()),
        chaosctl(&["list"]).env("CHAOS_SERVER", &server),
    ] {
        let finished = finish(command);
        let sentence = format!("error: cannot reach the agent at {server}: Connection refused");
        assert!(finished.stderr.starts_with(&sentence), "{finished:?}");
        assert_eq!(finished.code, Some(4));
    }
}

#[test]
fn an_agent_that_dies_is_told_with_what_was_last_seen() {
    for form in ["table", "json"] {
        let mut agent = Agent::start(Script {
            then: Then::Run,
            ..Script::default()
        });
        let mut running =
            Running::against(&agent, &["delay", "--netns", "web", "100ms", "-o", form]);
        running.wait_for("Ctrl-C ends it at once");
        agent.wait_for(|call| matches!(call, Call::Arm(_)));
        agent.die();
        let finished = running.wait();
        let sentence = format!(
            "error: the agent at {} is gone: its faults end by themselves",
            text(&agent.socket())
        );
        assert!(finished.stderr.contains(&sentence), "{finished:?}");
        assert_eq!(finished.code, Some(4));
        if form == "json" {
            assert_eq!(finished.json()["outcome"], "agent_lost");
            assert_eq!(finished.json()["experiment"]["state"], "armed");
        } else {
            assert!(finished.stdout.contains("1,234 (1.2 MB)"), "{finished:?}");
        }
    }
}

#[test]
fn a_stream_that_fails_is_a_lost_agent_too() {
    let agent = Agent::start(Script {
        then: Then::Fail(Status::unavailable("the agent is stopping")),
        ..Script::default()
    });
    let finished = run(&agent, &["delay", "--netns", "web", "100ms"]);
    assert!(
        finished
            .stderr
            .contains("hint: its last words: the agent is stopping"),
        "{finished:?}"
    );
    assert_eq!(finished.code, Some(4));
}

#[test]
fn an_agent_that_ends_properly_is_not_called_lost() {
    let agent = Agent::start(Script {
        then: Then::End(EndReason::AgentStopped, ""),
        ..Script::default()
    });
    assert_eq!(
        run(&agent, &["delay", "--netns", "web", "100ms"]).code,
        Some(1)
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let agent = Agent::start(Script::default());
    let mut command = chaosctl(&["delay", "--netns", "web", "100ms"]);
    command
        .env("CHAOS_SOCKET", agent.socket())
        .stderr(Stdio::null());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = command.stdout(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = command.stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_connection_that_breaks_during_a_call_is_not_a_refusal() {
    let mut agent = Agent::start(Script {
        prepare: Answer::Never,
        ..Script::default()
    });
    let running = Running::against(&agent, &["delay", "--netns", "web", "100ms"]);
    agent.wait_for(|call| matches!(call, Call::Prepare(_)));
    agent.die();
    let finished = running.wait();
    assert_eq!(
        finished.stderr.replace(text(&agent.socket()), "SOCKET"),
        "\
error: the connection to the agent at SOCKET broke
  hint: see the agent's log for why it ended
"
    );
    assert_eq!((finished.stdout.as_str(), finished.code), ("", Some(4)));
}

#[test]
fn an_agent_of_another_version_is_recognised() {
    for (status, stderr) in [
        (
            Status::unimplemented(""),
            "\
error: the agent at SOCKET does not know this command
  hint: agent and chaosctl are of different versions: compare with `chaosctl doctor`
",
        ),
        (
            Status::internal(""),
            "error: the agent refused: Internal error\n",
        ),
    ] {
        let agent = Agent::start(Script {
            refuse_prepare: Some(status),
            ..Script::default()
        });
        let finished = run(&agent, &["delay", "--netns", "web", "100ms"]);
        assert_eq!(
            finished.stderr.replace(text(&agent.socket()), "SOCKET"),
            stderr
        );
        assert_eq!(finished.code, Some(1));
    }
}
