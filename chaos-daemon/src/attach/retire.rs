//! Removes the devices of `fq` lines once what they hold has left.

use std::{
    io,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tracing::{debug, warn};

use super::sweep::Leftover;
use crate::{netlink, netns::Netns};

/// Between a line's queue and the far end, packets are in nobody's count: they wait for their CPU, which may be busy
/// or, in a virtual machine, not there for a while.
const SLACK: Duration = Duration::from_millis(500);
/// How long after its time a packet may be in a line: a busy machine lets it go late, and one that never goes keeps
/// no device alive.
const LATEST: Duration = Duration::from_secs(5);
/// The longest that a line of an earlier agent may hold packets: the largest delay several times over.
const LONGEST: Duration = Duration::from_mins(5);
/// How often a line is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A device that takes no more packets.
#[derive(Debug)]
struct Leaving {
    netns: Netns,
    ifindex: u32,
    /// Goes by itself, when the process that holds its packets has let the last one go.
    is_tap: bool,
    look_at: Instant,
    latest: Instant,
    was_empty: bool,
}

/// A thread that waits and removes.
#[derive(Debug)]
pub(super) struct Retirement {
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
enum Order {
    Remove(Leaving),
    /// Whatever holds packets by then is left alone.
    FinishBy(Instant),
}

impl Retirement {
    pub(super) fn start() -> io::Result<Self> {
        let (orders, inbox) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("retirement".into())
            .spawn(move || work(&inbox))?;
        Ok(Self { orders, thread })
    }

    /// Removes a device when packets that came up to now, and are to stay for at most `longest`, have left.
    pub(super) fn add(&self, netns: Netns, ifindex: u32, longest: Duration) {
        self.order(Leaving::new(netns, ifindex, false, longest));
    }

    /// Removes what an earlier agent left.
    pub(super) fn add_leftover(&self, leftover: Leftover) {
        self.order(leftover.into());
    }

    fn order(&self, leaving: Leaving) {
        // The thread ends only in `finish`.
        let _ = self.orders.send(Order::Remove(leaving));
    }

    /// Waits until all are removed, but no longer than `patience`.
    pub(super) fn finish(self, patience: Duration) {
        let _ = self.orders.send(Order::FinishBy(Instant::now() + patience));
        if self.thread.join().is_err() {
            debug!("the retirement thread had panicked");
        }
    }
}

/// Waits until what an earlier agent left is empty, and removes it; no longer than the longest delay.
pub fn remove_all(leftovers: Vec<Leftover>) {
    let mut waiting: Vec<Leaving> = leftovers.into_iter().map(Leaving::from).collect();
    while !waiting.is_empty() {
        remove_empty(&mut waiting, Instant::now());
        thread::sleep(LOOK_AGAIN);
    }
}

fn remove_empty(waiting: &mut Vec<Leaving>, now: Instant) {
    waiting.retain_mut(|leaving| {
        let done = leaving.look_at <= now && leaving.is_done(now);
        if done {
            leaving.remove();
        }
        !done
    });
}

fn work(inbox: &mpsc::Receiver<Order>) {
    let mut waiting: Vec<Leaving> = Vec::new();
    let mut finish_by: Option<Instant> = None;
    loop {
        let now = Instant::now();
        remove_empty(&mut waiting, now);
        if finish_by.is_some_and(|by| by <= now) && !waiting.is_empty() {
            warn!(
                lines = waiting.len(),
                "packets are still held; they leave on time, and the next start or `chaos-daemon cleanup` removes their lines"
            );
            return;
        }
        if finish_by.is_some() && waiting.is_empty() {
            return;
        }
        let looks = waiting.iter().map(|leaving| leaving.look_at);
        let next = looks.chain(finish_by).min();
        let wait = next.map_or(Duration::MAX, |at| at.saturating_duration_since(now));
        match inbox.recv_timeout(wait.min(Duration::from_hours(1))) {
            Ok(Order::Remove(leaving)) => waiting.push(leaving),
            Ok(Order::FinishBy(at)) => finish_by = Some(at),
            Err(RecvTimeoutError::Timeout) => {}
            // The agent is gone without `finish`: nobody waits for packets.
            Err(RecvTimeoutError::Disconnected) => finish_by = Some(now),
        }
    }
}

impl Leaving {
    fn new(netns: Netns, ifindex: u32, is_tap: bool, longest: Duration) -> Self {
        let now = Instant::now();
        Self {
            netns,
            ifindex,
            is_tap,
            look_at: now,
            latest: now + longest + LATEST,
            was_empty: false,
        }
    }

    /// Whether all packets have left; if not, says when to look again.
    fn is_done(&mut self, now: Instant) -> bool {
        if self.was_empty || now >= self.latest {
            return true;
        }
        self.was_empty = if self.is_tap {
            !self.is_there()
        } else {
            self.queued() == 0
        };
        debug!(
            ifindex = self.ifindex,
            empty = self.was_empty,
            "looked at a line"
        );
        self.look_at = now + if self.was_empty { SLACK } else { LOOK_AGAIN };
        false
    }

    /// Packets in its queue; none when it is gone.
    fn queued(&self) -> u32 {
        let ifindex = self.ifindex.cast_signed();
        self.netns
            .enter(|_| netlink::with(async |netlink| netlink.queued_packets(ifindex).await))
            .and_then(|done| done)
            .unwrap_or_default()
    }

    fn is_there(&self) -> bool {
        self.netns
            .enter(|_| netlink::with(async |netlink| netlink.link(self.ifindex).await))
            .and_then(|done| done)
            .is_ok_and(|link| link.is_some_and(|link| link.is_line()))
    }

    fn remove(&self) {
        let removed = self
            .netns
            .enter(|_| netlink::with(async |netlink| netlink.delete_link(self.ifindex).await))
            .and_then(|done| done);
        if let Err(error) = removed {
            debug!(netns = ?self.netns, %error, "no line to remove; its namespace is gone");
        }
    }
}

impl From<Leftover> for Leaving {
    fn from(leftover: Leftover) -> Self {
        let Leftover {
            netns,
            ifindex,
            is_tap,
        } = leftover;
        Self::new(netns, ifindex, is_tap, LONGEST)
    }
}
