//! Where files that an experiment names are looked for, if anywhere.

use std::path::{Path, PathBuf};

/// Where files that an experiment names are looked for.
#[derive(Debug, Clone, Copy)]
pub enum Base<'a> {
    /// From this directory; from the process's, where it is empty.
    Directory(&'a Path),
    /// Nowhere: who asks is not who may read them.
    Nowhere,
}

/// A file that is not read, because another program asks and would be told what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` would be a file, and none is read for a request: {instead}", file.display())]
pub struct NoFiles {
    /// Its name.
    pub file: PathBuf,
    /// What to do.
    pub instead: &'static str,
}

impl Base<'_> {
    /// The directory of the process.
    pub fn of_process() -> Self {
        Self::Directory(Path::new(""))
    }

    /// A file to read. Where there are none, the error says what to do instead.
    pub fn file(self, file: &Path, instead: &'static str) -> Result<PathBuf, NoFiles> {
        match self {
            Self::Directory(base) => Ok(base.join(file)),
            Self::Nowhere => Err(NoFiles {
                file: file.to_owned(),
                instead,
            }),
        }
    }

    /// A path that says where a fault acts, and is not read.
    pub fn place(self, path: &Path) -> PathBuf {
        match self {
            Self::Directory(base) => base.join(path),
            Self::Nowhere => path.to_owned(),
        }
    }
}
