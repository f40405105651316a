//! How many more files the process may open, of which each connection takes two.
//!
//! Nothing is counted: the kernel gives a new file the lowest number that is free, so that a file with one of the last
//! numbers says that nearly all are taken, by whomever.

use std::{
    os::fd::{AsRawFd, RawFd},
    sync::atomic::{AtomicBool, Ordering},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// Of the files that may be open, one in so many is not for connections that are new.
const KEPT_SHARE: u64 = 20;
/// And so many at least: for those who have been let in already, and for what else the agent has to do.
const KEPT_LEAST: u64 = 128;

/// What relays know of it together.
#[derive(Debug)]
pub(super) struct Room {
    /// Files from this number on are the last ones.
    last: u64,
    crowded: AtomicBool,
}

impl Room {
    /// As much as the process may have.
    pub(super) fn as_much_as_may_be() -> Self {
        let may = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, hard)| {
            if soft == hard {
                return soft;
            }
            match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
                Ok(()) => hard,
                Err(error) => {
                    warn!(%error, soft, "cannot open more files than before");
                    soft
                }
            }
        });
        Self::of(may)
    }

    const fn of(may: u64) -> Self {
        let share = may / KEPT_SHARE;
        let kept = if share > KEPT_LEAST {
            share
        } else {
            KEPT_LEAST
        };
        // Where there is hardly any room at all, half of it.
        let (half, rest) = (may / 2, may.saturating_sub(kept));
        Self {
            last: if rest > half { rest } else { half },
            crowded: AtomicBool::new(false),
        }
    }

    /// Whether this file is one of the last.
    pub(super) fn is_one_of_the_last(&self, file: &impl AsRawFd) -> bool {
        is_from(file.as_raw_fd(), self.last)
    }

    pub(super) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed)
    }

    /// Says that there is hardly room for more; true if nobody had said so.
    pub(super) fn crowd(&self) -> bool {
        !self.crowded.swap(true, Ordering::Relaxed)
    }

    /// Says that there is room again.
    pub(super) fn relieve(&self) {
        self.crowded.store(false, Ordering::Relaxed);
    }
}

fn is_from(number: RawFd, first: u64) -> bool {
    u64::try_from(number).is_ok_and(|number| number >= first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_files_are_kept() {
        for (may, last) in [
            (1_048_576, 996_148),
            (20_000, 19_000),
            (1024, 896),
            (200, 100),
        ] {
            assert_eq!(Room::of(may).last, last, "of {may}");
        }
    }

    #[test]
    fn a_file_says_by_its_number_whether_it_is_one_of_the_last() {
        assert!(!is_from(895, 896));
        assert!(is_from(896, 896));
        assert!(!is_from(-1, 0));
        let room = Room::of(1_000_000);
        assert!(!room.is_one_of_the_last(&std::io::stdin()));
        assert!(room.crowd());
        assert!(!room.crowd(), "it was said");
        room.relieve();
        assert!(room.crowd());
    }
}
