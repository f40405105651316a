//! The figures of the throughput measurement: their table, and what they are measured against.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Gbit/s that must go through the rule where a machine is not emulated.
const GOAL_GBIT: f64 = 1.0;
/// Of what goes through netem in the same run.
const GOAL_OF_NETEM: f64 = 1.0;

/// The figures of one kernel.
pub(super) struct Figures {
    kernel: String,
    is_emulated: bool,
    engine: String,
    latency: String,
    no_fault: Vec<f64>,
    rule: Vec<f64>,
    netem: Vec<f64>,
    buffer_mib: Option<u64>,
}

impl Figures {
    /// From the object that the measuring program prints.
    pub(super) fn read(run: &Value) -> Result<Self> {
        let text = |name: &str| {
            let text = run[name].as_str().map(str::to_owned);
            text.with_context(|| format!("the figures lack {name}"))
        };
        let gbits = |name: &str| {
            let list = run[name].as_array();
            let list = list.with_context(|| format!("the figures lack {name}"))?;
            Ok::<_, anyhow::Error>(list.iter().filter_map(Value::as_f64).collect())
        };
        Ok(Self {
            kernel: text("kernel_release")?,
            is_emulated: run["emulated"] == true,
            engine: text("line_engine")?,
            latency: text("latency")?,
            no_fault: gbits("no_fault_gbit_per_s")?,
            rule: gbits("rule_gbit_per_s")?,
            netem: gbits("netem_gbit_per_s")?,
            buffer_mib: run["buffer_mib"].as_u64(),
        })
    }

    /// What goes through the rule, in parts of what goes through netem, in each repetition: the two are
    /// measured one after the other, so a machine that is busier now and then disturbs them alike.
    fn of_netem(&self) -> Vec<f64> {
        let pairs = self.rule.iter().zip(&self.netem);
        pairs.map(|(rule, netem)| rule / netem).collect()
    }

    /// What must be reached here, and whether it was.
    pub(super) fn goals(&self) -> Vec<(String, bool)> {
        let (kernel, engine) = (&self.kernel, &self.engine);
        let mut goals = Vec::new();
        if let Some(gbit) = median(&self.rule).filter(|_| !self.is_emulated) {
            let sentence = format!(
                "{kernel}, engine {engine}: {gbit:.2} Gbit/s through the rule, and at least {GOAL_GBIT} is the goal"
            );
            goals.push((sentence, gbit >= GOAL_GBIT));
        }
        let parts = self.of_netem();
        if let (Some(part), Some(min), Some(max)) = (median(&parts), min(&parts), max(&parts)) {
            let sentence = format!(
                "{kernel}, engine {engine}: {part:.2} of netem through the rule ({min:.2} to {max:.2}), and at least {GOAL_OF_NETEM} is the goal"
            );
            goals.push((sentence, part >= GOAL_OF_NETEM));
        }
        goals
    }

    fn rows(&self) -> Vec<[String; 6]> {
        let kernel = if self.is_emulated {
            format!("{} (emulated)", self.kernel)
        } else {
            self.kernel.clone()
        };
        let part = |ratio: Option<f64>| ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let row = |kernel: &str, way: String, gbits: &[f64], of_netem: String| {
            let [median, min, max] = [median(gbits), min(gbits), max(gbits)].map(part);
            [kernel.to_owned(), way, median, min, max, of_netem]
        };
        let parts = self.of_netem();
        let of_netem = match (median(&parts), min(&parts), max(&parts)) {
            (Some(part), Some(min), Some(max)) => format!("{part:.2} ({min:.2} to {max:.2})"),
            _ => String::new(),
        };
        let latency = &self.latency;
        let ours = format!("{latency} rule, engine {}", self.engine);
        let netem = if self.netem.is_empty() {
            "netem: this kernel has none".to_owned()
        } else {
            format!("{latency} netem")
        };
        vec![
            row(
                &kernel,
                "no fault".to_owned(),
                &self.no_fault,
                String::new(),
            ),
            row("", ours, &self.rule, of_netem),
            row("", netem, &self.netem, String::new()),
        ]
    }
}

/// All figures, for people.
pub(super) fn table(figures: &[Figures]) -> String {
    let header = ["KERNEL", "BULK TCP", "MEDIAN", "MIN", "MAX", "OF NETEM"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(header)
        .chain(figures.iter().flat_map(Figures::rows))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let [kernel_width, way_width] = [width(0), width(1)];
    let mut text = String::new();
    for [kernel, way, median, min, max, of_netem] in &rows {
        let line = format!(
            "{kernel:kernel_width$}  {way:way_width$}  {median:>6}  {min:>6}  {max:>6}  {of_netem}"
        );
        let _infallible = writeln!(text, "{}", line.trim_end());
    }
    let count = figures.iter().map(|figures| figures.rule.len()).max();
    let buffers = match figures.iter().find_map(|figures| figures.buffer_mib) {
        Some(mib) => format!("buffers of up to {mib} MiB"),
        None => "the kernel's own limits for its buffers".to_owned(),
    };
    let _infallible = writeln!(
        text,
        "Gbit/s of payload over one connection with {buffers}, {} measurements each, in turn. OF NETEM: median, lowest and \
         highest of the repetitions.",
        count.unwrap_or(0)
    );
    text
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// The middle value, the lower one of two.
/// The middle one; the lower of two.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

/// The least.
pub(super) fn min(values: &[f64]) -> Option<f64> {
    sorted(values).first().copied()
}

/// The largest.
pub(super) fn max(values: &[f64]) -> Option<f64> {
    sorted(values).last().copied()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn figures(rule: &[f64], netem: &[f64], is_emulated: bool) -> Figures {
        let run = json!({
            "kernel_release": "6.1.0", "emulated": is_emulated, "line_engine": "fq", "latency": "20ms",
            "no_fault_gbit_per_s": [3.0, 1.0, 2.0], "rule_gbit_per_s": rule, "netem_gbit_per_s": netem,
        });
        Figures::read(&run).unwrap()
    }

    #[test]
    fn a_kernel_with_netem_is_measured_against_it() {
        let figures = figures(&[0.9, 0.7, 0.8], &[1.0, 1.0, 0.5], true);
        let goals = figures.goals();
        assert_eq!(goals.len(), 1);
        assert!(
            goals[0].0.contains("0.90 of netem") && !goals[0].1,
            "{goals:?}"
        );
        let table = table(&[figures]);
        let lines: Vec<&str> = table.lines().collect();
        assert!(
            lines[1].starts_with("6.1.0 (emulated)  no fault"),
            "{table}"
        );
        assert!(lines[1].ends_with("2.00    1.00    3.00"), "{table}");
        assert!(lines[2].ends_with("0.90 (0.70 to 1.60)"), "{table}");
    }

    #[test]
    fn a_kernel_without_netem_is_measured_by_itself() {
        let figures = figures(&[0.9, 0.8, 1.1], &[], false);
        let goals = figures.goals();
        assert_eq!(goals.len(), 1);
        assert!(
            goals[0].0.contains("0.90 Gbit/s") && !goals[0].1,
            "{goals:?}"
        );
        assert!(table(&[figures]).contains("this kernel has none"));
    }

    #[test]
    fn figures_that_are_not_there_are_an_error() {
        let error = Figures::read(&json!({ "kernel_release": "6.1.0" }))
            .err()
            .unwrap();
        assert!(error.to_string().contains("lack"), "{error}");
    }
}
