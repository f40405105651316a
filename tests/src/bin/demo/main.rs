//! The demonstration behind `cargo xtask demo`: a service of five providers is slowed down by the real `chaosctl` and
//! the real `chaos-daemon`, and a load on its consumer shows by how much. It prints what it does, and fails when the
//! effect is not there.
//!
//! `guard` keeps it from leaving anything behind, `stage` lays out what it plays on, `play` is what happens, and
//! `figures` judges what was measured.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for people: what it does is what it prints"
)]

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;

mod figures;
mod guard;
mod interrupt;
mod play;
mod stage;

use interrupt::{Interrupt, Interrupted};

/// What a shell exits with when Ctrl-C ended its command.
const INTERRUPTED: u8 = 130;

/// Slows a service of five providers down by 100 ms, and measures it before, during and after.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask demo", bin_name = "cargo xtask demo")]
struct Arguments {
    /// How long the fault lasts, at least a second
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = play::duration)]
    duration: String,
    /// Process id of the guard that started us
    #[arg(long, hide = true)]
    guard: Option<i32>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match arguments.guard {
        None => guard::run(),
        Some(guard) => run(guard, &arguments.duration).map(|()| ExitCode::SUCCESS),
    };
    ended.unwrap_or_else(|error| {
        if error.is::<Interrupted>() {
            println!("Interrupted. The fault is off, the lab is taken down.");
            return ExitCode::from(INTERRUPTED);
        }
        eprintln!("demo: {error:#}");
        ExitCode::FAILURE
    })
}

/// Everything that was laid out is gone when this returns, however it does.
fn run(guard: i32, duration: &str) -> Result<()> {
    guard::die_with(guard)?;
    let interrupt = Interrupt::listen()?;
    ensure!(
        nix::unistd::geteuid().is_root(),
        "it makes network namespaces and loads BPF programs: run it as root"
    );
    let stage = stage::Stage::set_up(&interrupt)?;
    let figures = play::play(&stage, duration, &interrupt)?;
    stage.take_down()?;
    println!("\n{}\n", figures.table());
    println!("{}", figures.verdict()?);
    Ok(())
}
