//! Single keys of the terminal while an experiment runs: one that stops everything, and answers to questions.

use std::io::{self, stdin};
use std::os::fd::{AsFd as _, OwnedFd};
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{self, getpgrp, pipe, tcgetpgrp};

/// The terminal, set so that a key counts when it is pressed. It is set back when this is dropped; Ctrl-C and Ctrl-Z do
/// what they always do.
pub(super) struct Keys {
    before: Termios,
    /// Closed to end the thread.
    end: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Keys {
    /// Tells of each key; none where standard input is no terminal, or another program's at the moment.
    pub(super) fn listen(hear: impl FnMut(char) + Send + 'static) -> io::Result<Option<Self>> {
        // To change a terminal from behind stops a process (SIGTTOU).
        if tcgetpgrp(stdin().as_fd()) != Ok(getpgrp()) {
            return Ok(None);
        }
        let before = tcgetattr(stdin().as_fd())?;
        let (ended, end) = pipe()?;
        let mut single = before.clone();
        single
            .local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO);
        tcsetattr(stdin().as_fd(), SetArg::TCSANOW, &single)?;
        Ok(Some(Self {
            before,
            end: Some(end),
            thread: Some(thread::spawn(move || read(&ended, hear))),
        }))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
        // A terminal that is gone needs no setting.
        let _gone = tcsetattr(stdin().as_fd(), SetArg::TCSANOW, &self.before);
    }
}

fn read(ended: &OwnedFd, mut hear: impl FnMut(char)) {
    loop {
        let terminal = stdin();
        let mut ready = [
            PollFd::new(terminal.as_fd(), PollFlags::POLLIN),
            PollFd::new(ended.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        if ready[1].any() == Some(true) {
            return;
        }
        let mut key = [0];
        // Not through the buffer of the standard library, into which more than one key may go, and then nothing is ready.
        match unistd::read(terminal.as_fd(), &mut key) {
            Ok(1) => hear(char::from(key[0])),
            Ok(_) | Err(_) => return,
        }
    }
}
