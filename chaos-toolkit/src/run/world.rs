//! What all parts of one run share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use super::acting::ActingFaults;
use super::controls::{Call, Controls, Interrupted, Level, Moment, Scope, applying};
use super::halt::Halt;
use super::heard::Heard;
use super::line::Line;
use super::strategies::Options;
use super::work::Work;
use crate::journal::{Record, lock};
use crate::observe::{Event, Gate};
use crate::provider::Thread;
use crate::variables::Variables;

/// One run.
pub(crate) struct World {
    /// As controls leave it.
    pub(crate) experiment: Mutex<Value>,
    pub(crate) variables: Arc<Mutex<Arc<Variables>>>,
    pub(crate) settings: Value,
    pub(crate) options: Options,
    pub(crate) record: Arc<Record>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) faults: ActingFaults,
    pub(crate) work: Box<dyn Work>,
    pub(crate) controls: Option<Arc<dyn Controls>>,
    pub(crate) controls_of_settings: Mutex<Vec<Value>>,
    pub(crate) gate: Option<Arc<dyn Gate>>,
    pub(crate) line: Line,
    /// Of activities that have begun.
    pub(crate) count: AtomicU64,
    /// Where the activities stand that can be referred to, by their names.
    pub(crate) named: HashMap<String, String>,
    /// What undoes the actions that ran, in the order in which they began.
    pub(crate) undo: Mutex<Vec<Map<String, Value>>>,
    /// A guard tripped.
    pub(crate) has_tripped: AtomicBool,
    /// What is done now is undoing, which no guard cuts short.
    pub(crate) is_undoing: AtomicBool,
}

impl World {
    /// A part of the experiment as it is now, by its pointer.
    pub(crate) fn part(&self, pointer: &str) -> Value {
        lock(&self.experiment)
            .pointer(pointer)
            .cloned()
            .unwrap_or(Value::Null)
    }

    pub(crate) fn variables(&self) -> Arc<Variables> {
        lock(&self.variables).clone()
    }

    /// What an activity that has begun works with: whatever it calls is a part of its span, where there is one.
    pub(crate) fn variables_of(&self, number: u64) -> Arc<Variables> {
        let variables = self.variables();
        let Some(span) = self.heard.traceparent(number) else {
            return variables;
        };
        let mut variables = (*variables).clone();
        variables.environment = variables.environment.within(span);
        Arc::new(variables)
    }

    /// Says why it does not go on.
    pub(crate) fn say_interrupted(&self, why: &str) {
        let why = self.variables().redact(why);
        self.heard.hear(Event::Interrupted(&why));
    }

    /// Says what could not be done at all.
    pub(crate) fn say_broken(&self, why: &str) {
        let why = self.variables().redact(why);
        self.heard.hear(Event::Broken(&why));
    }

    /// Tells handlers of a moment.
    pub(crate) fn note(&self, moment: Moment<'_>) {
        if let Some(controls) = &self.controls {
            controls.note(moment, &|| Value::Object(self.record.redacted()));
        }
    }

    /// What a control that ended the run means for it.
    fn halt_of(&self, ended: Interrupted) -> Halt {
        match ended {
            Interrupted::Raised(why) => Halt::Interrupted(why),
            Interrupted::Left { why, rollbacks } => {
                self.say_interrupted(&format!("a control ended the run: {why}"));
                if rollbacks {
                    Halt::Left
                } else {
                    Halt::LeftAsIs
                }
            }
        }
    }

    /// How many activities a list of the experiment has.
    pub(crate) fn length(&self, pointer: &str) -> usize {
        let experiment = lock(&self.experiment);
        let list = experiment.pointer(pointer).and_then(Value::as_array);
        list.map_or(0, Vec::len)
    }

    /// Whether there is anything that the hypothesis asks.
    pub(crate) fn has_probes(&self) -> bool {
        self.length("/steady-state-hypothesis/probes") > 0
    }

    /// Tells the controls of a part. The context is the part of the experiment at this pointer, or a value that stands
    /// nowhere in it.
    pub(crate) async fn tell_controls(
        &self,
        level: Level,
        scope: Scope,
        context: Context<'_>,
        mut state: Option<&mut Value>,
        place: Thread,
    ) -> Result<(), Halt> {
        let Some(controls) = self.controls.clone() else {
            return Ok(());
        };
        let (applying, mut own, mut experiment) = {
            let experiment = lock(&self.experiment);
            let own = match &context {
                Context::At(pointer) => experiment.pointer(pointer).unwrap_or(&Value::Null),
                Context::Apart(value) => &**value,
            };
            let of_settings = lock(&self.controls_of_settings);
            let applying = applying(level, scope, &of_settings, &experiment, own);
            // Most parts have none: an experiment of many activities is not copied for each of them.
            if applying.is_empty() {
                return Ok(());
            }
            (applying, own.clone(), experiment.clone())
        };
        let mut variables = (*self.variables()).clone();
        let mut told = Ok(());
        for control in &applying {
            let call = Call {
                control,
                level,
                scope,
                context: &mut own,
                state: state.as_deref_mut(),
                experiment: &mut experiment,
                variables: &mut variables,
                settings: &self.settings,
            };
            let applied = controls.apply(call);
            told = match place {
                Thread::Main => self.line.unless_cut(applied).await,
                Thread::Background => Ok(applied.await),
            }
            .and_then(|applied| applied.map_err(|ended| self.halt_of(ended)));
            if told.is_err() {
                break;
            }
        }
        match context {
            Context::Apart(value) => *value = own,
            Context::At("") => experiment = own,
            Context::At(pointer) => {
                if let Some(place) = experiment.pointer_mut(pointer) {
                    *place = own;
                }
            }
        }
        // Others may have changed it meanwhile; the last word counts, where it says something new.
        let mut shared = lock(&self.experiment);
        if *shared != experiment {
            *shared = experiment;
        }
        drop(shared);
        let mut shared = lock(&self.variables);
        let is_changed =
            shared.configuration != variables.configuration || shared.secrets != variables.secrets;
        if is_changed {
            *shared = Arc::new(variables);
        }
        told
    }
}

/// What controls are told of.
pub(crate) enum Context<'a> {
    /// A part of the experiment.
    At(&'a str),
    /// Something that stands nowhere in it.
    Apart(&'a mut Value),
}
