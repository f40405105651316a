//! Conducts a drill: sends, goes through the phases, and takes note of everything, until it is over or has to end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::conducted::{Conducted, How};
use super::phases::{Broken, PhaseEnded, Stage, Starts};
use super::plan::Plan;
use crate::drill::client::Client;
use crate::drill::figures::over;
use crate::drill::load::{Event, Running};
use crate::drill::measured::Measurements;
use crate::drill::timeline::Timeline;
use crate::error::{CommandError, ErrorKind};
use crate::global::Global;
use crate::output::Output;

/// Between two looks at thresholds, and at how many requests are under way.
const LOOK: Duration = Duration::from_secs(1);
/// So many looks between two lines of talk.
const LINE_EVERY: u32 = 5;

/// What it takes.
pub(super) struct Conduct<'a> {
    pub(super) plan: &'a Plan,
    pub(super) global: &'a Arc<Global>,
    pub(super) output: Output<'static>,
}

/// What is going on.
struct Going<'a> {
    plan: &'a Plan,
    begin: Instant,
    starts: Starts,
    running: Running,
    measured: Measurements,
    timeline: Timeline,
    /// When the last request was over that is.
    last: Instant,
    looks: u32,
    output: Output<'static>,
}

fn failed(error: std::io::Error) -> CommandError {
    CommandError::new(ErrorKind::Failed, error)
}

impl Conduct<'_> {
    /// Conducts it. `stop` says how often somebody wants it to end.
    pub(super) async fn run(
        &self,
        client: Client,
        stop: watch::Receiver<u32>,
    ) -> Result<Conducted, CommandError> {
        let plan = self.plan;
        let mut stage = Stage::new(&plan.phases, self.global, self.output, stop.clone());
        let first = stage.first().await;
        let (begin, end) = match first {
            Ok(times) => times,
            Err(broken) => {
                let ended = stage.end().await;
                return Err(super::tell::not_begun(plan, &broken, ended));
            }
        };
        let running = plan.load.start(client, begin).map_err(failed)?;
        let mut going = Going {
            plan,
            begin,
            starts: stage.starts.clone(),
            measured: Measurements::new(
                plan.thresholds.clone(),
                &plan.load.checks.names(),
                &plan.names(),
            ),
            timeline: Timeline::new(plan.length()),
            running,
            last: begin,
            looks: 0,
            output: self.output,
        };
        let until = going.running.until.clone();
        let how = {
            let mut phases = std::pin::pin!(stage.others(end, |end| until.set(end)));
            let how = tokio::select! {
                how = &mut phases => match how {
                    Ok(()) => How::Completed,
                    Err(Broken::Stopped) => How::Interrupted,
                    Err(Broken::Failed) => How::Failed,
                },
                how = going.attend() => how,
            };
            // It may have ended early.
            until.set(Instant::now());
            how
        };
        if matches!(how, How::Interrupted) {
            self.output.talk("stopping …");
        }
        let ending = stage.end();
        let mut stop = stop;
        let asked = *stop.borrow();
        let draining = async {
            tokio::select! {
                () = going.drain() => {}
                // Asked again: what is under way is not waited for.
                _ = stop.wait_for(|now| *now > asked) => {}
            }
        };
        let (faults, ()) = tokio::join!(ending, draining);
        let how = if how == How::Completed && going.is_unanswered() {
            How::Unanswered
        } else {
            how
        };
        Ok(going.conducted(how, faults))
    }
}

impl Going<'_> {
    /// Takes note of what comes, until a threshold ends the drill.
    async fn attend(&mut self) -> How {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.running.events.recv() => match event {
                    Some(event) => self.take(event),
                    // Whoever goes through the phases is at their end, too.
                    None => std::future::pending().await,
                },
                _ = look.tick() => {
                    if let Some(aborted) = self.look() {
                        return aborted;
                    }
                }
            }
        }
    }

    /// Takes note of what is still under way.
    async fn drain(&mut self) {
        while let Some(event) = self.running.events.recv().await {
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        let due = match &event {
            Event::Over(sample) => sample.due,
            Event::Dropped { due } => *due,
        };
        let Some(phase) = self.starts.at(self.begin + due) else {
            return;
        };
        match event {
            Event::Over(sample) => {
                self.last = self.last.max(self.begin + sample.due + sample.duration);
                self.measured.add(phase, &sample);
                self.timeline.add(&sample);
            }
            Event::Dropped { due } => {
                self.measured.drop_one(phase);
                self.timeline.drop_one(due);
            }
        }
    }

    /// Looks at what there is so far.
    fn look(&mut self) -> Option<How> {
        let under_way = self.running.under_way();
        let most = self.plan.load.max_in_flight;
        self.measured.under_way(under_way, most);
        self.looks += 1;
        if self.looks > 1 && (self.looks - 1).is_multiple_of(LINE_EVERY) {
            self.tell(under_way);
        }
        if self.is_unanswered() {
            return Some(How::Unanswered);
        }
        let elapsed = self.begin.elapsed();
        let phases = self.phases(Instant::now());
        let lengths: Vec<_> = phases.iter().map(|(_, length)| *length).collect();
        for measured in &self.measured.all {
            // Nothing says nothing yet.
            if measured.values.is_empty() {
                continue;
            }
            let over = over(&self.measured, measured, elapsed, &lengths);
            for (threshold, _, holds) in measured.judged(over) {
                let ends = threshold.abort.is_some_and(|abort| elapsed > abort.after);
                if ends && !holds {
                    return Some(How::Aborted {
                        series: measured.series.name.clone(),
                        threshold: threshold.source.clone(),
                    });
                }
            }
        }
        None
    }

    /// Whether the first phase, in which nothing is done to anybody, is about to be over, and nobody has answered: what
    /// would come after it would show nothing.
    fn is_unanswered(&self) -> bool {
        let (first, figures) = (&self.plan.phases[0], &self.measured.phases[0]);
        let is_near = self.begin.elapsed() + LOOK * 2 > first.length;
        let has_none = figures.requests > 0 && figures.statuses.is_empty();
        is_near && has_none && first.faults.is_none()
    }

    fn tell(&self, under_way: u64) {
        let Some(now) = self.starts.at(Instant::now()) else {
            return;
        };
        let figures = &self.measured.phases[now];
        let name = &self.measured.phase_names()[now];
        self.output
            .talk(&super::tell::so_far(name, figures, under_way));
    }

    /// When each phase began, since the beginning of the load, and how long it was.
    fn phases(&self, end: Instant) -> Vec<(Duration, Duration)> {
        let starts: Vec<_> = self.starts.all();
        let begun = starts.iter().filter(|start| **start < end);
        let begun: Vec<_> = begun.copied().collect();
        let ends = begun.iter().skip(1).copied().chain([end]);
        let spans = begun.iter().zip(ends);
        spans
            .map(|(start, end)| (*start - self.begin, end.saturating_duration_since(*start)))
            .collect()
    }

    fn conducted(mut self, how: How, faults: Vec<PhaseEnded>) -> Conducted {
        let under_way = self.running.under_way();
        self.measured
            .under_way(under_way, self.plan.load.max_in_flight);
        let end = self.running.until.get().unwrap_or_else(Instant::now);
        Conducted {
            how,
            phases: self.phases(end),
            elapsed: self.last.max(end).saturating_duration_since(self.begin),
            latest: self.running.latest(),
            measured: self.measured,
            timeline: self.timeline,
            faults,
        }
    }
}
