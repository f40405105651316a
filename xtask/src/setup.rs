//! `cargo xtask setup`: what the other verbs need and this machine does not have.
//!
//! Every step first looks whether its result is there, so a second run costs a few file look-ups.
//! It needs Rust, apt and root, and nothing else; what it fetches itself goes below `target/tools`.

use std::fs::{self, File};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::workspace;

mod apt;
mod kernels;
mod machine;
mod rust;

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
    }
    if level >= Level::Vm {
        wanted.extend(apt::VM);
        if !vng().is_file() {
            wanted.push(&apt::VENV);
        }
    }
    wanted
        .into_iter()
        .filter(|package| !package.is_there())
        .collect()
}
