//! What is written into packets, in a few words.

use std::fmt::Write as _;

use chaos_proto::v1::Rewrite;

use crate::quantity::{TcpFlags, dscp_in_words, tcp_flags_in_words};

/// All parts: `DSCP 46 (ef), TTL 3`.
pub fn rewritten(rewrite: &Rewrite) -> String {
    let flags = TcpFlags {
        set: rewrite.set_tcp_flags,
        clear: rewrite.clear_tcp_flags,
    };
    let to = match (
        rewrite.destination_address.as_str(),
        rewrite.destination_port,
    ) {
        ("", None) => None,
        ("", Some(port)) => Some(format!("to port {port}")),
        (address, None) => Some(format!("to {address}")),
        (address, Some(port)) => Some(format!("to {address} port {port}")),
    };
    let parts = [
        rewrite
            .dscp
            .map(|dscp| format!("DSCP {}", dscp_in_words(dscp))),
        rewrite.ecn_ce.then(|| "ECN ce".to_owned()),
        rewrite.ttl.map(|ttl| format!("TTL {ttl}")),
        rewrite.mss.map(|mss| format!("MSS {mss}")),
        (flags != TcpFlags::default()).then(|| format!("flags {}", tcp_flags_in_words(flags))),
        to,
        rewrite
            .payload
            .as_ref()
            .map(|patch| format!("{} at {} of the payload", hex(&patch.bytes), patch.offset)),
        rewrite
            .replace
            .as_ref()
            .map(|replace| format!("{} for {}", escaped(&replace.new), escaped(&replace.old))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

/// In hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn escaped(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

#[cfg(test)]
mod tests {
    use chaos_proto::v1::{PayloadPatch, PayloadReplace};

    use super::*;

    #[test]
    fn all_parts_are_told() {
        let rewrite = Rewrite {
            dscp: Some(46),
            ecn_ce: true,
            ttl: Some(3),
            mss: Some(536),
            set_tcp_flags: 0x40,
            clear_tcp_flags: 0x08,
            destination_port: Some(81),
            destination_address: "10.0.0.9".into(),
            payload: Some(PayloadPatch {
                offset: 4,
                bytes: vec![0xde, 0xad],
            }),
            replace: Some(PayloadReplace {
                old: b"OK".to_vec(),
                new: b"\0!".to_vec(),
                within: 0,
            }),
            ..Rewrite::default()
        };
        assert_eq!(
            rewritten(&rewrite),
            "DSCP 46 (ef), ECN ce, TTL 3, MSS 536, flags +ece,-psh, to 10.0.0.9 port 81, \
             dead at 4 of the payload, \"\\x00!\" for \"OK\""
        );
    }
}
