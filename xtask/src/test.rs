//! `cargo xtask test`: every test there is, on this kernel and in a virtual machine.
//!
//! The programs and the tests are compiled once, on this machine. The virtual machine runs the same
//! binaries of the lab, where the agent finds `fq` and picks the engine that is named after it.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{IsTerminal as _, stderr};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::setup::{self, Kernel, Kernels, Level};
use crate::vm::Guest;
use crate::{build, process, workspace};

mod tally;

use tally::EndedTest;
pub(crate) use tally::Tally;

/// Ends a virtual machine whose tests do not end; each test has a limit of its own besides.
const VM_LIMIT: Duration = Duration::from_mins(40);
/// The same, for all tests of the lab.
const WHOLE_LAB_LIMIT: Duration = Duration::from_hours(3);
/// nextest says every two minutes what it waits for.
const VM_SILENCE: Duration = Duration::from_mins(5);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only on this kernel
    #[arg(long, conflicts_with = "only_vm")]
    no_vm: bool,
    /// Only in the virtual machine
    #[arg(long)]
    only_vm: bool,
    /// The kernel of the virtual machine
    #[arg(long, value_enum, default_value = "6.1")]
    kernel: Kernels,
    /// In the virtual machine also what depends least on the kernel, and packets by the thousand against their models: an
    /// hour and more
    #[arg(long)]
    whole_lab: bool,
    /// Only tests whose names contain one of these
    #[arg(last = true)]
    filter: Vec<String>,
}

impl Args {
    /// Whoever names tests means them wherever they are.
    fn asks_whole_lab(&self) -> bool {
        self.whole_lab || !self.filter.is_empty()
    }
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    setup::ensure(Level::Test)?;
    if !args.no_vm {
        setup::ensure_kernels(args.kernel.list())?;
    }
    build::programs_and_tests()?;
    let mut tally = Tally::default();
    if !args.only_vm {
        println!("test: on this kernel");
        tally += host(&args.filter)?;
        if args.filter.is_empty() {
            println!("test: examples in the documentation");
            tally += examples()?;
        }
    }
    if !args.no_vm {
        for &kernel in args.kernel.list() {
            println!("test: the lab on kernel {}, emulated", kernel.series());
            tally += in_vm(kernel, args)?;
        }
    }
    if tally.passed == 0 && tally.failed == 0 {
        eprintln!("test: no test has such a name");
        return Ok(ExitCode::FAILURE);
    }
    // The last line: a person reads it, and so does whatever started this.
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn host(filter: &[String]) -> Result<Tally> {
    let mut run = process::cargo();
    run.args(["nextest", "run", "--workspace"]);
    run.args(nextest_options(
        if is_ci() { "ci" } else { "default" },
        filter,
    ));
    strict(&mut run);
    let (mut child, shown) = process::spawn_shown(&mut run)?;
    let status = child.wait().context("cannot wait for cargo nextest")?;
    Ok(Tally::of_nextest(&shown.finish()?, status.success()))
}

/// nextest leaves the examples in documentation to cargo.
fn examples() -> Result<Tally> {
    let mut run = process::cargo();
    run.args(["test", "--quiet", "--workspace", "--doc"]);
    let (mut child, shown) = process::spawn_shown(&mut run)?;
    let status = child.wait().context("cannot wait for cargo test")?;
    Ok(Tally::of_libtest(&shown.finish()?, status.success()))
}

/// What the lab has that a kernel can be asked, however long it takes: not what is about a cluster, a drill or an experiment
/// of Chaos Toolkit, nor the lab itself and its load, of which all others are made.
const LAB: &str = "package(chaos-tests) & kind(test) & not binary(cluster) & not binary(netns) \
                   & not test(/^(bad_input|drill|experiments)::/)";

/// What of that is about the kernel's own part: that it takes the programs, where it lets them in, what waits in its queues,
/// its doors, cgroups and XDP, and what it takes away when an agent dies. Which packets a program chooses it decides by itself,
/// and what becomes of requests behind a door, of names and of an agent's clients is processes': those say the same on this
/// kernel, and [`Args::whole_lab`] asks all the same.
const KERNELS_PART: &str = "((binary(daemon) & test(/^(delay|doors|faults|host_network|node|rewrites|target_gone|when_it_dies)::/)) \
                            | (binary(progrun) & test(/^(arrival|door|fragments|frames|holds|line|rewrites)::/)))";

/// The binaries of the lab, under the same runner. It finds them by two files that this machine's
/// cargo writes, because the guest is no place to compile in.
fn in_vm(kernel: Kernel, args: &Args) -> Result<Tally> {
    let dir = workspace::tools().join("vm");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let binaries = process::output(
        process::cargo()
            .args([
                "nextest",
                "list",
                "--workspace",
                "--list-type",
                "binaries-only",
            ])
            .args(["--message-format", "json"]),
    )?;
    let metadata = process::output(process::cargo().args(["metadata", "--format-version", "1"]))?;
    let (binaries_file, metadata_file) = (dir.join("binaries.json"), dir.join("metadata.json"));
    fs::write(&binaries_file, binaries).context("cannot write the list of test binaries")?;
    fs::write(&metadata_file, metadata).context("cannot write cargo's metadata")?;

    let guest = Guest {
        kernel,
        timeout: if args.asks_whole_lab() {
            WHOLE_LAB_LIMIT
        } else {
            VM_LIMIT
        },
        console: false,
        silence: Some(VM_SILENCE),
    };
    let variables = [
        // Debian's kernel has all that the lab asks for: a test that skips there is a broken guest.
        ("CHAOS_TEST_STRICT", "1"),
        // nextest sets LD_LIBRARY_PATH to cargo's directories, which hold no library that a test
        // needs. Every program that a test starts would search them, through the guest's window
        // onto this machine's files: that made tests take three times as long.
        (
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER",
            "env --unset=LD_LIBRARY_PATH",
        ),
    ];
    let nextest = workspace::find_command("cargo-nextest").context("cargo-nextest is missing")?;
    let words = |but: &[EndedTest]| {
        let mut run = Command::new(&nextest);
        run.args(["nextest", "run", "--binaries-metadata"])
            .arg(&binaries_file);
        run.arg("--cargo-metadata").arg(&metadata_file);
        run.arg("--filterset")
            .arg(in_guest(args.asks_whole_lab(), but));
        run.args(nextest_options("vm", &args.filter));
        let words = std::iter::once(run.get_program()).chain(run.get_args());
        words
            .map(|word| word.to_string_lossy().into_owned())
            .collect::<Vec<_>>()
    };
    let mut ended = guest.run(&words(&[]), workspace::root(), &variables)?;
    let mut before = Tally::default();
    if ended.froze {
        // Seen once in some hundred runs, and its cause is not known: the emulation, the kernel, or we. Tests that had
        // ended stay as they ended; the others, that which ran included, get one more machine, and a second freeze fails.
        let names = tally::ended(&ended.output);
        for test in &names {
            before.passed += u32::from(test.passed);
            before.failed += u32::from(!test.passed);
        }
        println!(
            "test: {} tests had ended; the others, on another machine",
            names.len()
        );
        ended = guest.run(&words(&names), workspace::root(), &variables)?;
        if ended.froze {
            bail!(
                "the virtual machine with kernel {} froze twice",
                kernel.series()
            );
        }
    }
    before += Tally::of_nextest(&ended.output, ended.code == 0);
    Ok(before)
}

/// The tests of the guest, but these.
fn in_guest(whole_lab: bool, but: &[EndedTest]) -> String {
    let mut set = LAB.to_owned();
    if !whole_lab {
        let _ = write!(set, " & {KERNELS_PART}");
    }
    for EndedTest { binary, name, .. } in but {
        let _ = write!(set, " & not (binary_id({binary}) & test(={name}))");
    }
    set
}

fn nextest_options(profile: &str, filter: &[String]) -> Vec<String> {
    let color = if stderr().is_terminal() {
        "always"
    } else {
        "never"
    };
    let options = ["--profile", profile, "--color", color, "--no-tests", "pass"];
    options
        .into_iter()
        .map(str::to_owned)
        .chain(filter.iter().cloned())
        .collect()
}

/// In CI a test that cannot run has failed; elsewhere it says what it lacks, and is skipped.
fn strict(command: &mut Command) {
    if is_ci() {
        command.env("CHAOS_TEST_STRICT", "1");
    }
}

fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty())
}
