//! So many bytes a second. Knows nothing of what they are.

use std::{
    num::NonZeroU64,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// Bytes go out in pieces, so many each second.
const PIECES: u64 = 20;

/// Lets only so many bytes a second through.
#[derive(Debug)]
pub(super) struct Pace {
    rate: NonZeroU64,
    allowed: u64,
    next: Pin<Box<Sleep>>,
}

impl Pace {
    /// With the first piece at once.
    pub(super) fn new(rate: NonZeroU64) -> Self {
        Self {
            rate,
            allowed: 0,
            next: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    /// Has another rate take the place of this one; the same goes on.
    pub(super) fn change(pace: &mut Option<Self>, rate: Option<NonZeroU64>) {
        if pace.as_ref().map(|pace| pace.rate) != rate {
            *pace = rate.map(Self::new);
        }
    }

    /// Waits until a byte may go.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.allowed == 0 {
            ready!(self.next.as_mut().poll(cx));
            // Of rates below that, pieces of one byte.
            let piece = (self.rate.get() / PIECES).max(1);
            self.allowed = piece;
            let nanos = u128::from(piece) * 1_000_000_000 / u128::from(self.rate.get());
            let gap = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            // From when it was due, so that late timers do not add up; time without bytes is not saved up.
            let now = Instant::now();
            let due = self
                .next
                .deadline()
                .max(now.checked_sub(gap).unwrap_or(now));
            self.next.as_mut().reset(due + gap);
        }
        Poll::Ready(())
    }

    /// How many bytes may go now.
    pub(super) fn allowed(&self) -> usize {
        usize::try_from(self.allowed).unwrap_or(usize::MAX)
    }

    /// So many have gone.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.allowed = self.allowed.saturating_sub(bytes as u64);
    }
}
