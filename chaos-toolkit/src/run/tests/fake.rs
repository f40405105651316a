//! Providers and faults that do what a test says, and a log of what happened in which order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use crate::faults::{Acting, FaultFailed, Faults};
use crate::journal::lock;
use crate::observe::{Event, Observer, Phase};
use crate::problem::Flaw;
use crate::provider::python::Python;
use crate::provider::{ActivityFailed, Stopped, Thread};
use crate::run::work::Work;
use crate::run::{Options, RunError, Setup, Signal, run_with};
use crate::variables::Variables;

/// What happened, in order.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(super) fn add(&self, line: impl Into<String>) {
        lock(&self.0).push(line.into());
    }

    pub(super) fn lines(&self) -> Vec<String> {
        lock(&self.0).clone()
    }

    /// Where this stands.
    pub(super) fn at(&self, line: &str) -> usize {
        let lines = self.lines();
        let at = lines.iter().position(|other| other == line);
        at.unwrap_or_else(|| panic!("no {line:?} in {lines:?}"))
    }

    pub(super) fn has(&self, line: &str) -> bool {
        self.lines().iter().any(|other| other == line)
    }
}

/// Does what the provider says: `{"takes": seconds, "gives": value, "fails": text, "interrupts": text, "breaks": text}`;
/// a list of values is given one after the other, and the last again and again.
struct Fake {
    log: Log,
    given: Mutex<std::collections::HashMap<String, usize>>,
}

impl Work for Fake {
    fn perform<'a>(
        &'a self,
        activity: &'a Map<String, Value>,
        _variables: &'a Variables,
        _place: Thread,
    ) -> BoxFuture<'a, Result<Value, Stopped>> {
        Box::pin(async move {
            let name = activity["name"].as_str().unwrap_or_default();
            let provider = &activity["provider"];
            let dropped = Dropped(&self.log, format!("{name} cut"));
            self.log.add(format!("{name} begins"));
            if let Some(seconds) = provider["takes"].as_f64() {
                sleep(Duration::from_secs_f64(seconds)).await;
            }
            std::mem::forget(dropped);
            let text = |key: &str| provider[key].as_str().map(str::to_owned);
            if let Some(why) = text("panics") {
                panic!("{why}");
            }
            if let Some(message) = text("fails") {
                let trace = vec![format!("chaoslib.exceptions.ActivityFailed: {message}\n")];
                return Err(Stopped::Failed(ActivityFailed { message, trace }));
            }
            if let Some(why) = text("interrupts") {
                return Err(Stopped::Interrupted(why));
            }
            if let Some(why) = text("breaks") {
                return Err(Stopped::Crashed(why));
            }
            self.log.add(format!("{name} done"));
            let answer = &provider["gives"];
            let Some(several) = answer.as_array() else {
                return Ok(answer.clone());
            };
            let mut given = lock(&self.given);
            let count = given.entry(name.to_owned()).or_default();
            let value = several.get(*count).or(several.last());
            *count += 1;
            Ok(value.cloned().unwrap_or_default())
        })
    }

    fn within<'a>(
        &'a self,
        tolerance: &'a Value,
        value: &'a Value,
        _variables: &'a Variables,
        _place: Thread,
    ) -> BoxFuture<'a, Result<bool, Stopped>> {
        Box::pin(async move { Ok(tolerance == value) })
    }
}

struct Dropped<'a>(&'a Log, String);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.add(self.1.clone());
    }
}

/// Faults that act until their `duration`, in seconds; one with `after` needs as long to act.
pub(super) struct FakeFaults(pub(super) Log);

impl Faults for FakeFaults {
    fn check(&self, _provider: &Map<String, Value>) -> Result<(), Flaw> {
        Ok(())
    }

    fn start(
        &self,
        name: &str,
        provider: &Map<String, Value>,
    ) -> BoxFuture<'static, Result<Box<dyn Acting>, FaultFailed>> {
        let (log, name) = (self.0.clone(), name.to_owned());
        let seconds = |key: &str| provider.get(key).and_then(Value::as_f64);
        let after = seconds("after").unwrap_or_default();
        let length = seconds("duration").unwrap_or(30.0);
        let refused = provider
            .get("refused")
            .and_then(Value::as_str)
            .map(str::to_owned);
        Box::pin(async move {
            let dropped = Dropped(&log, format!("{name} not started"));
            sleep(Duration::from_secs_f64(after)).await;
            std::mem::forget(dropped);
            if let Some(why) = refused {
                return Err(FaultFailed(why));
            }
            log.add(format!("{name} acts"));
            let (stop, stopped) = tokio::sync::watch::channel(false);
            let acting: Box<dyn Acting> = Box::new(FakeActing {
                name,
                log,
                stop,
                stopped,
                length,
            });
            Ok(acting)
        })
    }
}

struct FakeActing {
    name: String,
    log: Log,
    stop: tokio::sync::watch::Sender<bool>,
    stopped: tokio::sync::watch::Receiver<bool>,
    length: f64,
}

impl Acting for FakeActing {
    fn output(&self) -> Value {
        json!({"id": self.name})
    }

    fn stop(&self) {
        self.log.add(format!("{} told to stop", self.name));
        self.stop.send_replace(true);
    }

    fn ended(&mut self) -> BoxFuture<'_, Value> {
        Box::pin(async {
            let length = Duration::from_secs_f64(self.length);
            let why = tokio::select! {
                () = sleep(length) => "duration",
                _ = self.stopped.wait_for(|stopped| *stopped) => "stopped",
            };
            json!({"why": why, "matched": 7})
        })
    }
}

impl Drop for FakeActing {
    fn drop(&mut self) {
        self.log.add(format!("{} gone", self.name));
    }
}

struct Listening(Log);

impl Observer for Listening {
    fn hear(&self, event: Event<'_>) {
        match event {
            Event::PhaseStarted(phase) => self.0.add(format!("{phase:?}")),
            Event::PhaseEnded {
                phase: Phase::During,
                met,
            } => {
                self.0.add(format!("During over, met: {met:?}"));
            }
            Event::GuardTripped { name, saw } => self.0.add(format!("{name} tripped: {saw}")),
            Event::FaultEnded { name, ended } => {
                self.0.add(format!(
                    "{name} ended: {}",
                    ended["why"].as_str().unwrap_or_default()
                ));
            }
            Event::ActivityEnded { run, .. } => {
                assert!(run["activity"]["name"] != "bang", "an observer panics");
            }
            Event::Broken(why) => self.0.add(format!("broken: {why}")),
            Event::Untold(why) => self.0.add(format!("untold: {why}")),
            Event::Started { .. }
            | Event::PhaseEnded { .. }
            | Event::ActivityStarted { .. }
            | Event::Interrupted(_)
            | Event::Ended { .. } => {}
        }
    }
}

/// A run that a test steers.
pub(super) struct Stage {
    pub(super) log: Log,
    pub(super) signals: UnboundedSender<Signal>,
    setup: Setup,
}

impl Stage {
    pub(super) fn new(experiment: Value) -> Self {
        Self::with(experiment, Options::default())
    }

    pub(super) fn with(experiment: Value, options: Options) -> Self {
        let log = Log::default();
        let (sender, mut signals) = unbounded_channel();
        let signals = stream::poll_fn(move |context| signals.poll_recv(context));
        let setup = Setup {
            experiment,
            variables: Variables::default(),
            settings: json!({}),
            options,
            journal: None,
            python: Arc::new(Python::new("python3".into())),
            faults: Some(Arc::new(FakeFaults(log.clone()))),
            controls: None,
            controls_of_settings: Vec::new(),
            observers: vec![Arc::new(Listening(log.clone()))],
            gate: None,
            signals: signals.boxed(),
        };
        Self {
            log,
            signals: sender,
            setup,
        }
    }

    pub(super) fn change(mut self, change: impl FnOnce(&mut Setup)) -> Self {
        change(&mut self.setup);
        self
    }

    /// Sends a signal after so many seconds of the run.
    pub(super) fn signal_after(self, seconds: f64, signal: Signal) -> Self {
        let signals = self.signals.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs_f64(seconds)).await;
            let _ = signals.send(signal);
        });
        self
    }

    pub(super) async fn try_run(self) -> Result<Value, RunError> {
        let fake = Fake {
            log: self.log,
            given: Mutex::default(),
        };
        run_with(self.setup, Box::new(fake))
            .await
            .map(Value::Object)
    }

    pub(super) async fn run(self) -> Value {
        self.try_run().await.unwrap()
    }
}

/// An activity that does what its provider says.
pub(super) fn activity(kind: &str, name: &str, provider: Value) -> Value {
    let mut provider = provider;
    if provider.get("type").is_none() {
        provider["type"] = "process".into();
    }
    json!({"type": kind, "name": name, "provider": provider})
}

pub(super) fn action(name: &str, provider: Value) -> Value {
    activity("action", name, provider)
}

/// A fault that acts for so long.
pub(super) fn fault(name: &str, seconds: f64) -> Value {
    action(
        name,
        json!({"type": "chaos", "fault": "delay", "duration": seconds}),
    )
}

/// A hypothesis of one probe that is met when it gives `true`.
pub(super) fn hypothesis(provider: Value) -> Value {
    let mut probe = activity("probe", "steady", provider);
    probe["tolerance"] = true.into();
    json!({"title": "all is well", "probes": [probe]})
}

#[expect(clippy::needless_pass_by_value, reason = "shorter where it is called")]
pub(super) fn experiment(hypothesis: Value, method: Value, rollbacks: Value) -> Value {
    json!({
        "title": "t",
        "description": "d",
        "steady-state-hypothesis": hypothesis,
        "method": method,
        "rollbacks": rollbacks,
    })
}

/// The names and statuses of a list of runs.
pub(super) fn runs(journal: &Value, list: &str) -> Vec<String> {
    let runs = journal[list].as_array().into_iter().flatten();
    runs.map(|run| {
        let name = run["activity"]["name"].as_str().unwrap_or_default();
        let status = run.get("status").and_then(Value::as_str).unwrap_or("-");
        format!("{name} {status}")
    })
    .collect()
}
