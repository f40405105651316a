//! Follows the cluster while an experiment runs: what appears joins, what goes away is let go.
//!
//! Watches only tell that something has changed; what it means is resolved anew, in the same way as at the beginning.

mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chaos_proto::v1::Rule;
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{Held, Plan, Point, Replan, Replans, ResolveError, Scene};
use crate::output::words;
use watched::Signal;

/// Changes come in swarms: a rollout is many of them. They are waited for, but not so long that one would notice.
const TOGETHER: Duration = Duration::from_millis(50);
/// How soon a plan that could not be made is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Watches that have not failed for so long work.
const UNWATCHED_FOR: Duration = Duration::from_secs(5);
/// So many names are told; of more, their number.
const NAMES: usize = 5;

/// What is to act where, whenever that changes. `plan` is what acts already.
pub fn follow(scene: Scene, plan: Plan) -> Replans {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut follower = Follower {
            scene,
            plan,
            sender,
            is_troubled: false,
            is_polling: false,
            unwatched: None,
        };
        follower.go_on().await;
    });
    Box::pin(UnboundedReceiverStream::new(receiver))
}

struct Follower {
    scene: Scene,
    plan: Plan,
    sender: mpsc::UnboundedSender<Replan>,
    /// Whether it was said that the cluster cannot be asked.
    is_troubled: bool,
    /// Whether it was said that changes cannot be watched.
    is_polling: bool,
    /// When a watch failed last, and why.
    unwatched: Option<(Instant, String)>,
}

impl Follower {
    async fn go_on(&mut self) {
        let mut signals = watched::all(&self.scene);
        // Watches that fail say so more often than that.
        let mut look_at: Option<Instant> = None;
        loop {
            let signal = tokio::select! {
                signal = signals.next() => signal,
                () = until(look_at) => Some(Signal::Changed),
            };
            match signal {
                Some(Signal::Changed) => {
                    // Whatever else has changed by then is seen by the same look.
                    tokio::time::sleep(TOGETHER).await;
                    while let Some(Some(signal)) = futures::FutureExt::now_or_never(signals.next())
                    {
                        if let Signal::Trouble(why) = signal {
                            self.unwatched = Some((Instant::now(), why));
                        }
                    }
                }
                Some(Signal::Trouble(why)) => {
                    self.unwatched = Some((Instant::now(), why));
                    look_at.get_or_insert_with(|| Instant::now() + AGAIN);
                    continue;
                }
                None => return,
            }
            if self.sender.is_closed() {
                return;
            }
            let is_done = self.look().await;
            // What cannot be watched is looked at again and again.
            look_at = (!is_done || self.is_unwatched()).then(|| Instant::now() + AGAIN);
        }
    }

    /// Whether watches fail: they say so every now and then.
    fn is_unwatched(&self) -> bool {
        let since = self.unwatched.as_ref().map(|(since, _)| since.elapsed());
        since.is_some_and(|since| since < UNWATCHED_FOR)
    }

    /// Whether there is nothing to hit, and that for certain.
    fn is_nothing(&self, error: &ResolveError) -> bool {
        // One of several nodes may be.
        let is_group = !matches!(self.scene.selection.point, Point::Nodes(_));
        let is_gone = matches!(error, ResolveError::NotFound { .. }) && is_group;
        let is_unfit = matches!(
            error,
            ResolveError::NoContainer { .. } | ResolveError::NotRunning { .. }
        );
        is_gone || is_unfit || error.is_empty()
    }

    /// Makes the plan anew, and tells what is different. False when it could not be made.
    async fn look(&mut self) -> bool {
        let held = held(&self.plan);
        let parts = match self.scene.plan(&held).await {
            Ok(plan) => plan,
            // Whoever was there has gone; others may come.
            Err(error) if self.is_nothing(&error) => Plan {
                parts: Vec::new(),
                resolved: self.plan.resolved.clone(),
            },
            Err(error) => {
                self.trouble(&error.to_string());
                return false;
            }
        };
        if let Some((_, why)) = &self.unwatched
            && self.is_unwatched()
        {
            let said = format!(
                "changes in the cluster cannot be watched ({why}): it is asked for them every second"
            );
            if !self.is_polling {
                self.is_polling = true;
                self.send(Replan::Note(said));
            }
        } else {
            self.is_polling = false;
        }
        if self.is_troubled {
            self.is_troubled = false;
            self.send(Replan::Note(
                "the cluster can be asked again: pods that come and go are followed".to_owned(),
            ));
        }
        let said = differences(&self.plan, &parts);
        let is_same = parts.parts == self.plan.parts;
        self.plan = parts;
        if !is_same {
            let parts = self.plan.parts.clone();
            self.send(Replan::Parts { parts, said });
        }
        true
    }

    fn trouble(&mut self, why: &str) {
        if !self.is_troubled {
            self.is_troubled = true;
            self.send(Replan::Note(format!(
                "the cluster cannot be asked for pods that come and go ({why}): the run goes on with those that it has"
            )));
        }
    }

    fn send(&self, replan: Replan) {
        // Whoever does not listen any more has left.
        let _ = self.sender.send(replan);
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// What the experiment hits: that stays chosen.
fn held(plan: &Plan) -> Held {
    let nodes = plan.parts.iter().filter(|part| part.pods().is_empty());
    let nodes = nodes.map(|part| part.node.clone());
    plan.pods()
        .map(|pod| pod.uid.clone())
        .chain(nodes)
        .collect()
}

/// What has changed, one sentence each.
fn differences(before: &Plan, after: &Plan) -> Vec<String> {
    let mut said = Vec::new();
    let (pods_before, pods_after) = (names(before), names(after));
    let come = pods_after
        .iter()
        .filter(|(uid, _)| !pods_before.contains_key(*uid));
    let gone = pods_before
        .iter()
        .filter(|(uid, _)| !pods_after.contains_key(*uid));
    for (who, what) in [
        (come.collect::<BTreeMap<_, _>>(), "joined"),
        (gone.collect(), "left"),
    ] {
        if who.is_empty() {
            continue;
        }
        let thing = if after.pods().chain(before.pods()).next().is_some() {
            "pod"
        } else {
            "node"
        };
        let mut names: Vec<&str> = who.values().map(|name| name.as_str()).collect();
        names.sort_unstable();
        let count = names.len();
        names.truncate(NAMES);
        let more = match count - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        said.push(format!(
            "{} {what}: {}{more}",
            words::counted(count, thing),
            names.join(", ")
        ));
    }
    let (rules_before, rules_after) = (rules(before), rules(after));
    if !rules_after.is_empty() && rules_before.iter().any(|rule| !rules_after.contains(rule)) {
        said.push(peers(before, after));
    }
    said
}

/// Names by what tells them apart.
fn names(plan: &Plan) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for part in &plan.parts {
        if part.pods().is_empty() {
            names.insert(part.node.clone(), part.node.clone());
        }
        for pod in part.pods() {
            names.insert(pod.uid.clone(), pod.name.clone());
        }
    }
    names
}

fn rules(plan: &Plan) -> Vec<&Rule> {
    let mut rules = Vec::new();
    for rule in plan.parts.iter().flat_map(|part| &part.request.rules) {
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    rules
}

/// Whose addresses are others now.
fn peers(before: &Plan, after: &Plan) -> String {
    let mut changed = BTreeSet::new();
    for peer in &after.resolved.peers {
        if !before.resolved.peers.contains(peer) {
            changed.insert(peer.peer.as_str());
        }
    }
    if changed.is_empty() {
        return "the rules have changed with the service's ports".to_owned();
    }
    let changed: Vec<_> = changed.into_iter().collect();
    format!("other addresses now: {}", changed.join(", "))
}
