//! The phases of a drill, one after the other: what acts in each is in place before it begins, and ends with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::plan::Phase;
use crate::commands::steered::{Ended, Hide, Steered};
use crate::error::{CommandError, ErrorKind};
use crate::experiment::Steer;
use crate::global::Global;
use crate::output::Output;
use crate::quantity::time_in_words;

/// So long before a phase its faults are put in place, without acting: agents keep them for 30 s.
const LEAD: Duration = Duration::from_secs(5);

/// When phases began: shared with whoever has to tell to which of them something belongs.
#[derive(Debug, Clone, Default)]
pub(super) struct Starts(Arc<Mutex<Vec<Instant>>>);

impl Starts {
    fn lock(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, start: Instant) {
        self.lock().push(start);
    }

    /// The phase at that time, and none before the first.
    pub(super) fn at(&self, time: Instant) -> Option<usize> {
        self.lock()
            .partition_point(|start| *start <= time)
            .checked_sub(1)
    }

    /// All that are known, which may be one that is still to come.
    pub(super) fn all(&self) -> Vec<Instant> {
        self.lock().clone()
    }
}

/// A phase's experiment, from when it is put in place.
struct Placed {
    phase: usize,
    steered: Steered,
}

/// What became of a phase's faults.
#[derive(Debug)]
pub(super) struct PhaseEnded {
    /// Its number.
    pub(super) phase: usize,
    pub(super) faults: Ended,
}

/// Goes through the phases.
pub(super) struct Stage<'a> {
    pub(super) phases: &'a [Phase],
    pub(super) global: &'a Arc<Global>,
    pub(super) output: Output<'static>,
    pub(super) starts: Starts,
    /// How often somebody wants all of it to end.
    pub(super) stop: watch::Receiver<u32>,
    placed: Vec<Placed>,
    ended: Vec<PhaseEnded>,
    /// Whether all of it is being ended.
    is_ending: bool,
}

/// Why the phases were not gone through.
pub(super) enum Broken {
    /// Somebody wanted it.
    Stopped,
    /// What was to act in this phase does not.
    Failed,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        phases: &'a [Phase],
        global: &'a Arc<Global>,
        output: Output<'static>,
        stop: watch::Receiver<u32>,
    ) -> Self {
        Self {
            phases,
            global,
            output,
            starts: Starts::default(),
            stop,
            placed: Vec::new(),
            ended: Vec::new(),
            is_ending: false,
        }
    }

    /// Begins the first phase; returns when it began and when it ends.
    pub(super) async fn first(&mut self) -> Result<(Instant, Instant), Broken> {
        self.place(0);
        let end = self.begin(0, None).await?;
        let start = self.starts.all().first().copied();
        Ok((start.unwrap_or(end), end))
    }

    /// Goes through the others. `last` is told when the load ends, as soon as that is known.
    pub(super) async fn others(
        &mut self,
        mut end: Instant,
        last: impl Fn(Instant),
    ) -> Result<(), Broken> {
        for number in 1..self.phases.len() {
            let mut is_known = self.phases[number].faults.is_none();
            if !is_known {
                let lead = end.checked_sub(LEAD).unwrap_or(end);
                self.wait_until(lead).await?;
                self.place(number);
                is_known = self.is_ready_before(number, end).await?;
            }
            if is_known {
                // Requests that are due on the dot must not wait for this task to notice.
                self.starts.push(end);
            }
            self.wait_until(end).await?;
            end = self.begin(number, is_known.then_some(end)).await?;
        }
        last(end);
        self.wait_until(end).await?;
        while !self.placed.is_empty() {
            self.news().await?;
        }
        Ok(())
    }

    /// Ends what still acts, and hands back what became of all of it.
    pub(super) async fn end(mut self) -> Vec<PhaseEnded> {
        self.is_ending = true;
        for placed in &self.placed {
            placed.steered.hand.stop();
        }
        let mut stop = self.stop.clone();
        let mut seen = *stop.borrow_and_update();
        while !self.placed.is_empty() {
            tokio::select! {
                () = self.one_ended() => {}
                Ok(asked) = stop.wait_for(|asked| *asked > seen) => {
                    // Asked again: nobody waits for the agents.
                    seen = *asked;
                    for placed in &self.placed {
                        placed.steered.hand.stop();
                    }
                }
            }
        }
        self.ended.sort_by_key(|ended| ended.phase);
        self.ended
    }

    /// Puts a phase's faults in place, without acting.
    fn place(&mut self, number: usize) {
        let phase = &self.phases[number];
        let Some(faults) = phase.faults.as_ref().map(Arc::clone) else {
            return;
        };
        let steered = Steered::start(
            &phase.name,
            faults,
            Some(phase.length),
            self.global,
            Steer::held(),
            self.output,
            Hide::nothing(),
        );
        self.placed.push(Placed {
            phase: number,
            steered,
        });
    }

    /// Whether a phase's faults are in place before its time.
    async fn is_ready_before(&mut self, number: usize, time: Instant) -> Result<bool, Broken> {
        let mut stop = self.stop.clone();
        let Some(placed) = self.placed.iter_mut().find(|one| one.phase == number) else {
            return Err(Broken::Failed);
        };
        tokio::select! {
            () = placed.steered.hand.ready() => Ok(true),
            () = tokio::time::sleep_until(time.into()) => Ok(false),
            _ = stop.changed() => Err(Broken::Stopped),
        }
    }

    /// Begins a phase, and returns its end. `known` is its beginning, where that could be told beforehand; else it is
    /// counted from when its faults are asked to act, so that none of them is in the phase before. It ends when they do.
    async fn begin(&mut self, number: usize, known: Option<Instant>) -> Result<Instant, Broken> {
        let phase = &self.phases[number];
        let length = time_in_words(phase.length);
        let place = self.placed.iter().position(|placed| placed.phase == number);
        let Some(place) = place else {
            if phase.faults.is_some() {
                // It ended before it began.
                return Err(Broken::Failed);
            }
            let start = known.unwrap_or_else(Instant::now);
            if known.is_none() {
                self.starts.push(start);
            }
            self.output.talk(&format!("{} for {length}", phase.name));
            return Ok(start + phase.length);
        };
        let mut stop = self.stop.clone();
        tokio::select! {
            () = self.placed[place].steered.hand.ready() => {}
            _ = stop.changed() => return Err(Broken::Stopped),
        }
        let start = known.unwrap_or_else(Instant::now);
        if known.is_none() {
            self.starts.push(start);
        }
        self.placed[place].steered.hand.begin();
        let Some(mut armed) = self.placed[place].steered.armed.take() else {
            return Err(Broken::Failed);
        };
        let armed = loop {
            tokio::select! {
                biased;
                armed = &mut armed => break armed,
                broken = self.news() => broken?,
            }
            if !self.placed.iter().any(|placed| placed.phase == number) {
                return Err(Broken::Failed);
            }
        };
        let (since, did) = armed.map_or((start, String::new()), |acts| (acts.since, acts.did));
        self.output
            .talk(&format!("{} for {length}: {did}", phase.name));
        Ok(since + phase.length)
    }

    async fn wait_until(&mut self, time: Instant) -> Result<(), Broken> {
        while Instant::now() < time {
            tokio::select! {
                () = tokio::time::sleep_until(time.into()) => {}
                broken = self.news() => broken?,
            }
        }
        Ok(())
    }

    /// Waits until an experiment has ended, or somebody wants all to end.
    async fn news(&mut self) -> Result<(), Broken> {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = self.one_ended() => {
                let is_fatal = self.ended.last().is_some_and(|last| last.faults.is_fatal());
                if is_fatal { Err(Broken::Failed) } else { Ok(()) }
            }
            _ = stop.changed() => Err(Broken::Stopped),
        }
    }

    /// Waits until one of those that run has ended; forever where none does.
    async fn one_ended(&mut self) {
        if self.placed.is_empty() {
            return std::future::pending().await;
        }
        let runs = self.placed.iter_mut().map(|placed| &mut placed.steered.run);
        let (result, place, _) = futures::future::select_all(runs).await;
        let Placed { phase, steered } = self.placed.swap_remove(place);
        let mut faults = steered.ended(result);
        if !self.is_ending && faults.error.is_none() && faults.outcome() == Some("stopped") {
            let error = CommandError::new(
                ErrorKind::Failed,
                "its faults were stopped by somebody else",
            );
            faults.error = Some(error);
        }
        self.ended.push(PhaseEnded { phase, faults });
    }
}
