//! `cargo xtask build`: the workspace's programs.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::setup::{self, Level};
use crate::{process, workspace};

/// What a static program is compiled for.
const STATIC_TARGET: &str = "x86_64-unknown-linux-musl";
/// What is shipped: packages and their programs.
const SHIPPED: [(&str, &str); 2] = [("chaos-daemon", "chaos-daemon"), ("chaos-ctl", "chaosctl")];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Optimised, as they are shipped
    #[arg(long)]
    release: bool,
    /// The agent and chaosctl only, without any library: for images with nothing else in them
    #[arg(long = "static")]
    is_static: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    setup::ensure(Level::Build)?;
    let mut build = process::cargo();
    build.arg("build");
    if args.release {
        build.arg("--release");
    }
    if !args.is_static {
        return process::run(build.args(["--workspace", "--bins"]));
    }
    setup::ensure_static(STATIC_TARGET)?;
    build.args(["--locked", "--target", STATIC_TARGET]);
    for (package, program) in SHIPPED {
        build.args(["--package", package, "--bin", program]);
    }
    process::run(&mut build)?;
    let profile = if args.release { "release" } else { "debug" };
    let dir = workspace::target().join(STATIC_TARGET).join(profile);
    SHIPPED
        .into_iter()
        .try_for_each(|(_, program)| needs_no_library(&dir.join(program)))
}

/// Programs and tests in one go: cargo picks the features of dependencies by what it builds, and
/// asked for one after the other it would compile many of them twice.
pub(crate) fn programs_and_tests() -> Result<()> {
    process::run(process::cargo().args(["build", "--workspace", "--bins", "--tests"]))
}

fn needs_no_library(program: &Path) -> Result<()> {
    let image = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    match has_interpreter(&image) {
        Some(false) => {
            println!("build: {} needs no library", program.display());
            Ok(())
        }
        Some(true) => bail!("{} needs a dynamic linker", program.display()),
        None => bail!("{} is no 64-bit little-endian ELF file", program.display()),
    }
}

/// Whether an ELF file names a dynamic linker: a program header of type `PT_INTERP` (elf(5)). Nothing for other files.
fn has_interpreter(image: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let bytes = |at: usize, count: usize| image.get(at..at.checked_add(count)?);
    let short = |at| Some(u16::from_le_bytes(bytes(at, 2)?.try_into().ok()?).into());
    if bytes(0, 6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(bytes(32, 8)?.try_into().ok()?)).ok()?;
    let (size, count): (usize, usize) = (short(54)?, short(56)?);
    let mut found = false;
    for header in 0..count {
        let at = table.checked_add(header.checked_mul(size)?)?;
        let kind = u32::from_le_bytes(bytes(at, 4)?.try_into().ok()?);
        found |= kind == PT_INTERP;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_libraries_names_a_dynamic_linker() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(has_interpreter(&own), Some(true));
        // The same file, with all program headers of type 0.
        let mut without = own.clone();
        let table = usize::try_from(u64::from_le_bytes(own[32..40].try_into().unwrap())).unwrap();
        let count = usize::from(u16::from_le_bytes(own[56..58].try_into().unwrap()));
        for header in 0..count {
            without[table + header * 56..][..4].fill(0);
        }
        assert_eq!(has_interpreter(&without), Some(false));
    }

    #[test]
    fn what_is_no_program_is_neither() {
        assert_eq!(has_interpreter(b"#!/bin/sh\n"), None);
        assert_eq!(has_interpreter(b"\x7fELF\x02\x01"), None);
    }
}
