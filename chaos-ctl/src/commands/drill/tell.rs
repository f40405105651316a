//! What is said of a drill: while it goes on, at its end, and by its exit code.

use std::fmt::Write as _;

use super::conducted::{Conducted, How};
use super::phases::{Broken, PhaseEnded};
use super::plan::Plan;
use crate::drill::figures::Results;
use crate::drill::human;
use crate::drill::measured::PhaseFigures;
use crate::drill::metric::Kind;
use crate::drill::outcome::{Outcome, PhaseOutcome, Sent, Verdict};
use crate::drill::{report, summary};
use crate::error::{CommandError, ErrorKind};
use crate::output::{Output, table};
use crate::quantity::{packets, time_in_words};

/// Requests that were sent later than that after their time are worth a word.
const LATE: std::time::Duration = std::time::Duration::from_millis(50);

/// A drill that did not go as asked.
#[derive(Debug, thiserror::Error)]
enum DrillError {
    /// Because of a phase's faults.
    #[error("phase `{phase}`: {source}")]
    Phase {
        phase: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Ctrl-C.
    #[error("interrupted: the drill did not run to its end")]
    Interrupted,
    /// Ctrl-C before anything was sent.
    #[error("interrupted before the first request")]
    InterruptedBeforeStart,
    /// The address is wrong, or the service is down.
    #[error(
        "no request of phase `{phase}` was answered, although no fault acted yet ({why}): check `url` of the load, and that it can be reached from here"
    )]
    Unanswered { phase: String, why: String },
    /// Thresholds.
    #[error("thresholds on metrics '{}' have been crossed", .0.join(", "))]
    Crossed(Vec<String>),
    /// A threshold that ends the drill.
    #[error("threshold `{threshold}` on metric '{series}' was crossed, and ended the drill")]
    Aborted { series: String, threshold: String },
}

/// An error of a phase's faults, with the phase's name.
pub(super) fn of_phase(phase: &str, error: CommandError) -> CommandError {
    CommandError {
        kind: error.kind,
        source: Box::new(DrillError::Phase {
            phase: phase.to_owned(),
            source: error.source,
        }),
        hints: error.hints,
    }
}

/// Why nothing was sent.
pub(super) fn not_begun(plan: &Plan, broken: &Broken, ended: Vec<PhaseEnded>) -> CommandError {
    let failed = match broken {
        Broken::Stopped => None,
        Broken::Failed => ended.into_iter().find_map(|ended| {
            let error = ended.faults.error?;
            Some(of_phase(&plan.phases[ended.phase].name, error))
        }),
    };
    failed.unwrap_or_else(interrupted_early)
}

/// Somebody wanted it before there was anything.
pub(super) fn interrupted_early() -> CommandError {
    CommandError::new(ErrorKind::Failed, DrillError::InterruptedBeforeStart)
}

/// What is sent.
pub(super) fn sent(plan: &Plan) -> Sent {
    let asked = &plan.load.asked;
    Sent {
        method: asked.method.to_string(),
        url: asked.uri.to_string(),
        rate: plan.load.rate,
    }
}

/// A line about a phase that goes on.
pub(super) fn so_far(name: &str, figures: &PhaseFigures, under_way: u64) -> String {
    let mut text = format!("{name}: {} requests", packets(figures.requests));
    for (count, what) in [
        (figures.failed, "failed"),
        (figures.dropped, "dropped"),
        (under_way, "under way"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {} {what}", packets(count));
        }
    }
    if figures.requests > 0 {
        let durations = &figures.durations;
        let [med, p95] = [50.0, 95.0].map(|percent| human::time(durations.percentile(percent)));
        let _ = write!(text, ", med {med}, p(95) {p95}");
    }
    text
}

/// All that there is to tell.
pub(super) struct Told {
    outcome: Outcome,
    how: How,
    /// Of faults, with their phases' names.
    errors: Vec<CommandError>,
    latest: std::time::Duration,
}

/// Puts it together.
pub(super) fn all(plan: &Plan, conducted: Conducted) -> Told {
    let lengths: Vec<_> = conducted.phases.iter().map(|(_, length)| *length).collect();
    let results = Results::of(&conducted.measured, conducted.elapsed, &lengths);
    let figures = conducted.measured.phases.iter().cloned();
    let mut phases: Vec<_> = plan
        .phases
        .iter()
        .zip(figures)
        .collect::<Vec<_>>()
        .into_iter()
        .enumerate()
        .map(|(number, (phase, figures))| {
            let span = conducted.phases.get(number);
            PhaseOutcome {
                name: phase.name.clone(),
                start: span.map(|(start, _)| *start),
                length: span.map(|(_, length)| *length).unwrap_or_default(),
                figures,
                did: None,
                experiment: None,
                hits: None,
                error: None,
            }
        })
        .collect();
    let mut errors = Vec::new();
    for ended in conducted.faults {
        let phase: &mut PhaseOutcome = &mut phases[ended.phase];
        let faults = ended.faults;
        phase.did = faults.did;
        phase.experiment = faults.json;
        phase.hits = faults.table;
        if let Some(error) = faults.error {
            phase.error = Some(error.source.to_string());
            errors.push(of_phase(&phase.name, error));
        }
    }
    let mut told = Told {
        outcome: Outcome {
            verdict: Verdict::Passed,
            sent: sent(plan),
            elapsed: conducted.elapsed,
            phases,
            results,
            step: conducted.timeline.step(),
            points: conducted.timeline.points(),
        },
        how: conducted.how,
        errors,
        latest: conducted.latest,
    };
    told.outcome.verdict = told.judged();
    told
}

impl Told {
    /// What went wrong first: faults that did not act make all else worth nothing, and faults that acted on nothing are
    /// part of what thresholds judge.
    fn judged(&self) -> Verdict {
        let mut errors = self.errors.iter().map(|error| error.kind);
        let is_fatal = errors.any(|kind| kind != ErrorKind::NothingHit);
        match &self.how {
            How::Interrupted => Verdict::Interrupted,
            How::Unanswered => Verdict::Unanswered,
            How::Failed => Verdict::Failed,
            _ if is_fatal => Verdict::Failed,
            How::Aborted { .. } => Verdict::Aborted,
            How::Completed if !self.outcome.results.crossed().is_empty() => Verdict::Crossed,
            How::Completed if !self.errors.is_empty() => Verdict::NothingMatched,
            How::Completed => Verdict::Passed,
        }
    }

    /// Prints the result.
    pub(super) fn print(&self, output: Output<'_>) -> Result<(), CommandError> {
        self.warn(output);
        output.result(|| self.text(), || self.outcome.json())?;
        Ok(())
    }

    fn warn(&self, output: Output<'_>) {
        if self.latest > LATE {
            output.warn(&format!(
                "requests were sent up to {} after their time, because this machine had none for them; their latencies include that",
                time_in_words(crate::output::progress::to_tenths(self.latest))
            ));
        }
        let dropped: u64 = self.outcome.phases.iter().map(|p| p.figures.dropped).sum();
        if dropped > 0 {
            output.warn(&format!(
                "{} requests were not sent, because too many were under way: the service was slower than the load, or max-in-flight is too low",
                packets(dropped)
            ));
        }
        for entry in &self.outcome.results.entries {
            for judged in entry.judged.iter().filter(|judged| judged.is_empty) {
                let how = match entry.kind {
                    Kind::Rate => "holds by itself",
                    Kind::Counter | Kind::Gauge | Kind::Trend => "was compared with 0",
                };
                output.warn(&format!(
                    "threshold `{}` on metric '{}' {how}: there was none to measure",
                    judged.source, entry.name
                ));
            }
        }
    }

    fn text(&self) -> String {
        let mut text = summary::block(&self.outcome.results);
        let rows: Vec<_> = self.outcome.phases.iter().map(row).collect();
        text.push_str("\n\n");
        text.push_str(&table::phases(&rows));
        let failures = self.outcome.phases.iter().filter(|p| p.figures.failed > 0);
        let failures: Vec<_> = failures
            .map(|phase| format!("{}: {}", phase.name, phase.figures.ends_in_words()))
            .collect();
        if !failures.is_empty() {
            let _ = write!(text, "\n\nHow requests ended\n{}", failures.join("\n"));
        }
        for phase in &self.outcome.phases {
            if let Some(hits) = &phase.hits {
                let _ = write!(text, "\n\n{}", phase.name);
                if let Some(did) = &phase.did {
                    let _ = write!(text, ": {did}");
                }
                let _ = write!(text, "\n{hits}");
            }
        }
        text
    }

    /// Nobody answered, with nothing done to them.
    fn unanswered(&self) -> CommandError {
        let first = &self.outcome.phases[0];
        let error = DrillError::Unanswered {
            phase: first.name.clone(),
            why: first.figures.ends_in_words(),
        };
        CommandError::new(ErrorKind::Failed, error)
    }

    /// The report.
    pub(super) fn report(&self, name: &str) -> String {
        report::page(name, &self.outcome)
    }

    /// Whether all went as asked. All that did not is said; the first decides. A report that could not be written comes
    /// last: it changes nothing about what there would be to read in it.
    pub(super) fn verdict(
        self,
        unwritten: Option<CommandError>,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        let unanswered = (self.how == How::Unanswered).then(|| self.unanswered());
        let (nothing_hit, fatal): (Vec<_>, Vec<_>) = self
            .errors
            .into_iter()
            .partition(|error| error.kind == ErrorKind::NothingHit);
        let interrupted = match self.how {
            How::Interrupted => Some(DrillError::Interrupted),
            How::Completed | How::Failed | How::Unanswered | How::Aborted { .. } => None,
        };
        let interrupted = interrupted.map(|error| CommandError::new(ErrorKind::Failed, error));
        let crossed = self.outcome.results.crossed();
        let crossed = match self.how {
            How::Aborted { series, threshold } => Some(DrillError::Aborted { series, threshold }),
            _ if crossed.is_empty() => None,
            How::Completed | How::Failed | How::Unanswered | How::Interrupted => {
                let crossed = crossed.into_iter().map(str::to_owned).collect();
                Some(DrillError::Crossed(crossed))
            }
        };
        let crossed = crossed.map(|error| CommandError::new(ErrorKind::Threshold, error));
        let mut all = interrupted
            .into_iter()
            .chain(fatal)
            .chain(unanswered)
            .chain(crossed)
            .chain(nothing_hit)
            .chain(unwritten);
        match all.next() {
            None => Ok(()),
            Some(first) => {
                all.for_each(|error| output.error(&error));
                Err(first)
            }
        }
    }
}

fn row(phase: &PhaseOutcome) -> [String; 9] {
    let figures = &phase.figures;
    let durations = &figures.durations;
    let time = |ms: f64| match figures.requests {
        0 => String::new(),
        _ => human::time(ms),
    };
    [
        phase.name.clone(),
        match phase.start {
            Some(_) => time_in_words(crate::output::progress::to_tenths(phase.length)),
            None => "not begun".to_owned(),
        },
        packets(figures.requests),
        packets(figures.failed),
        packets(figures.dropped),
        time(durations.percentile(50.0)),
        time(durations.percentile(95.0)),
        time(durations.percentile(99.0)),
        time(durations.max()),
    ]
}
