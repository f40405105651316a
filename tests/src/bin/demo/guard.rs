//! Two processes, so that nothing stays behind. The guard is the one that a terminal and a shell know: it gets Ctrl-C,
//! and passes it on to the other one alone. That one, and the agent, services and commands that it starts, are a
//! process group of their own: it takes them down in order, where Ctrl-C in all of them at once would be a mess. If it
//! is killed, the guard removes what it left; if the guard is killed, it notices and ends.

use std::{
    env,
    os::unix::process::ExitStatusExt as _,
    process::{ExitCode, ExitStatus, Stdio},
};

use anyhow::{Context, Result, bail};
use chaos_tests::lab;
use nix::{
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::{Pid, getppid},
};
use tokio::process::{Child, Command};

use crate::interrupt::{Endings, Interrupted};

/// Runs the demonstration in another process, to its end.
pub(crate) fn run() -> Result<ExitCode> {
    // On this very thread: the kernel takes the end of the thread that starts a process for the end of its parent.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start tokio")?;
    let status = runtime.block_on(guarded())?;
    if let Some(signal) = status.signal() {
        lab::sweep().context("remove what the demonstration left")?;
        bail!("signal {signal} killed it; what it had laid out is removed");
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

async fn guarded() -> Result<ExitStatus> {
    let mut endings = Endings::listen().context("listen for signals")?;
    let mut child = Command::new(env::current_exe().context("find this program")?)
        .args(env::args_os().skip(1))
        .args(["--guard", &Pid::this().to_string()])
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .context("start the demonstration")?;
    loop {
        tokio::select! {
            status = child.wait() => return status.context("wait for the demonstration"),
            () = endings.next() => pass_on(&child)?,
        }
    }
}

fn pass_on(child: &Child) -> Result<()> {
    let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) else {
        return Ok(());
    };
    kill(Pid::from_raw(pid), Signal::SIGTERM).context("end the demonstration")
}

/// From now on the end of the guard asks this process to end, too.
pub(crate) fn die_with(guard: i32) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGTERM).context("ask for the guard's end")?;
    if getppid() != Pid::from_raw(guard) {
        return Err(Interrupted.into());
    }
    Ok(())
}
