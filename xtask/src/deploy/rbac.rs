//! What the agent may ask the API server, and that nothing of ours grows into roles of others.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Finding;
use super::render::{Rendering, called};

/// API group, resource, verb: everything that the agent may.
const AGENT: [(&str, &str, &str); 10] = [
    ("", "pods", "get"),
    ("", "pods", "list"),
    ("", "services", "get"),
    ("apps", "daemonsets", "get"),
    ("apps", "deployments", "get"),
    ("apps", "statefulsets", "get"),
    ("authentication.k8s.io", "tokenreviews", "create"),
    ("authorization.k8s.io", "subjectaccessreviews", "create"),
    ("discovery.k8s.io", "endpointslices", "list"),
    ("events.k8s.io", "events", "create"),
];

/// The service account of the agent, and of `chaosctl` where it has none of its own.
const AGENT_ACCOUNT: &str = "chaos-daemon";
const SHARED_ACCOUNT: &str = "chaosctl";

pub(super) fn check(rendering: &Rendering) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut wrong = |sentence: String| findings.push(Finding::new(&rendering.name, sentence));
    let granted: BTreeSet<Right> = rights(rendering, AGENT_ACCOUNT).into_iter().collect();
    let wanted: BTreeSet<Right> = AGENT.map(Right::new).into();
    for right in granted.difference(&wanted) {
        wrong(format!("the agent may {right}, and does not need to"));
    }
    for right in wanted.difference(&granted) {
        wrong(format!("the agent may not {right}, and needs to"));
    }
    for account in [AGENT_ACCOUNT, SHARED_ACCOUNT] {
        for role in roles(rendering, account).filter_map(Result::err) {
            wrong(format!(
                "{account} is bound to {role}, which is not a role of ours"
            ));
        }
    }
    for right in rights(rendering, SHARED_ACCOUNT) {
        if right.group == "chaos.dev" {
            wrong(format!(
                "{SHARED_ACCOUNT} may {right} as it is installed: that is for the cluster's owners to give"
            ));
        }
    }
    for role in rendering.of_kind("ClusterRole") {
        let labels = role["metadata"]["labels"].as_object();
        let mut keys = labels.into_iter().flat_map(serde_json::Map::keys);
        if keys.any(|key| key.starts_with("rbac.authorization.k8s.io/aggregate-to")) {
            wrong(format!("{} becomes part of a role of others", called(role)));
        }
        if !role["aggregationRule"].is_null() {
            wrong(format!("{} takes in what others add", called(role)));
        }
    }
    findings
}

/// One thing that somebody may do.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    group: String,
    resource: String,
    verb: String,
}

impl Right {
    fn new((group, resource, verb): (&str, &str, &str)) -> Self {
        Self {
            group: group.to_owned(),
            resource: resource.to_owned(),
            verb: verb.to_owned(),
        }
    }
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, " of {}", self.group)?;
        }
        Ok(())
    }
}

/// Everything that a service account of this rendering may, by whatever binding, wherever.
fn rights(rendering: &Rendering, account: &str) -> Vec<Right> {
    roles(rendering, account)
        .filter_map(Result::ok)
        .flat_map(|role| role["rules"].as_array().into_iter().flatten())
        .flat_map(of_rule)
        .collect()
}

/// The roles that an account is bound to; of one that is not ours the name, since nobody here knows what it gives.
fn roles<'a>(
    rendering: &'a Rendering,
    account: &'a str,
) -> impl Iterator<Item = Result<&'a Value, &'a str>> {
    let is_bound = move |binding: &&Value| {
        let mut subjects = binding["subjects"].as_array().into_iter().flatten();
        subjects.any(|subject| subject["kind"] == "ServiceAccount" && subject["name"] == account)
    };
    let bindings = rendering.objects.iter().filter(is_bound);
    bindings.map(|binding| {
        let text = |key: &str| binding["roleRef"][key].as_str().unwrap_or_default();
        rendering
            .one(text("kind"), text("name"))
            .ok_or(text("name"))
    })
}

fn of_rule(rule: &Value) -> Vec<Right> {
    let texts = |key: &str| {
        let list = rule[key].as_array().into_iter().flatten();
        list.filter_map(|text| text.as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let mut resources: Vec<(String, String)> = Vec::new();
    for group in texts("apiGroups") {
        for resource in texts("resources") {
            resources.push((group.clone(), resource));
        }
    }
    for url in texts("nonResourceURLs") {
        resources.push((String::new(), url));
    }
    let mut rights = Vec::new();
    for verb in texts("verbs") {
        for (group, resource) in &resources {
            rights.push(Right::new((group, resource, &verb)));
        }
    }
    rights
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::render::rendering;
    use super::*;

    fn binding(account: &str) -> Value {
        json!({
            "kind": "ClusterRoleBinding", "metadata": { "name": "b" },
            "roleRef": { "kind": "ClusterRole", "name": "r" },
            "subjects": [{ "kind": "ServiceAccount", "name": account }],
        })
    }

    fn role() -> Value {
        let rules: Vec<Value> = AGENT
            .iter()
            .map(|(group, resource, verb)| {
                json!({ "apiGroups": [group], "resources": [resource], "verbs": [verb] })
            })
            .collect();
        json!({ "kind": "ClusterRole", "metadata": { "name": "r" }, "rules": rules })
    }

    fn found(objects: Vec<Value>) -> Vec<String> {
        let findings = check(&rendering(objects));
        findings.into_iter().map(|found| found.sentence).collect()
    }

    #[test]
    fn the_agent_may_what_it_needs() {
        assert_eq!(found(vec![role(), binding("chaos-daemon")]), [""; 0]);
    }

    #[test]
    fn more_is_found() {
        for (group, resource, verb) in [
            ("", "secrets", "get"),
            ("", "pods", "watch"),
            ("*", "pods", "get"),
            ("", "*", "get"),
            ("", "pods", "*"),
            ("", "nodes/proxy", "get"),
        ] {
            let more = json!({ "apiGroups": [group], "resources": [resource], "verbs": [verb] });
            let mut grown = role();
            grown["rules"].as_array_mut().unwrap().push(more);
            let found = found(vec![grown, binding("chaos-daemon")]);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains("does not need to"), "{found:?}");
        }
        let mut urls = role();
        let rule = json!({ "nonResourceURLs": ["/metrics"], "verbs": ["get"] });
        urls["rules"].as_array_mut().unwrap().push(rule);
        assert_eq!(found(vec![urls, binding("chaos-daemon")]).len(), 1);
    }

    #[test]
    fn less_is_found() {
        let mut role = role();
        role["rules"].as_array_mut().unwrap().pop();
        assert_eq!(
            found(vec![role, binding("chaos-daemon")]),
            ["the agent may not create events of events.k8s.io, and needs to"]
        );
    }

    #[test]
    fn a_second_binding_counts() {
        let second = json!({
            "kind": "RoleBinding", "metadata": { "name": "c" },
            "roleRef": { "kind": "Role", "name": "s" },
            "subjects": [{ "kind": "ServiceAccount", "name": "chaos-daemon" }],
        });
        let rules = json!([{ "apiGroups": [""], "resources": ["secrets"], "verbs": ["list"] }]);
        let other = json!({ "kind": "Role", "metadata": { "name": "s" }, "rules": rules });
        let found = found(vec![role(), binding("chaos-daemon"), second, other]);
        assert_eq!(found, ["the agent may list secrets, and does not need to"]);
    }

    #[test]
    fn a_role_of_others_counts() {
        let mut admin = binding("chaos-daemon");
        admin["roleRef"]["name"] = json!("cluster-admin");
        let found = found(vec![role(), binding("chaos-daemon"), admin]);
        assert_eq!(
            found,
            ["chaos-daemon is bound to cluster-admin, which is not a role of ours"]
        );
    }

    #[test]
    fn nobody_may_apply_faults_as_installed() {
        let rules =
            json!([{ "apiGroups": ["chaos.dev"], "resources": ["faults"], "verbs": ["create"] }]);
        let operator = json!({ "kind": "Role", "metadata": { "name": "o" }, "rules": rules });
        let given = json!({
            "kind": "RoleBinding", "metadata": { "name": "c" },
            "roleRef": { "kind": "Role", "name": "o" },
            "subjects": [{ "kind": "ServiceAccount", "name": "chaosctl" }],
        });
        let agent = || vec![role(), binding("chaos-daemon"), operator.clone()];
        assert_eq!(found(agent()), [""; 0]);
        assert_eq!(found([agent(), vec![given]].concat()).len(), 1);
    }

    #[test]
    fn roles_of_others_stay_what_they_are() {
        let mut aggregated = role();
        aggregated["metadata"]["labels"] =
            json!({ "rbac.authorization.k8s.io/aggregate-to-edit": "true" });
        assert_eq!(found(vec![aggregated, binding("chaos-daemon")]).len(), 1);
        let mut aggregating = role();
        aggregating["aggregationRule"] = json!({});
        assert_eq!(found(vec![aggregating, binding("chaos-daemon")]).len(), 1);
    }
}
