//! Whether this machine stood still for a moment, or had something else to do: what was measured meanwhile says nothing of
//! the network. On each CPU a thread that does nothing else wakes up in short intervals and notes when it was late
//! by more than the work of a test accounts for.

use std::{
    io::Write as _,
    sync::{Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use crate::requires::is_emulated;

/// A median of fewer says less than that of all.
const FEWEST: usize = 5;

/// How often a thread wakes up.
const INTERVAL: Duration = Duration::from_millis(1);

/// From the last time that a thread was on time until it was late.
type Pause = (Instant, Instant);

static PAUSES: Mutex<Vec<Pause>> = Mutex::new(Vec::new());
static WATCHED: OnceLock<Result<(), String>> = OnceLock::new();

/// Watches from now on, until the program ends.
pub(crate) fn watch() -> Result<()> {
    let watched = WATCHED.get_or_init(|| start().map_err(|error| format!("{error:#}")));
    watched.clone().map_err(anyhow::Error::msg)
}

fn start() -> Result<()> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).context("see on which CPUs this may run")?;
    for cpu in (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or_default()) {
        let mut only = CpuSet::new();
        only.set(cpu)?;
        thread::Builder::new()
            .name(format!("witness-{cpu}"))
            .spawn(move || sched_setaffinity(Pid::from_raw(0), &only).map(|()| witness()))
            .context("start a thread")?;
    }
    Ok(())
}

fn witness() {
    // What this program and the agent do themselves makes it late by some milliseconds, on an emulated machine by more.
    let late = Duration::from_millis(if is_emulated() { 50 } else { 10 });
    let mut last = Instant::now();
    loop {
        thread::sleep(INTERVAL);
        let now = Instant::now();
        if now - last > INTERVAL + late {
            let mut pauses = PAUSES.lock().unwrap_or_else(PoisonError::into_inner);
            pauses.push((last, now));
        }
        last = now;
    }
}

/// Times that were measured, and whether the machine paused meanwhile.
#[derive(Debug, Clone, Default)]
pub struct Times(Vec<(Duration, bool)>);

impl FromIterator<(Instant, Duration)> for Times {
    /// Of when each began, and how long it took.
    fn from_iter<T: IntoIterator<Item = (Instant, Duration)>>(times: T) -> Self {
        let pauses = PAUSES.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(from, took): (Instant, Duration)| {
            let overlaps = |&(began, ended): &Pause| began < from + took && ended > from;
            (took, pauses.iter().any(overlaps))
        };
        Self(times.into_iter().map(of).collect())
    }
}

impl Times {
    /// Of what was sent, and how long each took; those that took for ever are left out.
    pub(crate) fn of(sent: &[Instant], times: &[Option<Duration>]) -> Self {
        let both = sent.iter().zip(times);
        both.filter_map(|(&sent, &time)| Some((sent, time?)))
            .collect()
    }

    /// How many, disturbed or not.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// All of them, disturbed or not.
    pub fn all(&self) -> Vec<Duration> {
        self.0.iter().map(|&(time, _)| time).collect()
    }

    /// Whether the machine disturbed any.
    pub fn are_disturbed(&self) -> bool {
        self.0.iter().any(|(_, paused)| *paused)
    }

    /// Those that the machine itself did not disturb; all of them, if these are hardly any.
    pub fn undisturbed(&self) -> Vec<Duration> {
        let calm = self.0.iter().filter(|(_, paused)| !paused);
        let calm: Vec<Duration> = calm.map(|&(time, _)| time).collect();
        if calm.len() < FEWEST {
            let _closed = writeln!(
                std::io::stderr(),
                "the machine paused: {} of {} were not disturbed",
                calm.len(),
                self.0.len()
            );
            return self.all();
        }
        calm
    }
}
