//! Where an experiment comes from: a file, or an address. Knows how to ask for it, not what it must be.

mod fetch;

use std::path::Path;

use futures::future::BoxFuture;

use crate::document::{Document, Format};
use crate::problem::Problem;
use crate::settings::Settings;

pub use fetch::Http;

/// The variable of the environment with a token for addresses; it comes before the settings.
pub const TOKEN: &str = "CHAOSTOOLKIT_LOADER_AUTH_BEARER_TOKEN";

/// What servers say of files of which they know no more than that they are files.
const ANYTHING: &str = "application/octet-stream";

/// Asks a server for something, and follows where it points to.
pub trait Fetch: Send + Sync {
    /// One GET request; an error is a sentence.
    fn get<'a>(
        &'a self,
        url: &'a str,
        headers: &'a [(&'static str, String)],
        verify_tls: bool,
    ) -> BoxFuture<'a, Result<Answer, String>>;
}

/// What a server says.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header `Content-Type`.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// How to load.
#[derive(Clone, Copy)]
pub struct Loading<'a> {
    /// The user's settings, whose `auths` name who may ask.
    pub settings: Option<&'a Settings>,
    /// Whether certificates are looked at.
    pub verify_tls: bool,
    /// Who asks.
    pub fetch: &'a dyn Fetch,
}

/// Loads what the user names: a file if there is one of that name, else an address.
pub async fn load(source: &str, how: Loading<'_>) -> Result<Document, Problem> {
    if Path::new(source).exists() {
        return file(source);
    }
    match scheme(source).as_deref() {
        None => Err(problem(source, "there is no such file")),
        Some("http" | "https") => address(source, how).await,
        Some(scheme) => Err(Problem {
            instead: Some("give a file, or an address of http or https".to_owned()),
            ..problem(source, format!("`{scheme}:` is not asked for experiments"))
        }),
    }
}

/// Loads a file.
pub fn file(source: &str) -> Result<Document, Problem> {
    // Before its extension: a directory has none to be given.
    if Path::new(source).is_dir() {
        return Err(Problem {
            instead: Some("name the file of the experiment in it".to_owned()),
            ..problem(source, "this is a directory, and no file")
        });
    }
    let format = written(Path::new(source)).ok_or_else(|| Problem {
        instead: Some("give it the extension that says how it is written".to_owned()),
        ..problem(source, "an experiment is a file in .json, .yaml or .yml")
    })?;
    let bytes = std::fs::read(source)
        .map_err(|error| problem(source, format!("the file cannot be read: {error}")))?;
    Document::read_bytes(source, &bytes, format)
}

fn problem(source: &str, what: impl Into<String>) -> Problem {
    Problem {
        source: source.to_owned(),
        place: None,
        pointer: String::new(),
        what: what.into(),
        instead: None,
    }
}

/// What comes before the colon of an address, in small letters.
fn scheme(source: &str) -> Option<String> {
    let (scheme, _) = source.split_once(':')?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let is_scheme =
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_part);
    is_scheme.then(|| scheme.to_ascii_lowercase())
}

/// The server in an address, with its port if that is written.
fn server(url: &str) -> &str {
    let rest = url.split_once("//").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

async fn address(url: &str, how: Loading<'_>) -> Result<Document, Problem> {
    let accept = "application/json, application/yaml, application/x-yaml".to_owned();
    let mut headers = vec![("Accept", accept)];
    let token = std::env::var(TOKEN).unwrap_or_default();
    if !token.is_empty() {
        headers.push(("Authorization", format!("bearer {}", token.trim())));
    } else if let Some(settings) = how.settings
        && let Some(authorization) = settings.authorization(server(url))
    {
        headers.push(("Authorization", authorization));
    }
    let answer = how.fetch.get(url, &headers, how.verify_tls).await;
    let answer =
        answer.map_err(|said| problem(url, format!("the server was not reached: {said}")))?;
    if answer.status != 200 {
        let status = answer.status;
        let said = said(&answer).map_or_else(String::new, |said| format!(": {said}"));
        return Err(problem(url, format!("the server answered {status}{said}")));
    }
    answered(url, &answer)
}

/// What a server says of why it does not give something, in one line; a page that is meant for a browser says nothing here.
fn said(answer: &Answer) -> Option<String> {
    let body = String::from_utf8_lossy(&answer.body);
    if body.trim_start().starts_with('<') {
        return None;
    }
    let words: Vec<_> = body.split_whitespace().collect();
    let line: String = words.join(" ").chars().take(200).collect();
    Some(line).filter(|line| !line.is_empty())
}

fn answered(url: &str, answer: &Answer) -> Result<Document, Problem> {
    let content_type = answer.content_type.as_deref().unwrap_or_default();
    let is = |kind: &str| content_type.contains(kind);
    let read = |format| Document::read_bytes(url, &answer.body, format);
    if is("application/json") {
        read(Format::Json)
    } else if is("yaml") {
        read(Format::Yaml)
    } else if is("text/plain") {
        read(Format::Json).or_else(|_| read(Format::Yaml))
    } else if let Some(format) = written(path(url))
        && (content_type.is_empty() || is(ANYTHING))
    {
        read(format)
    } else {
        let said = match content_type {
            "" => "the server does not say what it sent".to_owned(),
            other => format!("the server sent `{other}`"),
        };
        Err(Problem {
            instead: Some(
                "have it say application/json, application/yaml or text/plain, or give the address of a .json, .yaml or .yml"
                    .to_owned(),
            ),
            ..problem(url, said)
        })
    }
}

/// How a file is written, by its extension.
fn written(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "json" => Some(Format::Json),
        "yaml" | "yml" => Some(Format::Yaml),
        _ => None,
    }
}

/// The path in an address.
fn path(url: &str) -> &Path {
    Path::new(url.split(['?', '#']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;

    /// Address, headers, whether certificates were to be looked at.
    type Asked = (String, Vec<(&'static str, String)>, bool);

    /// A server that takes note of what it was asked.
    #[derive(Default)]
    struct Server {
        answer: Answer,
        asked: Mutex<Vec<Asked>>,
    }

    impl Fetch for Server {
        fn get<'a>(
            &'a self,
            url: &'a str,
            headers: &'a [(&'static str, String)],
            verify_tls: bool,
        ) -> BoxFuture<'a, Result<Answer, String>> {
            let asked = (url.to_owned(), headers.to_vec(), verify_tls);
            self.asked.lock().unwrap().push(asked);
            Box::pin(async { Ok(self.answer.clone()) })
        }
    }

    fn says(content_type: &str, body: &str) -> Server {
        let content_type = (!content_type.is_empty()).then(|| content_type.to_owned());
        let answer = Answer {
            status: 200,
            content_type,
            body: body.into(),
        };
        Server {
            answer,
            ..Server::default()
        }
    }

    async fn load_from(
        server: &Server,
        url: &str,
        settings: Option<&Settings>,
    ) -> Result<Document, Problem> {
        let how = Loading {
            settings,
            verify_tls: false,
            fetch: server,
        };
        load(url, how).await
    }

    #[tokio::test]
    async fn the_extension_says_how_a_file_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        assert_eq!(
            file(&path("a.yaml", "a: 1")).unwrap().value,
            json!({"a": 1})
        );
        assert_eq!(file(&path("a.yml", "a: 1")).unwrap().value, json!({"a": 1}));
        assert_eq!(file(&path("a.json", "[1]")).unwrap().value, json!([1]));
        let what = |source: &str| file(source).unwrap_err().to_string();
        let txt = path("a.txt", "a: 1");
        assert_eq!(
            what(&txt),
            format!(
                "{txt}: an experiment is a file in .json, .yaml or .yml; give it the extension that says how it is written"
            )
        );
        assert!(what(&path("A.YAML", "a: 1")).contains(".json, .yaml or .yml"));
        let bad = path("bad.yaml", "");
        std::fs::write(&bad, b"a: \xc3\xa9\nb: \xff").unwrap();
        assert_eq!(
            what(&bad),
            format!("{bad}:2:4: this is not UTF-8; save the file as UTF-8")
        );
        let folder = directory.path().join("d.json");
        std::fs::create_dir(&folder).unwrap();
        for folder in [folder.as_path(), directory.path()] {
            let folder = folder.to_str().unwrap();
            assert_eq!(
                what(folder),
                format!(
                    "{folder}: this is a directory, and no file; name the file of the experiment in it"
                )
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_file_is_an_address() {
        let server = says("application/json; charset=utf-8", "{\"a\": 1}");
        let loaded = load_from(&server, "http://h:81/x?y", None).await;
        assert_eq!(loaded.unwrap().value, json!({"a": 1}));
        let asked = server.asked.lock().unwrap().pop();
        let accept = (
            "Accept",
            "application/json, application/yaml, application/x-yaml".to_owned(),
        );
        assert_eq!(
            asked,
            Some(("http://h:81/x?y".to_owned(), vec![accept], false))
        );

        let said = |loaded: Result<Document, Problem>| loaded.unwrap_err().to_string();
        let none = said(load_from(&server, "/no/such.json", None).await);
        assert_eq!(none, "/no/such.json: there is no such file");
        let ftp = said(load_from(&server, "ftp://h/x.json", None).await);
        assert_eq!(
            ftp,
            "ftp://h/x.json: `ftp:` is not asked for experiments; give a file, or an address of http or https"
        );
        assert!(server.asked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_content_type_says_how_an_answer_is_written() {
        for (kind, body) in [
            ("application/x-yaml", "a: yes"),
            ("application/yaml", "a: yes"),
            ("text/yaml; charset=utf-8", "a: yes"),
            ("text/plain", "a: yes"),
            ("text/plain", "{\"a\": true}"),
        ] {
            let loaded = load_from(&says(kind, body), "https://h/x", None).await;
            assert_eq!(loaded.unwrap().value, json!({"a": true}), "{kind}");
        }
        for (kind, url, body) in [
            ("", "https://h/x.yaml", "a: yes"),
            (ANYTHING, "https://h/x.yml?raw=true", "a: yes"),
            (ANYTHING, "https://h/x.json#here", "{\"a\": true}"),
        ] {
            let loaded = load_from(&says(kind, body), url, None).await;
            assert_eq!(loaded.unwrap().value, json!({"a": true}), "{kind} {url}");
        }
        for (kind, said) in [
            ("", "the server does not say what it sent"),
            (ANYTHING, "the server sent `application/octet-stream`"),
            ("text/html", "the server sent `text/html`"),
        ] {
            let problem = load_from(&says(kind, "a: 1"), "https://h/x", None).await;
            let problem = problem.unwrap_err().to_string();
            assert!(problem.contains(said), "{problem}");
        }
        for (body, expected) in [
            ("no such\nthing\n", "the server answered 404: no such thing"),
            ("", "the server answered 404"),
            (
                "<!DOCTYPE HTML>\n<html>none</html>\n",
                "the server answered 404",
            ),
        ] {
            let mut server = says("text/plain", body);
            server.answer.status = 404;
            let problem = load_from(&server, "https://h/x", None).await.unwrap_err();
            assert_eq!(problem.to_string(), format!("https://h/x: {expected}"));
        }
    }

    #[tokio::test]
    async fn the_settings_say_who_asks() {
        let auths =
            "auths: {h: {type: basic, value: XYZ}, 'h:81': {type: digest, value: 5}, other: 7}";
        let settings = Settings::read("s", auths).unwrap();
        for (url, expected) in [
            ("http://h/x", Some("basic XYZ")),
            ("http://h:81/x", Some("digest 5")),
            ("http://h:82/x", None),
            ("http://other/x", None),
        ] {
            let server = says("text/plain", "a: 1");
            load_from(&server, url, Some(&settings)).await.unwrap();
            let (_, headers, _) = server.asked.lock().unwrap().pop().unwrap();
            let given = headers.iter().find(|(name, _)| *name == "Authorization");
            let given = given.map(|(_, value)| value.as_str());
            assert_eq!(given, expected, "{url}");
        }
    }
}
