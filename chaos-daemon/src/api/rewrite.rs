//! What is written into packets: from messages, and back.

use chaos_proto::v1;

use super::{
    ramp::{read_share, write_share},
    wire::RequestError,
};
use crate::engine::{Patch, Ppm, Replace, Rewrite};

/// How far a replacement looks when nothing else is said.
const WITHIN: u32 = 256;

pub(super) fn read(rewrite: v1::Rewrite) -> Result<Rewrite, RequestError> {
    let address = match rewrite.destination_address.as_str() {
        "" => None,
        text => Some(
            text.parse()
                .map_err(|_| RequestError::Address(text.to_owned()))?,
        ),
    };
    Ok(Rewrite {
        dscp: small("DSCP", rewrite.dscp)?,
        congested: rewrite.ecn_ce,
        ttl: small("TTL", rewrite.ttl)?,
        mss: small("MSS", rewrite.mss)?,
        set_flags: small("set of TCP flags", Some(rewrite.set_tcp_flags))?.unwrap_or_default(),
        clear_flags: small("set of TCP flags", Some(rewrite.clear_tcp_flags))?.unwrap_or_default(),
        port: small("port", rewrite.destination_port)?,
        address,
        patch: rewrite.payload.map(|patch| Patch {
            offset: patch.offset,
            bytes: patch.bytes,
        }),
        replace: rewrite.replace.map(|replace| Replace {
            old: replace.old,
            new: replace.new,
            within: match replace.within {
                0 => WITHIN,
                within => within,
            },
        }),
        share: read_share(rewrite.share_ppm.unwrap_or(Ppm::ALL.0), rewrite.ramp)?,
    })
}

/// A number that has fewer bits than messages have for it.
fn small<T: TryFrom<u32>>(
    what: &'static str,
    value: Option<u32>,
) -> Result<Option<T>, RequestError> {
    let small = |value| T::try_from(value).map_err(|_| RequestError::TooLarge { what, value });
    value.map(small).transpose()
}

pub(super) fn write(rewrite: &Rewrite) -> v1::Rewrite {
    let (share_ppm, ramp) = write_share(rewrite.share);
    v1::Rewrite {
        dscp: rewrite.dscp.map(u32::from),
        ecn_ce: rewrite.congested,
        ttl: rewrite.ttl.map(u32::from),
        mss: rewrite.mss.map(u32::from),
        set_tcp_flags: rewrite.set_flags.into(),
        clear_tcp_flags: rewrite.clear_flags.into(),
        destination_port: rewrite.port.map(u32::from),
        destination_address: rewrite
            .address
            .map_or_else(String::new, |address| address.to_string()),
        payload: rewrite.patch.as_ref().map(|patch| v1::PayloadPatch {
            offset: patch.offset,
            bytes: patch.bytes.clone(),
        }),
        replace: rewrite.replace.as_ref().map(|replace| v1::PayloadReplace {
            old: replace.old.clone(),
            new: replace.new.clone(),
            within: replace.within,
        }),
        share_ppm: Some(share_ppm),
        ramp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_again() {
        let rewrite = v1::Rewrite {
            dscp: Some(1),
            ecn_ce: true,
            ttl: Some(2),
            mss: Some(300),
            set_tcp_flags: 4,
            clear_tcp_flags: 8,
            destination_port: Some(5),
            destination_address: "fd00::1".into(),
            payload: Some(v1::PayloadPatch {
                offset: 6,
                bytes: vec![7],
            }),
            replace: Some(v1::PayloadReplace {
                old: vec![8],
                new: vec![9],
                within: 10,
            }),
            share_ppm: Some(11),
            ramp: Some(v1::Ramp {
                from_ppm: 12,
                over: Some(prost_types::Duration::default()),
                ..v1::Ramp::default()
            }),
        };
        assert_eq!(write(&read(rewrite.clone()).unwrap()), rewrite);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let ttl = v1::Rewrite {
            ttl: Some(256),
            ..v1::Rewrite::default()
        };
        assert!(read(ttl).is_err());
        let address = v1::Rewrite {
            destination_address: "provider".into(),
            ..v1::Rewrite::default()
        };
        assert!(read(address).is_err());
    }
}
