//! Tells others when experiments start and end: events for the cluster's objects, counts for the metrics.
//!
//! It follows what happens and stands in nobody's way: an event that the API server does not take is a line of the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
};
use tracing::warn;

use crate::{
    agent::Agent,
    cluster::{Cluster, Kind, Notice, Object},
    engine::{EndReason, Ending, Experiment, State, Where},
    metrics::Tally,
};

/// Events under way at a time.
const AT_ONCE: usize = 8;
/// How long the last ones may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Follows an agent until it is told to finish.
pub struct Recorder {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What was said of an experiment so far.
#[derive(Default)]
struct Told {
    /// Pods that know of it.
    pods: BTreeSet<Object>,
    /// Those that know that it has let them go.
    let_go: BTreeSet<Object>,
    has_started: bool,
    is_over: bool,
}

struct Follower {
    cluster: Option<Cluster>,
    tally: Arc<Tally>,
    told: BTreeMap<String, Told>,
    under_way: JoinSet<()>,
    room: Arc<Semaphore>,
}

impl Recorder {
    /// Starts to follow.
    pub fn start(agent: Agent, cluster: Option<Cluster>, tally: Arc<Tally>) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let mut follower = Follower {
            cluster,
            tally,
            told: BTreeMap::new(),
            under_way: JoinSet::new(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        };
        let task = tokio::spawn(async move {
            let mut changes = agent.changes();
            loop {
                let is_last = *stopped.borrow_and_update();
                changes.mark_unchanged();
                let Ok(all) = agent.ask(|core| core.glance()).await else {
                    break;
                };
                follower.see(&all);
                while follower.under_way.try_join_next().is_some() {}
                if is_last {
                    break;
                }
                tokio::select! {
                    _ = changes.changed() => {}
                    _ = stopped.changed() => {}
                }
            }
            while follower.under_way.join_next().await.is_some() {}
        });
        Self { stop, task }
    }

    /// Says what is left to say, if that is soon. The agent must still answer.
    pub async fn finish(self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(PATIENCE, self.task).await.is_err() {
            warn!("the API server did not take the last events in time");
        }
    }
}

impl Follower {
    fn see(&mut self, all: &[Experiment]) {
        for experiment in all {
            let mut told = self.told.remove(&experiment.id).unwrap_or_default();
            if !told.is_over {
                self.look(experiment, &mut told);
            }
            self.told.insert(experiment.id.clone(), told);
        }
        // What the agent no longer knows, nobody asks about.
        self.told
            .retain(|id, _| all.iter().any(|experiment| experiment.id == *id));
    }

    fn look(&mut self, experiment: &Experiment, told: &mut Told) {
        let ending = match &experiment.state {
            State::Prepared => return,
            State::Armed => None,
            State::Ended(ending) => Some(ending),
        };
        if experiment.was_armed && !told.has_started {
            told.has_started = true;
            self.tell(origin(experiment, self.node()), &started(experiment));
        }
        if experiment.was_armed {
            let Moves { joined, left } = told.moves(experiment);
            for pod in joined {
                self.tell(Some(pod), &started(experiment));
            }
            for pod in left {
                self.tell(Some(pod), &let_go(experiment));
            }
        }
        let Some(ending) = ending else { return };
        told.is_over = true;
        self.tally.ended(experiment, ending.reason);
        if told.has_started {
            let notice = ended(experiment, ending);
            for pod in std::mem::take(&mut told.pods) {
                self.tell(Some(pod), &notice);
            }
            self.tell(origin(experiment, self.node()), &notice);
        }
    }

    fn node(&self) -> Option<&str> {
        self.cluster.as_ref().map(Cluster::node)
    }

    fn tell(&mut self, object: Option<Object>, notice: &Notice) {
        let (Some(cluster), Some(object)) = (self.cluster.clone(), object) else {
            return;
        };
        let (room, notice) = (Arc::clone(&self.room), notice.clone());
        self.under_way.spawn(async move {
            let _place = room.acquire().await;
            let object = cluster.with_uid(object).await;
            if let Err(error) = cluster.tell(&object, &notice).await {
                let Object {
                    kind,
                    namespace,
                    name,
                    ..
                } = object;
                warn!(%error, reason = notice.reason, kind, namespace, name, "no event");
            }
        });
    }
}

/// Pods to be told that they are hit now, and that they no longer are.
#[derive(Debug, PartialEq, Eq)]
struct Moves {
    joined: Vec<Object>,
    left: Vec<Object>,
}

impl Told {
    /// Who is to be told now, and counts as told. When it has ended, who left earlier knows that already, and who has heard
    /// nothing at all is told that it began.
    fn moves(&mut self, experiment: &Experiment) -> Moves {
        let has_ended = matches!(experiment.state, State::Ended(_));
        let now = pods(experiment, has_ended);
        let knows =
            |pod: &Object| self.pods.contains(pod) || (has_ended && self.let_go.contains(pod));
        let joined: Vec<Object> = now.iter().filter(|pod| !knows(pod)).cloned().collect();
        let left: Vec<Object> = self.pods.difference(&now).cloned().collect();
        for pod in &joined {
            self.let_go.remove(pod);
            self.pods.insert(pod.clone());
        }
        for pod in &left {
            self.pods.remove(pod);
            self.let_go.insert(pod.clone());
        }
        Moves { joined, left }
    }
}

/// Its pods; while it runs, those that are there.
fn pods(experiment: &Experiment, also_gone: bool) -> BTreeSet<Object> {
    let hits = experiment.hits.iter();
    let hits = hits.filter(|hit| also_gone || !hit.gone);
    hits.filter_map(|hit| hit.target.pod.as_ref())
        .map(|pod| Object {
            kind: "Pod".to_owned(),
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: Some(pod.uid.clone()),
        })
        .collect()
}

/// What pods were chosen from, or the node; nothing where labels chose.
fn origin(experiment: &Experiment, node: Option<&str>) -> Option<Object> {
    match &experiment.spec.selector.at {
        Where::Pods(pods) => {
            let origin = pods.origin.as_ref().filter(|origin| origin.kind != "Pod")?;
            Some(Object {
                kind: origin.kind.clone(),
                namespace: origin.namespace.clone(),
                name: origin.name.clone(),
                uid: None,
            })
        }
        Where::Service { .. }
        | Where::Netns(_)
        | Where::Pid(_)
        | Where::Cgroup(_)
        | Where::Node => Some(Object {
            kind: "Node".to_owned(),
            namespace: String::new(),
            name: node?.to_owned(),
            uid: None,
        }),
    }
}

/// Who did what, for the end of a sentence.
fn words(experiment: &Experiment) -> String {
    let by = experiment.started_by.as_deref().filter(|by| !by.is_empty());
    format!(
        "experiment {} ({}) by {}",
        experiment.id,
        experiment.spec.faults(),
        by.unwrap_or("an unnamed user")
    )
}

/// How long it acts on who is hit now: on who joins later, for what is left. To the second, as people say it.
fn rest(experiment: &Experiment, now: Instant) -> Duration {
    let whole = experiment.spec.duration;
    if experiment.state != State::Armed {
        return whole;
    }
    let left = experiment.remaining(now) + Duration::from_millis(500);
    Duration::from_secs(left.as_secs().max(1)).min(whole)
}

fn started(experiment: &Experiment) -> Notice {
    let duration = humantime::format_duration(rest(experiment, Instant::now()));
    Notice {
        kind: Kind::Normal,
        reason: "ChaosStarted",
        action: "Start",
        note: format!("{} acts for {duration}", words(experiment)),
    }
}

fn let_go(experiment: &Experiment) -> Notice {
    Notice {
        kind: Kind::Normal,
        reason: "ChaosEnded",
        action: "LetGo",
        note: format!("{} no longer has this pod", words(experiment)),
    }
}

fn ended(experiment: &Experiment, ending: &Ending) -> Notice {
    let is_as_wanted = matches!(ending.reason, EndReason::Expired | EndReason::Stopped);
    let (kind, reason) = if is_as_wanted {
        (Kind::Normal, "ChaosEnded")
    } else {
        (Kind::Warning, "ChaosAborted")
    };
    Notice {
        kind,
        reason,
        action: "End",
        note: format!("{} has ended: {}", words(experiment), ending.detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::{repoint, running, seconds};

    fn names(list: &[Object]) -> Vec<&str> {
        list.iter().map(|object| object.name.as_str()).collect()
    }

    #[test]
    fn who_was_let_go_hears_nothing_at_the_end() {
        let start = Instant::now();
        let mut engine = running(&["one", "two"], start);
        let mut told = Told::default();
        let mut look = |experiment: &Experiment| {
            let Moves { joined, left } = told.moves(experiment);
            let ended = matches!(experiment.state, State::Ended(_));
            let end = ended.then(|| told.pods.iter().cloned().collect::<Vec<_>>());
            let words = |list: &[Object]| names(list).join(",");
            format!(
                "+{} -{} ={}",
                words(&joined),
                words(&left),
                end.map_or_else(String::new, |end| words(&end))
            )
        };
        assert_eq!(look(engine.status("a").unwrap()), "+one,two - =");
        engine.update("a", &repoint(&["two"], &[]), start).unwrap();
        assert_eq!(look(engine.status("a").unwrap()), "+ -one =");
        engine
            .update("a", &repoint(&["two", "three"], &["three"]), start)
            .unwrap();
        assert_eq!(look(engine.status("a").unwrap()), "+three - =");
        engine.wake("a", start + seconds(30));
        // Not `one`, which is hit no more since long ago.
        assert_eq!(look(engine.status("a").unwrap()), "+ - =three,two");
    }

    #[test]
    fn who_joins_is_told_what_is_left() {
        let start = Instant::now();
        let mut engine = running(&["one"], start);
        let experiment = engine.status("a").unwrap();
        for (passed, left) in [(0, 30), (20, 10), (29, 1)] {
            let now = start + seconds(passed) + Duration::from_millis(20);
            assert_eq!(rest(experiment, now), seconds(left));
        }
    }
}
