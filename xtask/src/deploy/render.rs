//! From the files of `deploy/` to the objects that an API server would get.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Finding;
use crate::setup::Programs;
use crate::{process, workspace};

/// The oldest Kubernetes that has all fields in use, and the newest whose schemas there are.
const VERSIONS: &str = "1.30,1.37";
/// Reads YAML, validates, prints JSON.
const OBJECTS: &str = "xtask/src/deploy/objects.py";
const CHART: &str = "deploy/helm/chaos";

/// What of `deploy/` is looked at.
struct Source {
    name: &'static str,
    from: From,
    has_agent: bool,
}

enum From {
    /// A directory with a kustomization.
    Kustomize,
    /// The chart, with these options.
    Helm(&'static [&'static str]),
    /// A file as it is.
    File,
}

const SOURCES: [Source; 8] = [
    source("deploy/kubernetes/base", From::Kustomize, true),
    source("deploy/kubernetes/metrics", From::Kustomize, true),
    source("deploy/helm/chaos", From::Helm(&[]), true),
    source(
        "deploy/helm/chaos with a ServiceMonitor",
        From::Helm(&["--set", "metrics.serviceMonitor.enabled=true"]),
        true,
    ),
    source(
        "deploy/helm/chaos with other values",
        From::Helm(&["--values", "deploy/helm/chaos/ci/other-values.yaml"]),
        true,
    ),
    source(
        "deploy/kubernetes/examples/operators.yaml",
        From::File,
        false,
    ),
    source(
        "deploy/kubernetes/examples/tutorial.yaml",
        From::File,
        false,
    ),
    source(
        "deploy/kubernetes/examples/continuous.yaml",
        From::File,
        false,
    ),
];

/// What must have the same content.
pub(super) const SAME: [(&str, &str); 2] = [
    ("deploy/kubernetes/base", "deploy/helm/chaos"),
    (
        "deploy/kubernetes/metrics",
        "deploy/helm/chaos with a ServiceMonitor",
    ),
];

const fn source(name: &'static str, from: From, has_agent: bool) -> Source {
    Source {
        name,
        from,
        has_agent,
    }
}

/// The objects of one source.
#[derive(Debug)]
pub(super) struct Rendering {
    pub(super) name: String,
    pub(super) objects: Vec<Value>,
    /// Whether the agent is among them.
    pub(super) has_agent: bool,
    /// Whether nobody has changed anything by values.
    pub(super) is_default: bool,
}

/// All sources, and what the schemas have against them.
pub(super) struct Renderings {
    pub(super) list: Vec<Rendering>,
    pub(super) findings: Vec<Finding>,
}

pub(super) fn all(programs: &Programs) -> Result<Renderings> {
    let dir = workspace::target().join("deploy");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let mut lint = process::command(&programs.helm.to_string_lossy());
    process::output(lint.args(["lint", "--strict", "--quiet", CHART]))?;
    let mut files = Vec::new();
    for (number, source) in SOURCES.iter().enumerate() {
        let file = dir.join(format!("{number}.yaml"));
        fs::write(&file, render(programs, source)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        files.push(file);
    }
    let mut read = process::command(&programs.python.to_string_lossy());
    let read = process::output(read.arg(OBJECTS).arg(VERSIONS).args(&files))?;
    let read: Value = serde_json::from_str(&read).context("cannot read rendered objects")?;
    Ok(sorted_out(&read, &files))
}

fn render(programs: &Programs, source: &Source) -> Result<String> {
    match source.from {
        From::Kustomize => {
            let mut kubectl = process::command(&programs.kubectl.to_string_lossy());
            process::output(kubectl.args(["kustomize", source.name]))
        }
        From::Helm(options) => {
            let mut helm = process::command(&programs.helm.to_string_lossy());
            process::output(helm.args(["template", "chaos", CHART]).args(options))
        }
        From::File => fs::read_to_string(workspace::root().join(source.name))
            .with_context(|| format!("cannot read {}", source.name)),
    }
}

fn sorted_out(read: &Value, files: &[PathBuf]) -> Renderings {
    let key = |file: &Path| file.to_string_lossy().into_owned();
    let list = files
        .iter()
        .zip(&SOURCES)
        .map(|(file, source)| Rendering {
            name: source.name.to_owned(),
            objects: read["files"][key(file)]
                .as_array()
                .cloned()
                .unwrap_or_default(),
            has_agent: source.has_agent,
            is_default: source.has_agent && !source.name.ends_with("other values"),
        })
        .collect();
    let findings = read["findings"].as_array().into_iter().flatten();
    let findings = findings
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap_or_default();
            let at = files.iter().position(|file| key(file) == text("file"));
            let place = at.map_or(text("file"), |at| SOURCES[at].name);
            Finding::new(place, text("sentence"))
        })
        .collect();
    Renderings { list, findings }
}

impl Rendering {
    /// The objects of a kind.
    pub(super) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects
            .iter()
            .filter(move |object| object["kind"] == kind)
    }

    /// The only object of a kind with this name.
    pub(super) fn one(&self, kind: &str, name: &str) -> Option<&Value> {
        self.objects
            .iter()
            .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
    }
}

/// What an object is called in a sentence.
pub(super) fn called(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let metadata = &object["metadata"];
    let name = text(&metadata["name"]);
    match metadata["namespace"].as_str() {
        Some(namespace) => format!("{} {namespace}/{name}", text(&object["kind"])),
        None => format!("{} {name}", text(&object["kind"])),
    }
}

#[cfg(test)]
pub(super) fn rendering(objects: Vec<Value>) -> Rendering {
    Rendering {
        name: "test".to_owned(),
        objects,
        has_agent: true,
        is_default: true,
    }
}
