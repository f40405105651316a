//! The head of a message: where it ends, and how its body is framed. Strict where two readers could differ, since what
//! we frame otherwise than the application does would be a request that one of us never saw. Knows no tokio.

use std::mem::MaybeUninit;

use memchr::memchr;

use super::body::Body;
use crate::relay::decide;

/// Most fields of a head.
const MOST_FIELDS: usize = 128;

/// Nobody can know how this message is to be read: it goes on as it came, and so does all that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::relay) struct Odd;

/// A search for the end of a head that does not look at a byte twice, however slowly they come.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::relay) struct Scan {
    at: usize,
    line: usize,
    text: bool,
}

impl Scan {
    /// The length of the head at the front of `bytes`, which have only grown since the last call; nothing if more
    /// is needed.
    pub(in crate::relay) fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, Odd> {
        while let Some(found) = memchr(b'\n', &bytes[self.at..]) {
            let lf = self.at + found;
            if lf == self.line || bytes[lf - 1] != b'\r' {
                return Err(Odd);
            }
            let is_empty = lf == self.line + 1;
            (self.at, self.line) = (lf + 1, lf + 1);
            if is_empty && self.text {
                return Ok(Some(self.at));
            }
            // Empty lines before the first are ignored by all, RFC 9112 section 2.2.
            self.text |= !is_empty;
        }
        self.at = bytes.len();
        Ok(None)
    }
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub(in crate::relay) struct Request<'a> {
    pub(in crate::relay) method: &'a str,
    pub(in crate::relay) target: &'a str,
    pub(in crate::relay) fields: Fields<'a>,
    /// HTTP/1.1, rather than 1.0.
    pub(in crate::relay) is_1_1: bool,
}

/// The fields of a head, in their order.
#[derive(Clone, Copy, Debug)]
pub(in crate::relay) struct Fields<'a>(&'a [httparse::Header<'a>]);

/// What of a head says how to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) struct Framing {
    pub(in crate::relay) body: Body,
    /// The connection ends after this message.
    pub(in crate::relay) closes: bool,
    /// The sender waits for 100 before it sends the body.
    pub(in crate::relay) expects: bool,
}

/// What an answer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::relay) enum Asked {
    /// HEAD.
    Head,
    /// CONNECT.
    Connect,
    /// Anything else.
    Other,
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) enum Answer {
    /// Another answer follows.
    Interim,
    /// No HTTP after this.
    Switch,
    /// The answer.
    Final(Framing),
}

impl Request<'_> {
    /// Reads a whole head, and has `then` look at it.
    pub(in crate::relay) fn read<T>(
        head: &[u8],
        then: impl FnOnce(Request<'_>) -> T,
    ) -> Result<(Framing, T), Odd> {
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(head, &mut fields);
        let (Ok(httparse::Status::Complete(length)), Some(method), Some(target), Some(minor)) =
            (parsed, request.method, request.path, request.version)
        else {
            return Err(Odd);
        };
        if length != head.len() {
            return Err(Odd);
        }
        let lengths = Lengths::find(head, request.headers)?;
        let body = match (lengths.chunked, lengths.length) {
            (true, Some(_)) => return Err(Odd),
            (true, None) if minor == 0 => return Err(Odd),
            (true, None) => Body::CHUNKED,
            (false, length) => Body::Length(length.unwrap_or(0)),
        };
        let framing = Framing {
            body,
            closes: lengths.closes,
            expects: lengths.expects,
        };
        let request = Request {
            method,
            target,
            fields: Fields(request.headers),
            is_1_1: minor == 1,
        };
        let value = then(request);
        Ok((framing, value))
    }

    /// What an answer to it is one to.
    pub(in crate::relay) fn asked(&self) -> Asked {
        match self.method {
            "HEAD" => Asked::Head,
            "CONNECT" => Asked::Connect,
            _ => Asked::Other,
        }
    }
}

impl Request<'_> {
    /// Whether the client would go on in HTTP/2, RFC 7540 section 3.2.
    pub(in crate::relay) fn offers_h2c(&self) -> bool {
        let mut fields = self.fields.0.iter();
        fields.any(|field| {
            field.name.eq_ignore_ascii_case("upgrade") && has_token(field.value, b"h2c")
        })
    }
}

impl Answer {
    /// Whether `bytes` can be the beginning of an answer.
    pub(in crate::relay) fn may_begin(bytes: &[u8]) -> bool {
        const START: &[u8] = b"HTTP/1.";
        let length = bytes.len().min(START.len());
        bytes[..length] == START[..length]
    }

    /// Reads a whole head.
    pub(in crate::relay) fn read(head: &[u8], asked: Asked) -> Result<Self, Odd> {
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut answer = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let parsed = config.parse_response_with_uninit_headers(&mut answer, head, &mut fields);
        let (Ok(httparse::Status::Complete(length)), Some(code), Some(minor)) =
            (parsed, answer.code, answer.version)
        else {
            return Err(Odd);
        };
        if length != head.len() {
            return Err(Odd);
        }
        match code {
            101 => return Ok(Self::Switch),
            100..200 => return Ok(Self::Interim),
            200..300 if asked == Asked::Connect => return Ok(Self::Switch),
            _ => {}
        }
        let lengths = Lengths::find(head, answer.headers)?;
        let body = match (lengths.chunked, lengths.length) {
            (true, Some(_)) => return Err(Odd),
            (true, None) if minor == 0 => return Err(Odd),
            _ if asked == Asked::Head || matches!(code, 204 | 304) => Body::NONE,
            (true, None) => Body::CHUNKED,
            (false, Some(length)) => Body::Length(length),
            (false, None) => Body::UntilClose,
        };
        Ok(Self::Final(Framing {
            body,
            closes: lengths.closes,
            expects: false,
        }))
    }
}

impl decide::Fields for Fields<'_> {
    fn any(&self, test: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
        self.0
            .iter()
            .any(|field| test(field.name.as_bytes(), field.value))
    }
}

/// What the fields say about the body and the connection.
#[derive(Default)]
struct Lengths {
    length: Option<u64>,
    chunked: bool,
    closes: bool,
    expects: bool,
}

impl Lengths {
    fn find(head: &[u8], fields: &[httparse::Header<'_>]) -> Result<Self, Odd> {
        let mut found = Self::default();
        for field in fields {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            match field.name.len() {
                14 if is("content-length") => {
                    let length = length(field.value).filter(|_| is_plain(head, field));
                    if found.length.is_some() || length.is_none() {
                        return Err(Odd);
                    }
                    found.length = length;
                }
                17 if is("transfer-encoding") => {
                    let chunked = field.value.eq_ignore_ascii_case(b"chunked");
                    if found.chunked || !chunked || !is_plain(head, field) {
                        return Err(Odd);
                    }
                    found.chunked = true;
                }
                10 if is("connection") => found.closes |= has_token(field.value, b"close"),
                6 if is("expect") => found.expects = true,
                _ => {}
            }
        }
        Ok(found)
    }
}

/// Digits and nothing else.
fn length(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value)
        .ok()
        .filter(|_| digits)?
        .parse()
        .ok()
}

/// Whether nothing but spaces stands between the colon and the value, and nothing behind it.
fn is_plain(head: &[u8], field: &httparse::Header<'_>) -> bool {
    let offset = field.name.as_ptr().addr() - head.as_ptr().addr() + field.name.len();
    let Some(rest) = head.get(offset..).and_then(|rest| rest.strip_prefix(b":")) else {
        return false;
    };
    let spaces = rest.iter().take_while(|&&byte| byte == b' ').count();
    rest[spaces..]
        .strip_prefix(field.value)
        .is_some_and(|rest| rest.starts_with(b"\r\n"))
}

/// Whether a list has this word.
fn has_token(list: &[u8], word: &[u8]) -> bool {
    list.split(|&byte| byte == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(head: &[u8]) -> Result<Framing, Odd> {
        let end = Scan::default().find(head)?.ok_or(Odd)?;
        assert_eq!(end, head.len());
        Ok(Request::read(head, |_| ())?.0)
    }

    fn answer(head: &[u8], asked: Asked) -> Result<Answer, Odd> {
        let end = Scan::default().find(head)?.ok_or(Odd)?;
        assert_eq!(end, head.len());
        Answer::read(head, asked)
    }

    fn framed(body: Body) -> Framing {
        Framing {
            body,
            closes: false,
            expects: false,
        }
    }

    #[test]
    fn the_end_of_a_head_is_found_however_it_comes() {
        let head = b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n";
        for step in 1..=head.len() {
            let mut scan = Scan::default();
            let ends: Vec<usize> = (step..head.len())
                .step_by(step)
                .chain([head.len()])
                .collect();
            for &end in &ends {
                let found = scan.find(&head[..end]).unwrap();
                assert_eq!(found, (end == head.len()).then_some(end), "{step}");
            }
        }
        let two = b"GET / HTTP/1.1\r\n\r\nGET";
        assert_eq!(Scan::default().find(two), Ok(Some(18)));
        for odd in [
            &b"\n"[..],
            b"GET / HTTP/1.1\nA: b\r\n\r\n",
            b"GET / HTTP/1.1\r\n\n",
        ] {
            assert_eq!(Scan::default().find(odd), Err(Odd));
        }
    }

    #[test]
    fn a_request_is_framed_by_what_it_says() {
        let cases: &[(&[u8], Framing)] = &[
            (b"GET / HTTP/1.1\r\n\r\n", framed(Body::NONE)),
            (b"\r\nGET / HTTP/1.0\r\nA:b\r\n\r\n", framed(Body::NONE)),
            (
                b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
                framed(Body::Length(5)),
            ),
            (
                b"POST / HTTP/1.0\r\ncontent-length:07\r\n\r\n",
                framed(Body::Length(7)),
            ),
            (
                b"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n",
                framed(Body::CHUNKED),
            ),
            (
                b"GET / HTTP/1.1\r\nConnection: Keep-Alive , Close\r\n\r\n",
                Framing {
                    closes: true,
                    ..framed(Body::NONE)
                },
            ),
            (
                b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
                Framing {
                    expects: true,
                    ..framed(Body::Length(1))
                },
            ),
        ];
        for (head, framing) in cases {
            assert_eq!(
                request(head).as_ref(),
                Ok(framing),
                "{}",
                head.escape_ascii()
            );
        }
    }

    #[test]
    fn an_answer_is_framed_by_what_it_answers() {
        let last = |body| Ok(Answer::Final(framed(body)));
        let length = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(answer(length, Asked::Other), last(Body::Length(5)));
        assert_eq!(answer(length, Asked::Head), last(Body::NONE));
        assert_eq!(answer(length, Asked::Connect), Ok(Answer::Switch));
        let chunked = b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(answer(chunked, Asked::Other), last(Body::CHUNKED));
        assert_eq!(answer(chunked, Asked::Head), last(Body::NONE));
        let open = b"HTTP/1.0 200 OK\r\n\r\n";
        assert_eq!(answer(open, Asked::Other), last(Body::UntilClose));
        let none = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(answer(none, Asked::Other), last(Body::NONE));
        assert_eq!(
            answer(b"HTTP/1.1 204 x\r\n\r\n", Asked::Other),
            last(Body::NONE)
        );
        assert_eq!(
            answer(b"HTTP/1.1 100 Continue\r\n\r\n", Asked::Other),
            Ok(Answer::Interim)
        );
        assert_eq!(
            answer(b"HTTP/1.1 103 x\r\nA: b\r\n\r\n", Asked::Other),
            Ok(Answer::Interim)
        );
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n";
        assert_eq!(answer(switch, Asked::Other), Ok(Answer::Switch));
        for odd in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            b"HTTP/2 200 OK\r\n\r\n",
            b"ICY 200 OK\r\n\r\n",
        ] {
            assert_eq!(
                answer(odd, Asked::Other),
                Err(Odd),
                "{}",
                odd.escape_ascii()
            );
        }
        assert!(Answer::may_begin(b"HT") && Answer::may_begin(b"HTTP/1.1 200"));
        assert!(!Answer::may_begin(b"<ht") && !Answer::may_begin(b"HTTP/2 200"));
    }
}
