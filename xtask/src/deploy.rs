//! Whether `deploy/` can be applied, says the same in both its forms, and gives the agent no more than the documents say.
//!
//! Renders with the real kubectl and helm, validates with the schemas of Kubernetes, and compares what comes out. It does
//! not ask an API server: what only one that runs would refuse is not seen here.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::setup::Programs;
use crate::{process, setup, workspace};

mod agent;
mod pins;
mod rbac;
mod render;
mod same;

use render::{Rendering, Renderings};

/// What is wrong, and where: the name of a rendering, or a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    place: String,
    sentence: String,
}

impl Finding {
    fn new(place: &str, sentence: impl Into<String>) -> Self {
        Self {
            place: place.to_owned(),
            sentence: sentence.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.sentence)
    }
}

/// The documents that `deploy/` has to agree with.
struct Documents {
    kubernetes: String,
    systemd: String,
    chart: String,
    workspace: String,
}

impl Documents {
    fn read() -> Result<Self> {
        let text = |file: &str| {
            fs::read_to_string(workspace::root().join(file))
                .with_context(|| format!("cannot read {file}"))
        };
        Ok(Self {
            kubernetes: text("docs/kubernetes.md")?,
            systemd: text("deploy/systemd/chaos-daemon.service")?,
            chart: text("deploy/helm/chaos/Chart.yaml")?,
            workspace: text("Cargo.toml")?,
        })
    }
}

pub(crate) fn check() -> Result<()> {
    let programs = setup::ensure_deploy()?;
    let Renderings { list, mut findings } = render::all(&programs)?;
    let documents = Documents::read()?;
    let version = pins::version(&documents.workspace)?;
    findings.extend(pins::chart(&documents.chart, &version));
    findings.extend(agent::documents(&documents.kubernetes, &documents.systemd));
    for rendering in &list {
        findings.extend(agent::no_privileged(rendering));
        if rendering.has_agent {
            findings.extend(agent::check(rendering));
            findings.extend(rbac::check(rendering));
        }
        if rendering.is_default {
            findings.extend(pins::image(rendering, &version));
        }
    }
    for (left, right) in pairs(&list)? {
        findings.extend(same::compare(left, right));
    }
    findings.extend(dockerfile(&programs)?);
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => bail!("deploy: {count} things to mend, see above"),
    }
}

/// What must say the same: the chart and the kustomization that has the same content.
fn pairs(list: &[Rendering]) -> Result<Vec<(&Rendering, &Rendering)>> {
    let by_name = |name: &str| {
        list.iter()
            .find(|rendering| rendering.name == name)
            .with_context(|| format!("{name} was not rendered"))
    };
    render::SAME
        .iter()
        .map(|(left, right)| Ok((by_name(left)?, by_name(right)?)))
        .collect()
}

/// Hadolint's opinion; what it says has the line.
fn dockerfile(programs: &Programs) -> Result<Vec<Finding>> {
    let file = "Dockerfile";
    if !Path::new(workspace::root()).join(file).is_file() {
        return Ok(vec![Finding::new(file, "is not there")]);
    }
    let mut hadolint = process::command(&programs.hadolint.to_string_lossy());
    hadolint.args(["--no-color", "--no-fail", "--format", "json", file]);
    let said = process::output(&mut hadolint)?;
    let said: Vec<serde_json::Value> =
        serde_json::from_str(&said).context("cannot read what hadolint says")?;
    Ok(said
        .iter()
        .map(|one| {
            let text = |key: &str| one[key].as_str().unwrap_or_default();
            Finding::new(
                file,
                format!(
                    "line {}: {} ({})",
                    one["line"],
                    text("message"),
                    text("code")
                ),
            )
        })
        .collect())
}
