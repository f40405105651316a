//! Experiments that were asked for and have not been forgotten: how to end one, and what became of it.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::{CommandError, ErrorKind};
use crate::experiment::{Hand, Steer};
use crate::output::sink::{Said, Sink};
use crate::output::whole::Whole;

/// Of those that have ended, so many are kept for somebody to ask what became of them.
const ENDED: usize = 256;
/// So many may go on. Who asks for more asks in a circle.
const GOING: usize = 256;

/// All of them, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(super) struct Runs {
    state: Mutex<State>,
    /// What is not cut off in the middle, and is no experiment.
    others: TaskTracker,
    closing: CancellationToken,
}

/// Why nothing more is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoMore {
    /// All is to end.
    #[error("cannot start anything: chaosctl serve is about to end")]
    Closed,
    /// Too many go on.
    #[error("{GOING} experiments go on already: wait for some to end")]
    TooMany,
}

/// A task that ended without a word, which is a mistake of this program.
#[derive(Debug, thiserror::Error)]
#[error("the experiment was given up without a word: agents end it by themselves")]
struct Silent;

#[derive(Debug, Default)]
struct State {
    all: Vec<Arc<Run>>,
    is_closed: bool,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Run {
    hand: Hand,
    progress: watch::Receiver<Progress>,
}

/// How far it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Its id, from when it acts.
    pub(super) id: Option<String>,
    /// What became of it.
    pub(super) ended: Option<Arc<Ended>>,
}

/// What became of one.
#[derive(Debug)]
pub(super) struct Ended {
    /// What `-o json` prints, if there was something.
    pub(super) result: Option<Value>,
    /// What was said on the side.
    pub(super) notes: Vec<String>,
    /// Of that, what must not be missed.
    pub(super) warnings: Vec<String>,
    /// Why it failed.
    pub(super) failure: Option<CommandError>,
}

/// Ends the run where whoever waits for it is gone.
pub(super) struct Attended {
    run: Arc<Run>,
    is_left: bool,
}

/// Takes what a run says.
#[derive(Debug)]
pub(super) struct Listener {
    progress: watch::Sender<Progress>,
    said: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    result: Option<Value>,
    notes: Vec<String>,
    warnings: Vec<String>,
}

impl Runs {
    /// Keeps one more.
    pub(super) fn add(&self) -> Result<(Arc<Run>, Steer, Listener), NoMore> {
        let mut state = self.state();
        if state.is_closed {
            return Err(NoMore::Closed);
        }
        let ended = |run: &Arc<Run>| run.progress.borrow().ended.is_some();
        let count_ended = state.all.iter().filter(|run| ended(run)).count();
        if state.all.len() - count_ended >= GOING {
            return Err(NoMore::TooMany);
        }
        let (hand, steer) = Steer::by_hand();
        let (sender, progress) = watch::channel(Progress::default());
        let run = Arc::new(Run { hand, progress });
        if count_ended >= ENDED
            && let Some(oldest) = state.all.iter().position(ended)
        {
            state.all.remove(oldest);
        }
        state.all.push(Arc::clone(&run));
        let listener = Listener {
            progress: sender,
            said: Mutex::default(),
        };
        Ok((run, steer, listener))
    }

    /// The one of this id; the latest, where an id was given twice.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Run>> {
        let state = self.state();
        let found = state
            .all
            .iter()
            .rev()
            .find(|run| run.progress.borrow().id.as_deref() == Some(id));
        found.cloned()
    }

    /// Does something that whoever asked for it cannot cut off by leaving.
    pub(super) fn attend<F>(&self, task: F) -> Result<JoinHandle<F::Output>, NoMore>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let state = self.state();
        if state.is_closed {
            return Err(NoMore::Closed);
        }
        Ok(self.others.spawn(task))
    }

    /// Tells that all is to end.
    pub(super) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Ends all of them, and takes no more; called again, does not wait for agents.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        self.closing.cancel();
        for run in &state.all {
            run.stop();
        }
    }

    /// Waits until none goes on.
    pub(super) async fn all_ended(&self) {
        let all = self.state().all.clone();
        for run in all {
            run.ended().await;
        }
        self.others.close();
        self.others.wait().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// As Ctrl-C does.
    pub(super) fn stop(&self) {
        self.hand.stop();
    }

    /// Waits until it acts, or has ended without.
    pub(super) async fn begun(&self) -> Progress {
        self.until(|progress| progress.id.is_some() || progress.ended.is_some())
            .await
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) -> Option<Arc<Ended>> {
        self.until(|progress| progress.ended.is_some()).await.ended
    }

    async fn until(&self, is_so: impl Fn(&Progress) -> bool) -> Progress {
        let mut progress = self.progress.clone();
        let seen = progress.wait_for(is_so).await;
        match seen {
            Ok(seen) => seen.clone(),
            // The task is gone without a word.
            Err(_) => Progress::default(),
        }
    }
}

impl Attended {
    pub(super) fn to(run: Arc<Run>) -> Self {
        let is_left = false;
        Self { run, is_left }
    }

    /// It goes on by itself.
    pub(super) fn leave(mut self) {
        self.is_left = true;
    }
}

impl Deref for Attended {
    type Target = Run;

    fn deref(&self) -> &Run {
        &self.run
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        if !self.is_left {
            self.run.stop();
        }
    }
}

impl Listener {
    /// Tells who waits for it.
    pub(super) fn over(&self, failure: Option<CommandError>) {
        let heard = std::mem::take(&mut *self.heard());
        let ended = Arc::new(Ended {
            result: heard.result,
            notes: heard.notes,
            warnings: heard.warnings,
            failure,
        });
        self.progress
            .send_modify(|progress| progress.ended = Some(ended));
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.progress.borrow().ended.is_none() {
            self.over(Some(CommandError::new(ErrorKind::Failed, Silent)));
        }
    }
}

impl Sink for Listener {
    fn armed(&self, whole: &Whole) {
        let id = Some(whole.experiment.id.clone());
        self.progress.send_modify(|progress| progress.id = id);
    }

    fn result(&self, json: Value, _table: String) {
        self.heard().result = Some(json);
    }

    fn said(&self, how: Said, line: &str) {
        let mut heard = self.heard();
        match how {
            Said::Note => heard.notes.push(line.to_owned()),
            Said::Warning => heard.warnings.push(line.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_is_gone_has_ended() {
        let runs = Runs::default();
        let (run, _steer, listener) = runs.add().unwrap();
        let task = tokio::spawn(async move {
            let _kept = listener;
            panic!("as a mistake would have it");
        });
        assert!(task.await.is_err());
        let ended = run.ended().await.unwrap();
        let failure = ended.failure.as_ref().unwrap();
        assert!(failure.source.to_string().contains("without a word"));
        runs.all_ended().await;
    }

    #[tokio::test]
    async fn only_so_many_go_on_and_are_remembered() {
        let runs = Runs::default();
        let all: Vec<_> = (0..GOING).map(|_| runs.add().unwrap()).collect();
        assert_eq!(runs.add().unwrap_err(), NoMore::TooMany);
        for (_, _, listener) in &all {
            listener.over(None);
        }
        drop(all);
        for _ in 0..ENDED {
            runs.add().unwrap().2.over(None);
        }
        assert!(runs.state().all.len() <= ENDED + 1);
    }

    #[tokio::test]
    async fn what_is_attended_to_is_waited_for() {
        let runs = Arc::new(Runs::default());
        let closing = runs.closing();
        let (told, is_told) = tokio::sync::oneshot::channel();
        let task = async move {
            closing.cancelled().await;
            let _ = told.send(());
        };
        // Nobody waits for its answer.
        drop(runs.attend(task).unwrap());
        runs.close();
        runs.all_ended().await;
        assert_eq!(is_told.await, Ok(()));
        assert!(matches!(runs.attend(async {}), Err(NoMore::Closed)));
        assert_eq!(runs.add().unwrap_err(), NoMore::Closed);
    }
}
