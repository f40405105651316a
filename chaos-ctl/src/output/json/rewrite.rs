//! What is written into packets, in the schema of `-o json`.

use chaos_proto::v1 as wire;
use serde::Serialize;

use super::rule::{ShareRamp, WHOLE_PPM};
use crate::output::words::hex;

#[derive(Debug, Serialize)]
pub(super) struct Rewrite {
    dscp: Option<u32>,
    ecn_ce: bool,
    ttl: Option<u32>,
    mss: Option<u32>,
    set_tcp_flags: u32,
    clear_tcp_flags: u32,
    destination_port: Option<u32>,
    destination_address: Option<String>,
    payload: Option<Patch>,
    replace: Option<Replace>,
    share_ppm: u32,
    ramp: Option<ShareRamp>,
}

#[derive(Debug, Serialize)]
struct Patch {
    offset: u32,
    hex: String,
}

#[derive(Debug, Serialize)]
struct Replace {
    old_hex: String,
    new_hex: String,
    within: u32,
}

impl From<&wire::Rewrite> for Rewrite {
    fn from(rewrite: &wire::Rewrite) -> Self {
        let address = &rewrite.destination_address;
        Self {
            dscp: rewrite.dscp,
            ecn_ce: rewrite.ecn_ce,
            ttl: rewrite.ttl,
            mss: rewrite.mss,
            set_tcp_flags: rewrite.set_tcp_flags,
            clear_tcp_flags: rewrite.clear_tcp_flags,
            destination_port: rewrite.destination_port,
            destination_address: (!address.is_empty()).then(|| address.clone()),
            payload: rewrite.payload.as_ref().map(|patch| Patch {
                offset: patch.offset,
                hex: hex(&patch.bytes),
            }),
            replace: rewrite.replace.as_ref().map(|replace| Replace {
                old_hex: hex(&replace.old),
                new_hex: hex(&replace.new),
                within: replace.within,
            }),
            share_ppm: rewrite.share_ppm.unwrap_or(WHOLE_PPM),
            ramp: ShareRamp::of(rewrite.ramp.as_ref()),
        }
    }
}
