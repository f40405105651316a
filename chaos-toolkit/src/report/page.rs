//! The frame that pages of this project share: one file that needs nothing else, light and dark, on screen and paper.
//!
//! There is no script, and the page itself forbids to load or to run anything, whatever its text may be.

use maud::{DOCTYPE, PreEscaped, html};

/// Colours, type and tables.
const STYLE: &str = include_str!("page.css");

/// What a page may do: show itself.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// A whole page. `style` is added to what all pages have; `body` is markup.
pub fn page(title: &str, style: &str, body: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(style)) }
            }
            body { (PreEscaped(body)) }
        }
    };
    let mut page = page.into_string();
    page.push('\n');
    page
}

/// Text as markup, also within an attribute in double quotes: names come from files and from the network, and none of
/// them may be markup.
pub fn escaped(text: &str) -> String {
    html! { (text) }.into_string()
}
