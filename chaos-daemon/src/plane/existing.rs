//! Connections from before an experiment, where the kernel does not end them one by one.

use std::time::Duration;

use crate::engine::{
    Connections, Direction, Fault, Filter, PortRange, Protocol, Reset, Rule, Selector, Share, Side,
    Spec, Where,
};

/// How long they are looked for: one over which nothing goes for so long is not found.
const LOOKED_FOR: Duration = Duration::from_secs(3);

/// An experiment that ends them with their next packet. Nobody is shown it. Of a workload on the node's own network only
/// what leaves can be told from what others send.
pub(super) fn resets(ports: &[u16], shares_network: bool) -> Spec {
    let port = |port: &u16| {
        let range = PortRange {
            first: *port,
            last: *port,
        };
        (Side::Target, range)
    };
    let filter = Filter {
        direction: if shares_network {
            Direction::Egress
        } else {
            Direction::Both
        },
        protocol: Some(Protocol::Tcp),
        ports: ports.iter().map(port).collect(),
        connections: Connections::Established,
        ..Filter::default()
    };
    let reset = Reset {
        share: Share::ALL,
        after: None,
        after_bytes: 0,
    };
    Spec {
        // Whoever is asked knows the target already.
        selector: Selector {
            at: Where::Node,
            interface: None,
        },
        rules: vec![Rule {
            filter,
            fault: Fault::Reset(reset),
            pulse: None,
        }],
        duration: LOOKED_FOR,
        detached: true,
        grace: Duration::ZERO,
        seed: 0,
        include_probes: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_an_experiment_that_makes_sense() {
        for shares_network in [false, true] {
            assert_eq!(resets(&[80, 443], shares_network).check(), Ok(()));
        }
    }
}
