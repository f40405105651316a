//! A pod's object, as scheduler and kubelet write it when it runs.

use std::{collections::BTreeMap, net::IpAddr};

use serde_json::{Value, json};

use super::{State, random_uid};

/// A pod to add. It runs and is ready at once.
#[derive(Debug, Clone)]
pub struct NewPod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Name of its node.
    pub node: String,
    /// Its address.
    pub address: IpAddr,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Named ports of its one container.
    pub ports: Vec<(String, u16)>,
    /// Names of its containers; the first has the ports.
    pub containers: Vec<String>,
    /// Kind and name of its controller.
    pub owner: Option<(String, String)>,
    /// Whether it is on the node's network.
    pub host_network: bool,
    /// Its UID; random if there is none.
    pub uid: Option<String>,
}

impl NewPod {
    /// A pod with one container, without labels and ports.
    pub fn new(namespace: &str, name: &str, node: &str, address: IpAddr) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            node: node.to_owned(),
            address,
            labels: BTreeMap::new(),
            ports: Vec::new(),
            containers: vec!["main".to_owned()],
            owner: None,
            host_network: false,
            uid: None,
        }
    }

    /// With one more label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With one more named port.
    #[must_use]
    pub fn port(mut self, name: &str, port: u16) -> Self {
        self.ports.push((name.to_owned(), port));
        self
    }

    /// With a controller.
    #[must_use]
    pub fn owned_by(mut self, kind: &str, name: &str) -> Self {
        self.owner = Some((kind.to_owned(), name.to_owned()));
        self
    }

    /// On its node's network.
    #[must_use]
    pub fn on_host_network(mut self) -> Self {
        self.host_network = true;
        self
    }

    /// With this UID.
    #[must_use]
    pub fn uid(mut self, uid: &str) -> Self {
        self.uid = Some(uid.to_owned());
        self
    }

    pub(super) fn object(&self, state: &State) -> Value {
        let stamp = state.clock.stamp();
        let mut metadata = json!({
            "name": self.name, "namespace": self.namespace, "generation": 1,
            "uid": self.uid.clone().unwrap_or_else(random_uid), "creationTimestamp": stamp,
        });
        if !self.labels.is_empty() {
            metadata["labels"] = self.labels.clone().into_iter().collect();
        }
        if let Some((kind, name)) = &self.owner {
            metadata["ownerReferences"] = json!([{
                "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": state.uid_of(kind, &self.namespace, name),
                "controller": true, "blockOwnerDeletion": true,
            }]);
        }
        let containers: Vec<Value> = self
            .containers
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let mut container = json!({
                    "name": name, "image": "registry.local/provider:1", "resources": {},
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                    "imagePullPolicy": "IfNotPresent",
                });
                if index == 0 && !self.ports.is_empty() {
                    container["ports"] = self
                        .ports
                        .iter()
                        .map(|(name, port)| {
                            json!({"name": name, "containerPort": port, "protocol": "TCP"})
                        })
                        .collect();
                }
                container
            })
            .collect();
        let mut spec = json!({
            "containers": containers, "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst", "serviceAccountName": "default", "serviceAccount": "default",
            "nodeName": self.node, "securityContext": {}, "schedulerName": "default-scheduler", "priority": 0,
            "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
        });
        if self.host_network {
            spec["hostNetwork"] = true.into();
        }
        let statuses: Vec<Value> = self
            .containers
            .iter()
            .map(|name| {
                json!({
                    "name": name, "state": {"running": {"startedAt": stamp}}, "lastState": {}, "ready": true,
                    "restartCount": 0, "image": "registry.local/provider:1", "imageID": "sha256:9ae86d92e275",
                    "containerID": format!("containerd://{}", container_id()), "started": true,
                })
            })
            .collect();
        let ip = self.address.to_string();
        let mut status = json!({
            "observedGeneration": 1, "phase": "Running", "hostIP": state.address_of(&self.node),
            "hostIPs": [{"ip": state.address_of(&self.node)}], "podIP": ip, "podIPs": [{"ip": ip}],
            "startTime": stamp, "containerStatuses": statuses, "qosClass": "BestEffort",
        });
        status["conditions"] = conditions(&stamp, true);
        json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": status})
    }
}

/// The conditions of a pod.
pub(super) fn conditions(stamp: &str, ready: bool) -> Value {
    let condition = |kind: &str, holds: bool| {
        let mut condition = json!({
            "type": kind, "observedGeneration": 1, "status": if holds { "True" } else { "False" },
            "lastProbeTime": null, "lastTransitionTime": stamp,
        });
        if !holds {
            condition["reason"] = "ContainersNotReady".into();
            condition["message"] = "containers with unready status: [main]".into();
        }
        condition
    };
    json!([
        condition("PodReadyToStartContainers", true),
        condition("Initialized", true),
        condition("Ready", ready),
        condition("ContainersReady", ready),
        condition("PodScheduled", true),
    ])
}

/// A new id of a container.
pub fn container_id() -> String {
    let bytes: [u8; 32] = super::random_bytes();
    super::hex(&bytes)
}
