//! A program on a terminal of its own: what is on the screen, and keys.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use nix::fcntl::{OFlag, open};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};

use crate::agent::DEADLINE;

/// A program that has not ended, and the terminal that it leads.
pub(crate) struct Terminal {
    child: Child,
    master: File,
    pieces: Receiver<String>,
    screen: String,
    before: Termios,
}

impl Terminal {
    /// Runs the command as a shell in the foreground would.
    pub(crate) fn start(command: &Command) -> Self {
        let (master, slave) = terminal();
        let before = tcgetattr(&slave).unwrap();
        // A terminal belongs to a session, and only a new one has none yet.
        let mut leader = Command::new("setsid");
        leader
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(command.get_current_dir().unwrap())
            .env("TERM", "xterm")
            .stdin(Stdio::from(slave.try_clone().unwrap()))
            .stdout(Stdio::from(slave.try_clone().unwrap()))
            .stderr(Stdio::from(slave));
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => leader.env(name, value),
                None => leader.env_remove(name),
            };
        }
        let child = leader.spawn().unwrap();
        // It holds copies of the terminal's end: with them, that end would never be seen.
        drop(leader);
        let mut screen = master.try_clone().unwrap();
        let (sender, pieces) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Linux reports the end of a terminal as an error.
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                let piece = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if sender.send(piece).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            master,
            pieces,
            screen: String::new(),
            before,
        }
    }

    /// Waits until the text is on the screen, behind what was waited for before.
    pub(crate) fn wait_for(&mut self, text: &str) {
        loop {
            if let Some(at) = self.screen.find(text) {
                self.screen.drain(..at + text.len());
                return;
            }
            let piece = self.pieces.recv_timeout(DEADLINE);
            let piece = piece.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.screen));
            self.screen.push_str(&piece);
        }
    }

    /// Presses a key.
    pub(crate) fn press(&mut self, key: char) {
        write!(self.master, "{key}").unwrap();
    }

    /// Whether a key counts when it is pressed, and is not shown.
    pub(crate) fn takes_single_keys(&self) -> bool {
        let flags = tcgetattr(&self.master).unwrap().local_flags;
        !flags.intersects(LocalFlags::ICANON | LocalFlags::ECHO)
    }

    /// Waits for the end, after which the terminal must be as it was: the exit code, and what was on the screen meanwhile.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        loop {
            match self.pieces.recv_timeout(DEADLINE) {
                Ok(piece) => self.screen.push_str(&piece),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("did not end in time; so far: {:?}", self.screen);
                }
            }
        }
        let code = self.child.wait().unwrap().code();
        assert_eq!(tcgetattr(&self.master).unwrap(), self.before);
        (code, self.screen)
    }
}

/// Both ends of a new one. Unlike those of `openpty`, no program that another test starts meanwhile holds them open.
fn terminal() -> (File, File) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let slave = open(
        Path::new(&ptsname_r(&master).unwrap()),
        flags,
        Mode::empty(),
    )
    .unwrap();
    (File::from(OwnedFd::from(master)), File::from(slave))
}
