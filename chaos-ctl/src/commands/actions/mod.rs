//! Faults as actions of an experiment in the format of Chaos Toolkit: what `type: chaos` says is run as an experiment of
//! its own, beside the run that it is a part of.

mod provider;
mod told;

pub(super) use told::STOPPED_BY_RUN;
mod value;

use std::sync::{Arc, OnceLock};

use chaos_toolkit::faults::{Acting, FaultFailed, Faults};
use chaos_toolkit::problem::Flaw;
use chaos_toolkit::variables::Variables;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::steered::{Hide, Steered};
use crate::experiment::Steer;
use crate::global::Global;
use crate::output::Output;

/// Does what providers of `type: chaos` say, by asking agents.
#[derive(Debug)]
pub struct ToolkitFaults {
    global: Arc<Global>,
    output: Output<'static>,
    /// What takes secrets out of what is said.
    hide: OnceLock<Hide>,
    /// What has begun, and is not over.
    tasks: TaskTracker,
}

impl ToolkitFaults {
    /// By the agents that the options point at. What is said on the side is said there.
    pub fn new(global: Arc<Global>, output: Output<'static>) -> Self {
        Self {
            global,
            output,
            hide: OnceLock::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// From now on, these secrets are left out of what is said.
    pub fn hide(&self, variables: Variables) {
        // Of one run there is one set of them.
        let hide = Hide::by(move |line| variables.redact(line));
        let _known = self.hide.set(hide);
    }

    /// Waits until nothing acts, also of what was dropped. A process that does not wait leaves that to the agents, which
    /// end it after its grace period.
    pub async fn settled(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// What became of a fault.
#[derive(Clone)]
struct Over {
    told: Value,
    /// If it did not go as asked.
    error: Option<String>,
}

impl Faults for ToolkitFaults {
    fn check(&self, provider: &Map<String, Value>) -> Result<(), Flaw> {
        provider::check(provider)
    }

    fn start(
        &self,
        name: &str,
        provider: &Map<String, Value>,
    ) -> BoxFuture<'static, Result<Box<dyn Acting>, FaultFailed>> {
        let described = provider::read(provider);
        let (global, output) = (Arc::clone(&self.global), self.output);
        let (name, tasks) = (name.to_owned(), self.tasks.clone());
        let hide = self.hide.get().cloned().unwrap_or_else(Hide::nothing);
        Box::pin(async move {
            let described = described.map_err(in_one_sentence)?;
            let steer = Steer::by_hand();
            let described = Arc::new(described);
            let mut steered = Steered::start(&name, described, None, &global, steer, output, hide);
            let armed = steered.armed.take();
            // From here on, whoever drops this stops it.
            let stop = CancellationToken::new();
            let until = stop.clone().drop_guard();
            let (sender, mut ended) = watch::channel(None);
            tasks.spawn(async move {
                sender.send_replace(Some(attend(steered, stop).await));
            });
            let acts = match armed {
                Some(armed) => armed.await.ok(),
                None => None,
            };
            if let Some(acts) = acts {
                let output = told::started(&acts);
                return Ok(Box::new(Action {
                    output,
                    until,
                    ended,
                }) as Box<dyn Acting>);
            }
            let error = over(&mut ended).await.and_then(|over| over.error);
            let error = error.unwrap_or_else(|| "it ended before it acted".to_owned());
            Err(FaultFailed(error))
        })
    }
}

/// Waits for its end, and sees to that where it is to end now.
async fn attend(mut steered: Steered, stop: CancellationToken) -> Over {
    let (result, was_stopped) = tokio::select! {
        result = &mut steered.run => (result, false),
        () = stop.cancelled() => {
            // Once only: asked again, it would not wait for the agents. Without its hand, neither.
            steered.hand.stop();
            ((&mut steered.run).await, true)
        }
    };
    let ended = steered.ended(result);
    Over {
        told: told::ended(&ended, was_stopped),
        error: ended.error.as_ref().map(told::sentence),
    }
}

/// Nothing: whoever attends to it is gone without a word, which is a mistake of this program.
async fn over(ended: &mut watch::Receiver<Option<Over>>) -> Option<Over> {
    ended.wait_for(Option::is_some).await.ok()?.clone()
}

fn in_one_sentence(problem: Flaw) -> FaultFailed {
    FaultFailed(match problem.instead {
        Some(instead) => format!("{}: {instead}", problem.what),
        None => problem.what,
    })
}

/// A fault that acts.
struct Action {
    output: Value,
    /// Dropped, it ends.
    until: DropGuard,
    ended: watch::Receiver<Option<Over>>,
}

impl Acting for Action {
    fn output(&self) -> Value {
        self.output.clone()
    }

    fn stop(&self) {
        self.until.token().cancel();
    }

    fn ended(&mut self) -> BoxFuture<'_, Value> {
        Box::pin(async {
            over(&mut self.ended).await.map_or_else(
                || json!({ "outcome": "failed", "reason": "it was given up without a word" }),
                |over| over.told,
            )
        })
    }
}
