//! The foreground of a run, and what cuts it short: a signal, a guard. What goes on then is dropped.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Mutex;

use tokio::sync::Notify;

use super::halt::Halt;
use crate::journal::lock;

/// What waits to cut the foreground short.
#[derive(Debug, Default)]
pub(crate) struct Line {
    halts: Mutex<VecDeque<Halt>>,
    pushed: Notify,
}

impl Line {
    /// Cuts short what the foreground does now, or else will do next.
    pub(crate) fn cut(&self, halt: Halt) {
        lock(&self.halts).push_back(halt);
        self.pushed.notify_one();
    }

    /// A guard that tripped has nothing more to cut short.
    pub(crate) fn forget_guards(&self) {
        lock(&self.halts).retain(|halt| *halt != Halt::Guard);
    }

    async fn cut_short(&self) -> Halt {
        loop {
            let notified = self.pushed.notified();
            if let Some(halt) = lock(&self.halts).pop_front() {
                return halt;
            }
            notified.await;
        }
    }

    /// Does it, unless it is cut short.
    pub(crate) async fn unless_cut<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::select! {
            biased;
            halt = self.cut_short() => Err(halt),
            done = work => Ok(done),
        }
    }
}
