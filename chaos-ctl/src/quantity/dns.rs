//! What is asked of DNS, and answered: names, types of records, addresses.

use std::net::IpAddr;

use super::{InvalidQuantity, Problem};

const ANSWER: &str = "give nxdomain, servfail, refused, drop, or an address or two, such as 10.0.0.9 or 10.0.0.9,fd00::9";
const NAME: &str = "give a name such as api.example.com, or *.example.com for all below it";
const LETTERS: &str = "letters, digits, - and _ make a name such as api.example.com, or *.example.com for all below it";
const PUNYCODE: &str = "give it as it is asked for, in punycode, such as xn--bcher-kva.example";
const RECORD: &str = "give a type such as A, AAAA, MX or TYPE65, or ANY for all";
const LONGEST_LABEL: usize = 63;
const LONGEST_NAME: usize = 253;

/// Types of records that have names here (those of IANA that applications ask for).
const RECORDS: [(&str, u32); 17] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("NAPTR", 35),
    ("DS", 43),
    ("RRSIG", 46),
    ("DNSKEY", 48),
    ("TLSA", 52),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("CAA", 257),
];

/// Stands for all types of records.
pub const ANY_RECORD: u32 = 0;

/// What a question is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsAnswer {
    /// There is no such name.
    Nxdomain,
    /// The server failed.
    Servfail,
    /// The server does not want to.
    Refused,
    /// Nothing.
    Drop,
    /// The name has these: at most one of IPv4 and one of IPv6.
    Addresses(Vec<IpAddr>),
}

/// Reads an answer: a word, in whatever case, or addresses.
pub fn dns_answer(text: &str) -> Result<DnsAnswer, InvalidQuantity> {
    let invalid = |problem| InvalidQuantity::new("answer", text, problem, ANSWER);
    Ok(match text.to_ascii_lowercase().as_str() {
        "" => return Err(invalid(Problem::Empty)),
        "nxdomain" => DnsAnswer::Nxdomain,
        "servfail" => DnsAnswer::Servfail,
        "refused" => DnsAnswer::Refused,
        "drop" => DnsAnswer::Drop,
        _ => {
            let addresses: Result<Vec<IpAddr>, _> =
                text.split(',').map(|part| part.trim().parse()).collect();
            let addresses = addresses.map_err(|_| invalid(Problem::Malformed))?;
            let of_v4 = addresses.iter().filter(|address| address.is_ipv4()).count();
            if of_v4 > 1 || addresses.len() - of_v4 > 1 {
                return Err(invalid(Problem::Unfit("has two addresses of one kind")));
            }
            DnsAnswer::Addresses(addresses)
        }
    })
}

/// Checks the form of a name, or of one with an asterisk for all below it, and hands it on as written.
pub fn dns_name(text: &str) -> Result<String, InvalidQuantity> {
    let refuse = |problem, accepted| Err(InvalidQuantity::new("name", text, problem, accepted));
    let name = text.strip_prefix("*.").unwrap_or(text);
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_usual = |sign: char| sign.is_ascii_alphanumeric() || "-_.".contains(sign);
    if name.is_empty() {
        return refuse(Problem::Empty, NAME);
    }
    if !name.is_ascii() {
        return refuse(Problem::Unfit("is not ASCII"), PUNYCODE);
    }
    if name.contains('*') {
        return refuse(
            Problem::Unfit("has * elsewhere than as its whole first label"),
            NAME,
        );
    }
    if !name.chars().all(is_usual) {
        return refuse(Problem::Unfit("has a sign that no name has"), LETTERS);
    }
    if name.split('.').any(str::is_empty) {
        return refuse(Problem::Unfit("has nothing between two dots"), NAME);
    }
    if name.split('.').any(|label| label.len() > LONGEST_LABEL) {
        return refuse(
            Problem::Unfit("has more than 63 letters between two dots"),
            NAME,
        );
    }
    if name.len() > LONGEST_NAME {
        return refuse(Problem::Unfit("has more than 253 letters"), NAME);
    }
    Ok(text.to_owned())
}

/// Reads a type of records: its name, in whatever case, or `TYPE` and its number (RFC 3597).
pub fn record_type(text: &str) -> Result<u32, InvalidQuantity> {
    let upper = text.to_ascii_uppercase();
    if upper == "ANY" {
        return Ok(ANY_RECORD);
    }
    if let Some((_, number)) = RECORDS.iter().find(|(name, _)| *name == upper) {
        return Ok(*number);
    }
    let number = upper.strip_prefix("TYPE").map(str::parse::<u16>);
    match number {
        Some(Ok(number @ 1..)) => Ok(number.into()),
        _ => Err(InvalidQuantity {
            name: "type of records",
            value: text.to_owned(),
            problem: if text.is_empty() {
                Problem::Empty
            } else {
                Problem::Malformed
            },
            accepted: RECORD,
        }),
    }
}

/// A type of records as people call it: `AAAA`, `TYPE1234`.
pub fn record_in_words(number: u32) -> String {
    RECORDS
        .iter()
        .find(|(_, known)| *known == number)
        .map_or_else(|| format!("TYPE{number}"), |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_words_or_addresses() {
        assert_eq!(dns_answer("NxDomain"), Ok(DnsAnswer::Nxdomain));
        assert_eq!(dns_answer("SERVFAIL"), Ok(DnsAnswer::Servfail));
        assert_eq!(dns_answer("refused"), Ok(DnsAnswer::Refused));
        assert_eq!(dns_answer("drop"), Ok(DnsAnswer::Drop));
        let both = DnsAnswer::Addresses(vec![
            "fd00::9".parse().unwrap(),
            "10.0.0.9".parse().unwrap(),
        ]);
        assert_eq!(dns_answer("fd00::9,10.0.0.9"), Ok(both));
        for (bad, problem) in [
            ("", Problem::Empty),
            ("nodata", Problem::Malformed),
            ("10.0.0.9,", Problem::Malformed),
            ("10.0.0", Problem::Malformed),
            (
                "10.0.0.1,10.0.0.2",
                Problem::Unfit("has two addresses of one kind"),
            ),
        ] {
            assert_eq!(dns_answer(bad).map_err(|error| error.problem), Err(problem));
        }
    }

    #[test]
    fn names_are_handed_on_as_written() {
        let longest = vec!["a".repeat(63); 3].join(".") + "." + &"a".repeat(61);
        for good in [
            "example.com",
            "*.Example.com.",
            "_ldap._tcp.dc-1",
            "xn--bcher-kva.example",
            &longest,
        ] {
            assert_eq!(dns_name(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            ".",
            "*",
            "*.",
            "a.*.b",
            "*a.b",
            "a..b",
            ".a",
            "a b",
            "a/b",
            "bücher.example",
        ] {
            assert!(dns_name(bad).is_err(), "{bad}");
        }
        assert!(dns_name(&format!("{}.b", "a".repeat(64))).is_err());
        assert!(dns_name(&format!("{longest}a")).is_err());
        assert_eq!(
            dns_name("bücher.example").unwrap_err().to_string(),
            "name `bücher.example` is not ASCII: give it as it is asked for, in punycode, such as xn--bcher-kva.example"
        );
    }

    #[test]
    fn types_of_records_are_names_or_numbers() {
        for (text, number) in [("A", 1), ("aaaa", 28), ("TYPE28", 28), ("type1234", 1234)] {
            assert_eq!(record_type(text), Ok(number));
        }
        assert_eq!(record_type("any"), Ok(ANY_RECORD));
        for bad in ["", "B", "TYPE", "TYPE0", "TYPE65536", "28"] {
            assert!(record_type(bad).is_err(), "{bad}");
        }
        assert_eq!(record_in_words(28), "AAAA");
        assert_eq!(record_in_words(1234), "TYPE1234");
    }
}
