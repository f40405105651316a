//! `cargo xtask vm`: a command inside another kernel, over this machine's files.
//!
//! virtme-ng boots the kernel with this machine's file system as its root, read-only, with throw-away
//! layers on top of the directories that programs write to: what the command sees is this machine,
//! what it leaves behind is nothing. The machine is emulated (KVM is not asked for, because most CI
//! machines have none), hence about 15 times slower: `CHAOS_EMULATED=1` tells tests so.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::process::{self, Shown, quote};
use crate::setup::{self, Kernel, Kernels, vng};
use crate::workspace;

mod frozen;

use frozen::Witness;

/// Loaded before the command starts: as modules they are not there until somebody asks.
const MODULES: &str = "veth tun bridge 8021q sch_fq sch_netem sch_htb sch_tbf sch_ingress cls_bpf \
                       act_bpf act_mirred ifb";
/// What an emulated machine need not do: guard against speculation that does not happen, and ask an
/// emulated timer chip for the time (reading the clock took twice as long).
const KERNEL_OPTIONS: &str = "mitigations=off clocksource=tsc tsc=reliable";
/// A CPU that does nothing else for two minutes is stuck: the kernel says where, and ends.
const STUCK_CPUS: &str = "watchdog_thresh=60 softlockup_panic=1";
/// Booting took 14 s alone and 45 s beside two compilers; a guest that needs longer hangs.
const BOOT: Duration = Duration::from_mins(3);
/// What `timeout` exits with when it had to end the command.
const TIMED_OUT: i32 = 124;
/// What the script that prepares the guest exits with when it cannot.
const NOT_PREPARED: i32 = 125;
/// What virtme-ng exits with when the guest did not say how the command ended.
const NO_STATUS: i32 = 255;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernel to boot
    #[arg(long, value_enum, default_value = "6.1")]
    kernel: Kernels,
    /// Seconds after which the command is ended
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// Show the guest kernel's log on stderr
    #[arg(long)]
    console: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Exits as the command did; of several kernels, as the first in which it failed.
pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let kernels = args.kernel.list();
    setup::ensure_kernels(kernels)?;
    let dir = env::current_dir().context("no current directory")?;
    let mut failed = 0;
    for &kernel in kernels {
        if kernels.len() > 1 {
            eprintln!("vm: kernel {}", kernel.series());
        }
        let guest = Guest {
            kernel,
            timeout: Duration::from_secs(args.timeout),
            console: args.console,
            silence: None,
        };
        let ended = guest.run(&args.command, &dir, &[])?;
        if failed == 0 {
            failed = ended.code;
        }
    }
    Ok(u8::try_from(failed).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// A virtual machine to run one command in.
pub(crate) struct Guest {
    pub(crate) kernel: Kernel,
    pub(crate) timeout: Duration,
    pub(crate) console: bool,
    /// How long the command may print nothing: after that the machine has frozen, and is ended.
    pub(crate) silence: Option<Duration>,
}

/// How the command ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    /// Its stdout and stderr, which were shown as they came.
    pub(crate) output: String,
    /// The machine printed nothing for too long, and was ended.
    pub(crate) froze: bool,
}

impl Guest {
    /// Boots, runs `command` in `dir` with `variables` added to its environment, and powers off.
    pub(crate) fn run(
        &self,
        command: &[String],
        dir: &Path,
        variables: &[(&str, &str)],
    ) -> Result<Ended> {
        let script = Script::write(&guest_script(command, dir, variables, self.timeout))?;
        // Through pipes, never straight into a file: QEMU opens each of its outputs by itself, and
        // several offsets into one file overwrite each other.
        let witness = Witness::new();
        let (mut child, shown) = process::spawn_shown(&mut self.vng(&script.0, &witness)?)?;
        let waited = wait(&mut child, &shown, self.timeout + BOOT, self.silence)?;
        if let Waited::Silent = waited {
            eprintln!("{}", witness.report(self.kernel.series()));
        }
        if !matches!(waited, Waited::Exited(_)) {
            end(&mut child)?;
        }
        let output = shown.finish()?;
        let series = self.kernel.series();
        let status = match waited {
            Waited::Exited(status) => status,
            Waited::Silent => {
                return Ok(Ended {
                    code: NO_STATUS,
                    output,
                    froze: true,
                });
            }
            Waited::TooLong => bail!(
                "the virtual machine with kernel {series} hung: it was ended {} s after its command should have been",
                BOOT.as_secs()
            ),
        };
        let code = status.code().unwrap_or(NO_STATUS);
        match code {
            TIMED_OUT => eprintln!(
                "vm: the command took longer than {} s and was ended",
                self.timeout.as_secs()
            ),
            NOT_PREPARED => eprintln!("vm: kernel {series} lacks something that the tests need"),
            NO_STATUS => eprintln!(
                "vm: if the command did not itself exit with {NO_STATUS}, kernel {series} crashed\n{}",
                witness.last_words()
            ),
            _ => {}
        }
        Ok(Ended {
            code,
            output,
            froze: false,
        })
    }

    fn vng(&self, script: &Path, witness: &Witness) -> Result<Command> {
        let vng = vng();
        let mut command = Command::new(&vng);
        command.arg("--run").arg(self.kernel.image()?);
        command.args([
            "--force-9p",
            "--disable-kvm",
            "--user",
            "root",
            "--cpus",
            "2",
            "--memory",
            "2G",
        ]);
        command.args(["--append", KERNEL_OPTIONS, "--append", STUCK_CPUS]);
        command.args(witness.options(self.console));
        // Writable too, in throw-away layers.
        let (root, target) = (workspace::root(), workspace::target());
        command.arg("--overlay-rwdir").arg(root);
        if !target.starts_with(root) {
            command.arg("--overlay-rwdir").arg(target);
        }
        if self.console {
            command.arg("--verbose");
        }
        command.arg("--").arg("bash").arg(script);
        // virtme-ng calls its own other programs by name.
        let bin = vng.parent().map(Path::to_path_buf).unwrap_or_default();
        let path = env::var_os("PATH").unwrap_or_default();
        let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
        let path = env::join_paths(
            [bin]
                .into_iter()
                .chain(env::split_paths(&path))
                .chain(system),
        )
        .context("PATH cannot be extended")?;
        command.env("PATH", path);
        Ok(command)
    }
}

/// What the guest runs: it makes the guest as complete as a booted machine, then becomes `command`.
fn guest_script(
    command: &[String],
    dir: &Path,
    variables: &[(&str, &str)],
    timeout: Duration,
) -> String {
    let mut environment = String::new();
    let passed_on: Vec<_> = env::vars().filter(|(name, _)| is_passed_on(name)).collect();
    let passed_on = passed_on
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in passed_on.chain(variables.iter().copied()) {
        let _ = writeln!(environment, "export {name}={}", quote(value));
    }
    let command: Vec<String> = command.iter().map(|word| quote(word)).collect();
    format!(
        "{environment}export CHAOS_EMULATED=1\n\
         modprobe --all {MODULES} || exit {NOT_PREPARED}\n\
         mountpoint --quiet /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf || exit {NOT_PREPARED}\n\
         # Devices are there; from now on udev would only look at every veth that a test makes.\n\
         udevadm control --exit || true\n\
         # A kernel that lost its footing must not go on to pass tests.\n\
         echo 1 > /proc/sys/kernel/panic_on_oops\n\
         cd {dir} || exit {NOT_PREPARED}\n\
         timeout --kill-after=10 {seconds} {command}\n\
         status=$?\n\
         dmesg | grep --after-context=25 -E 'WARNING: |BUG: |rcu.*stall' >&2\n\
         exit $status\n",
        dir = quote(&dir.to_string_lossy()),
        seconds = timeout.as_secs(),
        command = command.join(" "),
    )
}

/// Whether a variable of this environment means something to a command in the guest.
fn is_passed_on(name: &str) -> bool {
    let prefixes = ["CHAOS_", "RUST_", "NEXTEST_", "INSTA_"];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) || ["PATH", "HOME", "CI"].contains(&name)
}

/// A script for one guest, removed afterwards. (The kernel's command line, which is virtme-ng's way
/// to pass a command, ends after 2048 bytes.)
struct Script(PathBuf);

impl Script {
    fn write(text: &str) -> Result<Self> {
        let dir = workspace::tools().join("vm");
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let path = dir.join(format!("{}.sh", std::process::id()));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Nothing depends on it; the next guest of a process with this id overwrites it.
        let _ = fs::remove_file(&self.0);
    }
}

/// What became of a running machine.
enum Waited {
    Exited(ExitStatus),
    Silent,
    TooLong,
}

/// Waits for `child`, at most for `limit`, and while it prints something at least every `silence`.
fn wait(
    child: &mut Child,
    shown: &Shown,
    limit: Duration,
    silence: Option<Duration>,
) -> Result<Waited> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().context("cannot wait for virtme-ng")? {
            return Ok(Waited::Exited(status));
        }
        if silence.is_some_and(|most| shown.silence() > most) {
            return Ok(Waited::Silent);
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(Waited::TooLong)
}

/// Ends `child` and all that it started.
fn end(child: &mut Child) -> Result<()> {
    let mut ids = vec![child.id()];
    let mut next = 0;
    while let Some(&id) = ids.get(next) {
        ids.extend(children(id));
        next += 1;
    }
    let ids = ids.iter().map(u32::to_string);
    Command::new("kill")
        .arg("-KILL")
        .args(ids)
        .status()
        .context("cannot end virtme-ng")?;
    child.wait().context("cannot wait for virtme-ng")?;
    Ok(())
}

/// The processes that process `id` started and that still run.
fn children(id: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|child| parent(*child) == Some(id))
        .collect()
}

fn parent(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in parentheses, may hold anything; after it come the state and the parent.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_mins(1);

    fn shell(script: &str) -> (Child, Shown) {
        process::spawn_shown(Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn a_machine_that_falls_silent_is_noticed_and_ended_with_its_children() {
        let (mut child, shown) = shell("echo; sleep 1000 & wait");
        let waited = wait(&mut child, &shown, LONG, Some(SHORT)).unwrap();
        assert!(matches!(waited, Waited::Silent));
        end(&mut child).unwrap();
        assert!(children(child.id()).is_empty());
    }

    #[test]
    fn a_machine_that_talks_on_and_on_is_ended_too() {
        let (mut child, shown) = shell("while echo; do sleep 0.05; done");
        let waited = wait(&mut child, &shown, SHORT, Some(LONG)).unwrap();
        assert!(matches!(waited, Waited::TooLong));
        end(&mut child).unwrap();
        assert!(children(child.id()).is_empty());
    }

    #[test]
    fn an_exit_status_comes_through() {
        let (mut child, shown) = shell("sleep 0.1; exit 7");
        let waited = wait(&mut child, &shown, LONG, None).unwrap();
        let Waited::Exited(status) = waited else {
            panic!("it ended by itself");
        };
        assert_eq!(status.code(), Some(7));
    }

    #[test]
    fn the_guest_gets_the_command_word_by_word() {
        let command = [
            "printf".to_owned(),
            "%s".to_owned(),
            "it's $HOME".to_owned(),
        ];
        let script = guest_script(
            &command,
            Path::new("/a b"),
            &[("A", "b c")],
            Duration::from_secs(9),
        );
        assert!(
            script.contains("timeout --kill-after=10 9 printf %s 'it'\\''s $HOME'"),
            "{script}"
        );
        assert!(script.contains("cd '/a b'"), "{script}");
        assert!(script.contains("export A='b c'\n"), "{script}");
    }
}
