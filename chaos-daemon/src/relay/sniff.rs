//! What a client speaks, by its first bytes. Knows no tokio.

use memchr::memchr;

/// What an HTTP/2 client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Longest line of a request that is still taken for one.
const MOST_LINE: usize = 8 * 1024;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// HTTP/1.0 or 1.1.
    Http1,
    /// HTTP/2 without TLS, from its first byte on.
    Http2,
    /// TLS.
    Tls,
    /// Something else.
    Other,
}

/// What begins with these bytes; nothing if more are needed.
pub(super) fn sniff(bytes: &[u8]) -> Option<Speaks> {
    match bytes {
        [] | [0x16] => return None,
        [0x16, 0x03, ..] => return Some(Speaks::Tls),
        _ => {}
    }
    let length = bytes.len().min(PREFACE.len());
    // `PRI * HTTP/2.0` has no other meaning.
    if bytes[..length] == PREFACE[..length] {
        return (length == PREFACE.len()).then_some(Speaks::Http2);
    }
    // Empty lines may come before a request.
    let skipped = bytes
        .iter()
        .take_while(|&&byte| matches!(byte, b'\r' | b'\n'))
        .count();
    let line = &bytes[skipped..];
    let end = memchr(b'\n', line);
    let text = &line[..end.unwrap_or(line.len())];
    let method = text.iter().take_while(|&&byte| is_token(byte)).count();
    match text.get(method) {
        Some(b' ') if method > 0 => {}
        None if end.is_none() && bytes.len() < MOST_LINE => return None,
        _ => return Some(Speaks::Other),
    }
    if end.is_none() {
        let is_text = text.iter().all(|&byte| byte >= 0x20 || byte == b'\r');
        return (!is_text || bytes.len() >= MOST_LINE).then_some(Speaks::Other);
    }
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let version = text.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    Some(if version.starts_with(b"HTTP/1.") {
        Speaks::Http1
    } else {
        Speaks::Other
    })
}

/// Whether a server that speaks first begins as one of HTTP/2 does: with SETTINGS, which it need not be asked for.
pub(super) fn may_be_settings(bytes: &[u8]) -> bool {
    let fits = |(at, byte): (usize, &u8)| match at {
        // Six bytes for each setting, and few of them.
        2 => byte % 6 == 0,
        3 => *byte == 4,
        0..9 => *byte == 0,
        _ => true,
    };
    bytes.iter().take(9).enumerate().all(fits)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first answer when the bytes come one by one.
    fn first(bytes: &[u8]) -> Option<Speaks> {
        (0..=bytes.len()).find_map(|end| sniff(&bytes[..end]))
    }

    #[test]
    fn a_server_of_http_2_may_speak_first() {
        let settings = b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64";
        for end in 0..=settings.len() {
            assert!(may_be_settings(&settings[..end]));
        }
        for other in [&b"220 mail"[..], b"\0\0\0\x17", b"\0\0\x06\x04\x01\0\0\0\0"] {
            assert!(!may_be_settings(other));
        }
    }

    #[test]
    fn the_first_bytes_say_what_it_is() {
        let long_path = [b"GET /".as_slice(), &[b'a'; 9000], b" HTTP/1.1\r\n"].concat();
        let cases: &[(&[u8], Option<Speaks>)] = &[
            (b"GET / HTTP/1.1\r\nHost: x\r\n", Some(Speaks::Http1)),
            (b"\r\nPOST http://x/ HTTP/1.0\n", Some(Speaks::Http1)),
            (b"PUT / HTTP/1.1\r\n", Some(Speaks::Http1)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Speaks::Http2)),
            (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", Some(Speaks::Other)),
            (b"\x16\x03\x01\x02\x00", Some(Speaks::Tls)),
            (b"\x16\x04", Some(Speaks::Other)),
            (b"SSH-2.0-OpenSSH\r\n", Some(Speaks::Other)),
            (b"*1\r\n$4\r\nPING\r\n", Some(Speaks::Other)),
            (b"\x00\x00\x00\x17", Some(Speaks::Other)),
            (b"GET /\r\n", Some(Speaks::Other)),
            (b"select \x00", Some(Speaks::Other)),
            (b"GET / HT", None),
            (b"GE", None),
            (&long_path, Some(Speaks::Other)),
        ];
        for (bytes, speaks) in cases {
            assert_eq!(
                first(bytes),
                *speaks,
                "{}",
                bytes[..bytes.len().min(40)].escape_ascii()
            );
        }
        assert_eq!(sniff(b"GET / HTTP/1.1\r\n\r\n"), Some(Speaks::Http1));
    }
}
