//! Programs on their way off targets. The kernel waits for RCU with each tcx link that it takes off, for ten milliseconds
//! or so, and lets no two go at once: whoever ends an experiment of a hundred targets need not wait for that, because its
//! rules are disarmed and off their targets by then.
//!
//! Knows nothing of clsact, whose filters are taken off where they are.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use super::hook::Attachment;

/// Identity of a target while it lives: namespace and interface number.
pub(super) type Key = (u64, u32);

/// What was attached to a target, under the number that its programs know.
pub(super) struct Entries {
    pub(super) key: Key,
    pub(super) number: u32,
    pub(super) attachments: [Option<Attachment>; 2],
}

/// The thread that takes them off, and what it has still to do.
pub(super) struct Leaving {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Entries>,
    /// Being taken off right now.
    at_work: Option<(Key, u32)>,
    over: bool,
}

impl Leaving {
    pub(super) fn start() -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let thread = thread::Builder::new().name("leaving".into()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.work()
        })?;
        Ok(Self { shared, thread })
    }

    /// Has these taken off, some time soon.
    pub(super) fn add(&self, entries: Entries) {
        self.shared.lock().waiting.push(entries);
        self.shared.changed.notify_all();
    }

    /// Takes a target's programs back before they are off. Nothing where there are none; when this returns, none is left.
    pub(super) fn take_back(&self, key: Key) -> Option<Entries> {
        let mut state = self.shared.lock();
        while state.at_work.is_some_and(|(at_work, _)| at_work == key) {
            state = self.shared.wait(state);
        }
        // There are no more of it: a target that has some here gets others only when these are back or off.
        let place = state.waiting.iter().position(|entries| entries.key == key);
        place.map(|place| state.waiting.remove(place))
    }

    /// Whether programs with this number are still on some target: as long as they are, it is not another's.
    pub(super) fn has(&self, number: u32) -> bool {
        let state = self.shared.lock();
        let at_work = state.at_work.map(|(_, number)| number);
        let mut waiting = state.waiting.iter().map(|entries| entries.number);
        at_work == Some(number) || waiting.any(|waiting| waiting == number)
    }

    /// Waits until one target's more are off; whether there were any.
    pub(super) fn wait_for_one(&self) -> bool {
        let mut state = self.shared.lock();
        let before = state.count();
        while before > 0 && state.count() == before {
            state = self.shared.wait(state);
        }
        before > 0
    }

    /// Takes the rest off, and ends.
    pub(super) fn finish(self) {
        self.shared.lock().over = true;
        self.shared.changed.notify_all();
        // One that panicked has ended, too; the kernel takes the rest off with the process.
        let _ = self.thread.join();
    }
}

impl State {
    fn count(&self) -> usize {
        self.waiting.len() + usize::from(self.at_work.is_some())
    }
}

impl Shared {
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(entries) = state.waiting.pop() {
                // The last: the next experiment on the same targets begins with the first, and takes them back meanwhile.
                state.at_work = Some((entries.key, entries.number));
                drop(state);
                drop(entries);
                state = self.lock();
                state.at_work = None;
                self.changed.notify_all();
            } else if state.over {
                return;
            } else {
                state = self.wait(state);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let woken = self.changed.wait(state);
        woken.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn entries(key: Key, number: u32) -> Entries {
        Entries {
            key,
            number,
            attachments: [None, None],
        }
    }

    /// One whose thread has not begun.
    fn idle() -> Shared {
        let shared = Shared::default();
        shared
            .lock()
            .waiting
            .extend([entries((1, 2), 7), entries((1, 3), 8), entries((1, 4), 9)]);
        shared
    }

    #[test]
    fn a_number_is_nobody_elses_until_its_programs_are_off() {
        let shared = idle();
        shared.lock().at_work = Some(((5, 6), 3));
        let leaving = Leaving {
            shared: Arc::new(shared),
            thread: thread::spawn(|| ()),
        };
        assert!([3, 7, 8, 9].iter().all(|number| leaving.has(*number)));
        assert!(!leaving.has(4));
        let back = leaving.take_back((1, 3)).unwrap();
        assert_eq!((back.key, back.number), ((1, 3), 8));
        assert!(!leaving.has(8) && leaving.take_back((1, 3)).is_none());
    }

    #[test]
    fn one_is_waited_for_that_is_just_being_taken_off() {
        let leaving = Leaving {
            shared: Arc::new(idle()),
            thread: thread::spawn(|| ()),
        };
        leaving.shared.lock().at_work = Some(((5, 6), 3));
        let shared = Arc::clone(&leaving.shared);
        let (asks, asked) = mpsc::channel();
        let worker = thread::spawn(move || {
            asked.recv().unwrap();
            shared.lock().at_work = None;
            shared.changed.notify_all();
        });
        asks.send(()).unwrap();
        assert!(leaving.take_back((5, 6)).is_none());
        assert!(!leaving.has(3));
        worker.join().unwrap();
    }

    #[test]
    fn all_are_off_in_the_end() {
        let leaving = Leaving::start().unwrap();
        for number in 0..10 {
            leaving.add(entries((u64::from(number), 1), number));
        }
        while leaving.wait_for_one() {}
        assert!(!(0..10).any(|number| leaving.has(number)));
        leaving.add(entries((1, 1), 1));
        let shared = Arc::clone(&leaving.shared);
        leaving.finish();
        assert!(shared.lock().waiting.is_empty());
    }
}
