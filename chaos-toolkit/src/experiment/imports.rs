//! The user's Python, as validation asks it.

use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::Imports;
use crate::control::python::PythonControls;
use crate::problem::Flaw;
use crate::provider::python::Python;
use crate::variables::Environment;

/// Asks a Python, which is started for it only if there is something to ask.
pub struct Asked<'a> {
    /// Who imports what activities name.
    pub python: &'a Python,
    /// Who imports what controls name.
    pub controls: &'a PythonControls,
    /// What the experiment will find in its environment.
    pub environment: Environment,
}

impl Imports for Asked<'_> {
    fn environment(&self) -> Environment {
        self.environment.clone()
    }

    fn activity<'a>(&'a self, activity: &'a Map<String, Value>) -> BoxFuture<'a, Vec<Flaw>> {
        Box::pin(async { self.python.check(activity).await.err().unwrap_or_default() })
    }

    fn control<'a>(&'a self, control: &'a Map<String, Value>) -> BoxFuture<'a, Vec<Flaw>> {
        Box::pin(self.controls.check(control))
    }
}
