//! Looks for what the product may have left behind: in the kernel, in the lab's namespaces, in the file system. It knows
//! the product by the names that it gives to things, and nothing else of it.

use std::{fmt, fs, process::Command};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use super::{Lab, Namespace, namespace::output};

/// What was found; see [`Lab::leftovers`]. Every entry is a sentence for a person.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leftovers(pub Vec<String>);

impl Leftovers {
    /// Names of the product's BPF programs start with this.
    const PROGRAM: &str = "chaos_";
    /// Names of the product's network devices start with this.
    const DEVICE: &str = "chaos";

    /// True when nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks everywhere.
    pub(super) fn look(lab: &Lab) -> Result<Self> {
        let mut found = programs()?;
        let namespaces = lab.hosts().into_iter().map(|host| host.namespace().clone());
        for namespace in namespaces.chain([lab.switch().clone()]) {
            // A test may have deleted one of its hosts.
            if namespace.path().exists() {
                found.extend(devices(&namespace)?);
                found.extend(qdiscs(&namespace)?);
            }
        }
        for directory in ["/sys/fs/bpf", "/run/chaos"] {
            for entry in fs::read_dir(directory).into_iter().flatten() {
                let path = entry.with_context(|| format!("list {directory}"))?.path();
                if path
                    .file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with("chaos"))
                {
                    found.push(format!("file {}", path.display()));
                }
            }
        }
        Ok(Self(found))
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// The product's BPF programs, of all processes.
fn programs() -> Result<Vec<String>> {
    let list = || aya::programs::loaded_programs().collect::<Result<Vec<_>, _>>();
    // A program that goes away while we iterate is an error of that iteration only.
    let programs = list()
        .or_else(|_| list())
        .or_else(|_| list())
        .context("list BPF programs")?;
    let ours = programs.iter().filter_map(|program| {
        let name = program
            .name_as_str()
            .filter(|name| name.starts_with(Leftovers::PROGRAM))?;
        Some(format!("BPF program {name} (id {})", program.id()))
    });
    Ok(ours.collect())
}

/// The product's network devices in a namespace.
fn devices(namespace: &Namespace) -> Result<Vec<String>> {
    let links = json(Command::new("ip").args(["-n", namespace.name(), "-json", "link", "show"]))?;
    let names = links.iter().filter_map(|link| link["ifname"].as_str());
    let ours = names.filter(|name| name.starts_with(Leftovers::DEVICE));
    let mut found: Vec<String> = ours
        .map(|name| format!("device {name} in {}", namespace.name()))
        .collect();
    // The lab puts no program there.
    for link in links.iter().filter(|link| !link["xdp"].is_null()) {
        found.push(format!(
            "XDP program on {} in {}",
            link["ifname"],
            namespace.name()
        ));
    }
    Ok(found)
}

/// The clsact qdiscs in a namespace (the lab makes none) and their filters.
fn qdiscs(namespace: &Namespace) -> Result<Vec<String>> {
    let tc = |args: &[&str]| {
        json(
            Command::new("tc")
                .args(["-n", namespace.name(), "-json"])
                .args(args),
        )
    };
    let mut found = Vec::new();
    for qdisc in tc(&["qdisc", "show"])? {
        if !qdisc["kind"]
            .as_str()
            .is_some_and(|kind| kind == "clsact" || kind == "ingress")
        {
            continue;
        }
        let device = qdisc["dev"].as_str().unwrap_or("?");
        found.push(format!(
            "qdisc {} of {device} in {}",
            qdisc["kind"],
            namespace.name()
        ));
        for hook in ["ingress", "egress"] {
            for filter in tc(&["filter", "show", "dev", device, hook])? {
                if let Some(name) = filter["options"]["bpf_name"].as_str() {
                    found.push(format!(
                        "{hook} filter {name} of {device} in {}",
                        namespace.name()
                    ));
                }
            }
        }
    }
    Ok(found)
}

/// The objects that an iproute2 command lists; it prints nothing at all when there are none.
fn json(command: &mut Command) -> Result<Vec<Value>> {
    let text = output(command)?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let value: Value =
        serde_json::from_str(&text).with_context(|| format!("{command:?}: no JSON: {text}"))?;
    value
        .as_array()
        .cloned()
        .ok_or_else(|| anyhow!("{command:?}: no list: {text}"))
}
