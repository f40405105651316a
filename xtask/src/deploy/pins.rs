//! One version of everything: the workspace's, the chart's, and the image's.

use anyhow::{Context as _, Result};

use super::Finding;
use super::render::Rendering;

/// The workspace's, from its manifest.
pub(super) fn version(manifest: &str) -> Result<String> {
    manifest
        .lines()
        .skip_while(|line| *line != "[workspace.package]")
        .find_map(|line| line.strip_prefix("version = "))
        .map(|version| version.trim_matches('"').to_owned())
        .context("Cargo.toml has no version below [workspace.package]")
}

/// The chart is released with the commands.
pub(super) fn chart(chart: &str, version: &str) -> Vec<Finding> {
    ["version", "appVersion"]
        .into_iter()
        .filter(|key| {
            !chart
                .lines()
                .any(|line| line == format!("{key}: {version}"))
        })
        .map(|key| {
            let sentence = format!("{key} is not {version}, the workspace's version");
            Finding::new("deploy/helm/chaos/Chart.yaml", sentence)
        })
        .collect()
}

/// What is run is what these files were written for: never a tag that moves.
pub(super) fn image(rendering: &Rendering, version: &str) -> Vec<Finding> {
    let wanted = format!("chaos-daemon:{version}");
    rendering
        .of_kind("DaemonSet")
        .map(|set| &set["spec"]["template"]["spec"]["containers"][0]["image"])
        .filter(|image| **image != wanted.as_str())
        .map(|image| {
            let sentence = format!("runs {image} and not {wanted}, the workspace's version");
            Finding::new(&rendering.name, sentence)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::render::rendering;
    use super::*;

    #[test]
    fn version_is_the_workspaces() {
        let manifest = "[workspace]\n\n[workspace.package]\nversion = \"1.2.3\"\nedition = \"x\"\n";
        assert_eq!(version(manifest).unwrap(), "1.2.3");
        assert!(version("[package]\nversion = \"1.2.3\"\n").is_err());
    }

    #[test]
    fn chart_and_image_have_it() {
        let good = "name: chaos\nversion: 1.2.3\nappVersion: 1.2.3\n";
        assert_eq!(chart(good, "1.2.3"), []);
        assert_eq!(chart(good, "1.2.4").len(), 2);
        let set = json!({
            "kind": "DaemonSet",
            "spec": { "template": { "spec": { "containers": [{ "image": "chaos-daemon:1.2.3" }] } } },
        });
        let rendering = rendering(vec![set]);
        assert_eq!(image(&rendering, "1.2.3"), []);
        assert_eq!(image(&rendering, "1.2.4").len(), 1);
    }
}
