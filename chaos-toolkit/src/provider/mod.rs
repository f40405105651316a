//! Who does the work of an activity: a request, a process, a function of Python. Knows nothing of the order of activities,
//! of the journal, or of tolerances; `type: chaos` is not for here, but for whoever implements [`crate::faults::Faults`].

use serde_json::{Map, Value};

use crate::python_value::{given, kind, text};
use crate::variables::Variables;

pub mod http;
pub mod process;
pub mod prometheus;
pub mod python;

use python::Python;

/// An activity that failed, as the reference's `ActivityFailed`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ActivityFailed {
    /// What failed, in a sentence.
    pub message: String,
    /// The lines of the journal's `exception`.
    pub trace: Vec<String>,
}

impl ActivityFailed {
    /// One that was no exception of Python: the journal shows it as the reference would without the way to it.
    pub fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            trace: vec![format!("chaoslib.exceptions.ActivityFailed: {message}\n")],
            message,
        }
    }
}

/// Why an activity gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// It failed; the run goes on.
    #[error("{0}")]
    Failed(#[from] ActivityFailed),
    /// A python activity raised `InterruptExecution`: the whole run ends.
    #[error("{0}")]
    Interrupted(String),
    /// Python code left as programs do (`SystemExit`), or was interrupted: the whole run ends, as by a signal.
    #[error("{message}")]
    Exited {
        /// What was said.
        message: String,
        /// Whether rollbacks may be played: not after code 30, with which `chaoslib.exit.exit_ungracefully` leaves.
        rollbacks: bool,
    },
    /// It could not be done as it is written. The reference ends with a traceback of Python here: a method is `aborted`.
    #[error("{0}")]
    Crashed(String),
}

impl Stopped {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(ActivityFailed::new(message))
    }

    pub(crate) fn crashed(message: impl Into<String>) -> Self {
        Self::Crashed(message.into())
    }
}

/// Where python code runs: in the foreground it has the main thread, as in the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    /// An activity that the run waits for.
    Main,
    /// One in the background, or a probe of a hypothesis during the method.
    Background,
}

/// Does the work of one activity. Dropped before it is done, a process is killed, a request is given up, and a python call
/// in the foreground is interrupted.
pub async fn perform(
    activity: &Map<String, Value>,
    variables: &Variables,
    python: &Python,
    place: Thread,
) -> Result<Value, Stopped> {
    let Some(Value::Object(provider)) = activity.get("provider") else {
        return Err(Stopped::crashed("the activity has no provider"));
    };
    match provider.get("type").and_then(Value::as_str) {
        Some("process") => process::run(provider, variables).await,
        Some("http") => http::run(provider, variables).await,
        Some("prometheus") => prometheus::run(provider, variables).await,
        Some("python") => python.call(activity, variables, place).await,
        // The reference gives nothing, and says nothing.
        _ => Ok(Value::Null),
    }
}

/// What a provider must have, as a text.
fn required<'a>(provider: &'a Map<String, Value>, key: &str) -> Result<&'a str, Stopped> {
    match provider.get(key) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(Stopped::crashed(format!(
            "the provider's `{key}` must be a text, not {}",
            kind(other)
        ))),
        None => Err(Stopped::crashed(format!("the provider has no `{key}`"))),
    }
}

/// The arguments: their names are replaced where there is anything to replace them with.
fn arguments(provider: &Map<String, Value>, variables: &Variables) -> Option<Value> {
    let arguments = given(provider, "arguments")?;
    Some(
        if variables.configuration.is_empty() && variables.secrets.is_empty() {
            arguments.clone()
        } else {
            crate::variables::substitute(arguments, variables)
        },
    )
}

/// A duration in seconds, as Python takes them.
fn seconds(value: &Value) -> Result<std::time::Duration, Stopped> {
    let number = match value {
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::Number(number) => number.as_f64(),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let Some(number) = number else {
        return Err(Stopped::crashed(format!(
            "a timeout must be a number of seconds, not {}",
            text(value)
        )));
    };
    // What is too long for a clock is for ever.
    Ok(std::time::Duration::try_from_secs_f64(number.max(0.0)).unwrap_or(std::time::Duration::MAX))
}
