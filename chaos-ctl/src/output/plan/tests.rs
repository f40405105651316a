//! A plan as a person reads it.

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{
    Experiment, Filter, Origin, Partition, Pod, PodsSelector, PortRange, PrepareRequest,
    PrepareResponse, Rule, Selector, Target,
};

use super::*;
use crate::cluster::{Part, Translation};

fn plan() -> Plan {
    let part = |node: &str, names: &[&str], port| Part {
        node: node.to_owned(),
        request: PrepareRequest {
            selector: Some(Selector {
                r#where: Some(Where::Pods(PodsSelector {
                    pods: names.iter().map(|name| pod(name)).collect(),
                    ..PodsSelector::default()
                })),
                ..Selector::default()
            }),
            rules: vec![Rule {
                filter: Some(Filter {
                    target_ports: vec![PortRange {
                        first: port,
                        last: port,
                    }],
                    ..Filter::default()
                }),
                fault: Some(Fault::Partition(Partition::default())),
                pulse: None,
            }],
            seed: Some(7),
            duration: Some(prost_types::Duration {
                seconds: 30,
                nanos: 0,
            }),
            ..PrepareRequest::default()
        },
    };
    Plan {
        parts: vec![
            part("a", &["web-1", "web-2"], 3000),
            part("b", &["web-3"], 3001),
        ],
        resolved: Resolved {
            what: "service web (namespace shop)".to_owned(),
            origin: Some(Origin {
                ready: 5,
                chosen: 3,
                ..Origin::default()
            }),
            ports: vec![Translation {
                port: "80".to_owned(),
                target_port: 3000,
                pods: 2,
            }],
            peers: vec![Peers {
                peer: "ns/db".to_owned(),
                addresses: (1..=6).map(|number| format!("10.0.0.{number}")).collect(),
            }],
            notes: vec!["something is left out".to_owned()],
        },
    }
}

fn pod(name: &str) -> Pod {
    Pod {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-{name}"),
    }
}

fn prepared(allows: bool) -> Answer {
    Answer::Prepared(Box::new(PrepareResponse {
        guards: vec![Guard {
            name: "maxShare".to_owned(),
            allows,
            detail: "60 % of at most 50 %".to_owned(),
        }],
        protected: vec!["probes of the kubelet".to_owned()],
        experiment: Some(Experiment {
            targets: vec![Target {
                interface: "eth0".to_owned(),
                pod: Some(pod("web-1")),
                ..Target::default()
            }],
            ..Experiment::default()
        }),
    }))
}

#[test]
fn everything_that_was_resolved_is_said() {
    let text = in_words(&plan(), &[]);
    for line in [
        "Where:  service web (namespace shop): 3 of 5 ready pods on 2 nodes\n",
        "Port:   80 is 3000 in 2 pods\n",
        "Peer:   ns/db is 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4 and 2 more\n",
        "Note:   something is left out\n",
        "\nNODE  POD    NAMESPACE\na     web-1  shop\na     web-2  shop\nb     web-3  shop\n",
        "target's port 3000 (on a)\n",
        "target's port 3001 (on b)\n",
        "\nTime:   30 s, or until chaosctl ends\nSeed:   7\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.ends_with("\n\nNothing was applied."), "{text}");
}

#[test]
fn what_agents_say_is_said_with_the_node_that_says_so() {
    let refused = Answer::Refused("no such pod".to_owned());
    let text = in_words(&plan(), &[prepared(false), refused]);
    for line in [
        "a     web-1  shop       eth0       would refuse: maxShare\n",
        "b     web-3  shop       -          no such pod\n",
        "Spared: probes of the kubelet (on a)\n",
        "Guard:  maxShare REFUSES: 60 % of at most 50 % (on a)\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let text = in_words(&plan(), &[prepared(true), prepared(true)]);
    assert!(
        text.contains("\nGuard:  maxShare allows: 60 % of at most 50 %\n"),
        "{text}"
    );
    assert!(prepared(true).is_yes() && !prepared(false).is_yes());
}
