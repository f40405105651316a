//! Patterns as Python's `re` has them, for an engine that reads some things differently.
//!
//! What differs still: patterns that `re` refuses may work here (a lookbehind of no fixed length, `\p{L}`), the flags
//! `a` and `L` and names of characters (`\N{…}`) are not known, and a search that goes back too often is given up.

use fancy_regex::Regex;

/// The expression for a pattern of Python; or why there is none.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(&translate(pattern)?).map_err(|error| error.to_string())
}

fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(character) = rest.chars().next() {
        let after = &rest[character.len_utf8()..];
        rest = match character {
            '\\' => escape(&mut out, after, false),
            '[' => class(&mut out, after),
            // Also before the line's end that ends the text.
            '$' => {
                out.push_str(r"(?:$|(?=\n\z))");
                after
            }
            '{' => repetition(&mut out, after)?,
            _ => {
                out.push(character);
                after
            }
        };
    }
    Ok(out)
}

/// What stands after a backslash.
fn escape<'a>(out: &mut String, after: &'a str, in_class: bool) -> &'a str {
    let Some(character) = after.chars().next() else {
        out.push('\\');
        return after;
    };
    let rest = &after[character.len_utf8()..];
    match character {
        'Z' if !in_class => out.push_str(r"\z"),
        'b' if in_class => out.push_str(r"\x08"),
        '0' => out.push_str(r"\x00"),
        // Beginnings and ends of words there, nothing but themselves here.
        '<' | '>' => out.push(character),
        character if !character.is_ascii() => out.push(character),
        _ => {
            out.push('\\');
            out.push(character);
        }
    }
    rest
}

/// A class of characters knows no class inside and no operations.
fn class<'a>(out: &mut String, after: &'a str) -> &'a str {
    out.push('[');
    let mut rest = after;
    if let Some(negated) = rest.strip_prefix('^') {
        out.push('^');
        rest = negated;
    }
    let mut first = true;
    while let Some(character) = rest.chars().next() {
        let next = &rest[character.len_utf8()..];
        rest = match character {
            ']' if !first => {
                out.push(']');
                return next;
            }
            '\\' => escape(out, next, true),
            '[' | ']' | '&' | '~' => {
                out.push('\\');
                out.push(character);
                next
            }
            _ => {
                out.push(character);
                next
            }
        };
        first = false;
    }
    rest
}

/// A brace that is no repetition is a brace.
fn repetition<'a>(out: &mut String, after: &'a str) -> Result<&'a str, String> {
    let inside = after
        .split_once('}')
        .map(|(inside, rest)| (inside.split_once(',').unwrap_or((inside, inside)), rest));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match inside {
        Some(((low, high), rest))
            if digits(low) && digits(high) && after.as_bytes().first() != Some(&b'}') =>
        {
            let comma = if after[..after.len() - rest.len()].contains(',') {
                ","
            } else {
                ""
            };
            let low = if low.is_empty() { "0" } else { low };
            let high = if comma.is_empty() { "" } else { high };
            let count = |text: &str| text.parse::<u32>().ok();
            if !high.is_empty() && count(low) > count(high) {
                return Err(format!(
                    "it is to repeat at least {low} and at most {high} times"
                ));
            }
            out.extend(["{", low, comma, high, "}"]);
            Ok(rest)
        }
        _ => {
            out.push_str(r"\{");
            Ok(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::compile;

    fn finds(pattern: &str, text: &str) -> bool {
        compile(pattern).unwrap().is_match(text).unwrap()
    }

    // What is expected here is what Python 3.11 says.
    #[test]
    fn patterns_mean_what_they_mean_in_python() {
        for (pattern, text, expected) in [
            ("ok$", "ok\n", true),
            ("ok$", "ok\n\n", false),
            ("(?m)^ok$", "x\nok\ny", true),
            (r"ok\Z", "ok\n", false),
            (r"ok\Z", "ok", true),
            ("[$]", "$", true),
            ("[$]", "", false),
            (r#"{"status": "up"}"#, r#"{"status": "up"}"#, true),
            ("a{", "a{", true),
            ("a{}", "a{}", true),
            ("a{x}", "a{x}", true),
            ("^a{2}$", "aa", true),
            ("^a{,2}$", "aa", true),
            ("^a{2,}$", "aaa", true),
            ("^a{1,2}$", "aaa", false),
            ("[[]", "[", true),
            ("[]x]", "]", true),
            ("[^]x]", "]", false),
            ("[a&&b]", "&", true),
            ("[a~~b]", "~", true),
            (r"\<x\>", "<x>", true),
            (r"\/\-\_\é", "/-_é", true),
            (r"[\b]", "\u{8}", true),
            (r"\bx\b", "a x b", true),
            (r"(\w)\1", "abba", true),
            ("(?P<n>.)(?P=n)", "xx", true),
            ("(?i)É", "é", true),
            ("(?s)a.b", "a\nb", true),
            ("a.b", "a\nb", false),
            ("(?x) a b # c", "ab", true),
            ("a++b", "aab", true),
            ("(?>a+)ab", "aaab", false),
            ("(?#no)x", "x", true),
            (r"^\d+$", "٣", true),
        ] {
            assert_eq!(finds(pattern, text), expected, "{pattern:?} in {text:?}");
        }
    }

    #[test]
    fn a_search_that_does_not_end_is_given_up() {
        let expression = compile(r"(x+x+)+(?!z)y\1").unwrap();
        assert!(expression.is_match(&"x".repeat(64)).is_err());
    }
}
