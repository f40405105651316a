//! Whom an https address may be: whom this system trusts, who has a certificate of a file, or anybody.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error as RustlsError, RootCertStore, SignatureScheme,
};

use crate::python_value::truth;

/// Who vouches for the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The authorities of this system.
    #[default]
    System,
    /// Those of a file (PEM), or of a directory of such files.
    File(PathBuf),
    /// Nobody has to.
    Anybody,
}

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of certificates cannot be used.
    #[error("cannot use the certificates of {}: {source}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        source: rustls_native_certs::Error,
    },
    /// There are none.
    #[error("{0} has no certificate of an authority: name a file that has one")]
    Empty(String),
    /// The library refuses.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] RustlsError),
}

impl Trust {
    /// What a `verify_tls` means.
    pub(crate) fn said(verify_tls: Option<&Value>) -> Self {
        match verify_tls {
            None | Some(Value::Bool(true)) => Self::System,
            Some(Value::String(file)) if !file.is_empty() => Self::File(file.into()),
            Some(other) if !truth(other) => Self::Anybody,
            Some(_) => Self::System,
        }
    }

    /// How a client that trusts so makes connections; certificates are read each time.
    pub fn configuration(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match self {
            Self::System => builder.with_root_certificates(of_system()?),
            Self::File(file) => builder.with_root_certificates(of_file(file)?),
            Self::Anybody => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        };
        Ok(builder.with_no_client_auth())
    }
}

fn of_system() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    roots(found.certs).ok_or_else(|| TlsError::Empty("this system".to_owned()))
}

fn of_file(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut found = if file.is_dir() {
        rustls_native_certs::load_certs_from_paths(None, Some(file))
    } else {
        rustls_native_certs::load_certs_from_paths(Some(file), None)
    };
    roots(found.certs).ok_or_else(|| match found.errors.pop() {
        Some(source) => TlsError::File {
            file: file.to_owned(),
            source,
        },
        None => TlsError::Empty(file.display().to_string()),
    })
}

/// None where there are none that can be used.
fn roots(certificates: Vec<CertificateDer<'static>>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    Some(roots).filter(|roots| !roots.is_empty())
}

/// Takes every certificate, and still checks that the server has its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_certificates_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let say = |path: &Path| {
            let trust = Trust::File(path.to_owned());
            trust.configuration().unwrap_err().to_string()
        };
        let said = say(&file);
        assert!(
            said.starts_with("cannot use the certificates of "),
            "{said}"
        );
        std::fs::write(&file, "nothing").unwrap();
        for path in [file.as_path(), directory.path()] {
            let said = say(path);
            assert!(
                said.contains("has no certificate of an authority"),
                "{said}"
            );
        }
    }
}
