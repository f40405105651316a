//! Pods that are gone at once, without the time that a kubelet usually gives them.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use chaos_tests::requires;

use super::{attached, says};
use crate::tutorial::Tutorial;

#[test]
fn a_pod_that_is_deleted_at_once_takes_nothing_with_it() {
    requires!(root, cgroup2);
    let test = || -> Result<()> {
        let mut tutorial = Tutorial::new("pod-deleted")?;
        let attached = attached(&tutorial, 15)?;
        let gone = tutorial.providers.remove(1);
        gone.delete()?;
        tutorial.cluster.server.delete_pod("demo", gone.name());
        thread::sleep(Duration::from_secs(2));
        for pod in &tutorial.providers {
            ensure!(tutorial.is_delayed(pod)?, "{} was let go", pod.name());
        }
        let output = attached.end()?;
        eprintln!("{}", output.stderr);
        ensure!(output.code == Some(0), "{output:?}");
        ensure!(output.stderr.contains("left: provider-2"), "{output:?}");
        tutorial.must_be_over()
    };
    test().unwrap();
}

#[test]
fn an_only_pod_that_is_deleted_ends_it_and_is_named() {
    requires!(root, cgroup2);
    let test = || -> Result<()> {
        let mut tutorial = Tutorial::new("only-pod-deleted")?;
        let attached = tutorial.start("delay --pod provider-2 100ms --duration 20s")?;
        let gone = tutorial.providers.remove(1);
        tutorial.wait_until_delayed(&gone, true)?;
        gone.delete()?;
        tutorial.cluster.server.delete_pod("demo", gone.name());
        says(&attached.end()?, &["node-b", "provider-2"])?;
        tutorial.must_be_over()
    };
    test().unwrap();
}
