//! One port of a target: its rules, its connections, and how they come to an end.

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::{Poll, Waker},
};

use tokio::sync::Notify;

use super::rules::{Rules, Seen, ServiceRule};

/// What connections of one port share.
#[derive(Debug, Default)]
pub(super) struct Port {
    pub(super) rules: Rules,
    open: AtomicU32,
    /// That the last connection has left.
    left: Notify,
    draining: AtomicBool,
    /// That other rules apply, for what is held: not all of it is polled by the connection.
    changed: Notify,
    over: AtomicBool,
    next: AtomicU64,
    /// Who is to be woken when one of the above changes: a connection registers once, not each time that it waits.
    wakers: Mutex<HashMap<u64, Waker>>,
}

impl Port {
    /// Whether idle connections are to close, and others after their answer.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether connections are to end wherever they are.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// From the next request on, these rules apply; what others held goes on.
    pub(super) fn set(&self, rules: Arc<[ServiceRule]>) {
        self.rules.set(rules);
        self.changed.notify_waiters();
    }

    /// Lets connections end after what they are at.
    pub(super) fn drain(&self) {
        // First, so that what is let go sees it.
        self.draining.store(true, Ordering::SeqCst);
        self.set([].into());
        self.wake();
    }

    /// Waits until a rule of those that were seen applies no more.
    pub(super) async fn without(&self, seen: &Seen, rule: usize) {
        loop {
            // Before the look, so that a change in between is not missed.
            let changed = self.changed.notified();
            if self.is_draining() || !self.rules.has(seen, rule) {
                return;
            }
            changed.await;
        }
    }

    /// Ends all connections.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Waits until there is no connection.
    pub(super) async fn emptied(&self) {
        while self.open() > 0 {
            self.left.notified().await;
        }
    }

    fn wake(&self) {
        let wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.values().for_each(Waker::wake_by_ref);
    }

    /// Runs a connection, until it has ended or all are to end.
    pub(super) async fn run(&self, connection: impl Future<Output = ()>) {
        let guest = Guest::enter(self);
        let mut connection = pin!(connection);
        let mut known: Option<Waker> = None;
        poll_fn(|cx| {
            if self.is_over() {
                return Poll::Ready(());
            }
            let waker = cx.waker();
            if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
                known = Some(waker.clone());
                let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
                wakers.insert(guest.number, waker.clone());
            }
            connection.as_mut().poll(cx)
        })
        .await;
    }
}

/// A connection that is counted.
struct Guest<'a> {
    port: &'a Port,
    number: u64,
}

impl<'a> Guest<'a> {
    fn enter(port: &'a Port) -> Self {
        port.open.fetch_add(1, Ordering::Relaxed);
        Self {
            port,
            number: port.next.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        let wakers = self.port.wakers.lock();
        wakers
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.number);
        if self.port.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.port.left.notify_one();
        }
    }
}
