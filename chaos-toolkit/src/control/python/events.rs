//! Events of a run for handlers that controls registered, by the reference's names. Waits for none of them.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::PythonControls;
use crate::observe::{Event, Observer, Phase};

/// For controls that register handlers of the reference's events. What the reference would give them beyond the
/// experiment and the activity, a run does not say here: they get nothing instead.
impl Observer for PythonControls {
    fn hear(&self, event: Event<'_>) {
        if !self.hears.load(Ordering::Relaxed) {
            return;
        }
        let nothing = Value::Null;
        let (name, experiment, arguments) = match event {
            Event::PhaseStarted(phase) => match phase {
                Phase::Before => ("start_hypothesis_before", true, json!([])),
                Phase::After => ("start_hypothesis_after", true, json!([])),
                Phase::Method => ("start_method", true, json!([])),
                Phase::Rollbacks => ("start_rollbacks", true, json!([])),
                Phase::During | Phase::Recovery => return,
            },
            Event::PhaseEnded { phase, met } => {
                let state = json!([{ "steady_state_met": met }, nothing]);
                match phase {
                    Phase::Before => ("hypothesis_before_completed", true, state),
                    Phase::After => ("hypothesis_after_completed", true, state),
                    Phase::Method => ("method_completed", true, json!([nothing])),
                    Phase::Rollbacks => ("rollbacks_completed", true, json!([nothing])),
                    Phase::During | Phase::Recovery => return,
                }
            }
            Event::ActivityStarted { activity, .. } => ("start_activity", false, json!([activity])),
            Event::ActivityEnded { run, .. } => {
                let activity = run.get("activity").unwrap_or(&nothing);
                ("activity_completed", false, json!([activity, run]))
            }
            Event::Interrupted(_) => ("interrupted", true, json!([nothing])),
            Event::Ended { journal } => ("finish", false, json!([journal])),
            Event::Started { .. }
            | Event::FaultEnded { .. }
            | Event::GuardTripped { .. }
            | Event::Untold(_) => return,
        };
        let request = json!({"event": name, "experiment": experiment, "arguments": arguments});
        if let Value::Object(request) = request {
            self.python.tell("event", request);
        }
    }
}
