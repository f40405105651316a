//! Changes that clients make: new objects (events, mostly), and the little of updates that the recorded answers show.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{
    Shared, State,
    answers::{Answer, Asked},
    random_uid,
    request::Place,
    resource::Resource,
    reviews::expect_kind,
    status::Failure,
};

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
                     and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation \
                     is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                         must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
                         validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// Stores a new object.
pub(super) fn create(state: &mut State, place: &Place, body: Value) -> Result<Value, Failure> {
    let resource = place.known().ok_or_else(Failure::no_page)?;
    if !place.subresource.is_empty() {
        return Err(Failure::no_page());
    }
    expect_kind(&body, &resource.api_version(), resource.kind)?;
    let mut object = body;
    object["kind"] = resource.kind.into();
    object["apiVersion"] = resource.api_version().into();
    let metadata = &mut object["metadata"];
    match metadata["namespace"].as_str() {
        Some(namespace) if namespace != place.namespace => {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Failure::bad_request(message));
        }
        _ if resource.namespaced => metadata["namespace"] = place.namespace.as_str().into(),
        _ => {}
    }
    let generated = metadata["generateName"]
        .as_str()
        .filter(|_| metadata["name"].as_str().unwrap_or_default().is_empty());
    if let Some(start) = generated {
        let name = format!("{start}{}", super::random_word());
        metadata["name"] = name.into();
    }
    check(resource, &object)?;
    let name = object["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let namespaces = super::resource::of_kind("Namespace");
    if let Some(namespaces) = namespaces.filter(|_| resource.namespaced)
        && state
            .store
            .object(namespaces, "", &place.namespace)
            .is_none()
    {
        return Err(Failure::not_found("", "namespaces", &place.namespace));
    }
    if state
        .store
        .object(resource, &place.namespace, &name)
        .is_some()
    {
        return Err(Failure::already_exists(
            resource.group,
            resource.plural,
            &name,
        ));
    }
    object["metadata"]["uid"] = random_uid().into();
    object["metadata"]["creationTimestamp"] = state.clock.stamp().into();
    object["metadata"]["managedFields"] = json!([{
        "manager": "standin", "operation": "Update", "apiVersion": resource.api_version(),
        "time": state.clock.stamp(), "fieldsType": "FieldsV1", "fieldsV1": {},
    }]);
    Ok(state.store.put(resource, object))
}

/// What the real one refuses, of the kinds that clients of this project write.
fn check(resource: &Resource, object: &Value) -> Result<(), Failure> {
    let mut causes: Vec<(&str, String, String)> = Vec::new();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let label = resource.kind == "Service" || resource.kind == "Namespace";
    if name.is_empty() {
        let message = "Required value: name or generateName is required";
        causes.push((
            "FieldValueRequired",
            "metadata.name".to_owned(),
            message.to_owned(),
        ));
    } else if !is_dns(name, label) {
        let rule = if label { LABEL } else { SUBDOMAIN };
        causes.push((
            "FieldValueInvalid",
            "metadata.name".to_owned(),
            format!("Invalid value: \"{name}\": {rule}"),
        ));
    }
    if resource.kind == "Service" {
        let ports = object["spec"]["ports"].as_array();
        for (index, port) in ports.into_iter().flatten().enumerate() {
            let number = &port["port"];
            if number
                .as_u64()
                .is_none_or(|port| !(1..=65535).contains(&port))
            {
                let message =
                    format!("Invalid value: {number}: must be between 1 and 65535, inclusive");
                // The target port is the port when none is given.
                for field in ["port", "targetPort"] {
                    causes.push((
                        "FieldValueInvalid",
                        format!("spec.ports[{index}].{field}"),
                        message.clone(),
                    ));
                }
            }
        }
    }
    if resource.kind == "Event" {
        check_event(resource, object, &mut causes);
    }
    if causes.is_empty() {
        return Ok(());
    }
    let causes: Vec<(&str, &str, String)> = causes
        .iter()
        .map(|(reason, field, message)| (*reason, field.as_str(), message.clone()))
        .collect();
    Err(Failure::invalid(
        resource.group,
        resource.kind,
        name,
        &causes,
    ))
}

/// An event belongs to the namespace of what it is about (what is in none: to `default`); those of the new group have
/// to say who reports them, and what was done.
fn check_event(
    resource: &Resource,
    object: &Value,
    causes: &mut Vec<(&'static str, String, String)>,
) {
    let about = if resource.group.is_empty() {
        "involvedObject"
    } else {
        "regarding"
    };
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let theirs = object[about]["namespace"].as_str().unwrap_or_default();
    let fits = theirs == namespace || (theirs.is_empty() && namespace == "default");
    if !fits {
        causes.push((
            "FieldValueInvalid",
            "involvedObject.namespace".to_owned(),
            format!("Invalid value: {theirs:?}: does not match event.namespace"),
        ));
    }
    if resource.group.is_empty() {
        return;
    }
    for (field, shown) in [
        ("eventTime", "eventTime"),
        ("reportingController", "reportingController"),
        ("reportingInstance", "reportingInstance"),
        ("action", "action"),
        ("reason", "reason"),
    ] {
        if object[field].as_str().unwrap_or_default().is_empty() {
            causes.push((
                "FieldValueRequired",
                shown.to_owned(),
                "Required value".to_owned(),
            ));
        }
    }
    let kind = object["type"].as_str().unwrap_or_default();
    if !["Normal", "Warning"].contains(&kind) {
        let message = format!("Invalid value: {kind:?}: has invalid value: {kind}");
        causes.push(("FieldValueInvalid", "type".to_owned(), message));
    }
    if object["note"].as_str().unwrap_or_default().len() > 1024 {
        let message = "Invalid value: \"\": can have at most 1024 characters".to_owned();
        causes.push(("FieldValueInvalid", "message".to_owned(), message));
    }
}

/// A name of the DNS: one label, or several with dots between.
fn is_dns(name: &str, label: bool) -> bool {
    let longest = if label { 63 } else { 253 };
    let is_label = |part: &str| {
        let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        !part.is_empty()
            && part.chars().all(|c| edge(c) || c == '-')
            && part.starts_with(edge)
            && part.ends_with(edge)
    };
    name.len() <= longest
        && if label {
            is_label(name)
        } else {
            name.split('.').all(is_label)
        }
}

/// Replaces an object, if the caller has seen its newest version.
pub(super) fn update(
    shared: &Shared,
    place: &Place,
    resource: &'static Resource,
    asked: &Asked,
) -> Result<Answer, Failure> {
    super::request::expect_json(&asked.headers)?;
    let mut object: Value = serde_json::from_slice(&asked.body)
        .map_err(|error| Failure::bad_request(&error.to_string()))?;
    expect_kind(&object, &resource.api_version(), resource.kind)?;
    let mut state = shared.state();
    let known = state
        .store
        .object(resource, &place.namespace, &place.name)
        .ok_or_else(|| Failure::not_found(&place.group, &place.resource, &place.name))?
        .clone();
    let version = &object["metadata"]["resourceVersion"];
    if version.is_string() && *version != known["metadata"]["resourceVersion"] {
        return Err(Failure::conflict(
            &place.group,
            &place.resource,
            &place.name,
        ));
    }
    for field in ["uid", "creationTimestamp", "namespace", "name"] {
        object["metadata"][field] = known["metadata"][field].clone();
    }
    let stored = state.store.put(resource, object);
    Ok(Answer::Object(StatusCode::OK, stored))
}

/// Removes an object at once; with a precondition, only the one of this UID.
pub(super) fn delete(
    shared: &Shared,
    place: &Place,
    resource: &'static Resource,
    asked: &Asked,
) -> Result<Answer, Failure> {
    let options: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let wanted = &options["preconditions"]["uid"];
    let mut state = shared.state();
    let there = state.store.object(resource, &place.namespace, &place.name);
    if there.is_some_and(|there| !wanted.is_null() && there["metadata"]["uid"] != *wanted) {
        return Err(Failure::conflict(
            &place.group,
            &place.resource,
            &place.name,
        ));
    }
    let removed = state
        .store
        .remove(resource, &place.namespace, &place.name)
        .ok_or_else(|| Failure::not_found(&place.group, &place.resource, &place.name))?;
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": place.name, "kind": place.resource, "uid": removed["metadata"]["uid"]},
    });
    Ok(Answer::Object(StatusCode::OK, status))
}

/// Merges into an object. Other kinds of patches than merges are refused, as nothing here sends them.
pub(super) fn patch(
    shared: &Shared,
    place: &Place,
    resource: &'static Resource,
    asked: &Asked,
) -> Result<Answer, Failure> {
    let media = asked
        .headers
        .get(hyper::header::CONTENT_TYPE)
        .and_then(|media| media.to_str().ok())
        .unwrap_or_default();
    let known = [
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ];
    if !known.contains(&media) {
        return Err(Failure::unsupported_patch());
    }
    let patch: Value = serde_json::from_slice(&asked.body)
        .map_err(|error| Failure::bad_request(&error.to_string()))?;
    let mut state = shared.state();
    let mut object = state
        .store
        .object(resource, &place.namespace, &place.name)
        .ok_or_else(|| Failure::not_found(&place.group, &place.resource, &place.name))?
        .clone();
    merge(&mut object, &patch);
    let stored = state.store.put(resource, object);
    Ok(Answer::Object(StatusCode::OK, stored))
}

/// RFC 7386.
pub(super) fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (field, value) in fields {
        if value.is_null() {
            if let Some(object) = into.as_object_mut() {
                object.remove(field);
            }
        } else {
            merge(&mut into[field], value);
        }
    }
}
