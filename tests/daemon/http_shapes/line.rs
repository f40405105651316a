//! One connection, held at both ends: what goes in at one must come out at the other, and nothing else.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use chaos_tests::lab::Host;

use crate::scenario::PATIENCE;

/// Between two bytes, so that each is a read of its own.
const SLOWLY: Duration = Duration::from_millis(1);

/// What happens on a connection, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The client says this, and the application gets it.
    Ask(&'static [u8]),
    /// The application says this, and the client gets it.
    Answer(&'static [u8]),
    /// The client says this, and does not wait for somebody to get it.
    Say(&'static [u8]),
    /// The application gets this, of what the client has said.
    Get(&'static [u8]),
    /// As `Ask`, a byte at a time.
    AskSlowly(&'static [u8]),
    /// As `Answer`, a byte at a time.
    AnswerSlowly(&'static [u8]),
    /// The client says no more, and does not wait for the application to know.
    SayEnd,
    /// The client says no more, and the application gets to know.
    AskEnds,
    /// The application says no more, and the client gets to know.
    AnswerEnds,
    /// The client's connection breaks, and so does the application's.
    AskBreaks,
    /// The application's connection breaks, and so does the client's.
    AnswerBreaks,
}

/// Both ends of a connection.
pub(super) struct Line {
    pub(super) client: TcpStream,
    pub(super) application: TcpStream,
}

impl Line {
    /// Connects `from` to whoever listens there.
    pub(super) fn open(from: &Host, to: SocketAddr, listener: &TcpListener) -> Self {
        let connect = || TcpStream::connect_timeout(&to, PATIENCE);
        let client = from.run(connect).unwrap().unwrap();
        let (application, _) = listener.accept().unwrap();
        for end in [&client, &application] {
            end.set_nodelay(true).unwrap();
            end.set_read_timeout(Some(PATIENCE)).unwrap();
            end.set_write_timeout(Some(PATIENCE)).unwrap();
        }
        Self {
            client,
            application,
        }
    }

    /// Plays all steps, ends what has not ended, and sees that nothing more has come.
    pub(super) fn play(mut self, what: &str, steps: &[Step]) {
        for (number, step) in steps.iter().enumerate() {
            let what = format!("{what}, step {}", number + 1);
            let (client, application) = (&mut self.client, &mut self.application);
            match *step {
                Step::Ask(bytes) => pass(&what, client, application, bytes),
                Step::Answer(bytes) => pass(&what, application, client, bytes),
                Step::Say(bytes) => client.write_all(bytes).unwrap(),
                Step::Get(bytes) => get(&what, application, bytes),
                Step::AskSlowly(bytes) => {
                    say_slowly(client, bytes);
                    get(&what, application, bytes);
                }
                Step::AnswerSlowly(bytes) => {
                    say_slowly(application, bytes);
                    get(&what, client, bytes);
                }
                Step::SayEnd => client.shutdown(Shutdown::Write).unwrap(),
                Step::AskEnds => end(&what, client, application),
                Step::AnswerEnds => end(&what, application, client),
                Step::AskBreaks => return abort(&what, self.client, application),
                Step::AnswerBreaks => return abort(&what, self.application, client),
            }
        }
        let ends = |wanted| {
            steps.iter().any(|step| {
                matches!(
                    (step, wanted),
                    (Step::AskEnds, true) | (Step::AnswerEnds, false)
                )
            })
        };
        if !ends(true) {
            end(
                &format!("{what}, the client's end"),
                &self.client,
                &mut self.application,
            );
        }
        if !ends(false) {
            end(
                &format!("{what}, the application's end"),
                &self.application,
                &mut self.client,
            );
        }
    }
}

/// Shows bytes as a person can read them.
pub(super) fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// What goes in at one end comes out at the other.
pub(super) fn pass(what: &str, from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
    from.write_all(bytes).unwrap();
    get(what, to, bytes);
}

/// These bytes come, and no others before them.
pub(super) fn get(what: &str, from: &mut TcpStream, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    let mut at = 0;
    let ended = loop {
        if at == got.len() {
            break String::new();
        }
        match from.read(&mut got[at..]) {
            Ok(0) => break "and the end".to_owned(),
            Ok(count) => at += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break format!("and {error}"),
        }
    };
    assert_eq!(shown(&got[..at]), shown(expected), "{what} {ended}");
}

fn say_slowly(to: &mut TcpStream, bytes: &[u8]) {
    for byte in bytes {
        to.write_all(&[*byte]).unwrap();
        thread::sleep(SLOWLY);
    }
}

fn end(what: &str, from: &TcpStream, to: &mut TcpStream) {
    // It may be gone already: whoever answers until the end of a connection ends both ways.
    let _gone = from.shutdown(Shutdown::Write);
    let mut rest = Vec::new();
    let ended = to
        .read_to_end(&mut rest)
        .map(drop)
        .map_err(|error| error.kind());
    assert_eq!((shown(&rest), ended), (String::new(), Ok(())), "{what}");
}

fn abort(what: &str, from: TcpStream, to: &mut TcpStream) {
    let linger = socket2::SockRef::from(&from).set_linger(Some(Duration::ZERO));
    linger.unwrap();
    drop(from);
    let ended = to.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(ended, Err(ErrorKind::ConnectionReset), "{what}");
}
