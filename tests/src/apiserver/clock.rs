//! The server's own clock: the machine's, moved by what a test says.

use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

/// A clock that is ahead of the machine's, or behind it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// How far ahead.
    pub ahead: SignedDuration,
}

impl Clock {
    /// What it shows.
    pub fn now(self) -> Timestamp {
        let now = Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH);
        now.checked_add(self.ahead).unwrap_or(now)
    }

    /// What it shows, in whole seconds as objects have it: `2026-11-21T06:13:54Z`.
    pub fn stamp(self) -> String {
        stamp(self.now())
    }

    /// What it shows after `later`.
    pub fn stamp_after(self, later: Duration) -> String {
        let later = SignedDuration::try_from(later).unwrap_or(SignedDuration::MAX);
        stamp(self.now().checked_add(later).unwrap_or(Timestamp::MAX))
    }

    /// As a `Date` header has it.
    pub fn http_date(self) -> String {
        self.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }
}

fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
