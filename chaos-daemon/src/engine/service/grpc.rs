//! What happens to gRPC calls.

use std::{fmt, str::FromStr};

use super::{
    Door, HeaderMatch, MOST_MATCHES, Pause, ServiceError, check_count, check_filter, check_first,
    check_share, matches,
};
use crate::engine::{error::SpecError, fault::Ppm, filter::Filter};

/// Status of an error.
const CODES: std::ops::RangeInclusive<u32> = 1..=16;
/// Longest message of an error.
const LONGEST_MESSAGE: usize = 4 * 1024;

/// What happens to gRPC calls, and to which.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grpc {
    /// They are held, unless they are answered with an error.
    pub pause: Option<Pause>,
    /// They are answered with an error.
    pub error: Option<ErrorStatus>,
    /// Calls that are left alone.
    pub exclude: Vec<Method>,
    /// Which calls, all of them.
    pub match_metadata: Vec<HeaderMatch>,
    /// How connections get there.
    pub door: Door,
}

/// An answer that the application does not know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorStatus {
    /// To how many of the calls.
    pub share: Ppm,
    /// To so many of each target at the beginning, before the share decides.
    pub first: u32,
    /// Its code.
    pub code: u32,
    /// Its message.
    pub message: String,
}

/// A method of a service, or all of its methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Service, with its package.
    pub service: String,
    /// Method; nothing means all.
    pub method: Option<String>,
}

impl Grpc {
    pub(in crate::engine) fn check(&self, filter: &Filter) -> Result<(), SpecError> {
        check_filter(filter)?;
        self.door.check()?;
        if self.pause.is_none() && self.error.is_none() {
            return Err(ServiceError::Nothing.into());
        }
        self.pause.as_ref().map_or(Ok(()), Pause::check)?;
        self.error.as_ref().map_or(Ok(()), ErrorStatus::check)?;
        check_count("calls to leave alone", self.exclude.len(), MOST_MATCHES)?;
        matches::check_header_matches(&self.match_metadata)?;
        Ok(())
    }
}

impl ErrorStatus {
    fn check(&self) -> Result<(), SpecError> {
        check_share(self.share, "a share of failed calls")?;
        check_first(self.first)?;
        if !CODES.contains(&self.code) {
            return Err(ServiceError::StatusCode(self.code).into());
        }
        if self.share == Ppm::NONE && self.first == 0 {
            return Err(ServiceError::NoErrorShare.into());
        }
        // As it is sent: what is not printable ASCII takes three bytes each.
        let sent = |byte: u8| {
            if matches!(byte, b' '..=b'~') && byte != b'%' {
                1
            } else {
                3
            }
        };
        let length: usize = self.message.bytes().map(sent).sum();
        if length > LONGEST_MESSAGE {
            return Err(ServiceError::Long {
                what: "the message of an error, percent-encoded",
                length,
                most: LONGEST_MESSAGE,
            }
            .into());
        }
        Ok(())
    }
}

impl Method {
    /// Whether it is the call of this path, such as `/package.Service/Method`.
    pub fn matches(&self, path: &[u8]) -> bool {
        let rest = path
            .strip_prefix(b"/")
            .and_then(|path| path.strip_prefix(self.service.as_bytes()))
            .and_then(|rest| rest.strip_prefix(b"/"));
        let is_method = |wanted: &String| rest == Some(wanted.as_bytes());
        rest.is_some() && self.method.as_ref().is_none_or(is_method)
    }
}

impl FromStr for Method {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, ServiceError> {
        let is_name = |name: &str| {
            let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"._".contains(&byte);
            !name.is_empty() && name.bytes().all(is_sign)
        };
        let wrong = || ServiceError::Method(text.to_owned());
        let rest = text.strip_prefix('/').unwrap_or(text);
        let (service, method) = match rest.split_once('/') {
            Some((service, method)) => (service, Some(method)),
            None => (rest, None),
        };
        if !is_name(service) || !method.is_none_or(is_name) {
            return Err(wrong());
        }
        Ok(Self {
            service: service.to_owned(),
            method: method.map(str::to_owned),
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.service)?;
        self.method
            .as_ref()
            .map_or(Ok(()), |method| write!(f, "/{method}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_methods() {
        let service: Method = "shop.Catalog".parse().unwrap();
        let method: Method = "/shop.Catalog/Get".parse().unwrap();
        assert!(service.matches(b"/shop.Catalog/Get"));
        assert!(method.matches(b"/shop.Catalog/Get"));
        assert!(!method.matches(b"/shop.Catalog/GetAll"));
        for path in ["/shop.Catalogs/Get", "/shop.catalog/Get", "/shop.Catalog"] {
            assert!(!service.matches(path.as_bytes()), "{path}");
        }
        assert_eq!(method.to_string(), "shop.Catalog/Get");
        for bad in ["", "/", "a/", "/a/b/c", "a b", "a/*"] {
            let error = ServiceError::Method(bad.to_owned());
            assert_eq!(bad.parse::<Method>(), Err(error));
        }
    }
}
