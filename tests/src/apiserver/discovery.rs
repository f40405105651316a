//! Pages that are no objects: `/version`, `/readyz`, and which groups and resources there are.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    access::Identity,
    answers::{Answer, Asked},
    request::accepted,
    resource::RESOURCES,
    status::Failure,
};

/// Resources that have no objects: group, plural, kind, namespaced.
const REVIEWS: &[(&str, &str, &str, bool)] = &[
    ("", "pods/portforward", "PodPortForwardOptions", true),
    ("", "serviceaccounts/token", "TokenRequest", true),
    (
        "authentication.k8s.io",
        "selfsubjectreviews",
        "SelfSubjectReview",
        false,
    ),
    (
        "authentication.k8s.io",
        "tokenreviews",
        "TokenReview",
        false,
    ),
    (
        "authorization.k8s.io",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        false,
    ),
    (
        "authorization.k8s.io",
        "subjectaccessreviews",
        "SubjectAccessReview",
        false,
    ),
];

/// The answer to a path that is no resource.
pub(super) fn page(user: &Identity, page: &str, asked: &Asked) -> Result<Answer, Failure> {
    // What everybody may see, and what everybody who is known may see.
    let open = ["/version", "/readyz", "/livez", "/healthz"].contains(&page);
    let known = page.starts_with("/api") || open;
    if !open && (user.is_anonymous() || !known) {
        let message = format!(
            "forbidden: User \"{}\" cannot get path \"{page}\"",
            user.name
        );
        return Err(Failure::forbidden_path(&message));
    }
    if asked.method != Method::GET {
        return Err(Failure::method_not_allowed());
    }
    if page == "/version" {
        return Ok(Answer::Object(StatusCode::OK, version()));
    }
    if open {
        return Ok(Answer::Text("ok"));
    }
    accepted(&asked.headers)?;
    let body = match page.trim_end_matches('/').trim_start_matches('/') {
        "api" => json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}],
        }),
        "apis" => json!({
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": groups().into_iter().map(group).collect::<Vec<Value>>(),
        }),
        "api/v1" => resources(""),
        path => match path.split('/').collect::<Vec<&str>>().as_slice() {
            ["apis", name, "v1"] if groups().contains(name) => resources(name),
            ["apis", name] if groups().contains(name) => {
                let mut one = group(name);
                one["kind"] = "APIGroup".into();
                one["apiVersion"] = "v1".into();
                one
            }
            _ => return Err(Failure::no_page()),
        },
    };
    Ok(Answer::Object(StatusCode::OK, body))
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "35", "gitVersion": "v1.36.2",
        "gitCommit": "8e16b12fda5b1dccc41a6de48b3e356cc7d5048b", "gitTreeState": "clean",
        "buildDate": "2026-08-21T00:00:00Z", "goVersion": "go1.26.6", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// Names of all groups but the core.
fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = RESOURCES
        .iter()
        .map(|resource| resource.group)
        .chain(REVIEWS.iter().map(|review| review.0))
        .filter(|group| !group.is_empty())
        .collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn group(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn resources(group: &str) -> Value {
    let verbs = [
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    ];
    let mut list: Vec<Value> = RESOURCES
        .iter()
        .filter(|resource| resource.group == group)
        .map(|resource| {
            let mut entry = json!({
                "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
                "kind": resource.kind, "verbs": verbs,
            });
            if !resource.short.is_empty() {
                entry["shortNames"] = resource.short.into();
            }
            entry
        })
        .collect();
    list.extend(REVIEWS.iter().filter(|review| review.0 == group).map(
        |(_, name, kind, namespaced)| {
            let verbs: &[&str] = if name.ends_with("portforward") {
                &["create", "get"]
            } else {
                &["create"]
            };
            let mut entry = json!({
                "name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": verbs,
            });
            // A kind that is another group's.
            if *kind == "TokenRequest" {
                entry["group"] = "authentication.k8s.io".into();
                entry["version"] = "v1".into();
            }
            entry
        },
    ));
    list.sort_by_key(|entry| entry["name"].as_str().map(str::to_owned));
    let version = if group.is_empty() {
        "v1".to_owned()
    } else {
        format!("{group}/v1")
    };
    let mut all = json!({"kind": "APIResourceList", "groupVersion": version, "resources": list});
    // The core's list has none: it is older than the habit.
    if !group.is_empty() {
        all["apiVersion"] = "v1".into();
    }
    all
}
