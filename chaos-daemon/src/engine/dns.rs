//! Questions to DNS that are answered: which, and how.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::{fmt, str::FromStr, time::Duration};

use super::{
    error::SpecError,
    filter::{Filter, Protocol},
    ramp::Share,
};

/// Most names of a rule.
const MOST_NAMES: usize = 64;
/// Most types of a rule.
const MOST_TYPES: usize = chaos_abi::dns::MAX_TYPES;
/// Longest label of a name.
const LONGEST_LABEL: usize = 63;
/// Longest name, without a dot at its end.
const LONGEST_NAME: usize = chaos_abi::dns::LONGEST_NAME - 1;
/// Longest time that an answer may be kept for.
const LONGEST_TTL: Duration = Duration::from_hours(24);

/// Which questions are answered, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// What the answer says.
    pub reply: Reply,
    /// About these names; none means all.
    pub names: Vec<Name>,
    /// About records of these types; none means all.
    pub types: Vec<u16>,
    /// How long addresses may be kept.
    pub ttl: Duration,
    /// How many of the questions.
    pub share: Share,
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// There is no such name.
    NoSuchName,
    /// The server failed.
    Failure,
    /// The server does not want to.
    Refused,
    /// There is no answer.
    Silence,
    /// The name has these addresses.
    Addresses {
        /// To who asks for one of IPv4.
        v4: Option<Ipv4Addr>,
        /// To who asks for one of IPv6.
        v6: Option<Ipv6Addr>,
    },
}

/// A name, or all names below it. In small letters, without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// Whether those below it are meant, and not it itself.
    pub below: bool,
}

/// Why a text is no name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or nothing behind the asterisk.
    #[error("the name {0:?} is empty: leave names out to mean all")]
    Empty(String),
    /// Nothing between two dots.
    #[error("the name {0:?} has an empty label: give letters between the dots")]
    EmptyLabel(String),
    /// Too long between two dots.
    #[error("the name {0:?} has a label of more than {LONGEST_LABEL} letters, which DNS does not")]
    LongLabel(String),
    /// Too long.
    #[error("the name {0:?} has more than {LONGEST_NAME} letters, which DNS does not")]
    Long(String),
    /// Not of a program's alphabet.
    #[error("the name {0:?} is not ASCII: give it as it is asked for, in punycode (xn--…)")]
    Foreign(String),
    /// An asterisk somewhere.
    #[error("the name {0:?} has * elsewhere than as its whole first label: give *.example.com")]
    Asterisk(String),
    /// A sign that no name has.
    #[error("the name {name:?} has {sign:?}: a name has letters, digits, - and _")]
    Sign {
        /// As given.
        name: String,
        /// The first.
        sign: char,
    },
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(given: &str) -> Result<Self, NameError> {
        let name = || given.to_owned();
        let (text, below) = match given.strip_prefix("*.") {
            Some(text) => (text, true),
            None => (given, false),
        };
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty(name()));
        }
        if !text.is_ascii() {
            return Err(NameError::Foreign(name()));
        }
        if text.contains('*') {
            return Err(NameError::Asterisk(name()));
        }
        let is_usual = |sign: &char| sign.is_ascii_alphanumeric() || "-_.".contains(*sign);
        if let Some(sign) = text.chars().find(|sign| !is_usual(sign)) {
            return Err(NameError::Sign { name: name(), sign });
        }
        if text.split('.').any(str::is_empty) {
            return Err(NameError::EmptyLabel(name()));
        }
        if text.split('.').any(|label| label.len() > LONGEST_LABEL) {
            return Err(NameError::LongLabel(name()));
        }
        if text.len() > LONGEST_NAME {
            return Err(NameError::Long(name()));
        }
        Ok(Self {
            text: text.to_ascii_lowercase(),
            below,
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = if self.below { "*." } else { "" };
        write!(f, "{before}{}", self.text)
    }
}

impl Dns {
    pub(super) fn check(&self, filter: &Filter) -> Result<(), SpecError> {
        if filter.protocol != Some(Protocol::Udp) {
            return Err(SpecError::OnlyUdpIsAnswered);
        }
        if self.names.len() > MOST_NAMES {
            return Err(SpecError::NameCount {
                count: self.names.len(),
                most: MOST_NAMES,
            });
        }
        if self.types.len() > MOST_TYPES {
            return Err(SpecError::RecordTypeCount {
                count: self.types.len(),
                most: MOST_TYPES,
            });
        }
        if self.types.contains(&0) {
            return Err(SpecError::RecordType(0));
        }
        if self.ttl > LONGEST_TTL || self.ttl.subsec_nanos() != 0 {
            return Err(SpecError::Ttl(self.ttl));
        }
        if self.reply == (Reply::Addresses { v4: None, v6: None }) {
            return Err(SpecError::AnswerAddresses);
        }
        self.share.check("a share of the questions")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<Name, NameError> {
        text.parse()
    }

    #[test]
    fn names_are_read_as_people_write_them() {
        for (given, text, below) in [
            ("example.com", "example.com", false),
            ("API.Example.COM.", "api.example.com", false),
            ("*.example.com", "example.com", true),
            ("_ldap._tcp.dc-1", "_ldap._tcp.dc-1", false),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", false),
            ("*.com", "com", true),
        ] {
            let read = name(given).unwrap();
            assert_eq!((read.text.as_str(), read.below), (text, below), "{given}");
        }
        assert_eq!(name("*.Example.com.").unwrap().to_string(), "*.example.com");
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_reason() {
        let own = str::to_owned;
        for (given, error) in [
            ("", NameError::Empty(own(""))),
            (".", NameError::Empty(own("."))),
            ("*.", NameError::Empty(own("*."))),
            ("*", NameError::Asterisk(own("*"))),
            ("a.*.com", NameError::Asterisk(own("a.*.com"))),
            ("*a.com", NameError::Asterisk(own("*a.com"))),
            ("a..com", NameError::EmptyLabel(own("a..com"))),
            (".com", NameError::EmptyLabel(own(".com"))),
            ("bücher.example", NameError::Foreign(own("bücher.example"))),
        ] {
            assert_eq!(name(given), Err(error), "{given}");
        }
        let sign = NameError::Sign {
            name: own("a/b.com"),
            sign: '/',
        };
        assert_eq!(name("a/b.com"), Err(sign));
    }

    #[test]
    fn names_are_as_long_as_dns_has_them() {
        let label = "a".repeat(63);
        assert!(name(&format!("{label}.com")).is_ok());
        assert!(matches!(
            name(&format!("{label}a.com")),
            Err(NameError::LongLabel(_))
        ));
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.len(), 253);
        assert!(name(&longest).is_ok() && name(&format!("{longest}.")).is_ok());
        assert!(matches!(
            name(&format!("{longest}a")),
            Err(NameError::Long(_))
        ));
    }
}
