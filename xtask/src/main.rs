//! `cargo xtask`: the project's own commands, one module per verb.
//!
//! It is the first thing that a fresh machine compiles: it depends on little, and on no other crate of the workspace.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for people: what it does is what it prints"
)]

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench;
mod build;
mod check;
mod conformance;
mod demo;
mod deploy;
mod process;
mod setup;
mod test;
mod tidy;
mod vm;
mod workspace;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Slow a service down by 100 ms, and measure it before, during and after
    Demo(demo::Args),
    /// Install what is missing on this machine, and say what and why
    Setup(setup::Args),
    /// Compile the programs
    Build(build::Args),
    /// Look at formatting, lints on host and BPF target, `deploy/`, and `tidy`: the inner loop
    Check,
    /// Look whether the code keeps to the rules that the documents state
    Tidy,
    /// Render and validate `deploy/`, and compare its two forms
    Deploy,
    /// Run every test, on this kernel and in a virtual machine
    Test(test::Args),
    /// Play experiments with Chaos Toolkit itself and with chaosctl, and compare
    Conformance(conformance::Args),
    /// Run a command inside another Linux kernel, over this machine's files
    Vm(vm::Args),
    /// Measure, on this kernel and in a virtual machine
    Bench(bench::Args),
}

fn main() -> ExitCode {
    run(Cli::parse().verb).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Demo(args) => demo::main(&args)?,
        Verb::Setup(args) => setup::main(&args)?,
        Verb::Build(args) => build::main(&args)?,
        Verb::Check => check::main()?,
        Verb::Tidy => tidy::check()?,
        Verb::Deploy => deploy::check()?,
        Verb::Test(args) => return test::main(&args),
        Verb::Conformance(args) => return conformance::main(&args),
        Verb::Vm(args) => return vm::main(&args),
        Verb::Bench(args) => return bench::main(&args),
    }
    Ok(ExitCode::SUCCESS)
}
