//! `chaosctl drill` in a cluster, with simulated agents.

use std::{fs, time::Duration};

use anyhow::Result;
use chaos_tests::wait::wait_until;

use crate::run::{PATIENCE, SERVICE, Scene};

/// Nothing is sent to it: discarded by the host itself.
const NOBODY: &str = "http://127.0.0.1:9/";

#[test]
fn an_interruption_is_felt_while_the_second_phase_is_planned() -> Result<()> {
    let scene = Scene::new(1, 1)?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("drill.yaml");
    let phase = |name: &str, place: &str| {
        format!(
            "  - {{ name: {name}, for: 1m, faults: {{ {place}, rules: [{{ loss: {{ percent: 5 }} }}] }} }}\n"
        )
    };
    let one = phase("one", "selector: app=provider-chaos");
    let two = phase("two", &format!("service: {SERVICE}"));
    let text = format!("load: {{ url: '{NOBODY}', rate: 1/s }}\nphases:\n{one}{two}");
    fs::write(&file, text)?;
    // Slow enough for the second look-up not to be over before it can be held up.
    scene.server.delay_answers(Duration::from_millis(200));
    let file = file.to_str().unwrap();
    let mut running = scene.chaosctl(&["drill", file])?;
    wait_until("the second phase is looked up", PATIENCE, || {
        let requests = scene.server.requests();
        requests.iter().any(|one| one.path.contains("/services/"))
    })?;
    scene.server.pause();
    wait_until("the look-up waits", PATIENCE, || scene.server.waiting() > 0)?;
    running.interrupt()?;
    running.wait_for("error: interrupted before the first request")?;
    assert_eq!(running.finish()?.code, Some(1));
    assert!(scene.experiments("node-000").is_empty());
    Ok(())
}
