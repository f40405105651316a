//! Answers to questions about users: `TokenReview`, `SubjectAccessReview` and its relatives, `TokenRequest`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    State,
    access::{Attributes, Identity, OWN_AUDIENCE},
    random_uid,
    request::Place,
    resource,
    status::Failure,
};

/// The shortest life of a token that may be asked for, and what it has when nothing is asked.
const SHORTEST: u64 = 600;
const USUAL: u64 = 3600;

/// Answers the creation of a review; none if `place` is none.
pub(super) fn create(
    state: &mut State,
    user: &Identity,
    place: &Place,
    body: &Value,
) -> Option<Result<Value, Failure>> {
    let answer = match (
        place.group.as_str(),
        place.version.as_str(),
        place.resource.as_str(),
    ) {
        ("authentication.k8s.io", "v1", "tokenreviews") => token_review(state, body),
        ("authentication.k8s.io", "v1", "selfsubjectreviews") => Ok(self_review(state, user, body)),
        ("authorization.k8s.io", "v1", "subjectaccessreviews") => subject_review(state, body),
        ("authorization.k8s.io", "v1", "selfsubjectaccessreviews") => {
            access_review(state, user, body, "SelfSubjectAccessReview")
        }
        ("", "v1", "serviceaccounts") if place.subresource == "token" => {
            token_request(state, place, body)
        }
        _ => return None,
    };
    Some(answer)
}

fn token_review(state: &State, body: &Value) -> Result<Value, Failure> {
    expect_kind(body, "authentication.k8s.io/v1", "TokenReview")?;
    let token = body["spec"]["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(Failure::bad_request(
            "token is required for TokenReview in authentication",
        ));
    }
    let audiences = strings(&body["spec"]["audiences"]);
    let status = match state.access.review(token, &audiences, state.clock) {
        Ok((user, audiences)) => {
            json!({"authenticated": true, "user": user.to_json(), "audiences": audiences})
        }
        Err(error) => json!({"user": {}, "error": error}),
    };
    Ok(answered(state, body, status))
}

fn self_review(state: &State, user: &Identity, body: &Value) -> Value {
    let mut answer = answered(state, body, json!({"userInfo": user.to_json()}));
    answer["metadata"] = json!({"creationTimestamp": state.clock.stamp()});
    answer
}

fn subject_review(state: &State, body: &Value) -> Result<Value, Failure> {
    let name = body["spec"]["user"].as_str().unwrap_or_default();
    let groups = strings(&body["spec"]["groups"]);
    if name.is_empty() && groups.is_empty() {
        let message = "at least one of user or group must be specified".to_owned();
        return Err(Failure::invalid(
            "authorization.k8s.io",
            "SubjectAccessReview",
            "",
            &[(
                "FieldValueInvalid",
                "spec.user",
                format!("Invalid value: \"\": {message}"),
            )],
        ));
    }
    let user = Identity {
        name: name.to_owned(),
        groups,
        ..Identity::default()
    };
    access_review(state, &user, body, "SubjectAccessReview")
}

fn access_review(
    state: &State,
    user: &Identity,
    body: &Value,
    kind: &str,
) -> Result<Value, Failure> {
    expect_kind(body, "authorization.k8s.io/v1", kind)?;
    let asked = &body["spec"]["resourceAttributes"];
    let other = &body["spec"]["nonResourceAttributes"];
    if asked.is_object() == other.is_object() {
        let message = "Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be specified";
        let cause = (
            "FieldValueInvalid",
            "spec.resourceAttributes",
            message.to_owned(),
        );
        return Err(Failure::invalid("authorization.k8s.io", kind, "", &[cause]));
    }
    let text = |field: &str| asked[field].as_str().unwrap_or_default();
    let resource = match text("subresource") {
        "" => text("resource").to_owned(),
        subresource => format!("{}/{subresource}", text("resource")),
    };
    let attributes = Attributes {
        verb: text("verb"),
        group: text("group"),
        resource: &resource,
        namespace: text("namespace"),
        name: text("name"),
    };
    let status = if state.access.allows(user, &attributes) {
        let reason = format!("RBAC: allowed by {}", user.binding());
        json!({"allowed": true, "reason": reason})
    } else {
        json!({"allowed": false})
    };
    // As the recorded ones: an empty group is left out.
    let mut body = body.clone();
    if let Some(attributes) = body["spec"]["resourceAttributes"].as_object_mut() {
        attributes.retain(|_, value| value.as_str() != Some(""));
    }
    Ok(answered(state, &body, status))
}

fn token_request(state: &mut State, place: &Place, body: &Value) -> Result<Value, Failure> {
    expect_kind(body, "authentication.k8s.io/v1", "TokenRequest")?;
    let known = resource::of_kind("ServiceAccount")
        .and_then(|accounts| state.store.object(accounts, &place.namespace, &place.name))
        .ok_or_else(|| Failure::not_found("", "serviceaccounts", &place.name))?;
    let uid = known["metadata"]["uid"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let asked = &body["spec"]["expirationSeconds"];
    let seconds = if asked.is_null() {
        USUAL
    } else {
        asked.as_u64().unwrap_or_default()
    };
    if seconds < SHORTEST {
        let message =
            format!("Invalid value: {seconds}: may not specify a duration less than 10 minutes");
        let cause = ("FieldValueInvalid", "spec.expirationSeconds", message);
        return Err(Failure::invalid(
            "authentication.k8s.io",
            "TokenRequest",
            &place.name,
            &[cause],
        ));
    }
    let mut audiences = strings(&body["spec"]["audiences"]);
    if audiences.is_empty() {
        audiences.push(OWN_AUDIENCE.to_owned());
    }
    let lifetime = Duration::from_secs(seconds);
    let clock = state.clock;
    let identity = Identity::service_account(&place.namespace, &place.name, &uid);
    let token = state
        .access
        .issue(identity, audiences.clone(), lifetime, clock, random_uid());
    let status = json!({"token": token, "expirationTimestamp": clock.stamp_after(lifetime)});
    let mut answer = answered(state, body, status);
    answer["metadata"]["name"] = place.name.as_str().into();
    answer["metadata"]["namespace"] = place.namespace.as_str().into();
    answer["metadata"]["uid"] = uid.into();
    answer["metadata"]["creationTimestamp"] = clock.stamp().into();
    answer["metadata"]["managedFields"][0]["subresource"] = "token".into();
    answer["spec"]["audiences"] = audiences.into();
    answer["spec"]["expirationSeconds"] = seconds.into();
    answer["spec"]["boundObjectRef"] = body["spec"]["boundObjectRef"].clone();
    Ok(answer)
}

/// The object that was sent, with what the server writes into it.
fn answered(state: &State, body: &Value, status: Value) -> Value {
    let mut answer = body.clone();
    answer["metadata"]["managedFields"] = json!([{
        "manager": "standin", "operation": "Update", "apiVersion": body["apiVersion"], "time": state.clock.stamp(),
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": super::managed(&body["spec"])},
    }]);
    answer["status"] = status;
    answer
}

/// Refuses an object of another kind, in the words of the real one.
pub(super) fn expect_kind(body: &Value, api_version: &str, kind: &str) -> Result<(), Failure> {
    let sent = (
        body["apiVersion"].as_str().unwrap_or_default(),
        body["kind"].as_str().unwrap_or_default(),
    );
    match sent {
        (version, sent) if version == api_version && sent == kind => Ok(()),
        // A body that does not say is taken for what the path says.
        ("", "") => Ok(()),
        (version, sent) => Err(Failure::bad_request(&format!(
            "{sent} in version \"{version}\" cannot be handled as a {kind}: converting (unknown) to {kind}: unknown \
             conversion"
        ))),
    }
}

fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect()
}
