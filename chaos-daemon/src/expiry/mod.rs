//! Who is to be woken when. Reads no clock: the caller says what time it is.

use std::{
    collections::{BTreeSet, HashMap},
    time::Instant,
};

/// Wake-up times by id; each id has at most one.
#[derive(Debug, Default)]
pub struct Queue {
    by_time: BTreeSet<(Instant, String)>,
    by_id: HashMap<String, Instant>,
}

impl Queue {
    /// Sets the wake-up time of `id`, or takes it away.
    pub fn set(&mut self, id: &str, at: Option<Instant>) {
        if let Some(old) = self.by_id.remove(id) {
            self.by_time.remove(&(old, id.to_owned()));
        }
        if let Some(at) = at {
            self.by_id.insert(id.to_owned(), at);
            self.by_time.insert((at, id.to_owned()));
        }
    }

    /// The earliest wake-up time.
    pub fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out one id whose time has come.
    pub fn pop_due(&mut self, now: Instant) -> Option<String> {
        if self.next()? > now {
            return None;
        }
        let (_, id) = self.by_time.pop_first()?;
        self.by_id.remove(&id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn wakes_in_order_and_not_early() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut queue = Queue::default();
        queue.set("late", Some(at(3)));
        queue.set("early", Some(at(1)));
        assert_eq!(queue.next(), Some(at(1)));
        assert_eq!(queue.pop_due(at(0)), None);
        assert_eq!(queue.pop_due(at(2)).as_deref(), Some("early"));
        assert_eq!(queue.pop_due(at(2)), None);
        assert_eq!(queue.pop_due(at(3)).as_deref(), Some("late"));
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn new_time_replaces_the_old_one() {
        let start = Instant::now();
        let mut queue = Queue::default();
        queue.set("a", Some(start));
        queue.set("a", Some(start + Duration::from_secs(5)));
        assert_eq!(queue.pop_due(start), None);
        queue.set("a", None);
        assert_eq!(queue.next(), None);
    }
}
