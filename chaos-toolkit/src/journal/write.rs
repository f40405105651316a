//! The journal as a file.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// A journal that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the journal to {}: {source}", path.display())]
pub struct WriteError {
    /// Where to.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// Writes the journal as the reference does, whole or not at all.
pub fn write(path: &Path, journal: &Map<String, Value>) -> Result<(), WriteError> {
    let written = save(path, |file| {
        serde_json::to_writer_pretty(file, journal).map_err(io::Error::from)
    });
    written.map_err(|source| WriteError {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file, whole or not at all; what cannot be replaced, such as a pipe or a device, is written to.
pub fn save(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|data| !data.is_file()) {
        let file = File::options().write(true).open(path)?;
        return filled(file, content).map(drop);
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let written = File::create(&beside)
        .and_then(|file| filled(file, content))
        .and_then(|file| file.sync_data())
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn filled(
    file: File,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<File> {
    let mut file = BufWriter::new(file);
    content(&mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_two_deep_and_not_escaped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.json");
        let journal = json!({"title": "Überfluß", "run": [], "a": {"b": 1.0}});
        write(&path, journal.as_object().unwrap()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "{\n  \"title\": \"Überfluß\",\n  \"run\": [],\n  \"a\": {\n    \"b\": 1.0\n  }\n}"
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_is_refused_in_one_sentence() {
        let directory = tempfile::tempdir().unwrap();
        let error = write(directory.path(), &Map::new()).unwrap_err();
        assert!(error.to_string().starts_with("cannot write the journal to"));
    }
}
