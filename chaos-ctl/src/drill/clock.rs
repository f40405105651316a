//! When requests are due. The clock has a thread of its own and knows nothing of answers, so that nothing can hold it up.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::quantity::Frequency;

/// When the load ends, once that is known. Every copy means the same.
#[derive(Debug, Clone, Default)]
pub struct Until(Arc<(Mutex<Option<Instant>>, Condvar)>);

impl Until {
    /// Nothing is due then or later; the earliest time counts.
    pub fn set(&self, end: Instant) {
        let (until, changed) = &*self.0;
        let mut until = until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = Some(until.map_or(end, |known| known.min(end)));
        changed.notify_all();
    }

    /// That time, where it is known.
    pub fn get(&self) -> Option<Instant> {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a time; false where the load ends before.
    fn wait_for(&self, due: Instant) -> bool {
        let (until, changed) = &*self.0;
        let mut end = until.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if end.is_some_and(|end| due >= end) {
                return false;
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            end = changed
                .wait_timeout(end, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// Sends the time of each request as it comes, from `begin` on.
pub fn start(
    rate: Frequency,
    begin: Instant,
    until: Until,
) -> io::Result<mpsc::UnboundedReceiver<Instant>> {
    let (due, receiver) = mpsc::unbounded_channel();
    thread::Builder::new()
        .name("clock".to_owned())
        .spawn(move || {
            for index in 0.. {
                let Some(time) = begin.checked_add(rate.due(index)) else {
                    return;
                };
                if !until.wait_for(time) || due.send(time).is_err() {
                    return;
                }
            }
        })?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::quantity::frequency;

    #[test]
    fn each_is_due_at_its_time_and_none_at_the_end() {
        let begin = Instant::now();
        let until = Until::default();
        until.set(begin + Duration::from_millis(50));
        let rate = frequency("200/s").unwrap();
        let mut clock = start(rate, begin, until).unwrap();
        let mut times = Vec::new();
        while let Some(time) = clock.blocking_recv() {
            assert!(Instant::now() >= time);
            times.push(time - begin);
        }
        let expected: Vec<_> = (0..10).map(|n| Duration::from_millis(5 * n)).collect();
        assert_eq!(times, expected);
    }

    #[test]
    fn an_end_that_comes_earlier_is_kept_to() {
        let begin = Instant::now();
        let until = Until::default();
        let mut clock = start(frequency("1/h").unwrap(), begin, until.clone()).unwrap();
        assert_eq!(clock.blocking_recv(), Some(begin));
        until.set(Instant::now());
        // Its thread is gone long before the hour is over, or this test would be there for an hour.
        assert_eq!(clock.blocking_recv(), None);
    }
}
