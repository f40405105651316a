//! A k6 that is interrupted, or dies, while its fault acts: the fault ends at once.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Result;
use chaos_proto::v1::{EndReason, State};
use chaos_tests::{
    lab::{Output, Process},
    programs::{k6, program},
    requires,
    wait::wait_until,
};
use nix::sys::signal::Signal;

use crate::run::{PATIENCE, SERVICE, Scene};

#[test]
fn a_fault_ends_with_the_k6_that_asked_for_it() {
    requires!("k6");
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        leaves(signal).unwrap();
    }
}

fn leaves(signal: Signal) -> Result<()> {
    let scene = Scene::new(1, 1)?;
    let mut serve = scene.chaosctl(&["serve", "--listen", "127.0.0.1:0"])?;
    let address = serve.word_after("listening at ")?;
    let directory = tempfile::tempdir()?;
    let mut print = Command::new(program("chaosctl")?);
    print.arg("k6-module");
    let module = Output::of(print, Duration::from_secs(20))?;
    fs::write(directory.path().join("chaos.js"), &module.stdout)?;
    let file = directory.path().join("script.js");
    let script = format!(
        r"
        import {{ ServiceDisruptor }} from './chaos.js';
        export default function () {{
          new ServiceDisruptor('{SERVICE}', 'demo').injectHTTPFaults({{ averageDelay: 100 }}, '10m');
        }}"
    );
    fs::write(&file, script)?;
    let mut command = Command::new(k6()?);
    command
        .args([
            "run",
            "--quiet",
            "--no-usage-report",
            "--address",
            "127.0.0.1:0",
        ])
        .arg(&file)
        .env("CHAOS_SERVE", address.trim_end_matches(';'))
        .env("HOME", directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut k6 = Process::spawn(command)?;
    let states = || {
        let experiments = scene.experiments("node-000").into_iter();
        let states = experiments.map(|one| (one.state(), one.end_reason()));
        states.collect::<Vec<_>>()
    };
    wait_until("the fault acts", PATIENCE, || {
        states().iter().any(|(state, _)| *state == State::Armed)
    })?;
    k6.signal(signal)?;
    wait_until("the fault has ended", PATIENCE, || {
        states() == [(State::Ended, EndReason::Stopped)]
    })?;
    // Nothing is left of it that would keep others from ending.
    serve.interrupt()?;
    assert_eq!(serve.finish()?.code, Some(0));
    Ok(())
}
