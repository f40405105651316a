//! What stands before every call: who it is, whether they may, what the policy says, and a line about all of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    error::Error,
    net::IpAddr,
    sync::Arc,
};

use tonic::{Code, Status};

use super::status;
use crate::{
    access::{Access, AccessError, Asker, CLUSTER_WIDE, Caller, How, Verb},
    audit::{Audit, Entry, Verdict},
    cluster::{Cluster, PodFacts},
    engine::{Experiment, Pods, Selector, Target, Where},
    metrics::Tally,
    policy::Policies,
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
    pub(super) fn close<T>(entry: Entry, result: Result<T, Status>) -> Result<T, Status> {
        match &result {
            Ok(_) => entry.finish(Verdict::Allowed, ""),
            Err(status) => {
                let verdict = if is_refusal(status) {
                    Verdict::Refused
                } else {
                    Verdict::Failed
                };
                entry.finish(verdict, status.message());
            }
        }
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
        let asker = asker.map_err(|error| self.refused(error))?;
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
        let answer = self.access.may(asker, verb, &namespaces(selector)).await;
        answer.map_err(|error| self.refused(error))
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

    /// Those about which they may, and the others with the reason. Nobody has been refused yet.
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
                    let namespaces = namespaces(selector);
                    let answer = self.access.may(asker, verb, &namespaces).await;
                    let answer = answer.map_err(status::of_access);
                    answers.insert(namespaces, answer.clone());
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

    /// A refusal of some of what was asked for.
    pub(super) fn refused_rest(&self, refusal: &Status, sentence: String) -> Status {
        let source = refusal.source();
        let reason = source.and_then(<dyn Error>::downcast_ref::<AccessError>);
        self.tally
            .refused(reason.map_or("api_server", AccessError::reason));
        Status::new(refusal.code(), sentence)
    }

    fn refused(&self, error: AccessError) -> Status {
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

/// Whether somebody may not, or nobody can say that they may. What could not be done is another thing.
fn is_refusal(status: &Status) -> bool {
    let source = status.source();
    matches!(
        status.code(),
        Code::Unauthenticated | Code::PermissionDenied
    ) || source.is_some_and(<dyn Error>::is::<AccessError>)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agent::AgentError,
        cluster::{ClusterError, PodError},
    };

    #[test]
    fn what_could_not_be_done_is_no_refusal() {
        let unknown = AccessError::Unreachable(ClusterError::Silent { what: "it" });
        assert!(is_refusal(&status::of_access(unknown)), "nobody may");
        assert!(is_refusal(&status::of_access(AccessError::NoToken)));
        assert!(!is_refusal(&status::of(&AgentError::Stopping)));
        let silent = PodError::Cluster(ClusterError::Silent { what: "it" });
        assert!(!is_refusal(&status::of_pod(&silent)));
    }

    #[test]
    fn many_names_are_counted() {
        let names = (1..=7).map(|number| format!("pod-{number}")).collect();
        assert_eq!(some(&names), "pod-1, pod-2, pod-3, pod-4, pod-5 and 2 more");
    }
}
