//! Figures of any measurement: their table, and what they are to reach.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// The figures of one run, on one kernel.
pub(super) struct Run {
    title: String,
    figures: Vec<Figure>,
}

struct Figure {
    name: String,
    unit: String,
    /// Nothing where it could not be measured.
    value: Option<f64>,
    spread: Option<(f64, f64)>,
    baseline: Option<(String, Option<f64>)>,
    goal: Option<Goal>,
}

enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Run {
    /// From the object that the measuring program prints.
    pub(super) fn read(run: &Value) -> Result<Self> {
        let text = |name: &str| run[name].as_str();
        let benchmark = text("benchmark").context("the figures lack their benchmark")?;
        let kernel = text("kernel_release").context("the figures lack their kernel")?;
        let emulated = if run["emulated"] == true {
            ", emulated"
        } else {
            ""
        };
        let engine =
            text("line_engine").map_or(String::new(), |engine| format!(", engine {engine}"));
        let figures = run["figures"].as_array();
        let figures = figures.context("the figures are not there")?;
        Ok(Self {
            title: format!("{benchmark}: Linux {kernel}{emulated}{engine}"),
            figures: figures.iter().map(Figure::read).collect::<Result<_>>()?,
        })
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let header = ["", "FIGURE", "LOWEST", "HIGHEST", "UNIT", "BESIDE", "GOAL"];
        let mut rows = vec![header.map(str::to_owned)];
        rows.extend(self.figures.iter().map(Figure::row));
        let width = |column: usize| {
            let lengths = rows.iter().map(|row| row[column].chars().count());
            lengths.max().unwrap_or(0)
        };
        let widths: [usize; 7] = std::array::from_fn(width);
        let mut text = format!("{}\n", self.title);
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                let _infallible = match column {
                    1..=3 => write!(line, "{cell:>width$}  "),
                    _ => write!(line, "{cell:width$}  "),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// What must be reached, and whether it was.
    pub(super) fn goals(&self) -> Vec<(String, bool)> {
        let goal = |figure: &Figure| {
            let (goal, met) = figure.goal()?;
            let value = figure.value.map_or("not measured".to_owned(), short);
            let sentence = format!(
                "{}: {value} {}, and {goal} is the goal",
                figure.name, figure.unit
            );
            Some((sentence, met))
        };
        self.figures.iter().filter_map(goal).collect()
    }
}

impl Figure {
    fn read(figure: &Value) -> Result<Self> {
        let text = |name: &str| figure[name].as_str().map(str::to_owned);
        let number = |name: &str| figure[name].as_f64();
        let at_most = number("goal_at_most").map(Goal::AtMost);
        Ok(Self {
            name: text("name").context("a figure lacks its name")?,
            unit: text("unit").context("a figure lacks its unit")?,
            value: number("value"),
            spread: number("lowest").zip(number("highest")),
            baseline: figure["baseline"]["name"]
                .as_str()
                .map(|name| (name.to_owned(), figure["baseline"]["value"].as_f64())),
            goal: number("goal_at_least").map(Goal::AtLeast).or(at_most),
        })
    }

    /// The goal in words, and whether it was met; what could not be measured meets none.
    fn goal(&self) -> Option<(String, bool)> {
        let (words, met) = match self.goal.as_ref()? {
            Goal::AtLeast(least) => (
                format!("at least {}", short(*least)),
                self.value.is_some_and(|value| value >= *least),
            ),
            Goal::AtMost(most) => (
                format!("at most {}", short(*most)),
                self.value.is_some_and(|value| value <= *most),
            ),
        };
        Some((words, met))
    }

    fn row(&self) -> [String; 7] {
        let part = |value: Option<f64>| value.map_or(String::new(), short);
        let goal = self.goal().map_or(String::new(), |(goal, met)| {
            format!("{goal}: {}", if met { "met" } else { "missed" })
        });
        let baseline = self.baseline.as_ref();
        let baseline = baseline.map_or(String::new(), |(name, value)| {
            format!("{name}: {}", value.map_or("-".to_owned(), short))
        });
        [
            self.name.clone(),
            self.value.map_or("-".to_owned(), short),
            part(self.spread.map(|spread| spread.0)),
            part(self.spread.map(|spread| spread.1)),
            self.unit.clone(),
            baseline,
            goal,
        ]
    }
}

/// With as many places as tell something.
fn short(value: f64) -> String {
    let places = match value.abs() {
        0.0 | 100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run() -> Run {
        let figure = |name: &str, value: Option<f64>| {
            json!({
                "name": name, "unit": "ms", "value": value, "lowest": 1.25, "highest": 1234.5,
                "baseline": { "name": "without", "value": 0.5 }, "goal_at_least": null, "goal_at_most": 30,
            })
        };
        Run::read(&json!({
            "benchmark": "reaction", "kernel_release": "6.1.0", "emulated": true, "line_engine": "fq",
            "figures": [figure("good", Some(29.96)), figure("bad", Some(30.5)), figure("none", None)],
        }))
        .unwrap()
    }

    #[test]
    fn goals_are_met_missed_or_not_measured() {
        let goals = run().goals();
        let met: Vec<bool> = goals.iter().map(|(_, met)| *met).collect();
        assert_eq!(met, [true, false, false]);
        assert_eq!(goals[1].0, "bad: 30.5 ms, and at most 30.0 is the goal");
        assert!(goals[2].0.starts_with("none: not measured ms"), "{goals:?}");
    }

    #[test]
    fn the_table_has_everything_beside_its_baseline() {
        let table = run().table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "reaction: Linux 6.1.0, emulated, engine fq");
        assert_eq!(
            lines[2],
            "good    30.0    1.25     1234  ms    without: 0.50  at most 30.0: met"
        );
        assert!(
            lines[4].contains(" -  ") && lines[4].ends_with("missed"),
            "{table}"
        );
    }
}
