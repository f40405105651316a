//! Makes journals comparable: times and durations by their shape, failures by their last line. Leaves all else as it is.

use serde_json::{Map, Value, json};

use crate::case::How;

/// What a file says, if it is a journal. One that breaks off is a journal, too, of one text.
pub(crate) fn read(text: &str) -> Option<Value> {
    let value: Result<Value, _> =
        serde_json::from_str(text).or_else(|_| serde_json::from_str(&without_constants(text)));
    match value {
        Ok(value) => value.get("steady_states").is_some().then_some(value),
        Err(_) if text.starts_with("{\n  \"chaoslib-version\"") => Some(json!("breaks off")),
        Err(_) => None,
    }
}

/// `text` with the words of Python that JSON does not have, such as `NaN`, as strings.
fn without_constants(text: &str) -> String {
    let mut out = String::new();
    // Every other piece is within quotes; escaped ones have been put aside.
    let aside = text.replace(r"\\", "\u{1}").replace(r#"\""#, "\u{2}");
    for (index, piece) in aside.split('"').enumerate() {
        if index > 0 {
            out.push('"');
        }
        if index % 2 == 1 {
            out += piece;
            continue;
        }
        out += &piece
            .replace("NaN", r#""<NaN>""#)
            .replace("-Infinity", r#""<less than all>""#)
            .replace("Infinity", r#""<more than all>""#);
    }
    out.replace('\u{2}', r#"\""#).replace('\u{1}', r"\\")
}

/// A journal whose times are shapes.
pub(crate) fn normalized(mut journal: Value, how: &How) -> Value {
    if !journal.is_object() {
        return journal;
    }
    times(&mut journal);
    for list in ["run", "rollbacks"] {
        runs(journal.get_mut(list), how.any_order);
    }
    if let Some(states) = journal
        .get_mut("steady_states")
        .and_then(Value::as_object_mut)
    {
        for (_, state) in states.iter_mut() {
            runs(state.get_mut("probes"), false);
            let Some(list) = state.as_array_mut() else {
                continue;
            };
            for state in list.iter_mut() {
                runs(state.get_mut("probes"), false);
            }
            if how.repeats {
                list.dedup();
            }
        }
    }
    journal
}

fn runs(list: Option<&mut Value>, any_order: bool) {
    let Some(list) = list.and_then(Value::as_array_mut) else {
        return;
    };
    for run in list.iter_mut() {
        times(run);
        if let Some(lines) = run.get_mut("exception") {
            *lines = last_line(lines);
        }
    }
    if any_order {
        list.sort_by_key(|run| run["activity"]["name"].to_string());
    }
}

/// The times of a run, or of a journal.
fn times(of: &mut Value) {
    let Some(of) = of.as_object_mut() else {
        return;
    };
    for key in ["start", "end"] {
        shape(
            of,
            key,
            |value| value.as_str().is_some_and(is_time),
            "a time",
        );
    }
    shape(of, "duration", Value::is_f64, "seconds");
}

fn shape(of: &mut Map<String, Value>, key: &str, is: impl Fn(&Value) -> bool, name: &str) {
    if let Some(value) = of.get_mut(key)
        && is(value)
    {
        *value = json!(format!("<{name}>"));
    }
}

/// Whether it is a time as Python's `isoformat` writes it in UTC, such as `2026-11-22T18:41:21.938301+00:00`.
fn is_time(text: &str) -> bool {
    let digits = |pattern: &str| {
        text.len() == pattern.len()
            && text
                .chars()
                .zip(pattern.chars())
                .all(|(c, p)| if p == '0' { c.is_ascii_digit() } else { c == p })
    };
    // Whole seconds have no fraction. The offset's digits are zeros in all journals.
    digits("0000-00-00T00:00:00.000000+00:00") || digits("0000-00-00T00:00:00+00:00")
}

/// Of a failure's lines the last, which says what failed; those before are Python's way there.
fn last_line(lines: &Value) -> Value {
    let all_text = lines.as_array().and_then(|list| {
        list.iter()
            .map(|line| line.as_str().filter(|line| line.ends_with('\n')))
            .collect::<Option<Vec<_>>>()
    });
    match all_text.as_deref() {
        Some([.., last]) => json!(["...", without_addresses(last)]),
        _ => json!({ "not lines": lines }),
    }
}

/// `text` with addresses of memory, such as `0x7f5d3c2b`, blanked out.
fn without_addresses(text: &str) -> String {
    let mut parts = text.split("0x");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        out += if part.len() - rest.len() >= 6 {
            "0x…"
        } else {
            "0x"
        };
        out += if part.len() - rest.len() >= 6 {
            rest
        } else {
            part
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_shape_and_any_other_text_stays() {
        let how = How::default();
        let journal = json!({"start": "2026-11-22T18:41:21.938301+00:00", "end": "2026-11-22 18:41:21Z", "duration": 3});
        let normal = normalized(journal, &how);
        assert_eq!(normal["start"], "<a time>");
        assert_eq!(normal["end"], "2026-11-22 18:41:21Z");
        assert_eq!(normal["duration"], 3);
    }

    #[test]
    fn words_of_python_are_read_and_a_journal_that_breaks_off_is_one() {
        let text = r#"{"steady_states": [NaN, -Infinity, Infinity, "NaN \"NaN\" \\"]}"#;
        let list = json!([
            "<NaN>",
            "<less than all>",
            "<more than all>",
            "NaN \"NaN\" \\"
        ]);
        assert_eq!(read(text).unwrap()["steady_states"], list);
        assert_eq!(
            read("{\n  \"chaoslib-version\": \"1"),
            Some(json!("breaks off"))
        );
        assert_eq!(read("{\"a\": 1}"), None);
        assert_eq!(read("text"), None);
    }

    #[test]
    fn addresses_are_blanked_and_small_numbers_stay() {
        assert_eq!(
            without_addresses("<A object at 0x7f5d3c2b4a10>: 0x1f"),
            "<A object at 0x…>: 0x1f"
        );
    }
}
