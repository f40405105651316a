//! Events of a run for handlers that controls registered, by the reference's names. Waits for none of them.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::PythonControls;
use crate::observe::{Event, Observer, Phase};
use crate::run::Moment;

impl PythonControls {
    /// Tells handlers, if there are any; `of` is what they hear: whether the experiment comes first, and what else.
    fn tell_handlers<'a>(&self, of: impl FnOnce() -> Option<(&'a str, bool, Value)>) {
        if !self.hears.load(Ordering::Relaxed) {
            return;
        }
        let Some((name, experiment, arguments)) = of() else {
            return;
        };
        let request = json!({"event": name, "experiment": experiment, "arguments": arguments});
        if let Value::Object(request) = request {
            self.python.tell("event", request);
        }
    }

    pub(super) fn tell_moment(&self, moment: Moment<'_>, journal: &dyn Fn() -> Value) {
        self.tell_handlers(|| {
            Some(match moment {
                Moment::Running {
                    variables,
                    options,
                    settings,
                } => {
                    let schedule = json!([options.frequency.as_secs_f64(), options.fail_fast]);
                    let (configuration, secrets) = (&variables.configuration, &variables.secrets);
                    let given = json!([journal(), configuration, secrets, schedule, settings]);
                    ("running", true, given)
                }
                Moment::Looked { phase, state } => {
                    let name = match phase {
                        Phase::Before => "hypothesis_before_completed",
                        Phase::After => "hypothesis_after_completed",
                        Phase::During | Phase::Method | Phase::Rollbacks | Phase::Recovery => {
                            return None;
                        }
                    };
                    (name, true, json!([state, journal()]))
                }
                Moment::LookingOn(pause) => {
                    let pause = json!([pause.as_secs_f64()]);
                    ("start_continuous_hypothesis", false, pause)
                }
                Moment::LookedAgain { count, state } => (
                    "continuous_hypothesis_iteration",
                    false,
                    json!([count, state]),
                ),
                Moment::LookedOn => {
                    let given = json!([journal(), null]);
                    ("continuous_hypothesis_completed", true, given)
                }
                Moment::Played(runs) => ("method_completed", true, json!([runs])),
                Moment::Undone => ("rollbacks_completed", true, json!([journal()])),
                Moment::Interrupted => ("interrupted", true, json!([journal()])),
                Moment::Left => ("signal_exit", false, json!([])),
            })
        });
    }
}

/// For controls that register handlers of the reference's events.
impl Observer for PythonControls {
    fn hear(&self, event: Event<'_>) {
        self.tell_handlers(|| {
            Some(match event {
                Event::PhaseStarted(Phase::Before) => ("start_hypothesis_before", true, json!([])),
                Event::PhaseStarted(Phase::After) => ("start_hypothesis_after", true, json!([])),
                Event::PhaseStarted(Phase::Method) => ("start_method", true, json!([])),
                Event::PhaseStarted(Phase::Rollbacks) => ("start_rollbacks", true, json!([])),
                Event::ActivityStarted { activity, .. } => {
                    ("start_activity", false, json!([activity]))
                }
                Event::ActivityEnded { run, .. } => {
                    let activity = run.get("activity");
                    ("activity_completed", false, json!([activity, run]))
                }
                Event::Ended { journal } => ("finish", false, json!([journal])),
                // These come as moments, or are none of the reference's.
                Event::PhaseStarted(Phase::During | Phase::Recovery)
                | Event::PhaseEnded { .. }
                | Event::Interrupted(_)
                | Event::Broken(_)
                | Event::Started { .. }
                | Event::FaultEnded { .. }
                | Event::GuardTripped { .. }
                | Event::Untold(_) => return None,
            })
        });
    }
}
