//! What the parser of YAML says, for a person.

use serde_saphyr::{Error as YamlError, SnippetMode, render_options};

/// The parser's error in one line, with its place; of a word that it does not know, the nearest that it does.
pub(in crate::commands) fn in_words(error: &YamlError) -> String {
    let (kind, word, known, location) = if let YamlError::SerdeUnknownField {
        field,
        expected,
        location,
    } = error.without_snippet()
    {
        ("key", field, expected, location)
    } else if let YamlError::SerdeUnknownVariant {
        variant,
        expected,
        location,
    } = error.without_snippet()
    {
        ("value", variant, expected, location)
    } else {
        let options = render_options! { snippets: SnippetMode::Off };
        let text = error.render_with_options(options);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // The place first: what is wrong may be a long sentence.
        return match text.rsplit_once(" at line ") {
            Some((what, place)) => format!("line {place}: {what}"),
            None => text,
        };
    };
    let hint = instead_of(word, known);
    format!(
        "unknown {kind} `{word}` at line {}, column {}: {hint}",
        location.line(),
        location.column()
    )
}

/// The nearest word that is known, or else all of them.
pub(in crate::commands) fn instead_of(word: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, word), known))
        .min()
        .filter(|(distance, _)| is_near(*distance, word));
    match near {
        Some((_, near)) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "there is none here".to_owned(),
        None => match known {
            [only] => format!("there is {only}"),
            _ => format!("there are {}", known.join(", ")),
        },
    }
}

/// Whether a word at this distance may have been meant: at most one letter in three is wrong, or one altogether.
fn is_near(distance: usize, word: &str) -> bool {
    distance <= (word.chars().count() / 3).max(1)
}
