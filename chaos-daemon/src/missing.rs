//! Looks for pods that have lost their targets while an experiment goes on: their container was restarted, their sandbox
//! made anew. Nobody need be attached for that.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tracing::debug;

use crate::{
    agent::{Agent, AgentError, Core},
    cluster::{Cluster, PodError},
    engine::{Experiment, Pod, Pods, Return, Selector, Target, Where},
    netns::Netns,
    protected::{self, Protections},
};

/// Between two looks, while few are missing.
const PAUSE: Duration = Duration::from_millis(500);
/// So many are looked for at a time.
const AT_ONCE: usize = 8;

/// What became of one.
enum Fate {
    Found(Vec<Target>),
    Lost,
    NotYet(String),
}

/// What it takes to find one.
struct Search {
    agent: Agent,
    cluster: Option<Cluster>,
    protections: Arc<Protections>,
}

/// One to look for.
#[derive(Clone)]
struct Missing {
    id: String,
    pod: Pod,
    container: Option<String>,
    interface: Option<String>,
    include_probes: bool,
}

/// Looks for all that are missing, until the agent ends.
pub fn look(agent: Agent, cluster: Option<Cluster>, protections: Arc<Protections>) {
    agent.tell(Core::look_for_missing);
    let search = Arc::new(Search {
        agent,
        cluster,
        protections,
    });
    tokio::spawn(async move {
        let mut changes = search.agent.changes();
        loop {
            changes.mark_unchanged();
            let all = search.agent.ask(|core| core.glance()).await;
            let Ok(all) = all else { break };
            let missing: Vec<Missing> = all.iter().flat_map(missing).collect();
            if missing.is_empty() {
                if changes.changed().await.is_err() {
                    break;
                }
                continue;
            }
            for some in missing.chunks(AT_ONCE) {
                let mut under_way = JoinSet::new();
                for one in some.iter().cloned() {
                    let search = Arc::clone(&search);
                    under_way.spawn(async move { search.find(one).await });
                }
                while under_way.join_next().await.is_some() {}
                // However many there are, the API server has a few of our questions at a time.
                tokio::time::sleep(PAUSE).await;
            }
        }
    });
}

fn missing(experiment: &Experiment) -> Vec<Missing> {
    let Some(Selector {
        at: Where::Pods(pods),
        interface,
    }) = experiment.missing()
    else {
        return Vec::new();
    };
    let each = pods.pods.into_iter().map(|pod| Missing {
        id: experiment.id.clone(),
        pod,
        container: pods.container.clone(),
        interface: interface.clone(),
        include_probes: experiment.spec.include_probes,
    });
    each.collect()
}

impl Search {
    async fn find(&self, missing: Missing) {
        let (id, uid) = (missing.id.clone(), missing.pod.uid.clone());
        let told = match self.fate(missing).await {
            Fate::Found(found) => Return {
                found,
                lost: Vec::new(),
            },
            Fate::Lost => Return {
                found: Vec::new(),
                lost: vec![uid],
            },
            Fate::NotYet(why) => {
                debug!(id, uid, why, "a pod has no target now");
                return;
            }
        };
        self.agent.tell(move |core| core.returned(&id, told));
    }

    async fn fate(&self, missing: Missing) -> Fate {
        let mut pods = Pods {
            pods: vec![missing.pod],
            origin: None,
            container: missing.container,
        };
        let mut probe_ports = Vec::new();
        if let Some(cluster) = &self.cluster {
            match cluster.pods(&pods).await {
                Ok(facts) => {
                    let ports = facts.iter().flat_map(|facts| facts.probe_ports.clone());
                    probe_ports = ports.collect();
                    pods.pods = facts.into_iter().map(|facts| facts.pod).collect();
                }
                Err(
                    PodError::Gone { .. }
                    | PodError::Replaced { .. }
                    | PodError::Elsewhere { .. }
                    | PodError::Over { .. },
                ) => return Fate::Lost,
                Err(
                    error @ (PodError::Cluster(_)
                    | PodError::NoContainer { .. }
                    | PodError::NotRunning { .. }),
                ) => return Fate::NotYet(error.to_string()),
            }
        }
        let selector = Selector {
            at: Where::Pods(pods),
            interface: missing.interface,
        };
        let mut found = match self.agent.find(&selector).await {
            Ok(found) => found,
            // Where nobody knows whether the pod is still meant to be here, its processes say it.
            Err(_) if self.cluster.is_none() => return Fate::Lost,
            Err(error) => return Fate::NotYet(error.to_string()),
        };
        if !missing.include_probes {
            let spared = protected::asked_of(&probe_ports, &protected::node_addresses());
            for target in &mut found {
                target.spared.clone_from(&spared);
            }
        }
        match self.protect(&found).await {
            Ok(()) => Fate::Found(found),
            Err(why) => Fate::NotYet(why),
        }
    }

    /// Has the kernel protect what must be, where targets are on the node's network.
    async fn protect(&self, found: &[Target]) -> Result<(), String> {
        let node = Netns::own().map(|own| own.cookie()).ok();
        let mut cookies = found.iter().map(|target| target.netns.cookie());
        let (Some(cluster), true) = (&self.cluster, cookies.any(|cookie| Some(cookie) == node))
        else {
            return Ok(());
        };
        let list = self.protections.api_servers(cluster).await;
        let list = list.map_err(|unknown| unknown.to_string())?;
        let protect = move |core: &mut Core| core.protect(&list);
        let done = self.agent.ask(protect).await;
        let done = done.and_then(|done| done.map_err(AgentError::from));
        done.map_err(|error| error.to_string())
    }
}
