//! From a request to its answer: who asks, whether it may, what it gets.

use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::{
    Shared,
    access::Identity,
    create, discovery, forward, list,
    request::{Parameters, Place, Route, Shape, accepted, bearer, expect_json},
    reviews,
    status::Failure,
    watch,
};

/// A request whose body has come.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) parameters: Parameters,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Who it is by its certificate.
    pub(super) certificate: Option<Identity>,
}

/// What goes back.
#[derive(Debug)]
pub(super) enum Answer {
    /// An object.
    Object(StatusCode, Value),
    /// Something that is no object.
    Text(&'static str),
    /// The changes to objects.
    Watch(watch::Watch),
    /// The connection becomes a tunnel to a pod.
    Forward(forward::Forward),
}

/// Who asks: by certificate, token, or nobody in particular. A token that is not known is an error.
pub(super) fn identify(shared: &Shared, asked: &Asked) -> Result<Identity, Failure> {
    if let Some(identity) = &asked.certificate {
        return Ok(identity.clone());
    }
    if !asked.headers.contains_key(hyper::header::AUTHORIZATION) {
        return Ok(Identity::anonymous());
    }
    let token = bearer(&asked.headers).ok_or_else(Failure::unauthorized)?;
    let state = shared.state();
    let known = state.access.review(token, &[], state.clock);
    known
        .map(|(identity, _)| identity)
        .map_err(|_| Failure::unauthorized())
}

/// The answer for this user.
pub(super) async fn answer(
    shared: &Shared,
    user: &Identity,
    asked: &Asked,
) -> Result<Answer, Failure> {
    match Route::parse(&asked.path) {
        Route::Page(page) => discovery::page(user, &page, asked),
        Route::Resource(place) => resource(shared, user, &place, asked).await,
    }
}

async fn resource(
    shared: &Shared,
    user: &Identity,
    place: &Place,
    asked: &Asked,
) -> Result<Answer, Failure> {
    let verb = place.verb(&asked.method, &asked.parameters);
    may(shared, user, place, verb)?;
    if place.ruled() == "pods/portforward" {
        return forward::ask(shared, user, place, asked).map(Answer::Forward);
    }
    let shape = accepted(&asked.headers)?;
    if verb == "create" {
        if !place.name.is_empty() && place.subresource.is_empty() {
            return Err(Failure::method_not_allowed());
        }
        expect_json(&asked.headers)?;
        let body: Value = serde_json::from_slice(&asked.body).map_err(|error| {
            Failure::bad_request(&format!(
                "the object provided is unrecognized (must be of type Object): {error}"
            ))
        })?;
        let mut state = shared.state();
        let created = reviews::create(&mut state, user, place, &body)
            .unwrap_or_else(|| create::create(&mut state, place, body));
        return created.map(|object| Answer::Object(StatusCode::CREATED, object));
    }
    let resource = place.known().ok_or_else(Failure::no_page)?;
    if !place.subresource.is_empty() {
        return Err(Failure::no_page());
    }
    match verb {
        "get" => {
            let state = shared.state();
            let object = state
                .store
                .object(resource, &place.namespace, &place.name)
                .ok_or_else(|| Failure::not_found(&place.group, &place.resource, &place.name))?;
            Ok(Answer::Object(
                StatusCode::OK,
                list::shown(resource, object, shape, true),
            ))
        }
        "list" => list::list(shared, place, resource, asked, shape)
            .await
            .map(|list| Answer::Object(StatusCode::OK, list)),
        "watch" => watch::Watch::new(shared, place, resource, asked, shape).map(Answer::Watch),
        "update" => create::update(shared, place, resource, asked),
        "delete" => create::delete(shared, place, resource, asked),
        "patch" => create::patch(shared, place, resource, asked),
        _ => Err(Failure::method_not_allowed()),
    }
}

/// Refuses what no rule allows.
pub(super) fn may(
    shared: &Shared,
    user: &Identity,
    place: &Place,
    verb: &str,
) -> Result<(), Failure> {
    let ruled = place.ruled();
    let state = shared.state();
    if state.access.allows(user, &place.attributes(verb, &ruled)) {
        return Ok(());
    }
    Err(place.forbidden(user, verb))
}

/// Of an object, only what `shape` shows.
pub(super) fn metadata_only(object: &Value) -> Value {
    serde_json::json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
    })
}

/// Whether only metadata is shown.
pub(super) fn is_metadata(shape: Shape) -> bool {
    shape == Shape::Metadata
}
