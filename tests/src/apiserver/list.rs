//! Lists: of now, of a version, page by page.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    Shared,
    answers::{Asked, metadata_only},
    request::{Parameters, Place, Shape},
    resource::Resource,
    selector::Selector,
    status::Failure,
};

/// How long a list waits for a version that is not there yet.
const PATIENCE: Duration = Duration::from_secs(3);

/// Which state of the store a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Newest,
    Any,
    NotOlderThan(u64),
    Exact(u64),
}

/// Where a list goes on.
struct Continue {
    /// None: as of now, because the version that it began with is forgotten.
    version: Option<u64>,
    after: String,
}

/// The answer to a list.
pub(super) async fn list(
    shared: &Shared,
    place: &Place,
    resource: &'static Resource,
    asked: &Asked,
    shape: Shape,
) -> Result<Value, Failure> {
    let parameters = &asked.parameters;
    let selector = Selector::parse(
        resource,
        parameters.text("labelSelector"),
        parameters.text("fieldSelector"),
    )?;
    if parameters.flag("sendInitialEvents") {
        let message = "Forbidden: sendInitialEvents is forbidden for list".to_owned();
        return Err(invalid_options("sendInitialEvents", message));
    }
    let limit = match parameters.text("limit") {
        "" => 0,
        limit => limit.parse::<usize>().map_err(|_| {
            Failure::bad_request(&format!(
                "strconv.ParseInt: parsing {limit:?}: invalid syntax"
            ))
        })?,
    };
    let going_on = match parameters.text("continue") {
        "" => None,
        token => Some(Continue::parse(token)?),
    };
    if going_on.is_some() && !["", "0"].contains(&parameters.text("resourceVersion")) {
        let message = "specifying resource version is not allowed when using continue";
        return Err(Failure::bad_request(message));
    }
    let version = match &going_on {
        Some(going_on) => going_on.version.map_or(Version::Newest, Version::Exact),
        None => wanted(parameters, limit > 0)?,
    };
    wait(shared, parameters, version).await?;
    page(
        shared,
        place,
        resource,
        &selector,
        shape,
        version,
        limit,
        going_on.as_ref(),
    )
}

#[expect(
    clippy::too_many_arguments,
    reason = "one page is all of what was asked for"
)]
fn page(
    shared: &Shared,
    place: &Place,
    resource: &'static Resource,
    selector: &Selector,
    shape: Shape,
    version: Version,
    limit: usize,
    going_on: Option<&Continue>,
) -> Result<Value, Failure> {
    let state = shared.state();
    let at = match version {
        Version::Exact(version) => version,
        Version::Newest | Version::Any | Version::NotOlderThan(_) => state.store.version(),
    };
    let after = going_on.map_or(String::new(), |going_on| going_on.after.clone());
    let all = state
        .store
        .objects_at(resource, &place.namespace, at)
        .ok_or_else(|| {
            if going_on.is_some() {
                Failure::expired_continue(&Continue::token(None, &after))
            } else {
                Failure::expired("The resourceVersion for the provided list is too old.")
            }
        })?;
    // A cached list does not know pages.
    let limit = if version == Version::Any { 0 } else { limit };
    let mut left = all
        .iter()
        .filter(|object| selector.matches(object) && place_of(object) > after);
    let mut items = Vec::new();
    let mut last = String::new();
    for object in left.by_ref() {
        items.push(shown(resource, object, shape, false));
        last = place_of(object);
        if limit > 0 && items.len() == limit {
            break;
        }
    }
    let mut metadata = json!({"resourceVersion": at.to_string()});
    let remaining = left.count();
    if remaining > 0 {
        metadata["continue"] = Continue::token(Some(at), &last).into();
        // With a selector the real one does not count.
        if selector.is_any() {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    let (kind, version) = match shape {
        Shape::Whole => (format!("{}List", resource.kind), resource.api_version()),
        Shape::Metadata => (
            "PartialObjectMetadataList".to_owned(),
            "meta.k8s.io/v1".to_owned(),
        ),
    };
    Ok(json!({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items}))
}

/// An object as it is shown: alone it says its kind, in a list it does not, unless it is only metadata.
pub(super) fn shown(resource: &Resource, object: &Value, shape: Shape, alone: bool) -> Value {
    if shape == Shape::Metadata {
        return metadata_only(object);
    }
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        if alone {
            fields.insert("kind".to_owned(), resource.kind.into());
            fields.insert("apiVersion".to_owned(), resource.api_version().into());
        } else {
            fields.remove("kind");
            fields.remove("apiVersion");
        }
    }
    object
}

/// Which version these parameters ask for.
fn wanted(parameters: &Parameters, paged: bool) -> Result<Version, Failure> {
    let asked = parameters.text("resourceVersion");
    let rule = parameters.text("resourceVersionMatch");
    if asked.is_empty() && !rule.is_empty() {
        let message =
            "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided";
        return Err(invalid_options("resourceVersionMatch", message.to_owned()));
    }
    if asked.is_empty() {
        return Ok(Version::Newest);
    }
    let number = version(asked)?;
    match (rule, number) {
        ("Exact", 0) => {
            let message =
                "Forbidden: resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"";
            Err(invalid_options("resourceVersionMatch", message.to_owned()))
        }
        ("Exact", number) => Ok(Version::Exact(number)),
        ("" | "NotOlderThan", 0) => Ok(Version::Any),
        ("", number) if paged => Ok(Version::Exact(number)),
        ("" | "NotOlderThan", number) => Ok(Version::NotOlderThan(number)),
        (other, _) => {
            let message = format!(
                "Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\", \"\""
            );
            Err(invalid_options("resourceVersionMatch", message))
        }
    }
}

/// Reads a version.
pub(super) fn version(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| {
        let message =
            format!("Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax");
        let cause = ("FieldValueInvalid", "resourceVersion", message);
        Failure::invalid("", "", "", &[cause])
    })
}

/// Refuses options of a list or a watch.
pub(super) fn invalid_options(field: &str, message: String) -> Failure {
    Failure::invalid(
        "meta.k8s.io",
        "ListOptions",
        "",
        &[("FieldValueForbidden", field, message)],
    )
}

/// Waits for a version that is not there yet; not for long.
async fn wait(shared: &Shared, parameters: &Parameters, version: Version) -> Result<(), Failure> {
    let (Version::NotOlderThan(number) | Version::Exact(number)) = version else {
        return Ok(());
    };
    let mut changes = shared.state().store.changes();
    let allowed = parameters
        .text("timeout")
        .strip_suffix('s')
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    let patience = allowed.map_or(PATIENCE, |allowed| allowed.min(PATIENCE));
    let come = changes.wait_for(|&now| now >= number);
    if tokio::time::timeout(patience, come).await.is_ok() {
        return Ok(());
    }
    if allowed.is_some_and(|allowed| allowed < PATIENCE) {
        return Err(Failure::timeout());
    }
    Err(Failure::too_large(number, shared.state().store.version()))
}

/// The place of an object in the order of lists.
fn place_of(object: &Value) -> String {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    format!("{}\u{0}{}", text("namespace"), text("name"))
}

impl Continue {
    fn token(version: Option<u64>, after: &str) -> String {
        let token = json!({
            "v": "meta.k8s.io/v1", "rv": version.map_or(-1, u64::cast_signed), "start": after,
        });
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn parse(token: &str) -> Result<Self, Failure> {
        let broken = || Failure::bad_request("continue key is not valid: illegal base64 data");
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| broken())?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|_| broken())?;
        Ok(Self {
            version: token["rv"].as_u64(),
            after: token["start"].as_str().ok_or_else(broken)?.to_owned(),
        })
    }
}
