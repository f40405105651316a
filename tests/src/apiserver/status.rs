//! Errors as the API server words them: a `Status` body, or plain text where it has no JSON for it.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

/// An answer that says no.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// HTTP status.
    pub(super) code: StatusCode,
    /// The body.
    pub(super) body: Body,
}

/// Body of a failure.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// A `Status`.
    Status(Value),
    /// Plain text.
    Text(String),
}

impl Failure {
    fn new(code: StatusCode, reason: &str, message: &str, details: Option<Value>) -> Self {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code.as_u16(),
        });
        if let Some(details) = details {
            status["details"] = details;
        }
        Self {
            code,
            body: Body::Status(status),
        }
    }

    /// What the caller sent makes no sense.
    pub(super) fn bad_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message, None)
    }

    /// Nobody that the server knows.
    pub(super) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            "Unauthorized",
            None,
        )
    }

    /// Known, but may not.
    pub(super) fn forbidden(message: &str, group: &str, kind: &str, name: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Forbidden",
            message,
            Some(details(group, kind, name)),
        )
    }

    /// Known, but may not see this page.
    pub(super) fn forbidden_path(message: &str) -> Self {
        let details = Some(json!({}));
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message, details)
    }

    /// No such object.
    pub(super) fn not_found(group: &str, plural: &str, name: &str) -> Self {
        let what = super::resource::qualified(group, plural);
        let message = format!("{what} \"{name}\" not found");
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            &message,
            Some(details(group, plural, name)),
        )
    }

    /// No such path.
    pub(super) fn no_page() -> Self {
        Self {
            code: StatusCode::NOT_FOUND,
            body: Body::Text("404 page not found\n".to_owned()),
        }
    }

    /// The path is there, but not for this method.
    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            message,
            Some(json!({})),
        )
    }

    /// No representation that the caller accepts.
    pub(super) fn not_acceptable() -> Self {
        let message = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
                       application/vnd.kubernetes.protobuf, application/json;stream=watch, \
                       application/vnd.kubernetes.protobuf;stream=watch";
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "NotAcceptable",
            message,
            Some(json!({})),
        )
    }

    /// A body of a media type that is not read.
    pub(super) fn unsupported_media_type() -> Self {
        let message = "the body of the request was in an unknown format - accepted media types include: \
                       application/json, application/yaml, application/vnd.kubernetes.protobuf, application/cbor";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            message,
            None,
        )
    }

    /// A patch of a media type that is no patch.
    pub(super) fn unsupported_patch() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            "415: Unsupported Media Type",
            Some(json!({})),
        )
    }

    /// An object of this name is there already.
    pub(super) fn already_exists(group: &str, plural: &str, name: &str) -> Self {
        let what = super::resource::qualified(group, plural);
        let message = format!("{what} \"{name}\" already exists");
        Self::new(
            StatusCode::CONFLICT,
            "AlreadyExists",
            &message,
            Some(details(group, plural, name)),
        )
    }

    /// The object is newer than what the caller has seen of it.
    pub(super) fn conflict(group: &str, plural: &str, name: &str) -> Self {
        let what = super::resource::qualified(group, plural);
        let message = format!(
            "Operation cannot be fulfilled on {what} \"{name}\": the object has been modified; please apply your \
             changes to the latest version and try again"
        );
        Self::new(
            StatusCode::CONFLICT,
            "Conflict",
            &message,
            Some(details(group, plural, name)),
        )
    }

    /// What was sent is well formed, and not valid. `causes`: reason, field, message.
    pub(super) fn invalid(
        group: &str,
        kind: &str,
        name: &str,
        causes: &[(&str, &str, String)],
    ) -> Self {
        let what = super::resource::qualified(group, kind);
        let mut lines: Vec<String> = causes
            .iter()
            .map(|(_, field, message)| format!("{field}: {message}"))
            .collect();
        let all = if lines.len() == 1 {
            lines.remove(0)
        } else {
            format!("[{}]", lines.join(", "))
        };
        let message = format!("{what} \"{name}\" is invalid: {all}");
        let mut details = details(group, kind, name);
        details["causes"] = causes
            .iter()
            .map(|(reason, field, message)| {
                json!({"reason": reason, "message": message, "field": field})
            })
            .collect();
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            &message,
            Some(details),
        )
    }

    /// The version that was asked for is no longer known.
    pub(super) fn expired(message: &str) -> Self {
        Self::new(StatusCode::GONE, "Expired", message, None)
    }

    /// The rest of a list whose version is no longer known; `token` continues it as of now.
    pub(super) fn expired_continue(token: &str) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start \
                       a new list without the continue parameter, or use the continue token in this response to \
                       retrieve the remainder of the results. Continuing with the provided token results in an \
                       inconsistent list - objects that were created, modified, or deleted between the time the \
                       first chunk was returned and now may show up in the list.";
        let mut failure = Self::expired(message);
        if let Body::Status(status) = &mut failure.body {
            status["metadata"]["continue"] = token.into();
        }
        failure
    }

    /// A version that is not there yet, and did not come in time.
    pub(super) fn too_large(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "Timeout",
            &message,
            Some(json!({
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1,
            })),
        )
    }

    /// The time that the caller allowed was over before there was an answer.
    pub(super) fn timeout() -> Self {
        let text = json!({
            "metadata": {}, "status": "Failure",
            "message": "Timeout: request did not complete within the allotted timeout",
            "reason": "Timeout", "details": {}, "code": 504,
        });
        Self {
            code: StatusCode::GATEWAY_TIMEOUT,
            body: Body::Text(text.to_string()),
        }
    }

    /// The server has too much to do.
    pub(super) fn too_many_requests() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequests",
            "Too many requests, please try again later.",
            Some(json!({"retryAfterSeconds": 1})),
        )
    }

    /// The server could not do its part.
    pub(super) fn internal(message: &str) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            &format!("Internal error occurred: {message}"),
            Some(json!({"causes": [{"message": message}]})),
        )
    }

    /// The `Status` in it; a failure in plain text has none.
    pub(super) fn status(&self) -> Value {
        match &self.body {
            Body::Status(status) => status.clone(),
            Body::Text(text) => Value::String(text.clone()),
        }
    }
}

fn details(group: &str, kind: &str, name: &str) -> Value {
    let mut details = Map::new();
    for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            details.insert(key.to_owned(), value.into());
        }
    }
    Value::Object(details)
}
