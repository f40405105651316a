//! An HTTP server on loopback that answers what its paths say, byte for byte. Knows no case.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::{Map, Value, json};

/// `{"compressed": true}`.
const GZIP: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 74, 206, 207, 45, 40, 74, 45, 46, 78, 77, 81, 178,
    82, 40, 41, 42, 77, 173, 5, 0, 189, 165, 44, 45, 20, 0, 0, 0,
];

/// A server that answers until this process ends.
pub(crate) struct Server {
    address: SocketAddr,
    files: Arc<Mutex<PathBuf>>,
}

/// A request, as it came.
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer, as it goes.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let files = Arc::new(Mutex::new(PathBuf::new()));
        let of_thread = Arc::clone(&files);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let files = Arc::clone(&of_thread);
                // A client that goes away is a case like any other.
                thread::spawn(move || serve(stream, &files).ok());
            }
        });
        Self { address, files }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, `/files/` is this directory.
    pub(crate) fn serve_files(&self, directory: &Path) {
        directory.clone_into(&mut self.files.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn serve(mut stream: TcpStream, files: &Mutex<PathBuf>) -> std::io::Result<()> {
    let Some(request) = read(&stream)? else {
        return Ok(());
    };
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let (first, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let answer = match first {
        "status" => text(rest.parse().unwrap_or(500), &format!("status {rest}\n")),
        "json" => typed(
            "application/json",
            r#"{"name": "Ada", "list": [1, 2.5, null, true], "deep": {"é": "ü"}}"#,
        ),
        "json-with-charset" => typed("application/json; charset=utf-8", r#"{"name": "Ada"}"#),
        "json-broken" => typed("application/json", "{\"name\": "),
        "json-number" => typed("application/json", "42"),
        "number" => text(200, "42"),
        "echo" => typed("application/json", &echo(&request).to_string()),
        "agent" => text(200, request.header("user-agent").unwrap_or_default()),
        "accepts" => text(200, request.header("accept").unwrap_or_default()),
        "redirect" => Answer {
            headers: vec![("Location", query.to_owned())],
            ..text(rest.parse().unwrap_or(302), "elsewhere\n")
        },
        "loop" => Answer {
            headers: vec![("Location", "/loop".to_owned())],
            ..text(302, "again\n")
        },
        "headers" => Answer {
            headers: vec![
                ("X-Mixed-Case", "one".to_owned()),
                ("x-lower-case", "two".to_owned()),
                ("Set-Cookie", "a=1".to_owned()),
                ("Set-Cookie", "b=2".to_owned()),
                ("Content-Type", "text/plain".to_owned()),
            ],
            ..text(200, "headers\n")
        },
        "empty" => Answer {
            status: 204,
            headers: Vec::new(),
            body: Vec::new(),
        },
        "latin" => Answer {
            body: b"caf\xe9\n".to_vec(),
            ..typed("text/plain; charset=iso-8859-1", "")
        },
        "latin-by-default" => Answer {
            body: "café\n".into(),
            ..typed("text/plain", "")
        },
        "utf8" => typed("text/plain; charset=utf-8", "café ☕\n"),
        "gzip" => Answer {
            headers: vec![
                ("Content-Type", "application/json".to_owned()),
                ("Content-Encoding", "gzip".to_owned()),
            ],
            body: GZIP.to_vec(),
            ..text(200, "")
        },
        "large" => text(200, &"0123456789abcdef".repeat(1 << 16)),
        "v1" => vault(rest, &request),
        "close" => return Ok(()),
        "notes" => {
            let directory = files.lock().unwrap_or_else(PoisonError::into_inner);
            note(&request, &directory.join("notes"))?;
            text(rest.parse().unwrap_or(200), "noted\n")
        }
        "silence" => {
            if !rest.is_empty() {
                let files = files.lock().unwrap_or_else(PoisonError::into_inner);
                fs::write(files.join(rest), "")?;
            }
            // Until the client has enough of it.
            return stream.read(&mut [0]).map(drop);
        }
        "files"
            if query == "authorized"
                && request.header("authorization") != Some("bearer letmein") =>
        {
            text(401, "who is it?\n")
        }
        "files" => file(
            &files.lock().unwrap_or_else(PoisonError::into_inner),
            rest,
            query,
        ),
        _ => text(404, "nothing is here\n"),
    };
    stream.write_all(&answer.bytes(request.method == "HEAD"))
}

fn read(stream: &TcpStream) -> std::io::Result<Option<Request>> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method,
        target,
        headers,
        body: Vec::new(),
    };
    let length = request
        .header("content-length")
        .and_then(|text| text.parse().ok());
    request.body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

/// What came, without what each client library says of itself.
fn echo(request: &Request) -> Value {
    let of_the_library = [
        "user-agent",
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
    ];
    let mut headers: Vec<_> = request.headers.iter().collect();
    headers.retain(|(name, _)| !of_the_library.contains(&name.as_str()));
    headers.sort();
    let headers: Map<String, Value> = headers
        .into_iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    json!({
        "method": request.method,
        "target": request.target,
        "headers": headers,
        "body": String::from_utf8_lossy(&request.body),
    })
}

/// Adds what came to a file: without the time, and of a journal what became of the run.
fn note(request: &Request, file: &Path) -> std::io::Result<()> {
    let mut came = echo(request);
    let body = String::from_utf8_lossy(&request.body);
    if let Ok(mut message) = serde_json::from_str::<Value>(&body) {
        let is_time = message["ts"].is_f64() && message["ts"].as_f64() > Some(1.7e9);
        message["ts"] = json!(is_time);
        let payload = &message["payload"];
        if payload.get("steady_states").is_some() {
            let keys = payload.as_object().into_iter().flat_map(Map::keys);
            let keys: Vec<&String> = keys.filter(|key| !key.starts_with("chaosctl")).collect();
            message["payload"] = json!([payload["status"], payload["deviated"], keys]);
        }
        came["body"] = message;
    }
    let mut file = fs::File::options().create(true).append(true).open(file)?;
    writeln!(file, "{came}")
}

/// What a vault answers: of its second version below `secret`, of its first below `old`.
fn vault(path: &str, request: &Request) -> Answer {
    let entry = json!({"password": "vault-password", "login": "vault-login"});
    let data = match path {
        "secret/data/foo/bar" => json!({ "data": entry, "metadata": {"version": 1} }),
        "old/foo/bar" => entry,
        _ => return text(404, r#"{"errors": []}"#),
    };
    if request.header("x-vault-token") != Some("root") {
        return text(403, r#"{"errors": ["permission denied"]}"#);
    }
    typed("application/json", &json!({ "data": data }).to_string())
}

/// A file of the directory, typed as its name says, or as the query does.
fn file(directory: &Path, name: &str, query: &str) -> Answer {
    let kind = match (
        query,
        Path::new(name).extension().and_then(|end| end.to_str()),
    ) {
        ("plain", _) => "text/plain",
        ("html", _) => "text/html",
        (_, Some("json")) => "application/json",
        _ => "application/x-yaml",
    };
    fs::read_to_string(directory.join(name)).map_or_else(
        |_| text(404, "nothing is here\n"),
        |content| typed(kind, &content),
    )
}

fn text(status: u16, body: &str) -> Answer {
    Answer {
        status,
        ..typed("text/plain; charset=utf-8", body)
    }
}

fn typed(kind: &str, body: &str) -> Answer {
    Answer {
        status: 200,
        headers: vec![("Content-Type", kind.to_owned())],
        body: body.as_bytes().to_vec(),
    }
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Answer {
    fn bytes(&self, head_only: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Status\r\n", self.status);
        for (name, value) in &self.headers {
            let _infallible = write!(head, "{name}: {value}\r\n");
        }
        if self.status != 204 {
            let _infallible = write!(head, "Content-Length: {}\r\n", self.body.len());
        }
        head += "Connection: close\r\n\r\n";
        let mut bytes = head.into_bytes();
        if !head_only {
            bytes.extend(&self.body);
        }
        bytes
    }
}
