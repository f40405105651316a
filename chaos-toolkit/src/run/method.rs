//! The method: its activities in order, and those in the background beside them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use super::activity::{Due, Written, is_true};
use super::controls::{Level, Moment, Scope};
use super::halt::Halt;
use super::world::{Context, World};
use crate::journal::{List, Stamp, Status, entry};
use crate::observe::{Answer, Event, Phase};
use crate::provider::Thread;

/// What is in the background has this long to end where nothing is waited for, as in the reference.
const LAST_MOMENT: Duration = Duration::from_millis(200);

impl World {
    /// Plays the method.
    pub(crate) async fn method(self: &Arc<Self>) -> Result<(), Halt> {
        self.heard.hear(Event::PhaseStarted(Phase::Method));
        let played = self
            .list(Level::Method, Phase::Method, List::Run, "/method")
            .await;
        match &played {
            Ok(()) => self.note(Moment::Played(Some(&self.record.runs(List::Run)))),
            // As in the reference, nobody hears of one that a signal ended.
            Err(Halt::CtrlC | Halt::Left | Halt::LeftAsIs) => {}
            Err(Halt::Interrupted(_) | Halt::Guard | Halt::Refused | Halt::Broken(_)) => {
                self.note(Moment::Played(None));
            }
        }
        self.heard.hear(Event::PhaseEnded {
            phase: Phase::Method,
            met: None,
        });
        played
    }

    /// Plays a list of activities, with the controls of its level around it.
    pub(crate) async fn list(
        self: &Arc<Self>,
        level: Level,
        phase: Phase,
        list: List,
        pointer: &str,
    ) -> Result<(), Halt> {
        let tell = async |scope, state: Option<&mut Value>| {
            self.tell_controls(level, scope, Context::At(""), state, Thread::Main)
                .await
        };
        if let Err(halt) = tell(Scope::Before, None).await {
            tell(Scope::After, None).await?;
            return Err(halt);
        }
        let mut background = JoinSet::new();
        let played = self.play(phase, list, pointer, &mut background).await;
        if played.is_err() {
            // What is in the background is waited for, and nothing acts meanwhile.
            self.faults.stop().await;
        }
        let waited = self.wait_for(background, &played).await;
        if self.controls.is_some() {
            let before = self.record.runs(list);
            let mut runs = before.clone();
            let told = tell(Scope::After, Some(&mut runs)).await;
            if runs != before {
                self.record.set_runs(list, runs);
            }
            told?;
        }
        waited.and(played)
    }

    async fn play(
        self: &Arc<Self>,
        phase: Phase,
        list: List,
        pointer: &str,
        background: &mut JoinSet<()>,
    ) -> Result<(), Halt> {
        if phase == Phase::Rollbacks {
            self.play_undo().await?;
        }
        for index in 0..self.length(pointer) {
            let written = Written::At(format!("{pointer}/{index}"));
            self.play_one(written, phase, list, background).await?;
            if phase == Phase::Method && self.is_decided() {
                break;
            }
        }
        Ok(())
    }

    fn is_decided(&self) -> bool {
        let status = self.record.status();
        status.is_some_and(|status| status != Status::Completed)
    }

    /// Begins one activity; done when it is, unless it is in the background.
    pub(crate) async fn play_one(
        self: &Arc<Self>,
        written: Written,
        phase: Phase,
        list: List,
        background: &mut JoinSet<()>,
    ) -> Result<(), Halt> {
        let activity = match &written {
            Written::At(pointer) => self.part(pointer),
            Written::Apart(activity) => Value::Object(activity.clone()),
        };
        if !self.may_begin(phase, list, &activity).await? {
            return Ok(());
        }
        let mut due = Due {
            written,
            phase,
            place: Thread::Main,
            list: Some(list),
        };
        if activity.get("background").is_some_and(is_true) {
            due.place = Thread::Background;
            let world = self.clone();
            background.spawn(async move {
                // As in the reference, what ends one in the background ends nothing else.
                let _ = world.execute(due).await;
            });
            // It begins before the next one does.
            tokio::task::yield_now().await;
            return Ok(());
        }
        self.execute(due).await.map(drop)
    }

    /// Asks whoever wants to be asked.
    async fn may_begin(&self, phase: Phase, list: List, activity: &Value) -> Result<bool, Halt> {
        let Some(gate) = &self.gate else {
            return Ok(true);
        };
        let shown = self.variables().redact_value(activity);
        let Some(shown) = shown.as_object() else {
            return Ok(true);
        };
        match self.line.unless_cut(gate.ask(phase, shown)).await? {
            Answer::Yes => Ok(true),
            Answer::Abort => {
                self.faults.stop().await;
                Err(Halt::Refused)
            }
            Answer::Skip => {
                let now = Stamp::now().text();
                let mut run = serde_json::Map::new();
                run.insert("activity".to_owned(), activity.clone());
                run.insert("output".to_owned(), Value::Null);
                run.insert("start".to_owned(), now.clone().into());
                run.insert("status".to_owned(), "skipped".into());
                run.insert("end".to_owned(), now.into());
                run.insert("duration".to_owned(), 0.0.into());
                self.record.begin(list, &entry(run));
                Ok(false)
            }
        }
    }

    /// Waits for what is in the background, as long as there is reason to.
    async fn wait_for(
        &self,
        mut background: JoinSet<()>,
        played: &Result<(), Halt>,
    ) -> Result<(), Halt> {
        let all = async { while background.join_next().await.is_some() {} };
        let waited = match played {
            Err(Halt::LeftAsIs | Halt::Guard | Halt::Refused) => {
                self.work.leave_background().await;
                let _ = tokio::time::timeout(LAST_MOMENT, all).await;
                Ok(())
            }
            Ok(()) | Err(Halt::Interrupted(_) | Halt::CtrlC | Halt::Left | Halt::Broken(_)) => {
                self.line.unless_cut(all).await
            }
        };
        // What is still there is interrupted.
        background.shutdown().await;
        waited
    }
}
