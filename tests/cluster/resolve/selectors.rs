//! Selectors, modes, long lists and files.

use super::*;

#[test]
fn a_service_is_its_ready_endpoints() {
    let cluster = Cluster::start();
    let plan = cluster.plan("--svc provider-chaos-service");
    assert_eq!(plan.pods(), set(ALL));
    let parts = plan.json()["plan"]["parts"].as_array().unwrap().len();
    assert_eq!(parts, 2);
    let origin = &plan.json()["plan"]["origin"];
    assert_eq!(
        (&origin["ready"], &origin["chosen"]),
        (&json!(5), &json!(5))
    );
    // Without --port it is all packets of the pods.
    assert_eq!(plan.filters()[0]["target_ports"], json!([]));

    cluster.server.set_pod_ready("demo", "provider-1", false);
    cluster.server.terminate_pod("demo", "provider-4");
    let plan = cluster.plan("--svc provider-chaos-service");
    assert_eq!(
        plan.pods(),
        set("provider-2@node-a provider-3@node-a provider-5@node-b")
    );
}

#[test]
fn pods_labels_workloads_and_nodes() {
    let cluster = Cluster::start();
    for (options, pods) in [
        (
            "--pod provider-1 --pod bystander",
            "provider-1@node-a bystander@node-a",
        ),
        (
            "--pod provider-4,provider-1",
            "provider-1@node-a provider-4@node-b",
        ),
        ("-l app=other", "bystander@node-a"),
        ("-l app!=provider-chaos", "bystander@node-a"),
        ("-n shop -l app", "consumer@node-b"),
        ("--deployment provider-chaos", ALL),
        ("--svc provider-chaos-service -c main", ALL),
    ] {
        assert_eq!(cluster.plan(options).pods(), set(pods), "{options}");
    }
    // Only pods that the Deployment owns, whatever their labels.
    cluster.server.add_pod(
        &NewPod::new("demo", "stray", "node-a", [10, 244, 0, 77].into())
            .label("app", "provider-chaos"),
    );
    assert_eq!(cluster.plan("--deployment provider-chaos").pods(), set(ALL));
    for kind in ["StatefulSet", "DaemonSet"] {
        let name = kind.to_lowercase();
        let labels = [("app", name.as_str())];
        cluster.server.add_workload(kind, "demo", &name, &labels, 1);
        let address = [10, 244, 3, u8::try_from(kind.len()).unwrap()];
        let pod = NewPod::new("demo", &format!("{name}-0"), "node-b", address.into());
        let pod = pod.label("app", &name).owned_by(kind, &name);
        cluster.server.add_pod(&pod);
        let plan = cluster.plan(&format!("--{name} {name}"));
        assert_eq!(plan.pods(), set(&format!("{name}-0@node-b")));
    }
    for (options, nodes) in [
        ("--node=node-b", "node-b"),
        ("--node node-b", "node-b"),
        ("--node=node-a,node-b", "node-a node-b"),
        ("--node-selector disk=fast", "node-a"),
    ] {
        let plan = cluster.plan(options).json();
        let parts = plan["plan"]["parts"].as_array().unwrap();
        let found = parts
            .iter()
            .map(|part| part["node"].as_str().unwrap().to_owned());
        assert_eq!(found.collect::<BTreeSet<_>>(), set(nodes), "{options}");
    }
}

#[test]
fn a_mode_and_a_seed_choose_the_same_again() {
    let cluster = Cluster::start();
    let count = |mode: &str| {
        cluster
            .plan(&format!("-l app=provider-chaos --mode {mode}"))
            .pods()
            .len()
    };
    for (mode, pods) in [
        ("one", 1),
        ("fixed=2", 2),
        ("fixed=9", 5),
        ("percent=41", 3),
        ("all", 5),
    ] {
        assert_eq!(count(mode), pods, "{mode}");
    }
    let with = |seed: u32| {
        cluster.plan(&format!(
            "--svc provider-chaos-service --mode fixed=2 --seed {seed}"
        ))
    };
    let chosen = with(7);
    assert_eq!(chosen.pods(), with(7).pods());
    assert!((0..20).any(|seed| with(seed).pods() != chosen.pods()));
    let origin = &chosen.json()["plan"]["origin"];
    assert_eq!(
        (&origin["ready"], &origin["chosen"]),
        (&json!(5), &json!(2))
    );
}

#[test]
fn long_lists_come_in_pages() {
    let cluster = Cluster::start();
    for number in 0..1200_u16 {
        let [high, low] = number.to_be_bytes();
        let name = format!("many-{number}");
        let pod = NewPod::new("shop", &name, "node-a", [10, 200, high, low].into());
        cluster.server.add_pod(&pod.label("app", "many"));
    }
    let plan = cluster.plan("-n shop -l app=many");
    assert_eq!(plan.pods().len(), 1200);
    // More than one request may have.
    assert_eq!(plan.json()["plan"]["parts"].as_array().unwrap().len(), 2);
    let pages = cluster.server.take_requests();
    let pages = pages
        .iter()
        .filter(|seen| seen.path.ends_with("/shop/pods"))
        .count();
    assert_eq!(pages, 3);
}

#[test]
fn a_file_says_the_same() {
    let cluster = Cluster::start();
    let file = cluster.directory.path().join("experiment.yaml");
    let plan = |text: &str| {
        std::fs::write(&file, text).unwrap();
        cluster.chaosctl(&format!(
            "apply --dry-run -o json --context demo -f {}",
            file.display()
        ))
    };
    let rules =
        "rules:\n  - delay: { latency: 5ms }\n    filter: { ports: [http], peers: [ns/shop] }\n";
    let found = plan(&format!(
        "service: provider-chaos-service\nmode: fixed=2\nseed: 1\n{rules}"
    ));
    assert_eq!(found.pods().len(), 2);
    let filter = &found.filters()[0];
    assert_eq!(filter["target_ports"][0]["first"], json!(3000));
    assert_eq!(filter["peers"], json!(["10.244.1.1"]));
    let rules = "rules: [{ partition: }]\n";
    for (text, pods) in [
        ("pod: provider-1", "provider-1@node-a"),
        (
            "pod: [provider-1, bystander]",
            "provider-1@node-a bystander@node-a",
        ),
        ("selector: app=consumer\nnamespace: shop", "consumer@node-b"),
        ("deployment: provider-chaos", ALL),
    ] {
        assert_eq!(
            plan(&format!("{text}\n{rules}")).pods(),
            set(pods),
            "{text}"
        );
    }
    let nodes = plan(&format!("node: [node-a]\n{rules}")).json();
    assert_eq!(nodes["plan"]["parts"][0]["node"], json!("node-a"));
}
