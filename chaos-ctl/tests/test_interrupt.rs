//! Ctrl-C and SIGTERM at every stage of a run, and the bar on a terminal.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;
use std::sync::mpsc::channel;

use chaos_proto::v1::Counters;
use chaos_proto::v1::disarm_request::Which;
use nix::pty::openpty;
use nix::sys::signal::Signal;

use crate::agent::{Agent, Call, DEADLINE};
use crate::chaosctl::{Running, chaosctl};
use crate::script::{Answer, Script, Then};

const DELAY: [&str; 4] = ["delay", "--netns", "web", "100ms"];

fn endless() -> Script {
    Script {
        then: Then::Run,
        ..Script::default()
    }
}

fn disarmed(agent: &Agent) -> bool {
    let this = Call::Disarm(Which::Id("delay-3f9a1c".to_owned()));
    agent.calls().contains(&this)
}

#[test]
fn an_interruption_ends_the_fault_and_shows_what_was_hit() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let agent = Agent::start(endless());
        let mut running = Running::against(&agent, &DELAY);
        running.wait_for("Ctrl-C ends it at once");
        running.signal(signal);
        let finished = running.wait();
        assert_eq!(
            finished.stdout,
            "\
TARGET  INTERFACE  MATCHED         DELAYED         DROPPED
web     eth0       1,234 (1.2 MB)  1,234 (1.2 MB)  0
"
        );
        assert!(
            finished
                .stderr
                .ends_with("stopping …\ndelay-3f9a1c: stopped\n"),
            "{finished:?}"
        );
        assert_eq!(finished.code, Some(0));
        assert!(disarmed(&agent));
    }
}

#[test]
fn an_interrupted_run_that_hit_nothing_still_exits_3() {
    let agent = Agent::start(Script {
        hits: Counters::default(),
        ..endless()
    });
    let mut running = Running::against(&agent, &DELAY);
    running.wait_for("Ctrl-C ends it at once");
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code, Some(3));
}

#[test]
fn a_second_interruption_leaves_at_once() {
    let agent = Agent::start(Script {
        hang_disarm: true,
        ..endless()
    });
    let mut running = Running::against(&agent, &DELAY);
    running.wait_for("Ctrl-C ends it at once");
    running.signal(Signal::SIGINT);
    agent.wait_for(|call| matches!(call, Call::Disarm(_)));
    running.signal(Signal::SIGINT);
    let finished = running.wait();
    assert!(
        finished
            .stderr
            .contains("error: left without waiting for the agent"),
        "{finished:?}"
    );
    assert_eq!(finished.code, Some(1));
}

#[test]
fn an_interruption_while_the_agent_prepares_takes_back_what_it_prepared() {
    let agent = Agent::start(Script {
        prepare: Answer::WhenTold,
        ..endless()
    });
    let mut running = Running::against(&agent, &DELAY);
    agent.wait_for(|call| matches!(call, Call::Prepare(_)));
    running.signal(Signal::SIGINT);
    running.wait_for("stopping …");
    agent.let_prepare();
    let finished = running.wait();
    assert_eq!(
        finished.stderr,
        "stopping …\nerror: interrupted before the experiment began: nothing was applied\n"
    );
    assert_eq!((finished.stdout.as_str(), finished.code), ("", Some(1)));
    assert!(disarmed(&agent));
}

#[test]
fn an_agent_that_goes_on_preparing_is_not_said_to_have_done_nothing() {
    for signals in [1, 2] {
        let agent = Agent::start(Script {
            prepare: Answer::Never,
            ..endless()
        });
        let mut running = Running::against(&agent, &DELAY);
        agent.wait_for(|call| matches!(call, Call::Prepare(_)));
        running.signal(Signal::SIGINT);
        running.wait_for("stopping …");
        if signals > 1 {
            running.signal(Signal::SIGINT);
        }
        let finished = running.wait();
        assert_eq!(
            finished.stderr,
            "stopping …\nerror: interrupted while the agent was preparing the experiment: \
             it never acts, and the agent drops it within 30 s\n"
        );
        assert_eq!((finished.stdout.as_str(), finished.code), ("", Some(1)));
    }
}

#[test]
fn an_interrupted_dry_run_has_nothing_to_take_back() {
    let agent = Agent::start(Script {
        prepare: Answer::Never,
        ..endless()
    });
    let running = Running::against(&agent, &[&DELAY[..], &["--dry-run"]].concat());
    agent.wait_for(|call| matches!(call, Call::Prepare(_)));
    running.signal(Signal::SIGINT);
    assert_eq!(
        running.wait().stderr,
        "error: interrupted before the experiment began: nothing was applied\n"
    );
}

#[test]
fn an_interruption_before_the_start_applies_nothing() {
    let hung_arm = Script {
        hang_arm: true,
        hits: Counters::default(),
        ..endless()
    };
    for mode in [&[][..], &["--detach"]] {
        let agent = Agent::start(hung_arm.clone());
        let running = Running::against(&agent, &[&DELAY[..], mode].concat());
        agent.wait_for(|call| matches!(call, Call::Arm(_)));
        running.signal(Signal::SIGINT);
        let finished = running.wait();
        assert_eq!(
            finished.stderr,
            "error: interrupted before the experiment began: nothing was applied\n"
        );
        assert_eq!((finished.stdout.as_str(), finished.code), ("", Some(1)));
        assert!(disarmed(&agent));
    }
}

#[test]
fn an_interruption_that_the_agent_cannot_take_is_said() {
    let mut agent = Agent::start(Script {
        hang_disarm: true,
        ..endless()
    });
    let mut running = Running::against(&agent, &DELAY);
    running.wait_for("Ctrl-C ends it at once");
    running.signal(Signal::SIGINT);
    agent.wait_for(|call| matches!(call, Call::Disarm(_)));
    agent.die();
    let finished = running.wait();
    assert!(
        finished
            .stderr
            .contains("error: could not stop the experiment: "),
        "{finished:?}"
    );
    assert!(
        finished.stderr.contains("hint: it ends by itself"),
        "{finished:?}"
    );
    assert_eq!(finished.code, Some(4));
}

#[test]
fn a_terminal_gets_a_bar_that_goes_away() {
    let agent = Agent::start(endless());
    let terminal = openpty(None, None).unwrap();
    let mut command = chaosctl(&DELAY);
    command
        .env("CHAOS_SOCKET", agent.socket())
        .env("TERM", "xterm")
        .stdout(terminal.slave.try_clone().unwrap())
        .stderr(Stdio::from(terminal.slave));
    let mut child = command.spawn().unwrap();
    // The command holds copies of the terminal's end: without them, its end would never be seen.
    drop(command);
    let (sender, pieces) = channel();
    std::thread::spawn(move || {
        let mut master = File::from(terminal.master);
        let mut buffer = [0; 4096];
        // Linux reports the end of a terminal as an error.
        while let Ok(length @ 1..) = master.read(&mut buffer) {
            if sender
                .send(String::from_utf8_lossy(&buffer[..length]).into_owned())
                .is_err()
            {
                return;
            }
        }
    });
    let mut screen = String::new();
    while !screen.contains("30 s left, 1,234 matched, 1,234 delayed") {
        screen.push_str(&pieces.recv_timeout(DEADLINE).unwrap());
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGINT).unwrap();
    while let Ok(piece) = pieces.recv_timeout(DEADLINE) {
        screen.push_str(&piece);
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let after_the_bar = screen.rsplit("left, ").next().unwrap();
    assert!(after_the_bar.contains("\u{1b}[2K"), "{screen:?}");
    assert!(after_the_bar.contains("TARGET  INTERFACE"), "{screen:?}");
}
