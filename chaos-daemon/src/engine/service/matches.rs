//! Which requests: paths, methods, header fields.

use super::{Glob, MOST_FIELDS, MOST_MATCHES, ServiceError, check_count, field::is_token};

/// Which requests, by method and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMatch {
    /// Method, in either case; nothing means any.
    pub method: Option<String>,
    /// Path without its query; nothing means any.
    pub path: Option<Glob>,
}

/// Which requests, by a header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Its name, in either case.
    pub name: String,
    /// Its value; nothing means that there is one.
    pub value: Option<Glob>,
}

impl RequestMatch {
    /// Whether it is a request of this method and path.
    pub fn matches(&self, method: &[u8], path: &[u8]) -> bool {
        let is_method = |wanted: &String| wanted.as_bytes().eq_ignore_ascii_case(method);
        self.method.as_ref().is_none_or(is_method)
            && self.path.as_ref().is_none_or(|glob| glob.matches(path))
    }

    fn check(&self) -> Result<(), ServiceError> {
        if self.method.is_none() && self.path.is_none() {
            return Err(ServiceError::EmptyMatch);
        }
        if let Some(method) = self.method.as_ref().filter(|method| !is_token(method)) {
            return Err(ServiceError::HttpMethod(method.clone()));
        }
        if let Some(path) = &self.path
            && (!path.text().starts_with(['/', '*']) || path.text().contains(['?', '#']))
        {
            return Err(ServiceError::Path(path.text().to_owned()));
        }
        Ok(())
    }
}

impl HeaderMatch {
    /// Whether this field is one.
    pub fn matches(&self, name: &[u8], value: &[u8]) -> bool {
        self.name.as_bytes().eq_ignore_ascii_case(name)
            && self.value.as_ref().is_none_or(|glob| glob.matches(value))
    }

    fn check(&self) -> Result<(), ServiceError> {
        if !is_token(&self.name) {
            return Err(ServiceError::FieldName(self.name.clone()));
        }
        Ok(())
    }
}

pub(super) fn check_matches(matches: &[RequestMatch]) -> Result<(), ServiceError> {
    check_count("matches of requests", matches.len(), MOST_MATCHES)?;
    matches.iter().try_for_each(RequestMatch::check)
}

pub(super) fn check_header_matches(matches: &[HeaderMatch]) -> Result<(), ServiceError> {
    check_count("matches of header fields", matches.len(), MOST_FIELDS)?;
    matches.iter().try_for_each(HeaderMatch::check)
}

pub(super) fn check_excluded(paths: &[String]) -> Result<(), ServiceError> {
    check_count("paths to leave alone", paths.len(), MOST_MATCHES)?;
    let is_path = |path: &&String| path.starts_with('/') && !path.contains(['?', '#']);
    match paths.iter().find(|path| !is_path(path)) {
        None => Ok(()),
        Some(path) => Err(ServiceError::Exclude(path.clone())),
    }
}

/// Whether `path`, as it came and without its query, is one of `paths`: percent-decoded, and in either case of ASCII letters.
pub fn excludes(paths: &[String], path: &[u8]) -> bool {
    let is_it = |wanted: &String| {
        let mut wanted = wanted.bytes();
        decoded(path).all(|byte| {
            let next = wanted.next();
            next.is_some_and(|wanted| wanted.eq_ignore_ascii_case(&byte))
        }) && wanted.next().is_none()
    };
    paths.iter().any(is_it)
}

/// Bytes of a path. A percent sign before anything but two digits is one.
fn decoded(path: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let (byte, length) = match rest {
            [] => return None,
            [b'%', high, low, ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 3),
                _ => (b'%', 1),
            },
            [byte, ..] => (*byte, 1),
        };
        rest = &rest[length..];
        Some(byte)
    })
}

fn digit(sign: u8) -> Option<u8> {
    char::from(sign)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excluded_path_is_the_whole_path_decoded_in_either_case() {
        let paths = ["/Health".to_owned(), "/a b".to_owned(), "/ü".to_owned()];
        for path in ["/health", "/HEALTH", "/%68ealth", "/a%20b", "/%c3%BC"] {
            assert!(excludes(&paths, path.as_bytes()), "{path}");
        }
        for path in [
            "/healt",
            "/health/",
            "/healthz",
            "health",
            "/%6health",
            "/%",
            "",
        ] {
            assert!(!excludes(&paths, path.as_bytes()), "{path}");
        }
        assert!(!excludes(&[], b"/"));
    }

    #[test]
    fn a_match_is_of_a_method_a_path_or_both() {
        let of = |method: Option<&str>, path: Option<&str>| RequestMatch {
            method: method.map(str::to_owned),
            path: path.map(|path| Glob::of_path(path).unwrap()),
        };
        assert!(of(Some("GET"), Some("/a/*")).matches(b"GET", b"/a/b"));
        assert!(of(Some("get"), None).matches(b"GET", b"/"));
        assert!(!of(Some("GET"), Some("/a")).matches(b"POST", b"/a"));
        assert!(!of(None, Some("/a")).matches(b"GET", b"/b"));
        for (bad, why) in [
            (of(None, None), ServiceError::EmptyMatch),
            (
                of(Some("G T"), None),
                ServiceError::HttpMethod("G T".into()),
            ),
            (of(None, Some("a")), ServiceError::Path("a".into())),
            (of(None, Some("/a?b")), ServiceError::Path("/a?b".into())),
        ] {
            assert_eq!(bad.check(), Err(why));
        }
    }

    #[test]
    fn a_header_field_is_there_or_has_a_value() {
        let is_there = HeaderMatch {
            name: "X-User".into(),
            value: None,
        };
        assert!(is_there.matches(b"x-user", b""));
        assert!(!is_there.matches(b"x-users", b""));
        let has = HeaderMatch {
            value: Some(Glob::of_value("test-*").unwrap()),
            ..is_there
        };
        assert!(has.matches(b"x-user", b"test-7"));
        assert!(!has.matches(b"x-user", b"Test-7"));
    }
}
