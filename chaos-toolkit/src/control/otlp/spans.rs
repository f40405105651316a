//! What happens in a run as spans: those that are open, and those that have ended with an event.

use std::collections::HashMap;
use std::time::SystemTime;

use opentelemetry::trace::{
    Event as SpanEvent, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use serde_json::{Map, Value};

use crate::observe::{Event, Phase};
use crate::verdict::Outcome;

/// Longer values of attributes are cut: collectors refuse what is too large.
pub(super) const MOST: usize = 4096;

/// A span that has not ended.
#[derive(Clone, Debug)]
struct Open {
    id: SpanId,
    parent: SpanId,
    name: String,
    since: SystemTime,
    attributes: Vec<KeyValue>,
    events: Vec<SpanEvent>,
}

impl Open {
    fn new(parent: SpanId, name: String, attributes: Vec<KeyValue>) -> Self {
        Self {
            id: new_span(),
            parent,
            name,
            since: SystemTime::now(),
            attributes,
            events: Vec::new(),
        }
    }
}

/// All that is going on.
pub(super) struct State {
    trace: TraceId,
    /// What the run is a part of.
    around: Option<SpanId>,
    run: Option<Open>,
    phases: HashMap<Phase, Open>,
    activities: HashMap<u64, Open>,
    /// By the names of their actions, of which several may have the same.
    faults: Vec<(String, Open)>,
}

impl State {
    pub(super) fn new(parent: Option<&str>) -> Self {
        let parent = parent.and_then(parse_parent);
        Self {
            trace: parent.map_or_else(new_trace, |(trace, _)| trace),
            around: parent.map(|(_, span)| span),
            run: None,
            phases: HashMap::new(),
            activities: HashMap::new(),
            faults: Vec::new(),
        }
    }

    /// The `traceparent` of an activity that is under way.
    pub(super) fn traceparent(&self, number: u64) -> Option<String> {
        let open = self.activities.get(&number)?;
        Some(format!("00-{}-{}-01", self.trace, open.id))
    }

    fn run_id(&self) -> SpanId {
        self.run.as_ref().map_or(SpanId::INVALID, |run| run.id)
    }

    fn note(&mut self, name: &'static str, attributes: Vec<KeyValue>) {
        if let Some(run) = &mut self.run {
            run.events
                .push(SpanEvent::new(name, SystemTime::now(), attributes, 0));
        }
    }

    /// Takes note of an event; the spans that have ended with it.
    pub(super) fn hear(&mut self, event: Event<'_>) -> Vec<SpanData> {
        match event {
            Event::Started { journal } => {
                let title = text(&journal["experiment"]["title"]);
                let around = self.around.unwrap_or(SpanId::INVALID);
                let attributes = vec![KeyValue::new("chaos.experiment.title", title.clone())];
                self.run = Some(Open::new(around, format!("experiment {title}"), attributes));
                Vec::new()
            }
            Event::PhaseStarted(phase) => {
                let open = Open::new(self.run_id(), phase.as_str().to_owned(), Vec::new());
                self.phases.insert(phase, open);
                Vec::new()
            }
            Event::PhaseEnded { phase, met } => {
                let Some(mut open) = self.phases.remove(&phase) else {
                    return Vec::new();
                };
                let mut status = Status::Unset;
                if let Some(met) = met {
                    open.attributes
                        .push(KeyValue::new("chaos.hypothesis.met", met));
                    if !met {
                        status = Status::error("the hypothesis was not met");
                    }
                }
                vec![self.end(open, status)]
            }
            Event::ActivityStarted {
                number,
                phase,
                activity,
            } => {
                let parent = self
                    .phases
                    .get(&phase)
                    .map_or_else(|| self.run_id(), |phase| phase.id);
                let name = activity.get("name").map(text).unwrap_or_default();
                let mut attributes = vec![KeyValue::new("chaos.activity.name", name.clone())];
                if let Some(kind) = activity.get("type").and_then(Value::as_str) {
                    attributes.push(KeyValue::new("chaos.activity.type", kind.to_owned()));
                }
                let provider = activity.get("provider").unwrap_or(&Value::Null);
                if let Some(kind) = provider["type"].as_str() {
                    attributes.push(KeyValue::new("chaos.provider.type", kind.to_owned()));
                }
                let open = Open::new(parent, name, attributes);
                self.activities.insert(number, open);
                Vec::new()
            }
            Event::ActivityEnded { number, run, .. } => self.activity_ended(number, run),
            Event::FaultEnded { name, ended } => {
                let Some(index) = self.faults.iter().position(|(other, _)| other == name) else {
                    return Vec::new();
                };
                let (_, mut open) = self.faults.remove(index);
                open.attributes
                    .push(KeyValue::new("chaos.fault.ended", text(ended)));
                vec![self.end(open, Status::Unset)]
            }
            Event::GuardTripped { name, saw } => {
                let attributes = vec![
                    KeyValue::new("chaos.guard.name", name.to_owned()),
                    KeyValue::new("chaos.guard.saw", cut(saw)),
                ];
                self.note("guard tripped", attributes);
                Vec::new()
            }
            Event::Interrupted(by) => {
                self.note("interrupted", vec![KeyValue::new("chaos.by", cut(by))]);
                Vec::new()
            }
            Event::Broken(why) => {
                self.note("broken", vec![KeyValue::new("chaos.why", cut(why))]);
                Vec::new()
            }
            Event::Ended { journal } => self.ended(journal),
            Event::Untold(_) => Vec::new(),
        }
    }

    fn activity_ended(&mut self, number: u64, run: &Map<String, Value>) -> Vec<SpanData> {
        let Some(mut open) = self.activities.remove(&number) else {
            return Vec::new();
        };
        let field = |name: &str| run.get(name).unwrap_or(&Value::Null);
        let status = field("status").as_str();
        open.attributes.push(KeyValue::new(
            "chaos.activity.status",
            status.unwrap_or("interrupted").to_owned(),
        ));
        open.attributes.push(KeyValue::new(
            "chaos.activity.output",
            text(field("output")),
        ));
        if let Some(met) = field("tolerance_met").as_bool() {
            open.attributes
                .push(KeyValue::new("chaos.tolerance.met", met));
        }
        let status = match status {
            Some("succeeded") if field("tolerance_met") != &Value::Bool(false) => Status::Ok,
            Some("succeeded") => Status::error("out of tolerance"),
            Some("skipped") => Status::Unset,
            _ => {
                let lines = field("exception").as_array().into_iter().flatten();
                let trace: String = lines.filter_map(Value::as_str).collect();
                Status::error(cut(trace.trim_end()))
            }
        };
        let is_fault = run.get("activity").is_some_and(|activity| {
            activity["provider"]["type"] == "chaos" && status == Status::Ok
        });
        if is_fault {
            let name = open.name.clone();
            let mut fault = Open::new(self.run_id(), format!("fault {name}"), Vec::new());
            fault
                .attributes
                .push(KeyValue::new("chaos.fault", text(field("output"))));
            self.faults.push((name, fault));
        }
        vec![self.end(open, status)]
    }

    fn ended(&mut self, journal: &Map<String, Value>) -> Vec<SpanData> {
        let activities = std::mem::take(&mut self.activities).into_values();
        let faults = std::mem::take(&mut self.faults).into_iter();
        let faults = faults.map(|(_, open)| open);
        let phases = std::mem::take(&mut self.phases).into_values();
        let mut spans: Vec<SpanData> = activities
            .chain(faults)
            .chain(phases)
            .map(|open| self.end(open, Status::error("the run ended before")))
            .collect();
        let Some(mut run) = self.run.take() else {
            return spans;
        };
        let outcome = Outcome::of(journal);
        run.attributes
            .push(KeyValue::new("chaos.verdict", outcome.as_str()));
        let status = if outcome == Outcome::Passed {
            Status::Ok
        } else {
            Status::error(outcome.as_str())
        };
        spans.push(self.end(run, status));
        spans
    }

    fn end(&self, open: Open, status: Status) -> SpanData {
        let mut events = SpanEvents::default();
        events.events = open.events;
        SpanData {
            span_context: SpanContext::new(
                self.trace,
                open.id,
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: open.parent,
            parent_span_is_remote: self.around == Some(open.parent),
            span_kind: SpanKind::Internal,
            name: open.name.into(),
            start_time: open.since,
            end_time: SystemTime::now(),
            attributes: open.attributes,
            dropped_attributes_count: 0,
            events,
            links: SpanLinks::default(),
            status,
            instrumentation_scope: InstrumentationScope::builder("chaosctl").build(),
        }
    }
}

/// A string as it is, and anything else as JSON; not too long.
fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => cut(text),
        None => cut(&value.to_string()),
    }
}

pub(super) fn cut(text: &str) -> String {
    let mut end = text.len().min(MOST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Trace and span of a `traceparent`: version, trace, span and flags, in hexadecimal digits.
pub(super) fn parse_parent(text: &str) -> Option<(TraceId, SpanId)> {
    let parts: Vec<&str> = text.trim().split('-').collect();
    let [version, trace, span, _flags, ..] = parts.as_slice() else {
        return None;
    };
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if !is_hex(version, 2) || !is_hex(trace, 32) || !is_hex(span, 16) {
        return None;
    }
    let trace = TraceId::from_hex(trace).ok()?;
    let span = SpanId::from_hex(span).ok()?;
    (trace != TraceId::INVALID && span != SpanId::INVALID).then_some((trace, span))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    loop {
        // Where the kernel has no randomness there is no trace to tell from others either.
        if getrandom::fill(&mut bytes).is_err() {
            bytes[0] = 1;
        }
        if bytes.iter().any(|byte| *byte != 0) {
            return bytes;
        }
    }
}

fn new_trace() -> TraceId {
    TraceId::from_bytes(random())
}

fn new_span() -> SpanId {
    SpanId::from_bytes(random())
}
