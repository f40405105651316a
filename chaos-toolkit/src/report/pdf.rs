//! PDF by whichever browser of Chromium's family the system has: it shows the page as everybody sees it, and prints it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// What the browser may be called, the first that is there is taken.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// It starts within seconds; a page of a thousand activities takes a few more.
const DEADLINE: Duration = Duration::from_mins(2);

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    /// No browser.
    #[error(
        "a PDF is printed by a browser, and none is on the PATH (chromium, chromium-browser or google-chrome): install one, or take --format html and print it"
    )]
    NoBrowser,
    /// The browser, or a file that it needs, is not usable.
    #[error("cannot have {} print a PDF: {source}", browser.display())]
    Unusable {
        /// Which.
        browser: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ran, and printed nothing.
    #[error("{} printed no PDF: {said}", browser.display())]
    NothingPrinted {
        /// Which.
        browser: PathBuf,
        /// Its last words.
        said: String,
    },
    /// It did not end.
    #[error("{} printed no PDF within {} s", browser.display(), DEADLINE.as_secs())]
    TooSlow {
        /// Which.
        browser: PathBuf,
    },
}

/// The page as PDF. Nothing of the user's browser is touched: it runs with a profile of its own, and asks no network.
pub async fn pdf(page: &str) -> Result<Vec<u8>, PdfError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let browser = find(std::env::split_paths(&path)).ok_or(PdfError::NoBrowser)?;
    let unusable = |source| PdfError::Unusable {
        browser: browser.clone(),
        source,
    };
    let directory = tempfile::tempdir().map_err(unusable)?;
    let page_file = directory.path().join("report.html");
    let printed = directory.path().join("report.pdf");
    std::fs::write(&page_file, page).map_err(unusable)?;
    let mut command = Command::new(&browser);
    command
        .args([
            "--headless",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .args(["--no-pdf-header-footer", "--disable-dev-shm-usage"])
        .arg(argument(
            "--user-data-dir=",
            &directory.path().join("profile"),
        ))
        .arg(argument("--print-to-pdf=", &printed))
        .arg(argument("file://", &page_file))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // It refuses to be sandboxed as root. What it shows is this page alone, which may run nothing.
    if nix::unistd::geteuid().is_root() {
        command.arg("--no-sandbox");
    }
    let ended = tokio::time::timeout(DEADLINE, command.output()).await;
    let output = ended
        .map_err(|_| PdfError::TooSlow {
            browser: browser.clone(),
        })?
        .map_err(unusable)?;
    match std::fs::read(&printed) {
        Ok(bytes) if bytes.starts_with(b"%PDF") => Ok(bytes),
        Ok(_) | Err(_) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rev().find(|line| !line.trim().is_empty());
            let said = last.map_or_else(|| output.status.to_string(), str::to_owned);
            Err(PdfError::NothingPrinted { browser, said })
        }
    }
}

fn argument(name: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(name);
    argument.push(path);
    argument
}

fn find(directories: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let directories: Vec<_> = directories.collect();
    let mut candidates = BROWSERS.iter().flat_map(|name| {
        directories
            .iter()
            .map(move |directory| directory.join(name))
    });
    candidates.find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_that_is_there_is_taken() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let directories = || [one.path().to_owned(), other.path().to_owned()].into_iter();
        assert_eq!(find(directories()), None);
        std::fs::write(one.path().join("google-chrome"), "").unwrap();
        let chromium = other.path().join("chromium");
        std::fs::create_dir(one.path().join("chromium")).unwrap();
        std::fs::write(&chromium, "").unwrap();
        assert_eq!(find(directories()), Some(chromium));
    }
}
