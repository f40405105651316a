//! The report as Markdown, as hosts of repositories show it: tables, and code in fences. What cannot be drawn is said.

use std::fmt::Write as _;

use serde_json::Value;

use super::fault::Fault;
use super::journal::{Journal, Run, State};
use super::{clock, told, words};

/// Longer outputs are cut: whoever wants all of it has the journal.
const MOST: usize = 4_000;

/// All journals, in their order.
pub fn report(journals: &[Journal], title: Option<&str>) -> String {
    let mut made = String::new();
    match journals {
        [only] => experiment(&mut made, only, 1, title.unwrap_or(&only.title)),
        journals => {
            let several = words::count(journals.len(), "experiment", "experiments");
            let _ = writeln!(made, "# {}\n", inline(title.unwrap_or(&several)));
            overview(&mut made, journals);
            contributions(&mut made, journals);
            for journal in journals {
                experiment(&mut made, journal, 2, &journal.title);
            }
        }
    }
    made
}

/// Text as text: nothing in it means anything, and it stays in its line.
fn inline(text: &str) -> String {
    let mut made = String::with_capacity(text.len() + 8);
    for c in text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
    {
        match c {
            '&' => made.push_str("&amp;"),
            '<' => made.push_str("&lt;"),
            '>' => made.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '#' | '|' | '!' | '~' | '$' | '@' => {
                made.extend(['\\', c]);
            }
            c => made.push(c),
        }
    }
    // A list must not begin by what a journal says.
    let after_digits = made.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_number = after_digits.len() < made.len() && after_digits.starts_with(". ");
    if is_number || made.starts_with(['-', '+', '=']) {
        made.insert_str(0, "&#8203;");
    }
    made
}

/// A block in a fence that is longer than any within it.
fn block(made: &mut String, text: &str) {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let shown: String = text.chars().take(MOST).collect();
    let left = text[shown.len()..].chars().count();
    let _ = writeln!(made, "{fence}\n{}\n{fence}\n", shown.trim_end());
    if left > 0 {
        let _ = writeln!(made, "{left} more characters are in the journal.\n");
    }
}

fn table(made: &mut String, head: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(made, "| {} |", head.join(" | "));
    let _ = writeln!(made, "|{}", " --- |".repeat(head.len()));
    for row in rows {
        let _ = writeln!(made, "| {} |", row.join(" | "));
    }
    made.push('\n');
}

fn overview(made: &mut String, journals: &[Journal]) {
    let row = |journal: &Journal| {
        vec![
            inline(&journal.title),
            format!("**{}**", journal.verdict().word()),
            journal.start.map_or_else(|| "–".to_owned(), clock::short),
            journal.seconds.map_or_else(|| "–".to_owned(), clock::span),
            inline(&journal.source),
        ]
    };
    let rows: Vec<_> = journals.iter().map(row).collect();
    table(
        made,
        &["Experiment", "Result", "When", "Took", "Journal"],
        &rows,
    );
}

fn contributions(made: &mut String, journals: &[Journal]) {
    let mut names: Vec<&str> = journals
        .iter()
        .flat_map(|journal| &journal.contributions)
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return;
    }
    made.push_str("## What the experiments contribute to\n\n");
    let level = |journal: &Journal, name: &str| {
        let found = journal
            .contributions
            .iter()
            .find(|(known, _)| known == name);
        found.map_or_else(|| "–".to_owned(), |(_, level)| inline(level.word()))
    };
    let rows: Vec<_> = journals
        .iter()
        .filter(|journal| !journal.contributions.is_empty())
        .map(|journal| {
            let levels = names.iter().map(|name| level(journal, name));
            std::iter::once(inline(&journal.title))
                .chain(levels)
                .collect()
        })
        .collect();
    let heads: Vec<_> = names.iter().map(|name| inline(name)).collect();
    let head: Vec<_> = std::iter::once("Experiment")
        .chain(heads.iter().map(String::as_str))
        .collect();
    table(made, &head, &rows);
}

fn experiment(made: &mut String, journal: &Journal, level: usize, title: &str) {
    let (top, part) = ("#".repeat(level), "#".repeat(level + 1));
    let _ = writeln!(made, "{top} {}\n", inline(title));
    let mut facts = vec![format!("**{}**", journal.verdict().word())];
    facts.extend(journal.start.map(clock::moment));
    facts.extend(
        journal
            .seconds
            .map(|seconds| format!("{} in all", clock::span(seconds))),
    );
    let _ = writeln!(made, "{}\n", facts.join(" · "));
    for sentence in told::told(journal) {
        let _ = writeln!(made, "- {}", inline(&sentence));
    }
    made.push('\n');
    if let Some(description) = &journal.description {
        let _ = writeln!(made, "{}\n", inline(description));
    }
    if !journal.tags.is_empty() {
        let tags: Vec<_> = journal.tags.iter().map(|tag| inline(tag)).collect();
        let _ = writeln!(made, "Tags: {}\n", tags.join(", "));
    }
    let _ = writeln!(made, "{part} What was believed\n");
    believed(made, journal);
    faults(made, journal, &part);
    activities(made, journal, &part);
    ran_with(made, journal, &part);
}

fn believed(made: &mut String, journal: &Journal) {
    let Some(hypothesis) = &journal.hypothesis else {
        made.push_str("There is no hypothesis: this was run to see what happens.\n\n");
        return;
    };
    let _ = writeln!(made, "> {}\n", inline(&hypothesis.title));
    let columns: Vec<(&str, &[State])> = journal.looks().collect();
    let rows: Vec<_> = hypothesis
        .probes
        .iter()
        .enumerate()
        .map(|(number, probe)| {
            let cells = columns
                .iter()
                .map(|(_, states)| inline(&looked(number, states)));
            let first = [inline(&probe.name), inline(&words::expected(probe, None))];
            first.into_iter().chain(cells).collect()
        })
        .collect();
    let head: Vec<_> = ["Probe", "Expected"]
        .into_iter()
        .chain(columns.iter().map(|(name, _)| *name))
        .collect();
    table(made, &head, &rows);
}

fn looked(number: usize, states: &[State]) -> String {
    let runs: Vec<&Run> = states
        .iter()
        .filter_map(|state| state.probes.get(number))
        .collect();
    let met = runs.iter().filter(|run| run.met == Some(true)).count();
    match (&runs[..], states.len()) {
        ([], _) => "not asked".to_owned(),
        ([run], 1) => format!(
            "{} {}",
            if run.met == Some(true) { "✓" } else { "✗" },
            words::saw(run)
        ),
        (runs, _) => format!(
            "{} {met} of {}",
            if met == runs.len() { "✓" } else { "✗" },
            runs.len()
        ),
    }
}

fn faults(made: &mut String, journal: &Journal, part: &str) {
    if journal.faults().next().is_some() {
        let _ = writeln!(made, "{part} What the faults hit\n");
        let rows: Vec<_> = journal
            .faults()
            .map(|(run, fault)| fault_row(run, fault))
            .collect();
        table(made, &["Fault", "What it is", "Hit", "Ended"], &rows);
    }
    if !journal.guards.is_empty() {
        let _ = writeln!(made, "{part} Guards\n");
        let rows: Vec<_> = journal
            .guards
            .iter()
            .map(|guard| {
                let at = journal.start.zip(guard.tripped_at);
                let at = at.map(|(start, at)| {
                    format!("tripped at {}", clock::span(clock::seconds(start, at)))
                });
                vec![
                    inline(&guard.name),
                    at.unwrap_or_else(|| "did not trip".to_owned()),
                    inline(guard.saw.as_deref().unwrap_or("–")),
                ]
            })
            .collect();
        table(made, &["Guard", "", "Saw"], &rows);
    }
}

fn fault_row(run: &Run, fault: &Fault) -> Vec<String> {
    let hit = fault.totals.iter().filter(|(_, number)| number != "0");
    let hit: Vec<_> = hit
        .map(|(name, number)| format!("{number} {}", words::counted(number, name)))
        .collect();
    let hit = match (&hit[..], fault.totals.is_empty()) {
        ([], true) => "–".to_owned(),
        ([], false) => "nothing".to_owned(),
        (hit, _) => hit.join(", "),
    };
    let ended = fault.ended.as_deref().unwrap_or("–");
    let does = words::provider(&run.activity.provider);
    [&run.activity.name, &does, &hit, ended]
        .map(inline)
        .to_vec()
}

fn activities(made: &mut String, journal: &Journal, part: &str) {
    for (heading, runs) in [
        ("What was done", &journal.runs),
        ("What was undone", &journal.rollbacks),
    ] {
        if runs.is_empty() {
            continue;
        }
        let _ = writeln!(made, "{part} {heading}\n");
        let rows: Vec<_> = runs
            .iter()
            .enumerate()
            .map(|(number, run)| row(journal, number, run))
            .collect();
        table(
            made,
            &["", "Activity", "What it is", "Status", "At", "Took"],
            &rows,
        );
        for (number, run) in runs.iter().enumerate() {
            if run.output.is_null() && run.exception.is_none() {
                continue;
            }
            let _ = writeln!(made, "**{}. {}**\n", number + 1, inline(&run.activity.name));
            if !matches!(run.output, Value::Null) {
                block(made, &words::pretty(&run.output));
            }
            if let Some(exception) = &run.exception {
                block(made, exception);
            }
        }
    }
}

fn row(journal: &Journal, number: usize, run: &Run) -> Vec<String> {
    let at = journal
        .start
        .zip(run.start)
        .map(|(start, at)| clock::seconds(start, at));
    let mut status = run.status.clone();
    if run.activity.is_background {
        status.push_str(", in the background");
    }
    vec![
        (number + 1).to_string(),
        inline(&run.activity.name),
        inline(&words::short(&words::provider(&run.activity.provider))),
        inline(&status),
        at.map_or_else(|| "–".to_owned(), clock::span),
        run.seconds.map_or_else(|| "–".to_owned(), clock::span),
    ]
}

fn ran_with(made: &mut String, journal: &Journal, part: &str) {
    let _ = writeln!(made, "{part} What it ran with\n");
    let mut rows: Vec<Vec<String>> = journal
        .environment
        .iter()
        .map(|(name, value)| vec![(*name).to_owned(), inline(value)])
        .collect();
    rows.push(vec!["Journal".to_owned(), inline(&journal.source)]);
    rows.extend(journal.controls.iter().map(|control| {
        let of = format!("{} of {}: {}", control.name, control.of, control.does);
        vec!["Control".to_owned(), inline(&of)]
    }));
    rows.extend(journal.contributions.iter().map(|(name, level)| {
        vec![
            format!("Contributes to {}", inline(name)),
            inline(level.word()),
        ]
    }));
    rows.extend(
        journal
            .kept
            .iter()
            .map(|(name, value)| vec![(*name).to_owned(), inline(&value.to_string())]),
    );
    table(made, &["", ""], &rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_means_nothing() {
        assert_eq!(
            inline("a|b\n<script>*x*</script>"),
            "a\\|b &lt;script&gt;\\*x\\*&lt;/script&gt;"
        );
        assert!(!inline("- x").starts_with('-') && !inline("1. x").starts_with('1'));
    }

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        let mut made = String::new();
        block(&mut made, "a\n````\nb");
        assert_eq!(made, "`````\na\n````\nb\n`````\n\n");
    }
}
