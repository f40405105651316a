//! Callers that show certificates, without Kubernetes.

use std::{fs, net::Ipv4Addr};

use chaos_proto::v1::{ListRequest, agent_service_client::AgentServiceClient};
use chaos_tests::{daemon::Daemon, lab::Lab, requires};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::runtime::Builder;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

const PORT: u16 = 7441;

/// An authority, and what it signs: certificate and key, in PEM.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        (signed.pem(), key.serialize_pem())
    }
}

#[test]
fn only_who_shows_a_certificate_of_the_authority_is_heard() {
    requires!(root, cgroup2);
    let lab = Lab::new("certificates").unwrap();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (certificate, key) = ours.sign("agent");
    let written = [("cert", &certificate), ("key", &key), ("ca", &ours.pem)].map(|(name, text)| {
        let path = lab.directory().join(name);
        fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    });
    let audit = lab.directory().join("audit.log");
    let listen = format!("{}:{PORT}", Ipv4Addr::UNSPECIFIED);
    let log = audit.to_string_lossy();
    let [certificate, key, authority] = &written;
    let arguments = [
        ("--listen", listen.as_str()),
        ("--tls-cert", certificate),
        ("--tls-key", key),
        ("--client-ca", authority),
        ("--audit-log", &log),
    ]
    .map(|(name, value)| [name, value])
    .concat();
    let mut daemon = Daemon::start_with(&lab, &arguments).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let list = |shown: Option<(String, String)>| {
        let mut tls = ClientTlsConfig::new()
            .domain_name("agent")
            .ca_certificate(Certificate::from_pem(&ours.pem));
        if let Some((certificate, key)) = shown {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{PORT}")).unwrap();
        let endpoint = endpoint.tls_config(tls).unwrap();
        runtime.block_on(async {
            let channel = endpoint
                .connect()
                .await
                .map_err(|error| error.to_string())?;
            let mut service = AgentServiceClient::new(channel);
            let answer = service.list(ListRequest::default());
            answer.await.map(drop).map_err(|status| status.to_string())
        })
    };
    list(Some(ours.sign("ann"))).unwrap();
    list(Some(theirs.sign("ann"))).unwrap_err();
    list(None).unwrap_err();
    assert!(daemon.stop().unwrap().success());
    let lines = fs::read_to_string(&audit).unwrap();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(lines.contains("\"user\":\"ann\"") && lines.contains("\"knownBy\":\"certificate\""));
}
