//! What a case is: a file, and what its extension named `conformance` says about how it is run. Runs nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde::Deserialize;

/// An experiment that both programs play.
pub(crate) struct Case {
    /// `subject/name`.
    pub(crate) name: String,
    /// Its file's name.
    pub(crate) file: String,
    /// What the file says.
    pub(crate) text: Vec<u8>,
    /// How it is run.
    pub(crate) how: How,
}

/// How a case is run: the content of its extension `conformance`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct How {
    #[expect(dead_code, reason = "says which extension it is")]
    name: String,
    /// What the case is about, where its title is not enough.
    #[serde(default)]
    #[expect(dead_code, reason = "for whoever reads the file")]
    about: String,
    /// Arguments of `run`, before the source.
    #[serde(default)]
    pub(crate) options: Vec<String>,
    /// What is given as the source instead of the file's name; `{server}` is the address of the HTTP server.
    #[serde(default)]
    pub(crate) source: Option<String>,
    /// Under which name the experiment stands in the directory; its own unless told.
    #[serde(default)]
    pub(crate) stands_as: Option<String>,
    /// Environment variables.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Other files of the directory; `<server>` is the address of the HTTP server. HOME is the directory, too.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// Signals, one after the other.
    #[serde(default)]
    pub(crate) signals: Vec<SignalWhen>,
    /// Threads race here: runs are compared in the order of their names.
    #[serde(default)]
    pub(crate) any_order: bool,
    /// How often the hypothesis is looked at depends on time here: of equal neighbours, one is compared.
    #[serde(default)]
    pub(crate) repeats: bool,
}

/// A signal, sent once something was seen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignalWhen {
    pub(crate) send: SignalName,
    pub(crate) when: When,
}

/// What a signal waits for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum When {
    /// The directory has this file.
    File(String),
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) enum SignalName {
    #[serde(rename = "SIGINT")]
    Int,
    #[serde(rename = "SIGTERM")]
    Term,
    #[serde(rename = "SIGUSR1")]
    Usr1,
    #[serde(rename = "SIGUSR2")]
    Usr2,
}

impl From<SignalName> for Signal {
    fn from(name: SignalName) -> Self {
        match name {
            SignalName::Int => Self::SIGINT,
            SignalName::Term => Self::SIGTERM,
            SignalName::Usr1 => Self::SIGUSR1,
            SignalName::Usr2 => Self::SIGUSR2,
        }
    }
}

/// The part of an experiment that is looked at here.
#[derive(Deserialize)]
struct Outline {
    extensions: Vec<serde_json::Value>,
}

/// Where cases are.
pub(crate) fn directory() -> PathBuf {
    here().join("cases")
}

/// Where this suite is.
pub(crate) fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

impl Case {
    /// The case of this name: the only file of its name, whatever its format.
    pub(crate) fn read(subject: &str, name: &str) -> Self {
        let directory = directory().join(subject);
        let mut found = fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_stem().is_some_and(|stem| stem == name));
        let path = found
            .next()
            .unwrap_or_else(|| panic!("{} has no case {name}", directory.display()));
        assert_eq!(found.next(), None, "a second file of the same name");
        let text = fs::read(&path).unwrap();
        Self {
            name: format!("{subject}/{name}"),
            file: path.file_name().unwrap().to_string_lossy().into_owned(),
            how: how(&String::from_utf8_lossy(&text)),
            text,
        }
    }
}

/// What the extension says; a file that has none, or that nobody could read, is run without options.
fn how(text: &str) -> How {
    if !text.contains("conformance") {
        return How::default();
    }
    // JSON is YAML.
    let outline: Outline = serde_saphyr::from_str(text).unwrap();
    let is_ours = |extension: &serde_json::Value| extension["name"] == "conformance";
    let ours = outline.extensions.into_iter().find(is_ours).unwrap();
    serde_json::from_value(ours).unwrap()
}
