//! The order of things: hypothesis, method, hypothesis, rollbacks, and what ends with the run.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::controls::{Level, Moment, Scope, named};
use super::guards::Guard;
use super::halt::Halt;
use super::hypothesis::{is_met, status_of};
use super::signals::TERMINATED;
use super::strategies::{Dry, Strategy};
use super::world::{Context, World};
use crate::journal::{Status, When, lock};
use crate::provider::Thread;

/// The hypothesis while the method runs.
struct During {
    over: watch::Sender<bool>,
    looking: JoinSet<()>,
}

impl During {
    fn start(world: &Arc<World>) -> Self {
        let (over, told) = watch::channel(false);
        let mut looking = JoinSet::new();
        looking.spawn(world.clone().look_on(told));
        Self { over, looking }
    }

    /// A look that has begun is done first.
    async fn end(mut self) {
        self.over.send_replace(true);
        while self.looking.join_next().await.is_some() {}
    }
}

/// What is left to do after the method.
struct Rest {
    are_rollbacks_due: bool,
    is_undo_due: bool,
    is_waited_for: bool,
}

impl World {
    /// Runs the experiment, and returns the journal with whatever controls made of it.
    pub(crate) async fn conduct(self: &Arc<Self>, guards: Vec<Guard>) -> Map<String, Value> {
        self.configure_controls().await;
        self.note(Moment::Running {
            variables: &self.variables(),
            options: &self.options,
            settings: &self.settings,
        });
        let is_played = matches!(self.options.dry, Some(Dry::Probes | Dry::Activities));
        let guarded = self.guarded(if is_played { Vec::new() } else { guards });
        let mut during = None;
        let mut began = false;
        let done = self.until_after(&mut during, &mut began).await;
        if done.is_err() {
            // Whoever ends a run wants nothing to act while it is cleared up.
            self.faults.stop().await;
        }
        let rest = self.conclude(done);
        if let Some(during) = during
            && rest.is_waited_for
        {
            during.end().await;
        }
        if rest.is_undo_due {
            self.is_undoing.store(true, Ordering::Relaxed);
            self.rollbacks(rest.are_rollbacks_due).await;
        }
        self.faults.stop().await;
        self.faults.ended(None).await;
        drop(guarded);
        self.line.forget_guards();
        if began {
            self.verify_recovery().await;
        }
        if self.has_tripped.load(Ordering::Relaxed)
            && self.record.status() != Some(Status::Interrupted)
        {
            self.record.set_status(Status::Aborted);
        }
        let mut journal = Value::Object(self.journal());
        let context = Context::At("");
        let state = Some(&mut journal);
        // As in the reference, nothing ends a run that is over.
        let _ = self
            .tell_controls(
                Level::Experiment,
                Scope::After,
                context,
                state,
                Thread::Main,
            )
            .await;
        self.clean_up_controls().await;
        match journal {
            Value::Object(journal) => journal,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => self.journal(),
        }
    }

    /// The journal of a run that is over, with secrets.
    pub(crate) fn journal(&self) -> Map<String, Value> {
        let experiment = lock(&self.experiment).as_object().cloned();
        self.record.end(&experiment.unwrap_or_default())
    }

    async fn until_after(
        self: &Arc<Self>,
        during: &mut Option<During>,
        began: &mut bool,
    ) -> Result<(), Halt> {
        let context = Context::At("");
        self.tell_controls(
            Level::Experiment,
            Scope::Before,
            context,
            None,
            Thread::Main,
        )
        .await?;
        let strategy = self.options.hypothesis;
        let has_hypothesis = strategy != Strategy::Skip && self.has_probes();
        if has_hypothesis && strategy.is_before() {
            let state = self.look(When::Before).await?;
            if !is_met(&state) {
                self.record.set_status(status_of(&state));
                return Ok(());
            }
        }
        if has_hypothesis && strategy.is_during() {
            *during = Some(During::start(self));
        }
        *began = true;
        match self.method().await {
            Err(Halt::Broken(why)) => {
                self.record.set_status(Status::Aborted);
                self.say_broken(&why);
            }
            played => played?,
        }
        if let Some(during) = during {
            during.over.send_replace(true);
        }
        let is_over = matches!(
            self.record.status(),
            Some(Status::Interrupted | Status::Aborted)
        );
        if has_hypothesis && strategy.is_after() && !is_over {
            let state = self.look(When::After).await?;
            if !is_met(&state) {
                self.record.set_deviated();
                self.record.set_status(status_of(&state));
            }
        }
        // What came in the last moment belongs here, and not to the rollbacks.
        self.line.unless_cut(std::future::ready(())).await
    }

    /// What follows from how it went.
    fn conclude(&self, done: Result<(), Halt>) -> Rest {
        let mut rest = Rest {
            are_rollbacks_due: true,
            is_undo_due: true,
            is_waited_for: true,
        };
        let Err(halt) = done else { return rest };
        let status = match &halt {
            Halt::Interrupted(_) | Halt::CtrlC | Halt::Left => Status::Interrupted,
            Halt::LeftAsIs => {
                rest.is_undo_due = false;
                Status::Interrupted
            }
            Halt::Guard | Halt::Refused => {
                rest.is_waited_for = false;
                Status::Aborted
            }
            // The reference ends here with a traceback; what ran is undone all the same.
            Halt::Broken(why) => {
                self.say_broken(why);
                rest.are_rollbacks_due = false;
                Status::Aborted
            }
        };
        match &halt {
            Halt::Interrupted(_) => self.note(Moment::Interrupted),
            Halt::CtrlC | Halt::Left | Halt::LeftAsIs => self.note(Moment::Left),
            Halt::Guard | Halt::Refused | Halt::Broken(_) => {}
        }
        if let Halt::Interrupted(why) = &halt
            && why != TERMINATED
        {
            self.say_interrupted(why);
        }
        self.record.set_status(status);
        rest
    }

    /// Looks at the hypothesis once more, now that everything should be as before.
    async fn verify_recovery(self: &Arc<Self>) {
        let is_wanted = self.options.verify_recovery && self.has_probes();
        if !is_wanted || self.record.status() == Some(Status::Interrupted) {
            return;
        }
        let status = match self.look(When::Recovery).await {
            Ok(state) if is_met(&state) => return,
            Ok(_) => Status::Failed,
            Err(Halt::Broken(why)) => {
                self.say_broken(&why);
                Status::Failed
            }
            Err(_) => Status::Interrupted,
        };
        if matches!(self.record.status(), None | Some(Status::Completed)) {
            self.record.set_status(status);
        }
    }

    async fn configure_controls(&self) {
        let Some(controls) = &self.controls else {
            return;
        };
        let mut experiment = lock(&self.experiment).clone();
        let mut variables = (*self.variables()).clone();
        let of_settings = lock(&self.controls_of_settings).clone();
        let mut kept = Vec::new();
        for control in of_settings {
            let Some(declared) = control.as_object() else {
                continue;
            };
            let is_kept = controls
                .configure(declared, &mut experiment, &mut variables, &self.settings)
                .await;
            if is_kept {
                kept.push(control);
            }
        }
        *lock(&self.controls_of_settings) = kept;
        for control in named(&experiment) {
            let settings = &self.settings;
            let _ = controls
                .configure(&control, &mut experiment, &mut variables, settings)
                .await;
        }
        *lock(&self.experiment) = experiment;
        *lock(&self.variables) = Arc::new(variables);
    }

    async fn clean_up_controls(&self) {
        let Some(controls) = &self.controls else {
            return;
        };
        let experiment = lock(&self.experiment).clone();
        for control in named(&experiment) {
            controls.cleanup(&control).await;
        }
        let of_settings = lock(&self.controls_of_settings).clone();
        for control in of_settings.iter().filter_map(Value::as_object) {
            controls.cleanup(control).await;
        }
    }
}
