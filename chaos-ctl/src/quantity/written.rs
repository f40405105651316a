//! What `rewrite` writes: `4:deadbeef`, `old=new`, `+ece,-psh`.

use chaos_proto::v1::{PayloadPatch, PayloadReplace};

use super::number::digits;
use super::{InvalidQuantity, Problem};

const PATCH: &str = "give where and what in hexadecimal digits, such as 4:deadbeef";
const REPLACE: &str =
    "give as many bytes for others, such as OK=KO; \\xNN is a byte by its hexadecimal digits";
const FLAGS: &str = "give flags to set with + and to clear with -, such as +ece,-psh; there are fin, syn, rst, psh, ack, urg, ece and cwr";
const NUMBER: &str = "give a number, such as 64";
const PORT: &str = "give a port, 1 to 65535";
const ADDRESS: &str = "give an address, such as 10.0.0.7 or fd00::7";

const NAMES: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];

/// TCP's flags, as in the header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpFlags {
    /// Those to set.
    pub set: u32,
    /// Those to clear.
    pub clear: u32,
}

/// Reads flags to set and to clear.
pub fn tcp_flags(text: &str) -> Result<TcpFlags, InvalidQuantity> {
    let mut flags = TcpFlags::default();
    for part in text.split(',') {
        let change = part.trim().split_at_checked(1);
        let (to, name) = match change {
            Some(("+", name)) => (&mut flags.set, name),
            Some(("-", name)) => (&mut flags.clear, name),
            _ => {
                return Err(InvalidQuantity::new(
                    "change of TCP flags",
                    text,
                    Problem::Malformed,
                    FLAGS,
                ));
            }
        };
        let known = NAMES
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name));
        let Some(bit) = known else {
            return Err(InvalidQuantity::new(
                "change of TCP flags",
                text,
                Problem::Malformed,
                FLAGS,
            ));
        };
        *to |= 1 << bit;
    }
    Ok(flags)
}

/// Flags by their names: `+ece,-psh`.
pub fn tcp_flags_in_words(flags: TcpFlags) -> String {
    let of = |sign: char, bits: u32| {
        let names = NAMES.iter().enumerate();
        let set = names.filter(move |(bit, _)| bits & (1 << bit) != 0);
        set.map(move |(_, name)| format!("{sign}{name}"))
    };
    let changes: Vec<String> = of('+', flags.set).chain(of('-', flags.clear)).collect();
    changes.join(",")
}

/// Reads where and what.
pub fn patch(text: &str) -> Result<PayloadPatch, InvalidQuantity> {
    let wrong = |problem| InvalidQuantity::new("patch", text, problem, PATCH);
    let (offset, hex) = text
        .split_once(':')
        .ok_or_else(|| wrong(Problem::Malformed))?;
    let offset = digits(offset).map_err(wrong)?;
    let bytes = hexadecimal(hex).ok_or_else(|| wrong(Problem::Malformed))?;
    Ok(PayloadPatch { offset, bytes })
}

/// Reads what for what; `within` is still missing.
pub fn replace(text: &str) -> Result<PayloadReplace, InvalidQuantity> {
    let wrong = || InvalidQuantity::new("replacement", text, Problem::Malformed, REPLACE);
    let (old, new) = text.split_once('=').ok_or_else(wrong)?;
    let (old, new) = (
        unescaped(old).ok_or_else(wrong)?,
        unescaped(new).ok_or_else(wrong)?,
    );
    if old.is_empty() || old.len() != new.len() {
        return Err(wrong());
    }
    Ok(PayloadReplace {
        old,
        new,
        within: 0,
    })
}

/// Reads a whole number above 0.
pub fn number(text: &str) -> Result<u32, InvalidQuantity> {
    above_zero(text, NUMBER, u32::MAX)
}

/// Reads a port.
pub fn port(text: &str) -> Result<u32, InvalidQuantity> {
    above_zero(text, PORT, u16::MAX.into())
}

/// Reads an address.
pub fn address(text: &str) -> Result<String, InvalidQuantity> {
    match text.parse::<std::net::IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(InvalidQuantity::new(
            "address",
            text,
            Problem::Malformed,
            ADDRESS,
        )),
    }
}

fn above_zero(text: &str, accepted: &'static str, most: u32) -> Result<u32, InvalidQuantity> {
    let read = digits(text).and_then(|number| match number {
        0 => Err(Problem::Zero),
        number if number > most => Err(Problem::TooLarge),
        number => Ok(number),
    });
    read.map_err(|problem| InvalidQuantity::new("number", text, problem, accepted))
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let pairs = digits.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| {
            let pair = std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect();
    bytes.filter(|bytes| !bytes.is_empty())
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once("\\x") {
        bytes.extend_from_slice(plain.as_bytes());
        let (pair, after) = escape.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(pair, 16).ok()?);
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_set_and_cleared_by_name() {
        let flags = tcp_flags("+ECE,-psh,+urg").unwrap();
        assert_eq!((flags.set, flags.clear), (0x60, 0x08));
        assert_eq!(tcp_flags_in_words(flags), "+urg,+ece,-psh");
        for wrong in ["", "ece", "+", "+ece,", "+foo"] {
            assert!(tcp_flags(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn patches_are_hexadecimal() {
        let read = patch("4:0xDEad").unwrap();
        assert_eq!((read.offset, read.bytes), (4, vec![0xde, 0xad]));
        for wrong in ["", "4", "4:", "4:abc", "x:ab", "-1:ab", "4:zz"] {
            assert!(patch(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn replacements_are_equally_long() {
        let read = replace("O\\x4b=\\x00!").unwrap();
        assert_eq!((read.old, read.new), (b"OK".to_vec(), b"\0!".to_vec()));
        for wrong in ["", "a", "=", "a=bc", "a=\\x1", "a=\\xzz"] {
            assert!(replace(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ports_and_addresses_are_checked() {
        assert_eq!(port("65535"), Ok(65_535));
        assert!(port("65536").is_err() && port("0").is_err() && port("http").is_err());
        assert_eq!(address("FD00::7"), Ok("fd00::7".to_owned()));
        assert!(address("provider").is_err());
    }
}
