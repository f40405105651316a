//! Running other programs: every failure names the command that failed.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::workspace;

/// A command that starts in the repository's root.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace::root());
    command
}

/// The cargo that runs this xtask, without what that has set for it: some build scripts look at these variables, and what was
/// compiled by a `cargo` of somebody's own would be compiled once more.
pub(crate) fn cargo() -> Command {
    let mut cargo = command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    for (name, _) in std::env::vars_os() {
        let is_packages = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if is_packages {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs `command`, its output going where ours goes, and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{}`", line(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Runs `command` and returns what it printed; fails, with what it said, unless it succeeds.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", line(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` failed: {}: {}",
            line(command),
            output.status,
            said.trim()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` printed something that is no text", line(command)))
}

/// Whether `command` starts and succeeds, quietly.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What a running program prints, shown as it comes and kept.
pub(crate) struct Shown {
    copiers: Vec<JoinHandle<io::Result<Vec<u8>>>>,
    last: Last,
}

/// When a program last printed something.
#[derive(Clone)]
struct Last(Arc<Mutex<Instant>>);

/// Starts `command`, its output going where ours goes and kept as well.
pub(crate) fn spawn_shown(command: &mut Command) -> Result<(Child, Shown)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", line(command)))?;
    let last = Last(Arc::new(Mutex::new(Instant::now())));
    let (of_stdout, of_stderr) = (last.clone(), last.clone());
    let stdout = child
        .stdout
        .take()
        .map(|from| thread::spawn(move || pass_on(from, io::stdout(), &of_stdout)));
    let stderr = child
        .stderr
        .take()
        .map(|from| thread::spawn(move || pass_on(from, io::stderr(), &of_stderr)));
    let copiers = [stdout, stderr].into_iter().flatten().collect();
    Ok((child, Shown { copiers, last }))
}

impl Last {
    fn set(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Shown {
    /// For how long the program has printed nothing.
    pub(crate) fn silence(&self) -> Duration {
        let last = self.last.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed()
    }

    /// What the program printed on stdout and then on stderr, once it has closed both.
    pub(crate) fn finish(self) -> Result<String> {
        let mut text = String::new();
        for copier in self.copiers {
            let bytes = copier
                .join()
                .map_err(|_| anyhow!("cannot pass on a program's output"))?;
            text.push_str(&String::from_utf8_lossy(
                &bytes.context("cannot pass on output")?,
            ));
        }
        Ok(text)
    }
}

fn pass_on(mut from: impl Read, mut to: impl Write, last: &Last) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(kept);
        }
        last.set();
        to.write_all(&buffer[..count])?;
        to.flush()?;
        kept.extend_from_slice(&buffer[..count]);
    }
}

/// The command as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quote(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// `word` so that a shell reads it back as one word.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_comes_back_from_the_shell_as_it_was() {
        for word in ["plain", "", "two words", "it's", "$HOME", "a\nb", "*;&|"] {
            let script = format!("printf %s {}", quote(word));
            let back = output(Command::new("sh").args(["-c", &script])).unwrap();
            assert_eq!(back, word);
        }
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(error.to_string().contains("sh -c 'exit 3'"), "{error}");
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert!(error.to_string().contains("no-such-program"), "{error}");
    }
}
