//! What the agent's pods may do on a node, and that the documents say the same.

use serde_json::Value;

use super::Finding;
use super::render::{Rendering, called};

/// What the agent needs, and no more: docs/kubernetes.md has the reasons.
const CAPABILITIES: [&str; 5] = ["BPF", "NET_ADMIN", "PERFMON", "SYS_ADMIN", "SYS_PTRACE"];
/// What it sees of the node's files, all of it read-only.
const HOST_PATHS: [&str; 2] = ["/dev/net", "/sys/fs/cgroup"];
/// The agent waits 20 s for packets that are held (`STOP_PATIENCE`), and needs a moment for the rest.
const SHORTEST_GRACE: u64 = 25;

/// The capabilities of the documents: the table for Kubernetes, and the unit for systemd.
pub(super) fn documents(kubernetes: &str, systemd: &str) -> Vec<Finding> {
    let table = kubernetes.lines().filter_map(|line| {
        let name = line.strip_prefix("| `")?.split('`').next()?;
        let is_capability = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        is_capability.then(|| name.to_owned())
    });
    let unit = systemd
        .lines()
        .filter_map(|line| line.strip_prefix("CapabilityBoundingSet="))
        .flat_map(str::split_whitespace)
        .map(|name| name.trim_start_matches("CAP_").to_owned());
    let lists = [
        ("docs/kubernetes.md", in_order(table)),
        ("deploy/systemd/chaos-daemon.service", in_order(unit)),
    ];
    lists
        .into_iter()
        .filter(|(_, names)| *names != CAPABILITIES)
        .map(|(file, names)| Finding::new(file, other_capabilities(&names)))
        .collect()
}

/// Nothing that is rendered is privileged, whoever's it is.
pub(super) fn no_privileged(rendering: &Rendering) -> Vec<Finding> {
    let mut findings = Vec::new();
    for object in &rendering.objects {
        let spec = &object["spec"]["template"]["spec"];
        let lists = [&spec["containers"], &spec["initContainers"]];
        let containers = lists.into_iter().filter_map(Value::as_array).flatten();
        for container in containers {
            if container["securityContext"]["privileged"] == true {
                let sentence = format!("{}: {} is privileged", called(object), container["name"]);
                findings.push(Finding::new(&rendering.name, sentence));
            }
        }
    }
    findings
}

/// The agent's pods: what they may do, and what others rely on.
pub(super) fn check(rendering: &Rendering) -> Vec<Finding> {
    let Some(set) = rendering.one("DaemonSet", "chaos-daemon") else {
        return vec![Finding::new(
            &rendering.name,
            "has no DaemonSet chaos-daemon",
        )];
    };
    let template = &set["spec"]["template"];
    let spec = &template["spec"];
    let mut findings = Vec::new();
    let mut wrong = |sentence: String| findings.push(Finding::new(&rendering.name, sentence));
    let containers = spec["containers"].as_array();
    let containers = containers.map(Vec::as_slice).unwrap_or_default();
    if containers.len() != 1 || !spec["initContainers"].is_null() {
        wrong(
            "the agent's pod must have one container: what stands beside it has its node, too"
                .to_owned(),
        );
    }
    for container in containers {
        confined(container).into_iter().for_each(&mut wrong);
        mounts(spec, container).into_iter().for_each(&mut wrong);
    }
    for (pointer, wanted) in [
        ("/metadata/labels/app.kubernetes.io~1name", "chaos-daemon"),
        ("/spec/hostPID", "true"),
        ("/spec/hostNetwork", "true"),
        (
            "/spec/securityContext/seccompProfile/type",
            "RuntimeDefault",
        ),
    ] {
        let found = template.pointer(pointer).unwrap_or(&Value::Null);
        if found.as_str().map_or(found.to_string(), str::to_owned) != wanted {
            wrong(format!(
                "{pointer} of the agent's pod is {found} and must be {wanted}"
            ));
        }
    }
    let grace = &spec["terminationGracePeriodSeconds"];
    if grace.as_u64().is_none_or(|grace| grace < SHORTEST_GRACE) {
        wrong(format!(
            "terminationGracePeriodSeconds is {grace}: an agent needs {SHORTEST_GRACE} to end its experiments"
        ));
    }
    if set["spec"]["updateStrategy"]["type"] != "RollingUpdate" {
        wrong("the agents are not replaced one after the other: updateStrategy".to_owned());
    }
    findings.extend(namespace(rendering, &set["metadata"]["namespace"]));
    findings
}

/// The container's own security context, its address, its probes.
fn confined(container: &Value) -> Vec<String> {
    let context = &container["securityContext"];
    let mut wrong = Vec::new();
    for (key, wanted) in [
        ("readOnlyRootFilesystem", true),
        ("allowPrivilegeEscalation", false),
    ] {
        if context[key] != wanted {
            wrong.push(format!(
                "{key} of the agent is {} and must be {wanted}",
                context[key]
            ));
        }
    }
    let names = |key: &str| in_order(texts(&context["capabilities"][key]));
    if names("drop") != ["ALL"] {
        wrong.push("the agent does not drop all capabilities first".to_owned());
    }
    if names("add") != CAPABILITIES {
        wrong.push(other_capabilities(&names("add")));
    }
    let on_loopback = |argument: &String| argument.starts_with("--listen=127.0.0.1:");
    let listens: Vec<String> = texts(&container["args"])
        .filter(|argument| argument.starts_with("--listen"))
        .collect();
    if listens.is_empty() || !listens.iter().all(on_loopback) {
        wrong.push(format!(
            "the agent listens elsewhere than at the node's loopback: {listens:?}"
        ));
    }
    for (probe, path) in [
        ("startupProbe", "/livez"),
        ("livenessProbe", "/livez"),
        ("readinessProbe", "/readyz"),
    ] {
        if container[probe]["httpGet"]["path"] != path {
            wrong.push(format!("{probe} does not ask for {path}"));
        }
    }
    let resources = &container["resources"];
    if resources["requests"]["memory"].is_null() || resources["limits"]["memory"].is_null() {
        wrong.push("the agent's memory has no request or no limit".to_owned());
    }
    if !resources["limits"]["cpu"].is_null() {
        wrong.push("the agent's processor is limited: what it holds would be late".to_owned());
    }
    wrong
}

/// What of the node the container sees.
fn mounts(spec: &Value, container: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    for volume in volumes.filter(|volume| !volume["hostPath"].is_null()) {
        let path = volume["hostPath"]["path"].as_str().unwrap_or_default();
        if !HOST_PATHS.contains(&path) {
            wrong.push(format!(
                "{path} of the node is mounted, and the agent does without"
            ));
        }
        let mounted = container["volumeMounts"].as_array().into_iter().flatten();
        for mount in mounted.filter(|mount| mount["name"] == volume["name"]) {
            if mount["readOnly"] != true {
                wrong.push(format!("{path} of the node is mounted to be written to"));
            }
        }
    }
    wrong
}

/// The namespace admits the agent; whoever does not make one by these files has been told what it needs.
fn namespace(rendering: &Rendering, name: &Value) -> Option<Finding> {
    let object = rendering.one("Namespace", name.as_str()?)?;
    let level = &object["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    (level != "privileged").then(|| {
        Finding::new(
            &rendering.name,
            format!("the namespace's Pod Security level is {level}, at which no agent starts"),
        )
    })
}

fn other_capabilities(names: &[String]) -> String {
    format!(
        "the capabilities are {} and must be {}",
        names.join(" "),
        CAPABILITIES.join(" ")
    )
}

fn texts(list: &Value) -> impl Iterator<Item = String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|text| text.as_str().map(str::to_owned))
}

fn in_order(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::render::rendering;
    use super::*;

    fn set() -> Value {
        json!({
            "kind": "DaemonSet",
            "metadata": { "name": "chaos-daemon", "namespace": "chaos-system" },
            "spec": {
                "updateStrategy": { "type": "RollingUpdate" },
                "template": {
                    "metadata": { "labels": { "app.kubernetes.io/name": "chaos-daemon" } },
                    "spec": {
                        "hostPID": true, "hostNetwork": true, "terminationGracePeriodSeconds": 30,
                        "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
                        "containers": [{
                            "name": "chaos-daemon",
                            "args": ["--listen=127.0.0.1:7411"],
                            "securityContext": {
                                "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
                                "capabilities": {
                                    "drop": ["ALL"],
                                    "add": ["SYS_PTRACE", "SYS_ADMIN", "BPF", "PERFMON", "NET_ADMIN"],
                                },
                            },
                            "startupProbe": { "httpGet": { "path": "/livez" } },
                            "livenessProbe": { "httpGet": { "path": "/livez" } },
                            "readinessProbe": { "httpGet": { "path": "/readyz" } },
                            "resources": {
                                "requests": { "memory": "1Mi" }, "limits": { "memory": "1Mi" },
                            },
                            "volumeMounts": [{ "name": "cgroup", "readOnly": true }],
                        }],
                        "volumes": [{ "name": "cgroup", "hostPath": { "path": "/sys/fs/cgroup" } }],
                    },
                },
            },
        })
    }

    fn admitting() -> Value {
        let labels = json!({ "pod-security.kubernetes.io/enforce": "privileged" });
        json!({ "kind": "Namespace", "metadata": { "name": "chaos-system", "labels": labels } })
    }

    #[test]
    fn a_good_agent_passes() {
        assert_eq!(check(&rendering(vec![set(), admitting()])), []);
    }

    #[test]
    fn each_thing_that_is_broken_is_found() {
        let pod = "/spec/template/spec";
        let agent = "/spec/template/spec/containers/0";
        let security = "/spec/template/spec/containers/0/securityContext";
        for (at, key, value) in [
            (pod, "hostPID", json!(false)),
            (pod, "hostNetwork", Value::Null),
            (pod, "terminationGracePeriodSeconds", json!(10)),
            (pod, "initContainers", json!([{ "name": "x" }])),
            (
                pod,
                "securityContext",
                json!({ "seccompProfile": { "type": "Unconfined" } }),
            ),
            (
                pod,
                "volumes",
                json!([{ "name": "x", "hostPath": { "path": "/" } }]),
            ),
            (security, "readOnlyRootFilesystem", json!(false)),
            (security, "allowPrivilegeEscalation", json!(true)),
            (
                security,
                "capabilities",
                json!({ "drop": ["ALL"], "add": ["SYS_ADMIN"] }),
            ),
            (agent, "args", json!(["--listen=0.0.0.0:7411"])),
            (agent, "args", json!([])),
            (agent, "livenessProbe", Value::Null),
            (
                agent,
                "resources",
                json!({ "requests": { "memory": "1Mi" } }),
            ),
            (agent, "volumeMounts", json!([{ "name": "cgroup" }])),
            ("/spec", "updateStrategy", json!({ "type": "OnDelete" })),
            ("/spec/template/metadata", "labels", json!({})),
        ] {
            let mut set = set();
            set.pointer_mut(at).unwrap()[key] = value;
            let found = check(&rendering(vec![set, admitting()]));
            assert_eq!(found.len(), 1, "{at}/{key}: {found:?}");
        }
    }

    #[test]
    fn one_more_capability_is_found_and_so_is_one_that_is_not_dropped() {
        let mut more = set();
        let at = "/spec/template/spec/containers/0/securityContext/capabilities";
        let add = more.pointer_mut(at).unwrap()["add"].as_array_mut().unwrap();
        add.push(json!("NET_RAW"));
        let found = check(&rendering(vec![more]));
        assert!(found[0].sentence.contains("NET_RAW"), "{found:?}");
        let mut kept = set();
        kept.pointer_mut(at).unwrap()["drop"] = json!([]);
        assert_eq!(check(&rendering(vec![kept])).len(), 1);
    }

    #[test]
    fn a_namespace_that_does_not_admit_the_agent_is_found() {
        let mut baseline = admitting();
        baseline["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = json!("baseline");
        assert_eq!(check(&rendering(vec![set(), baseline])).len(), 1);
    }

    #[test]
    fn nothing_may_be_privileged() {
        assert_eq!(no_privileged(&rendering(vec![set()])), []);
        let mut privileged = set();
        let at = "/spec/template/spec/containers/0/securityContext";
        privileged.pointer_mut(at).unwrap()["privileged"] = json!(true);
        assert_eq!(no_privileged(&rendering(vec![privileged])).len(), 1);
    }

    #[test]
    fn the_documents_name_the_same_capabilities() {
        let table = "| capability | for |\n| `BPF` | a |\n| `NET_ADMIN` | a |\n| `PERFMON` | a |\n\
                     | `SYS_ADMIN` | a |\n| `SYS_PTRACE` | a |\n| `deploy` | a |\n";
        let unit = "CapabilityBoundingSet=CAP_BPF CAP_PERFMON CAP_NET_ADMIN CAP_SYS_ADMIN CAP_SYS_PTRACE\n";
        assert_eq!(documents(table, unit), []);
        assert_eq!(
            documents(&table.replace("| `BPF` | a |\n", ""), unit).len(),
            1
        );
        assert_eq!(documents(table, &unit.replace(" CAP_BPF", "")).len(), 0);
        assert_eq!(
            documents(table, &unit.replace("CAP_BPF", "CAP_NET_RAW")).len(),
            1
        );
    }
}
