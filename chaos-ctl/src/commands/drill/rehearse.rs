//! Plans what is to act in the phases of a drill: nothing is sent, and nothing acts.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::plan::{Phase, Plan};
use super::tell::{of_phase, sent};
use crate::error::CommandError;
use crate::experiment::Steer;
use crate::global::Global;
use crate::output::Output;
use crate::output::sink::{Said, Sink};
use crate::quantity::time_in_words;

/// What is said of a phase's plan.
#[derive(Debug)]
struct Listener {
    name: String,
    /// Nothing where the drill itself follows, and says it all again.
    output: Option<Output<'static>>,
    result: Mutex<Option<(Value, String)>>,
}

impl Sink for Listener {
    fn result(&self, json: Value, table: String) {
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        *result = Some((json, table));
    }

    fn said(&self, how: Said, line: &str) {
        let Some(output) = self.output else { return };
        let line = format!("{}: {line}", self.name);
        match how {
            Said::Note => output.talk(&line),
            Said::Warning => output.warn(&line),
        }
    }
}

/// A phase, and what came of planning it.
struct Planned<'a> {
    phase: &'a Phase,
    result: Option<(Value, String)>,
    error: Option<CommandError>,
}

/// Plans all faults before the first request: what cannot be done is said then.
pub(super) async fn plan_all(plan: &Plan, global: &Global) -> Result<(), CommandError> {
    for phase in &plan.phases {
        if let Some(error) = planned(phase, global, None).await.error {
            return Err(error);
        }
    }
    Ok(())
}

/// Plans all faults, and prints the phases with what would be hit; also where one of them cannot be.
pub(super) async fn rehearse(
    plan: &Plan,
    global: &Global,
    output: Output<'static>,
) -> Result<(), CommandError> {
    let (mut all, mut failure) = (Vec::new(), None);
    for phase in &plan.phases {
        let mut planned = planned(phase, global, Some(output)).await;
        let error = planned.error.take();
        let has_plan = planned.result.is_some();
        if error.is_none() || has_plan {
            all.push(planned);
        }
        if error.is_some() {
            failure = error;
            break;
        }
    }
    let is_worth_it = failure.is_none() || all.iter().any(|planned| planned.result.is_some());
    if is_worth_it {
        output.result(|| text(&all), || document(plan, &all))?;
    }
    failure.map_or(Ok(()), Err)
}

async fn planned<'a>(
    phase: &'a Phase,
    global: &Global,
    output: Option<Output<'static>>,
) -> Planned<'a> {
    let Some(faults) = &phase.faults else {
        return Planned {
            phase,
            result: None,
            error: None,
        };
    };
    let listener = Listener {
        name: phase.name.clone(),
        output,
        result: Mutex::default(),
    };
    // Whoever interrupts it drops all of this: a plan leaves nothing behind.
    let (_hand, steer) = Steer::by_hand();
    let sink = Output::to_sink(&listener);
    let done = faults.run(Some(phase.length), true, global, steer, sink);
    let error = Box::pin(done).await.err();
    let result = listener.result.into_inner();
    Planned {
        phase,
        result: result.unwrap_or_else(PoisonError::into_inner),
        error: error.map(|error| of_phase(&phase.name, error)),
    }
}

fn text(all: &[Planned<'_>]) -> String {
    let mut text = String::new();
    for Planned { phase, result, .. } in all {
        let length = time_in_words(phase.length);
        let _ = write!(text, "{} for {length}", phase.name);
        text.push_str(match result {
            None => ", no faults\n",
            Some(_) => "\n",
        });
        if let Some((_, table)) = result {
            let _ = writeln!(text, "{table}\n");
        }
    }
    text.trim_end().to_owned()
}

fn document(plan: &Plan, all: &[Planned<'_>]) -> Value {
    let phases = all.iter().map(|planned| {
        json!({
            "name": planned.phase.name,
            "duration_ns": u64::try_from(planned.phase.length.as_nanos()).unwrap_or(u64::MAX),
            "experiment": planned.result.as_ref().map(|(json, _)| json),
        })
    });
    json!({
        "outcome": "dry_run",
        "load": sent(plan).json(),
        "phases": phases.collect::<Vec<_>>(),
    })
}
