//! The way to a server: straight, or through a proxy of the environment; encrypted where the address says so.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use url::Url;

use crate::tls::Trust;
use crate::variables::Environment;

/// More than any proxy says before it is ready.
const PROXY_ANSWER: usize = 16 * 1024;

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection to who is to be asked.
pub(super) struct Connection {
    pub(super) stream: Box<dyn Stream>,
    pub(super) route: Route,
}

/// Who hears what is asked.
pub(super) enum Route {
    /// Whoever was named.
    Straight,
    /// A proxy, which is to be told the whole address.
    Proxy {
        /// Who asks.
        authorization: Option<http::HeaderValue>,
    },
}

/// The proxies of the environment.
pub(super) struct Proxies(Option<Matcher>);

/// Reads `http_proxy` and its like; lower case goes before upper case.
pub(super) fn proxies(environment: &Environment) -> Proxies {
    let value = |name: &str| {
        let names = [name.to_owned(), name.to_uppercase()];
        let mut values = names.iter().filter_map(|name| environment.get(name));
        values.find(|value| !value.is_empty())
    };
    let (http, https, all) = (
        value("http_proxy"),
        value("https_proxy"),
        value("all_proxy"),
    );
    if http.is_none() && https.is_none() && all.is_none() {
        return Proxies(None);
    }
    let matcher = Matcher::builder()
        .http(http.unwrap_or_default())
        .https(https.unwrap_or_default())
        .all(all.unwrap_or_default())
        .no(value("no_proxy").unwrap_or_default());
    Proxies(Some(matcher.build()))
}

pub(super) async fn connect(url: &Url, trust: &Trust, proxies: &Proxies) -> io::Result<Connection> {
    let (host, port) = place(url).ok_or_else(|| io::Error::other("it has no host"))?;
    let secure = url.scheme() == "https";
    let proxy = proxies
        .0
        .as_ref()
        .and_then(|proxies| proxies.intercept(&url.as_str().parse().ok()?));
    let Some(proxy) = proxy else {
        let tcp = TcpStream::connect((host.as_str(), port)).await?;
        return Ok(Connection {
            stream: encrypted(Box::new(tcp), secure, &host, trust).await?,
            route: Route::Straight,
        });
    };
    let address = Url::parse(&proxy.uri().to_string()).map_err(io::Error::other)?;
    let (proxy_host, proxy_port) =
        place(&address).ok_or_else(|| io::Error::other("its proxy has no host"))?;
    let tcp = TcpStream::connect((proxy_host.as_str(), proxy_port))
        .await
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("its proxy {proxy_host}:{proxy_port} cannot be reached: {error}"),
            )
        })?;
    let mut stream = encrypted(
        Box::new(tcp),
        address.scheme() == "https",
        &proxy_host,
        trust,
    )
    .await?;
    if !secure {
        return Ok(Connection {
            stream,
            route: Route::Proxy {
                authorization: proxy.basic_auth().cloned(),
            },
        });
    }
    tunnel(&mut stream, &host, port, proxy.basic_auth()).await?;
    Ok(Connection {
        stream: encrypted(stream, true, &host, trust).await?,
        route: Route::Straight,
    })
}

/// Host and port; a name that is an IPv6 address without its brackets.
fn place(url: &Url) -> Option<(String, u16)> {
    let host = url
        .host_str()?
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    Some((host, url.port_or_known_default()?))
}

async fn tunnel(
    stream: &mut Box<dyn Stream>,
    host: &str,
    port: u16,
    authorization: Option<&http::HeaderValue>,
) -> io::Result<()> {
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let mut head =
        format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        head.extend([b"Proxy-Authorization: ", authorization.as_bytes(), b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    stream.write_all(&head).await?;
    let mut answer = Vec::new();
    // Byte by byte: what comes after belongs to the server.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == PROXY_ANSWER {
            return Err(io::Error::other("its proxy says too much"));
        }
        answer.push(stream.read_u8().await?);
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(&answer).map_err(io::Error::other)?;
    match response.code {
        Some(200..=299) => Ok(()),
        code => Err(io::Error::other(format!(
            "its proxy refuses with status {}",
            code.unwrap_or_default()
        ))),
    }
}

async fn encrypted(
    stream: Box<dyn Stream>,
    secure: bool,
    host: &str,
    trust: &Trust,
) -> io::Result<Box<dyn Stream>> {
    if !secure {
        return Ok(stream);
    }
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(configuration(trust)?);
    Ok(Box::new(connector.connect(name, stream).await?))
}

/// Certificates are read once, and only when somebody is asked over https.
fn configuration(trust: &Trust) -> io::Result<Arc<ClientConfig>> {
    static KNOWN: OnceLock<Mutex<HashMap<Trust, Arc<ClientConfig>>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    // Nothing that could panic happens while it is locked.
    if let Some(known) = known
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(trust)
    {
        return Ok(known.clone());
    }
    let made = Arc::new(trust.configuration().map_err(io::Error::other)?);
    known
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(trust.clone(), made.clone());
    Ok(made)
}
