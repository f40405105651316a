//! Stand-in until the real one is merged: processes only.

use std::process::Stdio;

use serde_json::{Map, Value, json};

use crate::variables::{Variables, substitute};
use python::Python;

pub mod python {
    //! Stand-in.

    use std::path::PathBuf;

    /// Nothing.
    #[derive(Debug)]
    pub struct Python {
        /// The program.
        pub program: PathBuf,
    }

    impl Python {
        /// Starts nothing.
        pub fn new(program: PathBuf) -> Self {
            Self { program }
        }

        /// Does nothing.
        #[expect(clippy::unused_async, reason = "the real one asks Python")]
        pub async fn leave_background(&self) {}

        /// Does nothing.
        #[expect(clippy::unused_async, reason = "the real one asks Python")]
        pub async fn close(&self) {}
    }
}

/// An activity that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityFailed {
    /// What happened.
    pub message: String,
    /// Lines of the journal's `exception`.
    pub trace: Vec<String>,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It failed.
    Failed(ActivityFailed),
    /// A python activity raised `InterruptExecution`.
    Interrupted(String),
    /// The reference would end with a traceback.
    Crashed(String),
}

/// Where python code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    /// In the foreground.
    Main,
    /// In the background.
    Background,
}

/// Does the work of one activity.
pub async fn perform(
    activity: &Map<String, Value>,
    variables: &Variables,
    _python: &Python,
    _place: Thread,
) -> Result<Value, Stopped> {
    let broken = |what: &str| Stopped::Crashed(what.to_owned());
    let provider = activity.get("provider").and_then(Value::as_object);
    let provider = provider.ok_or_else(|| broken("no provider"))?;
    let path = provider.get("path").and_then(Value::as_str);
    let path = path.ok_or_else(|| broken("no path"))?;
    let arguments = substitute(provider.get("arguments").unwrap_or(&Value::Null), variables);
    let mut command = match &arguments {
        Value::String(text) => {
            let mut command = tokio::process::Command::new("/bin/sh");
            command.arg("-c").arg(format!("{path} {text}"));
            command
        }
        Value::Array(items) => {
            let mut command = tokio::process::Command::new(path);
            command.args(items.iter().map(|item| match item {
                Value::String(text) => text.clone(),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Array(_)
                | Value::Object(_) => item.to_string(),
            }));
            command
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            tokio::process::Command::new(path)
        }
    };
    let done = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let limit = provider.get("timeout").and_then(Value::as_f64);
    let done = match limit {
        Some(limit) => {
            let limit = std::time::Duration::from_secs_f64(limit);
            tokio::time::timeout(limit, done).await.map_err(|_| {
                let message = "process activity took too long to complete".to_owned();
                let trace = vec![format!("chaoslib.exceptions.ActivityFailed: {message}\n")];
                Stopped::Failed(ActivityFailed { message, trace })
            })?
        }
        None => done.await,
    };
    let done = done.map_err(|error| broken(&error.to_string()))?;
    Ok(json!({
        "status": done.status.code(),
        "stdout": String::from_utf8_lossy(&done.stdout),
        "stderr": String::from_utf8_lossy(&done.stderr),
    }))
}
