//! Builds the BPF objects of `chaos-ebpf` into `OUT_DIR`, where `attach::loader` includes them.
//!
//! `aya-build` does the same but fixes the compiler flags, and the programs need `target-cpu=v3`: an
//! atomic add that returns its old value does not exist before it (Linux 5.12).

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const OBJECTS: [&str; 4] = ["chaos", "door", "entry", "line"];
const FLAGS: [&str; 3] = ["-Clink-arg=--btf", "-Cdebuginfo=2", "-Ctarget-cpu=v3"];

fn main() -> Result<(), String> {
    let variable = |name| env::var(name).map_err(|error| format!("{name}: {error}"));
    let workspace = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("..");
    let out = PathBuf::from(variable("OUT_DIR")?);
    let target = match variable("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
        "big" => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };
    for path in ["chaos-ebpf", "chaos-abi", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={}", workspace.join(path).display());
    }
    let target_dir = out.join("bpf");
    let arch = format!(
        "--cfg=bpf_target_arch=\"{}\"",
        variable("CARGO_CFG_TARGET_ARCH")?
    );
    let flags: Vec<&str> = FLAGS.into_iter().chain([arch.as_str()]).collect();
    let status = Command::new(variable("CARGO")?)
        .current_dir(&workspace)
        .args([
            "build",
            "--quiet",
            "--locked",
            "--release",
            "--package",
            "chaos-ebpf",
        ])
        .args([
            "--features",
            "kernel",
            "--bins",
            "-Zbuild-std=core",
            "--target",
            target,
        ])
        .arg("--target-dir")
        .arg(&target_dir)
        // `build-std` is unstable; the toolchain is not.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        // Clippy and the like are for the host's crates.
        .env_remove("RUSTC")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !status.success() {
        return Err(
            "cannot build the BPF programs: run `cargo xtask setup`, which installs \
                    bpf-linker and rust-src, and see the messages above"
                .into(),
        );
    }
    for object in OBJECTS {
        let built = target_dir.join(target).join("release").join(object);
        fs::copy(&built, out.join(object))
            .map_err(|error| format!("{}: {error}", built.display()))?;
    }
    Ok(())
}
