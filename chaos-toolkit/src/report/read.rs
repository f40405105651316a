//! From the text of a journal to what a report needs. Says where a journal is none; what is merely missing is left out.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::journal::{Activity, Control, Guard, Hypothesis, Journal, Level, Run, State};
use super::{clock, fault, given, secrets, words};
use crate::problem::{Place, Problem};

/// Thirty years: what lasted longer was not measured.
const LONGEST: f64 = 1e9;

/// Reads a journal, the reference's or ours. `source` is what the user called it.
pub fn read(source: &str, text: &str) -> Result<Journal, Problem> {
    let reader = Reader { source };
    let mut value = parse(text).map_err(|error| Problem {
        source: source.to_owned(),
        place: place(&error),
        pointer: String::new(),
        what: format!("this is no JSON: {}", reason(&error)),
        instead: Some("give a journal that `chaosctl run` or `chaos run` has written".to_owned()),
    })?;
    secrets::hide(&mut value);
    given::fill(&mut value);
    let top = reader
        .object("", Some(&value))?
        .ok_or_else(|| reader.problem("", "this is empty".to_owned()))?;
    reader.journal(top)
}

/// Python writes three numbers that JSON does not have.
fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| match named(text) {
        Some(without) => serde_json::from_str(&without),
        None => Err(error),
    })
}

/// The text with `NaN`, `Infinity` and `-Infinity` as strings; none where there are none.
fn named(text: &str) -> Option<String> {
    let mut made = String::with_capacity(text.len() + 16);
    let (mut is_text, mut is_escaped, mut found) = (false, false, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let names = ["NaN", "Infinity", "-Infinity"];
        let name = names
            .iter()
            .find(|name| !is_text && rest.starts_with(**name));
        if let Some(name) = name {
            found = true;
            made.push('"');
            made.push_str(name);
            made.push('"');
            rest = &rest[name.len()..];
            continue;
        }
        match c {
            '"' if !is_escaped => is_text = !is_text,
            _ => {}
        }
        is_escaped = is_text && c == '\\' && !is_escaped;
        made.push(c);
        rest = &rest[c.len_utf8()..];
    }
    found.then_some(made)
}

fn place(error: &serde_json::Error) -> Option<Place> {
    let at = |number: usize| u32::try_from(number).ok().filter(|number| *number > 0);
    Some(Place {
        line: at(error.line())?,
        column: at(error.column()).unwrap_or(1),
    })
}

/// The place is said already.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

struct Reader<'a> {
    source: &'a str,
}

type Object = Map<String, Value>;

impl Reader<'_> {
    fn problem(&self, pointer: &str, what: String) -> Problem {
        Problem {
            source: self.source.to_owned(),
            place: None,
            pointer: pointer.to_owned(),
            what,
            instead: None,
        }
    }

    fn wrong(&self, pointer: &str, wanted: &str, value: &Value) -> Problem {
        let what = format!(
            "a journal has {wanted} here, and this is {}",
            words::kind(value)
        );
        self.problem(pointer, what)
    }

    fn object<'v>(
        &self,
        pointer: &str,
        value: Option<&'v Value>,
    ) -> Result<Option<&'v Object>, Problem> {
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(of)) => Ok(Some(of)),
            Some(other) => Err(self.wrong(pointer, "an object", other)),
        }
    }

    fn list<'v>(&self, pointer: &str, value: Option<&'v Value>) -> Result<&'v [Value], Problem> {
        match value {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(of)) => Ok(of),
            Some(other) => Err(self.wrong(pointer, "a list", other)),
        }
    }

    fn journal(&self, top: &Object) -> Result<Journal, Problem> {
        let Some(experiment) = self.object("/experiment", top.get("experiment"))? else {
            let instead = if top.contains_key("method") {
                "this looks like an experiment: run it first, and give its journal"
            } else {
                "give a journal that `chaosctl run` or `chaos run` has written"
            };
            return Err(Problem {
                instead: Some(instead.to_owned()),
                ..self.problem("", "this is no journal: it has no `experiment`".to_owned())
            });
        };
        let states = self.object("/steady_states", top.get("steady_states"))?;
        let state = |key: &str| {
            let pointer = format!("/steady_states/{key}");
            let value = states.and_then(|states| states.get(key));
            self.state(&pointer, value)
        };
        let mut during = Vec::new();
        let looks = states.and_then(|states| states.get("during"));
        for (number, look) in self
            .list("/steady_states/during", looks)?
            .iter()
            .enumerate()
        {
            during.extend(self.state(&format!("/steady_states/during/{number}"), Some(look))?);
        }
        let method = self.list("/experiment/method", experiment.get("method"))?;
        let time = |key: &str| time(top.get(key));
        let (start, end) = (time("start"), time("end"));
        Ok(Journal {
            source: self.source.to_owned(),
            title: text(experiment.get("title"))
                .unwrap_or_else(|| "An experiment without a title".to_owned()),
            description: text(experiment.get("description")),
            tags: texts(experiment.get("tags")),
            contributions: contributions(experiment.get("contributions")),
            hypothesis: self.hypothesis(experiment)?,
            controls: controls(experiment),
            kept: [
                "configuration",
                "secrets",
                "extensions",
                "runtime",
                "abort_when",
            ]
            .into_iter()
            .filter_map(|key| Some((key, experiment.get(key)?.clone())))
            .filter(|(_, value)| !is_empty(value))
            .collect(),
            dry: text(experiment.get("dry")),
            status: text(top.get("status")).unwrap_or_default(),
            deviated: top
                .get("deviated")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            start,
            end,
            seconds: number(top.get("duration")).or_else(|| Some(clock::seconds(start?, end?))),
            before: state("before")?,
            during,
            after: state("after")?,
            recovery: state("recovery")?,
            runs: self.runs("/run", top.get("run"))?,
            rollbacks: self.runs("/rollbacks", top.get("rollbacks"))?,
            declared: method.len(),
            guards: self.guards(top.get("guards"))?,
            environment: environment(top),
        })
    }

    fn hypothesis(&self, experiment: &Object) -> Result<Option<Hypothesis>, Problem> {
        let pointer = "/experiment/steady-state-hypothesis";
        let Some(of) = self.object(pointer, experiment.get("steady-state-hypothesis"))? else {
            return Ok(None);
        };
        let pointer = format!("{pointer}/probes");
        let probes = self.list(&pointer, of.get("probes"))?.iter().enumerate();
        let probes: Result<Vec<_>, _> = probes
            .map(|(number, probe)| {
                let pointer = format!("{pointer}/{number}");
                let of = self.object(&pointer, Some(probe))?;
                Ok(activity(of.unwrap_or(&Map::new())))
            })
            .collect();
        Ok(Some(Hypothesis {
            title: text(of.get("title"))
                .unwrap_or_else(|| "A hypothesis without a title".to_owned()),
            probes: probes?,
        }))
    }

    fn state(&self, pointer: &str, value: Option<&Value>) -> Result<Option<State>, Problem> {
        let Some(of) = self.object(pointer, value)? else {
            return Ok(None);
        };
        Ok(Some(State {
            met: of.get("steady_state_met").and_then(Value::as_bool),
            probes: self.runs(&format!("{pointer}/probes"), of.get("probes"))?,
        }))
    }

    fn runs(&self, pointer: &str, value: Option<&Value>) -> Result<Vec<Run>, Problem> {
        let runs = self.list(pointer, value)?.iter().enumerate();
        runs.map(|(number, run)| {
            let pointer = format!("{pointer}/{number}");
            let Some(of) = run.as_object() else {
                return Err(self.wrong(&pointer, "an object", run));
            };
            let declared = self.object(&format!("{pointer}/activity"), of.get("activity"))?;
            Ok(run_of(of, declared.unwrap_or(&Map::new())))
        })
        .collect()
    }

    fn guards(&self, value: Option<&Value>) -> Result<Vec<Guard>, Problem> {
        let guards = self.list("/guards", value)?.iter().enumerate();
        guards
            .map(|(number, guard)| {
                let of = guard
                    .as_object()
                    .ok_or_else(|| self.wrong(&format!("/guards/{number}"), "an object", guard))?;
                let saw = of.get("saw").filter(|saw| !saw.is_null());
                Ok(Guard {
                    name: text(of.get("name"))
                        .unwrap_or_else(|| "a guard without a name".to_owned()),
                    tripped_at: time(of.get("tripped_at")),
                    saw: saw.map(words::plain),
                })
            })
            .collect()
    }
}

fn run_of(of: &Object, declared: &Object) -> Run {
    let activity = activity(declared);
    let fault = of.get("chaos").and_then(fault::read);
    let start = time(of.get("start"));
    let end = time(of.get("end"));
    Run {
        status: text(of.get("status")).unwrap_or_else(|| "unfinished".to_owned()),
        start,
        seconds: number(of.get("duration")).or_else(|| Some(clock::seconds(start?, end?))),
        output: of.get("output").cloned().unwrap_or_default(),
        exception: exception(of.get("exception")),
        met: of.get("tolerance_met").and_then(Value::as_bool),
        fault: fault.or_else(|| words::is_chaos(&activity).then(Default::default)),
        activity,
    }
}

fn activity(of: &Object) -> Activity {
    let pauses = of.get("pauses").and_then(Value::as_object);
    let pause = |key: &str| pauses?.get(key).filter(|pause| !pause.is_null()).cloned();
    let is_true = |key: &str| of.get(key).and_then(Value::as_bool).unwrap_or(false);
    Activity {
        name: text(of.get("name"))
            .or_else(|| text(of.get("ref")))
            .unwrap_or_else(|| "without a name".to_owned()),
        kind: text(of.get("type")).unwrap_or_else(|| "activity".to_owned()),
        provider: of
            .get("provider")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default(),
        tolerance: of
            .get("tolerance")
            .filter(|tolerance| !tolerance.is_null())
            .cloned(),
        is_background: is_true("background"),
        pauses: [pause("before"), pause("after")],
        is_undo: text(of.get("name")).is_some_and(|name| name.starts_with("undo: ")),
    }
}

/// In the order in which they are asked: those of the experiment, then those of each activity.
fn controls(experiment: &Object) -> Vec<Control> {
    let mut found = Vec::new();
    let mut take = |of: &str, holder: &Value| {
        let declared = holder.get("controls").and_then(Value::as_array);
        for control in declared.into_iter().flatten() {
            let provider = control.get("provider").and_then(Value::as_object);
            found.push(Control {
                of: of.to_owned(),
                name: text(control.get("name")).unwrap_or_else(|| "without a name".to_owned()),
                does: provider.map(words::provider).unwrap_or_default(),
            });
        }
    };
    let whole = Value::Object(experiment.clone());
    take("the experiment", &whole);
    let hypothesis = &whole["steady-state-hypothesis"];
    take("the hypothesis", hypothesis);
    for holder in [&hypothesis["probes"], &whole["method"], &whole["rollbacks"]] {
        for activity in holder.as_array().into_iter().flatten() {
            take(&text(activity.get("name")).unwrap_or_default(), activity);
        }
    }
    found
}

fn environment(top: &Object) -> Vec<(&'static str, String)> {
    let keys = [
        ("node", "Node"),
        ("platform", "Platform"),
        ("chaoslib-version", "Version of the format"),
        ("chaosctl-version", "chaosctl"),
    ];
    let keys = keys.into_iter();
    keys.filter_map(|(key, name)| Some((name, text(top.get(key))?)))
        .collect()
}

fn contributions(value: Option<&Value>) -> Vec<(String, Level)> {
    let of = value.and_then(Value::as_object).into_iter().flatten();
    of.map(|(name, level)| (name.clone(), Level::read(&words::plain(level))))
        .collect()
}

fn exception(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::Array(lines) => Some(lines.iter().map(words::plain).collect()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Some(words::plain(value?))
        }
    }
    .filter(|text: &String| !text.trim().is_empty())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(of) => of.is_empty(),
        Value::Object(of) => of.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Text, or what stands in its place; none of null and of nothing.
fn text(value: Option<&Value>) -> Option<String> {
    let value = value.filter(|value| !value.is_null())?;
    Some(words::plain(value)).filter(|text| !text.trim().is_empty())
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let of = value.and_then(Value::as_array).into_iter().flatten();
    of.filter_map(|value| text(Some(value))).collect()
}

/// A length of time, in seconds.
fn number(value: Option<&Value>) -> Option<f64> {
    value?
        .as_f64()
        .filter(|number| (0.0..LONGEST).contains(number))
}

fn time(value: Option<&Value>) -> Option<Timestamp> {
    clock::read(value?.as_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        read("j.json", text).unwrap_err().to_string()
    }

    #[test]
    fn a_malformed_journal_is_told_by_its_place() {
        let cases = [
            (
                "{\n \"run\": [,]}",
                "j.json:2:10: this is no JSON: expected value; give a journal",
            ),
            (
                "[]",
                "j.json: a journal has an object here, and this is a list",
            ),
            ("null", "j.json: this is empty"),
            (
                "{}",
                "j.json: this is no journal: it has no `experiment`; give",
            ),
            (
                "{\"method\": []}",
                "j.json: this is no journal: it has no `experiment`; this looks like an experiment",
            ),
            (
                "{\"experiment\": 3}",
                "j.json: /experiment: a journal has an object here, and this is a number",
            ),
            (
                "{\"experiment\": {}, \"run\": {}}",
                "j.json: /run: a journal has a list here, and this is an object",
            ),
            (
                "{\"experiment\": {}, \"run\": [null]}",
                "j.json: /run/0: a journal has an object here, and this is null",
            ),
            (
                "{\"experiment\": {}, \"steady_states\": {\"during\": [{\"probes\": [{\"activity\": \"x\"}]}]}}",
                "j.json: /steady_states/during/0/probes/0/activity: a journal has an object here, and this is a text",
            ),
        ];
        for (text, wanted) in cases {
            assert!(said(text).starts_with(wanted), "{}", said(text));
        }
    }

    #[test]
    fn python_writes_numbers_that_are_none() {
        let text = r#"{"experiment": {"title": "\"NaN"}, "duration": NaN, "run": [{"output": [-Infinity, "NaN"]}]}"#;
        let journal = read("j", text).unwrap();
        assert_eq!(journal.title, "\"NaN");
        assert_eq!(journal.seconds, None);
        assert_eq!(
            journal.runs[0].output,
            serde_json::json!(["-Infinity", "NaN"])
        );
    }

    #[test]
    fn what_is_missing_or_null_is_left_out() {
        let journal = read(
            "j",
            r#"{"experiment": {"title": null, "tags": [null, 3, "x"]}, "run": [{}], "guards": null}"#,
        );
        let journal = journal.unwrap();
        assert_eq!(journal.title, "An experiment without a title");
        assert_eq!(journal.tags, ["3", "x"]);
        assert_eq!(journal.runs[0].status, "unfinished");
    }
}
