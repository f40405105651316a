//! An application that tells what it was asked, and a client that tells all of an answer.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use chaos_tests::lab::{Family, Host};

use crate::scenario::PATIENCE;

/// Port of the application.
pub(super) const PORT: u16 = 3000;

/// Length of the answers to `/large` and, as content of chunks, to `/chunks`.
pub(super) const LARGE: usize = 40_000;

/// Starts an application whose answer's body is the head of the request; gives how many requests it has seen.
pub(super) fn serve(host: &Host) -> Arc<AtomicU64> {
    let bind = || TcpListener::bind(("::", PORT));
    let listener = host.run(bind).unwrap().unwrap();
    let seen = Arc::new(AtomicU64::new(0));
    let shared = Arc::clone(&seen);
    thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            let shared = Arc::clone(&shared);
            thread::spawn(move || answer_all(connection, &shared));
        }
    });
    seen
}

fn answer_all(connection: TcpStream, seen: &AtomicU64) -> io::Result<()> {
    let mut connection = BufReader::new(connection);
    while let Some(head) = read_head(&mut connection)? {
        let mut body = vec![0; length(&head)];
        connection.read_exact(&mut body)?;
        seen.fetch_add(1, Ordering::Relaxed);
        let (framing, content) = if head.contains(" /chunks ") {
            let chunk = [b"3e8\r\n", [b'c'; 1000].as_slice(), b"\r\n"].concat();
            let chunks = [chunk.repeat(LARGE / 1000).as_slice(), b"0\r\n\r\n"].concat();
            ("Transfer-Encoding: chunked".to_owned(), chunks)
        } else if head.contains(" /large ") {
            (format!("Content-Length: {LARGE}"), vec![b'l'; LARGE])
        } else {
            (
                format!("Content-Length: {}", head.len()),
                head.clone().into_bytes(),
            )
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nset-cookie: a=1\r\n{framing}\r\nSet-Cookie: b=2\r\n\r\n"
        );
        connection
            .get_mut()
            .write_all(&[head.as_bytes(), &content].concat())?;
    }
    Ok(())
}

fn read_head(from: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

fn length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths
        .next()
        .map_or(0, |(_, length)| length.parse().unwrap())
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    /// Chunks as they came; less than was promised where the connection ended before.
    pub(super) body: Vec<u8>,
    pub(super) took: Duration,
}

/// A client that keeps its connection as long as it can be kept.
pub(super) struct Client {
    host: Host,
    server: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(super) fn new(host: &Host, server: &Host) -> Self {
        Self {
            host: host.clone(),
            server: server.socket_address(Family::V4, PORT),
            connection: None,
        }
    }

    /// Asks for a path with more lines of fields, each with its end.
    pub(super) fn ask(&mut self, method: &str, path: &str, fields: &str) -> io::Result<Answer> {
        let began = Instant::now();
        let kept = self.connection.take();
        let mut connection = if let Some(connection) = kept {
            connection
        } else {
            let connect = || TcpStream::connect_timeout(&self.server, PATIENCE);
            let opened = self.host.run(connect).unwrap()?;
            opened.set_read_timeout(Some(PATIENCE))?;
            BufReader::new(opened)
        };
        let asked = format!("{method} {path} HTTP/1.1\r\nHost: service\r\n{fields}\r\n");
        connection.get_mut().write_all(asked.as_bytes())?;
        let head = read_head(&mut connection)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut body = Vec::new();
        let is_whole = if head.contains("Transfer-Encoding: chunked") {
            while connection.read_until(b'\n', &mut body)? > 0 && !body.ends_with(b"\n0\r\n\r\n") {}
            body.ends_with(b"\n0\r\n\r\n")
        } else {
            let promised = if method == "HEAD" { 0 } else { length(&head) };
            (&mut connection)
                .take(promised as u64)
                .read_to_end(&mut body)?
                == promised
        };
        let took = began.elapsed();
        if is_whole && !head.contains("Connection: close") {
            self.connection = Some(connection);
        }
        Ok(Answer {
            status: head[9..12].parse().unwrap(),
            head,
            body,
            took,
        })
    }

    /// Asks for a path, and must get an answer.
    pub(super) fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "").unwrap()
    }
}
