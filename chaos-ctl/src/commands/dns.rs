//! `chaosctl dns`: answers questions to DNS.

use std::time::Duration;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Direction, Dns, DnsReply, Filter, PortRange, Protocol};
use clap::Args;
use serde::Deserialize;

use crate::arguments::{self, Base, ExperimentArgs, FaultArgs, FaultError, end_of, text, to_wire};
use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;
use crate::quantity::{
    ANY_RECORD, DnsAnswer, Ramp, Share, dns_answer, dns_name, percent, record_type, share_ramp, ttl,
};

/// Answer DNS questions of the target: that a name does not exist, that the server failed, or with another address
///
/// Questions over UDP to port 53 that leave the target are answered at its interface, in the name of the server, which
/// never sees them; --port, --peer-port, --target-port and --direction say otherwise. Without --name it is every
/// question.
///
/// Not touched: DNS over TCP (also where a long answer makes a client ask again), over TLS and over HTTPS; questions
/// that never leave the target, because a cache in it has the answer (nscd, systemd-resolved, a JVM); multicast DNS. A
/// resolver library may try a name with each of its search domains (`api` as `api.default.svc.cluster.local`): give the
/// names as they are asked for, or *.DOMAIN. After NXDOMAIN most try the next, after SERVFAIL or REFUSED the next
/// server. What a resolver keeps of an answer outlives the fault. The fault ends by itself.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DnsArgs {
    #[command(flatten)]
    fault: DnsFault,

    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// Which questions, and what is answered. In a file, the keys of `dns`.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DnsFault {
    /// nxdomain, servfail, refused, drop (no answer), or an address: IPv4, IPv6, or one of each with a comma between
    ///
    /// An address answers questions for records A or AAAA. Who asks for another type, or for the other kind of address,
    /// is told that there is none (NOERROR without a record).
    #[arg(value_name = "ANSWER", value_parser = dns_answer)]
    #[serde(deserialize_with = "text::dns_answer")]
    answer: Option<DnsAnswer>,

    /// Names that are asked for: api.example.com, or *.example.com for all below it, at any depth [default: all]
    ///
    /// Case does not matter; *.example.com is not example.com itself. At most 64. Of other alphabets, the punycode.
    #[arg(long = "name", value_name = "NAME[,NAME]", value_delimiter = ',', value_parser = dns_name)]
    #[serde(deserialize_with = "text::dns_names")]
    names: Vec<String>,

    /// Types of the records that are asked for, such as A,AAAA,MX or TYPE65 [default: ANY]
    #[arg(
        long = "type",
        value_name = "TYPE[,TYPE]",
        value_delimiter = ',',
        value_parser = record_type,
        allow_hyphen_values = true
    )]
    #[serde(deserialize_with = "text::record_types")]
    types: Vec<u32>,

    /// How long an address may be kept, in whole seconds [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = ttl, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::ttl")]
    ttl: Option<Duration>,

    /// Share of the questions to answer; the server gets the others [default: 100%]
    ///
    /// In percent, with or without the sign; drawn for each question, also where one is asked again.
    #[arg(long, value_name = "PERCENT", value_parser = percent, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::percent")]
    percent: Option<Share>,

    /// Change --percent evenly from the start on, such as 0%..100%/30s: from none to all within 30 s, then all
    ///
    /// The second percentage is the one that stays, so --percent is not needed beside it. It may be smaller, or 0.
    #[arg(long, value_name = "FROM..TO/TIME", value_parser = share_ramp, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::share_ramp")]
    ramp: Option<Ramp<Share>>,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl dns nxdomain --name '*.example.com' --netns web --duration 30s
  chaosctl dns 10.0.0.9 --name api.example.com,db.example.com --svc provider-chaos-service
  chaosctl dns servfail --type AAAA --percent 10% --pid 4711
  chaosctl dns drop --netns resolver --direction ingress";

const ALL_PPM: u32 = 1_000_000;
const DEFAULT_TTL: Duration = Duration::from_secs(5);
const DNS: PortRange = PortRange {
    first: 53,
    last: 53,
};

impl FaultArgs for DnsFault {
    fn to_wire(&self, _base: Base<'_>) -> Result<Fault, FaultError> {
        let answer = self.answer.as_ref().ok_or(FaultError::Incomplete {
            fault: "dns",
            what: "what the answer is",
            give: "nxdomain, servfail, refused, drop, or an address such as 10.0.0.9",
        })?;
        let mut addresses = Vec::new();
        let reply = match answer {
            DnsAnswer::Nxdomain => DnsReply::Nxdomain,
            DnsAnswer::Servfail => DnsReply::Servfail,
            DnsAnswer::Refused => DnsReply::Refused,
            DnsAnswer::Drop => DnsReply::Drop,
            DnsAnswer::Addresses(given) => {
                addresses = given.iter().map(ToString::to_string).collect();
                DnsReply::Addresses
            }
        };
        if self.ttl.is_some() && addresses.is_empty() {
            return Err(FaultError::Together {
                fault: "dns",
                one: "ttl",
                other: "an answer without an address",
                because: "only an address is kept for a while, so leave out ttl",
            });
        }
        let share = end_of("dns", "a percentage", self.percent, self.ramp)?;
        let is_any = self.types.contains(&ANY_RECORD);
        Ok(Fault::Dns(Dns {
            reply: reply.into(),
            addresses,
            names: self.names.clone(),
            types: if is_any {
                Vec::new()
            } else {
                self.types.clone()
            },
            ttl: to_wire(self.ttl.unwrap_or(DEFAULT_TTL)),
            share_ppm: share.map_or(ALL_PPM, Share::ppm),
            ramp: arguments::share_ramp(self.ramp),
        }))
    }

    fn narrow(&self, filter: &mut Filter) {
        if filter.protocol() == Protocol::Unspecified {
            filter.protocol = Protocol::Udp.into();
        }
        let ports = [&filter.ports, &filter.target_ports, &filter.peer_ports];
        if ports.into_iter().all(Vec::is_empty) {
            // The side of the server: questions that arrive are for the target's own.
            match filter.direction() {
                Direction::Unspecified | Direction::Egress => filter.peer_ports.push(DNS),
                Direction::Ingress => filter.target_ports.push(DNS),
                Direction::Both => filter.ports.push(DNS),
            }
        }
    }
}

impl DnsArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        super::asked::apply_fault(&self.fault, &self.experiment, global, output).await
    }
}
