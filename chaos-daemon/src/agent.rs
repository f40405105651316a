//! Brings engine, expiry and targets together on one thread, with a clock.
//!
//! Everything that changes an experiment happens on that thread, one thing after the other. Whoever wants
//! something sends it a piece of work and waits for the answer.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};
use tracing::{error, warn};

use crate::{
    attach::{Heartbeat, Steps},
    engine::{
        Change, DatapathError, Ending, Engine, EngineError, Experiment, Protected, Return,
        Selector, Spec, SpecError, State, Target,
    },
    expiry::Queue,
    plane::Plane,
    targets::{Finder, TargetError},
};

/// Why the agent did not do it.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The request makes no sense.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// There is nothing to hit.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The kernel refused.
    #[error(transparent)]
    Datapath(#[from] DatapathError),
    /// The agent is on its way out.
    #[error("the agent is stopping")]
    Stopping,
}

type Work = Box<dyn FnOnce(&mut Core) + Send>;

/// The way to the agent's thread.
#[derive(Clone)]
pub struct Agent {
    work: Sender<Work>,
    changes: watch::Receiver<u64>,
    finder: Arc<Finder>,
}

/// What lives on the agent's thread.
pub struct Core {
    engine: Engine<Plane>,
    queue: Queue,
    changes: watch::Sender<u64>,
    /// Nothing begins any more.
    stopping: bool,
    over: bool,
}

/// The agent's thread; gives back the data plane when it has ended.
pub type Running = JoinHandle<Engine<Plane>>;

impl Agent {
    /// Starts the thread, and the one that shows the kernel that we are alive.
    pub fn start(
        plane: Plane,
        heartbeat: Heartbeat,
        finder: Finder,
    ) -> io::Result<(Self, Running)> {
        let (work, inbox) = mpsc::channel::<Work>();
        let (changes, watcher) = watch::channel(0);
        let steps = plane.steps();
        let core = Core {
            engine: Engine::new(plane),
            queue: Queue::default(),
            changes,
            stopping: false,
            over: false,
        };
        let running = thread::Builder::new()
            .name("agent".into())
            .spawn(move || core.run(&inbox))?;
        let agent = Self {
            work,
            changes: watcher,
            finder: Arc::new(finder),
        };
        let pulse = agent.clone();
        thread::Builder::new()
            .name("heartbeat".into())
            .spawn(move || pulse.beat(heartbeat, &steps))?;
        Ok((agent, running))
    }

    /// Resolves a selector: not on the agent's thread, because it reads files that the user names.
    pub async fn find(&self, selector: &Selector) -> Result<Vec<Target>, AgentError> {
        let (finder, selector) = (Arc::clone(&self.finder), selector.clone());
        let found = tokio::task::spawn_blocking(move || finder.find(&selector)).await;
        Ok(found.map_err(|_| AgentError::Stopping)??)
    }

    /// Has `job` done on the agent's thread.
    pub async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Core) -> T + Send + 'static,
    ) -> Result<T, AgentError> {
        let (reply, answer) = oneshot::channel();
        // Whoever asked may have gone; then nobody misses the answer.
        let work: Work = Box::new(move |core| drop(reply.send(job(core))));
        self.work.send(work).map_err(|_| AgentError::Stopping)?;
        answer.await.map_err(|_| AgentError::Stopping)
    }

    /// Has `job` done without waiting for it.
    pub fn tell(&self, job: impl FnOnce(&mut Core) + Send + 'static) {
        // An agent that has stopped has nothing left to change.
        let _ = self.work.send(Box::new(job));
    }

    /// Ticks at every change of a state.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Ends all experiments. Questions are still answered: those who watch want to know how it ended.
    pub async fn stop(&self) {
        // Already stopped is stopped.
        let _ = self
            .ask(|core| {
                core.stopping = true;
                core.stop_all(&Ending::agent_stopped())
            })
            .await;
    }

    /// Ends the agent's thread.
    pub fn finish(&self) {
        self.tell(|core| core.over = true);
    }

    /// Shows the kernel that the agent is alive, as long as its thread does what it is asked, or gets on with a job of
    /// many targets.
    fn beat(&self, mut heartbeat: Heartbeat, steps: &Steps) {
        let answered = Arc::new(AtomicU64::new(0));
        let (mut asked, mut seen) = (0, steps.count());
        loop {
            if let Some(gap) = heartbeat.stalled() {
                warn!(
                    ?gap,
                    "the agent did not run; the kernel passed everything meanwhile"
                );
                let (done, wait) = mpsc::channel();
                self.tell(move |core| {
                    core.stop_all(&Ending::agent_stalled(gap));
                    drop(done);
                });
                // Nothing is sent; the channel closes when it is done, or when the agent is gone.
                let _: Result<(), _> = wait.recv();
            }
            let has_answered = answered.load(Ordering::Relaxed) == asked;
            let done = steps.count();
            if has_answered || done != seen {
                seen = done;
                if let Err(error) = heartbeat.beat() {
                    error!(%error, "cannot show the kernel that the agent is alive; faults end within 3 s");
                }
            }
            if has_answered {
                asked += 1;
                let (answered, number) = (Arc::clone(&answered), asked);
                self.tell(move |_| answered.store(number, Ordering::Relaxed));
            }
            thread::sleep(Heartbeat::INTERVAL);
        }
    }
}

impl Core {
    fn run(mut self, inbox: &mpsc::Receiver<Work>) -> Engine<Plane> {
        while !self.over {
            let wait = self.queue.next().map_or(Duration::from_hours(1), |at| {
                at.saturating_duration_since(Instant::now())
            });
            match inbox.recv_timeout(wait) {
                Ok(work) => work(&mut self),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = Instant::now();
            while let Some(id) = self.queue.pop_due(now) {
                let (was, hits) = (self.engine.state(&id), self.engine.live_hits(&id));
                self.engine.wake(&id, now);
                self.after(&id, was.as_ref());
                if self.engine.live_hits(&id) != hits {
                    self.tell_of_change();
                }
            }
        }
        self.engine
    }

    /// See [`Engine::check_free`].
    pub fn check_free(&self, id: &str, started_by: Option<&str>) -> Result<(), AgentError> {
        Ok(self.engine.check_free(id, started_by)?)
    }

    /// See [`Engine::prepare`].
    pub fn prepare(
        &mut self,
        id: &str,
        spec: Spec,
        targets: Vec<Target>,
        started_by: Option<String>,
    ) -> Result<Experiment, AgentError> {
        self.check_goes_on()?;
        let (id, now) = (id.to_owned(), Instant::now());
        let prepared = self.engine.prepare(id, spec, targets, started_by, now);
        let experiment = prepared?.clone();
        self.after(&experiment.id, None);
        Ok(experiment)
    }

    /// See [`Engine::arm`].
    pub fn arm(&mut self, id: &str) -> Result<Experiment, AgentError> {
        self.check_goes_on()?;
        let was = self.engine.state(id);
        let armed = self.engine.arm(id, Instant::now()).cloned();
        self.after(id, was.as_ref());
        Ok(armed?)
    }

    /// See [`Engine::update`].
    pub fn update(&mut self, id: &str, change: &Change) -> Result<Experiment, AgentError> {
        self.check_goes_on()?;
        let was = self.engine.state(id);
        let updated = self.engine.update(id, change, Instant::now()).cloned();
        self.after(id, was.as_ref());
        if change.pods.is_some() {
            self.tell_of_change();
        }
        Ok(updated?)
    }

    /// A caller who was being looked up when the agent was told to stop comes too late.
    const fn check_goes_on(&self) -> Result<(), AgentError> {
        if self.stopping {
            Err(AgentError::Stopping)
        } else {
            Ok(())
        }
    }

    /// Ends one experiment.
    pub fn stop(&mut self, id: &str) -> Result<Experiment, AgentError> {
        let was = self.engine.state(id);
        let stopped = self.engine.stop(id, Ending::stopped()).cloned();
        self.after(id, was.as_ref());
        Ok(stopped?)
    }

    /// Ends all.
    pub fn stop_all(&mut self, ending: &Ending) -> Vec<Experiment> {
        let ids = self.engine.stop_all(ending);
        ids.iter()
            .filter_map(|id| {
                self.after(id, None);
                self.engine.status(id).ok().cloned()
            })
            .collect()
    }

    /// A client holds an experiment, or no longer does.
    pub fn hold(&mut self, id: &str, holds: bool) {
        let was = self.engine.state(id);
        self.engine.hold(id, holds, Instant::now());
        self.after(id, was.as_ref());
    }

    /// See [`Engine::look_for_missing`].
    pub const fn look_for_missing(&mut self) {
        self.engine.look_for_missing();
    }

    /// See [`Engine::returned`].
    pub fn returned(&mut self, id: &str, told: Return) {
        let (was, hits) = (self.engine.state(id), self.engine.live_hits(id));
        self.engine.returned(id, told);
        self.after(id, was.as_ref());
        if self.engine.live_hits(id) != hits {
            self.tell_of_change();
        }
    }

    /// See [`Engine::protect`].
    pub fn protect(&mut self, list: &[Protected]) -> Result<(), DatapathError> {
        self.engine.protect(list)
    }

    /// One experiment.
    pub fn status(&mut self, id: &str) -> Result<Experiment, AgentError> {
        Ok(self.engine.status(id)?.clone())
    }

    /// Ids of all experiments, live or ended.
    pub fn ids(&self) -> HashSet<String> {
        let all = self.engine.glance();
        all.map(|experiment| experiment.id.clone()).collect()
    }

    /// See [`Engine::glance`].
    pub fn glance(&self) -> Vec<Experiment> {
        self.engine.glance().cloned().collect()
    }

    /// All experiments, newest first.
    pub fn list(&mut self, ended: bool) -> Vec<Experiment> {
        self.engine.list(ended).cloned().collect()
    }

    /// Something may have changed: when to look again, and word to those who watch, if the state is not what it was.
    fn after(&mut self, id: &str, was: Option<&State>) {
        self.queue.set(id, self.engine.wakes_at(id));
        if self.engine.state(id).as_ref() != was {
            self.tell_of_change();
        }
    }

    fn tell_of_change(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}
