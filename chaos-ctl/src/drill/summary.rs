//! The block that k6 prints at the end (the one of k6 1.1), to the letter: scripts and eyes know it.

use std::fmt::Write as _;

use super::figures::{Entry, Figures, Judged, Results};
use super::human;
use super::metric::{Contains, Kind, Section};

const HELD: &str = "✓";
const FAILED: &str = "✗";

/// The whole block.
pub fn block(results: &Results) -> String {
    let mut text = String::new();
    let judged: Vec<_> = results
        .entries
        .iter()
        .filter(|entry| !entry.judged.is_empty())
        .collect();
    if !judged.is_empty() {
        text.push_str("  █ THRESHOLDS \n\n");
        text.push_str(&thresholds(&judged));
        text.push_str("\n\n");
    }
    text.push_str("  █ TOTAL RESULTS \n\n");
    if !results.checks.is_empty() {
        text.push_str(&checks(results));
        text.push('\n');
    }
    let shown: Vec<_> = results.entries.iter().filter(|e| e.is_shown).collect();
    let rows: Vec<_> = shown.iter().map(|entry| Row::of(entry)).collect();
    let widths = Widths::of(&rows);
    let sections = [
        (Section::Http, "HTTP"),
        (Section::Execution, "EXECUTION"),
        (Section::Network, "NETWORK"),
    ];
    let parts = sections.into_iter().filter_map(|(section, title)| {
        let lines: String = shown
            .iter()
            .zip(&rows)
            .filter(|(entry, _)| entry.section == section)
            .map(|(_, row)| row.line(&widths))
            .collect();
        (!lines.is_empty()).then(|| format!("    {title}\n{lines}"))
    });
    text.push_str(&parts.collect::<Vec<_>>().join("\n"));
    text.trim_end_matches('\n').to_owned()
}

fn thresholds(entries: &[&Entry]) -> String {
    let blocks = entries.iter().map(|entry| {
        let (parent, tags) = match entry.name.find('{') {
            Some(at) => entry.name.split_at(at),
            None => (entry.name.as_str(), ""),
        };
        let is_below = !tags.is_empty() && entries.iter().any(|other| other.name == parent);
        let (indent, title) = if is_below {
            ("      ", tags)
        } else {
            ("    ", entry.name.as_str())
        };
        let lines = entry.judged.iter().map(|judged| {
            let mark = if judged.holds { HELD } else { FAILED };
            let value = judged_value(entry, judged);
            format!("{indent}{mark} '{}' {}={value}\n", judged.source, judged.of)
        });
        format!("{indent}{title}\n{}", lines.collect::<String>())
    });
    blocks.collect::<Vec<_>>().join("\n")
}

pub(super) fn judged_value(entry: &Entry, judged: &Judged) -> String {
    let value = value(judged.figure, entry.kind, entry.contains);
    let is_rate = entry.kind == Kind::Counter && judged.of == "rate";
    if is_rate { format!("{value}/s") } else { value }
}

/// The lines of all checks together, then each of them.
fn checks(results: &Results) -> String {
    let passes: u64 = results.checks.iter().map(|check| check.passes).sum();
    let fails: u64 = results.checks.iter().map(|check| check.fails).sum();
    let total = passes + fails;
    let entry = |name: &str, kind, figures| Entry {
        name: name.to_owned(),
        kind,
        contains: Contains::Default,
        section: Section::Checks,
        is_shown: true,
        figures,
        judged: Vec::new(),
    };
    let share = |trues| Figures::Rate { trues, total };
    let count = Figures::Counter {
        count: super::values::figure(total),
        rate: results.checks_rate,
    };
    let rows = [
        Row::of(&entry("checks_total", Kind::Counter, count)),
        Row::of(&entry("checks_succeeded", Kind::Rate, share(passes))),
        Row::of(&entry("checks_failed", Kind::Rate, share(fails))),
    ];
    let widths = Widths::of(&rows);
    let mut text: String = rows.iter().map(|row| row.line(&widths)).collect();
    text.push('\n');
    for check in &results.checks {
        if check.fails == 0 {
            let _ = writeln!(text, "    {HELD} {}", check.name);
            continue;
        }
        let percent = 100 * check.passes / (check.passes + check.fails);
        let _ = writeln!(
            text,
            "    {FAILED} {}\n      ↳  {percent}% — {HELD} {} / {FAILED} {}",
            check.name, check.passes, check.fails
        );
    }
    text
}

fn value(value: f64, kind: Kind, contains: Contains) -> String {
    match (kind, contains) {
        (Kind::Rate, _) => human::share(value),
        (_, Contains::Data) => human::data(value),
        (_, Contains::Time) => human::time(value),
        (_, Contains::Default) => human::number(value),
    }
}

/// A line in the making.
struct Row {
    name: String,
    cells: Cells,
}

enum Cells {
    /// Each with its name.
    Trend([(&'static str, String); 6]),
    /// A value, and what stands behind it.
    Other(String, Vec<String>),
}

struct Widths {
    name: usize,
    trend: [usize; 6],
    value: usize,
    extras: Vec<usize>,
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// `  { phase:chaos }` stands for `http_req_duration{phase:chaos}`.
fn shown_name(name: &str) -> String {
    match name.split_once('{') {
        Some((_, tags)) => format!("  {{ {} }}", tags.trim_end_matches('}')),
        None => name.to_owned(),
    }
}

impl Row {
    fn of(entry: &Entry) -> Self {
        let value = |number| value(number, entry.kind, entry.contains);
        let cells = match entry.figures {
            Figures::Trend(trend) => Cells::Trend(
                [
                    ("avg", trend.avg),
                    ("min", trend.min),
                    ("med", trend.med),
                    ("max", trend.max),
                    ("p(90)", trend.p90),
                    ("p(95)", trend.p95),
                ]
                .map(|(name, number)| (name, value(number))),
            ),
            Figures::Counter { count, rate } => {
                Cells::Other(value(count), vec![format!("{}/s", value(rate))])
            }
            Figures::Gauge {
                value: now,
                min,
                max,
            } => {
                let extras = [format!("min={}", value(min)), format!("max={}", value(max))];
                Cells::Other(value(now), extras.into())
            }
            Figures::Rate { trues, total } => {
                let share = if total == 0 {
                    0.0
                } else {
                    super::values::figure(trues) / super::values::figure(total)
                };
                Cells::Other(value(share), vec![format!("{trues} out of {total}")])
            }
        };
        Self {
            name: entry.name.clone(),
            cells,
        }
    }

    fn line(&self, widths: &Widths) -> String {
        let name = shown_name(&self.name);
        // What k6 leaves for names counts those of series with tags twice.
        let dots = ".".repeat(widths.name.saturating_sub(width(&name)) + 3);
        let mut line = format!("    {name}{dots}:");
        match &self.cells {
            Cells::Trend(cells) => {
                for ((name, cell), wide) in cells.iter().zip(widths.trend) {
                    let _ = write!(line, " {name}={cell:<wide$}");
                }
            }
            Cells::Other(value, extras) => {
                let wide = widths.value;
                let _ = write!(line, " {value:<wide$}");
                for (extra, wide) in extras.iter().zip(&widths.extras) {
                    // One alone ends its line, and is not filled up.
                    let wide = if extras.len() == 1 { 0 } else { *wide };
                    let _ = write!(line, " {extra:<wide$}");
                }
            }
        }
        line.push('\n');
        line
    }
}

impl Widths {
    fn of(rows: &[Row]) -> Self {
        let mut widths = Self {
            name: 0,
            trend: [0; 6],
            value: 0,
            extras: Vec::new(),
        };
        for row in rows {
            let name = width(&row.name) + width(&shown_name(&row.name));
            widths.name = widths.name.max(name);
            match &row.cells {
                Cells::Trend(cells) => {
                    for (wide, (_, cell)) in widths.trend.iter_mut().zip(cells) {
                        *wide = (*wide).max(width(cell));
                    }
                }
                Cells::Other(value, extras) => {
                    widths.value = widths.value.max(width(value));
                    for (index, extra) in extras.iter().enumerate() {
                        match widths.extras.get_mut(index) {
                            Some(wide) => *wide = (*wide).max(width(extra)),
                            None => widths.extras.push(width(extra)),
                        }
                    }
                }
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::figures::Percentiles;
    use super::super::measured::Checked;
    use super::super::metric::find;
    use super::*;

    const SUMMARY: &str = include_str!("recorded/k6-1.1.0.json");
    const BLOCK: &str = include_str!("recorded/k6-1.1.0.txt");

    /// What k6's figures are not in its JSON for.
    const ASIDE: [(&str, f64); 2] = [("p(99.9)", 101.435), ("p(50)", 20.927_472)];

    fn entry(name: &str, metric: &Value) -> Entry {
        let number = |key: &str| metric[key].as_f64().unwrap_or_default();
        let whole = |key: &str| metric[key].as_u64().unwrap_or_default();
        let known = find(name.split('{').next().unwrap()).unwrap();
        let figures = match known.kind {
            Kind::Counter => Figures::Counter {
                count: number("count"),
                rate: number("rate"),
            },
            Kind::Gauge => Figures::Gauge {
                value: number("value"),
                min: number("min"),
                max: number("max"),
            },
            Kind::Rate => Figures::Rate {
                trues: whole("passes"),
                total: whole("passes") + whole("fails"),
            },
            Kind::Trend => Figures::Trend(Percentiles {
                avg: number("avg"),
                min: number("min"),
                med: number("med"),
                max: number("max"),
                p90: number("p(90)"),
                p95: number("p(95)"),
                p99: 0.0,
            }),
        };
        // In the order of BLOCK, which is the script's.
        let order = [
            "p(95)<90",
            "avg<200",
            "p(99.9)<1000",
            "p(50)<300",
            "count>10",
        ];
        let place = |source: &str| order.iter().position(|known| *known == source);
        let crossed = metric["thresholds"].as_object();
        let mut judged: Vec<_> = crossed
            .into_iter()
            .flatten()
            .map(|(source, crossed)| {
                let of = source.split(['<', '>', '=']).next().unwrap();
                let aside = ASIDE.iter().find(|(name, _)| *name == of);
                let key = if known.kind == Kind::Rate {
                    "value"
                } else {
                    of
                };
                Judged {
                    source: source.clone(),
                    of: of.to_owned(),
                    figure: aside.map_or(number(key), |(_, figure)| *figure),
                    holds: crossed == false,
                    is_empty: false,
                }
            })
            .collect();
        judged.sort_by_key(|judged| place(&judged.source).unwrap_or(usize::MAX));
        let is_shown = known.section != Section::Checks
            && (!judged.is_empty() || known.is_shown || name.contains("expected_response"));
        Entry {
            name: name.to_owned(),
            kind: known.kind,
            contains: known.contains,
            section: known.section,
            is_shown,
            figures,
            judged,
        }
    }

    #[test]
    fn it_is_the_block_of_k6() {
        let summary: Value = serde_json::from_str(SUMMARY).unwrap();
        let metrics = summary["metrics"].as_object().unwrap();
        let mut entries: Vec<_> = metrics.iter().map(|(n, m)| entry(n, m)).collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        let of_root = &summary["root_group"]["checks"];
        let checks = ["status is 200", "body is long"].map(|name| Checked {
            name: name.to_owned(),
            passes: of_root[name]["passes"].as_u64().unwrap(),
            fails: of_root[name]["fails"].as_u64().unwrap(),
        });
        let results = Results {
            entries,
            checks: checks.into(),
            checks_rate: 40.515_883,
        };
        let ours = block(&results);
        let line = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (ours, theirs) = (line(&ours), line(BLOCK));
        for (index, theirs) in theirs.iter().enumerate() {
            assert_eq!(ours.get(index), Some(theirs), "line {}", index + 1);
        }
        assert_eq!(ours.len(), theirs.len());
    }
}
