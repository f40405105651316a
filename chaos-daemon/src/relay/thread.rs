//! The thread of one network namespace, and the relays on it.

use std::{
    io,
    net::TcpListener,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use tokio::{runtime, sync::mpsc as commands, task::JoinSet};
use tracing::error;

use super::{Relay, accept, port::Port};

/// A thread that has entered a namespace. It ends with its last relay, and with it our hold on the namespace.
pub(super) struct Thread {
    commands: commands::UnboundedSender<Command>,
}

enum Command {
    Open(TcpListener, Arc<Relay>),
    EndAfter(Arc<Port>, Duration),
}

impl Thread {
    /// Starts it; returns when it has entered the namespace.
    pub(super) fn start(enter: Box<dyn FnOnce() -> io::Result<()> + Send>) -> io::Result<Self> {
        let (commands, receiver) = commands::unbounded_channel();
        let (ready, readiness) = mpsc::channel();
        thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || {
                let runtime = enter()
                    .and_then(|()| runtime::Builder::new_current_thread().enable_all().build());
                match runtime {
                    Ok(runtime) => {
                        let _ = ready.send(Ok(()));
                        runtime.block_on(serve(receiver));
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
            })?;
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        readiness.recv().map_err(gone)??;
        Ok(Self { commands })
    }

    /// Has it serve what `listener` takes; gives that back if it has ended.
    pub(super) fn open(&self, listener: TcpListener, relay: Arc<Relay>) -> Result<(), TcpListener> {
        let sent = self.commands.send(Command::Open(listener, relay));
        sent.or_else(|commands::error::SendError(command)| match command {
            Command::Open(listener, _) => Err(listener),
            Command::EndAfter(..) => Ok(()),
        })
    }

    /// Has it end the connections of a port after a while.
    pub(super) fn end_after(&self, port: &Arc<Port>, patience: Duration) {
        let command = Command::EndAfter(Arc::clone(port), patience);
        if self.commands.send(command).is_err() {
            port.end();
        }
    }
}

/// A relay that has finished when this is dropped, however it came to that.
struct Finished(Arc<Relay>);

impl Drop for Finished {
    fn drop(&mut self) {
        self.0.finish();
    }
}

async fn serve(mut commands: commands::UnboundedReceiver<Command>) {
    let mut relays = JoinSet::new();
    let mut had_one = false;
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Open(listener, relay)) => {
                    had_one = true;
                    relays.spawn(async move {
                        let finished = Finished(relay);
                        if let Err(error) = accept::run(listener, &finished.0).await {
                            error!(%error, "a relay takes no connections");
                        }
                    });
                }
                Some(Command::EndAfter(port, patience)) => {
                    tokio::spawn(async move {
                        tokio::time::sleep(patience.max(accept::QUIET)).await;
                        port.end();
                    });
                }
                None if relays.is_empty() => break,
                None => drop(relays.join_next().await),
            },
            Some(_) = relays.join_next(), if !relays.is_empty() => {}
        }
        if had_one && relays.is_empty() {
            // What was asked for in between is done yet; what comes later has another thread.
            commands.close();
        }
    }
}
