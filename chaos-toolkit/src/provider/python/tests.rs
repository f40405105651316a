//! Against a real Python; what needs chaoslib, against the reference's own.

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::timeout;

use super::world::{PATIENCE, World, appears, reference, says};
use super::*;

impl World {
    async fn call(&self, func: &str, arguments: Value) -> Result<Value, Stopped> {
        self.call_in(Thread::Main, func, arguments).await
    }

    async fn call_in(
        &self,
        thread: Thread,
        func: &str,
        arguments: Value,
    ) -> Result<Value, Stopped> {
        let (activity, variables) = (activity(func, arguments), Variables::default());
        let called = self.python.call(&activity, &variables, thread);
        timeout(PATIENCE, called).await.expect("in time")
    }

    /// What is wrong with an activity, in words.
    async fn check(&self, activity: Value) -> Vec<(Option<&'static str>, String)> {
        let flaws = timeout(PATIENCE, self.python.check(activity.as_object().unwrap()))
            .await
            .expect("in time");
        flaws
            .err()
            .into_iter()
            .flatten()
            .map(|flaw| {
                let keys = ["module", "func", "arguments"].into_iter();
                let known = |key: String| {
                    keys.clone()
                        .find(|known| *known == key)
                        .expect("a key of a provider")
                };
                (flaw.key.map(known), flaw.what)
            })
            .collect()
    }

    /// Calls until the file that the function makes is there, then no more.
    async fn call_and_drop(&self, thread: Thread, func: &str, name: &str) {
        let activity = activity(func, json!({"name": name}));
        let (variables, path) = (Variables::default(), self.path(name));
        tokio::select! {
            result = self.python.call(&activity, &variables, thread) => panic!("{func} came back: {result:?}"),
            () = appears(&path) => {}
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "reads as the file does")]
fn activity(func: &str, arguments: Value) -> Map<String, Value> {
    let provider =
        json!({"type": "python", "module": "user", "func": func, "arguments": arguments});
    Map::from_iter([
        ("type".into(), "probe".into()),
        ("name".into(), func.into()),
        ("provider".into(), provider),
    ])
}

fn failed(result: Result<Value, Stopped>) -> ActivityFailed {
    match result {
        Err(Stopped::Failed(failed)) => failed,
        other => panic!("has not failed: {other:?}"),
    }
}

fn crashed(result: Result<Value, Stopped>) -> String {
    match result {
        Err(Stopped::Crashed(why)) => why,
        other => panic!("has not crashed: {other:?}"),
    }
}

#[tokio::test]
async fn renames_the_files_of_the_book_without_chaoslib() {
    let world = World::new();
    fs::write(world.path("from"), "").unwrap();
    let provider = json!({"type": "python", "module": "os", "func": "rename",
        "arguments": {"src": world.path("from"), "dst": world.path("to")}});
    let activity = Map::from_iter([("provider".into(), provider)]);
    let none = Variables::default();
    assert_eq!(
        world.python.call(&activity, &none, Thread::Main).await,
        Ok(Value::Null)
    );
    assert!(world.path("to").exists());
    let again = failed(world.python.call(&activity, &none, Thread::Main).await);
    assert!(
        again
            .message
            .starts_with("FileNotFoundError: [Errno 2] No such file or directory: "),
        "{again}"
    );
}

#[tokio::test]
async fn starts_no_python_before_it_is_asked() {
    let python = Python::new("/nowhere/python3".into());
    python.close().await;
    python.leave_background().await;
    let error = failed(
        python
            .call(
                &activity("give", json!({"value": 1})),
                &Variables::default(),
                Thread::Main,
            )
            .await,
    );
    assert!(
        error.message.contains("`/nowhere/python3`") && error.message.contains("No such file"),
        "{error}"
    );
}

#[tokio::test]
async fn says_that_a_program_is_no_python() {
    let python = Python::new("false".into());
    let error = failed(
        python
            .call(
                &activity("give", json!({})),
                &Variables::default(),
                Thread::Main,
            )
            .await,
    );
    assert!(
        error
            .message
            .contains("`false` is of no use: Python ended (exit status: 1)"),
        "{error}"
    );
}

#[tokio::test]
async fn gives_what_the_function_gives() {
    let world = World::new();
    for value in [
        json!(null),
        json!([1, 2.5, true, "ä\u{1f600}\n\u{0}"]),
        json!({"b": 1, "a": {"c": []}}),
    ] {
        assert_eq!(world.call("give", json!({"value": value})).await, Ok(value));
    }
    let big = world
        .call("big", json!({"count": 10_000_000}))
        .await
        .unwrap();
    assert_eq!(big.as_str().unwrap().len(), 20_000_000);
    assert_eq!(
        world.call("stars", json!({"x": 1})).await,
        Ok(json!({"x": 1}))
    );
}

#[tokio::test]
async fn writes_values_as_the_reference_writes_its_journal() {
    let world = World::new();
    let odd = world.call("odd", json!({})).await.unwrap();
    assert_eq!(
        odd,
        json!({"date": "2026-01-02", "time": "2026-01-02T03:04:05.000006", "decimal": "1.50",
            "id": "00000000-0000-0000-0000-000000000001", "pair": [1, 2], "3": "three", "null": null, "true": 1})
    );
    let lossy = world.call("lossy", json!({})).await.unwrap();
    let expected = json!(["{1}", "bytes", "nan", "inf", {"(1, 2)": 3}, "ValueError('x')", "?", "<class 'object'>"]);
    assert_eq!(lossy, expected);
    assert_eq!(world.call("around", json!({})).await, Ok(json!(["..."])));
    let deep = failed(world.call("deep", json!({"depth": 500})).await);
    assert!(deep.message.contains("recursion limit"), "{deep}");
    assert_eq!(
        world.call("deep", json!({"depth": 3})).await,
        Ok(json!([[[null]]]))
    );
}

#[tokio::test]
async fn gives_configuration_and_secrets_to_who_asks_for_them() {
    let world = World::new();
    let variables = Variables::new(
        json!({"name": "value"}).as_object().unwrap().clone(),
        json!({"one": {"a": 1, "b": 1}, "two": {"b": 2}, "three": {"c": 3}})
            .as_object()
            .unwrap()
            .clone(),
    );
    let mut asking = activity("told", json!({}));
    asking["provider"]["secrets"] = json!(["one", "two", "none"]);
    let told = world.python.call(&asking, &variables, Thread::Main).await;
    assert_eq!(told, Ok(json!([{"name": "value"}, {"a": 1, "b": 2}])));
    let substituted = activity("give", json!({"value": "${name}"}));
    assert_eq!(
        world
            .python
            .call(&substituted, &variables, Thread::Main)
            .await,
        Ok(json!("value"))
    );
    assert_eq!(
        world.call("give", json!({"value": "${name}"})).await,
        Ok(json!("${name}"))
    );
}

#[tokio::test]
async fn runs_where_the_run_is_with_what_files_of_variables_add() {
    let world = World::new();
    let variables = Variables {
        environment: Environment::with(BTreeMap::from([("GIVEN".into(), "by a file".into())])),
        ..Variables::default()
    };
    let here = std::env::current_dir().unwrap();
    let found = world
        .python
        .call(&activity("where", json!({})), &variables, Thread::Main)
        .await;
    assert_eq!(found, Ok(json!([here, "by a file", ""])));
    // As for a program: not the current folder, but PYTHONPATH.
    let paths = world.call("paths", json!({})).await.unwrap();
    assert!(!paths.as_array().unwrap().contains(&json!("")), "{paths}");
    assert_eq!(paths[1], json!(world.folder.path()));
}

#[tokio::test]
async fn hears_nothing_of_what_user_code_prints() {
    let world = World::new();
    assert_eq!(world.call("loud", json!({})).await, Ok(json!("back\n")));
}

#[tokio::test]
async fn fails_as_the_reference_says_it() {
    let world = World::new();
    let boom = failed(world.call("boom", json!({})).await);
    assert_eq!(boom.message, "ValueError: bäh \u{1f4a5}\nzwei");
    assert_eq!(
        boom.trace.last().unwrap(),
        "chaoslib.exceptions.ActivityFailed: ValueError: bäh \u{1f4a5}\nzwei\n"
    );
    let need = failed(world.call("need", json!({})).await);
    assert_eq!(
        need.message,
        "TypeError: need() missing 1 required positional argument: 'a'"
    );
    let list = failed(world.call("need", json!([])).await);
    assert!(
        list.message
            .contains("argument after ** must be a mapping, not list"),
        "{list}"
    );
}

#[tokio::test]
async fn crashes_where_the_reference_does() {
    let world = World::new();
    let none = crashed(world.call("nothing", json!({})).await);
    assert_eq!(
        none,
        "AttributeError: module 'user' has no attribute 'nothing'"
    );
    let mut nowhere = activity("give", json!({}));
    nowhere["provider"]["module"] = "nowhere".into();
    let none = Variables::default();
    let nowhere = crashed(world.python.call(&nowhere, &none, Thread::Main).await);
    assert_eq!(nowhere, "ModuleNotFoundError: No module named 'nowhere'");
    assert!(crashed(world.call("number", json!({})).await).contains("is not a callable object"));
    crashed(world.call("give", json!("text")).await);
}

#[tokio::test]
async fn leaves_the_run_when_python_code_leaves() {
    let world = World::new();
    for (code, rollbacks) in [
        (json!(4), true),
        (json!(null), true),
        (json!("why"), true),
        (json!(30), false),
    ] {
        match world.call("sys_exit", json!({"code": code})).await {
            Err(Stopped::Exited { rollbacks: may, .. }) => assert_eq!(may, rollbacks, "{code}"),
            other => panic!("{code}: {other:?}"),
        }
    }
    for (signal, rollbacks) in [("SIGUSR1", true), ("SIGUSR2", false), ("SIGINT", true)] {
        match world.call("kill_self", json!({"name": signal})).await {
            Err(Stopped::Exited { rollbacks: may, .. }) => assert_eq!(may, rollbacks, "{signal}"),
            other => panic!("{signal}: {other:?}"),
        }
    }
    // The reference makes an exception of this one, and of that a failure of the activity.
    let term = failed(world.call("kill_self", json!({"name": "SIGTERM"})).await);
    assert_eq!(
        term.message,
        "chaoslib.exceptions.InterruptExecution: SIGTERM signal received"
    );
}

#[tokio::test]
async fn forwards_signals_that_code_in_the_background_sends() {
    let mut world = World::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = heard.clone();
    world.python = world
        .python
        .on_signal(move |signal| hear.lock().unwrap().push(signal));
    for (name, signal) in [
        ("SIGUSR1", Signal::SIGUSR1),
        ("SIGUSR2", Signal::SIGUSR2),
        ("SIGINT", Signal::SIGINT),
    ] {
        let went_on = world
            .call_in(Thread::Background, "kill_self", json!({"name": name}))
            .await;
        assert_eq!(went_on, Ok(json!("went on")));
        let start = Instant::now();
        while heard.lock().unwrap().last() != Some(&signal) {
            assert!(start.elapsed() < PATIENCE, "{name} is not heard");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(heard.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn keeps_children_of_user_code_out_of_the_run() {
    let world = World::new();
    assert_eq!(
        world.call("fork", json!({})).await,
        Ok(json!([0, "parent"]))
    );
    assert_eq!(world.call("give", json!({"value": 1})).await, Ok(json!(1)));
    // One that outlives Python has no end of the socket: that Python is gone is seen at once.
    let child = world.call("fork_and_stay", json!({})).await.unwrap();
    let child = i32::try_from(child.as_i64().unwrap()).unwrap();
    let gone = failed(world.call("die", json!({"code": 3})).await);
    kill(Pid::from_raw(child), Signal::SIGKILL).unwrap();
    assert_eq!(
        gone.message,
        "`user.die` did not come to its end: Python ended (exit status: 3)"
    );
}

#[tokio::test]
async fn starts_another_python_when_one_is_gone() {
    let world = World::new();
    let first = world.call("pid", json!({})).await.unwrap();
    let other = world.call_in(Thread::Background, "hang", json!({"name": "hangs"}));
    let gone = async {
        appears(&world.path("hangs")).await;
        failed(world.call("die", json!({"code": 3})).await)
    };
    let (other, gone) = tokio::join!(other, gone);
    assert_eq!(
        gone.message,
        "`user.die` did not come to its end: Python ended (exit status: 3)"
    );
    assert_eq!(
        failed(other).message,
        "`user.hang` did not come to its end: Python ended (exit status: 3)"
    );
    let killed = failed(world.call("kill_self", json!({"name": "SIGKILL"})).await);
    assert!(
        killed
            .message
            .ends_with("Python ended (signal: 9 (SIGKILL))"),
        "{killed}"
    );
    assert_ne!(world.call("pid", json!({})).await.unwrap(), first);
}

#[tokio::test]
async fn interrupts_what_nobody_waits_for() {
    let world = World::new();
    let first = world.call("pid", json!({})).await;
    for (thread, func, name, heard) in [
        (Thread::Main, "hang", "a", "KeyboardInterrupt"),
        (Thread::Main, "busy", "b", "KeyboardInterrupt"),
        (Thread::Background, "busy", "c", "ExperimentExitedException"),
    ] {
        world.call_and_drop(thread, func, name).await;
        says(&world.path("heard"), heard).await;
        assert_eq!(
            world.call("thread", json!({})).await,
            Ok(json!(true)),
            "the main thread is free"
        );
        assert_eq!(
            world.call("pid", json!({})).await,
            first,
            "it is the same Python"
        );
        let _ = fs::remove_file(world.path("heard"));
    }
    timeout(PATIENCE, world.python.close())
        .await
        .expect("in time");
}

#[tokio::test]
async fn does_not_start_what_is_dropped_before_its_turn() {
    let world = World::new();
    let holding = world.call("wait", json!({"name": "go"}));
    let queued = async {
        let activity = activity("touch", json!({"name": "touched"}));
        let none = Variables::default();
        let called = world.python.call(&activity, &none, Thread::Main);
        tokio::select! {
            result = called => panic!("came back: {result:?}"),
            other = world.call_in(Thread::Background, "give", json!({"value": 1})) => other.unwrap(),
        };
        fs::write(world.path("go"), "").unwrap();
    };
    let (held, ()) = tokio::join!(holding, queued);
    assert_eq!(held, Ok(Value::Null));
    world.call("give", json!({"value": 1})).await.unwrap();
    assert!(!world.path("touched").exists());
}

#[tokio::test]
async fn kills_what_does_not_hear() {
    let world = World::new();
    let first = world.call("pid", json!({})).await.unwrap();
    world.call_and_drop(Thread::Main, "stubborn", "a").await;
    let second = loop {
        // The one that is killed may be asked once more.
        match world.call("pid", json!({})).await {
            Ok(pid) => break pid,
            Err(Stopped::Failed(failed)) => {
                assert!(failed.message.contains("Python was killed"), "{failed}");
            }
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_ne!(first, second);
    world.call_and_drop(Thread::Main, "stubborn", "b").await;
    timeout(PATIENCE, world.python.close())
        .await
        .expect("in time");
    let pid = Pid::from_raw(i32::try_from(second.as_i64().unwrap()).unwrap());
    assert!(kill(pid, None).is_err(), "it is gone");
}

/// As after `kill -9` of the run: nobody says anything, the socket is closed.
#[test]
fn ends_when_the_run_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("user.py"), include_str!("user.py")).unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut python = Command::new("python3")
        .args(["-S", "-c", bridge::START])
        .env("PYTHONPATH", folder.path())
        .stdin(OwnedFd::from(theirs))
        .spawn()
        .unwrap();
    let call = json!({"id": 1, "op": "call", "thread": "main", "module": "user", "func": "stubborn",
        "arguments": {"name": "hangs"}, "configuration": {}});
    write!(ours, "{}\n{}{call}\n", bridge::BRIDGE.len(), bridge::BRIDGE).unwrap();
    let start = Instant::now();
    while !folder.path().join("hangs").exists() {
        assert!(start.elapsed() < PATIENCE, "it does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(ours);
    let status = loop {
        match python.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > PATIENCE => {
                python.kill().unwrap();
                panic!("it goes on");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn tells_the_background_to_leave() {
    let world = World::new();
    let leaving = async {
        appears(&world.path("a")).await;
        world.python.leave_background().await;
    };
    let (left, ()) = tokio::join!(
        world.call_in(Thread::Background, "busy", json!({"name": "a"})),
        leaving
    );
    assert!(
        failed(left)
            .message
            .starts_with("chaoslib.exceptions.ExperimentExitedException")
    );
}

#[tokio::test]
async fn runs_twenty_calls_in_the_background_at_once() {
    let world = World::new();
    let calls = (0..20).map(|_| world.call_in(Thread::Background, "meet", json!({})));
    let met = futures::future::join_all(calls).await;
    assert_eq!(met, vec![Ok(json!(false)); 20]);
    assert_eq!(world.call("thread", json!({})).await, Ok(json!(true)));
}

#[tokio::test]
async fn checks_calls_before_they_are_made() {
    let world = World::new();
    let provider = |provider: Value| json!({"type": "probe", "name": "p", "provider": provider});
    let call = |func: &str, arguments: Value| Value::Object(activity(func, arguments));
    for (activity, flaws) in [
        (call("need", json!({"a": 1})), vec![]),
        (call("told", json!({})), vec![]),
        (call("stars", json!({"x": 1})), vec![]),
        (
            provider(json!({"type": "python", "arguments": []})),
            vec![
                (
                    None,
                    "a provider of type python needs `module`: the name of a Python module",
                ),
                (
                    None,
                    "a provider of type python needs `func`: the name of a function in it",
                ),
                (Some("arguments"), "`arguments` must be a mapping"),
            ],
        ),
        (
            provider(json!({"type": "python", "module": 3, "func": ""})),
            vec![
                (
                    Some("module"),
                    "`module` must be the name of a Python module",
                ),
                (Some("func"), "`func` must be the name of a function in it"),
            ],
        ),
        (
            call("gives", json!({})),
            vec![(
                Some("func"),
                "the Python module `user` has no function `gives`; did you mean `give`?",
            )],
        ),
        (
            call("number", json!({})),
            vec![(
                Some("func"),
                "`number` of the Python module `user` is no function",
            )],
        ),
        (
            call("need", json!({"b": 1, "as": 2})),
            vec![
                (
                    Some("arguments"),
                    "`user.need` needs the argument `a`, which is missing",
                ),
                (Some("arguments"), "`user.need` takes no argument `b`"),
                (
                    Some("arguments"),
                    "`user.need` takes no argument `as`; did you mean `a`?",
                ),
            ],
        ),
    ] {
        let flaws: Vec<_> = flaws
            .into_iter()
            .map(|(key, what)| (key, what.to_owned()))
            .collect();
        assert_eq!(world.check(activity.clone()).await, flaws, "{activity}");
    }
    let nowhere = world
        .check(provider(
            json!({"type": "python", "module": "no.where", "func": "f"}),
        ))
        .await;
    assert_eq!(nowhere[0].0, Some("module"));
    assert!(
        nowhere[0]
            .1
            .starts_with("Python has no module `no.where`: install it for "),
        "{nowhere:?}"
    );
    fs::write(world.path("broken.py"), "import not_there_either").unwrap();
    let broken = world
        .check(provider(
            json!({"type": "python", "module": "broken", "func": "f"}),
        ))
        .await;
    let what = "the Python module `broken` cannot be imported: No module named 'not_there_either'";
    assert_eq!(broken, [(Some("module"), what.to_owned())]);
    fs::write(world.path("wrong.py"), "1 / 0").unwrap();
    let wrong = world
        .check(provider(
            json!({"type": "python", "module": "wrong", "func": "f"}),
        ))
        .await;
    let what = "the Python module `wrong` cannot be imported: ZeroDivisionError: division by zero";
    assert_eq!(wrong, [(Some("module"), what.to_owned())]);
}

#[tokio::test]
async fn checks_an_action_of_chaosk8s() {
    let Some(world) = World::with_reference() else {
        return;
    };
    let drain = |arguments: Value| json!({"provider": {"type": "python", "module": "chaosk8s.node.actions", "func": "drain_nodes", "arguments": arguments}});
    let good =
        drain(json!({"name": "node", "timeout": 30, "delete_pods_with_local_storage": true}));
    assert_eq!(world.check(good).await, []);
    let bad = world.check(drain(json!({"names": "node"}))).await;
    let what =
        "`chaosk8s.node.actions.drain_nodes` takes no argument `names`; did you mean `name`?";
    assert_eq!(bad, [(Some("arguments"), what.to_owned())]);
}

#[tokio::test]
async fn discovers_what_an_extension_offers() {
    let Some(world) = World::with_reference() else {
        return;
    };
    let found = world
        .python
        .discover("chaostoolkit-kubernetes", false, false)
        .await
        .unwrap();
    assert_eq!(found["extension"]["name"], "chaostoolkit-kubernetes");
    let drain = found["activities"]
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["name"] == "drain_nodes")
        .unwrap();
    assert_eq!(drain["mod"], "chaosk8s.node.actions");
    let none = failed(
        world
            .python
            .discover("chaostoolkit-nowhere", false, false)
            .await,
    );
    assert_eq!(none.message, "Package chaostoolkit-nowhere not found");
}

#[tokio::test]
async fn says_that_discovery_needs_chaoslib() {
    let none = failed(
        World::new()
            .python
            .discover("chaostoolkit-kubernetes", false, false)
            .await,
    );
    assert!(
        none.message
            .starts_with("discovery is done by chaoslib: install it for "),
        "{none}"
    );
}

#[tokio::test]
async fn gives_settings_to_who_looks_for_them() {
    let Some(mut world) = World::with_reference() else {
        return;
    };
    world.python = world.python.settings(json!({"runtime": {"key": "value"}}));
    let provider =
        json!({"type": "python", "module": "chaoslib.settings", "func": "get_loaded_settings"});
    let activity = Map::from_iter([("provider".into(), provider)]);
    let found = world
        .python
        .call(&activity, &Variables::default(), Thread::Main)
        .await;
    assert_eq!(found, Ok(json!({"runtime": {"key": "value"}})));
}

/// The reference's journal of calls that fail has the same exceptions, but for the frame that is the reference's own.
#[tokio::test]
async fn has_the_exceptions_of_the_reference() {
    let Some(world) = World::with_reference() else {
        return;
    };
    fs::write(
        world.path("known.py"),
        "from chaoslib.exceptions import *\ndef no(): raise ActivityFailed('no good')\ndef stop(): raise InterruptExecution('stop')\n",
    )
    .unwrap();
    let mut method: Vec<_> = ["boom", "chain", "need"]
        .map(|func| activity(func, json!({})))
        .into();
    method.extend(["no", "stop"].map(|func| {
        let mut activity = activity(func, json!({}));
        activity["provider"]["module"] = "known".into();
        activity
    }));
    let experiment = json!({"title": "t", "description": "d", "method": method});
    fs::write(world.path("experiment.json"), experiment.to_string()).unwrap();
    let chaos = reference().unwrap().join("bin/chaos");
    let run = Command::new(chaos)
        .args([
            "--no-version-check",
            "--no-log-file",
            "run",
            "--no-validation",
            "experiment.json",
        ])
        .current_dir(world.folder.path())
        .env("PYTHONPATH", world.folder.path())
        .env("HOME", world.folder.path())
        .output()
        .unwrap();
    let journal = fs::read(world.path("journal.json")).unwrap_or_else(|_| panic!("{run:?}"));
    let journal: Value = serde_json::from_slice(&journal).unwrap();
    let runs = journal["run"].as_array().unwrap();
    assert_eq!(runs.len(), method.len());
    for (run, activity) in runs.iter().zip(&method) {
        let ours = failed(
            world
                .python
                .call(activity, &Variables::default(), Thread::Main)
                .await,
        );
        let ours: Vec<_> = ours.trace.iter().map(|line| without_caller(line)).collect();
        let theirs: Vec<_> = run["exception"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| without_caller(line.as_str().unwrap()))
            .collect();
        assert_eq!(ours, theirs, "{}", activity["name"]);
    }
}

fn without_caller(line: &str) -> &str {
    let caller = line.starts_with("  File")
        && (line.contains("chaoslib/provider/python.py") || line.contains("<chaosctl>"));
    if caller { "  the caller\n" } else { line }
}
