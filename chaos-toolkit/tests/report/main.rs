//! Reports of real journals of the reference, and of ours, as a browser reads them.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod page;
mod story;

use std::path::Path;

use chaos_toolkit::report::{self, Journal};
use scraper::{ElementRef, Html, Selector};
use serde_json::Value;

const ALL: [&str; 8] = [
    "reference-passing",
    "reference-deviating",
    "reference-failing",
    "reference-exploring",
    "reference-continuous",
    "ours-aborted",
    "hostile",
    "nothing",
];

fn text(name: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals");
    std::fs::read_to_string(directory.join(name).with_extension("json")).unwrap()
}

fn value(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

fn journal(name: &str) -> Journal {
    report::read(&format!("{name}.json"), &text(name)).unwrap()
}

fn of(value: &Value) -> Html {
    let journal = report::read("journal.json", &value.to_string()).unwrap();
    Html::parse_document(&report::html(&[journal], None))
}

fn page(name: &str) -> Html {
    Html::parse_document(&report::html(&[journal(name)], None))
}

fn all<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

/// What is read there, with one space between words.
fn said(element: ElementRef<'_>) -> String {
    let texts: Vec<_> = element.text().collect();
    let text = texts.join(" ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn texts(page: &Html, selector: &str) -> Vec<String> {
    all(page, selector).into_iter().map(said).collect()
}
