//! A thousand pods on two hundred nodes, with simulated agents: what is asked of whom, and the bounds that it has to keep.
//! `cargo xtask bench fleet` says how far it is from them.

use std::{collections::HashSet, time::Duration};

use anyhow::Result;
use chaos_tests::fleet::{Agent, Large};

const NODES: u16 = 200;
const PODS: u16 = 1000;

#[test]
fn a_thousand_pods_on_two_hundred_nodes() {
    thousand().unwrap();
}

fn thousand() -> Result<()> {
    let large = Large::new(NODES, PODS)?;
    let times = large.delay("5s")?;
    eprintln!("{times:?}");
    assert!(times.planned <= Duration::from_secs(1), "{times:?}");
    assert!(times.armed <= Duration::from_secs(3), "{times:?}");
    assert!(times.spread <= Duration::from_millis(250), "{times:?}");
    let (prepared, armed) = (large.calls("prepare"), large.calls("arm"));
    assert_eq!(prepared.len(), usize::from(NODES));
    assert_eq!(armed.len(), usize::from(NODES));
    assert!(
        prepared.last() < armed.first(),
        "nothing is armed before all have prepared"
    );
    let experiments = large.agents().iter().flat_map(Agent::experiments);
    let targets = experiments.flat_map(|experiment| experiment.targets);
    let names: Vec<_> = targets
        .map(|target| target.pod.map(|pod| pod.name))
        .collect();
    assert_eq!(names.len(), usize::from(PODS), "each once");
    let different: HashSet<_> = names.into_iter().flatten().collect();
    assert_eq!(different.len(), usize::from(PODS));
    // The way to each agent apart, what is asked of the API server does not grow with pods and nodes.
    let mut asked = large.server().requests();
    asked.retain(|request| !request.path.ends_with("/portforward"));
    assert!(asked.len() < 20, "{asked:#?}");
    Ok(())
}
