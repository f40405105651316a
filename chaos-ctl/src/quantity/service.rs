//! What faults of requests are written with: shares as fractions, header fields, matches, statuses.

use std::time::Duration;

use chaos_proto::v1::{Header, HeaderMatch, RequestMatch};

use super::share::parts_per_million;
use super::time::{nanoseconds, scaled};
use super::{InvalidQuantity, Problem, number, rate};

const FRACTION: &str = "give a fraction such as 0.1, or a percentage with its sign such as 10%";
const TIME: &str =
    "give a number, 0 or above, with its unit (ns, us, ms, s, m or h), such as 100ms, 1.5s or 0s";
const THROTTLE: &str = "give bytes or bits a second, such as 10kB/s, 1.5MB/s or 800kbit/s";
const BYTES: &str = "give a number of bytes, 0 or above, such as 100 or 64kB";
const COUNT: &str = "give a whole number above 0, such as 3";
const STATUS: &str = "give 1 to 16 or its name, such as 14 or UNAVAILABLE";
const CODE: &str = "give a status of HTTP, such as 500";
const FIELD: &str = "give NAME=VALUE or 'NAME: VALUE', such as x-fault=yes";
const FIELD_MATCH: &str = "give NAME, NAME=VALUE or 'NAME: VALUE', such as x-user=test-*";
const REQUEST: &str = "give a path, a method, or both, such as '/api/**', GET or 'GET /api/*'";
const BODY: &str = "give the text, or @FILE";

/// Statuses of gRPC, from 0 on.
pub const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A share of requests in parts per million: 0 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction(u32);

/// A text, or where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// As given.
    Text(String),
    /// In a file.
    File(String),
}

impl Fraction {
    /// As the wire has it.
    pub fn ppm(self) -> u32 {
        self.0
    }
}

/// Reads a share of requests: `0.1`, or `10%`. A number above 1 without a sign may be meant as either.
pub fn fraction(text: &str) -> Result<Fraction, InvalidQuantity> {
    let read = || {
        if text.ends_with('%') {
            return parts_per_million(text);
        }
        let is_sign = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        match text {
            "" => Err(Problem::Empty),
            text if text.starts_with(['-', '−']) => Err(Problem::Negative),
            text if !text.bytes().all(is_sign) => Err(Problem::Malformed),
            text => match u32::try_from(scaled(text, 1_000_000, "0.000001")?) {
                Ok(ppm @ ..=1_000_000) => Ok(ppm),
                Ok(_) | Err(_) => Err(Problem::Unfit("is above 1")),
            },
        }
    };
    read()
        .map(Fraction)
        .map_err(|problem| InvalidQuantity::new("share", text, problem, FRACTION))
}

/// Reads the share that is aborted; `true` in a file, and nothing on the command line, means all.
pub fn abort(text: &str) -> Result<Fraction, InvalidQuantity> {
    match text {
        "true" => Ok(Fraction(1_000_000)),
        "false" => Ok(Fraction(0)),
        text => fraction(text),
    }
}

/// Reads a delay of requests: zero or above.
pub fn pause(text: &str) -> Result<Duration, InvalidQuantity> {
    time("delay", text)
}

/// Reads how much a delay of requests varies: zero or above.
pub fn variation(text: &str) -> Result<Duration, InvalidQuantity> {
    time("variation", text)
}

/// Reads how long requests may run on: zero or above.
pub fn drain(text: &str) -> Result<Duration, InvalidQuantity> {
    time("drain", text)
}

fn time(name: &'static str, text: &str) -> Result<Duration, InvalidQuantity> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let read = nanoseconds(text).and_then(|ns| u64::try_from(ns).map_err(|_| Problem::TooLarge));
    read.map(Duration::from_nanos)
        .map_err(|problem| InvalidQuantity::new(name, text, problem, TIME))
}

/// Reads how fast a body comes, in bytes a second. Bodies are counted in bytes: `kb/s` can mean nothing else.
pub fn throttle(text: &str) -> Result<u64, InvalidQuantity> {
    let bytes = text
        .strip_suffix("b/s")
        .map(|number| format!("{number}B/s"));
    rate::bytes_per_second(bytes.as_deref().unwrap_or(text))
        .map_err(|problem| InvalidQuantity::new("throttle", text, problem, THROTTLE))
}

/// Reads a number of bytes: zero or above, with or without a unit.
pub fn byte_count(text: &str) -> Result<u64, InvalidQuantity> {
    let read = match number::digits(text) {
        Ok(bytes) => Ok(bytes.into()),
        Err(Problem::Malformed | Problem::TooLarge) => {
            rate::size(text).map_err(|error| error.problem)
        }
        Err(problem) => Err(problem),
    };
    read.map_err(|problem| InvalidQuantity::new("number of bytes", text, problem, BYTES))
}

/// Reads N of "the first N requests": above zero.
pub fn request_count(text: &str) -> Result<u32, InvalidQuantity> {
    let read = number::digits(text).and_then(|count| match count {
        0 => Err(Problem::Zero),
        count => Ok(count),
    });
    read.map_err(|problem| InvalidQuantity::new("number of requests", text, problem, COUNT))
}

/// Reads a status of HTTP; whether there is one of that number, the agent says.
pub fn http_code(text: &str) -> Result<u32, InvalidQuantity> {
    number::digits(text).map_err(|problem| InvalidQuantity::new("status", text, problem, CODE))
}

/// Reads a status of gRPC by its number or its name.
pub fn grpc_code(text: &str) -> Result<u32, InvalidQuantity> {
    let known = text.to_ascii_uppercase().replace('-', "_");
    let known = if known == "CANCELED" {
        "CANCELLED"
    } else {
        &known
    };
    if let Some(code) = STATUSES.iter().position(|name| *name == known) {
        return Ok(u32::try_from(code).unwrap_or(u32::MAX));
    }
    number::digits(text).map_err(|problem| InvalidQuantity::new("status", text, problem, STATUS))
}

/// Reads a text, or `@FILE`; a text that begins with @ has two of them.
pub fn body(text: &str) -> Result<Body, InvalidQuantity> {
    Ok(match text.strip_prefix('@') {
        None => Body::Text(text.to_owned()),
        Some(rest) if rest.starts_with('@') => Body::Text(rest.to_owned()),
        Some("") => return Err(InvalidQuantity::new("body", text, Problem::Malformed, BODY)),
        Some(file) => Body::File(file.to_owned()),
    })
}

/// Reads a header field to write.
pub fn header(text: &str) -> Result<Header, InvalidQuantity> {
    match name_and_value(text) {
        (name, Some(value)) if !name.is_empty() => Ok(Header {
            name: name.to_owned(),
            value: value.to_owned(),
        }),
        _ => Err(InvalidQuantity::new(
            "header field",
            text,
            Problem::Malformed,
            FIELD,
        )),
    }
}

/// Reads which header field requests must have.
pub fn header_match(text: &str) -> Result<HeaderMatch, InvalidQuantity> {
    match name_and_value(text) {
        ("", _) => Err(InvalidQuantity::new(
            "header field",
            text,
            Problem::Malformed,
            FIELD_MATCH,
        )),
        (name, value) => Ok(HeaderMatch {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        }),
    }
}

/// No name has either sign; whichever comes first ends it.
fn name_and_value(text: &str) -> (&str, Option<&str>) {
    match text.split_once([':', '=']) {
        Some((name, value)) => (name.trim(), Some(value.trim())),
        None => (text.trim(), None),
    }
}

/// Reads which requests: a method, a path, or both.
pub fn request_match(text: &str) -> Result<RequestMatch, InvalidQuantity> {
    let mut words = text.split_whitespace();
    let (first, second, third) = (words.next(), words.next(), words.next());
    let is_path = |word: &str| word.starts_with(['/', '*']);
    let (method, path) = match (first, second, third) {
        (Some(path), None, None) if is_path(path) => ("", path),
        (Some(method), None, None) => (method, ""),
        (Some(method), Some(path), None) if !is_path(method) && is_path(path) => (method, path),
        _ => {
            let problem = first.map_or(Problem::Empty, |_| Problem::Malformed);
            return Err(InvalidQuantity::new(
                "match of requests",
                text,
                problem,
                REQUEST,
            ));
        }
    };
    Ok(RequestMatch {
        method: method.to_ascii_uppercase(),
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_fraction_or_has_a_sign() {
        for (text, ppm) in [
            ("0", 0),
            ("0.1", 100_000),
            ("1", 1_000_000),
            ("1.0", 1_000_000),
            ("10%", 100_000),
            ("0.000001", 1),
        ] {
            assert_eq!(fraction(text).map(Fraction::ppm), Ok(ppm), "{text}");
        }
        for text in ["", "-0.1", "10", "1.1", "101%", "a", "0.0000001"] {
            assert!(fraction(text).is_err(), "{text}");
        }
        let ten = fraction("10").unwrap_err().to_string();
        assert_eq!(ten, format!("share `10` is above 1: {FRACTION}"));
        assert_eq!(abort("true").map(Fraction::ppm), Ok(1_000_000));
    }

    #[test]
    fn a_body_comes_in_bytes() {
        for (text, bytes) in [
            ("10kb/s", 10_000),
            ("10kB/s", 10_000),
            ("80kbit", 10_000),
            ("1B/s", 1),
        ] {
            assert_eq!(throttle(text), Ok(bytes), "{text}");
        }
        assert!(throttle("10").is_err());
        for (text, bytes) in [("0", 0), ("100", 100), ("64kB", 64_000)] {
            assert_eq!(byte_count(text), Ok(bytes), "{text}");
        }
        assert!(byte_count("-1").is_err());
    }

    #[test]
    fn statuses_have_names() {
        for text in ["14", "UNAVAILABLE", "unavailable"] {
            assert_eq!(grpc_code(text), Ok(14), "{text}");
        }
        assert_eq!(grpc_code("deadline-exceeded"), Ok(4));
        assert!(grpc_code("broken").is_err());
        assert_eq!(http_code("503"), Ok(503));
        assert!(http_code("5xx").is_err());
    }

    #[test]
    fn fields_have_a_name_and_perhaps_a_value() {
        let of = |name: &str, value: &str| Header {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        assert_eq!(header("x-a=1"), Ok(of("x-a", "1")));
        assert_eq!(header("x-a: b=c"), Ok(of("x-a", "b=c")));
        assert_eq!(header("x-a="), Ok(of("x-a", "")));
        assert!(header("x-a").is_err());
        assert!(header("=1").is_err());
        assert_eq!(header_match("x-a").unwrap().value, None);
        assert_eq!(header_match("x-a: b*").unwrap().value.unwrap(), "b*");
    }

    #[test]
    fn requests_have_a_method_and_a_path() {
        for (text, method, path) in [
            ("GET /api/*", "GET", "/api/*"),
            ("get", "GET", ""),
            ("/a", "", "/a"),
            ("**", "", "**"),
        ] {
            let wanted = request_match(text).unwrap();
            let found = (wanted.method.as_str(), wanted.path.as_str());
            assert_eq!(found, (method, path));
        }
        for text in ["", "GET api", "/a GET", "GET /a b"] {
            assert!(request_match(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_body_is_text_or_in_a_file() {
        assert_eq!(body("down"), Ok(Body::Text("down".into())));
        assert_eq!(body("@@down"), Ok(Body::Text("@down".into())));
        assert_eq!(body("@a.json"), Ok(Body::File("a.json".into())));
        assert!(body("@").is_err());
    }

    #[test]
    fn a_delay_may_be_nothing() {
        assert_eq!(pause("0"), Ok(Duration::ZERO));
        assert_eq!(pause("0s"), Ok(Duration::ZERO));
        assert_eq!(variation("50ms"), Ok(Duration::from_millis(50)));
        assert!(pause("100").is_err());
    }
}
