//! What is said of a run while it goes on.

use std::sync::Mutex;
use std::time::Duration;

use chaos_toolkit::observe::{Event, Observer, Phase};
use chaos_toolkit::run::{expected, failure, seen};
use chaos_toolkit::verdict::said_no;
use serde_json::{Map, Value};

use crate::output::Output;
use crate::output::progress::to_tenths;
use crate::quantity::time_in_words;

/// Says it, line by line.
pub(super) struct Tell {
    output: Output<'static>,
    /// Of the hypothesis.
    title: String,
    /// Of its probes; some are others' and have none themselves.
    tolerances: Vec<Value>,
    /// What is said before the first activity of a phase that may have none.
    title_of_phase: Mutex<Option<&'static str>>,
    /// How many probes of the hypothesis have ended since it was last begun.
    probes: Mutex<usize>,
}

impl Tell {
    pub(super) fn new(output: Output<'static>, experiment: &Value) -> Self {
        let hypothesis = &experiment["steady-state-hypothesis"];
        let probes = hypothesis["probes"].as_array().into_iter().flatten();
        Self {
            output,
            title: hypothesis["title"].as_str().unwrap_or_default().to_owned(),
            tolerances: probes.map(|probe| probe["tolerance"].clone()).collect(),
            title_of_phase: Mutex::new(None),
            probes: Mutex::new(0),
        }
    }

    fn begin(&self, phase: Phase) {
        if let Ok(mut probes) = self.probes.lock() {
            *probes = 0;
        }
        let title = match phase {
            Phase::Before => format!("Steady state before: {}", self.title),
            Phase::After => format!("Steady state after: {}", self.title),
            Phase::Recovery => format!("Steady state once more: {}", self.title),
            Phase::Method => return self.begin_list("Method"),
            Phase::Rollbacks => return self.begin_list("Rollbacks"),
            Phase::During => return,
        };
        self.output.talk(&title);
    }

    fn begin_list(&self, title: &'static str) {
        if let Ok(mut later) = self.title_of_phase.lock() {
            *later = Some(title);
        }
    }

    fn title_now(&self) {
        let title = self
            .title_of_phase
            .lock()
            .ok()
            .and_then(|mut later| later.take());
        if let Some(title) = title {
            self.output.talk(title);
        }
    }

    /// The tolerance of the probe of the hypothesis that has just ended.
    fn tolerance(&self) -> Value {
        let Ok(mut probes) = self.probes.lock() else {
            return Value::Null;
        };
        let tolerance = self.tolerances.get(*probes).cloned().unwrap_or_default();
        *probes += 1;
        tolerance
    }

    fn ended(&self, phase: Phase, run: &Map<String, Value>) {
        let activity = &run["activity"];
        let name = name(activity);
        let took = run.get("duration").and_then(Value::as_f64);
        let took = took.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let took = time_in_words(to_tenths(took.unwrap_or_default()));
        let status = run.get("status").and_then(Value::as_str);
        let line = match (status, run.get("tolerance_met").and_then(Value::as_bool)) {
            (Some("failed"), _) => format!("✗ {name}: {} ({took})", failure(run)),
            (Some(_), Some(false)) => {
                let tolerance = match phase {
                    // It has its own count.
                    Phase::During => activity["tolerance"].clone(),
                    Phase::Before
                    | Phase::Method
                    | Phase::After
                    | Phase::Rollbacks
                    | Phase::Recovery => self.tolerance(),
                };
                let saw = seen(&tolerance, &run["output"]);
                format!(
                    "✗ {name}: expected {}, saw {saw} ({took})",
                    expected(&tolerance)
                )
            }
            // What is always right is no news.
            (Some(_), Some(true)) if phase == Phase::During => return,
            (Some(_), met) => {
                if met.is_some() {
                    self.tolerance();
                }
                match said_no(run) {
                    Some(how) => format!("! {name}: {how} ({took})"),
                    None => format!("✓ {name} ({took})"),
                }
            }
            (None, _) => format!("✗ {name}: did not come to an end, after {took}"),
        };
        let meanwhile = if phase == Phase::During {
            "meanwhile "
        } else {
            ""
        };
        self.output.talk(&format!("  {meanwhile}{line}"));
        if let Some(pause) = activity["pauses"]["after"]
            .as_f64()
            .filter(|pause| *pause > 0.0)
        {
            self.output.detail(&format!("  pausing for {pause} s"));
        }
    }
}

fn name(activity: &Value) -> &str {
    activity["name"]
        .as_str()
        .unwrap_or("an activity without a name")
}

impl Observer for Tell {
    fn hear(&self, event: Event<'_>) {
        match event {
            Event::Started { journal } => {
                if let Some(title) = journal["experiment"]["title"].as_str() {
                    self.output.talk(title);
                }
                if let Some(dry) = journal["experiment"]["dry"].as_str() {
                    self.output.warn(&format!("dry: {dry} are only played at"));
                }
            }
            Event::PhaseStarted(phase) => self.begin(phase),
            Event::ActivityStarted {
                phase, activity, ..
            } => {
                if matches!(phase, Phase::Method | Phase::Rollbacks) {
                    self.title_now();
                }
                if activity.get("background").and_then(Value::as_bool) == Some(true) {
                    let name = activity
                        .get("name")
                        .and_then(Value::as_str)
                        .unwrap_or_default();
                    self.output.talk(&format!("  … {name}, in the background"));
                }
            }
            Event::ActivityEnded { phase, run, .. } => self.ended(phase, run),
            Event::FaultEnded { name, ended } => {
                let why = ended
                    .get("why")
                    .or_else(|| ended.get("reason"))
                    .and_then(Value::as_str);
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                self.output.talk(&format!("  {name} has ended{why}"));
            }
            Event::GuardTripped { name, saw } => {
                self.output.warn(&format!(
                    "guard `{name}` tripped, all faults are stopped: it saw {saw}"
                ));
            }
            Event::Interrupted(why) => self.output.warn(&format!("interrupted: {why}")),
            Event::Broken(why) => self.output.warn(&format!("the run ends: {why}")),
            Event::Untold(why) => self.output.warn(why),
            Event::PhaseEnded { .. } | Event::Ended { .. } => {}
        }
    }
}
