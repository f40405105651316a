//! Objects as a cluster's own components would write them: nodes, pods as a kubelet reports them, and the endpoint slices
//! that follow from pods and services.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Map, Value, json};

pub use super::pod::{NewPod, container_id};
use super::{ApiServer, State, pod::conditions, random_uid, random_word, resource};

impl ApiServer {
    /// Adds a namespace, with its default service account.
    pub fn add_namespace(&self, name: &str) {
        let object = json!({
            "kind": "Namespace", "apiVersion": "v1",
            "metadata": {"name": name, "uid": random_uid(), "creationTimestamp": self.state().clock.stamp(),
                         "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        self.put("Namespace", object);
        self.add_service_account(name, "default");
    }

    /// Adds a service account.
    pub fn add_service_account(&self, namespace: &str, name: &str) {
        let object = json!({
            "kind": "ServiceAccount", "apiVersion": "v1",
            "metadata": {"name": name, "namespace": namespace, "uid": random_uid(),
                         "creationTimestamp": self.state().clock.stamp()},
        });
        self.put("ServiceAccount", object);
    }

    /// Adds a node that is ready, with these labels beside its own.
    pub fn add_node(&self, name: &str, address: IpAddr, labels: &[(&str, &str)]) {
        let stamp = self.state().clock.stamp();
        let mut all = json!({
            "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
        });
        for (key, value) in labels {
            all[*key] = (*value).into();
        }
        let object = json!({
            "kind": "Node", "apiVersion": "v1",
            "metadata": {"name": name, "uid": random_uid(), "creationTimestamp": stamp, "labels": all},
            "spec": {},
            "status": {
                "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
                "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": stamp,
                                "lastTransitionTime": stamp, "reason": "KubeletReady",
                                "message": "kubelet is posting ready status"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            },
        });
        self.put("Node", object);
    }

    /// Adds a service. `ports`: name, port and target port, a number or a name. Without a selector nothing makes slices.
    pub fn add_service(
        &self,
        namespace: &str,
        name: &str,
        selector: &[(&str, &str)],
        ports: &[(&str, u16, Value)],
        headless: bool,
    ) {
        let number = u8::try_from(self.objects("Service", "").len() % 250).unwrap_or(0) + 1;
        let ip = if headless {
            "None".to_owned()
        } else {
            Ipv4Addr::new(10, 96, 0, number).to_string()
        };
        let ports: Vec<Value> = ports
            .iter()
            .map(|(name, port, target)| {
                let mut port = json!({"protocol": "TCP", "port": port, "targetPort": target});
                if !name.is_empty() {
                    port["name"] = (*name).into();
                }
                port
            })
            .collect();
        let mut spec = json!({
            "ports": ports, "clusterIP": ip, "clusterIPs": [ip], "type": "ClusterIP", "sessionAffinity": "None",
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster",
        });
        if !selector.is_empty() {
            let selector: Map<String, Value> = selector
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).into()))
                .collect();
            spec["selector"] = selector.into();
        }
        let object = json!({
            "kind": "Service", "apiVersion": "v1",
            "metadata": {"name": name, "namespace": namespace, "uid": random_uid(),
                         "creationTimestamp": self.state().clock.stamp()},
            "spec": spec, "status": {"loadBalancer": {}},
        });
        self.put("Service", object);
        self.update_slices(namespace);
    }

    /// Adds a pod, and puts it into the slices of the services that choose it.
    pub fn add_pod(&self, pod: &NewPod) -> Value {
        let object = pod.object(&self.state());
        let stored = self.put("Pod", object);
        self.update_slices(&pod.namespace);
        stored
    }

    /// Adds many pods of one namespace, and brings the slices up to them once.
    pub fn add_pods(&self, namespace: &str, pods: &[NewPod]) {
        for pod in pods {
            let object = pod.object(&self.state());
            self.put("Pod", object);
        }
        self.update_slices(namespace);
    }

    /// Says whether a pod is ready.
    pub fn set_pod_ready(&self, namespace: &str, name: &str, ready: bool) {
        self.change_pod(namespace, name, |pod, stamp| {
            pod["status"]["conditions"] = conditions(stamp, ready);
            for status in pod["status"]["containerStatuses"]
                .as_array_mut()
                .into_iter()
                .flatten()
            {
                status["ready"] = ready.into();
            }
        });
    }

    /// A container of a pod came anew: another id, one restart more.
    pub fn restart_container(&self, namespace: &str, name: &str, container: &str, id: &str) {
        self.change_pod(namespace, name, |pod, stamp| {
            let statuses = pod["status"]["containerStatuses"].as_array_mut();
            for status in statuses.into_iter().flatten() {
                if status["name"] == container {
                    let count = status["restartCount"].as_u64().unwrap_or_default() + 1;
                    status["restartCount"] = count.into();
                    status["containerID"] = format!("containerd://{id}").into();
                    status["state"] = json!({"running": {"startedAt": stamp}});
                }
            }
        });
    }

    /// Begins to delete a pod: it terminates, and its endpoint still serves but is no longer ready.
    pub fn terminate_pod(&self, namespace: &str, name: &str) {
        self.change_pod(namespace, name, |pod, stamp| {
            pod["metadata"]["deletionTimestamp"] = stamp.into();
            pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
            pod["metadata"]["generation"] = 2.into();
        });
    }

    /// Deletes a pod, with its endpoint.
    pub fn delete_pod(&self, namespace: &str, name: &str) {
        self.remove("Pod", namespace, name);
        self.update_slices(namespace);
    }

    /// Changes a pod's object.
    pub fn change_pod(&self, namespace: &str, name: &str, change: impl FnOnce(&mut Value, &str)) {
        let Some(mut pod) = self.object("Pod", namespace, name) else {
            return;
        };
        let stamp = self.state().clock.stamp();
        change(&mut pod, &stamp);
        self.put("Pod", pod);
        self.update_slices(namespace);
    }

    /// Adds a controller with pods: `Deployment` (whose pods belong to a replica set; its name is returned),
    /// `StatefulSet` or `DaemonSet`.
    pub fn add_workload(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
        replicas: u32,
    ) -> String {
        let labels: Map<String, Value> = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).into()))
            .collect();
        let stamp = self.state().clock.stamp();
        let object = |kind: &str, name: &str| {
            json!({
                "kind": kind, "apiVersion": "apps/v1",
                "metadata": {"name": name, "namespace": namespace, "uid": random_uid(), "generation": 1,
                             "creationTimestamp": stamp, "labels": labels},
                "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                         "template": {"metadata": {"labels": labels}, "spec": {"containers": []}}},
                "status": {"replicas": replicas, "readyReplicas": replicas},
            })
        };
        let stored = self.put(kind, object(kind, name));
        if kind != "Deployment" {
            return name.to_owned();
        }
        let set = format!("{name}-{}{}", random_word(), random_word());
        let mut replica_set = object("ReplicaSet", &set);
        replica_set["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": stored["metadata"]["uid"],
            "controller": true, "blockOwnerDeletion": true,
        }]);
        self.put("ReplicaSet", replica_set);
        set
    }

    /// Brings the slices of a namespace's services up to its pods, as the cluster's controller does.
    fn update_slices(&self, namespace: &str) {
        super::slices::update(&mut self.state(), namespace);
    }
}

impl State {
    pub(super) fn uid_of(&self, kind: &str, namespace: &str, name: &str) -> Value {
        resource::of_kind(kind)
            .and_then(|resource| self.store.object(resource, namespace, name))
            .map_or_else(
                || random_uid().into(),
                |owner| owner["metadata"]["uid"].clone(),
            )
    }

    pub(super) fn address_of(&self, node: &str) -> Value {
        resource::of_kind("Node")
            .and_then(|nodes| self.store.object(nodes, "", node))
            .map_or(Value::Null, |node| {
                node["status"]["addresses"][0]["address"].clone()
            })
    }
}
