//! Numbered UDP datagrams at a fixed rate, echoed by the other host: which arrived, which came back, and when.

use std::{
    collections::HashSet,
    net::{SocketAddr, UdpSocket},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    sys::socket::{setsockopt, sockopt::RcvBufForce},
    unistd::Pid,
};

use super::{Seen, Series, times};
use crate::{
    lab::{Family, Host},
    pauses::Times,
    requires::is_emulated,
};

/// How often a receiver looks whether it shall end.
const TICK: Duration = Duration::from_millis(20);

/// How long nothing more must have come to the other host: a copy of the last one may be behind it.
const QUIET: Duration = Duration::from_millis(100);

/// A series of datagrams and where they go.
#[derive(Debug, Clone, Copy)]
pub struct UdpProbe {
    /// IPv4 or IPv6.
    pub family: Family,
    /// Port of the other side; 0 for any.
    pub port: u16,
    /// How many, how often, and how long to wait for them.
    pub series: Series,
    /// Bytes of each, at least 4.
    pub size: usize,
}

impl Default for UdpProbe {
    fn default() -> Self {
        Self {
            family: Family::V4,
            port: 0,
            series: Series {
                count: 100,
                rate: 200,
                patience: Duration::from_secs(1),
            },
            size: 64,
        }
    }
}

/// What became of each datagram, by its number.
#[derive(Debug, Clone)]
pub struct UdpReport {
    /// When it was sent.
    pub sent: Vec<Instant>,
    /// Time until it arrived at the other host; None when it did not.
    pub one_way: Vec<Option<Duration>>,
    /// Time until its echo came back; None when it did not.
    pub rtt: Vec<Option<Duration>>,
    /// Numbers in the order of arrival at the other host.
    pub order: Vec<u32>,
    /// Sends that failed at once: the sender was told.
    pub send_errors: u32,
}

impl UdpReport {
    /// How many did not arrive at the other host.
    pub fn lost(&self) -> usize {
        self.one_way.iter().filter(|time| time.is_none()).count()
    }

    /// Numbers of those that did not come back.
    pub fn unanswered(&self) -> Vec<usize> {
        (0..self.rtt.len())
            .filter(|&number| self.rtt[number].is_none())
            .collect()
    }

    /// The round trip times of those that came back.
    pub fn rtts(&self) -> Times {
        Times::of(&self.sent, &self.rtt)
    }

    /// The times of those that arrived until they did.
    pub fn one_ways(&self) -> Times {
        Times::of(&self.sent, &self.one_way)
    }

    /// Whether they arrived in the order in which they were sent.
    pub fn is_in_order(&self) -> bool {
        self.order.is_sorted()
    }
}

/// How many different numbers were seen: a network may send one twice.
fn distinct(seen: &Seen) -> usize {
    let numbers: HashSet<u32> = seen.iter().map(|&(number, _)| number).collect();
    numbers.len()
}

impl UdpProbe {
    /// Sends the series from one host to another, which echoes it.
    pub fn run(&self, from: &Host, to: &Host) -> Result<UdpReport> {
        let server = bound(to, to.socket_address(self.family, self.port))?;
        let client = bound(from, from.socket_address(self.family, 0))?;
        client
            .connect(server.local_addr()?)
            .context("connect UDP socket")?;
        let (all_sent, done) = (OnceLock::<Instant>::new(), AtomicBool::new(false));
        thread::scope(|scope| {
            let echo = scope.spawn(|| {
                receive(
                    &server,
                    |(_, last)| done.load(Ordering::Relaxed) && last.elapsed() > QUIET,
                    |bytes, from| {
                        // What the fault under test does to the answer is the report's business.
                        let _lost = server.send_to(bytes, from);
                    },
                )
            });
            let back = scope.spawn(|| {
                let complete = |(seen, last): (&Seen, Instant)| {
                    let Some(&all_sent) = all_sent.get() else {
                        return false;
                    };
                    distinct(seen) >= self.series.count as usize
                        || last.max(all_sent).elapsed() > self.series.patience
                };
                receive(&client, complete, |_, _| ())
            });
            let sender = scope.spawn(|| {
                stay_on_one_cpu()?;
                anyhow::Ok(self.send(&client))
            });
            let pinned = sender.join().map_err(|_| anyhow!("the sender panicked"));
            all_sent.get_or_init(Instant::now);
            let returned = back.join().map_err(|_| anyhow!("the receiver panicked"));
            done.store(true, Ordering::Relaxed);
            let arrived = echo.join().map_err(|_| anyhow!("the echo panicked"))??;
            let (sent, send_errors) = pinned??;
            let returned = returned??;
            let (one_way, rtt) = (times(&sent, &arrived), times(&sent, &returned));
            let order = arrived.iter().map(|&(number, _)| number).collect();
            Ok(UdpReport {
                sent,
                one_way,
                rtt,
                order,
                send_errors,
            })
        })
    }
    /// Sends the series; gives the times, and how many sends failed.
    fn send(&self, client: &UdpSocket) -> (Vec<Instant>, u32) {
        let mut bytes = vec![0; self.size.max(4)];
        let mut errors = 0;
        let sent = self.series.pace(|number| {
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            errors += u32::from(client.send(&bytes).is_err());
        });
        (sent, errors)
    }
}

/// Keeps a sender where an emulated machine can be asked for order. Each CPU has a queue of its own for what arrives by veth,
/// so that the datagrams of one flow which two CPUs hand on, the sender's and that of a timer, change places when one of the
/// two stands still, as netem's queue would have them do, too. All that one CPU sends stays with it.
fn stay_on_one_cpu() -> Result<()> {
    if is_emulated() {
        let mut only = CpuSet::new();
        only.set(sched_getcpu()?)?;
        sched_setaffinity(Pid::from_raw(0), &only).context("stay on one CPU")?;
    }
    Ok(())
}

/// A socket in a host's namespace, with room for everything that a test may send at once.
pub(super) fn bound(host: &Host, address: SocketAddr) -> Result<UdpSocket> {
    let socket = host
        .run(|| UdpSocket::bind(address))?
        .with_context(|| format!("bind {address} in {}", host.name()))?;
    setsockopt(&socket, RcvBufForce, &(16 << 20)).context("enlarge the receive buffer")?;
    socket.set_read_timeout(Some(TICK))?;
    Ok(socket)
}

/// Receives until `ends`, which is told what was seen and when the last came.
pub(super) fn receive(
    socket: &UdpSocket,
    ends: impl Fn((&Seen, Instant)) -> bool,
    answer: impl Fn(&[u8], SocketAddr),
) -> Result<Seen> {
    let mut bytes = vec![0; 65_536];
    let mut seen = Seen::new();
    let mut last_sign = Instant::now();
    loop {
        match socket.recv_from(&mut bytes) {
            Ok((length, from)) => {
                last_sign = Instant::now();
                if let Some(number) = bytes[..length].first_chunk::<4>() {
                    seen.push((u32::from_be_bytes(*number), last_sign));
                    answer(&bytes[..length], from);
                }
            }
            Err(error) if is_harmless(&error) => {}
            Err(error) => return Err(error).context("receive a datagram"),
        }
        if ends((&seen, last_sign)) {
            return Ok(seen);
        }
    }
}

/// Timeouts, and what ICMP errors make of a later call.
fn is_harmless(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::WouldBlock
            | ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::ConnectionRefused
    )
}
