//! The file of a report: that it can be written is known before there is one.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{CommandError, ErrorKind};

/// A report that is yet to be written.
#[derive(Debug)]
pub(super) struct ReportFile {
    path: PathBuf,
    file: File,
    is_new: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write the report {}: {source}", path.display())]
struct ReportError {
    path: PathBuf,
    source: io::Error,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> CommandError {
    let path = path.to_owned();
    move |source| CommandError::new(ErrorKind::Failed, ReportError { path, source })
}

impl ReportFile {
    /// Leaves what is in it until there is something else.
    pub(super) fn open(path: &Path) -> Result<Self, CommandError> {
        let mut options = OpenOptions::new();
        options.write(true);
        let (opened, is_new) = match options.clone().create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                (options.open(path), false)
            }
            opened => (opened, true),
        };
        Ok(Self {
            path: path.to_owned(),
            file: opened.map_err(failed(path)).map_err(|error| CommandError {
                kind: ErrorKind::Usage,
                ..error
            })?,
            is_new,
        })
    }

    /// Writes it.
    pub(super) fn write(mut self, page: impl AsRef<[u8]>) -> Result<(), CommandError> {
        let mut write = || {
            // A pipe or a terminal has nothing that could be left over.
            if self.file.metadata()?.is_file() {
                self.file.set_len(0)?;
            }
            self.file.write_all(page.as_ref())
        };
        write().map_err(failed(&self.path))
    }

    /// There is nothing to report.
    pub(super) fn discard(self) {
        if self.is_new {
            let _ = std::fs::remove_file(self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_stays_until_it_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.html");
        ReportFile::open(&path).unwrap().discard();
        assert!(!path.exists());
        std::fs::write(&path, "a longer one of yesterday").unwrap();
        ReportFile::open(&path).unwrap().discard();
        let read = || std::fs::read_to_string(&path).unwrap();
        assert_eq!(read(), "a longer one of yesterday");
        ReportFile::open(&path).unwrap().write("today").unwrap();
        assert_eq!(read(), "today");
        let error = ReportFile::open(directory.path()).unwrap_err();
        let sentence = error.source.to_string();
        assert!(
            sentence.starts_with("cannot write the report /"),
            "{sentence}"
        );
    }
}
