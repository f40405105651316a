//! Stands in for the order of things; what controls are told is as there.

use futures::future::BoxFuture;
use serde_json::{Map, Value};

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

/// A control that raised `InterruptExecution`: its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted(pub String);

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
}
