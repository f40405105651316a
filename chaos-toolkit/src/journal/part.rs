//! The journal of a run that goes on: one JSON object a line, so that what is there after a `kill -9` can be read.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;

use super::WriteError;
use super::record::lock;

/// Where the journal of a run that goes on is kept.
pub fn part_path(journal: &Path) -> PathBuf {
    let mut path = journal.as_os_str().to_owned();
    path.push(".part");
    path.into()
}

/// The file, open.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    file: Mutex<File>,
}

impl Part {
    /// Creates it; none beside what is no file, such as a pipe or a device. What a run that was killed left is kept: it is
    /// all that there is of that run.
    pub(crate) fn create(journal: &Path) -> Result<Option<Self>, WriteError> {
        if fs::metadata(journal).is_ok_and(|data| !data.is_file()) {
            return Ok(None);
        }
        let path = part_path(journal);
        if fs::metadata(&path).is_ok_and(|data| data.is_file() && data.len() > 0) {
            keep(&path).map_err(|source| WriteError {
                path: path.clone(),
                source,
            })?;
        }
        let file = File::create(&path).map_err(|source| WriteError {
            path: path.clone(),
            source,
        })?;
        let file = Mutex::new(file);
        Ok(Some(Self { path, file }))
    }

    /// Adds a line. One that cannot be written ends no experiment: on a full disk the journal cannot be written either, and
    /// that is said.
    pub(crate) fn add(&self, line: &Value) {
        let Ok(mut text) = serde_json::to_vec(line) else {
            return;
        };
        text.push(b'\n');
        // In one call, so that only the last line can ever be torn.
        let _ = lock(&self.file).write_all(&text);
    }

    /// The journal is whole now.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Puts it aside, under the first name that nobody has.
fn keep(path: &Path) -> io::Result<()> {
    let mut old = path.as_os_str().to_owned();
    old.push(".old");
    let mut kept = PathBuf::from(&old);
    let mut count = 1;
    while kept.symlink_metadata().is_ok() {
        count += 1;
        let mut numbered = old.clone();
        numbered.push(format!(".{count}"));
        kept = numbered.into();
    }
    fs::rename(path, kept)
}
