//! What Python says to what it was asked, and what that means for an activity.

use serde_json::Value;

use crate::provider::{ActivityFailed, Stopped};

/// What Python said to a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// The request was done.
    Said { kind: String, value: Value },
    /// Python ended before it was.
    Gone(String),
}

/// What came of it; `doing` is what could not be done if Python ended before it was.
pub(super) fn heard(answer: Answer, doing: &str) -> Result<Value, Stopped> {
    let (kind, value) = match answer {
        Answer::Said { kind, value } => (kind, value),
        Answer::Gone(why) => {
            return Err(
                ActivityFailed::new(format!("{doing} did not come to its end: {why}")).into(),
            );
        }
    };
    let message = value["message"].as_str().unwrap_or_default().to_owned();
    Err(match kind.as_str() {
        "done" => return Ok(value),
        "interrupted" => Stopped::Interrupted(message),
        "exited" => Stopped::Exited {
            message,
            rollbacks: value["code"] != 30,
        },
        "crashed" => Stopped::Crashed(message),
        _ => match value["trace"].as_array() {
            Some(lines) => {
                let trace = lines
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect();
                ActivityFailed { message, trace }.into()
            }
            None => ActivityFailed::new(message).into(),
        },
    })
}
