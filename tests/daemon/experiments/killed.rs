//! `kill -9` of `chaosctl run`: no fault outlives its grace period, and what there was of the journal can be read.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use chaos_tests::{
    lab::{Output, Process},
    programs::program,
    random::Random,
    requires, services,
    wait::{for_a_while, wait_until},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Play, run};
use crate::scenario::PATIENCE;

/// How often, and how many at a time.
const KILLS: usize = 20;
const AT_A_TIME: usize = 5;
/// A moment is before this; the experiment takes about that long.
const LATEST: Duration = Duration::from_millis(1_500);
const GRACE: Duration = Duration::from_secs(1);
/// How long after it the agent may take to notice, and this test to ask.
const NOTICE: Duration = Duration::from_secs(2);

#[test]
fn at_random_moments() {
    requires!(root);
    let mut play = Play::new("run-killed");
    let mut random = Random::new();
    eprintln!("seed {}", random.seed());
    let mut acted = BTreeSet::new();
    let (mut journals, mut longest) = (0, Duration::ZERO);
    for batch in 0..KILLS / AT_A_TIME {
        let mut moments: Vec<_> = (0..AT_A_TIME).map(|_| random.below(LATEST)).collect();
        moments.sort_unstable();
        let begun = Instant::now();
        let mut running = Vec::new();
        for number in 0..AT_A_TIME {
            let directory = play.path(&format!("{batch}-{number}"));
            fs::create_dir(&directory).unwrap();
            running.push((play.begin(&directory), directory));
        }
        for ((process, _), moment) in running.iter_mut().zip(moments) {
            for_a_while("a random moment", moment.saturating_sub(begun.elapsed()));
            acted.extend(play.acting());
            process.signal(Signal::SIGKILL).unwrap();
            process.wait(PATIENCE).unwrap();
        }
        let killed = Instant::now();
        let none_acts = || {
            let acting = play.acting();
            acted.extend(acting.iter().cloned());
            acting.is_empty()
        };
        wait_until("no fault acts", GRACE + NOTICE, none_acts).unwrap();
        longest = longest.max(killed.elapsed());
        for (_, directory) in &running {
            journals += usize::from(is_recovered(&play, directory));
        }
    }
    eprintln!(
        "{KILLS} killed, {} faults had acted, {journals} had a journal; normal after {longest:?} at most",
        acted.len()
    );
    assert!(!acted.is_empty() && journals > 0);
    for id in &acted {
        let ended = play.ended(id);
        assert_eq!(ended["end_reason"], "client_gone", "{ended}");
    }
    play.is_normal();
    play.scenario.leaves_nothing();
}

impl Play {
    /// An experiment with several faults, one after the other, longer than the test takes.
    fn begin(&self, directory: &Path) -> Process {
        let slow = |name: &str| {
            json!({
                "type": "action",
                "name": name,
                "provider": {
                    "type": "chaos",
                    "fault": "delay",
                    "latency": "1ms",
                    "filter": { "ports": [services::PORT] },
                    "netns": self.scenario.target.netns_name(),
                    "duration": "10m",
                    "grace": format!("{}s", GRACE.as_secs()),
                },
                "pauses": { "after": 0.2 },
            })
        };
        let mut last = self.ask("probe", "to-the-end");
        last["pauses"] = json!({ "before": 600 });
        let experiment = json!({
            "title": "slow",
            "description": "more and more",
            "steady-state-hypothesis": {
                "title": "it answers",
                "probes": [with_tolerance(self.ask("probe", "it-answers"))],
            },
            "method": [
                slow("once"), self.ask("probe", "then"), slow("twice"), self.ask("probe", "then-again"), slow("thrice"), last
            ],
        });
        fs::write(directory.join("experiment.json"), experiment.to_string()).unwrap();
        let mut command = run(&self.scenario.peer, directory);
        command
            .arg("--socket")
            .arg(self.scenario.daemon.socket())
            .arg("experiment.json");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Process::spawn(command).unwrap()
    }
}

fn with_tolerance(mut probe: Value) -> Value {
    probe["tolerance"] = json!(200);
    probe
}

/// Recovers the journal of a run that was killed; false where it had not begun one.
fn is_recovered(play: &Play, directory: &Path) -> bool {
    let part: PathBuf = directory.join("journal.json.part");
    let Ok(text) = fs::read_to_string(&part) else {
        return false;
    };
    if text.is_empty() {
        return false;
    }
    let journal = directory.join("journal.json");
    assert!(!journal.exists(), "it is written at the end");
    let mut lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    assert!(
        lines.all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{text}"
    );
    let mut command = play
        .scenario
        .peer
        .command(program("chaosctl").unwrap())
        .unwrap();
    command.args(["report", "--recover"]).arg(&journal);
    command.current_dir(directory).stdin(Stdio::null());
    Output::of(command, PATIENCE).unwrap().success().unwrap();
    let recovered: Value = serde_json::from_slice(&fs::read(&journal).unwrap()).unwrap();
    assert_eq!(recovered["status"], "interrupted", "{recovered}");
    assert_eq!(recovered["experiment"]["title"], "slow", "{recovered}");
    assert!(recovered["run"].is_array(), "{recovered}");
    true
}
