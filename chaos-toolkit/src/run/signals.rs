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
    /// SIGHUP, the terminal or the connection to this host is gone: interrupts.
    HangUp,
    /// SIGUSR1: interrupts.
    User1,
    /// SIGUSR2: interrupts, waits for nothing, and plays no rollbacks.
    User2,
    /// Somebody who watches wants everything to stop: what a guard that trips does.
    Stop,
}

/// What SIGTERM is called in the reference.
pub(crate) const TERMINATED: &str = "SIGTERM signal received";
/// The reference ends at once, and undoes nothing.
const HUNG_UP: &str = "SIGHUP signal received";

impl Signal {
    /// What becomes of the run.
    pub(crate) fn halt(self) -> Halt {
        match self {
            Self::Interrupt => Halt::CtrlC,
            Self::Terminate => Halt::Interrupted(TERMINATED.to_owned()),
            Self::HangUp => Halt::Interrupted(HUNG_UP.to_owned()),
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
            Self::HangUp => "SIGHUP",
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
    let is_hang_up_heard = !is_hang_up_ignored();
    let mut listened = [
        (SignalKind::hangup(), Signal::HangUp),
        (SignalKind::interrupt(), Signal::Interrupt),
        (SignalKind::terminate(), Signal::Terminate),
        (SignalKind::user_defined1(), Signal::User1),
        (SignalKind::user_defined2(), Signal::User2),
    ]
    .into_iter()
    .filter(|(_, means)| *means != Signal::HangUp || is_hang_up_heard)
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

/// Whether whoever started this program wants it to go on without them, as nohup(1) does: the mask of ignored signals in
/// proc(5) has its lowest bit set.
fn is_hang_up_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}
