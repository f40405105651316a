//! How a call came, before anybody knows who calls: by which listener, with which token or certificate.

use tonic::{
    Request,
    transport::{
        CertificateDer,
        server::{TcpConnectInfo, TlsConnectInfo, UdsConnectInfo},
    },
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::access::{Caller, User};

/// Who is at the other end, as far as the connection says.
pub(super) fn of<T>(request: &Request<T>) -> Caller {
    let extensions = request.extensions();
    if extensions.get::<UdsConnectInfo>().is_some() {
        return Caller::Socket;
    }
    let tls = extensions.get::<TlsConnectInfo<TcpConnectInfo>>();
    let certificates = tls.and_then(TlsConnectInfo::peer_certs);
    // The handshake has checked that our authority signed it; the first is the caller's own.
    let user = certificates.and_then(|all| all.first().and_then(user));
    if let Some(user) = user {
        return Caller::Certificate(user);
    }
    match token(request) {
        Some(token) => Caller::Token(token),
        None => Caller::Nobody,
    }
}

fn token<T>(request: &Request<T>) -> Option<String> {
    let value = request.metadata().get("authorization")?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

/// As Kubernetes reads certificates: the common name is the user, organizations are groups.
fn user(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let subject = parsed.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    let groups = subject.iter_organization();
    (!name.is_empty()).then(|| User {
        name: name.to_owned(),
        groups: groups
            .filter_map(|group| group.as_str().ok().map(ToOwned::to_owned))
            .collect(),
        ..User::default()
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    #[test]
    fn a_certificate_names_its_user_and_groups() {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "ann@example.com");
        params
            .distinguished_name
            .push(DnType::OrganizationName, "sre");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let user = user(certificate.der()).unwrap();
        assert_eq!(
            (user.name.as_str(), user.groups),
            ("ann@example.com", vec!["sre".to_owned()])
        );
        let mut nameless = CertificateParams::default();
        nameless.distinguished_name = rcgen::DistinguishedName::new();
        let certificate = nameless.self_signed(&key).unwrap();
        assert_eq!(super::user(certificate.der()), None);
        assert_eq!(super::user(&CertificateDer::from(vec![1, 2, 3])), None);
    }

    #[test]
    fn a_bearer_token_is_found_and_nothing_else() {
        let with = |value: &'static str| {
            let mut request = Request::new(());
            let metadata = request.metadata_mut();
            metadata.insert("authorization", value.parse().unwrap());
            token(&request)
        };
        assert_eq!(with("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(with("bearer  abc ").as_deref(), Some("abc"));
        for other in ["Basic abc", "Bearer", "Bearer ", "abc"] {
            assert_eq!(with(other), None, "{other}");
        }
        assert!(matches!(of(&Request::new(())), Caller::Nobody));
    }
}
