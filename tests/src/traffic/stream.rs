//! A steady stream of UDP datagrams whose fate can be looked at while it flows: to see when traffic turns normal again.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};

use super::{
    Seen,
    udp::{bound, receive},
};
use crate::lab::{Family, Host};

/// Bytes of a datagram's number.
const NUMBER: usize = 4;

/// A stream from one host to another; it ends when dropped.
#[derive(Debug)]
pub struct UdpStream {
    seen: Arc<Fate>,
    threads: Vec<thread::JoinHandle<Result<()>>>,
}

/// One datagram of a stream.
#[derive(Debug, Clone, Copy)]
pub struct StreamSample {
    /// When it was sent.
    pub sent: Instant,
    /// Time until it arrived; None when it did not, so far.
    pub one_way: Option<Duration>,
}

#[derive(Debug, Default)]
struct Fate {
    samples: Mutex<Vec<StreamSample>>,
    stop: AtomicBool,
    all_sent: AtomicBool,
    /// How long to wait for what is under way when all are sent.
    patience: Mutex<Duration>,
}

impl UdpStream {
    /// Starts sending `rate` datagrams a second, as small as they can be.
    pub fn start(from: &Host, to: &Host, family: Family, rate: u32) -> Result<Self> {
        Self::start_of_size(from, to, family, rate, NUMBER)
    }

    /// Starts sending `rate` datagrams a second of so many bytes, at least 4.
    pub fn start_of_size(
        from: &Host,
        to: &Host,
        family: Family,
        rate: u32,
        size: usize,
    ) -> Result<Self> {
        let server = bound(to, to.socket_address(family, 0))?;
        let client = bound(from, from.socket_address(family, 0))?;
        client
            .connect(server.local_addr()?)
            .context("connect UDP socket")?;
        let seen = Arc::new(Fate::default());
        let fate = Arc::clone(&seen);
        let sender = thread::spawn(move || {
            let interval = Duration::from_secs(1) / rate.max(1);
            let mut bytes = vec![0; size.max(NUMBER)];
            let mut next = Instant::now();
            for number in 0_u32.. {
                if fate.stop.load(Ordering::Relaxed) {
                    break;
                }
                thread::sleep(next.saturating_duration_since(Instant::now()));
                next += interval;
                fate.samples().push(StreamSample {
                    sent: Instant::now(),
                    one_way: None,
                });
                // A send that fails shows as a datagram that does not arrive.
                bytes[..NUMBER].copy_from_slice(&number.to_be_bytes());
                let _failed = client.send(&bytes);
            }
            fate.all_sent.store(true, Ordering::Relaxed);
            Ok(())
        });
        let fate = Arc::clone(&seen);
        let receiver = thread::spawn(move || {
            let ends = |(_, last): (&Seen, Instant)| {
                let patience = *fate.patience.lock().unwrap_or_else(PoisonError::into_inner);
                fate.all_sent.load(Ordering::Relaxed)
                    && (fate.is_complete() || last.elapsed() > patience)
            };
            receive(&server, ends, |bytes, _| {
                let now = Instant::now();
                let number = bytes
                    .first_chunk()
                    .map_or(0, |number| u32::from_be_bytes(*number));
                if let Some(sample) = fate.samples().get_mut(number as usize) {
                    sample
                        .one_way
                        .get_or_insert(now.saturating_duration_since(sample.sent));
                }
            })
            .map(drop)
        });
        Ok(Self {
            seen,
            threads: vec![sender, receiver],
        })
    }

    /// What became of the datagrams so far, in the order in which they were sent.
    pub fn samples(&self) -> Vec<StreamSample> {
        self.seen.samples().clone()
    }

    /// The first time from `since` on after which every datagram of a whole `span` arrived within `limit`; None when
    /// there is none yet.
    pub fn normal_since(&self, since: Instant, limit: Duration, span: Duration) -> Option<Instant> {
        let samples = self.samples();
        let late = |sample: &&StreamSample| sample.one_way.is_none_or(|time| time > limit);
        let after: Vec<&StreamSample> = samples
            .iter()
            .filter(|sample| sample.sent >= since)
            .collect();
        // The last ones may be under way, which is no reason to call them late.
        let settled =
            |sample: &&&StreamSample| sample.one_way.is_some() || sample.sent.elapsed() > limit;
        let settled: Vec<&&StreamSample> =
            after.iter().take_while(|sample| settled(sample)).collect();
        let first = settled
            .iter()
            .rposition(|sample| late(sample))
            .map_or(0, |last_late| last_late + 1);
        let (first, last) = (settled.get(first)?, settled.last()?);
        (last.sent.duration_since(first.sent) >= span).then_some(first.sent)
    }

    /// Stops sending, waits for what is under way until nothing arrives for `patience`, and gives all samples.
    pub fn finish(mut self, patience: Duration) -> Result<Vec<StreamSample>> {
        *self
            .seen
            .patience
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = patience;
        self.end()?;
        Ok(self.samples())
    }

    fn end(&mut self) -> Result<()> {
        self.seen.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread
                .join()
                .map_err(|_| anyhow!("a thread of the stream panicked"))??;
        }
        Ok(())
    }
}

impl Drop for UdpStream {
    fn drop(&mut self) {
        // Whoever wants to know calls `finish`.
        let _error = self.end();
    }
}

impl Fate {
    fn samples(&self) -> std::sync::MutexGuard<'_, Vec<StreamSample>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_complete(&self) -> bool {
        self.samples().iter().all(|sample| sample.one_way.is_some())
    }
}
