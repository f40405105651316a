//! Pods that are gone at once, without the time that a kubelet usually gives them.

use std::time::Duration;

use anyhow::ensure;
use chaos_tests::{requires, wait::for_a_while};

use super::{attached, says};
use crate::tutorial::Tutorial;

#[test]
fn a_pod_that_is_deleted_at_once_takes_nothing_with_it() {
    requires!(root, cgroup2);
    Tutorial::play("pod-deleted", |tutorial| {
        let attached = attached(tutorial, 15)?;
        let gone = tutorial.providers.remove(1);
        gone.delete()?;
        tutorial.cluster.server.delete_pod("demo", gone.name());
        // The agent looks for it twice a second, and chaosctl hears of it within one.
        for_a_while("the others are not let go with it", Duration::from_secs(2));
        tutorial.must_be_delayed()?;
        let output = attached.end()?;
        eprintln!("{}", output.stderr);
        ensure!(output.code == Some(0), "{output:?}");
        ensure!(output.stderr.contains("left: provider-2"), "{output:?}");
        Ok(())
    });
}

#[test]
fn an_only_pod_that_is_deleted_ends_it_and_is_named() {
    requires!(root, cgroup2);
    Tutorial::play("only-pod-deleted", |tutorial| {
        let attached = tutorial.start("delay --pod provider-2 100ms --duration 20s")?;
        let gone = tutorial.providers.remove(1);
        tutorial.wait_until_delayed(&gone, true)?;
        gone.delete()?;
        tutorial.cluster.server.delete_pod("demo", gone.name());
        says(&attached.end()?, &["node-b", "provider-2"])
    });
}
