//! The report: one HTML file that needs nothing else, for people who were not there.
//!
//! Charts are SVG within the page, whose frame is the toolkit's: no script, and nothing is loaded from anywhere.

mod chart;

use std::fmt::Write as _;

use chaos_toolkit::report::page::{self, escaped};

use super::figures::Percentiles;
use super::outcome::{Outcome, PhaseOutcome, Verdict};
use super::{human, summary};
use crate::quantity::{packets, time_in_words};

const STYLE: &str = include_str!("style.css");

/// The whole page. `name` is that of the drill.
pub fn page(name: &str, outcome: &Outcome) -> String {
    let title = escaped(name);
    let (class, verdict) = verdict(outcome.verdict);
    let sent = &outcome.sent;
    let mut page = format!(
        "<h1>Drill: {title}</h1>\n<p><span class=\"verdict {class}\">{verdict}</span></p>\n\
         <p class=\"soft\">{} {}, {} {} in {}, for {}. Latency counts from when a request was due.</p>\n",
        escaped(&sent.method),
        escaped(&sent.url),
        packets(sent.rate.count.into()),
        if sent.rate.count == 1 {
            "request"
        } else {
            "requests"
        },
        time_in_words(sent.rate.per),
        escaped(&human::time(outcome.elapsed.as_secs_f64() * 1e3)),
    );
    page.push_str(&thresholds(outcome));
    page.push_str(&phases(outcome));
    let _ = write!(
        page,
        "<h2>Latency over time</h2>\n<p class=\"key\">{}</p>\n{}\n<h2>Requests over time</h2>\n<p class=\"key\">{}</p>\n{}\n",
        key(
            outcome,
            &[
                ("p50", "median"),
                ("p90", "p(90)"),
                ("p95", "p(95)"),
                ("p99", "p(99)")
            ]
        ),
        chart::latency(outcome),
        key(
            outcome,
            &[
                ("served", "as expected"),
                ("failed", "failed"),
                ("dropped", "dropped: not sent")
            ]
        ),
        chart::requests(outcome),
    );
    page.push_str(&faults(outcome));
    let _ = write!(
        page,
        "<h2>Summary</h2>\n<pre>{}</pre>\n",
        escaped(&summary::block(&outcome.results))
    );
    page::page(&format!("Drill: {name}"), STYLE, &page)
}

fn verdict(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Passed => ("good", "passed"),
        Verdict::Crossed => ("bad", "thresholds crossed"),
        Verdict::Aborted => ("bad", "ended by a threshold"),
        Verdict::NothingMatched => ("bad", "faults hit nothing"),
        Verdict::Interrupted => ("bad", "interrupted"),
        Verdict::Unanswered => ("bad", "nobody answered"),
        Verdict::Failed => ("bad", "faults failed"),
    }
}

/// What the colours of a chart mean; that of faults, where there are some.
fn key(outcome: &Outcome, names: &[(&str, &str)]) -> String {
    let has_faults = outcome.phases.iter().any(|phase| phase.did.is_some());
    let faults = has_faults.then_some(&("faults", "faults act"));
    let spans = names
        .iter()
        .chain(faults)
        .map(|(class, name)| format!("<span style=\"--of: var(--{class})\">{name}</span>"));
    spans.collect()
}

fn thresholds(outcome: &Outcome) -> String {
    let entries = outcome.results.entries.iter();
    let rows: Vec<_> = entries
        .flat_map(|entry| entry.judged.iter().map(move |judged| (entry, judged)))
        .map(|(entry, judged)| {
            let (class, mark) = if judged.holds {
                ("ok", "✓ holds")
            } else {
                ("no", "✗ crossed")
            };
            format!(
                "<tr><td>{}</td><td class=\"text\">{}</td><td>{}</td><td class=\"{class}\">{mark}</td></tr>\n",
                escaped(&entry.name),
                escaped(&judged.source),
                escaped(&summary::judged_value(entry, judged)),
            )
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let rows = rows.concat();
    format!(
        "<h2>Thresholds</h2>\n<div class=\"scroll\"><table>\n<tr><th>Metric</th><th class=\"text\">Threshold</th>\
         <th>Value</th><th>Result</th></tr>\n{rows}</table></div>\n"
    )
}

fn phases(outcome: &Outcome) -> String {
    let rows: String = outcome.phases.iter().map(row).collect();
    format!(
        "<h2>Phases</h2>\n<div class=\"scroll\"><table>\n<tr><th>Phase</th><th>Length</th><th>Requests</th><th>Failed</th>\
         <th>Dropped</th><th>Min</th><th>Median</th><th>p(90)</th><th>p(95)</th><th>p(99)</th><th>Max</th></tr>\n{rows}</table></div>\n"
    )
}

fn row(phase: &PhaseOutcome) -> String {
    let figures = &phase.figures;
    let of = Percentiles::from(&figures.durations);
    let mut row = format!("<tr><td>{}</td>", escaped(&phase.name));
    let length = phase.length.as_secs_f64() * 1e3;
    let counts = [
        human::time(length),
        packets(figures.requests),
        packets(figures.failed),
        packets(figures.dropped),
    ];
    let times = [of.min, of.med, of.p90, of.p95, of.p99, of.max].map(|ms| match figures.requests {
        0 => "–".to_owned(),
        _ => human::time(ms),
    });
    for cell in counts.iter().chain(&times) {
        let _ = write!(row, "<td>{}</td>", escaped(cell));
    }
    row.push_str("</tr>\n");
    row
}

/// What acted and what it hit, and how requests ended.
fn faults(outcome: &Outcome) -> String {
    let mut text = String::from("<h2>What happened</h2>\n");
    for phase in &outcome.phases {
        let mut lines = Vec::new();
        lines.extend(
            phase
                .did
                .as_ref()
                .map(|did| format!("<p>{}</p>", escaped(did))),
        );
        lines.extend(
            phase
                .hits
                .as_ref()
                .map(|hits| format!("<pre>{}</pre>", escaped(hits))),
        );
        lines.extend(
            phase
                .error
                .as_ref()
                .map(|error| format!("<p class=\"no\">{}</p>", escaped(error))),
        );
        if phase.figures.requests > 0 {
            lines.push(format!(
                "<p class=\"soft\">How requests ended: {}</p>",
                escaped(&phase.figures.ends_in_words())
            ));
        }
        if !lines.is_empty() {
            let _ = writeln!(
                text,
                "<h3>{}</h3>\n{}",
                escaped(&phase.name),
                lines.join("\n")
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::figures::Results;
    use super::super::measured::{Measurements, PhaseFigures};
    use super::super::metric::Series;
    use super::super::outcome::Sent;
    use super::super::sample::{End, Failure, Sample, Timings};
    use super::super::threshold::Threshold;
    use super::super::timeline::Timeline;
    use super::*;
    use crate::quantity::frequency;

    /// Ten requests a second, in the middle of which half fail and all are slow.
    fn outcome() -> Outcome {
        let names = ["base", "chaos"].map(str::to_owned);
        let series = Series::read("http_req_duration{phase:chaos}").unwrap();
        let threshold = Threshold::read("p(95)<100", series.metric, None).unwrap();
        let thresholds = vec![(series, vec![threshold])];
        let mut measured = Measurements::new(thresholds, &["status is 200".to_owned()], &names);
        let mut timeline = Timeline::new(Duration::from_secs(20));
        for index in 0..200_u32 {
            let phase = usize::from(index >= 100);
            let slow = Duration::from_millis(10 + 200 * u64::from(index >= 100));
            let end = match (phase, index % 2) {
                (1, 0) => End::Failed(Failure::Reset),
                _ => End::Answered {
                    status: 200,
                    is_expected: true,
                },
            };
            let sample = Sample {
                due: Duration::from_millis(100) * index,
                duration: slow,
                timings: Timings::default(),
                end,
                sent: 1,
                received: 1,
                checks: vec![matches!(end, End::Answered { .. })],
            };
            measured.add(phase, &sample);
            timeline.add(&sample);
        }
        let lengths = [Duration::from_secs(10); 2];
        let phase = |number: usize, figures: &PhaseFigures| PhaseOutcome {
            name: names[number].clone(),
            start: Some(lengths[0] * u32::try_from(number).unwrap()),
            length: lengths[number],
            figures: figures.clone(),
            did: (number == 1).then(|| "delay <100 ms> on 1 target".to_owned()),
            experiment: None,
            hits: None,
            error: None,
        };
        let elapsed = Duration::from_secs(20);
        Outcome {
            verdict: Verdict::Crossed,
            sent: Sent {
                method: "GET".to_owned(),
                url: "http://x/?a=<b>&c".to_owned(),
                rate: frequency("10/s").unwrap(),
            },
            elapsed,
            phases: (0..2).map(|n| phase(n, &measured.phases[n])).collect(),
            results: Results::of(&measured, elapsed, &lengths),
            step: timeline.step(),
            points: timeline.points(),
        }
    }

    #[test]
    fn the_page_needs_nothing_else() {
        let page = page("drill.yaml", &outcome());
        for word in ["<script", "src=", "href=", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.contains("prefers-color-scheme: dark"));
        assert!(page.contains("http://x/?a=&lt;b&gt;&amp;c") && !page.contains("<100"));
    }

    /// Every tag is closed in its turn, so that each browser shows the same.
    #[test]
    fn the_markup_is_well_formed() {
        const VOID: [&str; 2] = ["meta", "!DOCTYPE"];
        let page = page("drill.yaml", &outcome());
        let mut open = Vec::new();
        let mut rest = page.as_str();
        while let Some((_, after)) = rest.split_once('<') {
            let (tag, after) = after.split_once('>').unwrap();
            rest = after;
            let name = tag.split([' ', '\n', '/']).find(|word| !word.is_empty());
            let name = name.unwrap();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "before {after:.60}");
            } else if !tag.ends_with('/') && !VOID.contains(&name) {
                open.push(name);
            }
        }
        assert_eq!(open, [""; 0]);
    }

    #[test]
    fn the_charts_show_what_was_measured() {
        let outcome = outcome();
        let latency = chart::latency(&outcome);
        assert_eq!(latency.matches("<polyline").count(), 4);
        assert_eq!(latency.matches("class=\"faults\"").count(), 1);
        // The chaos phase is the second half, and its line is higher up.
        let line = latency.split("class=\"p95\" points=\"").nth(1).unwrap();
        let line = line.split('"').next().unwrap();
        let y = |place: &str| -> f64 { place.split(',').nth(1).unwrap().parse().unwrap() };
        let places: Vec<_> = line.split(' ').map(y).collect();
        assert_eq!(places.len(), 20);
        assert!(
            places[..10].iter().all(|y| *y > places[15] + 100.0),
            "{places:?}"
        );
        let requests = chart::requests(&outcome);
        assert_eq!(requests.matches("class=\"served\"").count(), 20);
        assert_eq!(requests.matches("class=\"failed\"").count(), 10);
    }

    #[test]
    fn a_drill_of_nothing_has_a_page() {
        let mut outcome = outcome();
        outcome.points.clear();
        for phase in &mut outcome.phases {
            phase.start = None;
            phase.figures = PhaseFigures::default();
        }
        assert!(page("x", &outcome).ends_with("</html>\n"));
    }

    #[test]
    fn it_says_how_requests_ended_and_what_the_colours_mean() {
        let mut outcome = outcome();
        let with_faults = page("x", &outcome);
        assert!(with_faults.contains("How requests ended: 50 × 200, 50 × connection reset"));
        assert!(with_faults.contains("10 requests in 1 s") && with_faults.contains("faults act"));
        outcome.phases[1].did = None;
        assert!(!page("x", &outcome).contains("faults act"));
    }
}
