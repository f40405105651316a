//! What stands before every call: who it is, whether they may, what the policy says, and a line about all of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use tonic::{Code, Status};

use super::status;
use crate::{
    access::{Access, AccessError, Asker, CLUSTER_WIDE, Caller, How, Verb},
    audit::{Audit, Entry, Verdict},
    cluster::{Cluster, PodFacts},
    engine::{Experiment, Origin, Pods, Selector, Spec, State, Target, Where},
    metrics::Tally,
    policy::{Asked, Guard, Policies, Share},
    protected,
};

/// Most names in one sentence.
const MOST_NAMES: usize = 5;

/// Who may do what, for one agent.
pub struct Gate {
    /// Who they are.
    pub access: Access,
    /// What nobody may.
    pub policies: Policies,
    /// The cluster, where the agent is in one.
    pub cluster: Option<Cluster>,
    /// Where it is written down.
    pub audit: Audit,
    /// Where it is counted.
    pub tally: Arc<Tally>,
    /// Addresses of this node.
    pub addresses: fn() -> Vec<IpAddr>,
}

/// Ports that probes of pods go to, by UID.
pub(super) type Probes = HashMap<String, BTreeSet<u16>>;

impl Gate {
    /// A call of this name has come.
    pub(super) fn entry(&self, call: &'static str) -> Entry {
        self.audit.entry(call)
    }

    /// Writes down what came of it.
    pub(super) fn close<T>(&self, entry: Entry, result: Result<T, Status>) -> Result<T, Status> {
        let (verdict, reason) = match &result {
            Ok(_) => (Verdict::Allowed, String::new()),
            Err(status) => {
                let is_refusal = matches!(
                    status.code(),
                    Code::Unauthenticated | Code::PermissionDenied | Code::Unavailable
                );
                let verdict = if is_refusal {
                    Verdict::Refused
                } else {
                    Verdict::Failed
                };
                (verdict, status.message().to_owned())
            }
        };
        self.audit.write(entry, verdict, reason);
        result
    }

    /// Who calls.
    pub(super) async fn identify(
        &self,
        caller: &Caller,
        entry: &mut Entry,
    ) -> Result<Asker, Status> {
        self.known(self.access.identify(caller).await, entry)
    }

    /// Who calls about an experiment that there is.
    pub(super) async fn identify_about(
        &self,
        caller: &Caller,
        id: &str,
        entry: &mut Entry,
    ) -> Result<Asker, Status> {
        entry.id(id);
        self.known(self.access.identify_about(caller, id).await, entry)
    }

    /// Who calls; at least as somebody who started something here.
    pub(super) async fn identify_or_owner(
        &self,
        caller: &Caller,
        entry: &mut Entry,
    ) -> Result<Asker, Status> {
        self.known(self.access.identify_or_owner(caller).await, entry)
    }

    fn known(&self, asker: Result<Asker, AccessError>, entry: &mut Entry) -> Result<Asker, Status> {
        let asker = asker.map_err(|error| self.refused(&error))?;
        entry.asker(&asker);
        Ok(asker)
    }

    /// Whether they may, where this points.
    pub(super) async fn may(
        &self,
        asker: &Asker,
        verb: Verb,
        selector: &Selector,
    ) -> Result<(), Status> {
        let namespaces = namespaces(selector);
        let answer = self.access.may(asker, verb, &namespaces).await;
        answer.map_err(|error| self.refused(&error))
    }

    /// The same, about an experiment: whoever started it may.
    pub(super) async fn may_about(
        &self,
        asker: &Asker,
        verb: Verb,
        experiment: &Experiment,
    ) -> Result<(), Status> {
        if self.access.owns(asker, &experiment.id) {
            return Ok(());
        }
        self.may(asker, verb, &experiment.spec.selector).await
    }

    /// Those about which they may, and the others with the reason.
    pub(super) async fn sort(
        &self,
        asker: &Asker,
        verb: Verb,
        all: Vec<Experiment>,
    ) -> (Vec<Experiment>, Vec<(Experiment, Status)>) {
        let (mut may, mut may_not) = (Vec::new(), Vec::new());
        let mut answers: HashMap<Vec<String>, Result<(), Status>> = HashMap::new();
        for experiment in all {
            let owns = self.access.owns(asker, &experiment.id);
            let selector = &experiment.spec.selector;
            let answer = match answers.get(&namespaces(selector)) {
                _ if owns => Ok(()),
                // Who is known only by what they started may do nothing else.
                _ if asker.how == How::Owner => Err(Status::unavailable(
                    "the API server cannot be asked whether you may do this to what others started",
                )),
                Some(answer) => answer.clone(),
                None => {
                    let answer = self.may(asker, verb, selector).await;
                    answers.insert(namespaces(selector), answer.clone());
                    answer
                }
            };
            match answer {
                Ok(()) => may.push(experiment),
                Err(refusal) => may_not.push((experiment, refusal)),
            }
        }
        (may, may_not)
    }

    fn refused(&self, error: &AccessError) -> Status {
        self.tally.refused(error.reason());
        status::of_access(error)
    }

    /// Asks the cluster about pods: they get what their cgroups are called. What their probes ask is the answer.
    pub(super) async fn look_up(&self, pods: &mut Pods) -> Result<Probes, Status> {
        let mut probes = Probes::new();
        let Some(cluster) = &self.cluster else {
            return Ok(probes);
        };
        let found = cluster.pods(pods).await;
        let found = found.map_err(|error| status::of_pod(&error))?;
        for (pod, facts) in pods.pods.iter_mut().zip(found) {
            let PodFacts {
                pod: known,
                probe_ports,
            } = facts;
            *pod = known;
            probes.insert(pod.uid.clone(), probe_ports);
        }
        Ok(probes)
    }

    /// What each guard says; nothing, where there is no policy.
    pub(super) async fn judge(
        &self,
        spec: &Spec,
        pods: Option<(&str, &Pods)>,
        others: &[Experiment],
    ) -> Vec<Guard> {
        let policy = match self.policies.read() {
            None => return Vec::new(),
            Some(Err(error)) => return Guard::none_allows(&error.to_string()),
            Some(Ok(policy)) => policy,
        };
        let share = match pods {
            Some((id, pods)) => self.share(id, pods, others).await,
            None => None,
        };
        let is_node_level = !matches!(spec.selector.at, Where::Pods(_));
        policy.judge(&Asked {
            namespaces: if is_node_level {
                Vec::new()
            } else {
                namespaces(&spec.selector)
            },
            node_level: is_node_level,
            duration: spec.duration,
            faults: spec.rules.iter().map(|rule| rule.fault.name()).collect(),
            share,
        })
    }

    /// An error where a guard says no.
    pub(super) fn enforce(&self, guards: &[Guard]) -> Result<(), Status> {
        let refusals: Vec<String> = guards
            .iter()
            .filter(|guard| !guard.allows)
            .map(|guard| {
                self.tally.refused(&format!("guard_{}", guard.name));
                format!("{}: {}", guard.name, guard.detail)
            })
            .collect();
        if refusals.is_empty() {
            return Ok(());
        }
        Err(Status::permission_denied(format!(
            "the policy of this agent does not allow it: {}",
            refusals.join("; ")
        )))
    }

    /// How much of what pods were chosen from is hit, by this and by others of this agent. Control's word counts where it
    /// is the worse one.
    async fn share(
        &self,
        id: &str,
        pods: &Pods,
        others: &[Experiment],
    ) -> Option<Result<Share, String>> {
        let origin = pods.origin.as_ref()?;
        let here: BTreeSet<&str> = pods.pods.iter().map(|pod| pod.uid.as_str()).collect();
        let chosen = usize::try_from(origin.chosen).unwrap_or(usize::MAX);
        let also: BTreeSet<&str> = others
            .iter()
            .filter(|other| other.state == State::Prepared || other.state == State::Armed)
            .filter(|other| base(&other.id) != base(id))
            .filter(|other| is_of(other, origin))
            .flat_map(|other| other.hits.iter().filter(|hit| !hit.gone))
            .filter_map(|hit| hit.target.pod.as_ref())
            .map(|pod| pod.uid.as_str())
            .filter(|uid| !here.contains(uid))
            .collect();
        let mut ready = usize::try_from(origin.ready).unwrap_or(usize::MAX);
        if let Some(cluster) = &self.cluster
            && origin.kind == "Service"
        {
            // One that is hit may have become unready by that.
            let hit: BTreeSet<&str> = here.union(&also).copied().collect();
            let counted = cluster
                .ready_endpoints(&origin.namespace, &origin.name, &hit)
                .await;
            match counted {
                Ok(counted) => ready = ready.min(counted),
                Err(error) => return Some(Err(error.to_string())),
            }
        }
        Some(Ok(Share {
            of: format!(
                "{} {}/{}",
                origin.kind.to_lowercase(),
                origin.namespace,
                origin.name
            ),
            hit: chosen.max(here.len()).saturating_add(also.len()),
            ready,
        }))
    }

    /// Has the rules of these targets leave alone what the kubelet asks of their probes; says so.
    pub(super) fn spare_probes(&self, targets: &mut [Target], probes: &Probes) -> Vec<String> {
        let addresses = (self.addresses)();
        let mut by_ports: BTreeMap<Vec<u16>, BTreeSet<String>> = BTreeMap::new();
        for target in targets {
            let Some(pod) = &target.pod else { continue };
            let ports = probes.get(&pod.uid).into_iter().flatten();
            let ports: Vec<u16> = ports.copied().collect();
            target.spared = protected::asked_of(&ports, &addresses);
            if !ports.is_empty() {
                by_ports.entry(ports).or_default().insert(pod.words());
            }
        }
        by_ports
            .into_iter()
            .map(|(ports, pods)| {
                let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
                format!(
                    "what this node's own addresses ask of port {} of {}, where the kubelet's probes go",
                    ports.join(" and "),
                    some(&pods)
                )
            })
            .collect()
    }
}

fn some(names: &BTreeSet<String>) -> String {
    let first: Vec<&str> = names.iter().take(MOST_NAMES).map(String::as_str).collect();
    let more = names.len().saturating_sub(MOST_NAMES);
    if more == 0 {
        first.join(", ")
    } else {
        format!("{} and {more} more", first.join(", "))
    }
}

/// Where permissions are needed.
pub(super) fn namespaces(selector: &Selector) -> Vec<String> {
    match &selector.at {
        Where::Pods(pods) => {
            let all: BTreeSet<&String> = pods.pods.iter().map(|pod| &pod.namespace).collect();
            all.into_iter().cloned().collect()
        }
        Where::Service { .. }
        | Where::Netns(_)
        | Where::Pid(_)
        | Where::Cgroup(_)
        | Where::Node => vec![CLUSTER_WIDE.to_owned()],
    }
}

fn is_of(experiment: &Experiment, origin: &Origin) -> bool {
    let Where::Pods(pods) = &experiment.spec.selector.at else {
        return false;
    };
    pods.origin.as_ref().is_some_and(|other| {
        (&other.kind, &other.namespace, &other.name)
            == (&origin.kind, &origin.namespace, &origin.name)
    })
}

/// The id that all parts of one experiment have in common: `ID.2` is a part of `ID`.
fn base(id: &str) -> &str {
    match id.rsplit_once('.') {
        Some((base, part)) if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) => base,
        _ => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_the_id_of_the_whole() {
        for (id, whole) in [
            ("delay-1", "delay-1"),
            ("delay-1.2", "delay-1"),
            ("delay.x", "delay.x"),
            ("delay.", "delay."),
        ] {
            assert_eq!(base(id), whole);
        }
    }

    #[test]
    fn many_names_are_counted() {
        let names = (1..=7).map(|number| format!("pod-{number}")).collect();
        assert_eq!(some(&names), "pod-1, pod-2, pod-3, pod-4, pod-5 and 2 more");
    }
}
