//! What is on disk while a run goes on, and when it is over.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::fake::{Stage, action, experiment, fault, hypothesis, runs};
use crate::journal::{part_path, recover};
use crate::run::{RunError, Signal};

fn at(path: &Path, method: Value) -> Stage {
    let of = experiment(hypothesis(json!({"gives": true})), method, json!([]));
    Stage::new(of).change(|setup| setup.journal = Some(path.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_gone_can_be_recovered_at_any_moment() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("journal.json");
    let method = || {
        json!([
            fault("f", 5.0),
            action("a", json!({"takes": 10})),
            action("b", json!({"takes": 10}))
        ])
    };
    for (seconds, expected) in [
        (1, vec!["f succeeded", "a -"]),
        (7, vec!["f succeeded", "a -"]),
        (12, vec!["f succeeded", "a succeeded", "b -"]),
    ] {
        let run = at(&path, method()).run();
        let gone = tokio::time::timeout(Duration::from_secs(seconds), run).await;
        assert!(gone.is_err());
        let journal = Value::Object(recover(&path).unwrap());
        assert_eq!(runs(&journal, "run"), expected, "{seconds}");
        assert_eq!(journal["status"], "interrupted");
        assert_eq!(journal["steady_states"]["before"]["steady_state_met"], true);
        // The fault that had ended by then says what it hit.
        assert_eq!(journal["run"][0].get("chaos").is_some(), seconds > 5);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_recovered_is_what_would_have_been_written() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("journal.json");
    let method = json!([
        action("a", json!({"gives": [1, 2]})),
        action("b", json!({"fails": "no"}))
    ]);
    let stage = at(&path, method).signal_after(1.0, Signal::User1);
    // Keeps the part from being removed.
    let part = part_path(&path);
    let kept = directory.path().join("kept");
    fs::write(&part, "").unwrap();
    fs::hard_link(&part, &kept).unwrap();
    let journal = stage.run().await;
    assert!(!part.exists());
    fs::rename(&kept, &part).unwrap();
    let mut recovered = Value::Object(recover(&path).unwrap());
    for key in ["status", "end", "duration"] {
        recovered[key] = journal[key].clone();
    }
    assert_eq!(recovered, journal);
}

#[tokio::test(start_paused = true)]
async fn a_device_gets_the_journal_and_no_part() {
    let journal = at(Path::new("/dev/null"), json!([])).run().await;
    assert_eq!(journal["status"], "completed");
    assert!(!Path::new("/dev/null.part").exists());
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_written_nothing_runs() {
    let directory = TempDir::new().unwrap();
    let stage = at(&directory.path().join("no/journal.json"), json!([]));
    let log = stage.log.clone();
    assert!(matches!(stage.try_run().await, Err(RunError::Part(_))));
    assert!(log.lines().is_empty());
}
