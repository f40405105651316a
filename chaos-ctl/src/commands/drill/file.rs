//! The schema of a drill file: documented in docs/drill.md. What a phase does is an experiment file of its own.

mod problem;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chaos_toolkit::tls::Trust;
use hyper::header::{ACCEPT, HeaderName, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, Uri};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

pub(super) use problem::DrillFileError;
use problem::Problem;

use super::plan::{Phase, Plan};
use crate::arguments::{Base, text};
use crate::commands::apply::file::ExperimentFile;
use crate::drill::check::{Checks, Statuses, statuses};
use crate::drill::client::Asked;
use crate::drill::load::Load;
use crate::drill::metric::Series;
use crate::drill::threshold::{Abort, Threshold};
use crate::quantity::Frequency;

const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_IN_FLIGHT: u64 = 1_000;
/// More is no drill.
const MOST_PHASES: usize = 100;

/// One drill.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DrillFile {
    load: Option<LoadText>,
    check: CheckText,
    phases: Vec<PhaseText>,
    thresholds: BTreeMap<String, Several>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct LoadText {
    url: String,
    method: Option<String>,
    headers: BTreeMap<String, String>,
    body: String,
    #[serde(deserialize_with = "text::frequency")]
    rate: Option<Frequency>,
    #[serde(deserialize_with = "text::duration")]
    timeout: Option<Duration>,
    max_in_flight: Option<u64>,
    new_connections: bool,
    ca: Option<PathBuf>,
    insecure: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct CheckText {
    #[serde(deserialize_with = "text::words")]
    status: Vec<String>,
    body: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct PhaseText {
    name: String,
    #[serde(rename = "for", deserialize_with = "text::duration")]
    length: Option<Duration>,
    faults: Option<ExperimentFile>,
}

/// One condition or a list of them, each as text or with what it does.
#[derive(Debug)]
struct Several(Vec<Condition>);

#[derive(Debug)]
struct Condition {
    source: String,
    abort: Option<Abort>,
}

/// As k6 has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ConditionText {
    threshold: String,
    #[serde(default)]
    abort_on_fail: bool,
    #[serde(default, deserialize_with = "text::grace")]
    delay_abort_eval: Option<Duration>,
}

impl From<ConditionText> for Condition {
    fn from(text: ConditionText) -> Self {
        let after = text.delay_abort_eval.unwrap_or_default();
        Self {
            source: text.threshold,
            abort: text.abort_on_fail.then_some(Abort { after }),
        }
    }
}

struct AsSeveral;

impl<'de> Visitor<'de> for AsSeveral {
    type Value = Several;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a threshold such as `p(95)<800`, or a list of them")
    }

    fn visit_str<E>(self, text: &str) -> Result<Several, E> {
        Ok(Several(vec![Condition {
            source: text.to_owned(),
            abort: None,
        }]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Several, A::Error> {
        let text = ConditionText::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(Several(vec![text.into()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Several, A::Error> {
        let mut all = Vec::new();
        while let Some(Several(more)) = list.next_element()? {
            all.extend(more);
        }
        Ok(Several(all))
    }
}

impl<'de> Deserialize<'de> for Several {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsSeveral)
    }
}

impl DrillFile {
    /// Reads text; `file` is what errors call it, and files that it names are looked for from `base`.
    pub(super) fn read(file: &str, base: &Path, text: &str) -> Result<Plan, DrillFileError> {
        let parsed: Option<Self> = match serde_saphyr::from_str(text) {
            Ok(parsed) => parsed,
            Err(error) => {
                return Err(DrillFileError::Parse {
                    file: file.to_owned(),
                    error: Box::new(error),
                });
            }
        };
        parsed.unwrap_or_default().plan(file, base)
    }

    fn plan(self, file: &str, base: &Path) -> Result<Plan, DrillFileError> {
        let wrong = |problem: Problem| DrillFileError::Problem {
            file: file.to_owned(),
            problem,
        };
        let checks = self.check.checks().map_err(wrong)?;
        let load = self.load.ok_or(Problem::NoLoad).map_err(wrong)?;
        let trust = load.trust(base).map_err(wrong)?;
        let load = load.load(checks).map_err(wrong)?;
        let names = names(&self.phases).map_err(wrong)?;
        let mut phases = Vec::new();
        for text in self.phases {
            let length = text.length;
            let length = length.ok_or_else(|| wrong(Problem::NoLength(text.name.clone())))?;
            let called = format!("{file}, phase `{}`", text.name);
            let faults = text
                .faults
                .map(|faults| faults.described(&called, Base::Directory(base)));
            phases.push(Phase {
                name: text.name,
                length,
                faults: faults.transpose()?.map(Arc::new),
            });
        }
        let checks = load.checks.names();
        let thresholds = thresholds(&self.thresholds, &names, &checks).map_err(wrong)?;
        Ok(Plan {
            load,
            trust,
            phases,
            thresholds,
        })
    }
}

impl LoadText {
    fn trust(&self, base: &Path) -> Result<Trust, Problem> {
        match (&self.ca, self.insecure) {
            (Some(_), true) => Err(Problem::Trusts),
            (Some(file), false) => Ok(Trust::File(base.join(file))),
            (None, true) => Ok(Trust::Anybody),
            (None, false) => Ok(Trust::System),
        }
    }

    fn load(self, checks: Checks) -> Result<Load, Problem> {
        if self.url.is_empty() {
            return Err(Problem::NoLoad);
        }
        let method = self.method.as_deref().unwrap_or("GET").to_uppercase();
        let max_in_flight = self.max_in_flight.unwrap_or(MAX_IN_FLIGHT);
        if max_in_flight == 0 {
            return Err(Problem::NoneInFlight);
        }
        let asked = Asked {
            uri: uri(&self.url)?,
            method: Method::from_bytes(method.as_bytes()).map_err(|_| Problem::Method(method))?,
            headers: headers(&self.headers)?,
            body: Bytes::from(self.body),
            timeout: self.timeout.unwrap_or(TIMEOUT),
            new_connections: self.new_connections,
            keeps_body: checks.contains.is_some(),
        };
        Ok(Load {
            asked,
            rate: self.rate.ok_or(Problem::NoRate)?,
            max_in_flight,
            checks,
        })
    }
}

fn uri(text: &str) -> Result<Uri, Problem> {
    let wrong = |why| Problem::Url {
        url: text.to_owned(),
        why,
    };
    let uri: Uri = text.parse().map_err(|_| wrong("is no URL"))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(_) | None => return Err(wrong("does not begin with http:// or https://")),
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(wrong("names no host"));
    }
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err(wrong(
            "has a user: give it as a header `authorization`, and the url without it",
        ));
    }
    Ok(uri)
}

fn headers(texts: &BTreeMap<String, String>) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    let agent = concat!("chaosctl/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    for (name, value) in texts {
        let wrong = || Problem::Header(name.clone());
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        headers.insert(key, value);
    }
    Ok(headers)
}

impl CheckText {
    fn checks(&self) -> Result<Checks, Problem> {
        let mut checks = Checks {
            contains: self.body.clone(),
            ..Checks::default()
        };
        if !self.status.is_empty() {
            let read: Result<Vec<Statuses>, _> =
                self.status.iter().map(|text| statuses(text)).collect();
            checks.statuses = read?;
        }
        Ok(checks)
    }
}

fn names(phases: &[PhaseText]) -> Result<Vec<String>, Problem> {
    match phases.len() {
        0 => return Err(Problem::NoPhases),
        1..=MOST_PHASES => {}
        count => return Err(Problem::Phases(count)),
    }
    let mut names: Vec<String> = Vec::new();
    for (index, PhaseText { name, .. }) in phases.iter().enumerate() {
        let may_be = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || !name.chars().all(may_be) {
            let number = index + 1;
            let name = name.clone();
            return Err(Problem::Name { number, name });
        }
        if names.contains(name) {
            return Err(Problem::SameName(name.clone()));
        }
        names.push(name.clone());
    }
    Ok(names)
}

fn thresholds(
    texts: &BTreeMap<String, Several>,
    phases: &[String],
    checks: &[String],
) -> Result<Vec<(Series, Vec<Threshold>)>, Problem> {
    use crate::drill::metric::Tag;

    let mut all = Vec::new();
    for (name, Several(conditions)) in texts {
        let series = Series::read(name)?;
        for tag in &series.tags {
            match tag {
                Tag::Phase(name) if !phases.contains(name) => {
                    return Err(Problem::NoPhase {
                        series: series.name,
                        phases: phases.to_vec(),
                    });
                }
                Tag::Check(name) if !checks.contains(name) => {
                    return Err(Problem::NoCheck {
                        series: series.name,
                        checks: checks.to_vec(),
                    });
                }
                Tag::Phase(_) | Tag::Check(_) | Tag::Status(_) | Tag::Expected(_) => {}
            }
        }
        let thresholds = conditions
            .iter()
            .map(|condition| Threshold::read(&condition.source, series.metric, condition.abort));
        let thresholds: Result<Vec<_>, _> = thresholds.collect();
        all.push((series, thresholds?));
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
