//! Whether two renderings have the same content, whatever its order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Finding;
use super::render::{Rendering, called};

/// What helm is expected to add, and a kustomization does not have.
const OF_HELM: [&str; 3] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
];

/// What one has and the other has not, or has otherwise.
pub(super) fn compare(left: &Rendering, right: &Rendering) -> Vec<Finding> {
    let (of_left, of_right) = (by_name(left), by_name(right));
    let names: BTreeSet<&String> = of_left.keys().chain(of_right.keys()).collect();
    let mut findings = Vec::new();
    for name in names {
        let missing = |at: &Rendering, other: &Rendering| {
            Finding::new(&at.name, format!("has no {name}, which {} has", other.name))
        };
        match (of_left.get(name), of_right.get(name)) {
            (Some(a), Some(b)) => {
                let mut differences = Vec::new();
                differ(a, b, String::new(), &mut differences);
                findings.extend(differences.into_iter().map(|(at, a, b)| {
                    Finding::new(
                        &right.name,
                        format!("{name}, at {at}: {b}, but {a} in {}", left.name),
                    )
                }));
            }
            (None, _) => findings.push(missing(left, right)),
            (_, None) => findings.push(missing(right, left)),
        }
    }
    findings
}

fn by_name(rendering: &Rendering) -> BTreeMap<String, Value> {
    rendering
        .objects
        .iter()
        .map(|object| {
            let version = object["apiVersion"].as_str().unwrap_or_default();
            let mut object = object.clone();
            let name = format!("{} ({version})", called(&object));
            without_marks_of_helm(&mut object);
            in_order(&mut object);
            (name, object)
        })
        .collect()
}

fn without_marks_of_helm(object: &mut Value) {
    if let Some(labels) = object
        .pointer_mut("/metadata/labels")
        .and_then(Value::as_object_mut)
    {
        for label in OF_HELM {
            labels.remove(label);
        }
    }
}

/// Lists by their content, and maps by their keys, whether or not a map here keeps the order in which it was written.
fn in_order(value: &mut Value) {
    if let Some(list) = value.as_array_mut() {
        list.iter_mut().for_each(in_order);
        list.sort_by_cached_key(Value::to_string);
    } else if let Some(map) = value.as_object_mut() {
        map.values_mut().for_each(in_order);
        map.sort_keys();
    }
}

fn differ(a: &Value, b: &Value, at: String, found: &mut Vec<(String, Value, Value)>) {
    if let (Some(a), Some(b)) = (a.as_object(), b.as_object()) {
        let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for key in keys {
            let of =
                |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
            differ(&of(a), &of(b), format!("{at}.{key}"), found);
        }
        return;
    }
    if let (Some(a), Some(b)) = (a.as_array(), b.as_array())
        && a.len() == b.len()
    {
        for (index, (a, b)) in a.iter().zip(b).enumerate() {
            differ(a, b, format!("{at}[{index}]"), found);
        }
        return;
    }
    if a != b {
        found.push((at, a.clone(), b.clone()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::render::rendering;
    use super::*;

    fn object() -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "a", "namespace": "b", "labels": { "part": "x" } },
            "data": { "list": [{ "name": "one" }, { "name": "two" }], "text": "t" },
        })
    }

    fn sentences(left: Vec<Value>, right: Vec<Value>) -> Vec<String> {
        compare(&rendering(left), &rendering(right))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn order_and_the_marks_of_helm_do_not_count() {
        let mut other = object();
        other["metadata"]["labels"]["helm.sh/chart"] = json!("chaos-0.1.0");
        other["data"]["list"] = json!([{ "name": "two" }, { "name": "one" }]);
        let second = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "s" } });
        let left = vec![object(), second.clone()];
        assert_eq!(sentences(left, vec![second, other]), [""; 0]);
    }

    #[test]
    fn what_differs_is_named() {
        let mut other = object();
        other["data"]["text"] = json!("u");
        let found = sentences(vec![object()], vec![other]);
        assert_eq!(
            found,
            [r#"test: ConfigMap b/a (v1), at .data.text: "u", but "t" in test"#]
        );
    }

    #[test]
    fn what_is_missing_is_named_on_both_sides() {
        let mut without = object();
        without["data"] = json!({ "text": "t" });
        assert_eq!(sentences(vec![object()], vec![without]).len(), 1);
        let mut longer = object();
        longer["data"]["list"] = json!([{ "name": "one" }, { "name": "two" }, { "name": "three" }]);
        assert_eq!(sentences(vec![object()], vec![longer]).len(), 1);
        assert_eq!(sentences(vec![object()], vec![]).len(), 1);
        assert_eq!(sentences(vec![], vec![object()]).len(), 1);
    }

    #[test]
    fn another_label_counts() {
        let mut other = object();
        other["metadata"]["labels"]["part"] = json!("y");
        assert_eq!(sentences(vec![object()], vec![other]).len(), 1);
    }
}
