//! Where the body of a message ends. Finds the end and changes nothing: the bytes go on as they came. Knows no tokio.

/// Most hexadecimal digits of a chunk's size: 2^60 bytes.
const MOST_DIGITS: u8 = 15;

/// The rest of a message after its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
    /// Until the sender closes.
    UntilClose,
}

/// What is allowed to go on of the bytes that were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::relay) struct Taken {
    /// So many bytes belong to this message.
    pub(in crate::relay) bytes: usize,
    /// So many of them are content, rather than the framing of chunks.
    pub(in crate::relay) content: u64,
}

/// The bytes are not what the framing says: nobody can know where the message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::relay) struct Unframed;

/// Where in the chunked coding we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::relay) enum Chunks {
    /// In the digits of a size.
    Size { value: u64, digits: u8 },
    /// In what follows a size after a semicolon.
    Extension { value: u64 },
    /// The line of a size has had its CR.
    SizeLf { value: u64 },
    /// In the content of a chunk.
    Data { left: u64 },
    /// After the content of a chunk.
    DataCr,
    /// After that CR.
    DataLf,
    /// At the beginning of a line of the trailer.
    TrailerStart,
    /// In a line of the trailer.
    Trailer,
    /// A line of the trailer has had its CR.
    TrailerLf,
    /// The empty line at the end has had its CR.
    EndLf,
    /// Over.
    Done,
}

impl Body {
    /// No body.
    pub(in crate::relay) const NONE: Self = Self::Length(0);

    /// A body of chunks, at its beginning.
    pub(in crate::relay) const CHUNKED: Self = Self::Chunked(Chunks::Size {
        value: 0,
        digits: 0,
    });

    /// Whether all of it has been taken.
    pub(in crate::relay) fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunks::Done))
    }

    /// Whether the next byte is known to be content.
    pub(in crate::relay) fn is_within_content(&self) -> bool {
        matches!(self, Self::Length(1..) | Self::Chunked(Chunks::Data { .. }))
    }

    /// Takes what belongs to this body from the front of `bytes`, and at most `most` bytes of content.
    pub(in crate::relay) fn take(&mut self, bytes: &[u8], most: u64) -> Result<Taken, Unframed> {
        match self {
            Self::Length(left) => {
                let content = as_u64(bytes.len()).min(*left).min(most);
                *left -= content;
                Ok(Taken::content(content))
            }
            Self::UntilClose => Ok(Taken::content(as_u64(bytes.len()).min(most))),
            Self::Chunked(chunks) => chunks.take(bytes, most),
        }
    }
}

impl Taken {
    fn content(content: u64) -> Self {
        Self {
            bytes: usize::try_from(content).unwrap_or(usize::MAX),
            content,
        }
    }
}

impl Chunks {
    fn take(&mut self, bytes: &[u8], most: u64) -> Result<Taken, Unframed> {
        let mut at = 0;
        let mut content = 0;
        while *self != Self::Done && at < bytes.len() {
            let rest = &bytes[at..];
            match self {
                Self::Data { left } => {
                    let piece = as_u64(rest.len()).min(*left).min(most - content);
                    if piece == 0 {
                        break;
                    }
                    *left -= piece;
                    if *left == 0 {
                        *self = Self::DataCr;
                    }
                    content += piece;
                    at += Taken::content(piece).bytes;
                }
                // Only where the line ends matters, and it may be long.
                Self::Extension { .. } | Self::Trailer if !ends_text(rest[0]) => {
                    at += rest
                        .iter()
                        .position(|&byte| ends_text(byte))
                        .unwrap_or(rest.len());
                }
                Self::Size { .. }
                | Self::Extension { .. }
                | Self::SizeLf { .. }
                | Self::DataCr
                | Self::DataLf
                | Self::TrailerStart
                | Self::Trailer
                | Self::TrailerLf
                | Self::EndLf
                | Self::Done => {
                    *self = self.after(rest[0]).ok_or(Unframed)?;
                    at += 1;
                }
            }
        }
        Ok(Taken { bytes: at, content })
    }

    /// The state after one byte of framing; nothing if it must not come there.
    fn after(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Size { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16)?;
                (digits < MOST_DIGITS).then(|| Self::Size {
                    value: value << 4 | u64::from(digit),
                    digits: digits + 1,
                })
            }
            // There is one digit at least.
            (Self::Size { value, digits: 1.. }, b';') => Some(Self::Extension { value }),
            (Self::Size { value, digits: 1.. } | Self::Extension { value }, b'\r') => {
                Some(Self::SizeLf { value })
            }
            (Self::SizeLf { value: 0 } | Self::TrailerLf, b'\n') => Some(Self::TrailerStart),
            (Self::SizeLf { value }, b'\n') => Some(Self::Data { left: value }),
            (Self::DataCr, b'\r') => Some(Self::DataLf),
            (Self::DataLf, b'\n') => Some(Self::Size {
                value: 0,
                digits: 0,
            }),
            (Self::TrailerStart, b'\r') => Some(Self::EndLf),
            // Trailers are fields: their names are checked no further than that a line does not go on.
            (Self::TrailerStart, byte) => {
                (!matches!(byte, b' ' | b'\t' | b'\n' | 0)).then_some(Self::Trailer)
            }
            (Self::Trailer, b'\r') => Some(Self::TrailerLf),
            (Self::EndLf, b'\n') => Some(Self::Done),
            _ => None,
        }
    }
}

/// Bytes that no text within a line has.
fn ends_text(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0)
}

fn as_u64(length: usize) -> u64 {
    length as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left when all that belongs to the body has been taken, in pieces of `step` bytes.
    fn rest(mut body: Body, bytes: &[u8], step: usize) -> Result<(Body, usize), Unframed> {
        let mut at = 0;
        while at < bytes.len() && !body.is_over() {
            let piece = &bytes[at..bytes.len().min(at + step)];
            let taken = body.take(piece, u64::MAX)?;
            at += taken.bytes;
            if taken.bytes < piece.len() {
                break;
            }
        }
        Ok((body, bytes.len() - at))
    }

    #[test]
    fn the_end_is_found_however_the_bytes_come() {
        let cases: &[(Body, &[u8], usize)] = &[
            (Body::Length(5), b"hello", 0),
            (Body::Length(5), b"helloGET", 3),
            (Body::CHUNKED, b"5\r\nhello\r\n0\r\n\r\n", 0),
            (Body::CHUNKED, b"0\r\n\r\nGET /", 5),
            (
                Body::CHUNKED,
                b"00a;x=\"y\"\r\n0123456789\r\n1\r\nz\r\n000\r\n\r\n!",
                1,
            ),
            (
                Body::CHUNKED,
                b"1\r\n\n\r\n0\r\nA: b\r\nC: d\r\n\r\nmore",
                4,
            ),
        ];
        for (body, bytes, left) in cases {
            for step in 1..=bytes.len() {
                let (after, rest) = rest(body.clone(), bytes, step).unwrap();
                assert!(after.is_over());
                assert_eq!(rest, *left, "{step} {:?}", bytes.escape_ascii().to_string());
            }
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_framed() {
        for bytes in [
            &b"\r\n"[..],
            b"5 \r\n",
            b" 5\r\n",
            b"+5\r\n",
            b"0x5\r\n",
            b"5\nhello",
            b"5\rhello",
            b"5;a\nb\r\n",
            b"5;a\rb",
            b"5;a\0\r\n",
            b"5\t;a\r\n",
            b"g\r\n",
            b"-1\r\n",
            b"ffffffffffffffff\r\n",
            b"0000000000000000\r\n",
            b"1\r\nab",
            b"1\r\na\n",
            b"1\r\na\rb",
            b"0\r\n\n",
            b"0\r\n a: b\r\n",
            b"0\r\na: b\n",
            b"0\r\na: \0",
            b"0\r\n\rx",
        ] {
            for step in 1..=bytes.len() {
                let got = rest(Body::CHUNKED, bytes, step);
                assert_eq!(got, Err(Unframed), "{}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn content_is_counted_without_the_framing_and_can_be_limited() {
        let bytes = b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
        let mut body = Body::CHUNKED;
        let taken = body.take(bytes, 4).unwrap();
        assert_eq!(
            taken,
            Taken {
                bytes: 12,
                content: 4
            }
        );
        assert!(!body.is_over());
        let taken = body.take(&bytes[12..], u64::MAX).unwrap();
        assert_eq!(taken.content, 2);
        assert!(body.is_over());

        let mut length = Body::Length(10);
        assert_eq!(length.take(b"0123456789", 4).unwrap().bytes, 4);
        assert_eq!(length, Body::Length(6));
        assert_eq!(Body::UntilClose.take(b"xy", 1).unwrap().bytes, 1);
    }
}
