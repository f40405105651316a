//! What rustup and cargo install: components of the toolchain, bpf-linker, nextest.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{process, workspace};

/// The bpf-linker that reads the bitcode of the rustc in `rust-toolchain.toml`.
const BPF_LINKER: &str = "0.13.0";
/// LLVM's major is rustc's.
const LLVM: &str = "/usr/lib/llvm-22";

fn sysroot() -> Result<PathBuf> {
    let sysroot = process::output(process::command("rustc").args(["--print", "sysroot"]))
        .context("cannot ask rustc where it is installed")?;
    Ok(PathBuf::from(sysroot.trim()))
}

/// The standard library of another target.
pub(super) fn target(name: &str) -> Result<()> {
    if sysroot()?.join("lib/rustlib").join(name).exists() {
        return Ok(());
    }
    println!("setup: adding to the Rust toolchain: {name}");
    process::run(process::command("rustup").args(["target", "add", name]))
        .with_context(|| format!("this Rust toolchain lacks the target {name}"))
}

/// rust-src (to build `core` for BPF), rustfmt and clippy.
pub(super) fn components() -> Result<()> {
    let sysroot = sysroot()?;
    let missing: Vec<&str> = [
        ("rust-src", "lib/rustlib/src/rust/library/core/src/lib.rs"),
        ("rustfmt", "bin/rustfmt"),
        ("clippy", "bin/cargo-clippy"),
    ]
    .into_iter()
    .filter(|(_, file)| !sysroot.join(file).exists())
    .map(|(component, _)| component)
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!(
        "setup: adding to the Rust toolchain: {}",
        missing.join(", ")
    );
    process::run(
        process::command("rustup")
            .args(["component", "add"])
            .args(&missing),
    )
    .with_context(|| format!("this Rust toolchain lacks {}", missing.join(", ")))
}

pub(super) fn bpf_linker_missing() -> bool {
    let Some(linker) = workspace::find_command("bpf-linker") else {
        return true;
    };
    let version = process::output(process::command(&linker.to_string_lossy()).arg("--version"));
    !version.is_ok_and(|text| text.trim().ends_with(BPF_LINKER))
}

pub(super) fn install_bpf_linker() -> Result<()> {
    println!(
        "setup: compiling bpf-linker {BPF_LINKER} (about a minute): it links the BPF programs"
    );
    process::run(
        process::cargo()
            .args([
                "install",
                "bpf-linker",
                "--version",
                BPF_LINKER,
                "--locked",
                "--force",
            ])
            .args(["--no-default-features", "--features", "llvm-22"])
            .env("RUSTFLAGS", format!("-L native={LLVM}/lib"))
            .env("LLVM_SYS_221_PREFIX", LLVM)
            // The caller's build directory is not for this, and need not be on this disk.
            .env(
                "CARGO_TARGET_DIR",
                workspace::tools().join("bpf-linker-build"),
            ),
    )?;
    std::fs::remove_dir_all(workspace::tools().join("bpf-linker-build"))
        .context("cannot remove the build directory of bpf-linker")
}

pub(super) fn nextest() -> Result<()> {
    if workspace::find_command("cargo-nextest").is_some() {
        return Ok(());
    }
    println!("setup: compiling cargo-nextest (a few minutes): it runs the tests");
    process::run(process::cargo().args(["install", "--locked", "cargo-nextest"]))
}
