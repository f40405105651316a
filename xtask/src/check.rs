//! `cargo xtask check`: what a change must pass before anybody looks at it. The inner loop, so fast.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::setup::{self, Level};
use crate::{deploy, process, tidy, workspace};

type Step = fn() -> Result<()>;

/// In the order of their cost. All of them run, so that one call tells everything there is to mend.
const STEPS: [(&str, Step); 5] = [
    ("tidy", tidy::check),
    ("fmt", fmt),
    ("deploy", deploy::check),
    ("clippy for BPF", clippy_bpf),
    ("clippy", clippy_host),
];

pub(crate) fn main() -> Result<()> {
    let start = Instant::now();
    setup::ensure(Level::Build)?;
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        if let Err(error) = step() {
            eprintln!("check: {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("check: {} found something, see above", failed.join(", "));
    }
    println!(
        "check: all is well ({:.1} s)",
        start.elapsed().as_secs_f32()
    );
    Ok(())
}

fn fmt() -> Result<()> {
    process::run(process::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy_host() -> Result<()> {
    process::run(
        process::cargo()
            .args(["clippy", "--quiet", "--workspace", "--all-targets"])
            .args(["--keep-going", "--", "-D", "warnings"]),
    )
}

/// Clippy on the programs that the kernel runs, which exist for the BPF target only.
fn clippy_bpf() -> Result<()> {
    let arch = format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH);
    process::run(
        process::cargo()
            .args(["clippy", "--quiet", "--package", "chaos-ebpf", "--bins"])
            .args(["--features", "kernel", "--target", "bpfel-unknown-none"])
            .arg("-Zbuild-std=core")
            // Build scripts look at RUSTC_BOOTSTRAP: sharing a build directory with the host's
            // compilations would compile those anew each time.
            .arg("--target-dir")
            .arg(workspace::target().join("clippy-bpf"))
            .args(["--", "-D", "warnings"])
            .env("RUSTC_BOOTSTRAP", "1")
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                ["-Ctarget-cpu=v3", &arch].join("\x1f"),
            ),
    )
}
