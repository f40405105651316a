//! `chaosctl run` on a terminal: the key that stops everything, answers of one key, and a terminal that is as before.

use chaos_proto::v1::disarm_request::Which;
use serde_json::{Value, json};

use crate::agent::{Agent, Call};
use crate::lab::{Lab, experiment, shell, statuses};
use crate::script::{Script, Then};
use crate::terminal::Terminal;

const HINT: &str = "(press x to stop everything)";
const ENDLESS: &str = "touch began; sleep 1000";

fn endless() -> Lab {
    let method = [
        shell("action", "a", ENDLESS),
        shell("action", "b", "touch b"),
    ];
    Lab::new(&experiment(
        "true",
        &method,
        &[shell("action", "r", "true")],
    ))
}

/// That somebody stopped everything, and nothing else tripped.
fn is_stopped_by_key(journal: &Value) {
    assert_eq!(journal["status"], "aborted");
    let guards = journal["guards"].as_array().unwrap();
    assert_eq!(guards.len(), 1);
    assert_eq!(
        (&guards[0]["name"], &guards[0]["saw"]),
        (&json!("watcher"), &json!("a key: stop everything"))
    );
}

#[test]
fn the_key_stops_everything_and_rollbacks_are_as_their_strategy_has_it() {
    for (strategy, rolled_back) in [("default", 1), ("always", 1), ("never", 0)] {
        let lab = endless();
        let mut terminal = Terminal::start(&lab.command(&["--rollback-strategy", strategy]));
        terminal.wait_for(HINT);
        lab.wait_for("began");
        assert!(terminal.takes_single_keys());
        // No other key does anything.
        terminal.press('q');
        terminal.press('x');
        let (code, screen) = terminal.wait();
        assert_eq!(code, Some(1), "{strategy} {screen:?}");
        let said = "error: aborted: guard `watcher` saw a key: stop everything";
        assert!(screen.contains(said), "{strategy} {screen:?}");
        let journal = lab.journal();
        is_stopped_by_key(&journal);
        assert_eq!(statuses(&journal, "run"), [Value::Null], "{strategy}");
        assert_eq!(
            statuses(&journal, "rollbacks").len(),
            rolled_back,
            "{strategy}"
        );
        assert_eq!(journal["steady_states"]["after"], Value::Null);
        assert!(!lab.path().join("b").exists());
    }
}

#[test]
fn the_key_stops_faults() {
    let agent = Agent::start(Script {
        then: Then::Run,
        ..Script::default()
    });
    let fault = json!({"type": "action", "name": "slow", "provider": {
        "type": "chaos", "fault": "delay", "latency": "100ms", "netns": "web", "duration": "30s",
    }});
    let lab = Lab::new(&experiment(
        "true",
        &[fault, shell("action", "a", ENDLESS)],
        &[],
    ));
    let mut command = lab.command(&[]);
    let mut terminal = Terminal::start(command.env("CHAOS_SOCKET", agent.socket()));
    terminal.wait_for(HINT);
    lab.wait_for("began");
    terminal.press('x');
    let (code, screen) = terminal.wait();
    assert_eq!(code, Some(1), "{screen:?}");
    let disarmed = Call::Disarm(Which::Id("delay-3f9a1c".to_owned()));
    assert!(agent.calls().contains(&disarmed), "{:?}", agent.calls());
    let journal = lab.journal();
    is_stopped_by_key(&journal);
    assert_eq!(statuses(&journal, "run"), [json!("succeeded"), Value::Null]);
    assert_eq!(
        journal["run"][0]["chaos"]["outcome"], "stopped",
        "{journal}"
    );
}

#[test]
fn one_key_is_an_answer_and_x_is_one_at_any_question() {
    let [a, b, c] = ["a", "b", "c"].map(|name| shell("action", name, "true"));
    let lab = Lab::new(&experiment(
        "true",
        &[a, b, c],
        &[shell("action", "r", "true")],
    ));
    let mut terminal = Terminal::start(&lab.command(&["--confirm"]));
    for (question, key) in [
        ("action `a`: [y]es, [s]kip or [a]bort?", 'y'),
        ("action `b`: [y]es, [s]kip or [a]bort?", 'q'),
        ("action `b`: [y]es, [s]kip or [a]bort?", 'S'),
        ("action `c`: [y]es, [s]kip or [a]bort?", 'x'),
        ("action `r`: [y]es, [s]kip or [a]bort?", 'y'),
    ] {
        terminal.wait_for(question);
        terminal.press(key);
    }
    let (code, screen) = terminal.wait();
    assert_eq!(code, Some(1), "{screen:?}");
    let journal = lab.journal();
    is_stopped_by_key(&journal);
    assert_eq!(statuses(&journal, "run"), ["succeeded", "skipped"]);
    assert_eq!(statuses(&journal, "rollbacks"), ["succeeded"]);
}

#[test]
fn ctrl_c_is_still_one_and_a_run_to_the_end_too_leaves_the_terminal_as_it_was() {
    let lab = endless();
    let mut terminal = Terminal::start(&lab.command(&[]));
    terminal.wait_for(HINT);
    lab.wait_for("began");
    terminal.press('\u{3}');
    let (code, screen) = terminal.wait();
    assert_eq!(code, Some(1), "{screen:?}");
    assert_eq!(lab.journal()["status"], "interrupted");

    let lab = Lab::new(&experiment("true", &[], &[]));
    let (code, screen) = Terminal::start(&lab.command(&[])).wait();
    assert_eq!(code, Some(0), "{screen:?}");
    assert_eq!(lab.journal()["status"], "completed");
}

#[test]
fn the_key_also_ends_what_would_come_again() {
    let lab = endless();
    let mut terminal = Terminal::start(&lab.command(&["--every", "1ms"]));
    terminal.wait_for(HINT);
    lab.wait_for("began");
    terminal.press('x');
    let (code, screen) = terminal.wait();
    assert_eq!(code, Some(1), "{screen:?}");
    let journals = lab.journals();
    assert_eq!(journals.len(), 1);
    is_stopped_by_key(&journals[0]);
}
