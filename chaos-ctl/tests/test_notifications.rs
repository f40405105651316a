//! Whom the settings name, what `validate`, `discover` and `init` tell them. What `run` does, the conformance suite compares.

use std::fs;
use std::path::Path;

use crate::chaosctl::{Finished, chaosctl, finish};

/// A channel that writes down what it hears.
const HEARS: &str = r#"
def notify(channel, event):
    payload = event["payload"]
    of = payload.get("title", payload) if isinstance(payload, dict) else payload
    error = event.get("error")
    with open("heard", "a") as file:
        file.write(f"{event['phase']} {event['name']} {of} {type(error).__name__} {str(error)[:20]}\n")
"#;

const DISCOVERY: &str = r#"
from chaoslib.exceptions import DiscoveryFailed
def discover(package, discover_system, download_and_install):
    if package == "none":
        raise DiscoveryFailed("Package none not found")
    return {"title": "found", "activities": []}
"#;

fn scene() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("hears.py", HEARS);
    write("chaoslib/__init__.py", "");
    write(
        "chaoslib/exceptions.py",
        "class ActivityFailed(Exception): pass\nclass DiscoveryFailed(Exception): pass\nclass InvalidExperiment(Exception): pass\n",
    );
    write("chaoslib/discovery.py", DISCOVERY);
    write(
        "settings.yaml",
        "notifications:\n- {type: plugin, module: hears}\n- {type: plugin, module: nowhere, events: [init-started]}\n",
    );
    directory
}

fn chaosctl_in(directory: &Path, arguments: &[&str]) -> Finished {
    let mut arguments = arguments.to_vec();
    arguments.extend(["--settings", "settings.yaml"]);
    let mut command = chaosctl(&arguments);
    finish(
        command
            .current_dir(directory)
            .env("PYTHONPATH", directory)
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )
}

fn heard(directory: &Path) -> String {
    let heard = fs::read_to_string(directory.join("heard")).unwrap_or_default();
    // Of the next command alone.
    fs::write(directory.join("heard"), "").unwrap();
    heard
}

#[test]
fn a_validation_is_told_with_its_problems() {
    let scene = scene();
    let here = scene.path();
    fs::write(
        here.join("good.yaml"),
        "title: t\ndescription: d\nmethod: []\nsecrets: {a: {b: hidden}}\n",
    )
    .unwrap();
    fs::write(here.join("bad.yaml"), "title: t\ndescription: d\n").unwrap();
    assert_eq!(chaosctl_in(here, &["validate", "good.yaml"]).code, Some(0));
    assert_eq!(
        heard(here),
        "validate validate-started t NoneType None\nvalidate validate-completed t NoneType None\n"
    );
    assert_eq!(chaosctl_in(here, &["validate", "bad.yaml"]).code, Some(1));
    assert_eq!(
        heard(here),
        "validate validate-started t NoneType None\nvalidate validate-failed t InvalidExperiment bad.yaml:1:1: an exp\n"
    );
    // What cannot be read is no experiment that anybody could be told of.
    assert_eq!(chaosctl_in(here, &["validate", "none.yaml"]).code, Some(1));
    assert_eq!(heard(here), "");
}

#[test]
fn a_discovery_is_told_with_what_was_found() {
    let scene = scene();
    let here = scene.path();
    assert_eq!(chaosctl_in(here, &["discover", "ext"]).code, Some(0));
    assert_eq!(
        heard(here),
        "discovery discovery-started ext NoneType None\ndiscovery discovery-completed found NoneType None\n"
    );
    assert_eq!(chaosctl_in(here, &["discover", "none"]).code, Some(1));
    assert_eq!(
        heard(here),
        "discovery discovery-started none NoneType None\ndiscovery discovery-failed none DiscoveryFailed Package none not fou\n"
    );
}

#[test]
fn an_experiment_that_is_written_is_told_and_who_was_not_is_said() {
    let scene = scene();
    let here = scene.path();
    let finished = chaosctl_in(here, &["init", "--no-input", "--title", "new"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let untold = "a channel of the settings was not told of init-started: the Python module `nowhere` cannot be imported";
    assert!(finished.stderr.contains(untold), "{finished:?}");
    assert_eq!(
        heard(here),
        "init init-started None NoneType None\ninit init-completed new NoneType None\n"
    );
    assert_eq!(
        chaosctl_in(here, &["init", "--no-input", "--title", "new"]).code,
        Some(1)
    );
    assert_eq!(heard(here), "init init-started None NoneType None\n");
}
