//! The files in `tests/recorded/`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use hyper::Method;
use serde_json::Value;

/// One request, and what was answered.
pub(super) struct Recorded {
    pub(super) name: String,
    pub(super) method: Method,
    pub(super) uri: String,
    pub(super) body: String,
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) answer: Vec<u8>,
}

impl Recorded {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)?;
        let mut lines = text.lines();
        let (method, uri) = lines
            .next()
            .and_then(|line| line.split_once(' '))
            .context("a request line")?;
        let mut line = lines.next().context("a status line")?;
        let body = line.strip_prefix("request-body: ").unwrap_or_default();
        if !body.is_empty() {
            line = lines.next().context("a status line")?;
        }
        let headers = lines.filter_map(|line| line.split_once(": "));
        let answer = ["json", "ndjson"]
            .iter()
            .find_map(|extension| fs::read(path.with_extension(extension)).ok());
        Ok(Self {
            name: path
                .file_stem()
                .context("a name")?
                .to_string_lossy()
                .into_owned(),
            method: method.parse()?,
            uri: uri.to_owned(),
            body: body.to_owned(),
            status: line.split(' ').next().context("a status")?.parse()?,
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            answer: answer.context("a body")?,
        })
    }

    pub(super) fn is_watch(&self) -> bool {
        self.uri.contains("watch=1")
    }

    /// The lines of a watch.
    pub(super) fn events(&self) -> Result<Vec<Value>> {
        let lines = self
            .answer
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty());
        lines
            .map(|line| Ok(serde_json::from_slice(line)?))
            .collect()
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded")
}

/// A recorded body.
pub(super) fn body(name: &str) -> Result<Value> {
    let path = directory().join(format!("{name}.json"));
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// All recorded requests.
pub(super) fn recorded() -> Result<Vec<Recorded>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory())? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "http")
        {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .iter()
        .map(|path| Recorded::read(path).with_context(|| format!("read {}", path.display())))
        .collect()
}
