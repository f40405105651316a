//! Slices as an API server wrote them, and as it may write them.

use k8s_openapi::List;
use serde_json::{Value, json};

use super::*;

const SERVICE: &str = include_str!("../../../../tests/recorded/real_service_get.json");
const SLICES: &str = include_str!("../../../../tests/recorded/real_endpointslices_list.json");
const PODS: &str = include_str!("../../../../tests/recorded/real_pods_list_by_label.json");

fn recorded(change: impl FnOnce(&mut Value)) -> Endpoints {
    let mut slices: Value = serde_json::from_str(SLICES).unwrap();
    change(&mut slices["items"]);
    let slices: List<EndpointSlice> = serde_json::from_value(slices).unwrap();
    Endpoints {
        service: serde_json::from_str(SERVICE).unwrap(),
        slices: slices.items,
    }
}

fn found(endpoints: &Endpoints, held: &[&str]) -> Found {
    collect(
        endpoints,
        &held.iter().map(|uid| (*uid).to_owned()).collect(),
    )
}

fn http() -> (String, String) {
    ("http".to_owned(), "TCP".to_owned())
}

#[test]
fn endpoints_name_their_pods() {
    let found = found(&recorded(|_| {}), &[]);
    assert_eq!(found.candidates.pods.len(), 5);
    assert!(found.nameless.is_empty() && found.candidates.others.is_empty());
    for pod in &found.candidates.pods {
        assert_eq!(
            (pod.namespace.as_str(), pod.node.as_str()),
            ("real", "node-a")
        );
        assert!(pod.name.starts_with("provider-chaos-5cb65c7759-"));
        assert_eq!(pod.ports[&http()], [Some(3000)].into());
    }
}

#[test]
fn who_is_not_ready_or_terminates_is_left_out_and_counted() {
    let endpoints = recorded(|slices| {
        let endpoints = &mut slices[0]["endpoints"];
        endpoints[0]["conditions"] =
            json!({"ready": false, "serving": false, "terminating": false});
        endpoints[1]["conditions"] = json!({"ready": false, "serving": true, "terminating": true});
        // Not known is ready; a service may publish what is not.
        endpoints[2]["conditions"] = json!({});
        endpoints[3]["conditions"] = json!({"ready": true, "serving": true, "terminating": true});
    });
    let all = found(&endpoints, &[]);
    assert_eq!(all.candidates.pods.len(), 2);
    assert_eq!(
        all.candidates.others,
        [("is not ready", 1), ("is terminating", 2)].into()
    );
    // Who was hit stays while it is only not ready: the fault may be why.
    let (unready, terminating) = (
        "d41e81e1-c0ec-4974-9df3-d0d75b008b57",
        "66537505-5aa5-48a6-99bb-7f588349d9af",
    );
    let held = found(&endpoints, &[unready, terminating]);
    let uids: Vec<_> = held.candidates.pods.iter().map(|pod| &pod.uid).collect();
    assert!(uids.len() == 3 && uids.iter().any(|uid| *uid == unready));
}

#[test]
fn a_pod_of_two_families_is_one() {
    let endpoints = recorded(|slices| {
        let mut six = slices[0].clone();
        six["addressType"] = "IPv6".into();
        for (number, endpoint) in six["endpoints"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .enumerate()
        {
            endpoint["addresses"] = json!([format!("fd00::{number}")]);
        }
        six["ports"][0]["port"] = 3009.into();
        slices.as_array_mut().unwrap().push(six);
    });
    let found = found(&endpoints, &[]);
    assert_eq!(found.candidates.pods.len(), 5);
    assert_eq!(
        found.candidates.pods[0].ports[&http()],
        [Some(3000), Some(3009)].into()
    );
}

#[test]
fn slices_without_endpoints_ports_or_hosts_are_no_trouble() {
    let endpoints = recorded(|slices| {
        slices[0]["endpoints"] = Value::Null;
        slices[0]["ports"] = Value::Null;
        let mut names = slices[0].clone();
        names["addressType"] = "FQDN".into();
        names["endpoints"] = json!([{"addresses": ["db.example.com"]}]);
        slices.as_array_mut().unwrap().push(names);
    });
    let found = found(&endpoints, &[]);
    assert!(found.candidates.pods.is_empty() && found.nameless.is_empty());
}

#[test]
fn endpoints_without_a_pod_are_looked_up_by_address() {
    let endpoints = recorded(|slices| {
        for endpoint in slices[0]["endpoints"].as_array_mut().unwrap() {
            endpoint.as_object_mut().unwrap().remove("targetRef");
        }
        slices[0]["endpoints"][0]["addresses"] = json!(["192.0.2.10"]);
    });
    let pods: List<Pod> = serde_json::from_str(PODS).unwrap();
    let mut pods = pods.items;
    let mut by_address = found(&endpoints, &[]);
    assert!(!by_address.by_address(&pods));
    assert_eq!(by_address.candidates.pods.len(), 4);
    assert!(by_address.nameless.keys().eq(["192.0.2.10"]));
    assert_eq!(
        by_address.candidates.pods[0].ports[&http()],
        [Some(3000)].into()
    );

    // The address of a pod on the host network is everybody's there.
    for pod in &mut pods {
        pod.spec.as_mut().unwrap().host_network = Some(true);
    }
    let mut by_address = found(&endpoints, &[]);
    by_address.by_address(&pods);
    assert!(by_address.candidates.pods.is_empty());
}
