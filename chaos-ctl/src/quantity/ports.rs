//! Ports and ranges of ports: `80`, `8000-8100`; of a service also by name.

use chaos_proto::v1::PortRange;

use super::{InvalidQuantity, Problem};

const ACCEPTED: &str = "give ports from 1 to 65535, such as 80, 80,443 or 8000-8100";

/// Reads one port, or a range with both ends included.
pub fn read_ports(text: &str) -> Result<PortRange, InvalidQuantity> {
    range(text).map_err(|problem| InvalidQuantity::new("port", text, problem, ACCEPTED))
}

/// Ports by number, or one by the name that a service has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// By number.
    Range(PortRange),
    /// By name.
    Name(String),
}

/// Reads ports as [`read_ports`] does, or a name. Whether there is something that names its ports is known later.
pub fn port_or_name(text: &str) -> Result<Port, InvalidQuantity> {
    let is_name = text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if is_name {
        return Ok(Port::Name(text.to_owned()));
    }
    read_ports(text).map(Port::Range)
}

impl InvalidQuantity {
    /// What is said about the name of a port where nothing names its ports.
    pub fn port_name(name: &str) -> Self {
        const NAME: &str = "is a name, and only ports of services and pods in a cluster have names";
        Self::new("port", name, Problem::Unfit(NAME), ACCEPTED)
    }
}

fn range(text: &str) -> Result<PortRange, Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    if text.starts_with('-') {
        return Err(Problem::Negative);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if last < first {
        return Err(Problem::Backwards);
    }
    Ok(PortRange { first, last })
}

fn port(text: &str) -> Result<u32, Problem> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Problem::Malformed);
    }
    match text.parse::<u16>() {
        Ok(0) => Err(Problem::Zero),
        Ok(port) => Ok(u32::from(port)),
        Err(_) => Err(Problem::TooLarge),
    }
}

/// Ports in a sentence: `port 80, 443 or 8000-8100`; empty for none.
pub fn ports_in_words(ports: &[PortRange]) -> String {
    let one = |range: &PortRange| {
        if range.first == range.last {
            range.first.to_string()
        } else {
            format!("{}-{}", range.first, range.last)
        }
    };
    match ports {
        [] => String::new(),
        [only] => format!("port {}", one(only)),
        [some @ .., last] => {
            let some: Vec<_> = some.iter().map(one).collect();
            format!("port {} or {}", some.join(", "), one(last))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ranges_are_read() {
        let range = |first, last| Ok(PortRange { first, last });
        assert_eq!(read_ports("80"), range(80, 80));
        assert_eq!(read_ports("8000-8100"), range(8000, 8100));
        assert_eq!(read_ports("1-65535"), range(1, 65535));
        for (text, problem) in [
            ("", Problem::Empty),
            ("0", Problem::Zero),
            ("65536", Problem::TooLarge),
            ("-80", Problem::Negative),
            ("80-", Problem::Malformed),
            ("+80", Problem::Malformed),
            ("http", Problem::Malformed),
            ("1-2-3", Problem::Malformed),
            ("8100-8000", Problem::Backwards),
        ] {
            assert_eq!(
                read_ports(text).map_err(|e| e.problem),
                Err(problem),
                "{text}"
            );
        }
    }

    #[test]
    fn names_of_ports_are_told_from_numbers() {
        assert_eq!(port_or_name("80"), read_ports("80").map(Port::Range));
        assert_eq!(port_or_name("http-2"), Ok(Port::Name("http-2".to_owned())));
        for text in ["", "80-", "http-", "Http", "-http", "8080x", "a_b"] {
            assert!(port_or_name(text).is_err(), "{text}");
        }
        assert!(
            InvalidQuantity::port_name("http")
                .to_string()
                .starts_with("port `http` is a name, ")
        );
    }

    #[test]
    fn ports_read_as_a_list() {
        let ranges: Vec<_> = ["80", "443", "8000-8100"]
            .iter()
            .filter_map(|text| read_ports(text).ok())
            .collect();
        assert_eq!(ports_in_words(&ranges), "port 80, 443 or 8000-8100");
        assert_eq!(ports_in_words(&ranges[..1]), "port 80");
        assert_eq!(ports_in_words(&[]), "");
    }
}
