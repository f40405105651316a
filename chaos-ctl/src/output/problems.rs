//! What is wrong with a text that a user wrote, beside the line that it is about.

use chaos_toolkit::experiment::Checked;
use chaos_toolkit::problem::{Place, Problem};
use serde::Serialize;

/// So much of a long line is shown, around its place.
const WIDTH: usize = 100;

/// An experiment that can be run, with what to warn of.
pub(crate) fn valid(file: &str, text: Option<&str>, checked: &Checked) -> String {
    let warnings = list(text, checked);
    if warnings.is_empty() {
        return format!("{file}: a valid experiment");
    }
    format!("{warnings}\n\n{file}: a valid experiment")
}

/// All problems and warnings, in the order of the text.
pub(crate) fn list(text: Option<&str>, checked: &Checked) -> String {
    let lines: Vec<_> = text.unwrap_or_default().lines().collect();
    let problems = checked.problems.iter().map(|problem| (problem, ""));
    let warnings = checked
        .warnings
        .iter()
        .map(|problem| (problem, "warning: "));
    let mut all: Vec<_> = problems.chain(warnings).collect();
    all.sort_by_key(|(problem, _)| problem.place);
    let all = all.iter().map(|(problem, kind)| one(problem, kind, &lines));
    all.collect::<Vec<_>>().join("\n")
}

fn one(problem: &Problem, kind: &str, lines: &[&str]) -> String {
    let line = |place: Place| Some((place, *lines.get(place.line as usize - 1)?));
    let Some((place, line)) = problem.place.and_then(line) else {
        return format!("{kind}{problem}");
    };
    let Problem { source, what, .. } = problem;
    let pointer = match problem.pointer.as_str() {
        "" => String::new(),
        pointer => format!(" ({pointer})"),
    };
    let number = place.line.to_string();
    let (shown, before) = window(line, place.column as usize - 1);
    let instead = problem.instead.as_deref().unwrap_or_default();
    let gap = " ".repeat(number.len());
    let caret = format!("{}^ {instead}", " ".repeat(before));
    format!(
        "{source}:{number}:{}: {kind}{what}{pointer}\n  {number} | {shown}\n  {gap} | {}",
        place.column,
        caret.trim_end()
    )
}

/// As much of a line as fits, and how many characters of it come before the column.
fn window(line: &str, column: usize) -> (String, usize) {
    // One column for each: a tab would move the caret away.
    let plain = line
        .trim_end()
        .chars()
        .map(|c| if c == '\t' { ' ' } else { c });
    let characters: Vec<char> = plain.collect();
    let column = column.min(characters.len());
    let begin = if characters.len() <= WIDTH {
        0
    } else {
        column
            .saturating_sub(WIDTH / 2)
            .min(characters.len() - WIDTH)
    };
    let end = characters.len().min(begin + WIDTH);
    let mut shown: String = characters[begin..end].iter().collect();
    let mut before = column - begin;
    if begin > 0 {
        shown.insert(0, '\u{2026}');
        before += 1;
    }
    if end < characters.len() {
        shown.push('\u{2026}');
    }
    (shown, before)
}

/// The same for a script.
#[derive(Debug, Serialize)]
pub(crate) struct Json<'a> {
    valid: bool,
    problems: Vec<JsonProblem<'a>>,
    warnings: Vec<JsonProblem<'a>>,
}

#[derive(Debug, Serialize)]
struct JsonProblem<'a> {
    source: &'a str,
    line: Option<u32>,
    column: Option<u32>,
    pointer: &'a str,
    what: &'a str,
    instead: Option<&'a str>,
}

impl<'a> Json<'a> {
    pub(crate) fn new(checked: &'a Checked) -> Self {
        let of = |problems: &'a [Problem]| problems.iter().map(JsonProblem::of).collect();
        Self {
            valid: checked.problems.is_empty(),
            problems: of(&checked.problems),
            warnings: of(&checked.warnings),
        }
    }
}

impl<'a> JsonProblem<'a> {
    fn of(problem: &'a Problem) -> Self {
        Self {
            source: &problem.source,
            line: problem.place.map(|place| place.line),
            column: problem.place.map(|place| place.column),
            pointer: &problem.pointer,
            what: &problem.what,
            instead: problem.instead.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_shown_around_its_place() {
        let line = format!("{}X{}", "a".repeat(400), "b".repeat(400));
        let (shown, before) = window(&line, 400);
        assert_eq!(shown.chars().count(), WIDTH + 2);
        assert_eq!(shown.chars().nth(before), Some('X'));
        assert_eq!(window("\tx: 1", 1), (" x: 1".to_owned(), 1));
        assert_eq!(window("x", 9), ("x".to_owned(), 1));
        let (shown, before) = window(&line, 800);
        assert_eq!((shown.starts_with("\u{2026}b"), before), (true, 100));
    }
}
