//! Rust text as far as `tidy` needs to understand it: which part is code, and which paths it names.
//!
//! Not a parser: it knows comments, literals, `use` trees and `a::b` paths, and no more.

/// `text` with comments and the insides of literals blanked out, line for line.
pub(super) fn without_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = token_end(&chars, at);
        if let Some(end) = end {
            out.extend(
                chars[at..end]
                    .iter()
                    .map(|c| if *c == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that starts at `at` ends, if one does.
fn token_end(chars: &[char], at: usize) -> Option<usize> {
    let next = |offset: usize| chars.get(at + offset).copied();
    match (chars[at], next(1)) {
        ('/', Some('/')) => Some(find(chars, at, |rest| rest[0] == '\n')),
        ('/', Some('*')) => Some(block_comment_end(chars, at)),
        ('"', _) => Some(string_end(chars, at + 1, '"')),
        ('\'', Some('\\')) => Some(string_end(chars, at + 1, '\'')),
        ('\'', Some(_)) if next(2) == Some('\'') => Some(at + 3),
        ('r', Some('"' | '#')) if !follows_word(chars, at) || chars[at - 1] == 'b' => {
            raw_string_end(chars, at + 1)
        }
        _ => None,
    }
}

fn follows_word(chars: &[char], at: usize) -> bool {
    at > 0 && is_word(chars[at - 1])
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn find(chars: &[char], from: usize, is_end: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len())
        .find(|at| is_end(&chars[*at..]))
        .unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], from: usize) -> usize {
    let mut depth = 0_u32;
    let mut at = from;
    while at < chars.len() {
        match chars[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] if depth == 1 => return at + 2,
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn string_end(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn raw_string_end(chars: &[char], from: usize) -> Option<usize> {
    let hashes = chars[from..].iter().take_while(|c| **c == '#').count();
    let open = from + hashes;
    // `r#type` is a name, not a string.
    (chars.get(open) == Some(&'"')).then(|| {
        let end = find(chars, open + 1, |rest| {
            rest[0] == '"' && rest[1..].iter().take_while(|c| **c == '#').count() >= hashes
        });
        (end + 1 + hashes).min(chars.len())
    })
}

/// The part of `code` before its unit tests.
pub(super) fn before_tests(code: &str) -> &str {
    let mut offset = 0;
    let mut attribute = None;
    for line in code.split_inclusive('\n') {
        match line.trim() {
            "#[cfg(test)]" => attribute = Some(offset),
            other if other.starts_with("mod ") => {
                if let Some(start) = attribute {
                    return &code[..start];
                }
            }
            other if other.starts_with("#[") => {}
            _ => attribute = None,
        }
        offset += line.len();
    }
    code
}

/// A path such as `std::time::Instant`, segment by segment, and the line that names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NamedPath {
    pub(super) line: usize,
    pub(super) segments: Vec<String>,
}

impl NamedPath {
    /// Whether `wanted` stands in it, in one piece.
    pub(super) fn contains(&self, wanted: &[&str]) -> bool {
        self.segments
            .windows(wanted.len())
            .any(|part| part == wanted)
    }

    /// Whether it goes through the module `name` of its own crate.
    pub(super) fn enters(&self, name: &str) -> bool {
        let is_local = |segment: &String| ["crate", "super", "self"].contains(&segment.as_str());
        let inner = self.segments.iter().position(|segment| !is_local(segment));
        inner.is_some_and(|at| at > 0 && self.segments[at] == name)
    }
}

/// Every path in `code` that has `::` in it, and every path of a `use`, with its braces multiplied
/// out.
pub(super) fn paths(code: &str) -> Vec<NamedPath> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].1 == "use" {
            at = use_tree(&tokens, at + 1, &[], &mut found);
            continue;
        }
        let start = at;
        let mut segments = Vec::new();
        while let Some((_, word)) = tokens
            .get(at)
            .filter(|(_, token)| token.starts_with(is_word))
        {
            segments.push(word.clone());
            at += 1;
            if tokens.get(at).is_none_or(|(_, token)| token != "::") {
                break;
            }
            at += 1;
        }
        if segments.len() > 1 {
            found.push(NamedPath {
                line: tokens[start].0,
                segments,
            });
        }
        at = at.max(start + 1);
    }
    found
}

/// Reads one tree of a `use` from `at`, below `prefix`, and returns where the next token stands.
fn use_tree(
    tokens: &[(usize, String)],
    mut at: usize,
    prefix: &[String],
    found: &mut Vec<NamedPath>,
) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |(line, _)| *line);
    while let Some((_, token)) = tokens.get(at) {
        match token.as_str() {
            "{" => {
                loop {
                    at = use_tree(tokens, at + 1, &segments, found);
                    if tokens.get(at).is_none_or(|(_, token)| token != ",") {
                        break;
                    }
                }
                return at + 1;
            }
            "}" | "," | ";" | "as" => break,
            "::" => {}
            word => segments.push(word.to_owned()),
        }
        at += 1;
    }
    if segments.len() > prefix.len() {
        found.push(NamedPath { line, segments });
    }
    // `as NAME` belongs to this tree.
    if tokens.get(at).is_some_and(|(_, token)| token == "as") {
        at + 2
    } else {
        at
    }
}

/// Words, `::`, and single characters for the rest, each with its line.
fn tokens(code: &str) -> Vec<(usize, String)> {
    let mut tokens: Vec<(usize, String)> = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push((number + 1, rest[..length].to_owned()));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        let text =
            "a // todo!\n/* x /* y */ z\n*/ b \"todo! \\\" c\" r#\"d \" e\"# '\"' f<'g> '\\'' h\n";
        let code = without_comments_and_literals(text);
        let words: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(words, ["a", "b", "f<'g>", "h"]);
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn unit_tests_are_cut_off_and_nothing_else() {
        assert_eq!(before_tests("a\n#[cfg(test)]\nmod tests {\n}\n"), "a\n");
        assert_eq!(
            before_tests("a\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n}\n"),
            "a\n"
        );
        let code = "#[cfg(test)]\nuse a;\nmod b;\n";
        assert_eq!(before_tests(code), code);
    }

    fn named(code: &str) -> Vec<String> {
        paths(code)
            .into_iter()
            .map(|path| path.segments.join("::"))
            .collect()
    }

    #[test]
    fn a_use_tree_is_multiplied_out() {
        let code = "use std::{fs, net::{self, IpAddr as A}, time::Instant};\nuse aya;\nlet x = y;";
        let expected = [
            "std::fs",
            "std::net::self",
            "std::net::IpAddr",
            "std::time::Instant",
            "aya",
        ];
        assert_eq!(named(code), expected);
    }

    #[test]
    fn a_path_in_an_expression_is_found_with_its_line() {
        let found = paths("fn f() {\n  let a: u8 = tokio::spawn(std::fs::read(b));\n}");
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].line, found[0].segments.join("::")),
            (2, "tokio::spawn".to_owned())
        );
        assert_eq!(found[1].segments.join("::"), "std::fs::read");
    }

    #[test]
    fn a_path_knows_its_module() {
        let path = |text: &str| paths(text).remove(0);
        assert!(path("crate::attach::x").enters("attach"));
        assert!(path("use super::super::attach;").enters("attach"));
        assert!(!path("other::attach::x").enters("attach"));
        assert!(path("std::time::Instant::now()").contains(&["Instant", "now"]));
        assert!(!path("std::time::Instant").contains(&["Instant", "now"]));
    }
}
