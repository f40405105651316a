//! Clocks that are off: a deadline is a length of time, whatever a wall shows.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chaos_tests::requires;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{attached, nothing_outlives};
use crate::tutorial::Tutorial;

#[test]
fn clocks_an_hour_apart_change_nothing() {
    requires!(root, cgroup2);
    for hours in [1, -1] {
        Tutorial::play("clock-skew", |tutorial| {
            let ahead = SignedDuration::from_hours(hours);
            tutorial.cluster.server.set_clock_ahead(ahead);
            let began = Instant::now();
            attached(tutorial, 10)?.end()?.success()?;
            nothing_outlives(tutorial, began + Duration::from_secs(12))
        });
    }
}

#[test]
fn clocks_of_nodes_two_hours_apart_change_nothing() {
    requires!(root, cgroup2, "faketime");
    let test = || -> Result<()> {
        let mut tutorial = Tutorial::with_clocks("node-skew", ["+1h", "-1h"])?;
        let began = Instant::now();
        attached(&tutorial, 10)?.end()?.success()?;
        nothing_outlives(&tutorial, began + Duration::from_secs(12))?;
        // Both wrote down when, by the clock of their own.
        let mut times = Vec::new();
        for node in ["node-a", "node-b"] {
            let log = tutorial.cluster.node(node)?.daemon.log();
            let lines = log
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            let armed = |line: &Value| line["call"] == "arm";
            let line = lines.into_iter().find(armed).context("a line about arm")?;
            times.push(
                line["time"]
                    .as_str()
                    .context("a time")?
                    .parse::<Timestamp>()?,
            );
        }
        let apart = times[0].duration_since(times[1]) - SignedDuration::from_hours(2);
        ensure!(apart.abs() < SignedDuration::from_mins(1), "{times:?}");
        tutorial.must_be_over()
    };
    test().unwrap();
}
