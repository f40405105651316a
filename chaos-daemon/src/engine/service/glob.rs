//! Patterns with asterisks.

use std::fmt;

use super::ServiceError;

/// Longest pattern.
const LONGEST: usize = 512;
/// Words of a set of places in a pattern: before each of its parts, and behind the last.
const WORDS: usize = LONGEST / 64 + 1;

/// A pattern: bytes as they are, and asterisks that stand for others.
///
/// What it takes to compare grows with the length of both and no faster, whatever somebody sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// This one.
    Byte(u8),
    /// Any, but no `/`.
    InSegment,
    /// Any.
    Anything,
}

/// Places in a pattern.
#[derive(Clone, Copy)]
struct Places([u64; WORDS]);

impl Places {
    const fn add(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    const fn has(&self, place: usize) -> bool {
        self.0[place / 64] & (1 << (place % 64)) != 0
    }
}

impl Glob {
    /// Of paths: `*` stands for any part of a segment, `**` for anything.
    pub fn of_path(text: &str) -> Result<Self, ServiceError> {
        Self::parse(text, "a path", Part::InSegment)
    }

    /// Of values: `*` stands for anything.
    pub fn of_value(text: &str) -> Result<Self, ServiceError> {
        Self::parse(text, "a header field's value", Part::Anything)
    }

    fn parse(text: &str, what: &'static str, one: Part) -> Result<Self, ServiceError> {
        if text.len() > LONGEST {
            return Err(ServiceError::Long {
                what,
                length: text.len(),
                most: LONGEST,
            });
        }
        let mut parts = Vec::with_capacity(text.len());
        for byte in text.bytes() {
            let part = match (byte, parts.last()) {
                (b'*', Some(Part::InSegment | Part::Anything)) => {
                    parts.pop();
                    Part::Anything
                }
                (b'*', _) => one,
                (byte, _) => Part::Byte(byte),
            };
            parts.push(part);
        }
        let text = text.to_owned();
        Ok(Self { text, parts })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is all of `text`.
    pub fn matches(&self, text: &[u8]) -> bool {
        // Most of them have no asterisk before something differs.
        for (part, byte) in self.parts.iter().zip(text) {
            match part {
                Part::Byte(wanted) if wanted == byte => {}
                Part::Byte(_) => return false,
                Part::InSegment | Part::Anything => return self.walk(text),
            }
        }
        self.parts.len() == text.len() || self.walk(text)
    }

    /// Follows all ways through the pattern at once.
    fn walk(&self, text: &[u8]) -> bool {
        let mut places = Places([0; WORDS]);
        self.enter(&mut places, 0);
        for byte in text {
            let mut next = Places([0; WORDS]);
            for (place, part) in self.parts.iter().enumerate() {
                if !places.has(place) {
                    continue;
                }
                match part {
                    Part::Byte(wanted) if wanted == byte => self.enter(&mut next, place + 1),
                    Part::InSegment if *byte != b'/' => self.enter(&mut next, place),
                    Part::Anything => self.enter(&mut next, place),
                    Part::Byte(_) | Part::InSegment => {}
                }
            }
            places = next;
        }
        places.has(self.parts.len())
    }

    /// An asterisk may stand for nothing.
    fn enter(&self, places: &mut Places, mut place: usize) {
        places.add(place);
        while let Some(Part::InSegment | Part::Anything) = self.parts.get(place) {
            place += 1;
            places.add(place);
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_stays_in_its_segment_and_two_do_not() {
        for (pattern, text, fits) in [
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a", "/", false),
            ("/a", "", false),
            ("/a*", "/a", true),
            ("/api/*", "/api/", true),
            ("/api/*", "/api/users", true),
            ("/api/*", "/api/users/7", false),
            ("/api/*/7", "/api/users/7", true),
            ("/api/**", "/api/users/7", true),
            ("/api/**", "/api", false),
            ("**/7", "/api/users/7", true),
            ("**/u*s/7", "/u/users/7", true),
            ("**/u*s/7", "/u/us/er/7", false),
            ("/*a*b", "/xaab", true),
            ("/*a*b", "/xa/b", false),
            ("/***", "/x/y", true),
            ("*", "x/y", false),
            ("**", "", true),
        ] {
            let glob = Glob::of_path(pattern).unwrap();
            assert_eq!(glob.matches(text.as_bytes()), fits, "{pattern} {text}");
            assert_eq!(glob.text(), pattern);
        }
        assert!(Glob::of_value("a*").unwrap().matches(b"a/b"));
    }

    #[test]
    fn a_long_text_does_not_take_long() {
        let pattern = format!("**{}", "*a".repeat(255));
        let text = vec![b'a'; 60_000];
        let glob = Glob::of_path(&pattern).unwrap();
        assert!(glob.matches(&text));
        let glob = Glob::of_path(&format!("{}b", "*a".repeat(255))).unwrap();
        assert!(!glob.matches(&text));
        assert!(Glob::of_path(&"a".repeat(513)).is_err());
        assert!(Glob::of_path(&"a".repeat(512)).is_ok());
    }
}
