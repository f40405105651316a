//! Requests to a real TLS server, whose certificate is vouched for, or is not.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use hyper::{HeaderMap, Method};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

use chaos_toolkit::tls::Trust;

use super::super::sample::Failure;
use super::*;

/// Answers one request on each connection; gives its address and its certificate.
fn server() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    (format!("https://localhost:{port}/"), certificate.pem())
}

async fn ask(url: &str, trust: &Trust) -> Result<u16, Failure> {
    let asked = Asked {
        uri: url.parse().unwrap(),
        method: Method::GET,
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
        timeout: Duration::from_secs(20),
        new_connections: false,
        keeps_body: false,
    };
    let tls = Arc::new(trust.configuration().unwrap());
    let client = Client::new(asked, Some(tls.into())).unwrap();
    let done = client.send(Instant::now()).await;
    let is_secured = !done.timings.tls.is_zero();
    assert!(
        is_secured && done.timings.tls <= done.timings.blocked,
        "{done:?}"
    );
    // Those of TLS are among them.
    assert!(done.sent > 200, "{done:?}");
    done.answer.map(|answer| answer.status)
}

#[tokio::test]
async fn a_server_is_vouched_for_or_refused() {
    let (url, pem) = server();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    assert_eq!(ask(&url, &Trust::File(file)).await, Ok(200));
    assert_eq!(ask(&url, &Trust::Anybody).await, Ok(200));
    // Nobody that others know has signed it.
    let (_, other) = server();
    let file = directory.path().join("other.pem");
    std::fs::write(&file, other).unwrap();
    assert_eq!(ask(&url, &Trust::File(file)).await, Err(Failure::Tls));
}
