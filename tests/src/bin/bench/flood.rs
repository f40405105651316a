//! As many datagrams as one thread can send, and what became of them by the kernel's own counters.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use chaos_tests::{
    lab::{Family, Host},
    traffic::NetCounters,
    wait::wait_until,
};
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};

/// Nothing that moved for so long moves any more.
const STILL: Duration = Duration::from_millis(200);

/// A socket that takes what comes, until it is dropped.
pub(super) struct Drain {
    address: SocketAddr,
    taken: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drain {
    pub(super) fn new(host: &Host) -> Result<Self> {
        let socket = host.run(|| UdpSocket::bind(host.socket_address(Family::V4, 0)))??;
        setsockopt(&socket, RcvBufForce, &(64 << 20)).context("enlarge the receive buffer")?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        let (taken, ends) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, end) = (Arc::clone(&taken), Arc::clone(&ends));
        let address = socket.local_addr()?;
        let thread = thread::spawn(move || {
            let mut bytes = [0; 2048];
            while !end.load(Ordering::Relaxed) {
                if socket.recv(&mut bytes).is_ok() {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Ok(Self {
            address,
            taken,
            ends,
            thread: Some(thread),
        })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until nothing arrives any more that was sent up to now.
    fn settle(&self) -> Result<()> {
        let mut last = (self.taken.load(Ordering::Relaxed), Instant::now());
        wait_until(
            "all datagrams have arrived",
            Duration::from_mins(1),
            move || {
                let now = self.taken.load(Ordering::Relaxed);
                if now != last.0 {
                    last = (now, Instant::now());
                }
                last.1.elapsed() > STILL
            },
        )
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// What became of the datagrams.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flood {
    /// That the sender's kernel took.
    pub(super) sent: u64,
    /// That came to the receiver's sockets, with or without room for them.
    pub(super) arrived: u64,
    /// Of those, without.
    pub(super) no_room: u64,
    /// For how long they were sent.
    pub(super) elapsed: Duration,
}

impl Flood {
    /// Sends datagrams of `size` bytes for `duration`, and waits for them.
    pub(super) fn run(
        from: &Host,
        to: &Host,
        drain: &Drain,
        size: usize,
        duration: Duration,
    ) -> Result<Self> {
        let socket = from.run(|| UdpSocket::bind(from.socket_address(Family::V4, 0)))??;
        socket.connect(drain.address())?;
        let before = NetCounters::of(to)?;
        let sender = thread::spawn(move || {
            let bytes = vec![0x5a; size];
            let started = Instant::now();
            let mut sent = 0;
            while started.elapsed() < duration {
                // The clock is not for free.
                for _ in 0..16 {
                    sent += u64::from(socket.send(&bytes).is_ok());
                }
            }
            (sent, started.elapsed())
        });
        let (sent, elapsed) = sender.join().map_err(|_| anyhow!("the sender panicked"))?;
        drain.settle()?;
        let after = NetCounters::of(to)?;
        let no_room = after.grew(&before, "Udp.RcvbufErrors");
        Ok(Self {
            sent,
            arrived: after.grew(&before, "Udp.InDatagrams") + no_room,
            no_room,
            elapsed,
        })
    }

    /// That arrived, per second.
    #[expect(clippy::cast_precision_loss, reason = "a figure for comparisons")]
    pub(super) fn rate(&self) -> f64 {
        self.arrived as f64 / self.elapsed.as_secs_f64()
    }

    /// That did not.
    pub(super) const fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.arrived)
    }
}
