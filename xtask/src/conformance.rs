//! `cargo xtask conformance`: experiments played by Chaos Toolkit itself and by `chaosctl run`, and compared.
//!
//! The cases are tests of `chaos-ctl`, so `cargo xtask test` plays them, too; this plays nothing else, and shows the table
//! of the differences that are intended.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::test::Tally;
use crate::{process, setup, workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Chaos Toolkit with itself: fails the cases whose outcome is not always the same
    #[arg(long)]
    reference: bool,
    /// First write the table of intended differences into docs/chaostoolkit-differences.md
    #[arg(long)]
    write: bool,
    /// Only cases whose names, such as `tolerance::regex`, contain one of these
    names: Vec<String>,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    setup::ensure_conformance()?;
    let mut run = process::cargo();
    run.args([
        "nextest",
        "run",
        "--package",
        "chaos-ctl",
        "--test",
        "conformance",
    ]);
    run.args([
        "--no-fail-fast",
        "--status-level",
        "fail",
        "--final-status-level",
        "fail",
    ]);
    run.args(&args.names);
    run.env("CHAOS_TEST_STRICT", "1");
    if args.reference {
        run.env("CHAOS_CONFORMANCE_SUBJECT", "reference");
    }
    if args.write {
        run.env("UPDATE_DIFFERENCES", "1");
    }
    let (mut child, shown) = process::spawn_shown(&mut run)?;
    let status = child.wait().context("cannot wait for cargo nextest")?;
    let tally = Tally::of_nextest(&shown.finish()?, status.success());
    if !args.reference {
        println!("conformance: differences that are intended\n{}", table()?);
    }
    // The last line: a person reads it, and so does whatever started this.
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The table in the documentation; a test compares it with the list that the cases are held to.
fn table() -> Result<String> {
    let path = workspace::root().join("docs/chaostoolkit-differences.md");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    Ok(rows.join("\n"))
}
