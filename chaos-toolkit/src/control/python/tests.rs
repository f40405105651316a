//! Against a real Python; what a control is given, against what the reference gives.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::observe::{Event, Observer, Phase};
use crate::provider::Thread;
use crate::provider::python::world::{PATIENCE, World, reference};
use crate::run::Options;

/// Writes down what it is given, as JSON lines beside it.
const RECORDS: &str = r#"
import inspect, json, os

def write(name, given):
    if isinstance(given.get("state"), dict):
        given["state"] = sorted(set(given["state"]) & {"activity", "status", "probes", "steady_states", "run"})
    elif isinstance(given.get("state"), list):
        given["state"] = len(given["state"])
    for key in ("experiment", "context"):
        if isinstance(given.get(key), dict):
            given[key] = given[key].get("title") or given[key].get("name")
    if "event_registry" in given:
        given["event_registry"] = given["event_registry"] is not None
    with open(os.path.join(os.path.dirname(__file__), "heard"), "a") as file:
        print(json.dumps([name, given], sort_keys=True, default=str), file=file)

def configure_control(experiment, configuration, secrets, event_registry, word): write("configure", locals())
def cleanup_control(): write("cleanup", {})
def before_experiment_control(context, experiment, configuration, secrets, extensions, word): write("before_experiment", locals())
def after_experiment_control(context, state, settings, word): write("after_experiment", locals())
def before_hypothesis_control(context, word, **others): write("before_hypothesis", locals())
def after_hypothesis_control(context, state, word): write("after_hypothesis", locals())
def before_method_control(context, word): write("before_method", locals())
def after_method_control(context, state, word): write("after_method", locals())
def before_rollback_control(context, word): write("before_rollback", locals())
def after_rollback_control(context, state, word): write("after_rollback", locals())
def before_activity_control(context, experiment, word): write("before_activity", locals())
def after_activity_control(context, state, secrets, word): write("after_activity", locals())
"#;

const CHANGES: &str = r#"
def before_activity_control(context, experiment, configuration, secrets):
    context["name"] = "another"
    context["provider"]["arguments"]["added"] = [1]
    experiment["title"] = "another"
    configuration["one"] = True
    secrets["group"]["key"] = "other"

def after_activity_control(context, state):
    state["output"] = {"old": state["output"], "set": {1}}

def before_method_control(context):
    context["method"].append({"name": "second"})

def before_rollback_control(context, experiment):
    assert context is experiment
    context["same"] = experiment["method"][0]["provider"]
    raise ValueError("its own matter")

def before_hypothesis_control(context): raise SystemExit(3)
def after_loading_experiment_control(context, state): state["title"] = context
"#;

const STOPS: &str = r"
from chaoslib.exceptions import InterruptExecution
class Mine(InterruptExecution): pass
def before_activity_control(context): raise Mine('not ' + context['name'])
";

/// As much of chaoslib as its exceptions.
const EXCEPTIONS: &str = r"
class ChaosException(Exception): pass
class InvalidActivity(ChaosException): pass
class InterruptExecution(ChaosException): pass
";

const HANDLES: &str = r#"
import os, threading
HERE = os.path.dirname(__file__)
COUNT = [0]

class Handler:
    def start_activity(self, activity): self.write("start " + activity["name"])
    def activity_completed(self, activity, run): self.write("end " + activity["name"] + " " + run["status"])
    def start_method(self, experiment): self.write("method of " + experiment["title"])
    def finish(self, journal): self.write("finish " + journal["status"])
    def running(self, experiment, journal, configuration, secrets, schedule, settings):
        how = schedule.continuous_hypothesis_frequency, schedule.fail_fast
        self.write(f"running {experiment['title']} {journal} {configuration} {secrets} {how} {settings}")
    def start_continuous_hypothesis(self, frequency): self.write(f"looking on {frequency}")
    def continuous_hypothesis_iteration(self, iteration_index, state): self.write(f"look {iteration_index} {state}")
    def continuous_hypothesis_completed(self, experiment, journal, exception): self.write(f"looked on {experiment['title']} {journal} {exception}")
    def write(self, text):
        assert threading.current_thread() is threading.main_thread()
        with open(os.path.join(HERE, "events"), "a") as file: print(text, file=file)

def configure_control(event_registry):
    COUNT[0] += 1
    event_registry.register(Handler())

def before_activity_control(context, state):
    context["configured"] = COUNT[0]
    if context["name"] == "dies": os._exit(3)
"#;

const REFUSES: &str = r#"
from chaoslib.exceptions import InvalidActivity
def validate_control(control):
    if control["name"] == "bad": raise InvalidActivity("this control is bad")
    if control["name"] == "worse": raise KeyError("word")
"#;

struct Scene {
    controls: PythonControls,
    experiment: Value,
    variables: Variables,
    settings: Value,
    world: World,
}

impl Scene {
    fn new(module: &str, code: &str) -> Self {
        Self::of(World::new(), module, code)
    }

    fn of(mut world: World, module: &str, code: &str) -> Self {
        fs::write(world.path(&format!("{module}.py")), code).unwrap();
        let python = std::mem::replace(&mut world.python, Python::new("/nowhere".into()));
        Self {
            controls: PythonControls::new(Arc::new(python)),
            experiment: json!({"title": "t", "method": [
                {"type": "probe", "name": "p", "provider": {"type": "python", "arguments": {}}}]}),
            variables: Variables::new(
                json!({"one": 1}).as_object().unwrap().clone(),
                json!({"group": {"key": "secret"}})
                    .as_object()
                    .unwrap()
                    .clone(),
            ),
            settings: Value::Null,
            world,
        }
    }

    fn know_chaoslib(self) -> Self {
        fs::create_dir(self.world.path("chaoslib")).unwrap();
        fs::write(self.world.path("chaoslib/exceptions.py"), EXCEPTIONS).unwrap();
        self
    }

    async fn configure(&mut self, control: &Map<String, Value>) -> bool {
        let Self {
            controls,
            experiment,
            variables,
            settings,
            ..
        } = self;
        controls
            .configure(control, experiment, variables, settings)
            .await
    }

    async fn apply(
        &mut self,
        control: &Map<String, Value>,
        (level, scope): (Level, Scope),
        context: &mut Value,
        state: Option<&mut Value>,
    ) -> Result<(), Interrupted> {
        let (experiment, variables, settings) =
            (&mut self.experiment, &mut self.variables, &self.settings);
        let call = Call {
            control,
            level,
            scope,
            context,
            state,
            experiment,
            variables,
            settings,
        };
        self.controls.apply(call).await
    }
}

fn control(name: &str, module: &str) -> Map<String, Value> {
    let provider = json!({"type": "python", "module": module});
    Map::from_iter([("name".into(), name.into()), ("provider".into(), provider)])
}

#[tokio::test]
async fn starts_nothing_for_controls_of_others() {
    let mut scene = Scene::new("changes", CHANGES);
    scene.controls = PythonControls::new(Arc::new(Python::new("/nowhere/python3".into())));
    let other = json!({"name": "c", "provider": {"type": "other", "module": "changes"}});
    let other = other.as_object().unwrap();
    assert!(scene.configure(other).await);
    let mut context = scene.experiment["method"][0].clone();
    let before = (Level::Activity, Scope::Before);
    assert_eq!(scene.apply(other, before, &mut context, None).await, Ok(()));
    scene.controls.cleanup(other).await;
    assert_eq!(scene.controls.check(other).await, []);
    let python = control("c", "changes");
    assert!(!scene.configure(&python).await);
    assert!(
        scene.controls.check(&python).await[0]
            .what
            .contains("`/nowhere/python3` is of no use")
    );
}

#[tokio::test]
async fn takes_back_what_a_control_changes() {
    let mut scene = Scene::new("changes", CHANGES);
    let control = control("c", "changes");
    assert!(scene.configure(&control).await);
    let mut activity = scene.experiment["method"][0].clone();
    let before = (Level::Activity, Scope::Before);
    assert_eq!(
        scene.apply(&control, before, &mut activity, None).await,
        Ok(())
    );
    let changed = json!({"type": "probe", "name": "another", "provider": {"type": "python", "arguments": {"added": [1]}}});
    assert_eq!(activity, changed);
    assert_eq!(
        scene.experiment,
        json!({"title": "another", "method": [changed]})
    );
    assert_eq!(scene.variables.configuration["one"], json!(true));
    assert_eq!(scene.variables.secrets["group"]["key"], "other");

    let mut state = json!({"output": 3});
    let after = (Level::Activity, Scope::After);
    assert_eq!(
        scene
            .apply(&control, after, &mut activity, Some(&mut state))
            .await,
        Ok(())
    );
    assert_eq!(state, json!({"output": {"old": 3, "set": "{1}"}}));

    // Where the context is the experiment, they are one object, also for what is thrown after a change.
    let mut context = scene.experiment.clone();
    scene
        .apply(&control, (Level::Method, Scope::Before), &mut context, None)
        .await
        .unwrap();
    assert_eq!(context["method"][1]["name"], "second");
    scene
        .apply(
            &control,
            (Level::Rollback, Scope::Before),
            &mut context,
            None,
        )
        .await
        .unwrap();
    assert_eq!(context["same"], changed["provider"]);

    let mut hypothesis = json!({"title": "h"});
    let left = scene
        .apply(
            &control,
            (Level::Hypothesis, Scope::Before),
            &mut hypothesis,
            None,
        )
        .await;
    let why = "Python code left with 3".to_owned();
    let rollbacks = true;
    assert_eq!(left, Err(Interrupted::Left { why, rollbacks }));

    let (mut source, mut read) = (json!("file.json"), json!({"title": "t"}));
    scene.experiment = Value::Null;
    scene
        .apply(
            &control,
            (Level::Loader, Scope::After),
            &mut source,
            Some(&mut read),
        )
        .await
        .unwrap();
    assert_eq!(
        (source, read),
        (json!("file.json"), json!({"title": "file.json"}))
    );
}

#[tokio::test]
async fn is_interrupted_by_the_exception_of_this_name_alone() {
    let mut scene = Scene::new("stops", STOPS).know_chaoslib();
    let mut activity = json!({"name": "p"});
    let before = (Level::Activity, Scope::Before);
    let stopped = scene
        .apply(&control("c", "stops"), before, &mut activity, None)
        .await;
    assert_eq!(stopped, Err(Interrupted::Raised("not p".into())));
    let nothing = scene
        .apply(&control("c", "nowhere"), before, &mut activity, None)
        .await;
    assert_eq!(
        nothing,
        Ok(()),
        "a module that is not there is none of the run's business"
    );
    assert!(!scene.configure(&control("c", "nowhere")).await);
}

#[tokio::test]
async fn tells_handlers_of_events_and_another_python_of_controls() {
    let mut scene = Scene::new("handles", HANDLES);
    let control = control("c", "handles");
    let (name, activity) = ("a", json!({"name": "a"}));
    let told = |name: &str| json!({"name": name, "configured": 1});
    let hear = |scene: &Scene, event: Event<'_>| scene.controls.hear(event);
    let started = Event::ActivityStarted {
        number: 1,
        phase: Phase::Method,
        activity: activity.as_object().unwrap(),
    };
    hear(&scene, started);
    assert!(scene.configure(&control).await);
    let variables = Variables::new(
        Map::from_iter([("k".into(), 1.into())]),
        Map::from_iter([("s".into(), json!({"t": "u"}))]),
    );
    for moment in [
        Moment::Running {
            variables: &variables,
            options: &Options::default(),
            settings: &json!({}),
        },
        Moment::LookingOn(Duration::from_millis(500)),
        Moment::LookedAgain {
            count: 1,
            state: &json!({"steady_state_met": true}),
        },
        Moment::LookedOn,
    ] {
        scene.controls.note(moment, &|| json!({"j": 1}));
    }
    hear(&scene, Event::PhaseStarted(Phase::Method));
    hear(&scene, started);
    let mut context = activity.clone();
    let before = (Level::Activity, Scope::Before);
    scene
        .apply(&control, before, &mut context, None)
        .await
        .unwrap();
    assert_eq!(context, told(name));
    let run = json!({"activity": activity, "status": "succeeded"});
    let run = run.as_object().unwrap();
    hear(
        &scene,
        Event::ActivityEnded {
            number: 1,
            phase: Phase::Method,
            run,
        },
    );
    // A control that ends Python: another is configured as the first was.
    scene
        .apply(&control, before, &mut json!({"name": "dies"}), None)
        .await
        .unwrap();
    let mut context = activity.clone();
    scene
        .apply(&control, before, &mut context, None)
        .await
        .unwrap();
    assert_eq!(context, told(name));
    let journal = json!({"status": "completed"});
    hear(
        &scene,
        Event::Ended {
            journal: journal.as_object().unwrap(),
        },
    );
    scene.controls.cleanup(&control).await;
    scene.controls.python.close().await;
    let events = fs::read_to_string(scene.world.path("events")).unwrap();
    assert_eq!(
        events,
        "running t {'j': 1} {'k': 1} {'s': {'t': 'u'}} (1.0, False) {}\nlooking on 0.5\nlook 1 {'steady_state_met': True}\n\
         looked on t {'j': 1} None\nmethod of t\nstart a\nend a succeeded\nfinish completed\n"
    );
}

#[tokio::test]
async fn lets_controls_validate_themselves() {
    let scene = Scene::new("refuses", REFUSES).know_chaoslib();
    let said = async |control: Map<String, Value>| {
        let flaws = scene.controls.check(&control).await;
        flaws
            .into_iter()
            .map(|flaw| (flaw.key, flaw.what))
            .collect::<Vec<_>>()
    };
    assert_eq!(said(control("good", "refuses")).await, []);
    assert_eq!(
        said(control("bad", "refuses")).await,
        [(None, "this control is bad".into())]
    );
    assert_eq!(
        said(control("worse", "refuses")).await,
        [(None, "`refuses` refuses it: KeyError: 'word'".into())]
    );
    assert_eq!(
        said(control("gone", "nowhere")).await,
        [],
        "the reference only warns of it"
    );
    let mut none = control("none", "");
    let what = "a control of type python needs `module`: the name of a Python module";
    assert_eq!(
        said(none.clone()).await,
        [(Some("module".to_owned()), what.to_owned())]
    );
    none["provider"].as_object_mut().unwrap().remove("module");
    assert_eq!(said(none).await, [(None, what.to_owned())]);
}

/// An activity in the background has controls while another has the main thread.
#[tokio::test]
async fn applies_while_the_foreground_is_busy() {
    let mut scene = Scene::new("changes", CHANGES);
    let python = scene.controls.python.clone();
    let wait = json!({"provider": {"type": "python", "module": "user", "func": "wait", "arguments": {"name": "go"}}});
    let none = Variables::default();
    let busy = python.call(wait.as_object().unwrap(), &none, Thread::Main);
    let path = scene.world.path("go");
    let applied = async {
        let mut activity = scene.experiment["method"][0].clone();
        let before = (Level::Activity, Scope::Before);
        scene
            .apply(&control("c", "changes"), before, &mut activity, None)
            .await
            .unwrap();
        fs::write(path, "").unwrap();
        activity["name"].clone()
    };
    let both = async { tokio::join!(busy, applied) };
    let both = tokio::time::timeout(PATIENCE, both).await.expect("in time");
    assert_eq!(both, (Ok(Value::Null), json!("another")));
}

/// The same control in a run of the reference, and told of the same run here: it is given the same.
#[tokio::test]
async fn gives_controls_what_the_reference_gives() {
    let Some(world) = World::with_reference() else {
        return;
    };
    let mut scene = Scene::of(world, "records", RECORDS);
    let mut control = control("c", "records");
    control["provider"]["arguments"] = json!({"word": "${one}"});
    let probe = |name: &str| json!({"type": "probe", "name": name, "provider": {"type": "process", "path": "true"}});
    let mut believed = probe("believed");
    believed["tolerance"] = 0.into();
    scene.experiment = json!({
        "title": "t", "description": "d", "configuration": {"one": 1}, "extensions": [{"name": "e"}], "controls": [control],
        "steady-state-hypothesis": {"title": "h", "probes": [believed]},
        "method": [probe("done")], "rollbacks": [probe("undone")],
    });
    scene.variables = Variables::new(json!({"one": 1}).as_object().unwrap().clone(), Map::new());
    let folder = scene.world.folder.path().to_owned();
    fs::write(folder.join("experiment.json"), scene.experiment.to_string()).unwrap();
    let run = Command::new(reference().unwrap().join("bin/chaos"))
        .args([
            "--no-version-check",
            "--no-log-file",
            "--settings",
            "none.yaml",
            "run",
            "experiment.json",
        ])
        .current_dir(&folder)
        .env("PYTHONPATH", &folder)
        .output()
        .unwrap();
    let theirs = fs::read_to_string(folder.join("heard")).unwrap_or_else(|_| panic!("{run:?}"));
    fs::remove_file(folder.join("heard")).unwrap();

    assert!(scene.configure(&control).await);
    let whole = scene.experiment.clone();
    let tell = async |scene: &mut Scene, level, scope, context: &Value, state: Value| {
        let (mut context, mut state) = (context.clone(), state);
        let state = (scope == Scope::After).then_some(&mut state);
        scene
            .apply(&control, (level, scope), &mut context, state)
            .await
            .unwrap();
    };
    let none = Value::Null;
    let ran = json!({"activity": {}, "status": "succeeded"});
    let hypothesis = whole["steady-state-hypothesis"].clone();
    tell(
        &mut scene,
        Level::Experiment,
        Scope::Before,
        &whole,
        none.clone(),
    )
    .await;
    let parts = [
        (
            Level::Hypothesis,
            &hypothesis,
            &hypothesis["probes"][0],
            json!({"probes": []}),
        ),
        (Level::Method, &whole, &whole["method"][0], json!([{}])),
        (
            Level::Hypothesis,
            &hypothesis,
            &hypothesis["probes"][0],
            json!({"probes": []}),
        ),
        (Level::Rollback, &whole, &whole["rollbacks"][0], json!([{}])),
    ];
    for (level, context, activity, state) in parts {
        tell(&mut scene, level, Scope::Before, context, none.clone()).await;
        tell(
            &mut scene,
            Level::Activity,
            Scope::Before,
            activity,
            none.clone(),
        )
        .await;
        tell(
            &mut scene,
            Level::Activity,
            Scope::After,
            activity,
            ran.clone(),
        )
        .await;
        tell(&mut scene, level, Scope::After, context, state).await;
    }
    let journal = json!({"status": "completed", "steady_states": {}, "run": []});
    tell(&mut scene, Level::Experiment, Scope::After, &whole, journal).await;
    scene.controls.cleanup(&control).await;
    let ours = fs::read_to_string(folder.join("heard")).unwrap();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&ours), lines(&theirs));
    assert_eq!(lines(&ours).len(), 20);
}
