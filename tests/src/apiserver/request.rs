//! What a request asks for, read from its path, its parameters and its headers as the API server reads them.

use hyper::{HeaderMap, Method, header};

use super::{
    access::{Attributes, Identity},
    resource::{Resource, find, qualified},
    status::Failure,
};

/// Parameters of a request, as they came.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// From the part behind the `?`.
    pub(super) fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// A parameter; empty if it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }

    /// Whether it is there and true.
    pub(super) fn flag(&self, name: &str) -> bool {
        ["1", "true", "True", "TRUE", "t"].contains(&self.text(name))
    }

    /// All values of a parameter.
    pub(super) fn all<'here>(&'here self, name: &'here str) -> impl Iterator<Item = &'here str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/version`, `/readyz`, `/apis` …
    Page(String),
    /// Objects, or something of them.
    Resource(Place),
}

/// A place among the resources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// API group; empty: core.
    pub(super) group: String,
    /// Version in it.
    pub(super) version: String,
    /// Plural.
    pub(super) resource: String,
    /// Empty: all of them.
    pub(super) namespace: String,
    /// Empty: the collection.
    pub(super) name: String,
    /// Such as "portforward"; empty: the object itself.
    pub(super) subresource: String,
}

impl Route {
    /// Reads a path.
    pub(super) fn parse(path: &str) -> Self {
        let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
        let (group, version, rest) = match words.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Self::Page(path.to_owned()),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let [resource, rest @ ..] = rest else {
            return Self::Page(path.to_owned());
        };
        Self::Resource(Place {
            group: group.to_owned(),
            version: version.to_owned(),
            resource: (*resource).to_owned(),
            namespace: namespace.to_owned(),
            name: rest
                .first()
                .map_or_else(String::new, |&name| name.to_owned()),
            subresource: rest.get(1..).unwrap_or_default().join("/"),
        })
    }
}

impl Place {
    /// The resource, if it is one with objects.
    pub(super) fn known(&self) -> Option<&'static Resource> {
        find(&self.group, &self.version, &self.resource)
    }

    /// What this method does here, as rules have it.
    pub(super) fn verb(&self, method: &Method, parameters: &Parameters) -> &'static str {
        let collection = self.name.is_empty();
        match method.as_str() {
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" if collection => "deletecollection",
            "DELETE" => "delete",
            _ if collection && parameters.flag("watch") => "watch",
            _ if collection => "list",
            _ => "get",
        }
    }

    /// The resource as rules have it: with its subresource.
    pub(super) fn ruled(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    /// The answer to who may not.
    pub(super) fn forbidden(&self, user: &Identity, verb: &str) -> Failure {
        let what = qualified(&self.group, &self.resource);
        let name = if self.name.is_empty() {
            String::new()
        } else {
            format!(" \"{}\"", self.name)
        };
        let scope = if self.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{}\"", self.namespace)
        };
        let message = format!(
            "{what}{name} is forbidden: User \"{}\" cannot {verb} resource \"{}\" in API group \"{}\" {scope}",
            user.name,
            self.ruled(),
            self.group,
        );
        Failure::forbidden(&message, &self.group, &self.resource, &self.name)
    }

    /// What is asked for, for the rules.
    pub(super) fn attributes<'here>(
        &'here self,
        verb: &'here str,
        ruled: &'here str,
    ) -> Attributes<'here> {
        Attributes {
            verb,
            group: &self.group,
            resource: ruled,
            namespace: &self.namespace,
            name: &self.name,
        }
    }
}

/// How objects are to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Whole.
    Whole,
    /// Only their metadata.
    Metadata,
}

/// The shape that the caller accepts; an error if it is none that the server has.
pub(super) fn accepted(headers: &HeaderMap) -> Result<Shape, Failure> {
    let Some(accept) = headers.get(header::ACCEPT) else {
        return Ok(Shape::Whole);
    };
    let accept = accept.to_str().unwrap_or_default();
    for choice in accept.split(',') {
        let mut parts = choice.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let shown = parts.find_map(|part| part.strip_prefix("as="));
        if !["application/json", "application/*", "*/*", ""].contains(&media) {
            continue;
        }
        match shown {
            None => return Ok(Shape::Whole),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => {
                return Ok(Shape::Metadata);
            }
            Some(_) => {}
        }
    }
    Err(Failure::not_acceptable())
}

/// Refuses a body that is not JSON. Without a header, it is.
pub(super) fn expect_json(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(media) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let media = media.to_str().unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if media == "application/json" {
        Ok(())
    } else {
        Err(Failure::unsupported_media_type())
    }
}

/// The bearer token; an error if the header is none of this scheme.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_places() {
        let place = |path: &str| match Route::parse(path) {
            Route::Resource(place) => place,
            Route::Page(page) => panic!("{page} is a page"),
        };
        let forward = place("/api/v1/namespaces/demo/pods/a/portforward");
        assert_eq!(
            (forward.namespace.as_str(), forward.name.as_str()),
            ("demo", "a")
        );
        assert_eq!(forward.ruled(), "pods/portforward");
        assert_eq!(
            place("/apis/apps/v1/deployments").verb(&Method::GET, &Parameters::default()),
            "list"
        );
        // A namespace itself, not something in it.
        let namespace = place("/api/v1/namespaces/demo");
        assert_eq!(
            (namespace.resource.as_str(), namespace.name.as_str()),
            ("namespaces", "demo")
        );
        assert_eq!(Route::parse("/readyz"), Route::Page("/readyz".to_owned()));
        assert_eq!(Route::parse("/api/v1"), Route::Page("/api/v1".to_owned()));
    }
}
