//! Services of all kinds, and their ports.

use super::*;

#[test]
fn a_port_of_the_service_is_the_port_of_its_pods() {
    let cluster = Cluster::start();
    for port in ["3001", "http", "3000-3010"] {
        let plan = cluster.plan(&format!("--svc provider-chaos-service --port {port}"));
        for filter in plan.filters() {
            assert_eq!(filter["ports"], json!([]));
            assert_eq!(
                filter["target_ports"],
                json!([{"first": 3000, "last": 3000}])
            );
        }
    }
    let words = "delay 1ms --context demo --dry-run --svc provider-chaos-service --port";
    assert_eq!(
        cluster.refusal(&format!("{words} 3000"), 1),
        "service provider-chaos-service has no port 3000: its ports are 3001 (http)"
    );
    assert!(
        cluster
            .refusal(&format!("{words} https"), 1)
            .contains("has no port https")
    );
    assert!(
        cluster
            .refusal(&format!("{words} 3001 --target-port 3000"), 2)
            .contains("give one of them")
    );
}

#[test]
fn a_name_is_that_of_a_port_of_the_pods_own() {
    let cluster = Cluster::start();
    let plan = |options: &str| {
        let finished = cluster.chaosctl(&format!("{options} --context demo --dry-run -o json"));
        assert_ne!(finished.stdout, "", "{options}: {finished:?}");
        finished.filters()
    };
    let port = json!([{"first": 3000, "last": 3000}]);
    for place in [
        "-l app=provider-chaos",
        "--pod provider-1",
        "--deployment provider-chaos",
    ] {
        // As with a number: packets at either end, and requests at the pod's.
        for filter in plan(&format!("delay 1ms {place} --port http")) {
            assert_eq!(
                (&filter["ports"], &filter["protocol"]),
                (&port, &json!("tcp"))
            );
        }
        for filter in plan(&format!("http {place} --port http --delay 1ms")) {
            assert_eq!(
                (&filter["target_ports"], &filter["ports"]),
                (&port, &json!([]))
            );
        }
    }
    let words = "http --delay 1ms --context demo --dry-run -l app=provider-chaos --port web";
    assert_eq!(
        cluster.refusal(words, 1),
        "no pod of app=provider-chaos (namespace demo) has a container port named web: there are http"
    );
}

#[test]
fn pods_that_map_a_named_port_differently_are_parts_of_their_own() {
    let cluster = Cluster::start();
    let labels = [("app", "two")];
    cluster
        .server
        .add_service("demo", "two", &labels, &[("web", 80, json!("web"))], false);
    for (number, port) in [(1, 8080), (2, 8080), (3, 9090)] {
        let name = format!("two-{number}");
        let pod = NewPod::new("demo", &name, "node-a", [10, 244, 2, number].into());
        cluster
            .server
            .add_pod(&pod.label("app", "two").port("web", port));
    }
    let plan = cluster.plan("--svc two --port 80");
    let ports: BTreeSet<_> = plan
        .filters()
        .iter()
        .map(|filter| filter["target_ports"][0]["first"].as_u64().unwrap())
        .collect();
    assert_eq!(ports, [8080, 9090].into());
    assert_eq!(plan.pods().len(), 3);
    let translated = &plan.json()["plan"]["ports"];
    assert_eq!(
        translated[0],
        json!({"port": "80", "target_port": 8080, "pods": 2})
    );
    assert_eq!(
        translated[1],
        json!({"port": "80", "target_port": 9090, "pods": 1})
    );
    assert_eq!(
        cluster.plan("--svc two").json()["plan"]["parts"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn services_without_selector_or_address_are_services() {
    let cluster = Cluster::start();
    cluster
        .server
        .add_service("demo", "mine", &[], &[("", 80, json!(80))], false);
    cluster.server.put(
        "EndpointSlice",
        json!({
            "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4",
            "metadata": {"name": "mine-1", "namespace": "demo", "labels": {"kubernetes.io/service-name": "mine"}},
            "endpoints": [{"addresses": ["10.244.0.9"]}, {"addresses": ["203.0.113.7"]}],
            "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        }),
    );
    let plan = cluster.plan("--svc mine --port 80");
    assert_eq!(plan.pods(), set("bystander@node-a"));
    assert_eq!(plan.filters()[0]["target_ports"][0]["first"], json!(8080));
    let notes = plan.json()["plan"]["notes"].to_string();
    assert!(notes.contains("endpoint 203.0.113.7 is no pod"), "{notes}");

    let labels = [("app", "provider-chaos")];
    cluster
        .server
        .add_service("demo", "headless", &labels, &[], true);
    assert_eq!(cluster.plan("--svc headless").pods(), set(ALL));

    cluster.server.put(
        "Service",
        json!({
            "kind": "Service", "apiVersion": "v1", "metadata": {"name": "outside", "namespace": "demo"},
            "spec": {"type": "ExternalName", "externalName": "db.example.com"},
        }),
    );
    let said = cluster.refusal("delay 1ms --context demo --svc outside", 1);
    assert!(
        said.contains("is of type ExternalName: it has no pods"),
        "{said}"
    );
}
