//! Traffic between hosts of a lab, and what became of it. Everything is bounded in time: a fault under test may hold or
//! drop anything. Knows nothing of the product.

mod bulk;
mod counters;
mod icmp;
mod stream;
mod tcp;
mod udp;

use std::{
    thread,
    time::{Duration, Instant},
};

pub use self::{
    bulk::{BulkTcp, Throughput, bulk_tcp, iperf3},
    counters::{NetCounters, TcpInfo},
    icmp::ping_rtt,
    stream::{StreamSample, UdpStream},
    tcp::{TcpServer, tcp_connect_time, tcp_rtt},
    udp::{UdpProbe, UdpReport},
};

/// How long a single answer may take before it counts as lost.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A series of small requests, each at its scheduled time, however slow the answers are.
#[derive(Debug, Clone, Copy)]
pub struct Series {
    /// How many.
    pub count: u32,
    /// How many a second.
    pub rate: u32,
    /// How long to wait for answers after the last request.
    pub patience: Duration,
}

impl Series {
    /// A series of `count` requests, `rate` a second.
    pub fn new(count: u32, rate: u32) -> Self {
        Self {
            count,
            rate,
            patience: PATIENCE,
        }
    }

    /// Calls `send` with each number at its time; gives the times.
    fn pace(&self, mut request: impl FnMut(u32)) -> Vec<Instant> {
        let interval = Duration::from_secs(1) / self.rate.max(1);
        let start = Instant::now();
        let mut sent = Vec::with_capacity(self.count as usize);
        for number in 0..self.count {
            thread::sleep((start + interval * number).saturating_duration_since(Instant::now()));
            sent.push(Instant::now());
            request(number);
        }
        sent
    }
}

/// A number and when it was seen, in the order in which they were seen.
type Seen = Vec<(u32, Instant)>;

/// For each number that was sent: the time until it was seen first.
fn times(sent: &[Instant], seen: &Seen) -> Vec<Option<Duration>> {
    let mut times = vec![None; sent.len()];
    for &(number, at) in seen {
        if let (Some(time), Some(&sent)) =
            (times.get_mut(number as usize), sent.get(number as usize))
        {
            time.get_or_insert(at.saturating_duration_since(sent));
        }
    }
    times
}
