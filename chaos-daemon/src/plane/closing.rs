//! Doors that have been shut, and whose last requests still run: they are taken away when those have ended.
//!
//! Nobody waits for that: it has a thread of its own.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tracing::error;

use crate::{
    attach::doors::{DoorId, Doors, UNDER_WAY},
    relay::Draining,
};

/// How often somebody looks whether the last request has ended.
const LOOKS: Duration = Duration::from_millis(50);
/// For what a relay does after its time: it ends what is left.
const MARGIN: Duration = Duration::from_millis(500);

/// A door that is about to be taken away.
pub(super) struct Leaving {
    /// Which.
    pub(super) door: DoorId,
    /// What is still open behind it.
    pub(super) draining: Draining,
    /// Not later.
    pub(super) until: Instant,
}

/// All doors, and the thread that takes them away.
pub(super) struct Doorkeeper {
    doors: Arc<Mutex<Doors>>,
    leaving: Option<Sender<Leaving>>,
    thread: Option<JoinHandle<()>>,
}

impl Doorkeeper {
    pub(super) fn new(doors: Doors) -> io::Result<Self> {
        let doors = Arc::new(Mutex::new(doors));
        let (leaving, inbox) = mpsc::channel();
        let theirs = Arc::clone(&doors);
        let thread = thread::Builder::new()
            .name("doors".to_owned())
            .spawn(move || close_each(&theirs, &inbox))?;
        Ok(Self {
            doors,
            leaving: Some(leaving),
            thread: Some(thread),
        })
    }

    /// All of them.
    pub(super) fn doors(&self) -> MutexGuard<'_, Doors> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, for whoever is to have them for longer.
    pub(super) fn shared(&self) -> Arc<Mutex<Doors>> {
        Arc::clone(&self.doors)
    }

    /// Takes a door away when nothing is open behind it, or at the latest when its time is up.
    pub(super) fn close_later(&self, leaving: Leaving) {
        let sent = match &self.leaving {
            Some(thread) => thread.send(leaving).map_err(|unsent| unsent.0),
            None => Err(leaving),
        };
        if let Err(leaving) = sent {
            self.doors().close(leaving.door);
        }
    }

    /// Waits until all that are leaving have left, or the time is up; then they leave all the same.
    pub(super) fn finish(mut self, patience: Duration) {
        drop(self.leaving.take());
        let Some(thread) = self.thread.take() else {
            return;
        };
        let until = Instant::now() + patience;
        while !thread.is_finished() && Instant::now() < until {
            thread::sleep(LOOKS);
        }
        if thread.is_finished() && thread.join().is_err() {
            error!("the thread that closes doors panicked");
        }
        self.doors().close_all();
    }
}

fn close_each(doors: &Mutex<Doors>, inbox: &Receiver<Leaving>) {
    let mut waiting: Vec<(Instant, Leaving)> = Vec::new();
    let mut is_open = true;
    while is_open || !waiting.is_empty() {
        let received = if waiting.is_empty() {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            inbox.recv_timeout(LOOKS)
        };
        match received {
            Ok(leaving) => waiting.push((Instant::now(), leaving)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) if waiting.is_empty() => return,
            Err(RecvTimeoutError::Disconnected) => {
                is_open = false;
                thread::sleep(LOOKS);
            }
        }
        let now = Instant::now();
        waiting.retain(|(since, leaving)| {
            // Connections that were about to be made come a moment later.
            let is_empty = *since + 2 * UNDER_WAY <= now && leaving.draining.is_over();
            let is_due = is_empty || leaving.until + MARGIN <= now;
            if is_due {
                let mut doors = doors.lock().unwrap_or_else(PoisonError::into_inner);
                doors.close(leaving.door);
            }
            !is_due
        });
    }
}
