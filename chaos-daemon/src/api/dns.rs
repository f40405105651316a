//! Questions to DNS: from messages, and back.

use std::net::IpAddr;

use chaos_proto::v1;

use super::{
    ramp::{read_share, write_share},
    wire::{RequestError, read_time, write_time},
};
use crate::engine::{Dns, Reply, SpecError};

pub(super) fn read(dns: v1::Dns) -> Result<Dns, RequestError> {
    let reply = match v1::DnsReply::try_from(dns.reply) {
        Ok(v1::DnsReply::Nxdomain) => Reply::NoSuchName,
        Ok(v1::DnsReply::Servfail) => Reply::Failure,
        Ok(v1::DnsReply::Refused) => Reply::Refused,
        Ok(v1::DnsReply::Drop) => Reply::Silence,
        Ok(v1::DnsReply::Addresses) => addresses(&dns.addresses)?,
        Ok(v1::DnsReply::Unspecified) => return Err(RequestError::Missing("answer")),
        Err(_) => {
            return Err(RequestError::Unknown {
                what: "answer",
                value: dns.reply,
            });
        }
    };
    if !dns.addresses.is_empty() && !matches!(reply, Reply::Addresses { .. }) {
        return Err(SpecError::AnswerAddresses.into());
    }
    let names = dns.names.iter().map(|name| name.parse());
    let types = dns.types.into_iter();
    let types = types.map(|kind| u16::try_from(kind).map_err(|_| SpecError::RecordType(kind)));
    Ok(Dns {
        reply,
        names: names.collect::<Result<_, _>>().map_err(SpecError::Name)?,
        types: types.collect::<Result<_, _>>()?,
        ttl: read_time("the time to live", dns.ttl.unwrap_or_default())?,
        share: read_share(dns.share_ppm, dns.ramp)?,
    })
}

fn addresses(texts: &[String]) -> Result<Reply, SpecError> {
    let (mut v4, mut v6) = (None, None);
    for text in texts {
        let earlier = match text.parse() {
            Ok(IpAddr::V4(address)) => v4.replace(address).is_some(),
            Ok(IpAddr::V6(address)) => v6.replace(address).is_some(),
            Err(_) => true,
        };
        if earlier {
            return Err(SpecError::AnswerAddresses);
        }
    }
    Ok(Reply::Addresses { v4, v6 })
}

pub(super) fn write(dns: &Dns) -> v1::Dns {
    let (reply, addresses) = match dns.reply {
        Reply::NoSuchName => (v1::DnsReply::Nxdomain, Vec::new()),
        Reply::Failure => (v1::DnsReply::Servfail, Vec::new()),
        Reply::Refused => (v1::DnsReply::Refused, Vec::new()),
        Reply::Silence => (v1::DnsReply::Drop, Vec::new()),
        Reply::Addresses { v4, v6 } => {
            let both = [v4.map(IpAddr::from), v6.map(IpAddr::from)];
            let texts = both.iter().flatten().map(ToString::to_string);
            (v1::DnsReply::Addresses, texts.collect())
        }
    };
    let (share_ppm, ramp) = write_share(dns.share);
    v1::Dns {
        reply: reply.into(),
        addresses,
        names: dns.names.iter().map(ToString::to_string).collect(),
        types: dns.types.iter().copied().map(u32::from).collect(),
        ttl: Some(write_time(dns.ttl)),
        share_ppm,
        ramp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> v1::Dns {
        v1::Dns {
            reply: v1::DnsReply::Addresses.into(),
            addresses: vec!["10.0.0.9".into(), "fd00::9".into()],
            names: vec!["*.example.com".into(), "db".into()],
            types: vec![1, 65],
            ttl: Some(prost_types::Duration {
                seconds: 5,
                nanos: 0,
            }),
            share_ppm: 7,
            ramp: Some(v1::Ramp {
                from_ppm: 8,
                over: Some(prost_types::Duration::default()),
                ..v1::Ramp::default()
            }),
        }
    }

    #[test]
    fn answers_survive_the_way_there_and_back() {
        assert_eq!(write(&read(wire()).unwrap()), wire());
        for reply in [
            v1::DnsReply::Nxdomain,
            v1::DnsReply::Servfail,
            v1::DnsReply::Refused,
            v1::DnsReply::Drop,
        ] {
            let wire = v1::Dns {
                reply: reply.into(),
                addresses: Vec::new(),
                ..wire()
            };
            assert_eq!(write(&read(wire.clone()).unwrap()), wire);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let addresses = |texts: &[&str]| {
            read(v1::Dns {
                addresses: texts.iter().map(ToString::to_string).collect(),
                ..wire()
            })
        };
        for bad in [&["10.0.0.1", "10.0.0.2"][..], &["::1", "::2"], &["web"]] {
            assert_eq!(addresses(bad), Err(SpecError::AnswerAddresses.into()));
        }
        let unnecessary = v1::Dns {
            reply: v1::DnsReply::Nxdomain.into(),
            ..wire()
        };
        assert_eq!(read(unnecessary), Err(SpecError::AnswerAddresses.into()));
        let none = v1::Dns { reply: 0, ..wire() };
        assert_eq!(read(none), Err(RequestError::Missing("answer")));
        let kind = v1::Dns {
            types: vec![65_536],
            ..wire()
        };
        assert_eq!(read(kind), Err(SpecError::RecordType(65_536).into()));
        let name = v1::Dns {
            names: vec!["a..b".into()],
            ..wire()
        };
        assert!(matches!(
            read(name),
            Err(RequestError::Spec(SpecError::Name(_)))
        ));
    }
}
