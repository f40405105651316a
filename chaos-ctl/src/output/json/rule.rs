//! Rules in the schema of `-o json`: faults, filters and when they act.

use chaos_proto::v1::loss::Model as WireModel;
use chaos_proto::v1::rule::Fault as WireFault;
use chaos_proto::v1::{self as wire, DnsReply, Filter as WireFilter};
use serde::Serialize;

use super::{
    ns,
    rewrite::Rewrite,
    service::{Grpc, Http},
};
use crate::output::words;

/// Of what is a share of all, where nobody said less.
pub(super) const WHOLE_PPM: u32 = 1_000_000;

#[derive(Debug, Serialize)]
pub(super) struct Rule {
    fault: Option<Fault>,
    filter: Filter,
    pulse: Option<Pulse>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Fault {
    Delay {
        latency_ns: u64,
        jitter_ns: u64,
        distribution: &'static str,
        quantiles_ns: Vec<u64>,
        correlation_ppm: u32,
        reorder: bool,
        ramp: Option<LatencyRamp>,
    },
    Loss {
        share_ppm: u32,
        correlation_ppm: u32,
        model: Option<Model>,
        ramp: Option<ShareRamp>,
    },
    Duplicate {
        share_ppm: u32,
        correlation_ppm: u32,
        ramp: Option<ShareRamp>,
    },
    Reorder {
        share_ppm: u32,
        correlation_ppm: u32,
        gap: u32,
        by_ns: u64,
        ramp: Option<ShareRamp>,
    },
    Corrupt {
        share_ppm: u32,
        correlation_ppm: u32,
        drop: bool,
        ramp: Option<ShareRamp>,
    },
    Rate {
        bytes_per_second: u64,
        burst_bytes: u64,
        queue_bytes: u64,
        per_flow: bool,
        ramp: Option<RateRamp>,
    },
    Partition {
        reject: bool,
        share_ppm: u32,
        ramp: Option<ShareRamp>,
    },
    Rewrite(Rewrite),
    Reset {
        share_ppm: u32,
        after_ns: Option<u64>,
        after_bytes: u64,
        ramp: Option<ShareRamp>,
    },
    Dns {
        reply: &'static str,
        addresses: Vec<String>,
        names: Vec<String>,
        types: Vec<u32>,
        ttl_ns: u64,
        share_ppm: u32,
        ramp: Option<ShareRamp>,
    },
    Http(Http),
    Grpc(Grpc),
}

#[derive(Debug, Serialize)]
struct LatencyRamp {
    from_ns: u64,
    over_ns: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct ShareRamp {
    from_ppm: u32,
    over_ns: u64,
}

#[derive(Debug, Serialize)]
struct RateRamp {
    from_bytes_per_second: u64,
    over_ns: u64,
}

impl ShareRamp {
    pub(super) fn of(ramp: Option<&wire::Ramp>) -> Option<Self> {
        ramp.map(|ramp| Self {
            from_ppm: ramp.from_ppm,
            over_ns: ns(ramp.over.as_ref()),
        })
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Model {
    GilbertElliott {
        to_bad_ppm: u32,
        to_good_ppm: u32,
        lost_in_bad_ppm: u32,
        lost_in_good_ppm: u32,
    },
    FourStates {
        p13_ppm: u32,
        p31_ppm: u32,
        p32_ppm: u32,
        p23_ppm: u32,
        p14_ppm: u32,
    },
    Every {
        packets: u32,
    },
    First {
        packets: u32,
    },
}

#[derive(Debug, Serialize)]
struct Filter {
    direction: &'static str,
    protocol: Option<&'static str>,
    ports: Vec<PortRange>,
    target_ports: Vec<PortRange>,
    peer_ports: Vec<PortRange>,
    peers: Vec<String>,
    except_peers: Vec<String>,
    flows_ppm: Option<u32>,
    connections: Option<&'static str>,
    syn_only: bool,
    dscp: Option<u32>,
    length: Option<LengthRange>,
}

#[derive(Debug, Serialize)]
struct PortRange {
    first: u32,
    last: u32,
}

#[derive(Debug, Serialize)]
struct LengthRange {
    least: u32,
    most: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Pulse {
    on_ns: u64,
    off_ns: u64,
}

impl From<&wire::Rule> for Rule {
    fn from(rule: &wire::Rule) -> Self {
        let none = WireFilter::default();
        Self {
            fault: rule.fault.as_ref().map(Fault::from),
            filter: rule.filter.as_ref().unwrap_or(&none).into(),
            pulse: rule.pulse.as_ref().map(|pulse| Pulse {
                on_ns: ns(pulse.on.as_ref()),
                off_ns: ns(pulse.off.as_ref()),
            }),
        }
    }
}

impl From<&WireFault> for Fault {
    fn from(fault: &WireFault) -> Self {
        match fault {
            WireFault::Delay(delay) => Self::Delay {
                latency_ns: ns(delay.latency.as_ref()),
                jitter_ns: ns(delay.jitter.as_ref()),
                distribution: if delay.quantile_ns.is_empty() {
                    words::distribution(delay.distribution())
                } else {
                    "measured"
                },
                quantiles_ns: delay.quantile_ns.clone(),
                correlation_ppm: delay.correlation_ppm,
                reorder: delay.reorder,
                ramp: delay.ramp.as_ref().map(|ramp| LatencyRamp {
                    from_ns: ns(ramp.from.as_ref()),
                    over_ns: ns(ramp.over.as_ref()),
                }),
            },
            WireFault::Loss(loss) => Self::Loss {
                share_ppm: loss.share_ppm,
                correlation_ppm: loss.correlation_ppm,
                model: loss.model.as_ref().map(Model::from),
                ramp: ShareRamp::of(loss.ramp.as_ref()),
            },
            WireFault::Duplicate(duplicate) => Self::Duplicate {
                share_ppm: duplicate.share_ppm,
                correlation_ppm: duplicate.correlation_ppm,
                ramp: ShareRamp::of(duplicate.ramp.as_ref()),
            },
            WireFault::Reorder(reorder) => Self::Reorder {
                share_ppm: reorder.share_ppm,
                correlation_ppm: reorder.correlation_ppm,
                gap: reorder.gap,
                by_ns: ns(reorder.by.as_ref()),
                ramp: ShareRamp::of(reorder.ramp.as_ref()),
            },
            WireFault::Corrupt(corrupt) => Self::Corrupt {
                share_ppm: corrupt.share_ppm,
                correlation_ppm: corrupt.correlation_ppm,
                drop: corrupt.drop,
                ramp: ShareRamp::of(corrupt.ramp.as_ref()),
            },
            WireFault::Rate(rate) => Self::Rate {
                bytes_per_second: rate.bytes_per_second,
                burst_bytes: rate.burst_bytes,
                queue_bytes: rate.queue_bytes,
                per_flow: rate.per_flow,
                ramp: rate.ramp.as_ref().map(|ramp| RateRamp {
                    from_bytes_per_second: ramp.from_bytes_per_second,
                    over_ns: ns(ramp.over.as_ref()),
                }),
            },
            WireFault::Partition(partition) => Self::Partition {
                reject: partition.reject,
                share_ppm: partition.share_ppm.unwrap_or(WHOLE_PPM),
                ramp: ShareRamp::of(partition.ramp.as_ref()),
            },
            WireFault::Rewrite(rewrite) => Self::Rewrite(rewrite.into()),
            WireFault::Reset(reset) => Self::Reset {
                share_ppm: reset.share_ppm,
                after_ns: reset.after.as_ref().map(|after| ns(Some(after))),
                after_bytes: reset.after_bytes,
                ramp: ShareRamp::of(reset.ramp.as_ref()),
            },
            WireFault::Dns(dns) => Self::Dns {
                reply: match dns.reply() {
                    DnsReply::Unspecified => "unknown",
                    DnsReply::Nxdomain => "nxdomain",
                    DnsReply::Servfail => "servfail",
                    DnsReply::Refused => "refused",
                    DnsReply::Drop => "drop",
                    DnsReply::Addresses => "addresses",
                },
                addresses: dns.addresses.clone(),
                names: dns.names.clone(),
                types: dns.types.clone(),
                ttl_ns: ns(dns.ttl.as_ref()),
                share_ppm: dns.share_ppm,
                ramp: ShareRamp::of(dns.ramp.as_ref()),
            },
            WireFault::Http(http) => Self::Http(http.into()),
            WireFault::Grpc(grpc) => Self::Grpc(grpc.into()),
        }
    }
}

impl From<&WireModel> for Model {
    fn from(model: &WireModel) -> Self {
        match *model {
            WireModel::GilbertElliott(model) => Self::GilbertElliott {
                to_bad_ppm: model.to_bad_ppm,
                to_good_ppm: model.to_good_ppm,
                lost_in_bad_ppm: model.lost_in_bad_ppm,
                lost_in_good_ppm: model.lost_in_good_ppm,
            },
            WireModel::FourStates(model) => Self::FourStates {
                p13_ppm: model.p13_ppm,
                p31_ppm: model.p31_ppm,
                p32_ppm: model.p32_ppm,
                p23_ppm: model.p23_ppm,
                p14_ppm: model.p14_ppm,
            },
            WireModel::Every(packets) => Self::Every { packets },
            WireModel::First(packets) => Self::First { packets },
        }
    }
}

impl From<&WireFilter> for Filter {
    fn from(filter: &WireFilter) -> Self {
        Self {
            direction: words::direction(filter.direction()),
            protocol: words::protocol(filter.protocol()),
            ports: ports(&filter.ports),
            target_ports: ports(&filter.target_ports),
            peer_ports: ports(&filter.peer_ports),
            peers: filter.peers.clone(),
            except_peers: filter.except_peers.clone(),
            flows_ppm: filter.flows_ppm,
            connections: words::connections(filter.connections()),
            syn_only: filter.syn_only,
            dscp: filter.dscp,
            length: filter.length.map(|length| LengthRange {
                least: length.least,
                most: (length.most != 0).then_some(length.most),
            }),
        }
    }
}

fn ports(ports: &[wire::PortRange]) -> Vec<PortRange> {
    let range = |range: &wire::PortRange| PortRange {
        first: range.first,
        last: range.last,
    };
    ports.iter().map(range).collect()
}
