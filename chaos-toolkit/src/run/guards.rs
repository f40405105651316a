//! Guards: probes that are asked beside everything else, and end the run when they see what must not be.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::halt::Halt;
use super::words;
use super::world::World;
use crate::document::Document;
use crate::experiment::{check_guards, time_of_guard};
use crate::observe::Event;
use crate::problem::Problem;
use crate::provider::{Stopped, Thread};

const EVERY: Duration = Duration::from_millis(250);
/// A check that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(1);

/// One guard.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Guard {
    name: String,
    activity: Map<String, Value>,
    tolerance: Value,
    /// Whether it trips when the value is within the tolerance, or when it is not.
    trips_within: bool,
    every: Duration,
    timeout: Duration,
    ignores_failures: bool,
}

/// The guards of an experiment: its `abort_when`.
pub(super) fn guards(experiment: &Value) -> Result<Vec<Guard>, Problem> {
    let document = Document::unwritten("the experiment", experiment.clone());
    if let Some(problem) = check_guards(&document).into_iter().next() {
        return Err(problem);
    }
    let guards = experiment.get("abort_when").and_then(Value::as_array);
    Ok(guards.into_iter().flatten().map(Guard::read).collect())
}

impl Guard {
    /// Reads one with which nothing is wrong.
    fn read(guard: &Value) -> Self {
        let trips_within = guard.get("is").is_some();
        let tolerance = &guard[if trips_within { "is" } else { "is_not" }];
        let time = |key: &str, usual| guard.get(key).and_then(time_of_guard).unwrap_or(usual);
        let activity = [
            ("type", Value::from("probe")),
            ("name", guard["name"].clone()),
            ("tolerance", tolerance.clone()),
            ("provider", guard["provider"].clone()),
        ];
        Self {
            name: guard["name"].as_str().unwrap_or_default().to_owned(),
            activity: activity
                .map(|(key, value)| (key.to_owned(), value))
                .into_iter()
                .collect(),
            tolerance: tolerance.clone(),
            trips_within,
            every: time("every", EVERY),
            timeout: time("timeout", TIMEOUT),
            ignores_failures: guard["on_failure"] == "ignore",
        }
    }

    /// What it saw that must not be.
    async fn check(&self, world: &World) -> Option<String> {
        let variables = world.variables();
        let check = async {
            let value = world
                .work
                .perform(&self.activity, &variables, Thread::Background)
                .await
                .map_err(in_words)?;
            let within = world
                .work
                .within(&self.tolerance, &value, &variables, Thread::Background)
                .await;
            Ok::<_, String>((within.map_err(in_words)? == self.trips_within, value))
        };
        let checked = timeout(self.timeout, check).await.unwrap_or_else(|_| {
            let limit = humantime::format_duration(self.timeout);
            Err(format!("no answer within {limit}"))
        });
        match checked {
            Ok((true, value)) => Some(words::seen(&self.tolerance, &value)),
            Ok((false, _)) => None,
            Err(why) => (!self.ignores_failures).then(|| format!("its probe failed: {why}")),
        }
    }

    /// Asks again and again; done when it has tripped.
    async fn watch(self, world: Arc<World>) {
        let mut due = interval(self.every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            if let Some(saw) = self.check(&world).await {
                world.trip(&self.name, &saw).await;
                return;
            }
        }
    }
}

fn in_words(stopped: Stopped) -> String {
    match stopped {
        Stopped::Failed(failed) => failed.message,
        Stopped::Interrupted(why)
        | Stopped::Crashed(why)
        | Stopped::Exited { message: why, .. } => why,
    }
}

impl World {
    /// Has guards look after the run until the set is dropped.
    pub(crate) fn guarded(self: &Arc<Self>, guards: Vec<Guard>) -> JoinSet<()> {
        let mut watching = JoinSet::new();
        for guard in guards {
            watching.spawn(guard.watch(self.clone()));
        }
        watching
    }

    /// Stops the faults, before anything else; then what runs.
    pub(super) async fn trip(&self, name: &str, saw: &str) {
        self.faults.stop().await;
        self.has_tripped.store(true, Ordering::Relaxed);
        if !self.is_undoing.load(Ordering::Relaxed) {
            self.line.cut(Halt::Guard);
        }
        self.record.tripped(name, saw);
        let [name, saw] = [name, saw].map(|text| self.variables().redact(text));
        self.heard.hear(Event::GuardTripped {
            name: &name,
            saw: &saw,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[expect(clippy::needless_pass_by_value, reason = "shorter where it is called")]
    fn problem(guard: Value) -> String {
        guards(&json!({"abort_when": [guard]}))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_is_wrong_with_a_guard_is_said() {
        let provider = json!({"type": "process", "path": "true"});
        assert_eq!(
            problem(json!({"name": "g", "provider": provider})),
            "the experiment: /abort_when/0: a guard needs `is` or `is_not`; write a tolerance: with `is` it trips when \
             the value is within, with `is_not` when it is not"
        );
        assert_eq!(
            problem(json!({"name": "g", "provider": provider, "is": 1, "every": "soon"})),
            "the experiment: /abort_when/0/every: the `every` of a guard is a time above 0, and this is `soon`; write \
             one such as 250ms, or a number of seconds"
        );
        assert!(
            problem(json!({"name": "g", "provider": {"type": "python"}, "is": 1}))
                .contains("`python`")
        );
        // Without validation, this was found out when it was too late to guard anything.
        let is_nothing = problem(json!({"name": "g", "provider": provider, "is": null}));
        assert!(is_nothing.contains("/abort_when/0/is: "), "{is_nothing}");
        assert!(
            problem(json!({"name": "g", "provider": provider, "is": 1, "evry": 1}))
                .contains("`evry`")
        );
    }

    #[test]
    fn what_a_guard_does_not_say_is_as_usual() {
        let provider = json!({"type": "process", "path": "true"});
        let read = |guard: Value| guards(&json!({"abort_when": [guard]})).unwrap().remove(0);
        let usual = read(json!({"name": "g", "provider": provider, "is_not": 1}));
        assert_eq!((usual.every, usual.timeout), (EVERY, TIMEOUT));
        assert!(!usual.trips_within && !usual.ignores_failures);
        let told = json!({"name": "g", "provider": provider, "is": 0, "every": 2, "timeout": "30ms", "on_failure": "ignore"});
        let told = read(told);
        assert_eq!(told.every, Duration::from_secs(2));
        assert_eq!(told.timeout, Duration::from_millis(30));
        assert!(told.trips_within && told.ignores_failures);
        assert_eq!(told.activity["provider"], provider);
    }
}
