//! One activity: its pauses, its work, its run in the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};

use super::controls::{Level, Scope};
use super::halt::{Halt, of_stopped};
use super::strategies::Dry;
use super::world::{Context, World};
use crate::journal::{Entry, List, Stamp, entry, lock};
use crate::observe::{Event, Phase};
use crate::provider::{ActivityFailed, Thread};
use crate::variables::substitute;

/// What is true in Python.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_true) => *is_true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Where an activity is written.
#[derive(Clone, Debug)]
pub(crate) enum Written {
    /// In the experiment, at this pointer.
    At(String),
    /// In something else, such as the `undo` of another.
    Apart(Map<String, Value>),
}

/// An activity that is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) written: Written,
    pub(crate) phase: Phase,
    pub(crate) place: Thread,
    /// Where its run is listed; none: with the state of the hypothesis.
    pub(crate) list: Option<List>,
}

/// An activity that began.
pub(crate) struct Begun {
    pub(crate) entry: Entry,
    pub(crate) number: u64,
    phase: Phase,
    is_told: AtomicBool,
}

impl Begun {
    /// Tells everybody that it is over, once.
    pub(crate) fn ended(&self, world: &World) {
        if self.is_told.swap(true, Ordering::Relaxed) {
            return;
        }
        world.heard.hear(Event::ActivityEnded {
            number: self.number,
            phase: self.phase,
            run: &world.record.clean(&self.entry),
        });
    }
}

impl World {
    /// Where the activity is that is meant, and what it says.
    fn meant(&self, written: &Written) -> Result<(Written, Value), Halt> {
        let activity = match written {
            Written::At(pointer) => self.part(pointer),
            Written::Apart(activity) => Value::Object(activity.clone()),
        };
        let Some(reference) = activity.get("ref").filter(|reference| is_true(reference)) else {
            return Ok((written.clone(), activity));
        };
        let name = reference.as_str().unwrap_or_default();
        let pointer = self.named.get(name).ok_or_else(|| {
            Halt::Broken(format!(
                "could not find referenced activity '{name}': no activity of the method or the hypothesis has that name"
            ))
        })?;
        Ok((Written::At(pointer.clone()), self.part(pointer)))
    }

    /// Does an activity as the reference does. Its failure is no failure of this.
    pub(crate) async fn execute(self: &Arc<Self>, due: Due) -> Result<Begun, Halt> {
        let (written, mut activity) = self.meant(&due.written)?;
        let told = self
            .tell_controls_of(&written, &mut activity, Scope::Before, None, due.place)
            .await;
        let done = match told {
            Ok(()) => self.attempt(&activity, &due).await,
            Err(halt) => Err(halt),
        };
        let mut state = done
            .as_ref()
            .ok()
            .map(|begun| Value::Object(lock(&begun.entry).clone()));
        let before = state.clone();
        let told = self
            .tell_controls_of(
                &written,
                &mut activity,
                Scope::After,
                state.as_mut(),
                due.place,
            )
            .await;
        // A fault may have ended meanwhile, which is in its run and not in what the controls had.
        if state != before
            && let (Ok(begun), Some(Value::Object(state))) = (&done, state)
        {
            *lock(&begun.entry) = state;
            self.record.changed(&begun.entry);
        }
        if let Ok(begun) = &done
            && told.is_err()
        {
            begun.ended(self);
        }
        told.and(done)
    }

    async fn tell_controls_of(
        &self,
        written: &Written,
        activity: &mut Value,
        scope: Scope,
        state: Option<&mut Value>,
        place: Thread,
    ) -> Result<(), Halt> {
        if self.controls.is_none() {
            return Ok(());
        }
        match written {
            Written::At(pointer) => {
                let context = Context::At(pointer);
                let told = self.tell_controls(Level::Activity, scope, context, state, place);
                let told = told.await;
                *activity = self.part(pointer);
                told
            }
            Written::Apart(_) => {
                let context = Context::Apart(activity);
                self.tell_controls(Level::Activity, scope, context, state, place)
                    .await
            }
        }
    }

    async fn attempt(self: &Arc<Self>, activity: &Value, due: &Due) -> Result<Begun, Halt> {
        let broken = |what: &str| Halt::Broken(format!("{what}: {activity}"));
        let activity = activity
            .as_object()
            .ok_or_else(|| broken("an activity must be a mapping"))?;
        let activity_type = activity.get("type").and_then(Value::as_str);
        let activity_type = activity_type
            .ok_or_else(|| Halt::Broken(format!("activity `{}` has no `type`", name(activity))))?;
        // One that has `dry` itself is not dry, whatever it says there: the reference compares it with something else.
        let dry = self.options.dry.filter(|_| !activity.contains_key("dry"));
        let is_dry = dry.is_some_and(|dry| dry.is_of(activity_type));
        let pauses = Pauses::of(activity, self)?;
        let are_pauses_real = !is_dry && dry != Some(Dry::Pause);
        if let Some(pause) = pauses.before
            && are_pauses_real
        {
            self.pause(pause, due.place).await?;
        }
        let start = Stamp::now();
        let mut run = Map::new();
        run.insert("activity".to_owned(), Value::Object(activity.clone()));
        run.insert("output".to_owned(), Value::Null);
        run.insert("start".to_owned(), start.text().into());
        let begun = Begun {
            entry: entry(run),
            number: self.count.fetch_add(1, Ordering::Relaxed) + 1,
            phase: due.phase,
            is_told: AtomicBool::new(false),
        };
        if let Some(list) = due.list {
            self.record.begin(list, &begun.entry);
        }
        let said = self
            .variables()
            .redact_value(&Value::Object(activity.clone()));
        if let Some(said) = said.as_object() {
            self.heard.hear(Event::ActivityStarted {
                number: begun.number,
                phase: due.phase,
                activity: said,
            });
        }
        let worked = if is_dry {
            Ok(Ok(Value::Null))
        } else {
            self.work_on(activity, due, &begun).await
        };
        let end = Stamp::now();
        let halted = note(&begun.entry, worked, start, end);
        self.record.changed(&begun.entry);
        // That of a probe of the hypothesis is over when it is judged.
        if due.list.is_some() || halted.is_err() {
            begun.ended(self);
        }
        halted?;
        if let Some(pause) = pauses.after
            && are_pauses_real
            && let Err(halt) = self.pause(pause, due.place).await
        {
            begun.ended(self);
            return Err(halt);
        }
        Ok(begun)
    }

    async fn work_on(
        &self,
        activity: &Map<String, Value>,
        due: &Due,
        begun: &Begun,
    ) -> Result<Result<Value, ActivityFailed>, Halt> {
        if due.phase == Phase::Method
            && let Some(undo) = super::undo::of(activity)
        {
            lock(&self.undo).push(undo);
        }
        let variables = self.variables_of(begun.number);
        let provider = activity.get("provider").and_then(Value::as_object);
        let is_fault =
            provider.and_then(|p| p.get("type")).and_then(Value::as_str) == Some("chaos");
        let work = async {
            let stopped = match provider.filter(|_| is_fault) {
                Some(provider) => {
                    let provider = substitute(&Value::Object(provider.clone()), &variables);
                    let provider = provider.as_object().cloned().unwrap_or_default();
                    let entry = &begun.entry;
                    let started = self.faults.start(name(activity), &provider, entry).await;
                    return Ok(started.map_err(|failed| failed_activity(failed.0)));
                }
                None => self.work.perform(activity, &variables, due.place).await,
            };
            match stopped {
                Ok(output) => Ok(Ok(output)),
                Err(stopped) => match of_stopped(stopped) {
                    Ok(failed) => Ok(Err(failed)),
                    Err(Halt::Broken(why)) => {
                        let name = name(activity);
                        let why = format!("activity `{name}` cannot be done: {why}");
                        Err(Halt::Broken(why))
                    }
                    Err(halt) => Err(halt),
                },
            }
        };
        match due.place {
            Thread::Main => self.line.unless_cut(work).await.and_then(|worked| worked),
            Thread::Background => work.await,
        }
    }

    async fn pause(&self, pause: Duration, place: Thread) -> Result<(), Halt> {
        let pause = tokio::time::sleep(pause);
        match place {
            Thread::Main => self.line.unless_cut(pause).await,
            Thread::Background => {
                pause.await;
                Ok(())
            }
        }
    }
}

fn failed_activity(message: String) -> ActivityFailed {
    let trace = vec![format!("chaoslib.exceptions.ActivityFailed: {message}\n")];
    ActivityFailed { message, trace }
}

pub(crate) fn name(activity: &Map<String, Value>) -> &str {
    activity
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Writes down what came of it. One that was cut short has no status.
fn note(
    entry: &Entry,
    worked: Result<Result<Value, ActivityFailed>, Halt>,
    start: Stamp,
    end: Stamp,
) -> Result<(), Halt> {
    let mut run = lock(entry);
    let halted = match worked {
        Ok(Ok(output)) => {
            run.insert("output".to_owned(), output);
            run.insert("status".to_owned(), "succeeded".into());
            Ok(())
        }
        Ok(Err(failed)) => {
            run.insert("status".to_owned(), "failed".into());
            run.insert("exception".to_owned(), failed.trace.into());
            Ok(())
        }
        Err(halt) => Err(halt),
    };
    run.insert("end".to_owned(), end.text().into());
    run.insert("duration".to_owned(), start.until(end).into());
    halted
}

/// How long to wait before and after.
struct Pauses {
    before: Option<Duration>,
    after: Option<Duration>,
}

impl Pauses {
    fn of(activity: &Map<String, Value>, world: &World) -> Result<Self, Halt> {
        let Some(pauses) = activity.get("pauses").filter(|pauses| is_true(pauses)) else {
            return Ok(Self {
                before: None,
                after: None,
            });
        };
        let pauses = substitute(pauses, &world.variables());
        let read = |key: &str| {
            let Some(pause) = pauses.get(key).filter(|pause| is_true(pause)) else {
                return Ok(None);
            };
            let seconds = pause.as_f64().or_else(|| pause.as_bool().map(|_| 1.0));
            let pause_for = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
            pause_for.map(Some).ok_or_else(|| {
                let name = name(activity);
                Halt::Broken(format!(
                    "activity `{name}` cannot pause for {pause}: a pause is a number of seconds"
                ))
            })
        };
        Ok(Self {
            before: read("before")?,
            after: read("after")?,
        })
    }
}
