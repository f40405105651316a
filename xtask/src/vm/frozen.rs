//! What can still be learnt of a machine that has frozen: where its CPUs stand, and what its kernel said last.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// How long QEMU may take to answer, and a kernel to say where it was interrupted.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of the kernel's log is shown.
const LINES: usize = 40;
/// The console gets warnings and worse; an interrupt that no CPU can mask makes the kernel say where it is, and end.
const KERNEL_OPTIONS: &str = "loglevel=5 unknown_nmi_panic";

/// QEMU's monitor, and the kernel's log, of one machine.
pub(super) struct Witness {
    monitor: PathBuf,
    log: PathBuf,
}

impl Witness {
    pub(super) fn new() -> Self {
        // A socket's path is at most 107 bytes long: not below the workspace.
        let stem = format!("chaos-vm-{}", std::process::id());
        Self {
            monitor: env::temp_dir().join(format!("{stem}.monitor")),
            log: env::temp_dir().join(format!("{stem}.log")),
        }
    }

    /// What virtme-ng is to be told. Where the console is shown, there is no log.
    pub(super) fn options(&self, console_is_shown: bool) -> [String; 3] {
        let mut qemu = format!(
            "--qemu-opts=-monitor unix:{},server,nowait",
            self.monitor.display()
        );
        if !console_is_shown {
            // virtme-ng has it go nowhere.
            let _ = write!(qemu, " -set chardev.console.path={}", self.log.display());
        }
        ["--append".to_owned(), KERNEL_OPTIONS.to_owned(), qemu]
    }

    /// For whoever has to find out why.
    pub(super) fn report(&self, series: &str) -> String {
        let mut text = format!("vm: kernel {series} froze, or QEMU did. Its CPUs:\n");
        match self.ask("info registers -a") {
            Ok(registers) => {
                for line in registers.lines().filter(|line| {
                    line.contains("CPU#") || line.contains("RIP=") || line.contains("EIP=")
                }) {
                    let _ = writeln!(text, "  {}", line.trim());
                }
            }
            Err(error) => {
                let _ = writeln!(text, "  QEMU does not answer: {error}");
            }
        }
        // What it says then stands in the log, if it says anything.
        if let Err(error) = self.ask("nmi") {
            let _ = writeln!(text, "  no interrupt: {error}");
        }
        text.push_str(&self.last_words());
        text
    }

    /// How the kernel's log ends.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        format!("vm: its log ends with:\n{}", last.join("\n"))
    }

    fn ask(&self, command: &str) -> std::io::Result<String> {
        let mut monitor = UnixStream::connect(&self.monitor)?;
        monitor.set_read_timeout(Some(PATIENCE))?;
        monitor.write_all(command.as_bytes())?;
        monitor.write_all(b"\n")?;
        thread::sleep(PATIENCE);
        let mut answer = vec![0; 1 << 16];
        let mut length = 0;
        // It says no end: the prompt comes after the answer.
        while let Ok(count) = monitor.read(&mut answer[length..]) {
            length += count;
            if count == 0 || answer[..length].ends_with(b"(qemu) ") {
                break;
            }
        }
        answer.truncate(length);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // Nothing depends on them.
        let _ = fs::remove_file(&self.monitor);
        let _ = fs::remove_file(&self.log);
    }
}
