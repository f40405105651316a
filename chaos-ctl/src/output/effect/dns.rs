//! What answers of DNS do to those who asked.

use chaos_proto::v1::{Direction, Dns, DnsReply, Filter};

use super::{WHOLE_PPM, ramp::at_most};
use crate::output::words::dns as words;
use crate::quantity::share_in_words;

pub(super) fn of(dns: &Dns, filter: &Filter) -> String {
    let share = match at_most(dns.share_ppm, dns.ramp.as_ref()) {
        WHOLE_PPM.. => String::new(),
        ppm => format!("{} of ", share_in_words(ppm)),
    };
    let types = words::types(dns).map_or_else(String::new, |types| format!("{types} "));
    let names = words::names(dns);
    let who = match filter.direction() {
        Direction::Unspecified | Direction::Egress => "of the target",
        Direction::Ingress => "to the target",
        Direction::Both => "of and to the target",
    };
    let consequence = match dns.reply() {
        DnsReply::Unspecified => "are answered",
        DnsReply::Nxdomain => "are answered NXDOMAIN at once: the name does not exist",
        DnsReply::Servfail => {
            "are answered SERVFAIL at once: a resolver tries its other servers, then fails"
        }
        DnsReply::Refused => {
            "are answered REFUSED at once: a resolver tries its other servers, then fails"
        }
        DnsReply::Drop => "get no answer: a resolver asks again, then fails after its timeout",
        DnsReply::Addresses => {
            let addresses = dns.addresses.join(" and ");
            return format!(
                "{share}{types}questions {who} for {names} are answered {addresses} at once: new connections go there; \
                 who asks for another type of record is told that there is none; {UNTOUCHED}"
            );
        }
    };
    format!("{share}{types}questions {who} for {names} {consequence}; {UNTOUCHED}")
}

const UNTOUCHED: &str =
    "DNS over TCP, TLS or HTTPS, and what is in a cache already, is not touched";
