//! The kinds that the stand-in knows, as discovery lists them.

/// One resource of the API.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Version in that group.
    pub version: &'static str,
    /// Plural, as in paths and rules: "pods".
    pub plural: &'static str,
    /// "pod".
    pub singular: &'static str,
    /// "Pod".
    pub kind: &'static str,
    /// Whether objects of it are in namespaces.
    pub namespaced: bool,
    /// Names for `kubectl`.
    pub short: &'static [&'static str],
    /// Field selectors that it takes beside `metadata.name` and, in namespaces, `metadata.namespace`.
    pub fields: &'static [&'static str],
}

const fn core(
    plural: &'static str,
    singular: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    fields: &'static [&'static str],
) -> Resource {
    Resource {
        group: "",
        version: "v1",
        plural,
        singular,
        kind,
        namespaced: true,
        short,
        fields,
    }
}

const fn apps(
    plural: &'static str,
    singular: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
) -> Resource {
    Resource {
        group: "apps",
        version: "v1",
        plural,
        singular,
        kind,
        namespaced: true,
        short,
        fields: if matches!(singular.as_bytes(), b"replicaset") {
            &["status.replicas"]
        } else {
            &[]
        },
    }
}

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.apiVersion",
    "involvedObject.fieldPath",
    "involvedObject.kind",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.resourceVersion",
    "involvedObject.uid",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

/// All resources that have objects.
pub static RESOURCES: &[Resource] = &[
    core(
        "pods",
        "pod",
        "Pod",
        &["po"],
        &[
            "spec.hostNetwork",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.nominatedNodeName",
            "status.phase",
            "status.podIP",
        ],
    ),
    core(
        "services",
        "service",
        "Service",
        &["svc"],
        &["spec.clusterIP", "spec.type"],
    ),
    core(
        "serviceaccounts",
        "serviceaccount",
        "ServiceAccount",
        &["sa"],
        &[],
    ),
    core("configmaps", "configmap", "ConfigMap", &["cm"], &[]),
    core("events", "event", "Event", &["ev"], EVENT_FIELDS),
    Resource {
        namespaced: false,
        ..core("nodes", "node", "Node", &["no"], &["spec.unschedulable"])
    },
    Resource {
        namespaced: false,
        ..core(
            "namespaces",
            "namespace",
            "Namespace",
            &["ns"],
            &["status.phase"],
        )
    },
    Resource {
        group: "discovery.k8s.io",
        ..core("endpointslices", "endpointslice", "EndpointSlice", &[], &[])
    },
    Resource {
        group: "events.k8s.io",
        ..core("events", "event", "Event", &["ev"], EVENT_FIELDS)
    },
    apps("deployments", "deployment", "Deployment", &["deploy"]),
    apps("replicasets", "replicaset", "ReplicaSet", &["rs"]),
    apps("statefulsets", "statefulset", "StatefulSet", &["sts"]),
    apps("daemonsets", "daemonset", "DaemonSet", &["ds"]),
];

/// The resource of this group, version and plural.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| {
        resource.group == group && resource.version == version && resource.plural == plural
    })
}

/// The resource of a kind, in the group that stores it.
pub fn of_kind(kind: &str) -> Option<&'static Resource> {
    RESOURCES
        .iter()
        .find(|resource| resource.kind == kind && resource.group != "events.k8s.io")
}

impl Resource {
    /// `apps/v1`, or `v1` in the core.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `endpointslices.discovery.k8s.io`, or `pods`: as error texts have it.
    pub fn qualified(&self) -> String {
        qualified(self.group, self.plural)
    }
}

/// `RESOURCE.GROUP`, or the resource alone in the core.
pub fn qualified(group: &str, plural: &str) -> String {
    if group.is_empty() {
        plural.to_owned()
    } else {
        format!("{plural}.{group}")
    }
}
