//! When an experiment is to run again: every so often, or as a crontab says.

use std::{fmt, time::Duration};

use cronexpr::{Crontab, FallbackTimezoneOption, ParseOptions};
use jiff::Timestamp;

/// When to run.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// Once.
    Once,
    /// This long after the last one began; at once if that took longer.
    Every(Duration),
    /// At these times; those that pass while one runs are left out.
    Cron(Crontab),
}

/// An expression that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a crontab expression: {why} (five fields: minute, hour, day of the month, month, day of the week; `30 2 * * 1-5` is 2:30 on weekdays)"
)]
pub struct InvalidCron {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl Schedule {
    /// A crontab of five fields, and perhaps a time zone; without one in this host's.
    pub fn cron(text: &str) -> Result<Self, InvalidCron> {
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::System;
        cronexpr::parse_crontab_with(text, options)
            .map(Self::Cron)
            .map_err(|error| InvalidCron {
                text: text.to_owned(),
                why: reason(&error),
            })
    }

    /// When the next run is to begin, after one that began at `began`; none: there is none.
    pub fn next(&self, began: Timestamp, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once => None,
            Self::Every(every) => {
                let due = began.checked_add(*every).ok()?;
                Some(due.max(now))
            }
            Self::Cron(crontab) => {
                let next = crontab.find_next(now.to_string().as_str()).ok()?;
                Some(next.timestamp())
            }
        }
    }
}

fn reason(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    // The last line has a mark below the place, and what is wrong there.
    let last = lines.last().copied().unwrap_or_default();
    last.trim_start_matches(['^', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn every_so_often_counts_from_the_beginning() {
        let every = Schedule::Every(Duration::from_mins(5));
        let began = at("2026-01-01T00:00:00Z");
        let next = |now| every.next(began, at(now)).unwrap().to_string();
        assert_eq!(next("2026-01-01T00:01:00Z"), "2026-01-01T00:05:00Z");
        // It took longer than that: at once.
        assert_eq!(next("2026-01-01T00:07:00Z"), "2026-01-01T00:07:00Z");
        assert_eq!(Schedule::Once.next(began, began), None);
    }

    #[test]
    fn a_crontab_is_asked_for_what_is_next() {
        let cron = Schedule::cron("30 2 * * 1-5 UTC").unwrap();
        let began = at("2026-01-02T00:00:00Z");
        let next = |now| cron.next(began, at(now)).unwrap().to_string();
        // A Friday; then a Monday, and what passed meanwhile is left out.
        assert_eq!(next("2026-01-02T02:29:59Z"), "2026-01-02T02:30:00Z");
        assert_eq!(next("2026-01-02T02:30:00Z"), "2026-01-05T02:30:00Z");
        assert!(Schedule::cron("30 2 * * 1-5").is_ok());
    }

    #[test]
    fn what_is_no_crontab_is_said_in_a_sentence() {
        for text in ["", "5m", "* * * *", "61 * * * *", "* * * * * Nowhere/Town"] {
            let error = Schedule::cron(text).unwrap_err();
            assert!(
                !error.why.is_empty() && !error.to_string().contains(['\n', '^']),
                "{error}"
            );
        }
    }
}
