//! Journals as something that people look at: one HTML file, Markdown, or PDF. Journals of the reference and of `chaosctl run`.
//!
//! `read` makes of a text what a report needs (`journal`), without the secrets that it spells out; `html` and `markdown`
//! write it, `pdf` has a browser print the former. `page` and `scale` are what other reports of this project share. Reads no
//! file and asks nobody.

mod clock;
mod fault;
mod given;
mod html;
mod journal;
mod markdown;
pub mod page;
mod pdf;
mod read;
pub mod scale;
mod secrets;
mod timeline;
mod told;
mod words;

pub use html::report as html;
pub use journal::Journal;
pub use markdown::report as markdown;
pub use pdf::{PdfError, pdf};
pub use read::read;
