//! What stands where on the time line: a lane for each fault, background activity, action and probe. Knows no markup.

mod value;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use value::{band, value};

use super::journal::{Journal, Run, State};
use super::{clock, words};

/// More lanes than these nobody reads: the rest shares one.
const MOST_LANES: usize = 20;

/// Everything, in seconds from the beginning.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    pub(super) length: f64,
    pub(super) phases: Vec<Bar>,
    /// When faults act, behind every lane.
    pub(super) shades: Vec<Bar>,
    /// When a guard tripped.
    pub(super) cuts: Vec<Bar>,
    pub(super) lanes: Vec<Lane>,
}

/// Something that lasted.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) from: f64,
    pub(super) to: f64,
    /// Of its colour.
    pub(super) class: &'static str,
    /// All of it, for whoever points at it.
    pub(super) told: String,
}

/// One line of the chart.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) bars: Vec<Bar>,
    pub(super) points: Vec<Point>,
    /// Within which a value was expected to be.
    pub(super) band: Option<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Fault,
    Background,
    Action,
    Probe,
}

/// One look of a probe.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) at: f64,
    /// Its value, where that is a number.
    pub(super) value: Option<f64>,
    pub(super) took: f64,
    pub(super) class: &'static str,
    pub(super) told: String,
}

impl Timeline {
    /// None where the journal says of nothing when it was.
    pub(super) fn of(journal: &Journal) -> Option<Self> {
        let looks = || journal.states().flat_map(|(_, state)| &state.probes);
        let runs = || journal.runs.iter().chain(&journal.rollbacks);
        let starts = looks().chain(runs()).filter_map(|run| run.start);
        let zero = starts.chain(journal.start).min()?;
        let clock = Clock { zero };
        let mut made = Self::default();
        let ends = looks().chain(runs()).filter_map(|run| clock.of(run));
        let end = journal.end.map(|end| clock.at(end));
        made.length = ends.map(|(_, to)| to).chain(end).fold(0.0, f64::max);
        made.phases(journal, &clock);
        for guard in &journal.guards {
            let Some(at) = guard.tripped_at.map(|at| clock.at(at)) else {
                continue;
            };
            made.length = made.length.max(at);
            made.cuts.push(Bar {
                from: at,
                to: at,
                class: "cut",
                told: format!("{} tripped at {}", guard.name, clock::span(at)),
            });
        }
        for run in runs().filter(|run| run.fault.is_some()) {
            made.fault(run, journal, &clock);
        }
        for (kind, is_one) in [
            (
                Kind::Background,
                (|run| run.activity.is_background) as fn(&Run) -> bool,
            ),
            (Kind::Action, |run| {
                !run.activity.is_background && run.activity.kind != "probe"
            }),
        ] {
            let of_kind = runs().filter(|run| run.fault.is_none() && is_one(run));
            made.bars(kind, of_kind, journal, &clock);
        }
        let probes =
            runs().filter(|run| run.activity.kind == "probe" && !run.activity.is_background);
        made.probes(looks().chain(probes), &clock);
        // Nothing took any time: there must be something to divide by.
        made.length = made.length.max(1e-6);
        Some(made)
    }

    fn phases(&mut self, journal: &Journal, clock: &Clock) {
        let of_states = |state: &Option<State>| {
            let state = state.iter().flat_map(|state| &state.probes);
            clock.around(state)
        };
        let spans = [
            ("before", of_states(&journal.before)),
            ("method", clock.around(journal.runs.iter())),
            ("after", of_states(&journal.after)),
            ("rollbacks", clock.around(journal.rollbacks.iter())),
            ("recovery", of_states(&journal.recovery)),
        ];
        for (class, span) in spans {
            let Some((from, to)) = span else { continue };
            let took = clock::span(to - from);
            let told = match class {
                "before" => format!("hypothesis before the method, {took}"),
                "after" => format!("hypothesis after the method, {took}"),
                "recovery" => format!("hypothesis after the rollbacks, {took}"),
                other => format!("{other}, {took}"),
            };
            self.phases.push(Bar {
                from,
                to,
                class,
                told,
            });
        }
    }

    /// From when it acts everywhere, which is when its action is over.
    fn fault(&mut self, run: &Run, journal: &Journal, clock: &Clock) {
        let (Some((_, from)), Some(fault)) = (clock.of(run), &run.fault) else {
            return;
        };
        if run.failed() {
            return self.bars(Kind::Action, std::iter::once(run), journal, clock);
        }
        let planned = || clock::read(run.output.get("ends_at")?.as_str()?);
        let ended = fault.ended_at.or_else(planned).map(|at| clock.at(at));
        let lasts = run.activity.provider.get("duration").and_then(duration);
        let end = journal.end.map_or(self.length, |end| clock.at(end));
        let to = ended
            .or_else(|| Some((from + lasts?).min(end)))
            .unwrap_or(end)
            .max(from);
        let does = words::provider(&run.activity.provider);
        let ended = fault.ended.as_ref().map(|why| format!("; ended: {why}"));
        let bar = Bar {
            from,
            to,
            class: "fault",
            told: format!(
                "{}: {does}; acted for {} from {}{}",
                run.activity.name,
                clock::span(to - from),
                clock::span(from),
                ended.unwrap_or_default()
            ),
        };
        self.length = self.length.max(to);
        self.shades.push(bar.clone());
        match self.lane(&run.activity.name, Kind::Fault) {
            Some(lane) => lane.bars.push(bar),
            None => self
                .lanes
                .push(Lane::new(&run.activity.name, Kind::Fault, bar)),
        }
    }

    fn lane(&mut self, name: &str, kind: Kind) -> Option<&mut Lane> {
        let mut lanes = self.lanes.iter_mut();
        lanes.find(|lane| lane.kind == kind && lane.name == name)
    }

    fn bars<'a>(
        &mut self,
        kind: Kind,
        runs: impl Iterator<Item = &'a Run>,
        journal: &Journal,
        clock: &Clock,
    ) {
        for run in runs {
            let Some((from, to)) = clock.of(run) else {
                continue;
            };
            let class = match kind {
                _ if run.failed() => "bad",
                Kind::Background => "background",
                Kind::Fault | Kind::Action | Kind::Probe => "done",
            };
            let mut bars = Vec::new();
            if journal.dry.is_none() {
                bars.extend(pauses(run, from, to, self.length));
            }
            bars.push(Bar {
                from,
                to,
                class,
                told: format!(
                    "{}: {}, {} from {}",
                    run.activity.name,
                    run.status,
                    clock::span(to - from),
                    clock::span(from)
                ),
            });
            self.room(&run.activity.name, kind).bars.extend(bars);
        }
    }

    fn probes<'a>(&mut self, runs: impl Iterator<Item = &'a Run>, clock: &Clock) {
        for run in runs {
            let Some((from, to)) = clock.of(run) else {
                continue;
            };
            let class = match run.met {
                Some(true) => "ok",
                Some(false) => "no",
                None if run.failed() => "no",
                None => "unjudged",
            };
            let expected = run
                .met
                .map(|_| words::expected(&run.activity, Some(&run.output)));
            let expected = expected.map(|what| format!(" (expected: {what})"));
            let point = Point {
                at: from,
                value: value(run),
                took: to - from,
                class,
                told: format!(
                    "{} at {}: {}{}; took {}",
                    run.activity.name,
                    clock::span(from),
                    words::saw(run),
                    expected.unwrap_or_default(),
                    clock::span(to - from)
                ),
            };
            let lane = self.room(&run.activity.name, Kind::Probe);
            lane.band = lane.band.or_else(|| band(run));
            lane.points.push(point);
        }
        for lane in &mut self.lanes {
            lane.points
                .sort_by(|one, other| one.at.total_cmp(&other.at));
        }
    }

    /// The lane of this name, or the one that all have who came too late.
    fn room(&mut self, name: &str, kind: Kind) -> &mut Lane {
        let of_kind = self.lanes.iter().filter(|lane| lane.kind == kind).count();
        let found = self
            .lanes
            .iter()
            .position(|lane| lane.kind == kind && lane.name == name);
        let name = if found.is_none() && of_kind >= MOST_LANES {
            "all others"
        } else {
            name
        };
        let found = found.or_else(|| {
            self.lanes
                .iter()
                .position(|lane| lane.kind == kind && lane.name == name)
        });
        let at = found.unwrap_or_else(|| {
            self.lanes.push(Lane {
                bars: Vec::new(),
                points: Vec::new(),
                band: None,
                name: name.to_owned(),
                kind,
            });
            self.lanes.len() - 1
        });
        &mut self.lanes[at]
    }
}

impl Lane {
    fn new(name: &str, kind: Kind, bar: Bar) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            bars: vec![bar],
            points: Vec::new(),
            band: None,
        }
    }
}

struct Clock {
    zero: Timestamp,
}

impl Clock {
    fn at(&self, time: Timestamp) -> f64 {
        clock::seconds(self.zero, time).max(0.0)
    }

    fn of(&self, run: &Run) -> Option<(f64, f64)> {
        let from = self.at(run.start?);
        Some((from, from + run.seconds.unwrap_or(0.0)))
    }

    fn around<'a>(&self, runs: impl Iterator<Item = &'a Run>) -> Option<(f64, f64)> {
        runs.filter_map(|run| self.of(run))
            .reduce(|(from, to), (other_from, other_to)| (from.min(other_from), to.max(other_to)))
    }
}

/// As many as the file says in numbers; what is substituted is not known here.
fn pauses(run: &Run, from: f64, to: f64, end: f64) -> Vec<Bar> {
    let [before, after] = &run.activity.pauses;
    let seconds = |pause: &Option<Value>| {
        pause
            .as_ref()
            .and_then(Value::as_f64)
            .filter(|pause| *pause > 0.0)
    };
    let pause = |from: f64, to: f64, when: &str, seconds: f64| Bar {
        from,
        to,
        class: "pause",
        told: format!(
            "pause of {} {when} {}",
            clock::span(seconds),
            run.activity.name
        ),
    };
    let before = seconds(before)
        .map(|pause_for| pause((from - pause_for).max(0.0), from, "before", pause_for));
    let after = seconds(after)
        .map(|pause_for| pause(to, (to + pause_for).min(end.max(to)), "after", pause_for));
    before.into_iter().chain(after).collect()
}

/// `30s`, `1m 30s`, or a number of seconds.
fn duration(value: &Value) -> Option<f64> {
    match value {
        Value::Number(seconds) => seconds.as_f64(),
        Value::String(text) => text
            .parse::<SignedDuration>()
            .ok()
            .map(|of| of.as_secs_f64()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Lane {
    /// The least and the most that was seen.
    pub(super) fn seen(&self) -> Option<(f64, f64)> {
        let values = self.points.iter().filter_map(|point| point.value);
        values
            .map(|value| (value, value))
            .reduce(|(least, most), (value, _)| (least.min(value), most.max(value)))
    }

    /// The longest look.
    pub(super) fn longest(&self) -> f64 {
        self.points
            .iter()
            .map(|point| point.took)
            .fold(0.0, f64::max)
    }
}
