//! Questions to DNS and their answers in a few words.

use std::time::Duration;

use chaos_proto::v1::{Dns, DnsReply};

use super::fault::part;
use crate::quantity::{from_wire, record_in_words, time_in_words};

/// The time to live that says nothing, because nobody asked for another.
const USUAL_TTL: Duration = Duration::from_secs(5);
/// More names are counted.
const SHOWN: usize = 4;

/// What is answered: `NXDOMAIN`, `10.0.0.9, fd00::9`.
pub fn reply(dns: &Dns) -> String {
    match dns.reply() {
        DnsReply::Unspecified => "an unknown answer".to_owned(),
        DnsReply::Nxdomain => "NXDOMAIN".to_owned(),
        DnsReply::Servfail => "SERVFAIL".to_owned(),
        DnsReply::Refused => "REFUSED".to_owned(),
        DnsReply::Drop => "no answer".to_owned(),
        DnsReply::Addresses => dns.addresses.join(", "),
    }
}

/// The names that are asked for: `all names`, `api.example.com and *.example.org`.
pub fn names(dns: &Dns) -> String {
    match &dns.names[..] {
        [] => "all names".to_owned(),
        some if some.len() <= SHOWN => some.join(", "),
        more => format!(
            "{} and {} more",
            more[..SHOWN].join(", "),
            more.len() - SHOWN
        ),
    }
}

/// The types of records that are asked for; nothing for all.
pub fn types(dns: &Dns) -> Option<String> {
    let types: Vec<_> = dns.types.iter().copied().map(record_in_words).collect();
    (!types.is_empty()).then(|| types.join(", "))
}

/// The fault without its filter, and what is said of it in parentheses.
pub(super) fn fault(dns: &Dns) -> (String, [Option<String>; 3]) {
    let ttl = from_wire(dns.ttl.as_ref());
    let is_said = dns.reply() == DnsReply::Addresses && ttl != USUAL_TTL;
    let details = [
        types(dns),
        is_said.then(|| format!("TTL {}", time_in_words(ttl))),
        part(dns.share_ppm, dns.ramp.as_ref(), "questions"),
    ];
    (format!("dns {} for {}", reply(dns), names(dns)), details)
}
