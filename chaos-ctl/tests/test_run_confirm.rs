//! `chaosctl run --confirm` where standard input is no terminal: answers are lines.

use serde_json::json;

use crate::chaosctl::Finished;
use crate::lab::{Lab, experiment, shell, statuses};

const NOTHING: [&str; 0] = [];

/// Three actions of the method, one rollback, each of which leaves a file.
fn lab() -> Lab {
    let [a, b, c, r] =
        ["a", "b", "c", "r"].map(|name| shell("action", name, &format!("touch {name}")));
    Lab::new(&experiment("true", &[a, b, c], &[r]))
}

/// How often it was asked about something.
fn questions(finished: &Finished, about: &str) -> usize {
    let question = format!("warning: {about}: [y]es, [s]kip or [a]bort?\n");
    finished.stderr.matches(&question).count()
}

#[test]
fn each_activity_is_asked_about_until_the_answer_is_one() {
    let lab = lab();
    let finished = lab.answered("y\nstop\n\n  skip\nYES\ny\n", &["--confirm"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for (about, times) in [
        ("method: action `a`", 1),
        ("method: action `b`", 3),
        ("method: action `c`", 1),
        ("rollbacks: action `r`", 1),
    ] {
        assert_eq!(questions(&finished, about), times, "{about} {finished:?}");
    }
    // Of the hypothesis nobody is asked.
    assert_eq!(finished.stderr.matches("[a]bort?").count(), 6);
    let journal = lab.journal();
    assert_eq!(journal["status"], "completed");
    assert_eq!(
        statuses(&journal, "run"),
        ["succeeded", "skipped", "succeeded"]
    );
    assert_eq!(journal["run"][1]["activity"]["name"], "b");
    assert_eq!(statuses(&journal, "rollbacks"), ["succeeded"]);
    let ran = ["a", "b", "c", "r"].map(|name| lab.path().join(name).exists());
    assert_eq!(ran, [true, false, true, true]);
}

#[test]
fn an_abort_ends_the_method_and_asks_about_the_rollbacks() {
    let lab = lab();
    let finished = lab.answered("y\na\ny\n", &["--confirm", "-o", "json"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished
            .stderr
            .contains("error: aborted: somebody who was asked said no"),
        "{finished:?}"
    );
    assert_eq!(finished.json()["verdict"], "aborted");
    let journal = lab.journal();
    assert_eq!(journal["status"], "aborted");
    assert_eq!(statuses(&journal, "run"), ["succeeded"]);
    assert_eq!(statuses(&journal, "rollbacks"), ["succeeded"]);
    assert_eq!(journal["steady_states"]["after"], json!(null));
    assert_eq!(questions(&finished, "rollbacks: action `r`"), 1);
}

#[test]
fn an_abort_of_the_rollbacks_is_one_too() {
    let lab = lab();
    let finished = lab.answered("y\ny\ny\na\n", &["--confirm"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let journal = lab.journal();
    assert_eq!(journal["status"], "aborted");
    assert_eq!(statuses(&journal, "run").len(), 3);
    assert_eq!(statuses(&journal, "rollbacks"), NOTHING);
    assert!(!lab.path().join("r").exists());
}

#[test]
fn where_nobody_answers_any_more_it_is_aborted_and_rolled_back() {
    for (answers, ran) in [("", 0), ("y\n", 1), ("y\nwhat?\n", 1)] {
        let lab = lab();
        let finished = lab.answered(answers, &["--confirm"]);
        assert_eq!(finished.code, Some(1), "{answers:?} {finished:?}");
        let journal = lab.journal();
        assert_eq!(journal["status"], "aborted", "{answers:?}");
        assert_eq!(statuses(&journal, "run").len(), ran, "{answers:?}");
        assert_eq!(
            statuses(&journal, "rollbacks"),
            ["succeeded"],
            "{answers:?}"
        );
    }
}

#[test]
fn lines_that_one_run_has_not_read_answer_the_next() {
    let lab = Lab::new(&experiment("true", &[shell("action", "a", "true")], &[]));
    let again = ["--confirm", "--every", "1ms", "--max-runs", "2"];
    let finished = lab.answered("y\ns\n", &again);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let came: Vec<_> = lab
        .journals()
        .iter()
        .map(|journal| statuses(journal, "run"))
        .collect();
    assert_eq!(came, [["succeeded"], ["skipped"]]);
}
