//! What happens on the stage: a steady load, and in its middle the command that slows the service down.

use std::{
    os::unix::process::CommandExt as _,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail, ensure};
use chaos_ctl::quantity;
use chaos_tests::{
    lab::Process,
    load::{Load, LoadReport},
    services,
};
use nix::sys::signal::Signal;

use crate::{
    figures::{Figures, LATENCY},
    interrupt::Interrupt,
    stage::{SERVICE, Stage},
};

/// Requests a second.
const RATE: u32 = 20;
/// How long the service is watched before the fault, and after it.
const ASIDE: Duration = Duration::from_secs(3);
/// A request that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Plays it, with a fault of this duration.
pub(crate) fn play(stage: &Stage, duration: &str, interrupt: &Interrupt) -> Result<Figures> {
    let consumer = stage.consumer();
    let load = Load {
        rate: RATE,
        // Until it is told to stop.
        duration: Duration::MAX,
        url: format!(
            "http://{}:{}/consuming",
            consumer.address_v4(),
            services::PORT
        ),
        timeout: TIMEOUT,
    };
    println!(
        "load      {RATE} requests/s to {}, however slow the answers",
        load.url
    );
    let stop = AtomicBool::new(false);
    let started = Instant::now();
    thread::scope(|scope| {
        let loading = scope.spawn(|| consumer.run(|| load.run_until(&stop, |_| ())));
        let fault = watch(stage, duration, interrupt, started);
        stop.store(true, Ordering::Relaxed);
        let report: LoadReport = loading
            .join()
            .map_err(|_| anyhow!("the load panicked"))???;
        let (from, to) = fault?;
        Figures::of(&report, from, to)
    })
}

/// Waits, runs the command, waits; gives when the command started and when it had ended.
fn watch(
    stage: &Stage,
    duration: &str,
    interrupt: &Interrupt,
    started: Instant,
) -> Result<(Duration, Duration)> {
    println!("before    {} s", ASIDE.as_secs());
    interrupt.wait(ASIDE)?;
    let from = started.elapsed();
    chaosctl(stage, duration, interrupt)?;
    let to = started.elapsed();
    println!("after     {} s", ASIDE.as_secs());
    interrupt.wait(ASIDE)?;
    Ok((from, to))
}

/// Runs the real command, its output going where ours goes.
fn chaosctl(stage: &Stage, duration: &str, interrupt: &Interrupt) -> Result<()> {
    let latency = format!("{}ms", LATENCY.as_millis());
    let arguments = ["delay", "--svc", SERVICE, &latency, "--duration", duration];
    println!("during    # chaosctl {}", arguments.join(" "));
    let mut command = stage.daemon().chaosctl_command()?;
    command
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0);
    let mut process = Process::spawn(command)?;
    let status = loop {
        if let Some(status) = process.ended() {
            break status;
        }
        if let Err(interrupted) = interrupt.wait(Duration::from_millis(5)) {
            // As Ctrl-C does where chaosctl runs by itself: it ends the fault and says what it hit.
            process.signal(Signal::SIGINT)?;
            process.wait(Duration::from_secs(10))?;
            return Err(interrupted.into());
        }
    };
    if !status.success() {
        bail!("chaosctl failed: {status}\n{}", stage.daemon().log_tail());
    }
    Ok(())
}

/// Takes what `chaosctl --duration` takes, and hands it on as it was written.
pub(crate) fn duration(text: &str) -> Result<String> {
    let at_least = Duration::from_secs(1);
    ensure!(
        quantity::duration(text)? >= at_least,
        "20 requests a second show nothing in less than a second"
    );
    Ok(text.to_owned())
}
