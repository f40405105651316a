//! What clients and applications say to each other, well or badly, as the relay is to pass it.

use super::line::Step::{
    self, Answer, AnswerBreaks, AnswerEnds, AnswerSlowly, Ask, AskBreaks, AskEnds, AskSlowly, Get,
    Say, SayEnd,
};

/// A talk, and as what its connection is counted.
pub(super) struct Talk {
    pub(super) name: &'static str,
    pub(super) counted: Counted,
    pub(super) steps: &'static [Step],
}

/// What a connection is to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// So many requests.
    Http(u64),
    /// So many requests, and then something that cannot be framed.
    Unframed(u64),
    /// A request, and then another protocol.
    Switched,
    Encrypted,
    Other,
}

const fn talk(name: &'static str, counted: Counted, steps: &'static [Step]) -> Talk {
    Talk {
        name,
        counted,
        steps,
    }
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nhOsT:  service\r\nX-Odd: \xff\t;\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 Fine\r\ncontent-LENGTH:2\r\nX:\r\n\r\nok";

/// The beginning of what a browser says to open a connection of TLS 1.3.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\
\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x00\x00\x04\x13\x01\x13\x02\x01\x00";

pub(super) const TALKS: &[Talk] = &[
    talk("keep-alive", Counted::Http(3), &[Ask(GET), Answer(OK), Ask(GET), Answer(OK), Ask(GET), Answer(OK)]),
    talk(
        "pipelining",
        Counted::Http(3),
        &[
            Say(b"GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\n\r\n"),
            Get(b"GET /1 HTTP/1.1\r\n\r\n"),
            Answer(OK),
            Get(b"POST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"),
            Answer(b"HTTP/1.1 100 Continue\r\n\r\n"),
            Answer(OK),
            Get(b"GET /3 HTTP/1.1\r\n\r\n"),
            Answer(OK),
        ],
    ),
    talk(
        "pipelining, and the end of what is asked",
        Counted::Http(2),
        &[
            Say(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"),
            Get(b"GET /1 HTTP/1.1\r\n\r\n"),
            Answer(OK),
            Get(b"GET /2 HTTP/1.1\r\n\r\n"),
            AskEnds,
            Answer(OK),
        ],
    ),
    talk(
        "chunks with extensions and trailers, both ways",
        Counted::Http(2),
        &[
            Ask(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"),
            Ask(b"5;name=\"a;b\"\r\nhel"),
            Ask(b"lo\r\n0a\r\n0123456789\r\n"),
            Ask(b"000;last\r\nX-Sum: 1\r\nx-other:2\r\n\r\n"),
            Answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\nTrailer: X-Sum\r\n\r\n"),
            Answer(b"3;x\r\nabc\r\n"),
            Answer(b"0\r\nX-Sum: 2\r\n\r\n"),
            Ask(GET),
            Answer(OK),
        ],
    ),
    talk(
        "events that come bit by bit",
        Counted::Http(1),
        &[
            Ask(b"GET /events HTTP/1.1\r\nAccept: text/event-stream\r\n\r\n"),
            Answer(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Answer(b"9\r\ndata: 1\n\n\r\n"),
            Answer(b"9\r\ndata: 2\n\n\r\n"),
            AnswerEnds,
        ],
    ),
    talk(
        "100 before the body",
        Counted::Http(2),
        &[
            Ask(b"PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"),
            Answer(b"HTTP/1.1 100 Continue\r\n\r\n"),
            Ask(b"body"),
            Answer(OK),
            Ask(GET),
            Answer(OK),
        ],
    ),
    // A client that goes on without the body: nobody but the two of them knows whether it does.
    talk(
        "417 instead of 100",
        Counted::Unframed(1),
        &[
            Ask(b"PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"),
            Answer(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"),
            Ask(GET),
            Answer(OK),
        ],
    ),
    talk(
        "an answer before the body, and early hints",
        Counted::Http(2),
        &[
            Ask(b"PUT /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n01234"),
            Answer(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
            Answer(OK),
            Ask(b"56789"),
            Ask(GET),
            Answer(OK),
        ],
    ),
    talk(
        "HEAD, 204 and 304",
        Counted::Http(5),
        &[
            Ask(b"HEAD /a HTTP/1.1\r\n\r\n"),
            Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"),
            Ask(b"HEAD /a HTTP/1.1\r\n\r\n"),
            Answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Ask(b"DELETE /a HTTP/1.1\r\n\r\n"),
            Answer(b"HTTP/1.1 204 No Content\r\n\r\n"),
            Ask(GET),
            Answer(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: \"x\"\r\n\r\n"),
            Ask(GET),
            Answer(OK),
        ],
    ),
    talk(
        "HTTP/1.0 until the end",
        Counted::Http(1),
        &[Ask(b"GET /a HTTP/1.0\r\n\r\n"), Answer(b"HTTP/1.0 200 OK\r\n\r\nall that comes"), Answer(b" and more"), AnswerEnds],
    ),
    talk(
        "HTTP/1.0 that goes on",
        Counted::Http(2),
        &[
            Ask(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            Answer(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"),
            Ask(b"GET /a HTTP/1.0\r\n\r\n"),
            Answer(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            AnswerEnds,
        ],
    ),
    talk(
        "Connection: close",
        Counted::Http(1),
        &[
            Ask(b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n"),
            Answer(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
            AnswerEnds,
        ],
    ),
    talk(
        "a WebSocket",
        Counted::Switched,
        &[
            Ask(b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
            Answer(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x05hello"),
            Ask(b"\x81\x85\0\0\0\0hello"),
            Answer(b"\x81\x7e\x01\x00"),
            // What looks like a request is none here.
            Ask(b"GET /a HTTP/1.1\r\n\r\n"),
            Answer(b"\x88\x00"),
            AnswerEnds,
            Ask(b"\x88\x80\0\0\0\0"),
        ],
    ),
    talk(
        "a tunnel by CONNECT",
        Counted::Switched,
        &[
            Ask(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"),
            Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            Answer(b"first"),
            Ask(b"\0raw"),
            AskEnds,
            Answer(b"last"),
        ],
    ),
    talk(
        "a client that ends after it has asked",
        Counted::Http(1),
        &[Ask(GET), AskEnds, Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nol"), Answer(b"d!")],
    ),
    talk(
        "a client that ends in the middle of a body",
        Counted::Http(1),
        &[Ask(b"PUT /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123"), AskEnds, Answer(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")],
    ),
    talk("a client that ends in the middle of a head", Counted::Http(0), &[Say(b"GET /a HTTP/1.1\r\nHo"), SayEnd, Get(b"GET /a HTTP/1.1\r\nHo"), Answer(OK)]),
    talk(
        "a byte at a time",
        Counted::Http(2),
        &[
            AskSlowly(b"\r\nPOST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;e\r\nabc\r\n0\r\n\r\n"),
            AnswerSlowly(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;e\r\nabc\r\n0\r\nA: b\r\n\r\n"),
            AskSlowly(b"PUT /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"),
            AnswerSlowly(OK),
        ],
    ),
    talk(
        "an answer that ends early",
        Counted::Http(1),
        &[Ask(GET), Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"), AnswerEnds],
    ),
    talk("an application that ends without an answer", Counted::Http(1), &[Ask(GET), AnswerEnds]),
    talk("a client that breaks off", Counted::Http(1), &[Ask(b"PUT /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123"), AskBreaks]),
    talk("an application that breaks off", Counted::Http(1), &[Ask(GET), Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"), AnswerBreaks]),
    talk("a client that breaks off while idle", Counted::Http(1), &[Ask(GET), Answer(OK), AskBreaks]),
    talk("an application that breaks off while idle", Counted::Http(1), &[Ask(GET), Answer(OK), AnswerBreaks]),
    talk(
        "an answer to nobody",
        Counted::Http(1),
        &[Ask(GET), Answer(OK), Answer(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"), AnswerEnds],
    ),
    talk("other forms of a target", Counted::Http(2), &[
        Ask(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
        Answer(OK),
        Ask(b"GET http://x/y?z=/ HTTP/1.1\r\nHost: x\r\n\r\n"),
        Answer(OK),
    ]),
    talk("an answer of no known form", Counted::Unframed(1), &[Ask(GET), Answer(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), Ask(GET), Answer(b"<html>")]),
    talk("TLS", Counted::Encrypted, &[Ask(CLIENT_HELLO), Answer(b"\x16\x03\x03\x00\x01\x02"), Ask(b"\x17\x03\x03\x00\x01GET / HTTP/1.1\r\n\r\n"), AskEnds, Answer(b"\x15\x03\x03")]),
    talk("a protocol whose client speaks first", Counted::Other, &[Ask(b"*1\r\n$4\r\nPING\r\n"), Answer(b"+PONG\r\n"), Ask(b"GET a\r\n"), Answer(b"$-1\r\n")]),
    talk("a protocol whose server speaks first", Counted::Other, &[Answer(b"220 mail\r\n"), Ask(b"EHLO x\r\n"), Answer(b"250 x\r\n"), AskEnds, Answer(b"221 bye\r\n")]),
    talk("a protocol of numbers", Counted::Other, &[Ask(b"\0\0\0\x08\x04\xd2\x16\x2f"), Answer(b"N"), AskEnds]),
    talk("a check whether somebody listens", Counted::Http(0), &[AskEnds]),
];
