//! `cargo xtask build`: the workspace's programs.

use anyhow::Result;

use crate::process;
use crate::setup::{self, Level};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Optimised, as they are shipped
    #[arg(long)]
    release: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    setup::ensure(Level::Build)?;
    let mut build = process::cargo();
    build.args(["build", "--workspace", "--bins"]);
    if args.release {
        build.arg("--release");
    }
    process::run(&mut build)
}

/// Programs and tests in one go: cargo picks the features of dependencies by what it builds, and
/// asked for one after the other it would compile many of them twice.
pub(crate) fn programs_and_tests() -> Result<()> {
    process::run(process::cargo().args(["build", "--workspace", "--bins", "--tests"]))
}
