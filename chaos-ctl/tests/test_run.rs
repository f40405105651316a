//! `chaosctl run`: real processes, real signals, the journal on disk.

use std::fs;
use std::os::unix::process::CommandExt;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::chaosctl::{Running, chaosctl, finish, text};
use crate::lab::{Lab, experiment, shell, statuses};

#[test]
fn one_that_holds_completes() {
    let lab = Lab::new(&experiment(
        "true",
        &[shell("action", "shake it", "echo shaken")],
        &[shell("action", "hold it", "true")],
    ));
    let finished = lab.run(&[]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.starts_with("completed in "), "{finished:?}");
    for said in [
        "Does it hold?\n",
        "Steady state before: all is well\n  ✓ steady (",
        "\n  ✓ shake it (",
    ] {
        assert!(finished.stderr.contains(said), "{said:?} {finished:?}");
    }
    let journal = lab.journal();
    let keys: Vec<_> = journal
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "chaoslib-version",
            "chaosctl-version",
            "platform",
            "node",
            "experiment",
            "start",
            "status",
            "deviated",
            "steady_states",
            "run",
            "rollbacks",
            "end",
            "duration",
        ]
    );
    assert_eq!(journal["run"][0]["output"]["stdout"], "shaken\n");
    assert_eq!(journal["experiment"]["dry"], Value::Null);
    let files = fs::read_dir(lab.path())
        .unwrap()
        .map(|file| file.unwrap().file_name());
    let mut files: Vec<_> = files.collect();
    files.sort();
    assert_eq!(files, ["experiment.json", "journal.json"]);
}

#[test]
fn one_that_deviates_says_what_was_expected_and_seen() {
    let lab = Lab::new(&experiment(
        "test ! -e broken",
        &[shell("action", "break it", "touch broken")],
        &[],
    ));
    let finished = lab.run(&[]);
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.stderr.contains(
            "error: deviated: after the method, probe `steady` was expected to see 0, and saw 1\n"
        ),
        "{finished:?}"
    );
    let journal = lab.journal();
    assert_eq!(
        (&journal["status"], &journal["deviated"]),
        (&json!("completed"), &json!(true))
    );
}

#[test]
fn a_hypothesis_that_is_not_met_before_is_said() {
    let lab = Lab::new(&experiment(
        "exit 3",
        &[shell("action", "a", "touch ran")],
        &[],
    ));
    let finished = lab.run(&["-o", "json"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(
        finished
            .stderr
            .contains("warning: the method was not played: before it, probe `steady`")
    );
    assert_eq!(finished.json()["status"], "completed");
    assert!(!lab.path().join("ran").exists());
}

#[test]
fn signals_end_it_as_in_the_reference() {
    for (signal, are_rolled_back, is_waited_for) in [
        (Signal::SIGINT, true, true),
        (Signal::SIGTERM, true, true),
        (Signal::SIGUSR1, true, true),
        (Signal::SIGUSR2, false, false),
    ] {
        let mut background = shell("action", "b", "until test -e go; do sleep 0.01; done");
        background["background"] = true.into();
        let lab = Lab::new(&experiment(
            "true",
            &[
                background,
                shell("action", "a", "touch began; sleep 1000"),
                shell("action", "c", "true"),
            ],
            &[shell("action", "r", "true")],
        ));
        let running = lab.start(&["--rollback-strategy", "always"]);
        lab.wait_for("began");
        running.signal(signal);
        if is_waited_for {
            fs::write(lab.path().join("go"), "").unwrap();
        }
        let finished = running.wait();
        assert_eq!(finished.code, Some(1), "{signal} {finished:?}");
        let journal = lab.journal();
        assert_eq!(journal["status"], "interrupted");
        let of_background = if is_waited_for {
            json!("succeeded")
        } else {
            Value::Null
        };
        assert_eq!(
            statuses(&journal, "run"),
            [of_background, Value::Null],
            "{signal}"
        );
        assert_eq!(
            !statuses(&journal, "rollbacks").is_empty(),
            are_rolled_back,
            "{signal}"
        );
        assert_eq!(journal["steady_states"]["after"], Value::Null);
    }
}

#[test]
fn a_second_ctrl_c_waits_for_nothing() {
    let mut background = shell("action", "b", "sleep 1000");
    background["background"] = true.into();
    let lab = Lab::new(&experiment(
        "true",
        &[background, shell("action", "a", "touch began; sleep 1000")],
        &[],
    ));
    let mut running = lab.start(&[]);
    lab.wait_for("began");
    running.signal(Signal::SIGINT);
    running.wait_for("interrupted: Ctrl-C");
    running.signal(Signal::SIGINT);
    let finished = running.wait();
    assert_eq!(finished.code, Some(1));
    assert_eq!(lab.journal()["status"], "interrupted");
}

#[test]
fn what_was_written_is_there_after_a_kill() {
    let lab = Lab::new(&experiment(
        "true",
        &[shell("action", "a", "touch began; sleep 1000")],
        &[],
    ));
    let running = lab.start(&[]);
    lab.wait_for("began");
    running.signal(Signal::SIGKILL);
    running.wait();
    let journal = chaos_toolkit::journal::recover(&lab.path().join("journal.json")).unwrap();
    assert_eq!(journal["status"], "interrupted");
    assert_eq!(journal["steady_states"]["before"]["steady_state_met"], true);
    assert_eq!(journal["run"][0]["activity"]["name"], "a");
    assert_eq!(lab.journal(), Value::Object(journal));
}

#[test]
fn strategies_come_from_the_command_line_the_experiment_and_the_settings() {
    let mut of = experiment("exit 1", &[], &[shell("action", "r", "true")]);
    let played = |lab: &Lab, options: &[&str]| {
        lab.run(options);
        let journal = lab.journal();
        (
            !journal["steady_states"]["before"].is_null(),
            statuses(&journal, "rollbacks").len(),
        )
    };
    let lab = Lab::new(&of);
    let settings = "runtime: {hypothesis: {strategy: skip}, rollbacks: {strategy: never}}";
    fs::write(lab.path().join("settings.yaml"), settings).unwrap();
    let settings = ["--settings", "settings.yaml"];
    assert_eq!(played(&lab, &[]), (true, 1));
    assert_eq!(played(&lab, &settings), (false, 0));
    let strategy = ["--rollback-strategy", "always"];
    assert_eq!(played(&lab, &[settings, strategy].concat()), (false, 1));
    of["runtime"] = json!({"rollbacks": {"strategy": "always"}});
    fs::write(lab.path().join("experiment.json"), of.to_string()).unwrap();
    assert_eq!(played(&lab, &settings), (true, 1));
}

#[test]
fn a_journal_that_could_not_be_written_is_found_out_before_anything_runs() {
    let lab = Lab::new(&experiment("touch ran", &[], &[]));
    let finished = lab.run(&["--journal-path", "nowhere/journal.json"]);
    assert_eq!(finished.code, Some(1));
    assert!(
        finished
            .stderr
            .contains("error: cannot write the journal to nowhere/journal.json")
    );
    assert!(!lab.path().join("ran").exists());
}

#[test]
fn words_that_are_none_are_usage_errors() {
    let lab = Lab::new(&experiment("true", &[], &[]));
    for options in [
        ["--hypothesis-strategy", "sometimes"],
        ["--rollback-strategy", "maybe"],
        ["--dry", "wet"],
        ["--hypothesis-frequency", "soon"],
        ["--var-file", "nowhere.env"],
        ["--control-file", "nowhere.yaml"],
    ] {
        let finished = lab.run(&options);
        assert_eq!(finished.code, Some(2), "{options:?}");
        assert!(finished.stderr.contains(options[1]), "{finished:?}");
    }
    let path = text(lab.path());
    assert_eq!(finish(&mut chaosctl(&["run"])).code, Some(2), "{path}");
}

#[test]
fn ctrl_c_in_a_terminal_ends_the_program_too_and_that_is_not_how_the_activity_ends() {
    let script = "trap 'exit 0' INT; touch began; while true; do sleep 0.01; done";
    let lab = Lab::new(&experiment(
        "true",
        &[shell("action", "a", script), shell("action", "b", "true")],
        &[],
    ));
    let mut command = chaosctl(&["run", "experiment.json"]);
    let running = Running::start(command.current_dir(lab.path()).process_group(0));
    lab.wait_for("began");
    running.signal_group(Signal::SIGINT);
    assert_eq!(running.wait().code, Some(1));
    assert_eq!(statuses(&lab.journal(), "run"), [Value::Null]);
}

#[test]
fn a_guard_that_trips_aborts_and_what_ran_is_undone() {
    let mut action = shell("action", "a", "touch a; sleep 1000");
    action["undo"] = shell("action", "put it back", "rm a")["provider"].take();
    action["undo"] = json!({"provider": action["undo"]});
    let mut of = experiment(
        "true",
        &[action, shell("action", "b", "touch b")],
        &[shell("action", "r", "true")],
    );
    of["abort_when"] = json!([{
        "name": "it is there", "every": "20ms", "is": 0,
        "provider": {"type": "process", "path": "test", "arguments": ["-e", "a"]},
    }]);
    let lab = Lab::new(&of);
    let finished = lab.run(&["--verify-recovery"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished
            .stderr
            .contains("error: aborted: guard `it is there` saw 0\n"),
        "{finished:?}"
    );
    let journal = lab.journal();
    assert_eq!(journal["status"], "aborted");
    assert_eq!(journal["guards"][0]["name"], "it is there");
    assert_eq!(journal["rollbacks"][0]["activity"]["name"], "undo: a");
    assert_eq!(statuses(&journal, "rollbacks"), ["succeeded", "succeeded"]);
    assert_eq!(
        journal["steady_states"]["recovery"]["steady_state_met"],
        true
    );
    assert!(!lab.path().join("a").exists());
}

#[test]
fn what_does_not_recover_has_failed() {
    let lab = Lab::new(&experiment(
        "test ! -e broken",
        &[],
        &[shell("action", "makes it worse", "touch broken")],
    ));
    let finished = lab.run(&["--verify-recovery"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished
            .stderr
            .contains("error: did not recover: probe `steady`"),
        "{finished:?}"
    );
    assert_eq!(lab.journal()["status"], "failed");
}

#[test]
fn the_part_of_a_run_that_was_killed_is_kept_by_the_next() {
    let lab = Lab::new(&experiment("true", &[], &[]));
    fs::write(lab.path().join("journal.json.part"), "what is left").unwrap();
    assert_eq!(lab.run(&[]).code, Some(0));
    fs::write(
        lab.path().join("journal.json.part"),
        "what is left of another",
    )
    .unwrap();
    assert_eq!(lab.run(&[]).code, Some(0));
    let kept = |name: &str| fs::read_to_string(lab.path().join(name)).unwrap();
    assert_eq!(kept("journal.json.part.old"), "what is left");
    assert_eq!(kept("journal.json.part.old.2"), "what is left of another");
}

#[test]
fn what_cannot_be_done_is_named_and_nobody_is_said_to_have_interrupted() {
    let probe = json!({
        "type": "probe", "name": "asks nobody", "provider": { "type": "http", "url": "nope" },
    });
    let lab = Lab::new(&experiment("true", &[probe], &[]));
    let finished = lab.run(&["--no-validation"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished
            .stderr
            .contains("warning: the run ends: activity `asks nobody` cannot be done: "),
        "{finished:?}"
    );
    assert!(!finished.stderr.contains("interrupted"), "{finished:?}");
    assert_eq!(lab.journal()["status"], "aborted");
}

#[test]
fn variables_that_cannot_be_read_stop_it_before_anything_runs() {
    let lab = Lab::new(&experiment(
        "true",
        &[shell("action", "acts", "touch acted")],
        &[],
    ));
    fs::write(lab.path().join("vars.json"), "{").unwrap();
    let finished = lab.run(&["--var-file", "vars.json"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let begin = "error: the variables of vars.json cannot be read: vars.json:1:2: ";
    assert!(finished.stderr.starts_with(begin), "{finished:?}");
    assert!(!lab.path().join("acted").exists());
}
