//! Ports of a service, and what they are in its pods.

mod named;

use std::collections::{BTreeMap, BTreeSet};

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Filter, PortRange, Protocol, Rule};
use k8s_openapi::api::core::v1::{Service, ServicePort};
use kube::ResourceExt as _;

pub(super) use named::ContainerPorts;

use super::pods::Candidate;
use super::{Draft, ResolveError, Translation};
use crate::quantity::InvalidQuantity;

/// For each rule, ports of the pods in place of the service's; nothing where a rule asks for none of them.
pub(super) type Translated = Vec<Option<PodPorts>>;

/// Ports of a pod, and of which protocol: 53 of UDP is not 53 of TCP.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PodPorts {
    protocol: Protocol,
    numbers: BTreeSet<u16>,
    end: End,
}

/// Where packets have these ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// At the pod: what is asked of a service.
    Pod,
    /// At the pod or at whom it talks to, as with numbers that are asked of pods.
    Either,
}

/// What each rule asks of the service.
pub(super) struct ServicePorts<'a> {
    service: String,
    rules: Vec<Vec<(String, Vec<&'a ServicePort>)>>,
}

/// Neither service nor pods, no names of ports, and none that is meant where none is given.
pub(super) fn without_service(drafts: &[Draft]) -> Result<(), ResolveError> {
    let mut names = drafts.iter().flat_map(|draft| &draft.names.ports);
    if let Some(name) = names.next() {
        return Err(InvalidQuantity::port_name(name).into());
    }
    if drafts.iter().any(lacks_port) {
        return Err(ResolveError::WhichPort);
    }
    Ok(())
}

/// Whether a rule needs the port that requests arrive at, and does not say it.
pub(super) fn lacks_port(draft: &Draft) -> bool {
    let says = |filter: &Filter| !(filter.ports.is_empty() && filter.target_ports.is_empty());
    hits_requests(&draft.rule)
        && draft.names.ports.is_empty()
        && !draft.rule.filter.as_ref().is_some_and(says)
}

fn hits_requests(rule: &Rule) -> bool {
    matches!(rule.fault, Some(Fault::Http(_) | Fault::Grpc(_)))
}

/// A rule as agents take it: requests arrive at ports of the target itself, whatever the option is called.
pub(super) fn settle(rule: &mut Rule) {
    if hits_requests(rule)
        && let Some(filter) = &mut rule.filter
    {
        filter.target_ports.append(&mut filter.ports);
    }
}

impl<'a> ServicePorts<'a> {
    /// Finds the ports that the rules name among those of the service.
    pub(super) fn new(service: &'a Service, drafts: &[Draft]) -> Result<Self, ResolveError> {
        let rules = drafts.iter().map(|draft| asked_by(service, draft));
        Ok(Self {
            service: service.name_any(),
            rules: rules.collect::<Result<_, _>>()?,
        })
    }

    /// What the rules are in one pod; nothing where the pod lacks a port of theirs.
    fn in_pod(&self, pod: &Candidate) -> Result<Option<Translated>, ResolveError> {
        let mut rules = Translated::new();
        for asked in &self.rules {
            if asked.is_empty() {
                rules.push(None);
                continue;
            }
            let of = |protocol| {
                let ports = asked.iter().flat_map(|(_, ports)| ports);
                let ports = ports.filter(|port| self::protocol(port) == protocol);
                let numbers = ports.flat_map(|port| numbers(pod, port));
                numbers.collect::<BTreeSet<_>>()
            };
            let (tcp, udp) = (of("TCP"), of("UDP"));
            let (protocol, numbers) = match (tcp.is_empty(), udp.is_empty()) {
                (true, true) => return Ok(None),
                (false, true) => (Protocol::Tcp, tcp),
                (true, false) => (Protocol::Udp, udp),
                (false, false) if tcp == udp => (Protocol::Unspecified, tcp),
                (false, false) => {
                    let ports: Vec<_> = asked.iter().map(|(port, _)| port.clone()).collect();
                    return Err(ResolveError::Protocols {
                        service: self.service.clone(),
                        ports: ports.join(", "),
                    });
                }
            };
            rules.push(Some(PodPorts {
                protocol,
                numbers,
                end: End::Pod,
            }));
        }
        Ok(Some(rules))
    }

    /// Each pod with what the rules are in it; those that lack a port are left out.
    pub(super) fn in_pods(
        &self,
        pods: Vec<Candidate>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<(Candidate, Translated)>, ResolveError> {
        let (all, mut without) = (pods.len(), 0);
        let mut with = Vec::new();
        for pod in pods {
            match self.in_pod(&pod)? {
                Some(ports) => with.push((pod, ports)),
                None => without += 1,
            }
        }
        if without > 0 {
            let ports: BTreeSet<_> = self
                .rules
                .iter()
                .flatten()
                .map(|(port, _)| port.clone())
                .collect();
            let ports = ports.into_iter().collect::<Vec<_>>().join(", ");
            if with.is_empty() {
                return Err(ResolveError::PortOfNoPod {
                    service: self.service.clone(),
                    ports,
                });
            }
            notes.push(format!(
                "{without} of {all} pods of service {} do not have its port {ports}, and are left out",
                self.service
            ));
        }
        Ok(with)
    }

    /// What became of which port in how many of these pods.
    pub(super) fn translations<'p>(
        &self,
        pods: impl IntoIterator<Item = &'p Candidate>,
    ) -> Vec<Translation> {
        let mut found: BTreeMap<(String, u16), usize> = BTreeMap::new();
        let asked: BTreeMap<_, _> = self.rules.iter().flatten().cloned().collect();
        for pod in pods {
            for (name, ports) in &asked {
                let targets: BTreeSet<_> =
                    ports.iter().flat_map(|port| numbers(pod, port)).collect();
                for target in targets {
                    *found.entry((name.clone(), target)).or_default() += 1;
                }
            }
        }
        let each = found
            .into_iter()
            .map(|((port, target_port), pods)| Translation {
                port,
                target_port,
                pods,
            });
        each.collect()
    }
}

/// Numbers of a service's port in a pod.
fn numbers(pod: &Candidate, port: &ServicePort) -> BTreeSet<u16> {
    let key = (
        port.name.clone().unwrap_or_default(),
        protocol(port).to_owned(),
    );
    let own = u16::try_from(port.port).ok();
    let numbers = pod.ports.get(&key).into_iter().flatten();
    numbers.filter_map(|number| number.or(own)).collect()
}

fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

fn asked_by<'a>(
    service: &'a Service,
    draft: &Draft,
) -> Result<Vec<(String, Vec<&'a ServicePort>)>, ResolveError> {
    let filter = draft.rule.filter.clone().unwrap_or_default();
    let numbers = filter
        .ports
        .iter()
        .map(|range| (words(*range), Some(*range)));
    let names = draft.names.ports.iter().map(|name| (name.clone(), None));
    let asked: Vec<_> = numbers.chain(names).collect();
    if !asked.is_empty() && !filter.target_ports.is_empty() {
        return Err(ResolveError::PortTwice);
    }
    let wanted = match filter.protocol() {
        Protocol::Tcp => Some("TCP"),
        Protocol::Udp => Some("UDP"),
        Protocol::Unspecified | Protocol::Icmp => None,
    };
    let all: Vec<_> = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten())
        .collect();
    if lacks_port(draft) {
        return Ok(vec![only(service, &all)?]);
    }
    let find = |(port, range): (String, Option<PortRange>)| {
        let fits = |known: &&&ServicePort| {
            let has_protocol = match wanted {
                Some(wanted) => protocol(known) == wanted,
                None => protocol(known) != "SCTP",
            };
            let number = u32::try_from(known.port).unwrap_or_default();
            has_protocol
                && range.map_or_else(
                    || known.name.as_deref() == Some(port.as_str()),
                    |range| (range.first..=range.last).contains(&number),
                )
        };
        let found: Vec<_> = all.iter().filter(fits).copied().collect();
        match (found.is_empty(), all.is_empty()) {
            (false, _) => Ok((port, found)),
            (true, true) => Err(ResolveError::NoPorts {
                service: service.name_any(),
                port,
            }),
            (true, false) => Err(ResolveError::NoSuchPort {
                service: service.name_any(),
                port,
                protocol: wanted,
                ports: all.iter().copied().map(in_words).collect(),
            }),
        }
    };
    asked.into_iter().map(find).collect()
}

/// The port that is meant where none is given.
fn only<'a>(
    service: &Service,
    all: &[&'a ServicePort],
) -> Result<(String, Vec<&'a ServicePort>), ResolveError> {
    let is_tcp = |port: &&&ServicePort| protocol(port) == "TCP";
    let found: Vec<_> = all.iter().filter(is_tcp).copied().collect();
    match found[..] {
        [port] => Ok((port.port.to_string(), found)),
        [] => Err(ResolveError::NoTcpPort {
            service: service.name_any(),
        }),
        _ => Err(ResolveError::SeveralPorts {
            service: service.name_any(),
            ports: found.into_iter().map(in_words).collect(),
        }),
    }
}

fn words(range: PortRange) -> String {
    if range.first == range.last {
        range.first.to_string()
    } else {
        format!("{}-{}", range.first, range.last)
    }
}

/// `3001 (http)`, `53/UDP (dns)`.
fn in_words(port: &ServicePort) -> String {
    let protocol = port
        .protocol
        .as_deref()
        .filter(|protocol| *protocol != "TCP");
    let protocol = protocol.map_or_else(String::new, |protocol| format!("/{protocol}"));
    let name = port.name.as_deref().filter(|name| !name.is_empty());
    let name = name.map_or_else(String::new, |name| format!(" ({name})"));
    format!("{}{protocol}{name}", port.port)
}

/// A filter whose names, and ports of a service, are ports of the pods.
pub(super) fn apply(filter: &mut Filter, ports: &PodPorts) {
    if filter.protocol() == Protocol::Unspecified {
        filter.protocol = ports.protocol.into();
    }
    let ranges = ports.numbers.iter().map(|&port| PortRange {
        first: port.into(),
        last: port.into(),
    });
    match ports.end {
        End::Pod => {
            filter.ports.clear();
            filter.target_ports = ranges.collect();
        }
        End::Either => filter.ports.extend(ranges),
    }
}

#[cfg(test)]
mod tests;
