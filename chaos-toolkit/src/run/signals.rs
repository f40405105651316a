//! The signals that end a run, with the meanings that the reference gives them.

use std::io;
use std::task::Poll;

use futures::stream::{self, BoxStream, StreamExt};
use tokio::signal::unix::{SignalKind, signal};

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
    /// Somebody who watches wants everything to stop: what a guard that trips does.
    Stop,
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
            Self::Stop => Halt::Guard,
        }
    }

    /// For people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Interrupt => "Ctrl-C",
            Self::Terminate => "SIGTERM",
            Self::User1 => "SIGUSR1",
            Self::User2 => "SIGUSR2: rollbacks are not played",
            Self::Stop => "a key of the terminal",
        }
    }
}

/// Those that come.
pub type Signals = BoxStream<'static, Signal>;

/// Hears of this process's signals from now on; they no longer end it by themselves.
///
/// The run itself looks at them, and first: Ctrl-C in a terminal also ends the program that the run waits for, and that is
/// not how an activity ends.
pub fn listen() -> io::Result<Signals> {
    let mut listened = [
        (SignalKind::interrupt(), Signal::Interrupt),
        (SignalKind::terminate(), Signal::Terminate),
        (SignalKind::user_defined1(), Signal::User1),
        (SignalKind::user_defined2(), Signal::User2),
    ]
    .into_iter()
    .map(|(kind, means)| Ok((signal(kind)?, means)))
    .collect::<io::Result<Vec<_>>>()?;
    let signals = stream::poll_fn(move |context| {
        for (signal, means) in &mut listened {
            if signal.poll_recv(context).is_ready() {
                return Poll::Ready(Some(*means));
            }
        }
        Poll::Pending
    });
    Ok(signals.boxed())
}
