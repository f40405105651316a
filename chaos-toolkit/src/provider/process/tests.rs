//! Programs: how they are found and given arguments, what is had of them, and that none is left behind.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::super::Stopped;
use super::run;
use crate::variables::{Environment, Variables};

/// Long enough for any machine; reached only when something is wrong.
const DEADLINE: Duration = Duration::from_secs(30);

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

async fn outcome(provider: Value, variables: &Variables) -> Result<Value, Stopped> {
    tokio::time::timeout(DEADLINE, run(&object(&provider), variables))
        .await
        .unwrap()
}

async fn stdout(path: &str, arguments: Value) -> Value {
    outcome(
        json!({"path": path, "arguments": arguments}),
        &Variables::default(),
    )
    .await
    .unwrap()["stdout"]
        .clone()
}

#[tokio::test]
async fn status_and_what_was_printed_are_given() {
    let script = "printf out; printf err >&2; exit 3";
    let output = outcome(
        json!({"path": "sh", "arguments": ["-c", script]}),
        &Variables::default(),
    )
    .await
    .unwrap();
    assert_eq!(
        output,
        json!({"status": 3, "stdout": "out", "stderr": "err"})
    );
    let killed = outcome(
        json!({"path": "sh", "arguments": ["-c", "kill -TERM $$"]}),
        &Variables::default(),
    )
    .await;
    assert_eq!(killed.unwrap()["status"], -15);
}

#[tokio::test]
async fn arguments_are_a_list_a_mapping_or_a_line_for_the_shell() {
    let each = "printf '<%s>' \"$@\"";
    assert_eq!(
        stdout(
            "sh",
            json!([
                "-c",
                each,
                "x",
                "a b",
                1,
                1.0,
                true,
                null,
                "",
                "$HOME",
                [1, "x"]
            ])
        )
        .await,
        "<a b><1><1.0><True><$HOME><[1, 'x']>"
    );
    assert_eq!(
        stdout(
            "printf",
            json!({"%s;": "a", "-b": 0, "": "c", "d": null, "e": false})
        )
        .await,
        "a;-b;0;c;d;e;False;"
    );
    assert_eq!(
        stdout("printf", json!("'%s;' a | tr a b; echo $((1+1))")).await,
        "b;2\n"
    );
    assert_eq!(stdout("echo", json!(null)).await, "\n");
    assert_eq!(stdout("echo", json!("")).await, "\n");
}

#[tokio::test]
async fn names_are_replaced_in_arguments_if_there_are_any_to_know() {
    assert_eq!(stdout("printf", json!(["%s", "$$ ${a}"])).await, "$$ ${a}");
    let configuration = object(&json!({"a": ["%s;", "x", 5]}));
    let variables = Variables::new(configuration, Map::new());
    let output = outcome(json!({"path": "printf", "arguments": "${a}"}), &variables)
        .await
        .unwrap();
    assert_eq!(output["stdout"], "x;5;");
    let output = outcome(
        json!({"path": "printf", "arguments": ["%s", "$$ $b"]}),
        &variables,
    )
    .await
    .unwrap();
    assert_eq!(output["stdout"], "$ $b");
}

#[tokio::test]
async fn the_environment_has_what_files_of_variables_add() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("own-program");
    std::fs::write(&program, "#!/bin/sh\nprintf \"$GIVEN in $HOME\"\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/bin:/usr/bin", directory.path().display());
    let home = directory.path().to_str().unwrap();
    let added = [("PATH", path.as_str()), ("GIVEN", "here"), ("HOME", home)];
    let added: BTreeMap<_, _> = added
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let variables = Variables {
        environment: Environment::with(added),
        ..Variables::default()
    };
    for path in ["own-program", "~/own-program", program.to_str().unwrap()] {
        let output = outcome(json!({"path": path}), &variables).await.unwrap();
        assert_eq!(output["stdout"], format!("here in {home}"), "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_started_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("broken");
    std::fs::write(&broken, "#!/nowhere/at-all\n").unwrap();
    std::fs::set_permissions(&broken, std::fs::Permissions::from_mode(0o755)).unwrap();
    let broken = broken.to_str().unwrap();
    for (provider, expected) in [
        (
            json!({"path": "no-such-program"}),
            "there is no program `no-such-program`, neither as a path nor in PATH",
        ),
        (
            json!({"path": "true", "arguments": 5}),
            "a process takes its arguments as a list, a mapping or a text, not a number",
        ),
        (
            json!({"path": "true", "timeout": "5"}),
            "a timeout must be a number of seconds, not 5",
        ),
        (json!({}), "the provider has no `path`"),
    ] {
        let error = outcome(provider, &Variables::default()).await.unwrap_err();
        assert_eq!(error, Stopped::Crashed(expected.to_owned()));
    }
    let error = outcome(json!({"path": broken}), &Variables::default())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("{broken} cannot be started: ")),
        "{error}"
    );
    // The shell says so itself.
    let output = outcome(
        json!({"path": "no-such-program", "arguments": "x"}),
        &Variables::default(),
    )
    .await
    .unwrap();
    assert_eq!(output["status"], 127);
}

/// Whether this process is gone: no entry, or one that nobody has waited for.
fn gone(id: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

async fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "this never came about");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A shell that writes the numbers of itself and of what it started, and then waits.
fn lasting(directory: &tempfile::TempDir) -> (Value, impl Fn() -> Option<Vec<String>>) {
    let file = directory.path().join("ids");
    let script = format!("sleep 1000 & echo $$ $! done > {}; wait", file.display());
    let ids = move || {
        let ids: Vec<String> = std::fs::read_to_string(&file)
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        ids.last()
            .is_some_and(|last| last == "done")
            .then(|| ids[..2].to_vec())
    };
    (json!({"path": "sh", "arguments": ["-c", script]}), ids)
}

#[tokio::test]
async fn one_that_takes_too_long_is_killed_with_what_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let (mut provider, ids) = lasting(&directory);
    // Long enough to start a shell.
    provider["timeout"] = json!(2);
    let error = outcome(provider, &Variables::default()).await.unwrap_err();
    let Stopped::Failed(failed) = error else {
        panic!("{error:?}")
    };
    assert_eq!(failed.message, "process activity took too long to complete");
    assert_eq!(
        failed.trace,
        ["chaoslib.exceptions.ActivityFailed: process activity took too long to complete\n"]
    );
    let ids = ids().unwrap();
    until(|| ids.iter().all(|id| gone(id))).await;
}

#[tokio::test]
async fn one_that_is_given_up_is_killed_with_what_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let (provider, ids) = lasting(&directory);
    let (provider, variables) = (object(&provider), Variables::default());
    {
        let running = run(&provider, &variables);
        tokio::select! {
            output = running => panic!("{output:?}"),
            () = until(|| ids().is_some()) => {}
        }
    }
    let ids = ids().unwrap();
    until(|| ids.iter().all(|id| gone(id))).await;
}

#[tokio::test]
async fn much_on_both_pipes_does_not_stand_still() {
    let script =
        "head -c 300000 /dev/zero | tr '\\0' a; head -c 300000 /dev/zero | tr '\\0' b >&2; cat";
    let output = outcome(
        json!({"path": "sh", "arguments": ["-c", script]}),
        &Variables::default(),
    )
    .await
    .unwrap();
    assert_eq!(output["stdout"].as_str().unwrap().len(), 300_000);
    assert_eq!(output["stderr"].as_str().unwrap().len(), 300_000);
}
