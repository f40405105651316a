//! The controller that keeps endpoint slices: one slice for each set of port numbers that a service's pods have.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{State, random_uid, random_word, resource, resource::Resource};

/// How many endpoints a slice has at most.
const FULL: usize = 100;

/// Brings the slices of all services of a namespace up to its pods. What is right already is not written again.
pub(super) fn update(state: &mut State, namespace: &str) {
    let kinds = ["Service", "Pod", "EndpointSlice"].map(resource::of_kind);
    let [Some(services), Some(pods), Some(slices)] = kinds else {
        return;
    };
    let all: Vec<Value> = state.store.objects(services, namespace).cloned().collect();
    for service in all
        .iter()
        .filter(|service| service["spec"]["selector"].is_object())
    {
        let chosen: Vec<Value> = state
            .store
            .objects(pods, namespace)
            .filter(|pod| chooses(service, pod) && has_address(pod))
            .cloned()
            .collect();
        update_service(state, slices, service, &chosen);
    }
}

fn update_service(state: &mut State, slices: &Resource, service: &Value, pods: &[Value]) {
    let metadata = &service["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
    let (namespace, name) = (text("namespace"), text("name"));
    // By ports as text, as values have no order.
    let mut wanted: BTreeMap<String, (Value, Vec<Value>)> = BTreeMap::new();
    for pod in pods {
        let ports = ports_of(service, pod);
        let entry = wanted
            .entry(ports.to_string())
            .or_insert((ports, Vec::new()));
        entry.1.push(endpoint(pod));
    }
    let mut there: Vec<Value> = state
        .store
        .objects(slices, &namespace)
        .filter(|slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] == name.as_str())
        .cloned()
        .collect();
    for (ports, endpoints) in wanted.into_values() {
        for endpoints in endpoints.chunks(FULL) {
            let same = there.iter().position(|slice| slice["ports"] == ports);
            let mut slice = same.map_or_else(
                || new_slice(state, service, &ports),
                |index| there.swap_remove(index),
            );
            let endpoints = Value::from(endpoints);
            if slice["endpoints"] != endpoints {
                slice["endpoints"] = endpoints;
                let generation = slice["metadata"]["generation"].as_u64().unwrap_or_default();
                slice["metadata"]["generation"] = (generation + 1).into();
                slice["metadata"]["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"] =
                    state.clock.stamp().into();
                state.store.put(slices, slice);
            }
        }
    }
    for slice in there {
        let name = slice["metadata"]["name"].as_str().unwrap_or_default();
        state.store.remove(slices, &namespace, name);
    }
}

fn new_slice(state: &State, service: &Value, ports: &Value) -> Value {
    let metadata = &service["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    let mut labels = json!({
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": name,
    });
    if service["spec"]["clusterIP"] == "None" {
        labels["service.kubernetes.io/headless"] = "".into();
    }
    json!({
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": format!("{name}-{}", random_word()), "generateName": format!("{name}-"),
            "namespace": metadata["namespace"], "uid": random_uid(), "generation": 0,
            "creationTimestamp": state.clock.stamp(), "labels": labels, "annotations": {},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": name, "uid": metadata["uid"],
                                 "controller": true, "blockOwnerDeletion": true}],
        },
        "addressType": "IPv4", "endpoints": null, "ports": ports,
    })
}

fn chooses(service: &Value, pod: &Value) -> bool {
    let selector = service["spec"]["selector"].as_object();
    let labels = &pod["metadata"]["labels"];
    selector.is_some_and(|selector| selector.iter().all(|(key, value)| labels[key] == *value))
}

fn has_address(pod: &Value) -> bool {
    let over =
        ["Failed", "Succeeded"].contains(&pod["status"]["phase"].as_str().unwrap_or_default());
    pod["status"]["podIP"].is_string() && !over
}

fn endpoint(pod: &Value) -> Value {
    let conditions = pod["status"]["conditions"].as_array();
    let serving = conditions.is_some_and(|conditions| {
        conditions
            .iter()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    });
    let terminating = pod["metadata"]["deletionTimestamp"].is_string();
    json!({
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": serving && !terminating, "serving": serving, "terminating": terminating},
        "targetRef": {"kind": "Pod", "namespace": pod["metadata"]["namespace"], "name": pod["metadata"]["name"],
                      "uid": pod["metadata"]["uid"]},
        "nodeName": pod["spec"]["nodeName"],
    })
}

/// The ports of a service as a pod has them: a named target port is what the pod calls so.
fn ports_of(service: &Value, pod: &Value) -> Value {
    let ports = service["spec"]["ports"].as_array();
    ports
        .into_iter()
        .flatten()
        .filter_map(|port| {
            let number = match &port["targetPort"] {
                Value::Number(number) => number.as_u64(),
                Value::String(name) => named_port(pod, name),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                    port["port"].as_u64()
                }
            }?;
            let name = port["name"].as_str().unwrap_or_default();
            Some(json!({"name": name, "protocol": port["protocol"], "port": number}))
        })
        .collect()
}

fn named_port(pod: &Value, name: &str) -> Option<u64> {
    let containers = pod["spec"]["containers"].as_array()?;
    containers
        .iter()
        .filter_map(|container| container["ports"].as_array())
        .flatten()
        .find(|port| port["name"] == name)?["containerPort"]
        .as_u64()
}
