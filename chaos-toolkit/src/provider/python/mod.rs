//! The user's Python: functions of its modules as activities. One process for a whole run, started when something first
//! asks for it. Knows what an activity says of its function; the order of activities is somebody else's.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::{ActivityFailed, Stopped, Thread};
use crate::problem::Flaw;
use crate::variables::{Environment, Variables, substitute};

mod answer;
mod bridge;

use answer::{Answer, heard};
use bridge::Bridge;

const LOOK: &str = include_str!("look.py");

/// The user's Python.
#[derive(Debug)]
pub struct Python {
    program: PathBuf,
    settings: Value,
    verbose: bool,
    on_signal: SignalHandler,
    running: Mutex<Option<Running>>,
    /// The one that runs, for whoever cannot wait.
    latest: std::sync::Mutex<Option<Arc<Bridge>>>,
}

#[derive(Debug)]
struct Running {
    bridge: Arc<Bridge>,
    /// Counts from 1: another Python knows nothing of what was set up in the one before.
    generation: u64,
    environment: BTreeMap<String, String>,
}

/// What happens when python code sends this process a signal, as `chaoslib.exit` does.
#[derive(Clone)]
struct SignalHandler(Arc<dyn Fn(Signal) + Send + Sync>);

impl SignalHandler {
    fn hear(&self, name: &str) {
        if let Ok(signal) = name.parse() {
            (self.0)(signal);
        }
    }
}

impl fmt::Debug for SignalHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignalHandler")
    }
}

impl Python {
    /// Starts nothing yet.
    pub fn new(program: PathBuf) -> Self {
        // In the reference it is one process: whoever waits for signals of this one hears them.
        let raise = |signal| {
            let _ = kill(Pid::this(), signal);
        };
        Self {
            program,
            settings: Value::Null,
            verbose: false,
            on_signal: SignalHandler(Arc::new(raise)),
            running: Mutex::default(),
            latest: std::sync::Mutex::default(),
        }
    }

    /// What the settings file says, for extensions that look there; null where there is none.
    #[must_use]
    pub fn settings(self, settings: Value) -> Self {
        Self { settings, ..self }
    }

    /// Shows also what extensions log for whoever looks for an error.
    #[must_use]
    pub fn verbose(self, verbose: bool) -> Self {
        Self { verbose, ..self }
    }

    /// Who hears it when python code sends its process SIGINT, SIGUSR1 or SIGUSR2 while no activity in the foreground would
    /// hear it; unless said, this process is sent the same.
    #[must_use]
    pub fn on_signal(self, hear: impl Fn(Signal) + Send + Sync + 'static) -> Self {
        Self {
            on_signal: SignalHandler(Arc::new(hear)),
            ..self
        }
    }

    /// Calls the function of an activity's provider. Dropped before it is done, the function is interrupted: in the
    /// foreground as by Ctrl-C, in the background as the reference does it when it leaves without rollbacks.
    pub async fn call(
        &self,
        activity: &Map<String, Value>,
        variables: &Variables,
        thread: Thread,
    ) -> Result<Value, Stopped> {
        let crashed = |what: &str| Err(Stopped::Crashed(format!("the provider's {what}")));
        let Some(Value::Object(provider)) = activity.get("provider") else {
            return Err(Stopped::Crashed("the activity has no provider".into()));
        };
        let (Some(Value::String(module)), Some(Value::String(func))) =
            (provider.get("module"), provider.get("func"))
        else {
            return crashed("`module` and `func` must be texts");
        };
        let mut request = Map::new();
        request.insert("module".into(), module.as_str().into());
        request.insert("func".into(), func.as_str().into());
        let arguments = match provider.get("arguments") {
            None => json!({}),
            Some(arguments @ (Value::Object(_) | Value::Array(_))) => {
                resolved(arguments, variables)
            }
            Some(_) => return crashed("`arguments` must be a mapping"),
        };
        request.insert("arguments".into(), arguments);
        request.insert(
            "configuration".into(),
            Value::Object(variables.configuration.clone()),
        );
        if let Some(names) = provider.get("secrets") {
            request.insert("names".into(), names.clone());
            request.insert("secrets".into(), Value::Object(variables.secrets.clone()));
        }
        let doing = format!("`{module}.{func}`");
        self.ask(
            "call",
            thread,
            request,
            Some(&variables.environment),
            &doing,
        )
        .await
    }

    /// Looks whether an activity's function is there and takes its arguments. Imports its module.
    pub async fn check(&self, activity: &Map<String, Value>) -> Result<(), Vec<Flaw>> {
        let provider = activity.get("provider").and_then(Value::as_object);
        let said =
            |key: &'static str, what: &str| match provider.and_then(|provider| provider.get(key)) {
                Some(Value::String(name)) if !name.is_empty() => Ok(Value::from(name.as_str())),
                None => Err(Flaw::of(
                    None,
                    format!("a provider of type python needs `{key}`: {what}"),
                )),
                Some(_) => Err(Flaw::of(Some(key), format!("`{key}` must be {what}"))),
            };
        let mut flaws = Vec::new();
        let mut request = Map::new();
        for (key, what) in [
            ("module", "the name of a Python module"),
            ("func", "the name of a function in it"),
        ] {
            match said(key, what) {
                Ok(name) => drop(request.insert(key.into(), name)),
                Err(flaw) => flaws.push(flaw),
            }
        }
        match provider.and_then(|provider| provider.get("arguments")) {
            None => drop(request.insert("arguments".into(), json!({}))),
            Some(arguments @ Value::Object(_)) => {
                drop(request.insert("arguments".into(), arguments.clone()));
            }
            Some(_) => flaws.push(Flaw::of(Some("arguments"), "`arguments` must be a mapping")),
        }
        if !flaws.is_empty() {
            return Err(flaws);
        }
        let found = match self
            .ask("check", Thread::Main, request, None, "a module")
            .await
        {
            Ok(found) => found,
            Err(error) => {
                return Err(vec![Flaw::of(Some("module"), error.to_string())]);
            }
        };
        let flaws: Vec<_> = found.as_array().into_iter().flatten().map(flaw).collect();
        if flaws.is_empty() { Ok(()) } else { Err(flaws) }
    }

    /// What an extension offers, as chaoslib finds it: with `system` also what it finds in the system that it is for; with
    /// `install` its package is installed or brought up to date first.
    pub async fn discover(
        &self,
        package: &str,
        system: bool,
        install: bool,
    ) -> Result<Value, Stopped> {
        let request = Map::from_iter([
            ("package".into(), package.into()),
            ("system".into(), system.into()),
            ("install".into(), install.into()),
        ]);
        self.ask("discover", Thread::Main, request, None, "the discovery")
            .await
    }

    /// Has what runs in the background end by an exception, where it can be: what the reference does on SIGUSR2. Calls that
    /// end by it have failed; those that do not hear it go on.
    pub async fn leave_background(&self) {
        if let Some(running) = &*self.running.lock().await {
            running.bridge.leave();
        }
    }

    /// Ends Python if it was started: as programs end, or by force if it takes more than a few seconds.
    pub async fn close(&self) {
        let running = self.running.lock().await.take();
        if let Some(Running { bridge, .. }) = running {
            bridge.close().await;
        }
        self.set_latest(None);
    }

    fn set_latest(&self, bridge: Option<Arc<Bridge>>) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = bridge;
    }

    /// Asks a control's part of the program, in the main thread if that is free: an activity in the background has controls
    /// while another has the foreground.
    pub(crate) async fn control(
        &self,
        code: &'static str,
        op: &str,
        request: Map<String, Value>,
    ) -> Result<Value, Stopped> {
        self.further(code, op, request, "a control").await
    }

    /// Asks a further part of the program, in the same way; `doing` is what could not be done if Python ends before it answers.
    pub(crate) async fn further(
        &self,
        code: &'static str,
        op: &str,
        request: Map<String, Value>,
        doing: &str,
    ) -> Result<Value, Stopped> {
        let (bridge, _) = self.ready(None).await?;
        bridge.learn(code);
        let thread = bridge.free_thread();
        heard(bridge.ask(op, thread, request).await, doing)
    }

    /// Which Python runs: starts one if there is none.
    pub(crate) async fn generation(&self) -> Result<u64, Stopped> {
        Ok(self.ready(None).await?.1)
    }

    /// Tells a Python that runs something, and waits for no answer.
    pub(crate) fn tell(&self, op: &str, request: Map<String, Value>) {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bridge) = &*latest {
            bridge.tell_main(op, request);
        }
    }

    /// Asks; `doing` is what could not be done if Python ends before it answers.
    async fn ask(
        &self,
        op: &str,
        thread: Thread,
        request: Map<String, Value>,
        environment: Option<&Environment>,
        doing: &str,
    ) -> Result<Value, Stopped> {
        let (bridge, _) = self.ready(environment).await?;
        if op != "call" {
            bridge.learn(LOOK);
        }
        heard(bridge.ask(op, thread, request).await, doing)
    }

    /// A Python that runs, and which one it is.
    async fn ready(
        &self,
        environment: Option<&Environment>,
    ) -> Result<(Arc<Bridge>, u64), Stopped> {
        let mut running = self.running.lock().await;
        let generation = running.as_ref().map_or(0, |running| running.generation);
        if running
            .as_ref()
            .is_none_or(|running| running.bridge.is_gone())
        {
            let bridge = Arc::new(self.start().await?);
            self.set_latest(Some(bridge.clone()));
            *running = Some(Running {
                bridge,
                generation: generation + 1,
                environment: BTreeMap::new(),
            });
        }
        let Some(running) = &mut *running else {
            return Err(self.unusable("it was closed"));
        };
        let added: BTreeMap<_, _> = environment
            .iter()
            .flat_map(|environment| environment.added())
            .filter(|(name, value)| {
                running
                    .environment
                    .get(*name)
                    .is_none_or(|known| known != value)
            })
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        if !added.is_empty() {
            running.bridge.environment(&added);
            running.environment.extend(added);
        }
        Ok((running.bridge.clone(), running.generation))
    }

    async fn start(&self) -> Result<Bridge, Stopped> {
        let bridge = Bridge::start(&self.program, self.on_signal.clone())
            .map_err(|error| self.unusable(&format!("it cannot be started: {error}")))?;
        let request = Map::from_iter([
            ("settings".into(), self.settings.clone()),
            ("verbose".into(), self.verbose.into()),
        ]);
        match bridge.ask("setup", Thread::Main, request).await {
            Answer::Gone(why) => Err(self.unusable(&why)),
            said @ Answer::Said { .. } => heard(said, "the start").map(|_| bridge),
        }
    }

    fn unusable(&self, why: &str) -> Stopped {
        ActivityFailed::new(format!(
            "the experiment needs Python 3.8 or newer, and `{}` is of no use: {why}",
            self.program.display()
        ))
        .into()
    }
}

/// Names are replaced only where there is anything to replace them with: else also `$$` stays as it is.
fn resolved(arguments: &Value, variables: &Variables) -> Value {
    if variables.configuration.is_empty() && variables.secrets.is_empty() {
        arguments.clone()
    } else {
        substitute(arguments, variables)
    }
}

fn flaw(said: &Value) -> Flaw {
    let key = match said[0].as_str() {
        Some("module") => "module",
        Some("func") => "func",
        _ => "arguments",
    };
    Flaw::of(Some(key), said[1].as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod world;
