//! One figure of a measurement: what was measured, beside what, and what is to be reached.

use serde_json::{Value, json};

/// What a figure is to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// Printed beside the others.
    None,
}

/// A figure.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) value: f64,
    /// Lowest and highest of the rounds, or of whatever the value is the middle.
    pub(super) spread: Option<(f64, f64)>,
    /// The same without the product, or with another, in the same run.
    pub(super) baseline: Option<(String, f64)>,
    pub(super) goal: Goal,
}

impl Figure {
    /// The median of some values, with their spread.
    pub(super) fn median(name: impl Into<String>, unit: &'static str, values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.get(sorted.len().saturating_sub(1) / 2);
        Self {
            spread: sorted.first().copied().zip(sorted.last().copied()),
            ..Self::of(name, unit, middle.copied().unwrap_or(f64::NAN))
        }
    }

    /// A single value.
    pub(super) fn of(name: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self {
            name: name.into(),
            unit,
            value,
            spread: None,
            baseline: None,
            goal: Goal::None,
        }
    }

    pub(super) fn beside(self, what: impl Into<String>, value: f64) -> Self {
        Self {
            baseline: Some((what.into(), value)),
            ..self
        }
    }

    pub(super) fn goal(self, goal: Goal) -> Self {
        Self { goal, ..self }
    }

    fn json(&self) -> Value {
        let (at_least, at_most) = match self.goal {
            Goal::AtLeast(least) => (Some(least), None),
            Goal::AtMost(most) => (None, Some(most)),
            Goal::None => (None, None),
        };
        json!({
            "name": self.name,
            "unit": self.unit,
            "value": self.value,
            "lowest": self.spread.map(|spread| spread.0),
            "highest": self.spread.map(|spread| spread.1),
            "baseline": self.baseline.as_ref().map(|(what, value)| json!({ "name": what, "value": value })),
            "goal_at_least": at_least,
            "goal_at_most": at_most,
        })
    }
}

/// The object that the program prints. `more` is for whoever reads the JSON: single rounds, what was lost where.
pub(super) fn report(
    benchmark: &str,
    line_engine: Option<&str>,
    figures: &[Figure],
    more: &Value,
) -> anyhow::Result<Value> {
    Ok(json!({
        "benchmark": benchmark,
        "kernel_release": super::node::kernel_release()?,
        "emulated": chaos_tests::requires::is_emulated(),
        "line_engine": line_engine,
        "figures": figures.iter().map(Figure::json).collect::<Vec<_>>(),
        "details": more,
    }))
}
