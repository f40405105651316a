//! `cargo xtask bench`: measurements, on this kernel and in a virtual machine with another.
//!
//! What measures is a program of the package `chaos-tests`, because it needs the lab; this builds
//! it, runs it in every kernel, and puts the figures side by side.

use std::env;
use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::setup::{self, Kernel, Level};
use crate::{process, workspace};

mod packet;
mod throughput;

use throughput::Figures;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Bulk TCP through a 20 ms delay: without, with ours, and with netem where the kernel has it
    Throughput(Options),
    /// Nanoseconds that the classifier takes for a packet, beside an empty program, on this kernel
    Packet(PacketOptions),
}

#[derive(clap::Args)]
struct PacketOptions {
    /// How often each case is measured, in turn
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    #[command(flatten)]
    printed: Printed,
}

#[derive(clap::Args)]
struct Options {
    /// Only on this kernel
    #[arg(long, conflicts_with = "only_vm")]
    no_vm: bool,
    /// Only in the virtual machine
    #[arg(long)]
    only_vm: bool,
    /// The kernel of the virtual machine
    #[arg(long, value_enum, default_value = "6.1")]
    kernel: Kernel,
    /// How often each is measured, in turn
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// Seconds that each measurement takes, after two for TCP's slow start
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Let a connection's buffers grow to this many MiB. As the kernel is by default, it is they that
    /// limit what goes through a delay, ours or netem
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=1024))]
    buffer_mib: Option<u32>,
    #[command(flatten)]
    printed: Printed,
}

#[derive(clap::Args)]
struct Printed {
    /// How to print the figures; progress goes to stderr
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
    /// A file for the figures as JSON, besides
    #[arg(long, value_name = "FILE")]
    save: Option<std::path::PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One object
    Json,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    match &args.what {
        What::Throughput(options) => throughput(options),
        What::Packet(options) => packet(options),
    }
}

fn throughput(options: &Options) -> Result<ExitCode> {
    build(if options.no_vm {
        Level::Demo
    } else {
        Level::Vm
    })?;
    let mut arguments = vec![
        "throughput".to_owned(),
        format!("--repetitions={}", options.repetitions),
        format!("--seconds={}", options.seconds),
    ];
    arguments.extend(options.buffer_mib.map(|mib| format!("--buffer-mib={mib}")));
    let mut runs = Vec::new();
    if !options.only_vm {
        eprintln!("bench: on this kernel");
        runs.push(run(process::command(&program()), &arguments)?);
    }
    if !options.no_vm {
        let series = options.kernel.series();
        eprintln!("bench: on kernel {series}, emulated");
        runs.push(run(in_vm(options)?, &arguments)?);
    }
    let figures: Vec<Figures> = runs.iter().map(Figures::read).collect::<Result<_>>()?;
    let json = json!({ "benchmark": "throughput", "runs": runs });
    options.printed.show(&json, &throughput::table(&figures))?;
    Ok(judge(figures.iter().flat_map(Figures::goals)))
}

fn packet(options: &PacketOptions) -> Result<ExitCode> {
    build(Level::Demo)?;
    let arguments = [
        "packet".to_owned(),
        format!("--repetitions={}", options.repetitions),
    ];
    let figures = run(process::command(&program()), &arguments)?;
    let cases = packet::read(&figures)?;
    options.printed.show(&figures, &packet::table(&cases))?;
    Ok(judge(packet::goals(&cases)))
}

fn build(level: Level) -> Result<()> {
    setup::ensure(level)?;
    eprintln!("bench: building the programs as they are shipped, which takes a while");
    process::run(process::cargo().args(["build", "--release", "--workspace", "--bins"]))
}

impl Printed {
    fn show(&self, json: &Value, table: &str) -> Result<()> {
        if let Some(file) = &self.save {
            fs::write(file, format!("{json:#}\n"))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        match self.output {
            Format::Table => print!("{table}"),
            Format::Json => println!("{json:#}"),
        }
        Ok(())
    }
}

/// Says which goals were met; fails when one was not.
fn judge(goals: impl IntoIterator<Item = (String, bool)>) -> ExitCode {
    let mut missed = false;
    for (sentence, met) in goals {
        eprintln!("bench: {sentence}: {}", if met { "met" } else { "missed" });
        missed |= !met;
    }
    if missed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn program() -> String {
    let file = workspace::target().join("release/bench");
    file.to_string_lossy().into_owned()
}

/// The command that runs the same program in the virtual machine. It is another xtask, so that the
/// guest's stdout can be read without being shown.
fn in_vm(options: &Options) -> Result<Command> {
    // Both ends, and the rest of a repetition, take their time in an emulated machine.
    let limit = 120 + options.repetitions * 3 * (options.seconds + 10);
    let xtask = env::current_exe().context("cannot find this program")?;
    let mut command = process::command(&xtask.to_string_lossy());
    command.args(["vm", "--kernel", options.kernel.series()]);
    command.args(["--timeout", &limit.to_string(), "--", &program()]);
    Ok(command)
}

/// Runs the program by `command`, its progress going where ours goes, and reads the object on its
/// stdout.
fn run(mut command: Command, arguments: &[String]) -> Result<Value> {
    command.args(arguments);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{}`", process::line(&command)))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", process::line(&command), output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    // A guest may say something of its own first.
    text.lines()
        .rev()
        .find(|line| line.starts_with('{'))
        .and_then(|line| serde_json::from_str(line.trim()).ok())
        .with_context(|| format!("`{}` printed no figures: {text}", process::line(&command)))
}
