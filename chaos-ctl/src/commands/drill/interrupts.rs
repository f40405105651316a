//! Ctrl-C and SIGTERM while a drill goes on.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::{CommandError, ErrorKind};

/// How often somebody wants it to end. From here on an interruption no longer ends the process by itself, also where
/// nobody looks at what is returned: this is asked for once, and everything that takes its time is waited for beside it.
pub(super) fn interrupts() -> Result<watch::Receiver<u32>, CommandError> {
    let listen = |kind| signal(kind).map_err(|error| CommandError::new(ErrorKind::Failed, error));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let (told, count) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = told.closed() => return,
            }
            told.send_modify(|count| *count += 1);
        }
    });
    Ok(count)
}
