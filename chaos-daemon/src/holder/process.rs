//! The holder's own loop: read frames, wait, write them back.

use std::{
    collections::BTreeMap,
    io::{self, IoSliceMut},
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
    thread,
    time::Duration,
};

use nix::{
    cmsg_space,
    errno::Errno,
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        prctl,
        signal::{SigSet, SigmaskHow, Signal, sigprocmask},
        socket::{ControlMessageOwned, MsgFlags, recvmsg, send},
        time::TimeSpec,
        uio::writev,
    },
    time::{ClockId, clock_gettime},
    unistd::read,
};

use super::{LineId, MESSAGE_LEN, Message, frame::Frame, queue::Queue};

/// Bounds what a long delay of a fast link can take from the node's memory.
const MOST_BYTES: usize = 1 << 30;
/// Frames read from one line before the others have their turn, and before those that are due.
const READ_AT_ONCE: usize = 32;
/// Above the largest frame that a TAP gives, with its offload header and label.
const LARGEST_READ: usize = 66_000;
/// "Nice" value of the holder.
const HIGHEST_PRIORITY: libc::c_int = -20;
/// How long lines stay open after the agent died and after the last frame came: the kernel takes the classifiers off, or
/// empties the entry programs' tables, while it ends the agent. On a busy node that takes a while.
const LINGER: Duration = Duration::from_millis(500);

/// How long a line that retires stays open after its last frame.
const GRACE_NS: u64 = 100_000_000;

struct Lines {
    open: BTreeMap<LineId, OpenLine>,
    queue: Queue,
    scratch: Vec<u8>,
    last_frame_ns: u64,
}

struct OpenLine {
    tap: OwnedFd,
    held: usize,
    last_frame_ns: u64,
    /// Since when nobody is to send into it any more.
    retiring_ns: Option<u64>,
}

impl OpenLine {
    /// Whether nothing is in it, and nothing is on its way into it.
    fn is_over(&self, now: u64) -> bool {
        let quiet_since = self.retiring_ns.map(|since| since.max(self.last_frame_ns));
        self.held == 0 && quiet_since.is_some_and(|since| now.saturating_sub(since) >= GRACE_NS)
    }
}

/// Serves lines until the agent is gone and everything has left. The socket to the agent is `control`.
pub fn run(control: &OwnedFd) -> io::Result<()> {
    // The kernel may round waits up by this much; the default is 50 us.
    prctl::set_timerslack(1)?;
    prctl::set_name(c"chaos-holder")?;
    // Under load, packets must not wait for their turn on a CPU. Where this is not allowed, they may.
    // SAFETY: takes three numbers.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, HIGHEST_PRIORITY) };
    // What ends the agent must not end what it has left behind.
    let mut ignored = SigSet::empty();
    ignored.add(Signal::SIGTERM);
    ignored.add(Signal::SIGINT);
    ignored.add(Signal::SIGHUP);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ignored), None)?;
    let mut lines = Lines {
        open: BTreeMap::new(),
        queue: Queue::new(MOST_BYTES),
        scratch: vec![0; LARGEST_READ],
        last_frame_ns: 0,
    };
    let mut orphaned_at: Option<u64> = None;
    loop {
        let now = now_ns()?;
        lines.release_due(now, control);
        lines.close_retired(now);
        if let Some(since) = orphaned_at {
            let quiet_since = since.max(lines.last_frame_ns);
            let lingered = Duration::from_nanos(now.saturating_sub(quiet_since)) >= LINGER;
            if lines.open.is_empty() || (lingered && lines.queue.next_departure_ns().is_none()) {
                return Ok(());
            }
        }
        let ready = lines.wait(orphaned_at.is_none().then_some(control), now)?;
        for line in ready.lines {
            lines.read(line, now, control);
        }
        if ready.control {
            match receive(control)? {
                Some((Message::Add(id), Some(tap))) => {
                    lines.open.insert(
                        id,
                        OpenLine {
                            tap,
                            held: 0,
                            last_frame_ns: 0,
                            retiring_ns: None,
                        },
                    );
                }
                Some((Message::Retire(id), _)) => lines.retire(id, now),
                Some(_) => {}
                None => orphaned_at = Some(now_ns()?),
            }
        }
    }
}

struct Ready {
    control: bool,
    lines: Vec<LineId>,
}

impl Lines {
    fn wait(&self, control: Option<&OwnedFd>, now: u64) -> io::Result<Ready> {
        let departure = self.queue.next_departure_ns();
        let until = departure.map(|departure| Duration::from_nanos(departure.saturating_sub(now)));
        let is_leaving = self.open.values().any(|line| line.retiring_ns.is_some());
        let timeout = if control.is_none() || is_leaving {
            let look = Duration::from_nanos(GRACE_NS);
            Some(until.map_or(look, |until| until.min(look)))
        } else {
            until
        };
        let ids: Vec<LineId> = self.open.keys().copied().collect();
        let mut polled: Vec<PollFd<'_>> = self
            .open
            .values()
            .map(|line| PollFd::new(line.tap.as_fd(), PollFlags::POLLIN))
            .collect();
        polled.extend(control.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)));
        match ppoll(&mut polled, timeout.map(TimeSpec::from_duration), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let any = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
        Ok(Ready {
            control: control.is_some() && polled.last().is_some_and(any),
            lines: ids
                .into_iter()
                .zip(&polled)
                .filter(|(_, fd)| any(fd))
                .map(|(id, _)| id)
                .collect(),
        })
    }

    fn read(&mut self, id: LineId, now: u64, control: &OwnedFd) {
        for _ in 0..READ_AT_ONCE {
            let Some(line) = self.open.get_mut(&id) else {
                return;
            };
            match read(&line.tap, &mut self.scratch) {
                Ok(length) => {
                    if let Some((departure_ns, frame)) = Frame::parse(&self.scratch[..length]) {
                        self.last_frame_ns = now;
                        line.last_frame_ns = now;
                        line.held += usize::from(self.queue.push(id, departure_ns, frame));
                    }
                }
                Err(Errno::EAGAIN | Errno::EINTR) => return,
                Err(_) => return self.forget(id, control),
            }
        }
    }

    fn release_due(&mut self, now: u64, control: &OwnedFd) {
        while let Some(held) = self.queue.pop_due(now) {
            let Some(line) = self.open.get_mut(&held.line) else {
                continue;
            };
            line.held -= 1;
            // A frame that the kernel does not take back for another reason was not one; the network lost it.
            if let Err(Errno::EBADFD) = writev(&line.tap, &held.frame.parts()) {
                self.forget(held.line, control);
            }
        }
    }

    fn retire(&mut self, id: LineId, now: u64) {
        if let Some(line) = self.open.get_mut(&id) {
            line.retiring_ns = Some(now);
        }
    }

    fn close_retired(&mut self, now: u64) {
        // The kernel's part of the queue is empty by now: `read` takes all of it before frames are waited for. What a
        // classifier was about to send when its rules were taken away comes within the grace period.
        let is_over = |_: &LineId, line: &mut OpenLine| {
            line.is_over(now) && !is_readable(line.tap.as_raw_fd())
        };
        for (_, line) in self.open.extract_if(.., is_over) {
            close(line.tap);
        }
    }

    fn forget(&mut self, id: LineId, control: &OwnedFd) {
        self.open.remove(&id);
        // An agent that is gone need not know.
        let _ = send(
            control.as_raw_fd(),
            &Message::Gone(id).encode(),
            MsgFlags::MSG_NOSIGNAL,
        );
    }
}

/// All that a thread needs that closes.
const CLOSER_STACK: usize = 64 << 10;

/// Closes a device on a thread of its own. The kernel takes tens of milliseconds for each, in which no packet of another
/// line may wait; devices that are closed at the same time wait together.
fn close(device: OwnedFd) {
    let thread = thread::Builder::new().name("closer".into());
    // Where there is no thread to be had, it is closed right here.
    let _ = thread.stack_size(CLOSER_STACK).spawn(move || drop(device));
}

fn is_readable(fd: RawFd) -> bool {
    // SAFETY: the descriptor belongs to an open line, which outlives this call.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    let mut polled = [PollFd::new(fd, PollFlags::POLLIN)];
    let now = TimeSpec::from_duration(Duration::ZERO);
    ppoll(&mut polled, Some(now), None).is_ok_and(|_| {
        polled[0]
            .revents()
            .is_some_and(|events| events == PollFlags::POLLIN)
    })
}

fn receive(control: &OwnedFd) -> io::Result<Option<(Message, Option<OwnedFd>)>> {
    let mut buffer = [0; MESSAGE_LEN];
    let mut rights = cmsg_space!(RawFd);
    let mut slices = [IoSliceMut::new(&mut buffer)];
    let received = match recvmsg::<()>(
        control.as_raw_fd(),
        &mut slices,
        Some(&mut rights),
        MsgFlags::MSG_CMSG_CLOEXEC,
    ) {
        Ok(received) => received,
        Err(Errno::ECONNRESET) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut descriptor = None;
    for message in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = message {
            for raw in descriptors {
                // SAFETY: the kernel has just made this descriptor for us.
                descriptor = Some(unsafe { OwnedFd::from_raw_fd(raw) });
            }
        }
    }
    let length = received.bytes;
    Ok(Message::decode(&buffer[..length]).map(|message| (message, descriptor)))
}

fn now_ns() -> io::Result<u64> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
    Ok(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_while_something_may_come() {
        let mut line = OpenLine {
            tap: std::fs::File::open("/dev/null").unwrap().into(),
            held: 0,
            last_frame_ns: 0,
            retiring_ns: None,
        };
        assert!(!line.is_over(u64::MAX), "it is in use");
        line.retiring_ns = Some(1000);
        assert!(!line.is_over(1000) && !line.is_over(1000 + GRACE_NS - 1));
        assert!(line.is_over(1000 + GRACE_NS));
        line.last_frame_ns = 5000;
        assert!(!line.is_over(1000 + GRACE_NS) && line.is_over(5000 + GRACE_NS));
        line.held = 1;
        assert!(!line.is_over(u64::MAX), "it holds a frame");
    }
}
