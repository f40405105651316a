//! Doors under test: the program `doorkeeper`, an application that says who talks to it, and a client that looks what it
//! came through.

use std::{
    io::{BufRead as _, BufReader, Lines, Read as _, Write as _},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::{
    lab::{Host, Process},
    programs::program,
};

/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(2);

/// A program that has doors.
#[derive(Debug)]
pub struct Doorkeeper {
    process: Process,
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// A door that it has opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenDoor {
    /// Its name for this user of it.
    pub id: u64,
    /// Its name for all users of it.
    pub shared: u64,
    /// Whether the application is to see clients' addresses.
    pub keeps_source: bool,
    /// Why not.
    pub note: String,
}

impl Doorkeeper {
    /// Starts one.
    pub fn start() -> Result<Self> {
        let mut command = Command::new(program("doorkeeper")?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::spawn(command)?;
        let stdin = process.child().stdin.take().context("no stdin")?;
        let stdout = process.child().stdout.take().context("no stdout")?;
        let mut keeper = Self {
            process,
            stdin,
            answers: BufReader::new(stdout).lines(),
        };
        keeper.answer()?;
        Ok(keeper)
    }

    /// Has it do something; its answer, or what it says went wrong.
    pub fn ask(&mut self, command: &str) -> Result<String> {
        writeln!(self.stdin, "{command}")?;
        self.answer()
    }

    fn answer(&mut self) -> Result<String> {
        let answer = self.answers.next().context("the doorkeeper is gone")??;
        match answer.strip_prefix("error ") {
            Some(error) => bail!("{error}"),
            None => Ok(answer),
        }
    }

    /// Opens a door for a port of a host.
    pub fn open(&mut self, host: &Host, port: u16, options: &str) -> Result<OpenDoor> {
        let path = host.netns_path();
        let answer = self.ask(&format!("open {} {port} {options}", path.display()))?;
        let mut words = answer.splitn(4, ' ');
        let mut word = || words.next().context("a word is missing");
        Ok(OpenDoor {
            id: word()?.parse()?,
            shared: word()?.parse()?,
            keeps_source: word()?.parse()?,
            note: word()?.to_owned(),
        })
    }

    /// Lets a door act.
    pub fn arm(&mut self, door: &OpenDoor, left: Duration) -> Result<()> {
        let left = left.as_millis();
        self.ask(&format!("arm {} {left}", door.id)).map(drop)
    }

    /// Takes it away.
    pub fn close(&mut self, door: &OpenDoor) -> Result<()> {
        let (id, shared) = (door.id, door.shared);
        self.ask(&format!("close {id} {shared}")).map(drop)
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> Result<()> {
        self.process.wait(PATIENCE).map(drop)
    }
}

/// Has an application on a host listen on a port of all addresses until the test ends: it tells each connection who it
/// sees, and then sends back what comes.
pub fn application(host: &Host, port: u16) -> Result<()> {
    let listener = host.run(|| TcpListener::bind(("::", port)))??;
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || echo(connection));
        }
    });
    Ok(())
}

fn echo(mut connection: TcpStream) -> Result<()> {
    let peer = connection.peer_addr()?;
    writeln!(connection, "application {}", peer.ip().to_canonical())?;
    let mut buffer = [0; 4096];
    while let length @ 1.. = connection.read(&mut buffer)? {
        connection.write_all(&buffer[..length])?;
    }
    Ok(())
}

/// A connection that came to the application.
#[derive(Debug)]
pub struct Connected {
    /// Whether by a door.
    pub relayed: bool,
    /// What the application takes for the client.
    pub seen: IpAddr,
    stream: BufReader<TcpStream>,
}

/// Connects from a host; an error where nobody answers.
pub fn connect(from: &Host, to: SocketAddr) -> Result<Connected> {
    let stream = from.run(|| TcpStream::connect_timeout(&to, PATIENCE))??;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let relayed = line.trim_end() == "relay";
    if relayed {
        line.clear();
        stream.read_line(&mut line)?;
    }
    let seen = line.trim_end().strip_prefix("application ");
    let seen = seen.with_context(|| format!("an answer that no application gives: {line:?}"))?;
    let seen = seen.parse()?;
    Ok(Connected {
        relayed,
        seen,
        stream,
    })
}

impl Connected {
    /// Whether it still goes back and forth.
    pub fn echoes(&mut self) -> bool {
        let mut back = [0; 5];
        let sent = self.stream.get_mut().write_all(b"hello");
        sent.is_ok() && self.stream.read_exact(&mut back).is_ok() && &back == b"hello"
    }

    /// Says that it is done, and waits until the application has said so too.
    pub fn finish(mut self) -> Result<()> {
        self.stream.get_ref().shutdown(Shutdown::Write)?;
        self.stream.read_to_end(&mut Vec::new())?;
        Ok(())
    }
}
