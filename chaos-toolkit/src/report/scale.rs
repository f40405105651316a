//! Axes: from figures to places on a chart, with marks at round numbers.

/// A straight axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// What stands at the far end; above zero.
    most: f64,
    /// Where zero stands.
    from: f64,
    /// Where the far end stands.
    to: f64,
    step: f64,
}

impl Scale {
    /// Of figures from 0 to at least `most`, with about `marks` marks.
    pub fn new(most: f64, marks: f64, from: f64, to: f64) -> Self {
        let most = if most.is_finite() && most > 0.0 {
            most
        } else {
            1.0
        };
        let step = round(most / marks);
        let most = (most / step).ceil() * step;
        Self {
            most,
            from,
            to,
            step,
        }
    }

    /// The same, and its end is where the figures end.
    pub fn exact(most: f64, marks: f64, from: f64, to: f64) -> Self {
        let scale = Self::new(most, marks, from, to);
        let most = if most.is_finite() && most > 0.0 {
            most
        } else {
            1.0
        };
        Self { most, ..scale }
    }

    /// The place of a figure.
    pub fn at(&self, figure: f64) -> f64 {
        let share = (figure / self.most).clamp(0.0, 1.0);
        self.from + share * (self.to - self.from)
    }

    /// The figures of the marks, 0 among them.
    pub fn marks(&self) -> Vec<f64> {
        let mut marks = Vec::new();
        let mut mark = 0.0;
        while mark <= self.most * 1.000_001 && marks.len() < 50 {
            marks.push(mark);
            mark += self.step;
        }
        marks
    }
}

/// 1, 2 or 5 of a power of ten, no smaller than that.
fn round(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let of = step / power;
    let factor = if of <= 1.0 {
        1.0
    } else if of <= 2.0 {
        2.0
    } else if of <= 5.0 {
        5.0
    } else {
        10.0
    };
    factor * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_cover_all() {
        let scale = Scale::new(137.0, 5.0, 200.0, 0.0);
        assert_eq!(scale.marks(), [0.0, 50.0, 100.0, 150.0]);
        assert!(scale.at(0.0) > 199.9 && scale.at(150.0) < 0.1);
        assert!((scale.at(75.0) - 100.0).abs() < 1e-9);
        let nothing = Scale::new(0.0, 5.0, 0.0, 1.0);
        assert!(nothing.marks().len() > 1);
    }

    #[test]
    fn an_exact_axis_ends_with_its_figures() {
        let scale = Scale::exact(75.0, 8.0, 0.0, 750.0);
        assert!((scale.at(75.0) - 750.0).abs() < 1e-9);
        assert_eq!(scale.marks().last(), Some(&70.0));
    }
}
