//! Peers by name.

use std::fmt::Write as _;

use super::*;

#[test]
fn peers_are_the_addresses_of_what_they_name() {
    let cluster = Cluster::start();
    let own = cluster
        .server
        .object("Service", "demo", "provider-chaos-service")
        .unwrap();
    let own = own["spec"]["clusterIP"].as_str().unwrap().to_owned();
    let mut providers = own.clone();
    for number in 1..=5 {
        write!(providers, " 10.244.0.{number}").unwrap();
    }
    for (peer, addresses) in [
        ("svc/provider-chaos-service", providers.as_str()),
        ("svc/provider-chaos-service.demo", &providers),
        ("pod/bystander", "10.244.0.9"),
        ("pod/consumer.shop", "10.244.1.1"),
        ("ns/shop", "10.244.1.1"),
        ("node/node-a", "192.0.2.10"),
        ("label/app=other", "10.244.0.9"),
        ("label/app=consumer@shop", "10.244.1.1"),
        ("10.0.0.0/8,pod/bystander", "10.0.0.0/8 10.244.0.9"),
    ] {
        let plan = cluster.plan(&format!("--pod provider-1 --peer {peer}"));
        let found = plan.filters()[0]["peers"].clone();
        let found = found
            .as_array()
            .unwrap()
            .iter()
            .map(|peer| peer.as_str().unwrap().to_owned());
        let found: BTreeSet<_> = found.filter(|address| address != "::1").collect();
        assert_eq!(found, set(addresses), "{peer}");
    }
    // Partition provider from consumer: one command.
    let words = "partition --context demo --dry-run --svc provider-chaos-service --peer label/app=consumer@shop";
    let finished = cluster.chaosctl(words);
    assert!(
        finished.stdout.contains("to or from 10.244.1.1"),
        "{finished:?}"
    );
    let except = cluster.plan("--pod provider-1 --except svc/provider-chaos-service");
    assert_eq!(
        except.filters()[0]["except_peers"]
            .as_array()
            .unwrap()
            .len(),
        6
    );
    let words = "delay 1ms --context demo --pod provider-1 --peer db.invalid";
    assert!(
        cluster
            .refusal(words, 2)
            .starts_with("peer `db.invalid` cannot be looked up: ")
    );
    // A rule without peers would match all of them.
    let words = "delay 1ms --context demo --pod provider-1 --peer ns/shpo";
    let said = cluster.refusal(words, 1);
    let sentence = "there is no namespace `shpo`: did you mean shop?";
    assert_eq!(said, sentence);
    cluster.server.add_namespace("empty");
    let words = "delay 1ms --context demo --pod provider-1 --peer ns/empty";
    assert!(
        cluster
            .refusal(words, 1)
            .starts_with("peer `ns/empty` has no address: ")
    );
}
