//! Ctrl-C and its like: heard by one thread, looked at between steps and during waits.

use std::{
    fmt, io,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals by which people and shells end a command.
pub(crate) struct Endings([Signal; 4]);

impl Endings {
    /// Listens from now on, in a tokio runtime: the signals no longer end this process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::quit())?,
        ]))
    }

    /// Waits for the next of them.
    pub(crate) async fn next(&mut self) {
        let [interrupt, terminate, hangup, quit] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

/// Somebody wants it to end: no failure, but everything stops.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Tells whether the program was asked to end.
#[derive(Debug)]
pub(crate) struct Interrupt {
    asked: Receiver<()>,
}

impl Interrupt {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start tokio")?;
        let mut endings = {
            let _inside = runtime.enter();
            Endings::listen().context("listen for signals")?
        };
        let (asks, asked) = channel();
        // Ends with the program. The sender is kept, so a wait ends by a signal or by its time, and by nothing else.
        thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    endings.next().await;
                    let _nobody_waits = asks.send(());
                }
            });
        });
        Ok(Self { asked })
    }

    /// An error if the end was asked for.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        self.wait(Duration::ZERO)
    }

    /// Waits for as long, or until the end is asked for, which is an error.
    pub(crate) fn wait(&self, time: Duration) -> Result<(), Interrupted> {
        match self.asked.recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Interrupted),
        }
    }
}
