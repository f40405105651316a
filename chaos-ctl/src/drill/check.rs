//! What answers must be like: their status, and what is in them.

use super::client::Answered;

/// Statuses that are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses {
    /// The first of them.
    pub first: u16,
    /// The last of them.
    pub last: u16,
}

/// All checks of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks {
    /// Any of them is right.
    pub statuses: Vec<Statuses>,
    /// What must be in the body.
    pub contains: Option<String>,
}

impl Default for Checks {
    fn default() -> Self {
        let statuses = [(200, 299), (300, 399)];
        Self {
            statuses: statuses
                .map(|(first, last)| Statuses { first, last })
                .into(),
            contains: None,
        }
    }
}

/// A status that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("status `{0}` is not one: give one such as 200, 2xx or 200-204")]
pub struct InvalidStatus(String);

/// Reads `200`, `2xx` or `200-204`.
pub fn statuses(text: &str) -> Result<Statuses, InvalidStatus> {
    let number = |text: &str| {
        let is_number = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        let number: Option<u16> = text.parse().ok().filter(|_| is_number);
        number.filter(|number| (100..600).contains(number))
    };
    let read = || {
        if let Some(class) = text.strip_suffix("xx") {
            let first = number(&format!("{class}00"))?;
            return Some((first, first + 99));
        }
        match text.split_once('-') {
            Some((first, last)) => Some((number(first)?, number(last)?)),
            None => number(text).map(|one| (one, one)),
        }
    };
    match read() {
        Some((first, last)) if first <= last => Ok(Statuses { first, last }),
        Some(_) | None => Err(InvalidStatus(text.to_owned())),
    }
}

impl Statuses {
    fn in_words(self) -> String {
        let Self { first, last } = self;
        if first == last {
            first.to_string()
        } else if first.is_multiple_of(100) && last == first + 99 {
            format!("{}xx", first / 100)
        } else {
            format!("{first}-{last}")
        }
    }
}

impl Checks {
    /// Their names, in the order of their results.
    pub fn names(&self) -> Vec<String> {
        let statuses: Vec<_> = self.statuses.iter().map(|one| one.in_words()).collect();
        let status = format!("status is {}", statuses.join(" or "));
        let contains = self.contains.as_ref();
        let contains = contains.map(|text| format!("body contains {text:?}"));
        [status].into_iter().chain(contains).collect()
    }

    /// Whether a status is right.
    pub fn is_expected(&self, status: u16) -> bool {
        let mut statuses = self.statuses.iter();
        statuses.any(|one| (one.first..=one.last).contains(&status))
    }

    /// Whether each holds; of no answer, none does.
    pub fn of(&self, answer: Option<&Answered>) -> Vec<bool> {
        let status = answer.is_some_and(|answer| self.is_expected(answer.status));
        let contains = self.contains.as_ref().map(|text| {
            let text = text.as_bytes();
            answer.is_some_and(|answer| {
                text.is_empty() || answer.body.windows(text.len()).any(|part| part == text)
            })
        });
        [status].into_iter().chain(contains).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read() {
        let read = |text| statuses(text).map(|one| (one.first, one.last)).ok();
        assert_eq!(read("200"), Some((200, 200)));
        assert_eq!(read("2xx"), Some((200, 299)));
        assert_eq!(read("200-204"), Some((200, 204)));
        for text in ["", "20", "2000", "xx", "6xx", "204-200", "ok", "200-"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn checks_are_named_and_held_to() {
        let checks = Checks {
            contains: Some("ok".to_owned()),
            ..Checks::default()
        };
        assert_eq!(
            checks.names(),
            ["status is 2xx or 3xx", "body contains \"ok\""]
        );
        let answer = |status, body: &str| Answered {
            status,
            body: body.into(),
        };
        assert_eq!(checks.of(Some(&answer(204, "all ok"))), [true, true]);
        assert_eq!(checks.of(Some(&answer(404, "all ok"))), [false, true]);
        assert_eq!(checks.of(Some(&answer(200, "o k"))), [true, false]);
        assert_eq!(checks.of(None), [false, false]);
    }
}
