//! `cargo xtask demo`: a service slowed down by the real programs, and measured.
//!
//! The demonstration is a program of the package `chaos-tests`, because it needs the lab; this only
//! builds and starts it.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Error, Result, bail};

use crate::setup::{self, Level};
use crate::{process, workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long the fault lasts: 30s, 1m30s
    #[arg(long, value_name = "TIME", default_value = "10s")]
    duration: String,
}

/// Returns only when it fails: the demonstration takes this process's place, and with it Ctrl-C.
pub(crate) fn main(args: &Args) -> Result<()> {
    let me = std::fs::metadata("/proc/self").context("cannot read /proc/self")?;
    if me.uid() != 0 {
        bail!("the demo makes network namespaces and loads BPF programs: run it as root");
    }
    setup::ensure(Level::Demo)?;
    println!("demo: building the programs (a few minutes the first time)");
    // Unoptimised, and with the same features as for the tests, so that nothing compiles twice.
    process::run(process::cargo().args(["build", "--workspace", "--bins"]))?;
    let demo = workspace::target().join("debug/demo");
    let mut demo = process::command(&demo.to_string_lossy());
    demo.args(["--duration", &args.duration]);
    Err(Error::new(demo.exec()).context(format!("cannot start `{}`", process::line(&demo))))
}
