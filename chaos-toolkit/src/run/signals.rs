//! The signals that end a run, with the meanings that the reference gives them.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::halt::Halt;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, Ctrl-C: interrupts; a second one ends at once.
    Interrupt,
    /// SIGTERM: interrupts.
    Terminate,
    /// SIGUSR1: interrupts.
    User1,
    /// SIGUSR2: interrupts, waits for nothing, and plays no rollbacks.
    User2,
}

/// What SIGTERM is called in the reference.
pub(crate) const TERMINATED: &str = "SIGTERM signal received";

impl Signal {
    /// What becomes of the run.
    pub(crate) fn halt(self) -> Halt {
        match self {
            Self::Interrupt => Halt::CtrlC,
            Self::Terminate => Halt::Interrupted(TERMINATED.to_owned()),
            Self::User1 => Halt::Left,
            Self::User2 => Halt::LeftAsIs,
        }
    }

    /// For people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Interrupt => "Ctrl-C",
            Self::Terminate => "SIGTERM",
            Self::User1 => "SIGUSR1",
            Self::User2 => "SIGUSR2: rollbacks are not played",
        }
    }
}

/// Hears of this process's signals from now on; they no longer end it by themselves.
pub fn listen() -> io::Result<UnboundedReceiver<Signal>> {
    let (sender, receiver) = unbounded_channel();
    for (kind, means) in [
        (SignalKind::interrupt(), Signal::Interrupt),
        (SignalKind::terminate(), Signal::Terminate),
        (SignalKind::user_defined1(), Signal::User1),
        (SignalKind::user_defined2(), Signal::User2),
    ] {
        forward(kind, means, sender.clone())?;
    }
    Ok(receiver)
}

fn forward(kind: SignalKind, means: Signal, to: UnboundedSender<Signal>) -> io::Result<()> {
    let mut stream = signal(kind)?;
    tokio::spawn(async move {
        while stream.recv().await.is_some() {
            if to.send(means).is_err() {
                return;
            }
        }
    });
    Ok(())
}
