//! The metrics of a drill: k6's names for them, what kind each is, and the tags that narrow one down.

use std::fmt;

/// How values are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A sum.
    Counter,
    /// The latest value.
    Gauge,
    /// The share of those that are true.
    Rate,
    /// A distribution.
    Trend,
}

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contains {
    /// Numbers.
    Default,
    /// Milliseconds.
    Time,
    /// Bytes.
    Data,
}

/// A block of the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Above the others, in lines of its own.
    Checks,
    /// What concerns requests.
    Http,
    /// What concerns the load.
    Execution,
    /// Bytes.
    Network,
}

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// As k6 calls it.
    pub name: &'static str,
    /// How values are put together.
    pub kind: Kind,
    /// What they are.
    pub contains: Contains,
    /// Where it is shown.
    pub section: Section,
    /// Whether it is shown although nobody set a threshold on it.
    pub is_shown: bool,
}

const fn metric(
    name: &'static str,
    kind: Kind,
    contains: Contains,
    section: Section,
    is_shown: bool,
) -> Metric {
    Metric {
        name,
        kind,
        contains,
        section,
        is_shown,
    }
}

use Contains::{Data, Default as Plain, Time};
use Kind::{Counter, Gauge, Rate, Trend};
use Section::{Checks, Execution, Http, Network};

/// All of them, by name.
pub static METRICS: [Metric; 17] = [
    metric("checks", Rate, Plain, Checks, false),
    metric("data_received", Counter, Data, Network, true),
    metric("data_sent", Counter, Data, Network, true),
    metric("dropped_iterations", Counter, Plain, Execution, true),
    metric("http_req_blocked", Trend, Time, Http, false),
    metric("http_req_connecting", Trend, Time, Http, false),
    metric("http_req_duration", Trend, Time, Http, true),
    metric("http_req_failed", Rate, Plain, Http, true),
    metric("http_req_receiving", Trend, Time, Http, false),
    metric("http_req_sending", Trend, Time, Http, false),
    metric("http_req_tls_handshaking", Trend, Time, Http, false),
    metric("http_req_waiting", Trend, Time, Http, false),
    metric("http_reqs", Counter, Plain, Http, true),
    metric("iteration_duration", Trend, Time, Execution, true),
    metric("iterations", Counter, Plain, Execution, true),
    metric("vus", Gauge, Plain, Execution, true),
    metric("vus_max", Gauge, Plain, Execution, true),
];

/// The metric of that name.
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// What narrows a metric down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// Requests that were due in a phase; k6 calls it `scenario`.
    Phase(String),
    /// Requests whose answer was as expected, or was not.
    Expected(bool),
    /// Requests that were answered with a status; 0: with none.
    Status(u16),
    /// Results of one check.
    Check(String),
}

/// What a threshold is set on: `http_req_duration{phase:chaos}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// As it was written, without spaces.
    pub name: String,
    /// Of which metric.
    pub metric: &'static Metric,
    /// All must hold.
    pub tags: Vec<Tag>,
}

/// A name that means no series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("metric `{name}` {problem}")]
pub struct InvalidSeries {
    /// What was written.
    pub name: String,
    /// What is wrong with it.
    pub problem: SeriesProblem,
}

/// What is wrong with the name of a series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeriesProblem {
    /// No such metric.
    #[error("is none of a drill: {}", near.map_or_else(names, |near| format!("did you mean `{near}`?")))]
    Unknown {
        /// One that may have been meant.
        near: Option<&'static str>,
    },
    /// Braces or colons are missing.
    #[error("is not one: write tags as in `http_req_duration{{phase:chaos}}`")]
    Malformed,
    /// No such tag.
    #[error(
        "has the unknown tag `{0}`: there are phase (or scenario), status, expected_response and check"
    )]
    UnknownTag(String),
    /// A tag that this metric does not have.
    #[error("cannot have the tag `{tag}`: it goes with {with} only")]
    Elsewhere {
        /// The tag.
        tag: &'static str,
        /// What has it.
        with: &'static str,
    },
    /// A value that the tag cannot have.
    #[error("cannot have `{value}` for the tag `{tag}`: give {accepted}")]
    Value {
        /// The tag.
        tag: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        accepted: &'static str,
    },
}

fn names() -> String {
    let names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
    format!("there are {}", names.join(", "))
}

/// The metric whose name is spelt most like this, if at most one letter in three is wrong.
fn near(word: &str) -> Option<&'static str> {
    let all = METRICS.iter().map(|metric| metric.name);
    let distances = all.map(|name| (strsim::damerau_levenshtein(name, word), name));
    let (distance, name) = distances.min()?;
    (distance <= word.chars().count() / 3).then_some(name)
}

impl Series {
    /// A metric without tags.
    pub fn plain(metric: &'static Metric) -> Self {
        Self {
            name: metric.name.to_owned(),
            metric,
            tags: Vec::new(),
        }
    }

    /// Reads `metric` or `metric{tag:value,…}`, as k6 does.
    pub fn read(text: &str) -> Result<Self, InvalidSeries> {
        let invalid = |problem| InvalidSeries {
            name: text.to_owned(),
            problem,
        };
        let (name, tags) = match text.split_once('{') {
            None => (text, None),
            Some((name, tags)) => {
                let tags = tags.trim_end().strip_suffix('}');
                let tags = tags.ok_or_else(|| invalid(SeriesProblem::Malformed))?;
                (name, Some(tags))
            }
        };
        let metric = find(name.trim()).ok_or_else(|| {
            invalid(SeriesProblem::Unknown {
                near: near(name.trim()),
            })
        })?;
        let Some(tags) = tags else {
            return Ok(Self::plain(metric));
        };
        let tags: Result<Vec<_>, _> = tags.split(',').map(|tag| read_tag(metric, tag)).collect();
        let tags = tags.map_err(invalid)?;
        let inner: Vec<_> = tags.iter().map(ToString::to_string).collect();
        Ok(Self {
            name: format!("{}{{{}}}", metric.name, inner.join(",")),
            metric,
            tags,
        })
    }

    /// The phase that it is about, if about one alone.
    pub fn phase(&self) -> Option<&str> {
        self.tags.iter().find_map(|tag| match tag {
            Tag::Phase(name) => Some(name.as_str()),
            Tag::Expected(_) | Tag::Status(_) | Tag::Check(_) => None,
        })
    }
}

fn read_tag(metric: &Metric, text: &str) -> Result<Tag, SeriesProblem> {
    let (tag, value) = text.split_once(':').ok_or(SeriesProblem::Malformed)?;
    let value = value.trim().trim_matches(['"', '\'']).to_owned();
    let is_http = metric.name.starts_with("http_");
    let of_requests = |tag| {
        let with = "http_reqs and http_req_…";
        let elsewhere = SeriesProblem::Elsewhere { tag, with };
        if is_http { Ok(()) } else { Err(elsewhere) }
    };
    match tag.trim() {
        "phase" | "scenario" => {
            if metric.kind == Kind::Gauge {
                let with = "all but vus and vus_max";
                return Err(SeriesProblem::Elsewhere { tag: "phase", with });
            }
            Ok(Tag::Phase(value))
        }
        "expected_response" => {
            of_requests("expected_response")?;
            let expected = value.parse().map_err(|_| SeriesProblem::Value {
                tag: "expected_response",
                value,
                accepted: "true or false",
            })?;
            Ok(Tag::Expected(expected))
        }
        "status" => {
            of_requests("status")?;
            let status = value.parse().map_err(|_| SeriesProblem::Value {
                tag: "status",
                value,
                accepted: "a status such as 503, or 0 for requests without an answer",
            })?;
            Ok(Tag::Status(status))
        }
        "check" if metric.name == "checks" => Ok(Tag::Check(value)),
        "check" => Err(SeriesProblem::Elsewhere {
            tag: "check",
            with: "checks",
        }),
        other => Err(SeriesProblem::UnknownTag(other.to_owned())),
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phase(name) => write!(f, "phase:{name}"),
            Self::Expected(expected) => write!(f, "expected_response:{expected}"),
            Self::Status(status) => write!(f, "status:{status}"),
            Self::Check(name) => write!(f, "check:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let read = |text| Series::read(text).unwrap();
        assert_eq!(read("http_reqs").tags, []);
        let series = read("http_req_duration{scenario:chaos, expected_response:true}");
        assert_eq!(
            series.tags,
            [Tag::Phase("chaos".to_owned()), Tag::Expected(true)]
        );
        assert_eq!(
            series.name,
            "http_req_duration{phase:chaos,expected_response:true}"
        );
        assert_eq!(series.phase(), Some("chaos"));
        assert_eq!(
            read("checks{check:\"status is 200\"}").tags,
            [Tag::Check("status is 200".to_owned())]
        );
        assert_eq!(read("http_reqs{status:0}").tags, [Tag::Status(0)]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, sentence) in [
            (
                "latency",
                "metric `latency` is none of a drill: there are checks, data_",
            ),
            ("http_reqs{phase:x", "is not one: write tags as"),
            ("http_reqs{phase}", "is not one: write tags as"),
            (
                "http_reqs{url:x}",
                "has the unknown tag `url`: there are phase",
            ),
            (
                "iterations{status:200}",
                "cannot have the tag `status`: it goes with http_reqs",
            ),
            (
                "vus{phase:x}",
                "cannot have the tag `phase`: it goes with all but vus",
            ),
            (
                "http_reqs{check:x}",
                "cannot have the tag `check`: it goes with checks only",
            ),
            (
                "http_reqs{status:ok}",
                "cannot have `ok` for the tag `status`: give a status",
            ),
        ] {
            let error = Series::read(text).unwrap_err().to_string();
            assert!(error.contains(sentence), "{text}: {error}");
        }
    }
}
