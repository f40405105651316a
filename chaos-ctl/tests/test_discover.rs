//! `chaosctl discover` against a Python whose library is a stand-in: what it is asked, and what becomes of its answers.

use std::path::Path;

use serde_json::Value;

use crate::chaosctl::{Finished, chaosctl, finish};

const LIBRARY: &str = r"
import json
class PayloadEncoder(json.JSONEncoder):
    pass
";

const EXCEPTIONS: &str = r"
class ActivityFailed(Exception):
    pass
class DiscoveryFailed(Exception):
    pass
class InterruptExecution(Exception):
    pass
class ExperimentExitedException(Exception):
    pass
";

const DISCOVERY: &str = r#"
from chaoslib.exceptions import DiscoveryFailed
def discover(package, discover_system, download_and_install):
    print("extensions may print")
    if package == "none":
        raise DiscoveryFailed("Package none not found")
    activities = [{"type": "action", "name": "a"}, {"type": "probe", "name": "b"}, {"type": "probe", "name": "c"}]
    return {"activities": activities, "asked": [package, discover_system, download_and_install]}
"#;

fn discover(directory: &Path, arguments: &[&str]) -> Finished {
    let library = directory.join("chaoslib");
    std::fs::create_dir_all(&library).unwrap();
    std::fs::write(library.join("__init__.py"), LIBRARY).unwrap();
    std::fs::write(library.join("exceptions.py"), EXCEPTIONS).unwrap();
    std::fs::write(library.join("discovery.py"), DISCOVERY).unwrap();
    let arguments: Vec<_> = ["discover"].iter().chain(arguments).copied().collect();
    let mut command = chaosctl(&arguments);
    finish(
        command
            .current_dir(directory)
            .env("PYTHONPATH", directory)
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )
}

#[test]
fn what_is_offered_is_saved() {
    let directory = tempfile::tempdir().unwrap();
    let finished = discover(directory.path(), &["ext", "--no-install"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(
        finished
            .stderr
            .contains("ext offers 1 action and 2 probes, saved in ./discovery.json"),
        "{finished:?}"
    );
    let text = std::fs::read_to_string(directory.path().join("discovery.json")).unwrap();
    let saved: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(saved["asked"], serde_json::json!(["ext", true, false]));
    let finished = discover(
        directory.path(),
        &["ext", "--no-system-info", "--discovery-path", "d.json"],
    );
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let text = std::fs::read_to_string(directory.path().join("d.json")).unwrap();
    assert!(text.contains("\"ext\",\n    false,\n    true"), "{text}");
}

#[test]
fn what_fails_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let finished = discover(directory.path(), &["none"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished
            .stderr
            .contains("error: none was not discovered: Package none not found\n"),
        "{finished:?}"
    );
    let finished = discover(directory.path(), &["ext", "--python", "/no/python3"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished
            .stderr
            .contains("`/no/python3` is of no use: it cannot be started"),
        "{finished:?}"
    );
    assert!(!directory.path().join("discovery.json").exists());
}
