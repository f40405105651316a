//! The agent's end: starts the holder, hands it devices, hears when they are gone.

use std::{
    collections::HashSet,
    io::{self, IoSlice},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, Shutdown, SockFlag, SockType, recv, sendmsg, shutdown,
    socketpair,
};

use super::{ARGUMENT, MESSAGE_LEN, Message};

/// Number of a line, never used twice by one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineId(pub u32);

/// The running holder process.
#[derive(Debug)]
pub struct Holder {
    socket: Arc<OwnedFd>,
    gone: Arc<Mutex<Gone>>,
    next: u32,
    child: Child,
}

#[derive(Debug, Default)]
struct Gone {
    lines: HashSet<LineId>,
    everything: bool,
}

impl Holder {
    /// Starts it.
    pub fn start() -> io::Result<Self> {
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        let child = Command::new("/proc/self/exe")
            .arg0("chaos-daemon-holder")
            .arg(ARGUMENT)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            // A group of its own: Ctrl-C in the agent's terminal is not for the holder.
            .process_group(0)
            .spawn()?;
        let socket = Arc::new(ours);
        let gone = Arc::new(Mutex::new(Gone::default()));
        thread::Builder::new().name("holder-events".into()).spawn({
            let (socket, gone) = (Arc::clone(&socket), Arc::clone(&gone));
            move || listen(&socket, &gone)
        })?;
        Ok(Self {
            socket,
            gone,
            next: 0,
            child,
        })
    }

    /// Hands over a TAP descriptor.
    pub fn add(&mut self, tap: &OwnedFd) -> io::Result<LineId> {
        self.next += 1;
        let id = LineId(self.next);
        let descriptors = [tap.as_raw_fd()];
        self.send(Message::Add(id), &[ControlMessage::ScmRights(&descriptors)])?;
        Ok(id)
    }

    /// Has a line closed as soon as the last frame has left it.
    pub fn retire(&self, id: LineId) -> io::Result<()> {
        self.lock().lines.remove(&id);
        self.send(Message::Retire(id), &[])
    }

    /// Whether a line's device, or the holder itself, has gone.
    pub fn is_gone(&self, id: LineId) -> bool {
        let gone = self.lock();
        gone.everything || gone.lines.contains(&id)
    }

    /// Whether the process is there.
    pub fn is_alive(&self) -> bool {
        !self.lock().everything
    }

    /// Lets the holder end, and waits until it has, but no longer than `patience`: what it still holds then goes
    /// on time without us.
    pub fn finish(mut self, patience: Duration) {
        let until = Instant::now() + patience;
        self.let_go();
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn let_go(&self) {
        // Where the holder has gone already, there is nobody to tell.
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
    }

    fn send(&self, message: Message, control: &[ControlMessage<'_>]) -> io::Result<()> {
        let bytes = message.encode();
        sendmsg::<()>(
            self.socket.as_raw_fd(),
            &[IoSlice::new(&bytes)],
            control,
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Gone> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.let_go();
        // One that has died is not to stay as a zombie.
        if !self.is_alive() {
            let _ = self.child.wait();
        }
    }
}

fn listen(socket: &OwnedFd, gone: &Mutex<Gone>) {
    let mut buffer = [0; MESSAGE_LEN];
    loop {
        let message = match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Err(nix::errno::Errno::EINTR) => continue,
            Ok(length) if length > 0 => Message::decode(&buffer[..length]),
            Ok(_) | Err(_) => None,
        };
        let mut gone = gone.lock().unwrap_or_else(PoisonError::into_inner);
        match message {
            Some(Message::Gone(id)) => {
                gone.lines.insert(id);
            }
            Some(Message::Add(_) | Message::Retire(_)) => {}
            None => {
                gone.everything = true;
                return;
            }
        }
    }
}
