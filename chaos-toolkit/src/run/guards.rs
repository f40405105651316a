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
use crate::observe::Event;
use crate::provider::{Stopped, Thread};

const EVERY: Duration = Duration::from_millis(250);
/// A check that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A guard that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {what}")]
pub struct GuardProblem {
    /// Where in the experiment, as a JSON pointer.
    pub pointer: String,
    /// What is wrong, and what was expected.
    pub what: String,
}

/// One guard.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
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
pub fn guards(experiment: &Value) -> Result<Vec<Guard>, GuardProblem> {
    let problem = |pointer: &str, what: &str| GuardProblem {
        pointer: pointer.to_owned(),
        what: what.to_owned(),
    };
    match experiment.get("abort_when") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => {
            let read = |(index, guard)| Guard::read(guard, &format!("/abort_when/{index}"));
            list.iter().enumerate().map(read).collect()
        }
        Some(_) => Err(problem("/abort_when", "must be a list of guards")),
    }
}

impl Guard {
    fn read(guard: &Value, pointer: &str) -> Result<Self, GuardProblem> {
        const KEYS: [&str; 7] = [
            "name",
            "provider",
            "is",
            "is_not",
            "every",
            "timeout",
            "on_failure",
        ];
        let wrong = |key: &str, what: String| GuardProblem {
            pointer: match key {
                "" => pointer.to_owned(),
                key => format!("{pointer}/{key}"),
            },
            what,
        };
        let map = guard
            .as_object()
            .ok_or_else(|| wrong("", "a guard must be a mapping".into()))?;
        if let Some(key) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let what = format!("a guard has no `{key}`: it has {}", KEYS.join(", "));
            return Err(wrong(key, what));
        }
        let name = map
            .get("name")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| wrong("", "a guard needs a `name`".into()))?;
        let provider = map.get("provider").and_then(Value::as_object);
        let provider =
            provider.ok_or_else(|| wrong("", format!("guard `{name}` needs a `provider`")))?;
        let of_type = provider
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !["http", "process", "prometheus"].contains(&of_type) {
            let what = format!(
                "a guard cannot ask a provider of type `{of_type}`: it must be http, process or prometheus"
            );
            return Err(wrong("provider/type", what));
        }
        let (tolerance, trips_within) = match (map.get("is"), map.get("is_not")) {
            (Some(is), None) => (is, true),
            (None, Some(is_not)) => (is_not, false),
            (None, None) | (Some(_), Some(_)) => {
                let what = format!("guard `{name}` needs either `is` or `is_not`, a tolerance");
                return Err(wrong("", what));
            }
        };
        let time = |key: &str, usual| match map.get(key) {
            None => Ok(usual),
            Some(value) => duration(value).ok_or_else(|| {
                let what = format!(
                    "`{value}` is no time: write one such as 250ms, or a number of seconds"
                );
                wrong(key, what)
            }),
        };
        let ignores_failures = match map.get("on_failure").map(Value::as_str) {
            None | Some(Some("abort")) => false,
            Some(Some("ignore")) => true,
            Some(_) => return Err(wrong("on_failure", "must be `abort` or `ignore`".into())),
        };
        let mut activity = Map::new();
        activity.insert("type".to_owned(), "probe".into());
        activity.insert("name".to_owned(), name.into());
        activity.insert("tolerance".to_owned(), tolerance.clone());
        activity.insert("provider".to_owned(), provider.clone().into());
        Ok(Self {
            name: name.to_owned(),
            activity,
            tolerance: tolerance.clone(),
            trips_within,
            every: time("every", EVERY)?,
            timeout: time("timeout", TIMEOUT)?,
            ignores_failures,
        })
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

/// A number of seconds, or a text such as 250ms.
fn duration(value: &Value) -> Option<Duration> {
    let duration = match value {
        Value::Number(seconds) => Duration::try_from_secs_f64(seconds.as_f64()?).ok()?,
        Value::String(text) => humantime::parse_duration(text).ok()?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (!duration.is_zero()).then_some(duration)
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
            "/abort_when/0: guard `g` needs either `is` or `is_not`, a tolerance"
        );
        assert_eq!(
            problem(json!({"name": "g", "provider": provider, "is": 1, "every": "soon"})),
            "/abort_when/0/every: `\"soon\"` is no time: write one such as 250ms, or a number of seconds"
        );
        assert!(
            problem(json!({"name": "g", "provider": {"type": "python"}, "is": 1}))
                .contains("`python`")
        );
        assert!(problem(json!({"name": "g", "evry": 1})).contains("no `evry`"));
    }
}
