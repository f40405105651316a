//! A run as JSON lines: one object for each event, with its time, for whoever collects logs.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::observe::{Event, Observer};

/// Writes each event as a line.
pub struct JsonLog<W> {
    to: Mutex<W>,
    now: fn() -> Timestamp,
}

impl<W: Write + Send> JsonLog<W> {
    /// Writes to `to`, which is flushed after each line.
    pub fn new(to: W) -> Self {
        Self {
            to: Mutex::new(to),
            now: Timestamp::now,
        }
    }
}

impl<W: Write + Send> Observer for JsonLog<W> {
    fn hear(&self, event: Event<'_>) {
        let (level, name, mut fields) = line(event);
        let mut object = Map::new();
        object.insert("time".to_owned(), (self.now)().to_string().into());
        object.insert("level".to_owned(), level.into());
        object.insert("event".to_owned(), name.into());
        if let Some(fields) = fields.as_object_mut() {
            object.append(fields);
        }
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{}\n", Value::Object(object));
        // In one piece: others may write to the same place. A log that is gone ends no experiment.
        let _lost = to.write_all(line.as_bytes()).and_then(|()| to.flush());
    }
}

/// The words of an event: how grave it is, what it is, and what belongs to it.
pub(super) fn line(event: Event<'_>) -> (&'static str, &'static str, Value) {
    match event {
        Event::Started { journal } => (
            "info",
            "started",
            json!({ "title": journal["experiment"]["title"] }),
        ),
        Event::PhaseStarted(phase) => ("info", "phase started", json!({ "phase": phase.as_str() })),
        Event::PhaseEnded { phase, met } => (
            if met == Some(false) { "warn" } else { "info" },
            "phase ended",
            json!({ "phase": phase.as_str(), "met": met }),
        ),
        Event::ActivityStarted {
            number,
            phase,
            activity,
        } => (
            "info",
            "activity started",
            json!({
                "number": number,
                "phase": phase.as_str(),
                "type": activity.get("type"),
                "name": activity.get("name"),
                "provider": activity.get("provider").map(|provider| &provider["type"]),
            }),
        ),
        Event::ActivityEnded { number, phase, run } => {
            let is_well = run
                .get("status")
                .is_some_and(|status| status == "succeeded")
                && run.get("tolerance_met") != Some(&Value::Bool(false));
            (
                if is_well { "info" } else { "error" },
                "activity ended",
                json!({
                    "number": number,
                    "phase": phase.as_str(),
                    "name": run.get("activity").map(|activity| &activity["name"]),
                    "status": run.get("status"),
                    "duration": run.get("duration"),
                    "output": run.get("output"),
                    "tolerance_met": run.get("tolerance_met"),
                    "exception": run.get("exception"),
                }),
            )
        }
        Event::FaultEnded { name, ended } => (
            "info",
            "fault ended",
            json!({ "name": name, "ended": ended }),
        ),
        Event::GuardTripped { name, saw } => (
            "error",
            "guard tripped",
            json!({ "name": name, "saw": saw }),
        ),
        Event::Interrupted(by) => ("warn", "interrupted", json!({ "by": by })),
        Event::Broken(why) => ("error", "broken", json!({ "why": why })),
        Event::Untold(why) => ("warn", "untold", json!({ "why": why })),
        Event::Ended { journal } => (
            "info",
            "ended",
            json!({
                "status": journal.get("status"),
                "deviated": journal.get("deviated"),
                "duration": journal.get("duration"),
            }),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Phase;

    #[test]
    fn each_event_is_one_line() {
        let log = JsonLog {
            to: Mutex::new(Vec::new()),
            now: || Timestamp::UNIX_EPOCH,
        };
        let run = json!({
            "activity": {"type": "probe", "name": "two\nlines"},
            "status": "succeeded",
            "tolerance_met": false,
            "output": 3,
        });
        log.hear(Event::PhaseStarted(Phase::Before));
        log.hear(Event::ActivityEnded {
            number: 1,
            phase: Phase::Before,
            run: run.as_object().unwrap(),
        });
        log.hear(Event::GuardTripped {
            name: "errors",
            saw: "12 %",
        });
        let text = String::from_utf8(log.to.into_inner().unwrap()).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            lines[0],
            json!({"time": "1970-01-01T00:00:00Z", "level": "info", "event": "phase started", "phase": "hypothesis before"})
        );
        assert_eq!(lines[1]["level"], "error");
        assert_eq!(lines[1]["name"], "two\nlines");
        assert_eq!(
            (&lines[2]["name"], &lines[2]["saw"]),
            (&json!("errors"), &json!("12 %"))
        );
        assert_eq!(lines.len(), 3);
    }
}
