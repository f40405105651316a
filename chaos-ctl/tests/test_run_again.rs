//! `chaosctl run --every|--cron --max-runs --junit`: how often it runs, what it leaves, and what ends it.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use quick_junit::{NonSuccessKind, Report, TestCaseStatus, TestSuite};
use serde_json::{Value, json};

use crate::lab::{Lab, experiment, shell};

/// The second of several runs deviates, and is rolled back.
fn lab() -> Lab {
    let script = "echo >> runs; if test $(wc -l < runs) = 2; then touch broken; fi";
    Lab::new(&experiment(
        "test ! -e broken",
        &[shell("action", "shake <it>", script)],
        &[shell("action", "mend it", "rm -f broken")],
    ))
}

fn junit(lab: &Lab) -> Vec<TestSuite> {
    let text = fs::read_to_string(lab.path().join("junit.xml")).unwrap();
    Report::deserialize_from_str(&text).unwrap().test_suites
}

/// The names of the cases that did not succeed, with how.
fn failures(suite: &TestSuite) -> Vec<(&str, NonSuccessKind)> {
    let cases = suite.test_cases.iter();
    cases
        .filter_map(|case| match &case.status {
            TestCaseStatus::NonSuccess { kind, .. } => Some((case.name.as_str(), *kind)),
            TestCaseStatus::Success { .. } | TestCaseStatus::Skipped { .. } => None,
        })
        .collect()
}

#[test]
fn so_many_runs_each_with_a_journal_a_verdict_and_a_suite() {
    let lab = lab();
    // Each takes longer than that.
    let options = [
        "--every",
        "1ms",
        "--max-runs",
        "3",
        "--junit",
        "junit.xml",
        "-o",
        "json",
    ];
    let finished = lab.run(&options);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished
            .stderr
            .ends_with("error: 1 of 3 runs did not go well\n"),
        "{finished:?}"
    );
    let journals = lab.journals();
    let deviated: Vec<_> = journals
        .iter()
        .map(|journal| &journal["deviated"])
        .collect();
    assert_eq!(deviated, [false, true, false]);
    for two in journals.windows(2) {
        // Times of one form and zone are in the order of their texts.
        let [end, start] = [&two[0]["end"], &two[1]["start"]].map(|time| time.as_str().unwrap());
        assert!(end <= start, "they overlap: {end} {start}");
    }
    let verdicts: Vec<Value> = serde_json::Deserializer::from_str(&finished.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let came: Vec<_> = verdicts.iter().map(|told| &told["verdict"]).collect();
    assert_eq!(came, ["passed", "deviated", "passed"]);
    for (told, journal) in verdicts.iter().zip(&journals) {
        let file = told["journal"].as_str().unwrap();
        let text = fs::read_to_string(lab.path().join(file)).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), *journal);
        // `journal-20260102T030405Z.json`, and a number where that is taken.
        let start = journal["start"].as_str().unwrap()[..19].replace(['-', ':'], "");
        let [day, hour] = [&start[..11], &start[11..13]];
        assert!(
            file.starts_with(&format!("./journal-{day}{hour}")),
            "{file} {start}"
        );
        assert!(
            file[22..].contains('Z') && Path::new(file).extension() == Some("json".as_ref()),
            "{file}"
        );
    }
    assert!(!lab.path().join("journal.json").exists());
    let suites = junit(&lab);
    assert_eq!(suites.len(), 3);
    for suite in &suites {
        assert_eq!(suite.name.as_str(), "Does it hold?");
        let names: Vec<_> = suite
            .test_cases
            .iter()
            .map(|case| case.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "hypothesis before the method",
                "shake <it>",
                "hypothesis after the method",
                "mend it",
            ]
        );
    }
    assert_eq!(failures(&suites[0]), []);
    assert_eq!(
        failures(&suites[1]),
        [("hypothesis after the method", NonSuccessKind::Failure)]
    );
    assert_eq!(failures(&suites[2]), []);
}

#[test]
fn runs_within_a_second_do_not_write_over_each_other() {
    let lab = Lab::new(&experiment("true", &[], &[]));
    let options = [
        "--every",
        "1ms",
        "--max-runs",
        "12",
        "--journal-path",
        "journal-of-runs",
    ];
    assert_eq!(lab.run(&options).code, Some(0));
    let files = lab.files("journal-of-runs-");
    assert_eq!(files.len(), 12, "{files:?}");
    assert!(
        files.iter().all(|file| file.extension().is_none()),
        "{files:?}"
    );
}

#[test]
fn a_signal_between_two_runs_is_the_end_and_no_failure() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let lab = lab();
        let mut running = lab.start(&["--every", "1h", "--junit", "junit.xml"]);
        running.wait_for("next run at ");
        running.signal(signal);
        let finished = running.wait();
        assert_eq!(finished.code, Some(0), "{signal} {finished:?}");
        assert_eq!(lab.journals().len(), 1, "{signal}");
        assert_eq!(junit(&lab).len(), 1, "{signal}");
    }
}

#[test]
fn a_crontab_says_when_and_not_before() {
    let lab = lab();
    let mut running = lab.start(&["--cron", "0 0 1 1 * UTC", "--max-runs", "2"]);
    running.wait_for("next run at ");
    running.signal(Signal::SIGINT);
    let finished = running.wait();
    // What has never run has not gone well.
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished.stderr.contains("-01-01T00:00:00Z\n"),
        "{finished:?}"
    );
    assert!(
        finished
            .stderr
            .ends_with("error: interrupted before the first run: nothing ran\n"),
        "{finished:?}"
    );
    assert!(!lab.path().join("runs").exists());
    assert_eq!(lab.files("journal"), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn a_signal_in_a_run_ends_it_and_those_that_would_follow() {
    let lab = Lab::new(&experiment(
        "true",
        &[shell("action", "a", "touch began; sleep 1000")],
        &[],
    ));
    let running = lab.start(&["--every", "1ms", "--junit", "junit.xml"]);
    lab.wait_for("began");
    running.signal(Signal::SIGINT);
    let finished = running.wait();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let journals = lab.journals();
    assert_eq!(journals.len(), 1);
    assert_eq!(journals[0]["status"], "interrupted");
    let suites = junit(&lab);
    assert_eq!(
        failures(&suites[0]),
        [
            ("a", NonSuccessKind::Error),
            ("the run comes to its end", NonSuccessKind::Error),
        ]
    );
}

#[test]
fn an_interruption_while_it_is_loaded_is_not_lost() {
    let mut of = experiment("true", &[shell("action", "a", "touch ran")], &[]);
    let mut slow = shell("probe", "what it is about", "touch began; sleep 1000");
    of["configuration"] = json!({"about": {
        "type": "probe", "provider": slow["provider"].take(),
    }});
    for again in [&[][..], &["--every", "1ms"]] {
        let lab = Lab::new(&of);
        let running = lab.start(again);
        lab.wait_for("began");
        running.signal(Signal::SIGINT);
        let finished = running.wait();
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert_eq!(
            finished.stderr,
            "error: interrupted while the experiment was loaded: nothing ran\n"
        );
        assert_eq!(lab.files("journal"), [""; 0].map(std::path::PathBuf::from));
    }
}

#[test]
fn one_run_has_its_suite_too_or_says_why_not() {
    let lab = lab();
    assert_eq!(lab.run(&["--junit", "junit.xml"]).code, Some(0));
    assert_eq!(junit(&lab).len(), 1);
    let finished = lab.run(&["--junit", "nowhere/junit.xml"]);
    assert_eq!(finished.code, Some(1));
    assert!(
        finished
            .stderr
            .contains("error: cannot write nowhere/junit.xml: "),
        "{finished:?}"
    );
}

#[test]
fn times_that_are_none_are_refused_in_a_sentence() {
    let lab = lab();
    for (options, said) in [
        (&["--every", "soon"][..], "duration `soon`"),
        (&["--every", "0s"], "duration `0s`"),
        (&["--cron", "5m"], "`5m` is not a crontab expression"),
        (
            &["--cron", "61 * * * *"],
            "`61 * * * *` is not a crontab expression",
        ),
        (&["--cron", ""], "`` is not a crontab expression"),
        (
            &["--every", "1s", "--max-runs", "0"],
            "`0` is no number of runs",
        ),
        (
            &["--every", "1s", "--max-runs", "many"],
            "`many` is no number of runs",
        ),
        (&["--every", "1s", "--cron", "* * * * *"], "--cron"),
        (&["--cron", "0 0 30 2 *"], "no time is ever as --cron says"),
        (
            &["--max-runs", "2"],
            "--max-runs goes with --every or --cron",
        ),
    ] {
        let finished = lab.run(options);
        assert_eq!(finished.code, Some(2), "{options:?} {finished:?}");
        assert!(finished.stderr.contains(said), "{options:?} {finished:?}");
        assert_eq!(finished.stdout, "");
    }
    assert!(!lab.path().join("runs").exists());
}

#[test]
fn a_file_that_is_broken_for_a_while_ends_nothing() {
    let away = "echo >> runs; if test $(wc -l < runs) = 1; then mv experiment.json away; fi";
    let lab = Lab::new(&experiment("true", &[shell("action", "a", away)], &[]));
    let options = ["--every", "100ms", "--junit", "junit.xml", "--max-runs"];
    let mut running = lab.start(&[&options[..], &["1000"]].concat());
    // The second finds no file, and one of those after it finds it again.
    running.wait_for("error: ");
    fs::rename(lab.path().join("away"), lab.path().join("experiment.json")).unwrap();
    let whole = || {
        let files = lab.files("journal-");
        files
            .iter()
            .filter(|file| file.extension().is_some_and(|end| end == "json"))
            .count()
    };
    lab.wait_until(|| whole() > 1);
    running.signal(Signal::SIGINT);
    let finished = running.wait();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("experiment.json"), "{finished:?}");
    let suites = junit(&lab);
    let lost = suites
        .iter()
        .find(|suite| suite.name.as_str() == "experiment.json");
    assert_eq!(
        failures(lost.unwrap()),
        [("the run comes to its end", NonSuccessKind::Error)]
    );
    // One that was never there is not waited for.
    let finished = lab.run_of("nowhere.json", &["--every", "1ms"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
}

#[test]
fn a_terminal_that_is_closed_interrupts_and_what_was_done_is_undone() {
    let mut act = shell("action", "a", "touch began; sleep 1000");
    act["undo"] = shell("action", "u", "touch undoing; sleep 0.5; touch undone");
    act["undo"].as_object_mut().unwrap().remove("type");
    act["undo"].as_object_mut().unwrap().remove("name");
    let lab = Lab::new(&experiment("true", &[act], &[]));
    let running = lab.start(&[]);
    lab.wait_for("began");
    running.signal(Signal::SIGHUP);
    // First the shell that goes says so, and then the kernel.
    lab.wait_for("undoing");
    running.signal(Signal::SIGHUP);
    let finished = running.wait();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(lab.journal()["status"], "interrupted");
    assert!(lab.path().join("undone").exists(), "{finished:?}");
}

/// As after nohup(1).
#[test]
fn a_terminal_that_is_closed_does_nothing_where_that_is_ignored() {
    let script = "touch began; while test ! -e go; do sleep 0.01; done";
    let lab = Lab::new(&experiment("true", &[shell("action", "a", script)], &[]));
    let mut nohup = std::process::Command::new("nohup");
    let command = lab.command(&[]);
    nohup.arg(command.get_program()).args(command.get_args());
    nohup.current_dir(lab.path()).env("HOME", lab.path());
    let running = crate::chaosctl::Running::start(&mut nohup);
    lab.wait_for("began");
    running.signal(Signal::SIGHUP);
    fs::write(lab.path().join("go"), "").unwrap();
    let finished = running.wait();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(lab.journal()["status"], "completed");
}

#[test]
fn where_the_file_for_ci_cannot_be_written_nothing_runs() {
    let lab = lab();
    let finished = lab.run(&["--junit", "no/such/junit.xml"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished
            .stderr
            .starts_with("error: cannot write no/such/junit.xml: "),
        "{finished:?}"
    );
    assert!(!lab.path().join("runs").exists());
}

#[test]
fn the_file_for_ci_is_never_that_of_an_earlier_command() {
    let lab = lab();
    fs::write(lab.path().join("junit.xml"), "from before").unwrap();
    fs::write(lab.path().join("experiment.json"), "{").unwrap();
    assert_eq!(lab.run(&["--junit", "junit.xml"]).code, Some(1));
    assert!(junit(&lab).is_empty());
    assert_eq!(lab.files("junit.xml").len(), 1, "nothing is left beside it");
}
