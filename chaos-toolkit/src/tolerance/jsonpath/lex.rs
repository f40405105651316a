//! The signs of a path.

use super::Wrong;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// `@ .. $ . * = >= > <= < != { } [ ] : , ( ) ?`
    Sign(&'static str),
    /// and, or, not, true, false, null
    Word(&'static str),
    Name(String),
    /// As it stands between the quotes.
    Text(String),
    Number(String),
}

const SIGNS: [&str; 21] = [
    "..", ">=", "<=", "!=", "@", "$", ".", "*", "=", ">", "<", "{", "}", "[", "]", ":", ",", "(",
    ")", "?", "\u{0}",
];
const WORDS: [&str; 6] = ["and", "or", "not", "true", "false", "null"];

/// Each with its character, from 1.
pub(super) fn tokens(path: &str) -> Result<Vec<(usize, Token)>, Wrong> {
    let mut tokens = Vec::new();
    let mut rest = path;
    let mut column = 1;
    while let Some(first) = rest.chars().next() {
        if matches!(first, ' ' | '\t' | '\n' | '\r') {
            rest = &rest[1..];
            column += 1;
            continue;
        }
        let (length, token) = token(rest).ok_or_else(|| Wrong {
            column: Some(column),
            what: unknown(rest, first),
        })?;
        column += rest[..length].chars().count();
        let start = column - rest[..length].chars().count();
        tokens.push((start, token));
        rest = &rest[length..];
    }
    Ok(tokens)
}

fn token(rest: &str) -> Option<(usize, Token)> {
    let bytes = rest.as_bytes();
    match bytes.first()? {
        b'"' => text(rest),
        b'-' | b'0'..=b'9' => {
            number(bytes).map(|length| (length, Token::Number(rest[..length].to_owned())))
        }
        b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
            let length = bytes
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                .count();
            let name = &rest[..length];
            let word = WORDS.iter().find(|word| **word == name);
            Some((
                length,
                word.map_or_else(|| Token::Name(name.to_owned()), |word| Token::Word(word)),
            ))
        }
        0 => None,
        _ => {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign))?;
            Some((sign.len(), Token::Sign(sign)))
        }
    }
}

fn text(rest: &str) -> Option<(usize, Token)> {
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((at + 1, Token::Text(rest[1..at].to_owned()))),
            '\0'..='\u{1f}' => return None,
            '\\' => match characters.next()?.1 {
                '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' => {}
                'u' => {
                    for _ in 0..4 {
                        characters
                            .next()
                            .filter(|(_, digit)| digit.is_ascii_hexdigit())?;
                    }
                }
                _ => return None,
            },
            _ => {}
        }
    }
    None
}

/// The length of the longest number, as in JSON.
fn number(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        bytes.get(from..).map_or(0, |rest| {
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        })
    };
    // None begins with a zero but zero.
    let whole = |from: usize| {
        if bytes.get(from) == Some(&b'0') {
            1
        } else {
            digits(from)
        }
    };
    let mut length = usize::from(bytes.first() == Some(&b'-'));
    match whole(length) {
        0 => return None,
        count => length += count,
    }
    if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let signed = length + 1 + usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        if whole(signed) > 0 {
            length = signed + whole(signed);
        }
    }
    Some(length)
}

fn unknown(rest: &str, first: char) -> String {
    match first {
        '\'' => "names are quoted with \", not with '".to_owned(),
        '"' => "this text does not end, or has something in it that JSON does not allow".to_owned(),
        '-' => "a name with - in it is written [\"so\"]".to_owned(),
        '&' | '|' => format!(
            "write {} instead of {}",
            if first == '&' { "and" } else { "or" },
            &rest[..1]
        ),
        '!' => "write not, or != between two values".to_owned(),
        first => format!("`{first}` means nothing here"),
    }
}
