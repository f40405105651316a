//! Series that a probe asked of Prometheus (a `matrix`), as lines.

use maud::{Markup, html};
use serde_json::Value;

use super::super::scale::Scale;
use super::super::{clock, words};

const HEIGHT: f64 = 150.0;
/// Room above and below the lines, for the marks.
const EDGE: f64 = 8.0;
/// As many as there are colours.
const MOST: usize = 6;

struct Series {
    name: String,
    /// Seconds of the epoch, and values.
    points: Vec<(f64, f64)>,
}

/// The chart of an output that has series; none of any other.
pub(super) fn chart(output: &Value) -> Option<Markup> {
    let data = output.get("data")?;
    if data.get("resultType")?.as_str()? != "matrix" {
        return None;
    }
    let all: Vec<_> = data.get("result")?.as_array()?.iter().map(series).collect();
    let all: Vec<_> = all
        .into_iter()
        .filter(|series| !series.points.is_empty())
        .collect();
    let points = || all.iter().take(MOST).flat_map(|series| &series.points);
    let (begin, end) = bounds(points().map(|(at, _)| *at))?;
    let (least, most) = bounds(points().map(|(_, value)| *value))?;
    let across = Scale::exact(end - begin, 4.0, 1.0, 99.0);
    let share = |value: f64| {
        let (whole, above) = (most / 2.0 - least / 2.0, value / 2.0 - least / 2.0);
        if whole > 0.0 { above / whole } else { 0.5 }
    };
    let x = |at: f64| format!("{:.2}%", across.at(at - begin));
    let y = |value: f64| {
        format!(
            "{:.1}",
            HEIGHT - EDGE - share(value) * (HEIGHT - 2.0 * EDGE)
        )
    };
    let left = all.len().saturating_sub(MOST);
    Some(html! {
        p class="key" {
            @for (number, series) in all.iter().take(MOST).enumerate() { span class=(format!("of-{number}")) { (words::short(&series.name)) } }
            @if left > 0 { span class="bare" { (left) " more are in the journal" } }
        }
        p class="soft" { (words::number(least)) " to " (words::number(most)) ", over " (clock::span(end - begin)) }
        svg class="series" height=(HEIGHT) role="img" aria-label="series over time" {
            @for bound in [least, most] { line class="grid" x1="0" x2="100%" y1=(y(bound)) y2=(y(bound)) {} }
            @for (number, series) in all.iter().take(MOST).enumerate() {
                g class=(format!("of-{number}")) {
                    title { (series.name) }
                    @for pair in series.points.windows(2) {
                        line class="course" x1=(x(pair[0].0)) y1=(y(pair[0].1)) x2=(x(pair[1].0)) y2=(y(pair[1].1)) {}
                    }
                    @if let [(at, value)] = series.points[..] { circle class="only" cx=(x(at)) cy=(y(value)) r="3" {} }
                }
            }
        }
    })
}

fn bounds(numbers: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let pairs = numbers.map(|number| (number, number));
    pairs.reduce(|(least, most), (number, _)| (least.min(number), most.max(number)))
}

fn series(of: &Value) -> Series {
    let labels = of.get("metric").and_then(Value::as_object);
    let name = |labels: &serde_json::Map<String, Value>| {
        let own = labels.get("__name__").map(words::plain);
        let others = labels.iter().filter(|(key, _)| *key != "__name__");
        let others: Vec<_> = others
            .map(|(key, value)| format!("{key}={}", words::plain(value)))
            .collect();
        own.into_iter().chain(others).collect::<Vec<_>>().join(" ")
    };
    let name = labels.map(name).filter(|name| !name.is_empty());
    let values = of.get("values").and_then(Value::as_array);
    let point = |pair: &Value| {
        let value: f64 = words::plain(pair.get(1)?).parse().ok()?;
        Some((pair.get(0)?.as_f64()?, value)).filter(|(_, value)| value.is_finite())
    };
    Series {
        name: name.unwrap_or_else(|| "a series without labels".to_owned()),
        points: values.into_iter().flatten().filter_map(point).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_matrix_has_a_line_for_each_series() {
        let one = |name: &str, values: Value| json!({ "metric": { "__name__": "up", "pod": name }, "values": values });
        let output = json!({ "status": "success", "data": { "resultType": "matrix", "result": [
            one("a", json!([[10, "1"], [20, "3"], [30, "NaN"], [40, "2"]])),
            one("<b>", json!([[10, "5"]])),
            one("c", json!([])),
            null,
        ] } });
        let chart = chart(&output).unwrap().into_string();
        assert_eq!(chart.matches("class=\"course\"").count(), 2);
        assert_eq!(chart.matches("class=\"only\"").count(), 1);
        assert!(
            chart.contains("1 to 5, over 30 s") && chart.contains("up pod=&lt;b&gt;"),
            "{chart}"
        );
    }

    #[test]
    fn other_outputs_have_no_chart() {
        let vector = json!({ "data": { "resultType": "vector", "result": [] } });
        let empty = json!({ "data": { "resultType": "matrix", "result": [] } });
        for output in [json!(null), json!([1]), json!({ "data": 3 }), vector, empty] {
            assert!(chart(&output).is_none(), "{output}");
        }
    }
}
