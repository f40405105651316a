//! Makes a journal of what a run left that was killed.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{Stamp, Status, part_path, write::WriteError, write::write};

/// Nothing can be made of it.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// There is no such file.
    #[error("cannot read {}: {source}; a run that is over left its journal, and no part of one", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its first line is not that of a run.
    #[error("{} does not begin as the part of a journal: the run was killed before it began, or this is another file", path.display())]
    NoBeginning {
        /// Which.
        path: PathBuf,
    },
    /// The journal cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Makes the journal at this path from its part, with the status `interrupted`, and returns it. The part stays.
pub fn recover(journal: &Path) -> Result<Map<String, Value>, RecoverError> {
    let path = part_path(journal);
    let text = std::fs::read(&path).map_err(|source| RecoverError::Read {
        path: path.clone(),
        source,
    })?;
    let recovered = join(&String::from_utf8_lossy(&text));
    let recovered = recovered.ok_or(RecoverError::NoBeginning { path })?;
    write(journal, &recovered)?;
    Ok(recovered)
}

/// The lines put together; none, if the first is not whole.
fn join(text: &str) -> Option<Map<String, Value>> {
    // Only the last can be torn.
    let mut lines = text
        .lines()
        .map_while(|line| serde_json::from_str::<Value>(line).ok());
    let mut first = lines.next()?;
    let Value::Object(mut journal) = first.get_mut("journal")?.take() else {
        return None;
    };
    let mut probing: Option<(String, Vec<Value>)> = None;
    for mut line in lines {
        if let Some(when) = line["probed"].as_str().map(str::to_owned) {
            let entry = line["entry"].take();
            match &mut probing {
                Some((same, probes)) if *same == when => probes.push(entry),
                Some(_) | None => probing = Some((when, vec![entry])),
            }
        } else if let Some(when) = line["steady_state"].as_str().map(str::to_owned) {
            put_state(&mut journal, &when, line["state"].take());
            probing = probing.filter(|(other, _)| *other != when);
        } else {
            put(&mut journal, line);
        }
    }
    if let Some((when, probes)) = probing {
        let state = json!({"steady_state_met": null, "probes": probes});
        put_state(&mut journal, &when, state);
    }
    let start = journal.get("start").and_then(Value::as_str);
    let start = start.and_then(Stamp::read);
    let end = latest(&Value::Object(journal.clone())).or(start)?;
    journal.insert("status".into(), Status::Interrupted.as_str().into());
    journal.insert("end".into(), end.text().into());
    let duration = start.map(|start| start.until(end));
    journal.insert("duration".into(), duration.into());
    Some(journal)
}

fn put(journal: &mut Map<String, Value>, mut line: Value) {
    if let Some(deviated) = line.get("deviated") {
        journal.insert("deviated".into(), deviated.clone());
    }
    if let Some(guard) = line.get_mut("guard").map(Value::take) {
        let guards = journal.entry("guards").or_insert_with(|| json!([]));
        if let Value::Array(guards) = guards {
            guards.push(guard);
        }
    }
    let list = line["list"].as_str().map(str::to_owned);
    let index = line["index"].as_u64().and_then(|i| usize::try_from(i).ok());
    if let (Some(list), Some(index)) = (list, index)
        && let Some(Value::Array(entries)) = journal.get_mut(&list)
    {
        let entry = line["entry"].take();
        match entries.get_mut(index) {
            Some(place) => *place = entry,
            None => entries.push(entry),
        }
    }
}

fn put_state(journal: &mut Map<String, Value>, when: &str, state: Value) {
    let Some(Value::Object(states)) = journal.get_mut("steady_states") else {
        return;
    };
    match states.get_mut(when) {
        Some(Value::Array(during)) => during.push(state),
        Some(_) | None => {
            states.insert(when.to_owned(), state);
        }
    }
}

/// The latest moment that it speaks of.
fn latest(value: &Value) -> Option<Stamp> {
    let moments: Box<dyn Iterator<Item = Option<Stamp>>> = match value {
        Value::Object(map) => {
            Box::new(map.iter().map(|(key, value)| match (key.as_str(), value) {
                ("start" | "end" | "tripped_at", Value::String(text)) => Stamp::read(text),
                // What the file says is not what happened.
                ("experiment" | "activity" | "output", _) => None,
                (_, value) => latest(value),
            }))
        }
        Value::Array(items) => Box::new(items.iter().map(latest)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    };
    moments
        .flatten()
        .max_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Value {
        json!({"journal": {
            "experiment": {"title": "t"}, "start": "2026-01-01T00:00:00.000000+00:00", "status": null,
            "deviated": false, "steady_states": {"before": null, "after": null, "during": []},
            "run": [], "rollbacks": [],
        }})
    }

    fn lines(lines: &[Value]) -> String {
        lines
            .iter()
            .fold(head().to_string(), |text, line| format!("{text}\n{line}"))
    }

    #[test]
    fn what_was_written_is_put_together() {
        let begun = json!({"activity": {"name": "a"}, "start": "2026-01-01T00:00:01.000000+00:00"});
        let mut ended = begun.clone();
        ended["status"] = "succeeded".into();
        ended["end"] = "2026-01-01T00:00:02.500000+00:00".into();
        let met = json!({"steady_state_met": true, "probes": []});
        let text = lines(&[
            json!({"probed": "before", "entry": {}}),
            json!({"steady_state": "before", "state": met}),
            json!({"list": "run", "index": 0, "entry": begun}),
            json!({"list": "run", "index": 0, "entry": ended}),
            json!({"probed": "after", "entry": {"output": 1}}),
            json!({"guard": {"name": "g"}}),
        ]);
        let journal = join(&(text + "\n{\"list\": \"run\", \"ind")).unwrap();
        assert_eq!(journal["status"], "interrupted");
        assert_eq!(journal["run"], json!([ended]));
        assert_eq!(journal["steady_states"]["before"], met);
        let under_way = &journal["steady_states"]["after"];
        assert_eq!(
            *under_way,
            json!({"steady_state_met": null, "probes": [{"output": 1}]})
        );
        assert_eq!(journal["guards"], json!([{"name": "g"}]));
        assert_eq!(journal["end"], "2026-01-01T00:00:02.500000+00:00");
        assert_eq!(journal["duration"], 2.5);
    }

    #[test]
    fn of_nothing_nothing_is_made() {
        assert_eq!(join(""), None);
        assert_eq!(join("{\"jour"), None);
        assert_eq!(join("[1]"), None);
        assert_eq!(join(&lines(&[])).unwrap()["duration"], 0.0);
    }
}
