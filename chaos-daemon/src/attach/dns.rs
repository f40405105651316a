//! Names and answers of rules about DNS, in the kernel's maps.

use std::net::{Ipv4Addr, Ipv6Addr};

use aya::maps::{MapError, lpm_trie::Key};
use chaos_abi::dns::{
    DnsAnswer, DnsName, HAS_NAMES, HAS_V4, HAS_V6, LONGEST_NAME, MAX_TYPES, NAME_SLOT_BITS, SILENT,
    WHOLE,
};

use super::loader::{Maps, Plain};
use super::rules::address_in_kernel;
use crate::engine::{Dns, Name, Reply};

/// Response codes (RFC 1035).
const NO_ERROR: u32 = 0;
const SERVER_FAILURE: u32 = 2;
const NAME_ERROR: u32 = 3;
const REFUSED: u32 = 5;

/// Writes what a rule is about while nothing refers to its slot.
pub fn write_dns(maps: &mut Maps, slot: u32, dns: &Dns) -> Result<(), MapError> {
    maps.dns_answers.set(slot, Plain(answer(dns)), 0)?;
    for name in &dns.names {
        maps.dns_names
            .insert(&key(slot, name), value(name, &dns.names), 0)?;
    }
    Ok(())
}

/// Erases what a later rule in this slot would see.
pub(super) fn erase_dns(maps: &mut Maps, slot: u32, dns: &Dns) {
    // A name that was not written is not there.
    for name in &dns.names {
        let _ = maps.dns_names.remove(&key(slot, name));
    }
}

fn answer(dns: &Dns) -> DnsAnswer {
    let mut types = [0; MAX_TYPES];
    for (to, from) in types.iter_mut().zip(&dns.types) {
        *to = *from;
    }
    let mut answer = DnsAnswer {
        ttl_s: u32::try_from(dns.ttl.as_secs()).unwrap_or(u32::MAX),
        type_count: u32::try_from(dns.types.len().min(MAX_TYPES)).unwrap_or(0),
        types,
        ..DnsAnswer::default()
    };
    if !dns.names.is_empty() {
        answer.flags |= HAS_NAMES;
    }
    answer.rcode = match dns.reply {
        Reply::NoSuchName => NAME_ERROR,
        Reply::Failure => SERVER_FAILURE,
        Reply::Refused => REFUSED,
        Reply::Silence => {
            answer.flags |= SILENT;
            NO_ERROR
        }
        Reply::Addresses { v4, v6 } => {
            addresses(&mut answer, v4, v6);
            NO_ERROR
        }
    };
    answer
}

fn addresses(answer: &mut DnsAnswer, v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>) {
    if let Some(address) = v4 {
        answer.flags |= HAS_V4;
        answer.v4 = u32::from_ne_bytes(address.octets());
    }
    if let Some(address) = v6 {
        answer.flags |= HAS_V6;
        answer.v6 = address_in_kernel(address.into());
    }
}

/// See [`DnsName`].
fn key(slot: u32, name: &Name) -> Key<Plain<DnsName>> {
    let end = if name.below { None } else { Some(0) };
    let letters = name.text.bytes().rev().chain([b'.']).chain(end);
    let mut key = DnsName {
        slot: u16::try_from(slot).unwrap_or(u16::MAX),
        name: [0; LONGEST_NAME],
    };
    let mut bits = NAME_SLOT_BITS;
    for (to, letter) in key.name.iter_mut().zip(letters) {
        *to = letter;
        bits += 8;
    }
    Key::new(bits, Plain(key))
}

/// What the trie has for a name among others of the same rule. It finds the longest that fits: where all names below one
/// are meant and that one is meant too, by a shorter, it has to say so.
fn value(name: &Name, all: &[Name]) -> u32 {
    let is_below = |shorter: &Name| {
        let above = name.text.strip_suffix(&shorter.text);
        shorter.below && above.is_some_and(|above| above.ends_with('.'))
    };
    if !name.below || all.iter().any(is_below) {
        return WHOLE;
    }
    u32::try_from(name.text.len() + 1).unwrap_or(WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_read_from_their_end() {
        let whole = key(0x0102, &name("a.Example"));
        let Plain(DnsName { slot, name: bytes }) = whole.data();
        assert_eq!((slot, &bytes[..11]), (0x0102, &b"elpmaxe.a.\0"[..]));
        assert_eq!(whole.prefix_len(), 16 + 11 * 8);
        let below = key(1, &name("*.example"));
        assert_eq!(below.prefix_len(), 16 + 8 * 8);
        let longest = name(&format!("{}a", "a.".repeat(126)));
        assert_eq!(key(1, &longest).prefix_len(), 256 * 8, "it needs no end");
    }

    #[test]
    fn what_is_below_a_name_may_be_below_a_shorter_one() {
        let all = ["*.com", "*.example.com", "b.com", "*.ample.com"].map(name);
        assert_eq!(value(&all[0], &all), 4);
        assert_eq!(value(&all[1], &all), WHOLE);
        assert_eq!(value(&all[1], &all[1..]), 12, "it is not below ample.com");
        assert_eq!(value(&all[2], &all), WHOLE);
    }

    #[test]
    fn every_part_of_an_answer_arrives() {
        let dns = Dns {
            reply: Reply::Addresses {
                v4: Some(Ipv4Addr::new(10, 0, 0, 9)),
                v6: Some(Ipv6Addr::LOCALHOST),
            },
            names: vec![name("example.com")],
            types: vec![1, 28],
            ttl: std::time::Duration::from_secs(5),
            share: crate::engine::Share::ALL,
        };
        let out = answer(&dns);
        assert_eq!(out.flags, HAS_NAMES | HAS_V4 | HAS_V6);
        assert_eq!((out.rcode, out.ttl_s, out.type_count), (NO_ERROR, 5, 2));
        assert_eq!(out.types[..3], [1, 28, 0]);
        assert_eq!(out.v4.to_ne_bytes(), [10, 0, 0, 9]);
        assert_eq!(out.v6[3].to_ne_bytes(), [0, 0, 0, 1]);
        let of = |reply| {
            answer(&Dns {
                reply,
                names: Vec::new(),
                ..dns.clone()
            })
        };
        assert_eq!(of(Reply::NoSuchName).rcode, NAME_ERROR);
        assert_eq!(of(Reply::Failure).rcode, SERVER_FAILURE);
        assert_eq!(of(Reply::Refused).rcode, REFUSED);
        assert_eq!(of(Reply::Silence).flags, SILENT);
    }
}
