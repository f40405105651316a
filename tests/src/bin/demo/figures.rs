//! What was measured, as a table, and whether it shows what it should. Knows nothing of how it was measured.

use std::time::Duration;

use anyhow::{Result, ensure};
use chaos_tests::load::{LoadReport, Summary};
use comfy_table::{CellAlignment, Table, presets::NOTHING};

/// What each answer of a provider is held for.
pub(crate) const LATENCY: Duration = Duration::from_millis(100);
/// How much more than before the median request must take during the fault. Both are measured, so a little less will
/// do.
const LEAST_EFFECT: Duration = Duration::from_millis(90);
/// How much more than before the median request may take after the fault.
const MOST_AFTER_EFFECT: Duration = Duration::from_millis(10);

/// The figures before, during and after the fault.
#[derive(Debug)]
pub(crate) struct Figures {
    before: Summary,
    during: Summary,
    after: Summary,
}

impl Figures {
    /// The figures of a load in which the fault was switched on after `from` and off before `to`.
    pub(crate) fn of(report: &LoadReport, from: Duration, to: Duration) -> Result<Self> {
        Ok(Self {
            before: report.between(Duration::ZERO, from)?,
            during: report.between(from, to)?,
            after: report.between(to, Duration::MAX)?,
        })
    }

    /// A table for people.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(["FAULT", "REQUESTS", "ERRORS", "P50", "P95", "P99"]);
        for (name, summary) in self.rows() {
            table.add_row([
                name.to_owned(),
                summary.requests.to_string(),
                summary.errors.to_string(),
                milliseconds(summary.p50),
                milliseconds(summary.p95),
                milliseconds(summary.p99),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let lines: Vec<String> = table
            .lines()
            .map(|line| {
                line.strip_prefix(' ')
                    .unwrap_or(&line)
                    .trim_end()
                    .to_owned()
            })
            .collect();
        lines.join("\n")
    }

    /// What the figures show, in one sentence; an error when it is not what a delay does.
    pub(crate) fn verdict(&self) -> Result<String> {
        for (name, summary) in self.rows() {
            ensure!(
                summary.requests > 0,
                "nothing is shown: no request was made {name} the fault"
            );
            ensure!(
                summary.errors == 0,
                "nothing is shown: {} of {} requests failed {name} the fault, and a delay fails none",
                summary.errors,
                summary.requests
            );
        }
        let added = self.during.p50.saturating_sub(self.before.p50);
        ensure!(
            added >= LEAST_EFFECT,
            "the effect is not there: during the fault the median request took {} longer than before, and not about {}",
            milliseconds(added),
            milliseconds(LATENCY)
        );
        let left = self.after.p50.saturating_sub(self.before.p50);
        ensure!(
            left <= MOST_AFTER_EFFECT,
            "the fault did not end: after it the median request still took {} longer than before",
            milliseconds(left)
        );
        Ok(format!(
            "During the fault the median request took {} longer: each needs one answer of a provider, and each answer \
             was held for {} ms. No request failed, and afterwards all was as before.",
            milliseconds(added),
            LATENCY.as_millis()
        ))
    }

    fn rows(&self) -> [(&'static str, &Summary); 3] {
        [
            ("before", &self.before),
            ("during", &self.during),
            ("after", &self.after),
        ]
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use chaos_tests::load::Sample;

    use super::*;

    /// A load of 20 requests/s for 9 s, of which those from the third to the sixth second take as long as `during`.
    fn figures(during: Duration, after: Duration) -> Figures {
        let at = |number: u32| Duration::from_millis(50) * number;
        let latency = |at: Duration| match at.as_secs() {
            0..3 => Duration::from_millis(2),
            3..6 => during,
            _ => after,
        };
        let samples = (0..180).map(|number| Sample {
            at: at(number),
            latency: latency(at(number)),
            ok: true,
        });
        let report = LoadReport {
            samples: samples.collect(),
        };
        Figures::of(&report, Duration::from_secs(3), Duration::from_secs(6)).unwrap()
    }

    const NORMAL: Duration = Duration::from_millis(2);
    const SLOW: Duration = Duration::from_millis(102);

    #[test]
    fn a_delay_that_comes_and_goes_is_shown() {
        let verdict = figures(SLOW, NORMAL).verdict().unwrap();
        assert!(
            verdict.contains("median request took 100.0 ms longer"),
            "{verdict}"
        );
    }

    #[test]
    fn a_delay_that_is_not_there_is_no_success() {
        let error = figures(Duration::from_millis(91), NORMAL)
            .verdict()
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("took 89.0 ms longer than before"),
            "{error}"
        );
        let error = figures(Duration::ZERO, NORMAL).verdict().unwrap_err();
        assert!(error.to_string().contains("effect is not there"), "{error}");
    }

    #[test]
    fn a_delay_that_stays_is_no_success() {
        let error = figures(SLOW, SLOW).verdict().unwrap_err();
        assert!(error.to_string().contains("did not end"), "{error}");
    }

    #[test]
    fn failed_and_missing_requests_are_no_success() {
        let mut failed = figures(SLOW, NORMAL);
        failed.during.errors = 2;
        let error = failed.verdict().unwrap_err();
        assert!(error.to_string().contains("2 of 60 requests"), "{error}");
        let mut missing = figures(SLOW, NORMAL);
        missing.after.requests = 0;
        let error = missing.verdict().unwrap_err();
        assert!(error.to_string().contains("after the fault"), "{error}");
    }

    #[test]
    fn the_table_has_a_line_for_each_part() {
        let table = figures(SLOW, NORMAL).table();
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let expected = ["before", "60", "0", "2.0", "ms", "2.0", "ms", "2.0", "ms"];
        assert_eq!(lines.len(), 4, "{table}");
        assert_eq!(lines[1], expected, "{table}");
        assert_eq!(lines[2][..3], ["during", "60", "0"], "{table}");
    }
}
