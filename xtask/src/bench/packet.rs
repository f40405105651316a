//! The figures of the packet measurement: their table, and what they are measured against.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::throughput::{max, median, min};

/// One case, in nanoseconds for a packet.
pub(super) struct Case {
    name: String,
    median: f64,
    min: f64,
    max: f64,
    /// How much more than the empty program it takes, and how much it may.
    above_floor: Option<(f64, f64)>,
}

/// From the object that the measuring program prints. The first case is the floor.
pub(super) fn read(run: &Value) -> Result<Vec<Case>> {
    let cases = run["cases"].as_array().context("the figures lack cases")?;
    let mut floor = 0.0;
    cases
        .iter()
        .map(|case| {
            let name = case["name"].as_str().context("a case lacks its name")?;
            let ns = case["ns"].as_array().into_iter().flatten();
            let ns: Vec<f64> = ns.filter_map(Value::as_f64).collect();
            let figures = (median(&ns), min(&ns), max(&ns));
            let (Some(median), Some(min), Some(max)) = figures else {
                anyhow::bail!("{name} has no figures");
            };
            let budget = case["budget_ns_above_floor"].as_f64();
            if budget.is_none() {
                floor = median;
            }
            Ok(Case {
                name: name.to_owned(),
                median,
                min,
                max,
                above_floor: budget.map(|budget| (median - floor, budget)),
            })
        })
        .collect()
}

/// For people.
pub(super) fn table(cases: &[Case]) -> String {
    let width = cases.iter().map(|case| case.name.len()).max().unwrap_or(0);
    let mut text = format!(
        "{:width$}  MEDIAN     MIN     MAX  ABOVE  BUDGET\n",
        "CASE (ns for a packet)"
    );
    for case in cases {
        let _infallible = write!(
            text,
            "{:width$}  {:>6.0}  {:>6.0}  {:>6.0}",
            case.name, case.median, case.min, case.max
        );
        if let Some((above, budget)) = case.above_floor {
            let _infallible = write!(text, "  {above:>5.0}  {budget:>6.0}");
        }
        text.push('\n');
    }
    text
}

/// What must be reached, and whether it was.
pub(super) fn goals(cases: &[Case]) -> Vec<(String, bool)> {
    let goal = |case: &Case| {
        let (above, budget) = case.above_floor?;
        let sentence = format!(
            "{}: {above:.0} ns above an empty program, and at most {budget:.0} is the goal",
            case.name
        );
        Some((sentence, above <= budget))
    };
    cases.iter().filter_map(goal).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn budgets_are_above_the_floor_of_the_same_run() {
        let run = json!({ "cases": [
            { "name": "empty", "budget_ns_above_floor": null, "ns": [25, 26, 30] },
            { "name": "good", "budget_ns_above_floor": 12, "ns": [38, 30, 90] },
            { "name": "bad", "budget_ns_above_floor": 12, "ns": [39, 39, 39] },
        ]});
        let cases = read(&run).unwrap();
        let met: Vec<bool> = goals(&cases).iter().map(|(_, met)| *met).collect();
        assert_eq!(met, [true, false]);
        let table = table(&cases);
        assert!(
            table.lines().nth(2).unwrap().ends_with("12      12"),
            "{table}"
        );
    }

    #[test]
    fn figures_that_are_not_there_are_missed() {
        assert!(read(&json!({ "cases": [{ "name": "empty", "ns": [] }] })).is_err());
    }
}
