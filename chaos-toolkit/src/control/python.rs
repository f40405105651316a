//! Controls written in Python for the reference: their functions, called when it would call them, with what it would give
//! them. Nothing is started before a file has one, and functions that a module does not have cost nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::problem::Flaw;
use crate::provider::Stopped;
use crate::provider::python::Python;
use crate::run::{Call, Controls, Interrupted, Level, Moment, Scope};
use crate::variables::{Variables, substitute};

mod events;

const CONTROLS: &str = include_str!("python/controls.py");

/// All that a module may have.
const FUNCTIONS: [&str; 14] = [
    "configure_control",
    "cleanup_control",
    "before_loading_experiment_control",
    "after_loading_experiment_control",
    "before_experiment_control",
    "after_experiment_control",
    "before_hypothesis_control",
    "after_hypothesis_control",
    "before_method_control",
    "after_method_control",
    "before_rollback_control",
    "after_rollback_control",
    "before_activity_control",
    "after_activity_control",
];

/// Controls of type python; others are left alone.
#[derive(Debug)]
pub struct PythonControls {
    python: Arc<Python>,
    /// Whether any control wants to hear of events.
    hears: AtomicBool,
    told: Mutex<Told>,
}

/// What a Python knows. Another one, after that has ended, is told again.
#[derive(Debug, Default)]
struct Told {
    generation: u64,
    /// By module; none: there is no such module.
    offered: HashMap<String, Option<HashSet<String>>>,
    experiment: Option<Value>,
    /// Those that were configured, with the settings.
    configured: Vec<(Map<String, Value>, Value)>,
}

/// The parts of a run that a control may change.
struct Given<'a> {
    context: Option<&'a mut Value>,
    state: Option<&'a mut Value>,
    experiment: &'a mut Value,
    variables: &'a mut Variables,
}

impl PythonControls {
    /// Starts nothing yet.
    pub fn new(python: Arc<Python>) -> Self {
        Self {
            python,
            hears: AtomicBool::new(false),
            told: Mutex::default(),
        }
    }

    /// What is wrong with a control, by its module's own word. A module that is not there is no flaw, as in the
    /// reference: the run goes on without it, and the user is told.
    pub async fn check(&self, control: &Map<String, Value>) -> Vec<Flaw> {
        match module(control) {
            Some(Ok(_)) => {}
            Some(Err(flaw)) => return vec![flaw],
            None => return Vec::new(),
        }
        let request = Map::from_iter([("control".into(), Value::Object(control.clone()))]);
        match self.python.control(CONTROLS, "validate", request).await {
            Ok(flaws) => flaws.as_array().into_iter().flatten().map(flaw).collect(),
            Err(error) => vec![Flaw::of(None, error.to_string())],
        }
    }

    /// Whether a control's module has a function.
    async fn offers(&self, module: &str, function: &str) -> Result<Offer, Stopped> {
        let mut told = self.told.lock().await;
        if !told.offered.contains_key(module) {
            let request = Map::from_iter([
                ("module".into(), module.into()),
                ("functions".into(), json!(FUNCTIONS)),
            ]);
            let found = self.python.control(CONTROLS, "offers", request).await?;
            let found = found.as_array().map(|names| {
                let names = names.iter().filter_map(Value::as_str);
                names.map(str::to_owned).collect()
            });
            told.offered.insert(module.to_owned(), found);
        }
        Ok(match told.offered.get(module) {
            Some(Some(functions)) if functions.contains(function) => Offer::Function,
            Some(Some(_)) => Offer::Module,
            _ => Offer::Nothing,
        })
    }

    /// Asks for a function with what a run has, and takes back what it changed.
    async fn give(
        &self,
        op: &str,
        mut request: Map<String, Value>,
        given: Given<'_>,
    ) -> Result<Value, Stopped> {
        let Given {
            mut context,
            mut state,
            experiment,
            variables,
        } = given;
        let configuration = Value::Object(variables.configuration.clone());
        request.insert("configuration".into(), configuration);
        request.insert("secrets".into(), Value::Object(variables.secrets.clone()));
        request.insert(
            "state".into(),
            state.as_deref().cloned().unwrap_or_default(),
        );
        if let Some(context) = context.as_deref() {
            request.insert("context".into(), context.clone());
        }
        {
            // Sent when it is another than the one that is there: so it stays one object.
            let mut told = self.told.lock().await;
            if told.experiment.as_ref() != Some(&*experiment) {
                request.insert("experiment".into(), experiment.clone());
                told.experiment = Some(experiment.clone());
            }
        }
        let mut said = self.python.control(CONTROLS, op, request).await?;
        let Some(Value::Object(mut changed)) = said.get_mut("changed").map(Value::take) else {
            return Ok(said);
        };
        if let Some(now) = changed.remove("experiment") {
            self.told.lock().await.experiment = Some(now.clone());
            *experiment = now;
        }
        for (part, now) in [
            (&mut context, changed.remove("context")),
            (&mut state, changed.remove("state")),
        ] {
            if let (Some(part), Some(now)) = (part, now) {
                **part = now;
            }
        }
        if let Some(Value::Object(now)) = changed.remove("configuration") {
            variables.configuration = now;
        }
        if let Some(Value::Object(now)) = changed.remove("secrets") {
            variables.secrets = now;
        }
        Ok(said)
    }

    async fn configure_one(
        &self,
        control: &Map<String, Value>,
        experiment: &mut Value,
        variables: &mut Variables,
        settings: &Value,
    ) -> Result<bool, Stopped> {
        let Some(Ok(module)) = module(control) else {
            return Ok(true);
        };
        match self.offers(&module, "configure_control").await? {
            Offer::Nothing => return Ok(false),
            Offer::Module => return Ok(true),
            Offer::Function => {}
        }
        // Names in these stay as they are, in the reference too.
        let request = Map::from_iter([
            ("module".into(), module.into()),
            ("arguments".into(), arguments(control)),
            ("settings".into(), settings.clone()),
        ]);
        let given = Given {
            context: None,
            state: None,
            experiment,
            variables,
        };
        let said = self.give("configure", request, given).await?;
        self.hears
            .fetch_or(said["hears"] == true, Ordering::Relaxed);
        Ok(said["kept"] == true)
    }

    /// Another Python knows nothing of what was set up in the one before: those that were configured are so again.
    async fn know(&self, experiment: &mut Value, variables: &mut Variables) -> Result<(), Stopped> {
        for (control, settings) in self.forgotten().await? {
            if self
                .configure_one(&control, experiment, variables, &settings)
                .await?
            {
                self.told.lock().await.configured.push((control, settings));
            }
        }
        Ok(())
    }

    async fn forgotten(&self) -> Result<Vec<(Map<String, Value>, Value)>, Stopped> {
        let generation = self.python.generation().await?;
        let mut told = self.told.lock().await;
        if told.generation == generation {
            return Ok(Vec::new());
        }
        let before = std::mem::replace(
            &mut *told,
            Told {
                generation,
                ..Told::default()
            },
        );
        Ok(before.configured)
    }

    async fn apply_one(&self, call: Call<'_>) -> Result<(), Interrupted> {
        let Some(Ok(module)) = module(call.control) else {
            return Ok(());
        };
        let function = function(call.level, call.scope);
        let is_whole = matches!(
            call.level,
            Level::Experiment | Level::Method | Level::Rollback
        );
        let applied = async {
            let experiment = if is_whole {
                &mut *call.context
            } else {
                &mut *call.experiment
            };
            self.know(experiment, call.variables).await?;
            if self.offers(&module, function).await? != Offer::Function {
                return Ok(Value::Null);
            }
            let mut arguments = arguments(call.control);
            if !call.variables.configuration.is_empty() || !call.variables.secrets.is_empty() {
                arguments = substitute(&arguments, call.variables);
            }
            let request = Map::from_iter([
                ("module".into(), module.as_str().into()),
                ("function".into(), function.into()),
                ("arguments".into(), arguments),
                ("settings".into(), call.settings.clone()),
            ]);
            let (context, experiment) = if is_whole {
                (None, call.context)
            } else {
                (Some(call.context), call.experiment)
            };
            let given = Given {
                context,
                state: call.state,
                experiment,
                variables: call.variables,
            };
            self.give("control", request, given).await
        };
        match applied.await {
            Ok(said) => match said["interrupted"].as_str() {
                Some(why) => Err(Interrupted::Raised(why.to_owned())),
                None => Ok(()),
            },
            Err(Stopped::Interrupted(why)) => Err(Interrupted::Raised(why)),
            Err(Stopped::Exited { message, rollbacks }) => Err(Interrupted::Left {
                why: message,
                rollbacks,
            }),
            // A control that fails is no reason to end a run.
            Err(Stopped::Failed(_) | Stopped::Crashed(_)) => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    Nothing,
    Module,
    Function,
}

impl Controls for PythonControls {
    fn configure<'a>(
        &'a self,
        control: &'a Map<String, Value>,
        experiment: &'a mut Value,
        variables: &'a mut Variables,
        settings: &'a Value,
    ) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            if module(control).is_none() {
                return true;
            }
            if self.know(experiment, variables).await.is_err() {
                return false;
            }
            let configured = self
                .configure_one(control, experiment, variables, settings)
                .await
                .unwrap_or(false);
            if configured {
                let mut told = self.told.lock().await;
                told.configured.push((control.clone(), settings.clone()));
            }
            configured
        })
    }

    fn apply<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Result<(), Interrupted>> {
        Box::pin(self.apply_one(call))
    }

    fn note(&self, moment: Moment<'_>, journal: &dyn Fn() -> Value) {
        self.tell_moment(moment, journal);
    }

    fn cleanup<'a>(&'a self, control: &'a Map<String, Value>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Some(Ok(module)) = module(control) else {
                return;
            };
            let known = self.forgotten().await.is_ok();
            if known && self.offers(&module, "cleanup_control").await == Ok(Offer::Function) {
                let request = Map::from_iter([("module".into(), module.into())]);
                // What went wrong, Python has said.
                let _ = self.python.control(CONTROLS, "cleanup", request).await;
            }
        })
    }
}

/// The module of a control of type python.
fn module(control: &Map<String, Value>) -> Option<Result<String, Flaw>> {
    let provider = control.get("provider").and_then(Value::as_object)?;
    if provider.get("type").and_then(Value::as_str) != Some("python") {
        return None;
    }
    let what = "a control of type python needs `module`: the name of a Python module".to_owned();
    Some(match provider.get("module") {
        Some(Value::String(module)) if !module.is_empty() => Ok(module.clone()),
        Some(_) => Err(Flaw::of(Some("module"), what)),
        None => Err(Flaw::of(None, what)),
    })
}

fn arguments(control: &Map<String, Value>) -> Value {
    let provider = control.get("provider").and_then(Value::as_object);
    let arguments = provider.and_then(|provider| provider.get("arguments"));
    arguments.cloned().unwrap_or_else(|| json!({}))
}

fn function(level: Level, scope: Scope) -> &'static str {
    let first = match level {
        Level::Loader => 2,
        Level::Experiment => 4,
        Level::Hypothesis => 6,
        Level::Method => 8,
        Level::Rollback => 10,
        Level::Activity => 12,
    };
    FUNCTIONS[first + usize::from(scope == Scope::After)]
}

fn flaw(said: &Value) -> Flaw {
    let key = (said[0] == "module").then_some("module");
    Flaw::of(key, said[1].as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests;
