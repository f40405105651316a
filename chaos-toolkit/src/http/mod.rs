//! Requests over HTTP/1.1, as `requests` of Python makes them: one connection each, redirects followed, proxies of the
//! environment, and names of headers as the server writes them. Knows nothing of experiments.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use url::Url;

use crate::tls::Trust;
use crate::variables::Environment;

mod connect;
mod content;
mod exchange;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use content::text;

/// As many as `requests` follows.
const REDIRECTS: usize = 30;

/// Who this is, unless the caller says otherwise.
const AGENT: &str = concat!("chaosctl/", env!("CARGO_PKG_VERSION"));

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// Names and values; those that every request has are added unless they are here.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Bytes>,
    /// To be connected.
    pub(crate) connect_timeout: Option<Duration>,
    /// Between two things that are heard of the server.
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) trust: Trust,
    /// How often to try again where there was no answer.
    pub(crate) retries: u64,
}

impl Request {
    /// One with nothing special about it.
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            body: None,
            connect_timeout: None,
            read_timeout: None,
            trust: Trust::System,
            retries: 0,
        }
    }

    /// The first header of this name, whatever its case.
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn remove(&mut self, name: &str) {
        self.headers
            .retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    }
}

/// What was answered.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// As the server writes them, each name once: more values are joined with a comma.
    pub(crate) headers: Vec<(String, String)>,
    /// Without its content encoding.
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of a header, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// No connection, or none that lasted until an answer began.
    #[error("failed to connect to {url}: {why}")]
    Connect {
        /// The address, as it was asked for.
        url: String,
        /// What went wrong.
        why: String,
        /// Whether the server had been reached.
        reached: bool,
    },
    /// The server was silent for too long.
    #[error("no answer came from {url} in time")]
    Timeout {
        /// The address.
        url: String,
    },
    /// Going on and on.
    #[error("{url} leads to more than {REDIRECTS} other places")]
    Redirects {
        /// The address that was asked first.
        url: String,
    },
    /// An answer, but not a whole one.
    #[error("the answer of {url} cannot be read: {why}")]
    Answer {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// No address that could be asked.
    #[error("{url} cannot be asked: {why}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Asks, and reads the whole answer. Dropped before, the connection is closed.
pub(crate) async fn send(
    mut request: Request,
    environment: &Environment,
) -> Result<Response, HttpError> {
    let first = request.url.to_string();
    if request.trust == Trust::System {
        let file = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]
            .iter()
            .find_map(|name| environment.get(name));
        if let Some(file) = file.filter(|file| !file.is_empty()) {
            request.trust = Trust::File(file.into());
        }
    }
    complete(&mut request);
    let proxies = connect::proxies(environment);
    for _ in 0..=REDIRECTS {
        let response = retried(&request, &proxies).await?;
        match redirected(&request, &response)? {
            None => return content::decoded(response, &request.url),
            Some(next) => request = next,
        }
    }
    Err(HttpError::Redirects { url: first })
}

/// Adds what every request has. A name and a password in the address are for the server alone.
fn complete(request: &mut Request) {
    for (name, value) in [
        ("User-Agent", AGENT),
        ("Accept-Encoding", "gzip, deflate"),
        ("Accept", "*/*"),
    ] {
        if request.header(name).is_none() {
            request.headers.push((name.to_owned(), value.to_owned()));
        }
    }
    authorize(request);
}

fn authorize(request: &mut Request) {
    use base64::Engine as _;
    let decoded = |text: &str| {
        // A form's `+` is none here.
        let text = text.replace('+', "%2B");
        form_urlencoded::parse(text.as_bytes())
            .next()
            .map(|(name, _)| name.into_owned())
            .unwrap_or_default()
    };
    if !request.url.username().is_empty() {
        let pair = format!(
            "{}:{}",
            decoded(request.url.username()),
            decoded(request.url.password().unwrap_or_default())
        );
        request.remove("Authorization");
        let value = format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(pair)
        );
        request.headers.push(("Authorization".to_owned(), value));
    }
}

/// Tries again where a connection could not be had; and where one broke, if asking twice does no harm.
async fn retried(request: &Request, proxies: &connect::Proxies) -> Result<Response, HttpError> {
    let mut left = request.retries;
    loop {
        let failed = match exchange::ask(request, proxies).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        let again = match &failed {
            HttpError::Connect { reached: false, .. } => true,
            HttpError::Connect { .. } | HttpError::Timeout { .. } => request.method.is_idempotent(),
            HttpError::Redirects { .. } | HttpError::Answer { .. } | HttpError::Address { .. } => {
                false
            }
        };
        if left == 0 || !again {
            return Err(failed);
        }
        left -= 1;
    }
}

/// Where the server sends one on to; what is asked there is what `requests` asks.
fn redirected(request: &Request, response: &Response) -> Result<Option<Request>, HttpError> {
    let Some(location) = response
        .header("Location")
        .filter(|_| matches!(response.status, 301 | 302 | 303 | 307 | 308))
    else {
        return Ok(None);
    };
    // Headers come as Latin-1; what was meant is UTF-8, if it is.
    let bytes: Option<Vec<u8>> = location
        .chars()
        .map(|character| u8::try_from(character).ok())
        .collect();
    let location = bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| location.to_owned());
    let wrong = |why: String| HttpError::Address {
        url: location.clone(),
        why,
    };
    let mut url = request
        .url
        .join(&location)
        .map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(
            "a redirect leads there, and it is neither http nor https".to_owned(),
        ));
    }
    if url.fragment().is_none() {
        url.set_fragment(request.url.fragment());
    }
    let mut next = request.clone();
    let other = match response.status {
        302 | 303 => request.method != Method::HEAD,
        301 => request.method == Method::POST,
        _ => false,
    };
    if other {
        next.method = Method::GET;
    }
    if !matches!(response.status, 307 | 308) {
        next.body = None;
        for name in ["Content-Length", "Content-Type", "Transfer-Encoding"] {
            next.remove(name);
        }
    }
    if !trusted_alike(&request.url, &url) {
        next.remove("Authorization");
    }
    next.remove("Host");
    next.url = url;
    authorize(&mut next);
    Ok(Some(next))
}

/// The same host, with the same port and scheme or the usual change from http to https.
fn trusted_alike(from: &Url, to: &Url) -> bool {
    let ports = (from.port_or_known_default(), to.port_or_known_default());
    let secured =
        from.scheme() == "http" && to.scheme() == "https" && ports == (Some(80), Some(443));
    from.host_str() == to.host_str()
        && (secured || (from.scheme() == to.scheme() && ports.0 == ports.1))
}
