//! `chaosctl update` over several agents: what names mean is looked up as at the beginning.

use std::fs;

use anyhow::Result;
use chaos_proto::v1::{Filter, PortRange, rule::Fault};

use crate::run::{SERVICE, Scene};

/// Of each part that acts.
fn filters(scene: &Scene) -> Vec<Filter> {
    let parts = ["node-000", "node-001"].into_iter();
    let rules = parts.flat_map(|node| scene.experiments(node).remove(0).rules);
    rules.map(|rule| rule.filter.unwrap_or_default()).collect()
}

#[test]
fn names_mean_what_they_meant_at_the_beginning() -> Result<()> {
    let scene = Scene::new(2, 2)?;
    let id = scene.detach(["--svc", SERVICE])?;
    let update = |options: &[&str]| -> Result<_> {
        scene
            .chaosctl(&[&["update", &id], options].concat())?
            .finish()
    };
    // A port of the service is one of its pods, by number and by name; a service has addresses.
    for port in ["3001", "http"] {
        let peer = format!("svc/{SERVICE}");
        let updated = update(&["delay", "200ms", "--port", port, "--peer", &peer])?;
        updated.exited_with(0);
        let found = filters(&scene);
        assert_eq!(found.len(), 2);
        for filter in found {
            assert!(filter.ports.is_empty(), "{filter:?}");
            let ports = [PortRange {
                first: 3000,
                last: 3000,
            }];
            assert_eq!(filter.target_ports, ports);
            assert!(
                filter.peers.contains(&"10.244.0.1".to_owned()),
                "{filter:?}"
            );
            assert_eq!(filter.peers.len(), 3, "its own address too: {filter:?}");
        }
    }
    // Where no filter is given, it stays.
    let before = filters(&scene);
    let updated = update(&["delay", "300ms"])?;
    updated.exited_with(0);
    assert_eq!(filters(&scene), before);
    // What is wrong is said as at the beginning, and changes nothing.
    for (options, words) in [
        (
            &["--port", "3002"][..],
            "has no port 3002: its ports are 3001",
        ),
        (&["--peer", "svc/nobody"], "there is no service `nobody`"),
    ] {
        let refused = update(&[&["delay", "400ms"], options].concat())?;
        refused.exited_with(1);
        refused.said(words);
    }
    assert_eq!(filters(&scene), before);
    Ok(())
}

#[test]
fn a_file_must_be_about_the_same_pods() -> Result<()> {
    let scene = Scene::new(2, 2)?;
    let id = scene.detach(["-l", "app=provider-chaos"])?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("experiment.yaml");
    for (place, code) in [
        ("selector: app=provider-chaos", 0),
        ("selector: app=other", 1),
        ("deployment: provider-chaos", 1),
        ("netns: web", 1),
    ] {
        fs::write(
            &file,
            format!("{place}\nrules:\n  - delay: {{ latency: 250ms }}\n"),
        )?;
        let path = file.to_string_lossy();
        let updated = scene.chaosctl(&["update", &id, "-f", &path])?.finish()?;
        assert_eq!(updated.code, Some(code), "{place}: {}", updated.stderr);
        let is_said = updated
            .stderr
            .contains("acts on app=provider-chaos (namespace demo)");
        assert_eq!(is_said, code == 1, "{place}: {}", updated.stderr);
    }
    for node in ["node-000", "node-001"] {
        let rule = scene.experiments(node).remove(0).rules.remove(0);
        let Some(Fault::Delay(delay)) = rule.fault else {
            anyhow::bail!("{rule:?}");
        };
        assert_eq!(delay.latency.map(|time| time.nanos), Some(250_000_000));
    }
    Ok(())
}
