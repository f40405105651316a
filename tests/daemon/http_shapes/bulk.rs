//! Bodies that are long: they pass unchanged, and the agent never has much of them.

use std::{
    fs,
    io::{self, Read as _, Seek as _, Write as _},
    mem::MaybeUninit,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use chaos_tests::{lab::Family, requires};

use super::{
    DOOR, Scene,
    line::{Line, get, pass},
};
use crate::scenario::is_emulated;

const MIB: usize = 1 << 20;

/// What the agent may take more while bodies pass: a few buffers, and what the allocator makes of them.
const MOST_MEMORY: u64 = 16 << 20;

/// How long an application waits for somebody to read, to know that nobody does.
const STALLED: Duration = Duration::from_millis(300);

/// Of so many pieces of a MiB is a long body.
fn pieces() -> usize {
    if is_emulated() { 64 } else { 1024 }
}

/// A body of chunks or one with a length, and its head.
struct Message {
    head: String,
    piece: Vec<u8>,
    last: &'static [u8],
}

impl Message {
    fn with_length(start: &str) -> Self {
        Self {
            head: format!("{start}\r\nContent-Length: {}\r\n\r\n", pieces() * MIB),
            piece: vec![0; MIB],
            last: b"",
        }
    }

    fn of_chunks(start: &str) -> Self {
        Self {
            head: format!("{start}\r\nTransfer-Encoding: chunked\r\n\r\n"),
            piece: [format!("{MIB:x}\r\n").as_bytes(), &vec![0; MIB], b"\r\n"].concat(),
            last: b"0\r\n\r\n",
        }
    }

    fn len(&self) -> usize {
        self.head.len() + pieces() * self.piece.len() + self.last.len()
    }

    /// Says all of it, without a copy of the body.
    fn say(&self, mut to: &TcpStream) -> io::Result<()> {
        let mut piece = tempfile::tempfile()?;
        piece.write_all(&self.piece)?;
        to.write_all(self.head.as_bytes())?;
        for _ in 0..pieces() {
            piece.rewind()?;
            io::copy(&mut piece, &mut to)?;
        }
        to.write_all(self.last)
    }
}

/// Takes so many bytes, and has the kernel drop them.
fn take(from: &TcpStream, mut bytes: usize) {
    let from = socket2::SockRef::from(from);
    let mut room = vec![MaybeUninit::uninit(); MIB];
    while bytes > 0 {
        let most = bytes.min(MIB);
        let taken = from.recv_with_flags(&mut room[..most], libc::MSG_TRUNC);
        let count = taken.unwrap();
        assert!(count > 0, "{bytes} bytes are missing");
        bytes -= count;
    }
}

/// The most memory that a process has had since this was last asked.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .strip_suffix(" kB")
        .unwrap()
        .parse()
        .unwrap();
    fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    kib << 10
}

#[test]
fn a_gigabyte_each_way_takes_little_memory() {
    requires!(root);
    let mut scene = Scene::new("shapes-bulk");
    let pid = scene.scenario.daemon.pid().unwrap();
    let id = scene
        .scenario
        .start("http --port 8001 --error-rate 1 --error-code 503 --exclude /fine");
    let asked = Message::with_length("PUT /fine HTTP/1.1");
    let answered = Message::of_chunks("HTTP/1.1 200 OK");
    let line = scene.open(Family::V4, DOOR);
    peak(pid);
    let before = peak(pid);
    for (message, from, to) in [
        (&asked, &line.client, &line.application),
        (&answered, &line.application, &line.client),
    ] {
        let began = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| message.say(from).unwrap());
            take(to, message.len());
        });
        eprintln!("{} MiB in {:?}", pieces(), began.elapsed());
    }
    let more = peak(pid).saturating_sub(before);
    eprintln!("{} KiB more memory", more >> 10);
    assert!(more <= MOST_MEMORY, "{more} bytes more");
    content_is_kept(&scene);
    nobody_reads(&scene, pid);
    let counted = scene.requests(&id);
    assert_eq!(counted["seen"], 3, "{counted}");
    assert_eq!(counted["excluded"], 3, "{counted}");
    assert_eq!(counted["unframed"], 0, "{counted}");
    scene.scenario.stop(&id);
    drop(scene.listeners);
    scene.scenario.leaves_nothing();
}

/// Long bodies both ways at once, byte for byte.
fn content_is_kept(scene: &Scene) {
    let length = 8 * MIB;
    let bytes: Vec<u8> = (0..length as u64)
        .map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[5])
        .collect();
    let Line {
        mut client,
        mut application,
    } = scene.open(Family::V6, DOOR);
    let head = |start| format!("{start}\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    let asked = head("PUT /fine HTTP/1.1");
    pass("the head", &mut client, &mut application, &asked);
    let answered = head("HTTP/1.1 200 OK");
    pass("the head", &mut application, &mut client, &answered);
    let send = |mut to: &TcpStream| to.write_all(&bytes).unwrap();
    let receive = |mut from: &TcpStream| {
        let mut got = vec![0; length];
        from.read_exact(&mut got).unwrap();
        assert!(got == bytes, "the body has changed");
    };
    thread::scope(|scope| {
        scope.spawn(|| send(&client));
        scope.spawn(|| send(&application));
        scope.spawn(|| receive(&client));
        receive(&application);
    });
}

/// A client that asks for much and does not read it holds the application up, and not in the agent's memory.
fn nobody_reads(scene: &Scene, pid: u32) {
    let mut line = scene.open(Family::V4, DOOR);
    let before = peak(pid);
    line.client
        .write_all(b"GET /fine HTTP/1.1\r\n\r\n")
        .unwrap();
    get(
        "the question",
        &mut line.application,
        b"GET /fine HTTP/1.1\r\n\r\n",
    );
    line.application.set_write_timeout(Some(STALLED)).unwrap();
    let message = Message::with_length("HTTP/1.1 200 OK");
    line.application.write_all(message.head.as_bytes()).unwrap();
    let mut sent = 0;
    let stalled = loop {
        match line.application.write(&message.piece) {
            Ok(count) => sent += count,
            Err(error) => break error.kind(),
        }
        assert!(sent < pieces() * MIB, "nobody holds the application up");
    };
    assert_eq!(stalled, io::ErrorKind::WouldBlock);
    let more = peak(pid).saturating_sub(before);
    eprintln!(
        "{} KiB on their way, {} KiB more memory",
        sent >> 10,
        more >> 10
    );
    assert!(more <= MOST_MEMORY, "{more} bytes more");
    take(&line.client, message.head.len() + sent);
}
