//! What most tests start from: a target, a peer, and an agent; and how exact this machine can be.

use std::{process::Command, thread, time::Duration};

use anyhow::Result;
pub(crate) use chaos_tests::requires::is_emulated;
use chaos_tests::{
    daemon::Daemon,
    lab::{Family, Host, Lab, Output},
    pauses::Times,
    stats::{median, percentile},
    traffic::Series,
    wait::{wait_for, wait_until},
};
use serde_json::Value;

/// How long an answer of the agent may take; generous, for emulated machines.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A lab with a target and a peer, and an agent. Fields are dropped in this order: the agent before its lab.
pub(crate) struct Scenario {
    pub(crate) daemon: Daemon,
    pub(crate) target: Host,
    pub(crate) peer: Host,
    pub(crate) lab: Lab,
}

impl Scenario {
    pub(crate) fn new(name: &str) -> Self {
        Self::with_options(name, &[])
    }

    /// With more options of the agent.
    pub(crate) fn with_options(name: &str, options: &[&str]) -> Self {
        Self::with_daemon(name, |lab, _| Daemon::start_with(lab, options))
    }

    /// The target is the node that the agent runs on.
    pub(crate) fn on_node(name: &str, options: &[&str]) -> Self {
        Self::with_daemon(name, |lab, target| {
            Daemon::start_inside(lab, target, options)
        })
    }

    pub(crate) fn with_daemon(
        name: &str,
        start: impl FnOnce(&Lab, &Host) -> Result<Daemon>,
    ) -> Self {
        let lab = Lab::new(name).unwrap();
        let (target, peer) = (lab.host("target").unwrap(), lab.host("peer").unwrap());
        let daemon = start(&lab, &target).unwrap();
        Self {
            daemon,
            target,
            peer,
            lab,
        }
    }

    /// Runs `chaosctl` with words separated by spaces; `{target}` stands for the target's namespace.
    pub(crate) fn chaosctl(&self, words: &str) -> Output {
        let words = words.replace("{target}", self.target.netns_name());
        self.daemon
            .chaosctl(&words.split_whitespace().collect::<Vec<_>>())
            .unwrap()
    }

    /// The same, and what it printed as JSON; it must succeed.
    pub(crate) fn ask(&self, words: &str) -> Value {
        self.chaosctl(&format!("{words} -o json"))
            .success()
            .unwrap()
            .json()
            .unwrap()
    }

    /// Starts an experiment on the target that needs no client, for longer than the test takes; gives its id.
    pub(crate) fn start(&self, fault: &str) -> String {
        self.start_at("--netns {target}", fault)
    }

    /// The same, on what a selector points at.
    pub(crate) fn start_at(&self, selector: &str, fault: &str) -> String {
        let answer = self.ask(&format!("{fault} {selector} --duration 10m --detach"));
        assert_eq!(answer["outcome"], "detached", "{answer}");
        answer["experiment"]["id"].as_str().unwrap().to_owned()
    }

    /// Stops an experiment; gives it as it ended.
    pub(crate) fn stop(&self, id: &str) -> Value {
        let answer = self.ask(&format!("stop {id}"));
        assert_eq!(answer["experiments"][0]["state"], "ended", "{answer}");
        answer["experiments"][0].clone()
    }

    /// The experiment now.
    pub(crate) fn status(&self, id: &str) -> Value {
        self.ask(&format!("status {id}"))["experiment"].clone()
    }

    /// Waits until an experiment has ended; gives it.
    pub(crate) fn ended(&self, id: &str) -> Value {
        let what = format!("experiment {id} has ended");
        wait_for(&what, PATIENCE, || {
            Some(self.status(id)).filter(|status| status["state"] == "ended")
        })
        .unwrap()
    }

    /// Runs `measure` with a fault on the target; gives its result, and the experiment at its end.
    pub(crate) fn during<T>(&self, fault: &str, measure: impl Fn() -> T) -> (T, Value) {
        let id = self.start(fault);
        let during = measure();
        (during, self.stop(&id))
    }

    /// The same with a fault that adds these to what was measured `before`, by so many `lines`, as often as [`assert_adds`]
    /// has it.
    pub(crate) fn adds<const N: usize>(
        &self,
        fault: &str,
        before: &[Times; N],
        (added, lines): ([Duration; N], u32),
        measure: impl Fn() -> [Times; N],
    ) -> ([Times; N], Value) {
        let attempt = || self.during(fault, &measure);
        assert_adds(fault, before, (added, lines), attempt)
    }

    /// The same, and before it without the fault.
    pub(crate) fn compare<T>(&self, fault: &str, measure: impl Fn() -> T) -> (T, T, Value) {
        let before = measure();
        let (during, ended) = self.during(fault, measure);
        (before, during, ended)
    }

    /// Stops the agent, and waits until nothing of it is left.
    pub(crate) fn leaves_nothing(&mut self) {
        let status = self.daemon.stop().unwrap();
        assert!(status.success(), "chaos-daemon ended with {status}");
        self.nothing_is_left();
        assert!(!self.daemon.socket().exists(), "the socket is left");
    }

    /// Gives the target's interface a clsact qdisc, as another program may have done. Where the agent has to add one, and
    /// takes it away again, the kernel stops the interface for a moment each time, and what is sent meanwhile is lost.
    pub(crate) fn give_clsact(&self) {
        // One that is there will do.
        self.clsact("add");
    }

    /// Takes it away.
    pub(crate) fn take_clsact(&self) {
        self.clsact("del");
    }

    fn clsact(&self, what: &str) {
        let mut tc = Command::new("tc");
        tc.args(["-n", self.target.netns_name(), "qdisc", what]);
        tc.args(["dev", Host::INTERFACE, "clsact"]);
        let _ = tc.output().unwrap();
    }

    /// Waits until nothing of an agent that has ended is left: the kernel takes programs away a little later.
    pub(crate) fn nothing_is_left(&self) {
        let last = || self.lab.leftovers().unwrap();
        let gone = wait_until("nothing is left", PATIENCE, || last().is_empty());
        assert!(gone.is_ok(), "left behind: {}", last());
    }
}

/// A rate that this machine answers without queueing: an emulated one takes part of it.
pub(crate) fn rate(per_second: u32) -> u32 {
    if is_emulated() {
        per_second.div_ceil(4)
    } else {
        per_second
    }
}

/// A series at such a rate; of an emulated machine's, half, to be done in time.
pub(crate) fn series(count: u32, per_second: u32) -> Series {
    Series::new(
        if is_emulated() { count / 2 } else { count },
        rate(per_second),
    )
}

/// The 99th percentile of 200 is the third largest: what else runs on the machine may spoil one measurement, but not
/// one after the other for long. A line that is late itself spoils all of them.
pub(crate) const ATTEMPTS: u32 = 6;

/// By how much the machine may be late without a pause. A fault that is there, or is not, makes more of a difference.
const MACHINE: Duration = Duration::from_millis(20);

/// How far the median and the 99th percentile of a delay may be off.
pub(crate) fn tolerances() -> (Duration, Duration) {
    let (median, p99) = if is_emulated() { (5, 5) } else { (1, 3) };
    (Duration::from_millis(median), Duration::from_millis(p99))
}

/// Asserts that these are added to what was measured `before`, by so many `lines` of the agent, and nothing where that is
/// zero. What else runs on the machine is not the fault's: where it may be that, it is tried again, [`ATTEMPTS`] times at
/// most. Gives the last attempt.
pub(crate) fn assert_adds<const N: usize, T>(
    what: &str,
    before: &[Times; N],
    (added, lines): ([Duration; N], u32),
    attempt: impl Fn() -> ([Times; N], T),
) -> ([Times; N], T) {
    let is_late = |during: &[Times; N]| {
        (0..N).any(|index| {
            let (before, during, added) = (&before[index], &during[index], added[index]);
            let is_added = not_added(before, during, added, lines).is_none();
            let [base, now] = [before, during].map(|times| median(&times.undisturbed()));
            let is_near = now.abs_diff(base + added) < MACHINE;
            let is_right = is_added && (!added.is_zero() || is_unchanged(before, during));
            let is_disturbed = during.are_disturbed() || is_emulated();
            (!is_added && is_near) || (!is_right && is_disturbed)
        })
    };
    let mut last = attempt();
    for _ in 1..ATTEMPTS {
        if !is_late(&last.0) {
            break;
        }
        eprintln!("{what}: the machine had something else to do; once more");
        last = attempt();
    }
    for index in 0..N {
        let what = format!("{what}, measurement {index}");
        let (before, during) = (&before[index], &last.0[index]);
        if added[index].is_zero() {
            assert_unchanged(&what, before, during);
        } else {
            assert_added(&what, before, during, added[index], lines);
        }
    }
    last
}

/// Asserts that every time of `during` is that of `before` plus `added`: none less, and least and median `lines` times the
/// tolerance more at most. Single times may be longer on a busy machine: see [`assert_exact`].
pub(crate) fn assert_added(
    what: &str,
    before: &Times,
    during: &Times,
    added: Duration,
    lines: u32,
) {
    let wrong = not_added(before, during, added, lines);
    assert_eq!(
        wrong,
        None,
        "{what}: n={}, expected +{added:?}",
        during.count()
    );
}

/// What is not as [`assert_added`] has it.
fn not_added(before: &Times, during: &Times, added: Duration, lines: u32) -> Option<String> {
    let (before, during) = (&before.undisturbed(), &during.undisturbed());
    if before.is_empty() || during.is_empty() {
        return Some("no samples".to_owned());
    }
    let (base, now, least) = (median(before), median(during), percentile(during, 0.0));
    eprintln!("median {base:?} -> {now:?}, expected +{added:?}");
    let tolerance = tolerances().0 * lines;
    if now.abs_diff(base + added) > tolerance {
        return Some(format!("median {now:?}, before {base:?}"));
    }
    if least + tolerance < added {
        return Some(format!("one took only {least:?}"));
    }
    let base = percentile(before, 0.0);
    (least > base + added + tolerance)
        .then(|| format!("none took less than {least:?}, before {base:?}"))
}

/// Asserts the same, and that the 99th percentile (of an emulated machine, which stands still now and then, the 90th) is
/// not far off. What the machine itself did without the fault, before it or to others `beside` it, is not the fault's.
pub(crate) fn assert_exact(
    what: &str,
    before: &Times,
    beside: &Times,
    during: &Times,
    added: Duration,
    lines: u32,
) {
    assert_added(what, before, during, added, lines);
    let [base, other, now] = [before, beside, during].map(highest);
    eprintln!(
        "{what}: p{} {base:?} -> {now:?}, beside it {other:?}",
        high()
    );
    assert!(
        is_exact(before, beside, during, added, lines),
        "{what}: p{} {now:?}, before {base:?}, beside it {other:?}, expected +{added:?}",
        high()
    );
}

/// Whether [`assert_exact`]'s percentile is not far off.
pub(crate) fn is_exact(
    before: &Times,
    beside: &Times,
    during: &Times,
    added: Duration,
    lines: u32,
) -> bool {
    let [before, beside, during] = [before, beside, during].map(highest);
    during <= before.max(beside) + added + tolerances().1 * lines
}

fn highest(times: &Times) -> Duration {
    percentile(&times.undisturbed(), high())
}

fn high() -> f64 {
    if is_emulated() { 90.0 } else { 99.0 }
}

/// Asserts that nothing was added: not to the median, and to none as much as half of a delay of 100 ms. (Of an emulated
/// machine, which stands still now and then, to nine of ten; there it is [`assert_hit`] that says that no other was hit.)
fn assert_unchanged(what: &str, before: &Times, during: &Times) {
    assert_added(what, before, during, Duration::ZERO, 1);
    assert!(is_unchanged(before, during), "{what}: one took too long");
}

fn is_unchanged(before: &Times, during: &Times) -> bool {
    let most = percentile(
        &during.undisturbed(),
        if is_emulated() { 90.0 } else { 100.0 },
    );
    eprintln!("at most {most:?}");
    not_added(before, during, Duration::ZERO, 1).is_none() && most < Duration::from_millis(50)
}

/// Asserts that an experiment that delays matched and delayed these packets, and no other.
pub(crate) fn assert_hit(what: &str, ended: &Value, packets: usize) {
    let totals = &ended["totals"];
    for counter in ["matched_packets", "delayed_packets"] {
        assert_eq!(totals[counter], packets, "{what}, {counter}: {totals}");
    }
}

/// Lets a fault that is timed by itself act for a while: the time is what is tested, not a wait for something.
pub(crate) fn let_pass(time: Duration) {
    thread::sleep(time);
}

/// `a` for IPv4, `b` for IPv6.
pub(crate) fn of<T>(family: Family, v4: T, v6: T) -> T {
    match family {
        Family::V4 => v4,
        Family::V6 => v6,
    }
}
