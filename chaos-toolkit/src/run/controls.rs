//! Which controls hear of what, and when. What one does is somebody else's, behind the trait [`Controls`].
//!
//! The rules, odd as some are, are the reference's: which controls of the settings, of the experiment and of the part
//! itself apply, in which order.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::strategies::Options;
use crate::observe::Phase;
use crate::variables::Variables;

/// A part of a run that controls hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The file is read.
    Loader,
    /// The experiment as a whole.
    Experiment,
    /// The hypothesis, each time.
    Hypothesis,
    /// The method.
    Method,
    /// The rollbacks.
    Rollback,
    /// An activity.
    Activity,
}

/// Whether the part is about to begin, or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// About to begin.
    Before,
    /// Over.
    After,
}

impl Scope {
    fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// What a control is told. It may change what it is told of in place.
#[derive(Debug)]
pub struct Call<'a> {
    /// The control, as declared.
    pub control: &'a Map<String, Value>,
    /// Of which part.
    pub level: Level,
    /// Before or after it.
    pub scope: Scope,
    /// The activity, the hypothesis, or else the experiment; of the loader the file's name.
    pub context: &'a mut Value,
    /// What came of the part: of an activity its run, of a hypothesis its state, of the method and the rollbacks a list of
    /// runs, of the experiment the journal. None before it, or if it did not come to anything.
    pub state: Option<&'a mut Value>,
    /// The experiment; null for the loader. Where the context is the experiment, only the context counts.
    pub experiment: &'a mut Value,
    /// Configuration and secrets.
    pub variables: &'a mut Variables,
    /// What the settings file says.
    pub settings: &'a Value,
}

/// A control that ended the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// It raised `InterruptExecution`: its text.
    #[error("{0}")]
    Raised(String),
    /// It left as programs do.
    #[error("{why}")]
    Left {
        /// In words.
        why: String,
        /// Whether rollbacks may be played: not after code 30.
        rollbacks: bool,
    },
}

/// Does what controls do. Failures of a control are its own: they end nothing.
pub trait Controls: Send + Sync {
    /// Called once for each control, before the run; `false`: a control of the settings is not called any more.
    fn configure<'a>(
        &'a self,
        control: &'a Map<String, Value>,
        experiment: &'a mut Value,
        variables: &'a mut Variables,
        settings: &'a Value,
    ) -> BoxFuture<'a, bool>;

    /// Called at each part that it applies to.
    fn apply<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Result<(), Interrupted>>;

    /// Called once for each control, after the run.
    fn cleanup<'a>(&'a self, control: &'a Map<String, Value>) -> BoxFuture<'a, ()>;

    /// Something happened of which handlers hear that controls registered; nothing waits for them. The journal is as it is now.
    fn note(&self, _moment: Moment<'_>, _journal: &dyn Fn() -> Value) {}
}

/// What handlers hear of beside what observers do, with what the reference gives them.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'a> {
    /// Controls are configured.
    Running {
        /// Configuration and secrets.
        variables: &'a Variables,
        /// How it is run.
        options: &'a Options,
        /// What the settings file says.
        settings: &'a Value,
    },
    /// The hypothesis was looked at before the method, or after it.
    Looked {
        /// When.
        phase: Phase,
        /// Its state.
        state: &'a Value,
    },
    /// It is looked at again and again from now on, with a pause between.
    LookingOn(Duration),
    /// It was looked at once more, for the how manieth time.
    LookedAgain {
        /// Counts from 1.
        count: u64,
        /// Its state.
        state: &'a Value,
    },
    /// It is not any more.
    LookedOn,
    /// The method is over; its runs, unless it was interrupted.
    Played(Option<&'a Value>),
    /// The rollbacks are over.
    Undone,
    /// Python code, a control or SIGTERM interrupted the run.
    Interrupted,
    /// Ctrl-C or another signal did, or a control that left.
    Left,
}

/// The controls of a settings file, or of a file of controls: a mapping of names.
pub fn controls_of(declared: Option<&Value>) -> Vec<Value> {
    let declared = declared.and_then(Value::as_object).into_iter().flatten();
    let named = declared.filter_map(|(name, control)| {
        let mut control = control.as_object()?.clone();
        control.insert("name".to_owned(), name.as_str().into());
        Some(Value::Object(control))
    });
    named.collect()
}

/// Tells the controls of the settings of a file that is about to be read, or of what was read, which they may change.
pub async fn tell_of_loading(
    controls: &dyn Controls,
    of_settings: &[Value],
    source: &str,
    mut read: Option<&mut Value>,
    settings: &Value,
) -> Result<(), Interrupted> {
    let scope = if read.is_some() {
        Scope::After
    } else {
        Scope::Before
    };
    let mut context = Value::String(source.to_owned());
    let mut experiment = Value::Null;
    let mut variables = Variables::default();
    for control in applying(Level::Loader, scope, of_settings, &experiment, &Value::Null) {
        let call = Call {
            control: &control,
            level: Level::Loader,
            scope,
            context: &mut context,
            state: read.as_deref_mut(),
            experiment: &mut experiment,
            variables: &mut variables,
            settings,
        };
        controls.apply(call).await?;
    }
    Ok(())
}

/// The controls that hear of a part, in order.
pub(crate) fn applying(
    level: Level,
    scope: Scope,
    of_settings: &[Value],
    experiment: &Value,
    context: &Value,
) -> Vec<Map<String, Value>> {
    let mut applying = merged(level, of_settings, experiment, context);
    applying.retain(|control| {
        let wanted = control.get("scope").and_then(Value::as_str);
        wanted.is_none_or(|wanted| wanted.is_empty() || wanted == scope.name())
    });
    applying
        .into_iter()
        .filter_map(|control| control.as_object().cloned())
        .collect()
}

fn merged(level: Level, of_settings: &[Value], experiment: &Value, context: &Value) -> Vec<Value> {
    let mut own = of_settings.to_vec();
    own.extend_from_slice(declared(context));
    let of_experiment = declared(experiment);
    if of_experiment.is_empty() {
        return own;
    }
    if own.is_empty() || matches!(level, Level::Method | Level::Rollback) {
        return of_experiment
            .iter()
            .filter(|c| is_automatic(c))
            .cloned()
            .collect();
    }
    for control in own.clone() {
        if let Some(name) = control.get("ref") {
            let referenced = of_experiment.iter().find(|c| c.get("name") == Some(name));
            own.extend(referenced.cloned());
        } else if level != Level::Experiment {
            for other in of_experiment.iter().rev() {
                if other.get("name") != control.get("name") && is_automatic(other) {
                    own.insert(0, other.clone());
                }
            }
        }
    }
    own
}

/// All controls of an experiment, by their names, each once: those that are configured before the run.
pub(crate) fn named(experiment: &Value) -> Vec<Map<String, Value>> {
    let hypothesis = experiment
        .get("steady-state-hypothesis")
        .unwrap_or(&Value::Null);
    let activities = [
        hypothesis.get("probes"),
        experiment.get("method"),
        experiment.get("rollbacks"),
    ];
    let activities = activities
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
        .flatten();
    let mut named: Vec<Map<String, Value>> = Vec::new();
    for control in [experiment, hypothesis]
        .into_iter()
        .chain(activities)
        .flat_map(declared)
    {
        let Some(control) = control.as_object() else {
            continue;
        };
        let name = control
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !name.is_empty()
            && !named
                .iter()
                .any(|other| other.get("name") == control.get("name"))
        {
            named.push(control.clone());
        }
    }
    named
}

fn declared(value: &Value) -> &[Value] {
    value
        .get("controls")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn is_automatic(control: &Value) -> bool {
    control
        .get("automatic")
        .is_none_or(super::activity::is_true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(level: Level, scope: Scope, experiment: &Value, context: &Value) -> Vec<String> {
        applying(level, scope, &[], experiment, context)
            .iter()
            .map(|control| {
                let name = control.get("name").and_then(Value::as_str);
                name.unwrap_or("ref").to_owned()
            })
            .collect()
    }

    #[test]
    fn those_of_the_experiment_apply_below_it_unless_they_are_not_automatic() {
        let experiment = json!({"controls": [{"name": "a"}, {"name": "b", "automatic": false}]});
        let of = |level, context: &Value| names(level, Scope::Before, &experiment, context);
        assert_eq!(of(Level::Experiment, &experiment), ["a", "b"]);
        assert_eq!(of(Level::Method, &experiment), ["a"]);
        assert_eq!(of(Level::Activity, &json!({})), ["a"]);
        let with_its_own = json!({"controls": [{"name": "c"}]});
        assert_eq!(of(Level::Activity, &with_its_own), ["a", "c"]);
        let by_reference = json!({"controls": [{"ref": "b"}]});
        assert_eq!(of(Level::Activity, &by_reference), ["ref", "b"]);
    }

    #[test]
    fn a_scope_leaves_the_other_out() {
        let experiment = json!({"controls": [{"name": "a", "scope": "after"}, {"name": "b"}]});
        assert_eq!(
            names(Level::Method, Scope::Before, &experiment, &experiment),
            ["b"]
        );
        assert_eq!(
            names(Level::Method, Scope::After, &experiment, &experiment),
            ["a", "b"]
        );
    }
}
