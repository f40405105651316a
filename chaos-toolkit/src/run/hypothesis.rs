//! The hypothesis: once, or again and again while the method runs.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::activity::{Begun, Due, Written};
use super::controls::{Level, Moment, Scope};
use super::halt::{Halt, of_stopped};
use super::strategies::Dry;
use super::world::{Context, World};
use crate::journal::{Status, When, lock};
use crate::observe::{Event, Phase};
use crate::provider::Thread;
use crate::variables::substitute;

const HYPOTHESIS: &str = "/steady-state-hypothesis";

/// Whether a state says that the hypothesis was met.
pub(crate) fn is_met(state: &Value) -> bool {
    state["steady_state_met"] == Value::Bool(true)
}

/// The status of a run whose hypothesis was not met: whether a probe failed, or only saw what it should not.
pub(crate) fn status_of(state: &Value) -> Status {
    let mut probes = state["probes"].as_array().into_iter().flatten();
    if probes.any(|probe| probe["status"] != "succeeded") {
        Status::Failed
    } else {
        Status::Completed
    }
}

fn phase_of(when: When) -> Phase {
    match when {
        When::Before => Phase::Before,
        When::During => Phase::During,
        When::After => Phase::After,
        When::Recovery => Phase::Recovery,
    }
}

impl World {
    /// Looks at it once, in the foreground, and writes down the state.
    pub(crate) async fn look(self: &Arc<Self>, when: When) -> Result<Value, Halt> {
        let phase = phase_of(when);
        self.heard.hear(Event::PhaseStarted(phase));
        let looked = self.hypothesis(when, Thread::Main).await;
        let met = looked.as_ref().ok().map(is_met);
        if let Ok(state) = &looked {
            self.record.decided(when, state);
            self.note(Moment::Looked { phase, state });
        }
        self.heard.hear(Event::PhaseEnded { phase, met });
        looked
    }

    async fn hypothesis(self: &Arc<Self>, when: When, place: Thread) -> Result<Value, Halt> {
        let tell = async |scope, state: Option<&mut Value>| {
            let context = Context::At(HYPOTHESIS);
            self.tell_controls(Level::Hypothesis, scope, context, state, place)
                .await
        };
        let mut state = json!({"steady_state_met": null, "probes": []});
        let told = tell(Scope::Before, None).await;
        let done = match told {
            Ok(()) => self.probes(when, place, &mut state).await,
            Err(halt) => {
                // It did not come to anything.
                tell(Scope::After, None).await?;
                return Err(halt);
            }
        };
        tell(Scope::After, Some(&mut state)).await?;
        done.map(|()| state)
    }

    async fn probes(
        self: &Arc<Self>,
        when: When,
        place: Thread,
        state: &mut Value,
    ) -> Result<(), Halt> {
        let is_dry = matches!(self.options.dry, Some(Dry::Probes | Dry::Activities));
        for index in 0..self.length("/steady-state-hypothesis/probes") {
            let pointer = format!("{HYPOTHESIS}/probes/{index}");
            let begun = self
                .execute(Due {
                    written: Written::At(pointer.clone()),
                    phase: phase_of(when),
                    place,
                    list: None,
                })
                .await?;
            let judged = self.judge(&pointer, &begun, is_dry, place).await;
            let is_right = judged.as_ref().is_ok_and(|is_right| *is_right);
            lock(&begun.entry).insert("tolerance_met".to_owned(), is_right.into());
            self.record.probed(when, &begun.entry);
            begun.ended(self);
            if let Some(probes) = state["probes"].as_array_mut() {
                probes.push(Value::Object(lock(&begun.entry).clone()));
            }
            if !judged? {
                state["steady_state_met"] = false.into();
                return Ok(());
            }
        }
        state["steady_state_met"] = true.into();
        Ok(())
    }

    /// Whether what a probe saw is right. The tolerance is that of the hypothesis, also where the probe is another's.
    async fn judge(
        &self,
        pointer: &str,
        begun: &Begun,
        is_dry: bool,
        place: Thread,
    ) -> Result<bool, Halt> {
        let run = lock(&begun.entry).clone();
        if run.get("status").and_then(Value::as_str) == Some("failed") {
            return Ok(false);
        }
        if is_dry {
            return Ok(true);
        }
        let variables = self.variables_of(begun.number);
        let mut tolerance = self.part(pointer)["tolerance"].take();
        match tolerance {
            Value::Null => return Ok(false),
            Value::String(_) => tolerance = substitute(&tolerance, &variables),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {}
        }
        let output = run.get("output").unwrap_or(&Value::Null);
        let within = self.work.within(&tolerance, output, &variables, place);
        let within = match place {
            Thread::Main => self.line.unless_cut(within).await?,
            Thread::Background => within.await,
        };
        match within.map_err(of_stopped) {
            Ok(is_within) => Ok(is_within),
            Err(Ok(_failed)) => Ok(false),
            Err(Err(halt)) => Err(halt),
        }
    }

    /// Looks at it again and again until it is told not to, or the run is decided.
    pub(crate) async fn look_on(self: Arc<Self>, mut over: watch::Receiver<bool>) {
        self.heard.hear(Event::PhaseStarted(Phase::During));
        self.note(Moment::LookingOn(self.options.frequency));
        let mut is_always_met = true;
        let looked = self.looks(&mut over, &mut is_always_met).await;
        self.note(Moment::LookedOn);
        match looked {
            Ok(()) => {}
            Err(Halt::Interrupted(_)) => self.record.set_status(Status::Interrupted),
            Err(
                Halt::CtrlC
                | Halt::Left
                | Halt::LeftAsIs
                | Halt::Guard
                | Halt::Refused
                | Halt::Broken(_),
            ) => self.record.set_status(Status::Aborted),
        }
        self.heard.hear(Event::PhaseEnded {
            phase: Phase::During,
            met: Some(is_always_met),
        });
    }

    async fn looks(
        self: &Arc<Self>,
        over: &mut watch::Receiver<bool>,
        is_always_met: &mut bool,
    ) -> Result<(), Halt> {
        let is_decided = || {
            let status = self.record.status();
            status.is_some_and(|status| status != Status::Completed)
        };
        // The time between two looks is the pause between them, however long they take.
        let pause = self.options.frequency.max(Duration::from_micros(1));
        let mut count = 0;
        while !*over.borrow() && !is_decided() {
            let state = self.hypothesis(When::During, Thread::Background).await?;
            self.record.decided(When::During, &state);
            count += 1;
            self.note(Moment::LookedAgain {
                count,
                state: &state,
            });
            if !is_met(&state) {
                *is_always_met = false;
                if self.options.fail_fast {
                    self.record.set_status(Status::Failed);
                    return Ok(());
                }
            }
            let _ = tokio::time::timeout(pause, over.wait_for(|over| *over)).await;
        }
        Ok(())
    }
}
