//! Providers of `type: python`. Stands in for the one that runs them.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{Stopped, Thread};
use crate::variables::Variables;

/// The user's Python.
#[derive(Debug)]
pub struct Python {
    program: PathBuf,
}

impl Python {
    /// Starts nothing yet.
    pub fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// Calls the function of a provider.
    #[expect(clippy::unused_async, reason = "the one that this stands for waits")]
    pub async fn call(
        &self,
        _activity: &Map<String, Value>,
        _variables: &Variables,
        _thread: Thread,
    ) -> Result<Value, Stopped> {
        Err(Stopped::Crashed(format!(
            "{} is not started by this build",
            self.program.display()
        )))
    }
}
