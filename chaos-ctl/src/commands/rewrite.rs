//! `chaosctl rewrite`: writes into packets.

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Filter, PayloadPatch, PayloadReplace, Protocol, Rewrite};
use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::arguments::{self, Base, ExperimentArgs, FaultArgs, FaultError, text};
use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;
use crate::quantity::{
    Ramp, Share, TcpFlags, address, dscp, number, patch, port, replace, share_ramp, tcp_flags,
};

/// Write into matching packets: headers, payload, where they go
///
/// Checksums of IP, TCP and UDP stay right, so that receivers take what is written for what was sent. Of a packet that
/// is offloaded, and stands for several, the payload is that of the first; of one in fragments, too. The fault ends by
/// itself.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RewriteArgs {
    #[command(flatten)]
    fault: RewriteFault,

    #[command(flatten)]
    experiment: ExperimentArgs,
}

/// Mark that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ecn {
    /// Congestion experienced.
    Ce,
}

/// What is written. In a file, the keys of `rewrite`.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RewriteFault {
    /// Differentiated services code point: 0 to 63, ef, cs0 to cs7, or af11 to af43
    ///
    /// The filter by what packets have is --match-dscp.
    #[arg(long = "dscp", id = "written-dscp", value_name = "DSCP", value_parser = dscp, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::dscp")]
    dscp: Option<u32>,

    /// Mark packets as if a router on their way were congested, where their connection understands it (ECN)
    #[arg(long, value_name = "MARK")]
    ecn: Option<Ecn>,

    /// Time to live, or hop limit, in hops: 1 to 255
    #[arg(long, value_name = "HOPS", value_parser = number, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::number")]
    ttl: Option<u32>,

    /// Largest TCP segment that is announced when a connection opens: 88 to 65535; a smaller one stays
    #[arg(long, value_name = "BYTES", value_parser = number, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::number")]
    mss: Option<u32>,

    /// TCP flags to set (+) and to clear (-), such as +ece,-psh
    #[arg(long, value_name = "FLAGS", value_parser = tcp_flags, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::tcp_flags")]
    tcp_flags: Option<TcpFlags>,

    /// Send new connections to this port, and translate the answers
    ///
    /// With --direction egress (the default) connections that the target opens; with ingress those that are opened to
    /// it. Connections that were open before stay where they are. Those that were sent elsewhere do not outlive the
    /// fault: what was their server does not know them.
    #[arg(long, value_name = "PORT", value_parser = port, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::port")]
    dst_port: Option<u32>,

    /// Send new connections to this address, as with --dst-port
    ///
    /// A packet that goes elsewhere is not delayed by another rule of its target on its way out.
    #[arg(long, value_name = "ADDRESS", value_parser = address, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::address")]
    dst_addr: Option<String>,

    /// Write these bytes, in hexadecimal digits, at a place of the payload, such as 4:deadbeef; up to 32
    #[arg(long, value_name = "OFFSET:HEX", value_parser = patch, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::patch")]
    payload: Option<PayloadPatch>,

    /// Write NEW wherever the payload has OLD, such as OK=KO; as many bytes, up to 32
    ///
    /// \xNN is a byte by its hexadecimal digits, so \x3d is the sign =.
    #[arg(long, value_name = "OLD=NEW", value_parser = replace, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::replace")]
    replace: Option<PayloadReplace>,

    /// How far --replace looks into the payload, up to 1500 [default: 256]
    #[arg(long, value_name = "BYTES", value_parser = number, allow_hyphen_values = true, requires = "replace")]
    #[serde(deserialize_with = "text::number")]
    within: Option<u32>,

    /// Change the share of the packets that are written to evenly from the start on, such as 0%..100%/30s: from none to
    /// all within 30 s, then all
    ///
    /// The others stay as they are. The second percentage is the one that stays. Not with --dst-port and --dst-addr: a
    /// connection goes elsewhere as a whole.
    #[arg(long, value_name = "FROM..TO/TIME", value_parser = share_ramp, allow_hyphen_values = true)]
    #[serde(deserialize_with = "text::share_ramp")]
    ramp: Option<Ramp<Share>>,
}

const EXAMPLES: &str = "\
Examples:
  chaosctl rewrite --ecn ce --svc provider-chaos-service --duration 30s
  chaosctl rewrite --mss 536 --netns web --direction both
  chaosctl rewrite --dst-addr 10.0.0.9 --dst-port 5433 --pid 4711 --proto tcp --peer-port 5432
  chaosctl rewrite --replace 'HTTP/1.1 200=HTTP/1.1 503' --svc provider-chaos-service --proto tcp";

impl RewriteFault {
    const fn is_of_tcp(&self) -> bool {
        self.mss.is_some() || self.tcp_flags.is_some()
    }
}

impl FaultArgs for RewriteFault {
    fn to_wire(&self, _base: Base<'_>) -> Result<Fault, FaultError> {
        let replace = self.replace.clone().map(|replace| PayloadReplace {
            within: self.within.unwrap_or(0),
            ..replace
        });
        if self.within.is_some() && replace.is_none() {
            return Err(FaultError::Incomplete {
                fault: "rewrite",
                what: "what to look for within so many bytes",
                give: "replace, or leave out within",
            });
        }
        let flags = self.tcp_flags.unwrap_or_default();
        let rewrite = Rewrite {
            dscp: self.dscp,
            ecn_ce: self.ecn.is_some(),
            ttl: self.ttl,
            mss: self.mss,
            set_tcp_flags: flags.set,
            clear_tcp_flags: flags.clear,
            destination_port: self.dst_port,
            destination_address: self.dst_addr.clone().unwrap_or_default(),
            payload: self.payload.clone(),
            replace,
            ..Rewrite::default()
        };
        if rewrite == Rewrite::default() {
            return Err(FaultError::Incomplete {
                fault: "rewrite",
                what: "what to write",
                give: "at least one of dscp, ecn, ttl, mss, tcp-flags, dst-port, dst-addr, payload and replace",
            });
        }
        Ok(Fault::Rewrite(Rewrite {
            share_ppm: self.ramp.map(|ramp| ramp.to.ppm()),
            ramp: arguments::share_ramp(self.ramp),
            ..rewrite
        }))
    }

    fn narrow(&self, filter: &mut Filter) {
        if self.is_of_tcp() && filter.protocol() == Protocol::Unspecified {
            filter.protocol = Protocol::Tcp.into();
        }
    }
}

impl RewriteArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'_>,
    ) -> Result<(), CommandError> {
        super::asked::apply_fault(&self.fault, &self.experiment, global, output).await
    }
}
