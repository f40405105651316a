//! Ports of pods that their containers have names for.

use std::collections::BTreeSet;

use chaos_proto::v1::{Filter, Protocol};

use super::super::pods::Candidate;
use super::super::{Draft, ResolveError};
use super::{End, PodPorts, Translated, lacks_port};

/// What each rule asks of the containers: names, and of which protocol.
pub(in super::super) struct ContainerPorts<'a> {
    rules: Vec<(&'a [String], Protocol)>,
    /// What was pointed at, for a person.
    what: String,
}

impl<'a> ContainerPorts<'a> {
    /// Takes the names that the rules have.
    pub(in super::super) fn new(drafts: &'a [Draft], what: String) -> Result<Self, ResolveError> {
        if drafts.iter().any(lacks_port) {
            return Err(ResolveError::WhichPort);
        }
        let rules = drafts.iter().map(|draft| {
            let filter = draft.rule.filter.as_ref();
            let protocol = filter.map_or(Protocol::Unspecified, Filter::protocol);
            (&draft.names.ports[..], protocol)
        });
        let rules = rules.collect();
        Ok(Self { rules, what })
    }

    /// Each pod with what the rules are in it; those that lack one of the names are left out.
    pub(in super::super) fn in_pods(
        &self,
        pods: &[Candidate],
        notes: &mut Vec<String>,
    ) -> Result<Vec<(Candidate, Translated)>, ResolveError> {
        let mut with = Vec::new();
        for pod in pods {
            if let Some(ports) = self.in_pod(pod)? {
                with.push((pod.clone(), ports));
            }
        }
        let without = pods.len() - with.len();
        if without > 0 {
            let ports = self.names();
            if with.is_empty() {
                let known = pods.iter().flat_map(|pod| pod.ports.keys());
                let known: BTreeSet<_> = known.map(|(name, _)| name.clone()).collect();
                return Err(ResolveError::NoSuchName {
                    what: self.what.clone(),
                    ports,
                    known: known.into_iter().collect(),
                });
            }
            let all = pods.len();
            notes.push(format!(
                "{without} of {all} pods have no container port {ports}, and are left out"
            ));
        }
        Ok(with)
    }

    /// What the rules are in one pod; nothing where it lacks a name.
    fn in_pod(&self, pod: &Candidate) -> Result<Option<Translated>, ResolveError> {
        let mut rules = Translated::new();
        for (names, wanted) in &self.rules {
            if names.is_empty() {
                rules.push(None);
                continue;
            }
            let (mut tcp, mut udp) = (BTreeSet::new(), BTreeSet::new());
            for name in *names {
                let of = |protocol: &str| -> BTreeSet<u16> {
                    let ports = pod.ports.get(&(name.clone(), protocol.to_owned()));
                    ports.into_iter().flatten().copied().flatten().collect()
                };
                let (of_tcp, of_udp) = match wanted {
                    Protocol::Tcp => (of("TCP"), BTreeSet::new()),
                    Protocol::Udp => (BTreeSet::new(), of("UDP")),
                    Protocol::Unspecified | Protocol::Icmp => (of("TCP"), of("UDP")),
                };
                if of_tcp.is_empty() && of_udp.is_empty() {
                    return Ok(None);
                }
                tcp.extend(of_tcp);
                udp.extend(of_udp);
            }
            let (protocol, numbers) = match (tcp.is_empty(), udp.is_empty()) {
                (_, true) => (Protocol::Tcp, tcp),
                (true, false) => (Protocol::Udp, udp),
                (false, false) if tcp == udp => (Protocol::Unspecified, tcp),
                (false, false) => {
                    return Err(ResolveError::NamesDiffer {
                        what: self.what.clone(),
                        ports: names.join(", "),
                    });
                }
            };
            rules.push(Some(PodPorts {
                protocol,
                numbers,
                end: End::Either,
            }));
        }
        Ok(Some(rules))
    }

    fn names(&self) -> String {
        let names = self.rules.iter().flat_map(|(names, _)| names.iter());
        let names: BTreeSet<_> = names.map(String::as_str).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    }
}
