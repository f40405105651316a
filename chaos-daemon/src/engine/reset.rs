//! Which connections are ended, and when.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    error::SpecError,
    filter::{Filter, Protocol},
    ramp::Share,
};

/// How long a connection may live that is to be ended.
const LIVES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(24);
/// How much it may carry.
const MOST_BYTES: u64 = 1 << 40;

/// Which connections are ended, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// How many.
    pub share: Share,
    /// From the first matched packet on.
    pub after: Option<Duration>,
    /// Bytes that it carries before.
    pub after_bytes: u64,
}

impl Reset {
    pub(super) fn check(&self, filter: &Filter) -> Result<(), SpecError> {
        if filter.protocol != Some(Protocol::Tcp) {
            return Err(SpecError::OnlyTcpIsReset);
        }
        self.share.check("a reset")?;
        let is_short = self.after.is_none_or(|after| LIVES.contains(&after));
        if !is_short || self.after_bytes > MOST_BYTES {
            return Err(SpecError::Life);
        }
        if self.after.is_some() && self.after_bytes > 0 {
            return Err(SpecError::TwoLives);
        }
        Ok(())
    }
}
