//! `chaosctl run` where less was done than the experiment says: it is told, and `--strict` fails.

use serde_json::json;

use crate::lab::{Lab, experiment, shell};

#[test]
fn a_rollback_that_says_no_is_told_and_is_in_the_verdict() {
    let of = experiment("true", &[], &[shell("action", "mend it", "exit 3")]);
    let lab = Lab::new(&of);
    let finished = lab.run(&["-o", "json"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let wanted =
        "warning: `mend it` did not undo what it was to: its program ended with status 3\n";
    assert!(finished.stderr.contains(wanted), "{finished:?}");
    assert!(
        finished
            .stderr
            .contains("! mend it: its program ended with status 3"),
        "{finished:?}"
    );
    let told: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(told["not_undone"][0]["activity"], "mend it");
}

#[test]
fn a_variable_that_the_configuration_has_not_is_warned_of() {
    let mut of = experiment("true", &[], &[]);
    of["configuration"] = json!({"target": "here", "port": 80});
    let finished = Lab::new(&of).run(&["--var", "targt=there", "--var", "port:int=81"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let wanted = "--var targt changes nothing: it is no name of the configuration (target, port)\n";
    assert!(finished.stderr.contains(wanted), "{finished:?}");
    assert!(!finished.stderr.contains("--var port"), "{finished:?}");
}

#[test]
fn settings_that_are_named_and_not_there_are_warned_of() {
    let lab = Lab::new(&experiment("true", &[], &[]));
    let finished = lab.run(&["--settings", "nowhere.yaml"]);
    let wanted = "warning: nowhere.yaml: there is no such file, and no settings count\n";
    assert!(finished.stderr.contains(wanted), "{finished:?}");
}

#[test]
fn strict_runs_fail_where_less_was_shown_than_it_seems() {
    let lab = Lab::new(&experiment("true", &[], &[shell("action", "r", "true")]));
    let finished = lab.run(&["--strict"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let unmet = experiment("false", &[], &[]);
    let not_undone = experiment("true", &[], &[shell("action", "r", "exit 3")]);
    let look = shell("action", "breaks it", "touch broken; sleep 0.3; rm broken");
    let mut meanwhile = experiment("test ! -e broken", &[look], &[]);
    meanwhile["runtime"] = json!({"hypothesis": {"strategy": "continuously"}});
    for (of, why) in [
        (
            unmet,
            "the method was not played: before it, probe `steady`",
        ),
        (not_undone, "`r` did not undo what it was to"),
        (meanwhile, "the hypothesis was not met while the method ran"),
    ] {
        let lab = Lab::new(&of);
        let options = ["--hypothesis-frequency", "0.05"];
        let finished = lab.run(&options);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(
            finished.stderr.contains(&format!("warning: {why}")),
            "{finished:?}"
        );
        let finished = lab.run(&[&options[..], &["--strict"]].concat());
        assert_eq!(finished.code, Some(1), "{finished:?}");
        let error = format!("error: not passed, as --strict has it: {why}");
        assert!(finished.stderr.contains(&error), "{finished:?}");
    }
}
