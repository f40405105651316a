//! What the policy says about an experiment, and what its guards need to know for that: how much of a service is hit.
//!
//! An agent knows what is hit on its own node, and what the API server says of services. How many pods were chosen on other
//! nodes is control's word; it counts where it makes the share larger.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use tonic::Status;

use super::gate::{Gate, namespaces};
use crate::{
    cluster::{Cluster, ClusterError, Endpoints},
    engine::{Experiment, Origin, Pods, Spec, State, Where, whole},
    policy::{Asked, Guard, Level, Percent, Share},
};

/// Namespaces that are asked for at a time.
const AT_ONCE: usize = 4;

/// What is to be hit, by a part of an experiment.
pub(super) struct Part<'a> {
    /// Its id; empty where it has none yet.
    pub(super) id: &'a str,
    /// Who started it.
    pub(super) started_by: Option<&'a str>,
    /// Its pods; nothing where there are none, or where they stay what they are.
    pub(super) pods: Option<&'a Pods>,
}

/// Pods that are hit on this node, by UID.
struct Hit<'a> {
    /// By this experiment, with its other parts.
    here: BTreeSet<&'a str>,
    /// By others, with what they were chosen from.
    others: Vec<(&'a str, Option<&'a Origin>)>,
}

impl Gate {
    /// What each guard says; nothing, where there is no policy.
    pub(super) async fn judge(
        &self,
        spec: &Spec,
        part: &Part<'_>,
        live: &[Experiment],
    ) -> Vec<Guard> {
        let policy = match self.policies.read() {
            None => return Vec::new(),
            Some(Err(error)) => return Guard::none_allows(&error.to_string()),
            Some(Ok(policy)) => policy,
        };
        let shares = match part.pods {
            Some(pods) => self.shares(part, pods, live, policy.max_share).await,
            None => Ok(Vec::new()),
        };
        let (level, namespaces) = match (&spec.selector.at, &self.cluster) {
            (Where::Pods(_), Some(_)) => (Level::Pods, namespaces(&spec.selector)),
            (Where::Pods(_), None) => (Level::Claimed, namespaces(&spec.selector)),
            (..) => (Level::Node, Vec::new()),
        };
        policy.judge(&Asked {
            namespaces,
            level,
            duration: spec.duration,
            faults: spec.rules.iter().map(|rule| rule.fault.name()).collect(),
            shares: shares.map_err(|error| error.to_string()),
        })
    }

    /// An error where a guard says no, or does not know.
    pub(super) fn enforce(&self, guards: &[Guard]) -> Result<(), Status> {
        let refusals: Vec<&Guard> = guards.iter().filter(|guard| !guard.allows).collect();
        let Some(first) = refusals.first() else {
            return Ok(());
        };
        let sentences: Vec<String> = refusals
            .iter()
            .map(|guard| {
                self.tally.refused(&format!("guard_{}", guard.name));
                format!("{}: {}", guard.name, guard.detail)
            })
            .collect();
        let sentences = sentences.join("; ");
        if first.is_unsure && refusals.len() == 1 {
            return Err(Status::unavailable(format!(
                "cannot find out whether the policy of this agent allows it, so it does not now: {sentences}"
            )));
        }
        Err(Status::permission_denied(format!(
            "the policy of this agent does not allow it: {sentences}"
        )))
    }

    /// How much is hit of what pods were chosen from; and, where not all of a service may be hit, of each service that has
    /// one of them, whatever was said.
    async fn shares(
        &self,
        part: &Part<'_>,
        pods: &Pods,
        live: &[Experiment],
        most: Percent,
    ) -> Result<Vec<Share>, ClusterError> {
        let hit = Hit::of(part, pods, live);
        let origin = pods.origin.as_ref();
        let service = origin.filter(|origin| origin.kind == Origin::SERVICE);
        let mut shares = Vec::new();
        if let Some(origin) = origin {
            let endpoints = match (&self.cluster, service) {
                (
                    Some(cluster),
                    Some(Origin {
                        namespace, name, ..
                    }),
                ) => {
                    let found = cluster.endpoints(namespace, Some(name)).await?;
                    Some(found.into_iter().next().unwrap_or_default())
                }
                _ => None,
            };
            shares.push(hit.of_origin(origin, endpoints.as_ref()));
        }
        if let Some(cluster) = &self.cluster
            && most < Percent::ALL
        {
            for (namespace, endpoints) in services(cluster, pods).await? {
                let is_origin = |origin: &Origin| {
                    (&origin.namespace, &origin.name) == (&namespace, &endpoints.service)
                };
                if !service.is_some_and(is_origin) {
                    shares.extend(hit.of_service(&namespace, &endpoints));
                }
            }
        }
        Ok(shares)
    }
}

/// All services of the namespaces of these pods.
async fn services(
    cluster: &Cluster,
    pods: &Pods,
) -> Result<Vec<(String, Endpoints)>, ClusterError> {
    let namespaces: BTreeSet<&String> = pods.pods.iter().map(|pod| &pod.namespace).collect();
    let each = namespaces.into_iter().cloned().map(|namespace| async move {
        let found = cluster.endpoints(&namespace, None).await?;
        let named = found.into_iter().map(|of| (namespace.clone(), of));
        Ok(named.collect::<Vec<_>>())
    });
    stream::iter(each).buffered(AT_ONCE).try_concat().await
}

impl<'a> Hit<'a> {
    fn of(part: &Part<'_>, pods: &'a Pods, live: &'a [Experiment]) -> Self {
        let mut here: BTreeSet<&str> = pods.pods.iter().map(|pod| pod.uid.as_str()).collect();
        let mut others = Vec::new();
        let is_live = |one: &&Experiment| one.state == State::Prepared || one.state == State::Armed;
        for other in live.iter().filter(is_live).filter(|one| one.id != part.id) {
            let origin = other.spec.selector.at.pods();
            let origin = origin.and_then(|pods| pods.origin.as_ref());
            let uids = other.hits.iter().filter(|hit| !hit.gone);
            let uids = uids.filter_map(|hit| hit.target.pod.as_ref());
            // Those that are missing now are hit again without being asked.
            let uids = uids.chain(other.missed());
            let uids = uids.map(|pod| pod.uid.as_str());
            let is_same_origin = match (origin, &pods.origin) {
                (Some(one), Some(other)) => one.is_same(other),
                (None, None) => true,
                _ => false,
            };
            if whole(&other.id) == whole(part.id)
                && other.started_by.as_deref() == part.started_by
                && is_same_origin
            {
                here.extend(uids);
            } else {
                others.extend(uids.map(|uid| (uid, origin)));
            }
        }
        others.retain(|(uid, _)| !here.contains(uid));
        Self { here, others }
    }

    /// Of what the pods were chosen from.
    fn of_origin(&self, origin: &Origin, endpoints: Option<&Endpoints>) -> Share {
        let is_of = |uid: &str, other: Option<&Origin>| {
            other.is_some_and(|other| other.is_same(origin))
                || endpoints.is_some_and(|endpoints| endpoints.has(uid))
        };
        let others = self.others.iter().copied();
        let also: BTreeSet<&str> = others
            .filter(|(uid, other)| is_of(uid, *other))
            .map(|(uid, _)| uid)
            .collect();
        let ready = usize::try_from(origin.ready).unwrap_or(usize::MAX);
        let chosen = usize::try_from(origin.chosen).unwrap_or(usize::MAX);
        let hit: BTreeSet<&str> = self.here.union(&also).copied().collect();
        // One that is hit may have become unready by that.
        let counted = endpoints.map(|endpoints| endpoints.count_ready(&hit));
        Share {
            of: format!(
                "{} {}/{}",
                origin.kind.to_lowercase(),
                origin.namespace,
                origin.name
            ),
            hit: chosen.max(self.here.len()).saturating_add(also.len()),
            ready: counted.map_or(ready, |counted| counted.min(ready)),
        }
    }

    /// Of a service of which nothing was said, if pods of this experiment are its endpoints.
    fn of_service(&self, namespace: &str, endpoints: &Endpoints) -> Option<Share> {
        let others = self.others.iter().map(|(uid, _)| *uid);
        let all = self.here.iter().copied().chain(others);
        let hit: BTreeSet<&str> = all.filter(|uid| endpoints.has(uid)).collect();
        let is_hit = self.here.iter().any(|uid| endpoints.has(uid));
        is_hit.then(|| Share {
            of: format!("service {namespace}/{}", endpoints.service),
            hit: hit.len(),
            ready: endpoints.count_ready(&hit),
        })
    }
}
