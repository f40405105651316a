//! Thresholds in k6's words: `p(95)<800`, `rate>0.9`.

use std::time::Duration;

use super::metric::{Kind, Metric};

/// One condition on a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// As it was written.
    pub source: String,
    /// Which figure of the series.
    pub method: Method,
    /// How it is compared.
    pub operator: Operator,
    /// With what: milliseconds, bytes, a share of 1, or a number.
    pub limit: f64,
    /// Whether crossing it ends the drill at once.
    pub abort: Option<Abort>,
}

/// When a crossed threshold ends the drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abort {
    /// Not before this much of the drill is over.
    pub after: Duration,
}

/// A figure of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// The mean.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The median.
    Med,
    /// So many percent are no larger.
    Percentile(f64),
    /// The sum.
    Count,
    /// A second, or the share of those that are true.
    Rate,
    /// The latest.
    Value,
}

/// How two figures are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `==`, `===`
    Equal,
    /// `!=`
    Unequal,
}

/// A threshold that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("threshold `{source_text}` of {metric} {problem}")]
pub struct InvalidThreshold {
    /// What was written.
    pub source_text: String,
    /// For which metric.
    pub metric: &'static str,
    /// What is wrong with it.
    pub problem: ThresholdProblem,
}

/// What is wrong with a threshold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdProblem {
    /// Nothing is compared.
    #[error("compares nothing: write one such as `{0}`")]
    NoOperator(&'static str),
    /// No such figure, or not of this kind of metric.
    #[error("asks for `{method}`, and this metric has {accepted}")]
    Method {
        /// What was asked for.
        method: String,
        /// What there is.
        accepted: &'static str,
    },
    /// A percentile that does not exist.
    #[error("asks for the percentile `{0}`: give a number from 0 to 100, such as p(95)")]
    Percentile(String),
    /// Not a number.
    #[error("compares with `{value}`: give {accepted}")]
    Limit {
        /// What was written.
        value: String,
        /// What would be right.
        accepted: &'static str,
    },
}

/// As k6 looks for them: the first that occurs.
const OPERATORS: [(&str, Operator); 7] = [
    ("<=", Operator::AtMost),
    ("<", Operator::Less),
    (">=", Operator::AtLeast),
    (">", Operator::More),
    ("===", Operator::Equal),
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
];

impl Threshold {
    /// Reads a condition on a metric.
    pub fn read(
        text: &str,
        metric: &Metric,
        abort: Option<Abort>,
    ) -> Result<Self, InvalidThreshold> {
        let invalid = |problem| InvalidThreshold {
            source_text: text.to_owned(),
            metric: metric.name,
            problem,
        };
        let parts = OPERATORS.iter().find_map(|(sign, operator)| {
            let (left, right) = text.split_once(sign)?;
            Some((left.trim(), *operator, right.trim()))
        });
        let (left, operator, right) =
            parts.ok_or_else(|| invalid(ThresholdProblem::NoOperator(example(metric.kind))))?;
        let method = method(left, metric.kind).map_err(invalid)?;
        let limit: Option<f64> = right.parse().ok();
        let limit = limit.filter(|limit| limit.is_finite()).ok_or_else(|| {
            invalid(ThresholdProblem::Limit {
                value: right.to_owned(),
                accepted: limits(metric, method),
            })
        })?;
        Ok(Self {
            source: text.to_owned(),
            method,
            operator,
            limit,
            abort,
        })
    }

    /// Whether a figure is within it.
    pub fn holds(&self, figure: f64) -> bool {
        #[expect(clippy::float_cmp, reason = "who writes == asks for it")]
        match self.operator {
            Operator::Less => figure < self.limit,
            Operator::AtMost => figure <= self.limit,
            Operator::More => figure > self.limit,
            Operator::AtLeast => figure >= self.limit,
            Operator::Equal => figure == self.limit,
            Operator::Unequal => figure != self.limit,
        }
    }

    /// The figure's name, as it was written.
    pub fn figure(&self) -> &str {
        let end = self.source.find(['<', '>', '=', '!']);
        self.source[..end.unwrap_or(self.source.len())].trim()
    }
}

fn method(text: &str, kind: Kind) -> Result<Method, ThresholdProblem> {
    let percentile = text
        .strip_prefix("p(")
        .and_then(|rest| rest.strip_suffix(')'));
    let found = match (kind, text) {
        (Kind::Trend, "avg") => Some(Method::Avg),
        (Kind::Trend, "min") => Some(Method::Min),
        (Kind::Trend, "max") => Some(Method::Max),
        (Kind::Trend, "med") => Some(Method::Med),
        (Kind::Counter, "count") => Some(Method::Count),
        (Kind::Counter | Kind::Rate, "rate") => Some(Method::Rate),
        (Kind::Gauge, "value") => Some(Method::Value),
        (Kind::Trend | Kind::Counter | Kind::Rate | Kind::Gauge, _) => None,
    };
    match (found, percentile) {
        (Some(method), _) => Ok(method),
        (None, Some(percentile)) if kind == Kind::Trend => {
            let number: Option<f64> = percentile.trim().parse().ok();
            let number = number.filter(|number| (0.0..=100.0).contains(number));
            let wrong = || ThresholdProblem::Percentile(percentile.to_owned());
            number.map(Method::Percentile).ok_or_else(wrong)
        }
        (None, _) => Err(ThresholdProblem::Method {
            method: text.to_owned(),
            accepted: match kind {
                Kind::Trend => "avg, min, max, med and p(N)",
                Kind::Counter => "count and rate",
                Kind::Rate => "rate",
                Kind::Gauge => "value",
            },
        }),
    }
}

fn example(kind: Kind) -> &'static str {
    match kind {
        Kind::Trend => "p(95)<800",
        Kind::Counter => "count>100",
        Kind::Rate => "rate>0.9",
        Kind::Gauge => "value<100",
    }
}

fn limits(metric: &Metric, method: Method) -> &'static str {
    use super::metric::Contains;
    match (metric.kind, metric.contains, method) {
        (Kind::Rate, ..) => "a share of 1, such as 0.9",
        (Kind::Trend, Contains::Time, _) => "a number of milliseconds without a unit, such as 800",
        (_, Contains::Data, Method::Rate) => "a number of bytes a second, such as 10000",
        (_, Contains::Data, _) => "a number of bytes, such as 10000",
        (_, _, Method::Rate) => "a number a second, such as 19.5",
        _ => "a number, such as 100",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::metric::find;

    fn read(text: &str, metric: &str) -> Result<Threshold, String> {
        Threshold::read(text, find(metric).unwrap(), None).map_err(|error| error.to_string())
    }

    #[test]
    fn all_of_the_grammar_is_read() {
        let parts = |text, metric| {
            let read = read(text, metric).unwrap();
            (read.method, read.operator, read.limit)
        };
        for (text, method, operator, limit) in [
            ("p(95)<800", Method::Percentile(95.0), Operator::Less, 800.0),
            (
                "p(99.9) <= 1e3",
                Method::Percentile(99.9),
                Operator::AtMost,
                1_000.0,
            ),
            ("avg>=0.5", Method::Avg, Operator::AtLeast, 0.5),
            (" min > 0", Method::Min, Operator::More, 0.0),
            ("max===5", Method::Max, Operator::Equal, 5.0),
            ("med==5", Method::Med, Operator::Equal, 5.0),
            ("p(0)!=5", Method::Percentile(0.0), Operator::Unequal, 5.0),
        ] {
            let expected = (method, operator, limit);
            assert_eq!(parts(text, "http_req_duration"), expected, "{text}");
        }
        assert_eq!(parts("rate>0.9", "checks").0, Method::Rate);
        assert_eq!(parts("rate>19", "http_reqs").0, Method::Rate);
        assert_eq!(parts("count>19", "http_reqs").0, Method::Count);
        assert_eq!(parts("value<19", "vus").0, Method::Value);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, metric, sentence) in [
            (
                "p(95)",
                "http_req_duration",
                "compares nothing: write one such as `p(95)<800`",
            ),
            (
                "p95<5",
                "http_req_duration",
                "asks for `p95`, and this metric has avg, min",
            ),
            (
                "p(x)<5",
                "http_req_duration",
                "asks for the percentile `x`: give a number",
            ),
            (
                "p(101)<5",
                "http_req_duration",
                "asks for the percentile `101`",
            ),
            (
                "p(95)<800ms",
                "http_req_duration",
                "compares with `800ms`: give a number of millis",
            ),
            (
                "rate>90%",
                "checks",
                "compares with `90%`: give a share of 1, such as 0.9",
            ),
            (
                "count>1",
                "checks",
                "asks for `count`, and this metric has rate",
            ),
            (
                "p(95)<1",
                "http_reqs",
                "asks for `p(95)`, and this metric has count and rate",
            ),
            ("rate>NaN", "checks", "compares with `NaN`"),
        ] {
            let error = read(text, metric).unwrap_err();
            assert!(error.contains(sentence), "{text}: {error}");
        }
    }

    #[test]
    fn figures_are_compared() {
        let holds = |text, figure| read(text, "http_req_duration").unwrap().holds(figure);
        assert!(holds("avg<5", 4.9) && !holds("avg<5", 5.0));
        assert!(holds("avg<=5", 5.0) && !holds("avg<=5", 5.1));
        assert!(holds("avg>5", 5.1) && !holds("avg>5", 5.0));
        assert!(holds("avg>=5", 5.0) && !holds("avg>=5", 4.9));
        assert!(holds("avg==5", 5.0) && !holds("avg==5", 5.1));
        assert!(holds("avg!=5", 5.1) && !holds("avg!=5", 5.0));
    }
}
