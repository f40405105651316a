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

mod figures;
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
    /// Everything below, one after the other: about half an hour
    All(Printed),
    /// Bulk TCP through a delay: without, with ours, and with netem where the kernel has it
    Throughput(Options),
    /// Nanoseconds that the classifier takes for a packet, beside an empty program, on this kernel
    Packet(PacketOptions),
    /// What traffic notices of a rule that does not match it: bulk TCP and small datagrams
    Unmatched(FigureOptions),
    /// How far the 50th and the 99th percentile of a delay are off
    Exactness(FigureOptions),
    /// Whether a delay loses anything at the highest rate that one thread reaches
    Queue(FigureOptions),
    /// How soon after `chaosctl` a fault acts, on one target and on a hundred, and how soon it has ended
    Reaction(FigureOptions),
    /// The agent: its memory, that of a hundred targets more, and its time when nothing happens
    Daemon(FigureOptions),
    /// What a request that nothing happens to costs on its way through the relay, beside nginx; and open connections
    Relay(FigureOptions),
    /// What is left for traffic beside traffic that is delayed: by a rule, by netem, by neither
    Beside(BesideOptions),
    /// How soon a thousand pods on two hundred nodes are planned for and armed, with simulated agents
    Fleet(FigureOptions),
    /// How soon an experiment of Chaos Toolkit's format comes to its first probe, and through many, beside Chaos Toolkit
    Toolkit(FigureOptions),
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
struct FigureOptions {
    /// In a virtual machine with this kernel, and not on this machine's
    #[arg(long, value_enum)]
    kernel: Option<Kernel>,
    /// Other than the usual number of rounds
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    #[command(flatten)]
    printed: Printed,
}

#[derive(clap::Args)]
struct BesideOptions {
    /// On this kernel, which must have netem
    #[arg(long)]
    no_vm: bool,
    /// The kernel of the virtual machine
    #[arg(long, value_enum, default_value = "6.1")]
    kernel: Kernel,
    /// Other than the usual number of rounds
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Milliseconds by which the other traffic is delayed
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    latency: u32,
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
    /// The delay
    #[arg(long, default_value = "20ms")]
    latency: String,
    /// Let a connection's buffers grow to this many MiB. As the kernel is by default, it is they that
    /// limit what goes through a delay, ours or netem
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=1024))]
    buffer_mib: Option<u32>,
    #[command(flatten)]
    printed: Printed,
}

#[derive(clap::Args, Clone)]
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

/// What a benchmark gave.
struct Measured {
    json: Value,
    table: String,
    goals: Vec<(String, bool)>,
}

/// Where a program runs.
#[derive(Clone, Copy)]
enum Place {
    Here,
    Vm(Kernel),
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let (printed, measured) = match &args.what {
        What::All(printed) => return all(printed),
        What::Throughput(options) => (&options.printed, throughput(options)?),
        What::Packet(options) => (&options.printed, packet(options)?),
        What::Unmatched(options) => (&options.printed, figures("unmatched", options)?),
        What::Exactness(options) => (&options.printed, figures("exactness", options)?),
        What::Queue(options) => (&options.printed, figures("queue", options)?),
        What::Reaction(options) => (&options.printed, figures("reaction", options)?),
        What::Daemon(options) => (&options.printed, figures("daemon", options)?),
        What::Relay(options) => {
            setup::ensure_bench()?;
            (&options.printed, figures("relay", options)?)
        }
        What::Beside(options) => (&options.printed, beside(options)?),
        What::Fleet(options) => (&options.printed, figures("fleet", options)?),
        What::Toolkit(options) => {
            setup::ensure_conformance()?;
            (&options.printed, figures("toolkit", options)?)
        }
    };
    printed.show(&measured.json, &measured.table)?;
    Ok(judge(measured.goals))
}

/// Each as its own subcommand does it without options.
fn all(printed: &Printed) -> Result<ExitCode> {
    let options = |printed: &Printed| FigureOptions {
        kernel: None,
        rounds: None,
        printed: printed.clone(),
    };
    let transfer = |latency: &str| Options {
        no_vm: false,
        only_vm: false,
        kernel: Kernel::V6_1,
        repetitions: 5,
        seconds: 4,
        latency: latency.to_owned(),
        buffer_mib: None,
        printed: printed.clone(),
    };
    let mut measured = vec![packet(&PacketOptions {
        repetitions: 9,
        printed: printed.clone(),
    })?];
    setup::ensure_bench()?;
    setup::ensure_conformance()?;
    for name in [
        "unmatched",
        "exactness",
        "queue",
        "reaction",
        "daemon",
        "fleet",
        "relay",
        "toolkit",
    ] {
        measured.push(figures(name, &options(printed))?);
    }
    measured.push(throughput(&transfer("20ms"))?);
    measured.push(throughput(&transfer("100ms"))?);
    measured.push(beside(&BesideOptions {
        no_vm: false,
        kernel: Kernel::V6_1,
        rounds: None,
        latency: 100,
        printed: printed.clone(),
    })?);
    let json: Vec<&Value> = measured.iter().map(|measured| &measured.json).collect();
    let tables: Vec<&str> = measured
        .iter()
        .map(|measured| measured.table.as_str())
        .collect();
    printed.show(&json!(json), &tables.join("\n"))?;
    Ok(judge(
        measured.into_iter().flat_map(|measured| measured.goals),
    ))
}

fn throughput(options: &Options) -> Result<Measured> {
    build(if options.no_vm {
        Level::Demo
    } else {
        Level::Vm
    })?;
    let mut arguments = vec![
        "throughput".to_owned(),
        format!("--repetitions={}", options.repetitions),
        format!("--seconds={}", options.seconds),
        format!("--latency={}", options.latency),
    ];
    arguments.extend(options.buffer_mib.map(|mib| format!("--buffer-mib={mib}")));
    let mut runs = Vec::new();
    if !options.only_vm {
        runs.push(run(Place::Here, &arguments, 0)?);
    }
    if !options.no_vm {
        // Both ends, and the rest of a repetition, take their time in an emulated machine.
        let limit = 120 + options.repetitions * 3 * (options.seconds + 10);
        runs.push(run(Place::Vm(options.kernel), &arguments, limit)?);
    }
    let figures: Vec<Figures> = runs.iter().map(Figures::read).collect::<Result<_>>()?;
    Ok(Measured {
        json: json!({ "benchmark": "throughput", "runs": runs }),
        table: throughput::table(&figures),
        goals: figures.iter().flat_map(Figures::goals).collect(),
    })
}

fn packet(options: &PacketOptions) -> Result<Measured> {
    build(Level::Demo)?;
    let arguments = [
        "packet".to_owned(),
        format!("--repetitions={}", options.repetitions),
    ];
    let json = run(Place::Here, &arguments, 0)?;
    let cases = packet::read(&json)?;
    Ok(Measured {
        table: packet::table(&cases),
        goals: packet::goals(&cases),
        json,
    })
}

fn figures(name: &str, options: &FigureOptions) -> Result<Measured> {
    let place = options.kernel.map_or(Place::Here, Place::Vm);
    let rounds = options.rounds.map(|rounds| format!("--rounds={rounds}"));
    read_figures(place, [name.to_owned()].into_iter().chain(rounds))
}

fn beside(options: &BesideOptions) -> Result<Measured> {
    let place = if options.no_vm {
        Place::Here
    } else {
        Place::Vm(options.kernel)
    };
    let rounds = options.rounds.map(|rounds| format!("--rounds={rounds}"));
    let arguments = [
        "beside".to_owned(),
        format!("--latency={}", options.latency),
    ];
    read_figures(place, arguments.into_iter().chain(rounds))
}

fn read_figures(place: Place, arguments: impl Iterator<Item = String>) -> Result<Measured> {
    build(match place {
        Place::Here => Level::Demo,
        Place::Vm(_) => Level::Vm,
    })?;
    let arguments: Vec<String> = arguments.collect();
    let json = run(place, &arguments, 3000)?;
    let figures = figures::Run::read(&json)?;
    Ok(Measured {
        table: figures.table(),
        goals: figures.goals(),
        json,
    })
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

/// The command that runs the same program in the virtual machine, for `limit` seconds at most. It is another xtask, so
/// that the guest's stdout can be read without being shown.
fn in_vm(kernel: Kernel, limit: u32) -> Result<Command> {
    let xtask = env::current_exe().context("cannot find this program")?;
    let mut command = process::command(&xtask.to_string_lossy());
    command.args(["vm", "--kernel", kernel.series()]);
    command.args(["--timeout", &limit.to_string(), "--", &program()]);
    Ok(command)
}

/// Runs the program, its progress going where ours goes, and reads the object on its stdout. `limit` is for virtual
/// machines.
fn run(place: Place, arguments: &[String], limit: u32) -> Result<Value> {
    let words = arguments.join(" ");
    let mut command = match place {
        Place::Here => {
            eprintln!("bench: {words}, on this kernel");
            process::command(&program())
        }
        Place::Vm(kernel) => {
            eprintln!("bench: {words}, on kernel {}, emulated", kernel.series());
            in_vm(kernel, limit)?
        }
    };
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
