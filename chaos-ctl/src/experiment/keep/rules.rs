//! Rules that somebody else has changed while this chaosctl was attached: they stay changed, and whoever joins gets
//! them.

use chaos_proto::v1::{Filter, Rule};

/// What `chaosctl update` has made of the rules.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::experiment) struct Changed(Vec<ChangedRule>);

#[derive(Debug, Clone, Default, PartialEq)]
struct ChangedRule {
    /// As it is now.
    rule: Rule,
    /// Whether its ports are others too: where they are not, each node keeps what the service's ports are there.
    ports: bool,
    /// Whether its peers are others too: where they are not, they go on to follow the cluster.
    peers: bool,
}

impl Changed {
    /// What has been changed so far, and this.
    pub(super) fn add(&mut self, before: &[Rule], now: &[Rule]) {
        self.0.resize_with(now.len(), ChangedRule::default);
        for (index, changed) in self.0.iter_mut().enumerate() {
            let before = filter(before.get(index));
            let after = filter(now.get(index));
            changed.ports |= ports(&before) != ports(&after);
            changed.peers |= peers(&before) != peers(&after);
            changed.rule = now[index].clone();
        }
    }

    /// What is wanted, with what was changed.
    pub(super) fn in_place_of(&self, wanted: &[Rule]) -> Vec<Rule> {
        if self.0.len() != wanted.len() {
            return wanted.to_vec();
        }
        let changed = self.0.iter().zip(wanted);
        changed
            .map(|(changed, wanted)| {
                let mut rule = changed.rule.clone();
                let mut now = filter(Some(&rule));
                let wanted = filter(Some(wanted));
                if !changed.ports {
                    now.protocol = wanted.protocol;
                    now.ports = wanted.ports;
                    now.target_ports = wanted.target_ports;
                    now.peer_ports = wanted.peer_ports;
                }
                if !changed.peers {
                    now.peers = wanted.peers;
                    now.except_peers = wanted.except_peers;
                }
                rule.filter = Some(now);
                rule
            })
            .collect()
    }
}

fn filter(rule: Option<&Rule>) -> Filter {
    rule.and_then(|rule| rule.filter.clone())
        .unwrap_or_default()
}

fn ports(filter: &Filter) -> impl PartialEq + '_ {
    let Filter {
        protocol,
        ports,
        target_ports,
        peer_ports,
        ..
    } = filter;
    (protocol, ports, target_ports, peer_ports)
}

fn peers(filter: &Filter) -> impl PartialEq + '_ {
    (&filter.peers, &filter.except_peers)
}

#[cfg(test)]
mod tests {
    use chaos_proto::v1::rule::Fault;
    use chaos_proto::v1::{Loss, PortRange};

    use super::*;

    fn rule(ppm: u32, port: u32, peer: &str) -> Rule {
        Rule {
            fault: Some(Fault::Loss(Loss {
                share_ppm: ppm,
                ..Loss::default()
            })),
            filter: Some(Filter {
                target_ports: vec![PortRange {
                    first: port,
                    last: port,
                }],
                peers: vec![peer.to_owned()],
                ..Filter::default()
            }),
            ..Rule::default()
        }
    }

    #[test]
    fn what_nobody_changed_goes_on_to_be_wanted() {
        let mut changed = Changed::default();
        changed.add(&[rule(1, 80, "10.0.0.1")], &[rule(2, 80, "10.0.0.1")]);
        // Another node's port, and peers that have changed since.
        let wanted = [rule(1, 8080, "10.0.0.2")];
        assert_eq!(changed.in_place_of(&wanted), [rule(2, 8080, "10.0.0.2")]);
        changed.add(&[rule(2, 80, "10.0.0.2")], &[rule(2, 80, "10.9.9.9")]);
        assert_eq!(changed.in_place_of(&wanted), [rule(2, 8080, "10.9.9.9")]);
        changed.add(&[rule(2, 80, "10.9.9.9")], &[rule(3, 443, "10.9.9.9")]);
        assert_eq!(changed.in_place_of(&wanted), [rule(3, 443, "10.9.9.9")]);
    }
}
