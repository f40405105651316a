//! An open load: each request goes out when it is due, however slow the answers to those before are, and its latency
//! counts from then. So a service that stalls shows in the figures, instead of pausing the load.
//!
//! It has threads of its own: nothing else that the process does can be taken for the service's slowness.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_util::task::TaskTracker;

use super::check::Checks;
use super::client::{Asked, Client, Done};
use super::clock::{self, Until};
use super::sample::{End, Sample};
use crate::quantity::Frequency;

/// More threads than that are not needed for what one process may send.
const MOST_THREADS: usize = 4;
/// Files that are open besides those of requests.
const OTHER_FILES: u64 = 64;

/// What is sent, and how often.
#[derive(Debug, Clone)]
pub struct Load {
    /// What.
    pub asked: Asked,
    /// How often.
    pub rate: Frequency,
    /// So many may be under way; more are not sent.
    pub max_in_flight: u64,
    /// What answers must be like.
    pub checks: Checks,
}

/// What became of one that was due.
#[derive(Debug)]
pub enum Event {
    /// It was sent, and is over.
    Over(Box<Sample>),
    /// It was not sent: too many were under way.
    Dropped {
        /// When it was due, since the beginning of the load.
        due: Duration,
    },
}

/// A load that runs. Dropped, it ends at once.
#[derive(Debug)]
pub struct Running {
    /// What becomes of each; the end when the load is over and nothing is under way any more.
    pub events: UnboundedReceiver<Event>,
    /// When nothing more is due.
    pub until: Until,
    state: Arc<State>,
}

/// What the load's threads tell.
#[derive(Debug, Default)]
struct State {
    under_way: AtomicU64,
    /// By how much the latest one was sent after its time, in microseconds.
    late_us: AtomicU64,
}

impl Load {
    /// Starts it: the first one is due at `begin`.
    pub fn start(&self, client: Client, begin: Instant) -> io::Result<Running> {
        allow_files(self.max_in_flight.saturating_add(OTHER_FILES));
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.min(MOST_THREADS))
            .thread_name("load")
            .enable_all()
            .build()?;
        let until = Until::default();
        let due = clock::start(self.rate, begin, until.clone())?;
        let (sender, events) = mpsc::unbounded_channel();
        let state = Arc::new(State::default());
        let sending = Sending {
            begin,
            client,
            checks: self.checks.clone(),
            max_in_flight: self.max_in_flight,
            state: Arc::clone(&state),
            events: sender,
        };
        thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                let closed = sending.events.clone();
                runtime.block_on(async {
                    tokio::select! {
                        () = Arc::new(sending).run(due) => {}
                        () = closed.closed() => {}
                    }
                });
                runtime.shutdown_background();
            })?;
        Ok(Running {
            events,
            until,
            state,
        })
    }
}

impl Running {
    /// How many are under way.
    pub fn under_way(&self) -> u64 {
        self.state.under_way.load(Ordering::Relaxed)
    }

    /// By how much a request was sent after its time, at most: this process had no time, or the machine.
    pub fn latest(&self) -> Duration {
        Duration::from_micros(self.state.late_us.load(Ordering::Relaxed))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.until.set(Instant::now());
    }
}

struct Sending {
    begin: Instant,
    client: Client,
    checks: Checks,
    max_in_flight: u64,
    state: Arc<State>,
    events: UnboundedSender<Event>,
}

impl Sending {
    async fn run(self: Arc<Self>, mut due: UnboundedReceiver<Instant>) {
        let under_way = TaskTracker::new();
        while let Some(time) = due.recv().await {
            if self.state.under_way.load(Ordering::Relaxed) >= self.max_in_flight {
                let due = time - self.begin;
                let _ = self.events.send(Event::Dropped { due });
                continue;
            }
            self.state.under_way.fetch_add(1, Ordering::Relaxed);
            under_way.spawn(Arc::clone(&self).send(time));
        }
        under_way.close();
        under_way.wait().await;
    }

    async fn send(self: Arc<Self>, due: Instant) {
        let late = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.state.late_us.fetch_max(late, Ordering::Relaxed);
        let done = self.client.send(due).await;
        let sample = self.sample(due, done);
        self.state.under_way.fetch_sub(1, Ordering::Relaxed);
        let _ = self.events.send(Event::Over(Box::new(sample)));
    }

    fn sample(&self, due: Instant, done: Done) -> Sample {
        let duration = due.elapsed();
        let checks = self.checks.of(done.answer.as_ref().ok());
        let end = match done.answer {
            Ok(answer) => End::Answered {
                status: answer.status,
                is_expected: self.checks.is_expected(answer.status),
            },
            Err(failure) => End::Failed(failure),
        };
        Sample {
            due: due - self.begin,
            duration,
            timings: done.timings,
            end,
            sent: done.sent,
            received: done.received,
            checks,
        }
    }
}

/// As many open files as that takes, if that may be; who may not, sees requests fail that cannot get one.
fn allow_files(wanted: u64) {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < wanted
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard);
    }
}

#[cfg(test)]
mod tests;
