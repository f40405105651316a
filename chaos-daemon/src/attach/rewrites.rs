//! What rules write, in the words of the kernel.

use std::net::IpAddr;

use chaos_abi::rewrite::{self as abi, MAX_PATCH};

use super::rules::address_in_kernel;
use crate::engine::{Patch, Replace, Rewrite};

pub(super) fn in_kernel(rewrite: &Rewrite) -> abi::Rewrite {
    let mut out = abi::Rewrite {
        dscp: rewrite.dscp.unwrap_or_default(),
        ttl: rewrite.ttl.unwrap_or_default(),
        mss: rewrite.mss.unwrap_or_default(),
        set_flags: rewrite.set_flags,
        clear_flags: rewrite.clear_flags,
        port: rewrite.port.unwrap_or_default(),
        ..abi::Rewrite::default()
    };
    if let Some(address) = rewrite.address {
        out.what |= match address {
            IpAddr::V4(_) => abi::WRITES_ADDRESS_V4,
            IpAddr::V6(_) => abi::WRITES_ADDRESS_V6,
        };
        out.address = address_in_kernel(address);
    }
    if let Some(Patch { offset, bytes }) = &rewrite.patch {
        out.offset = *offset;
        (out.patch, out.patch_len) = patch(bytes);
    }
    if let Some(Replace { old, new, within }) = &rewrite.replace {
        out.within = *within;
        (out.old, out.old_len) = patch(old);
        (out.new, _) = patch(new);
    }
    let written = [
        (rewrite.dscp.is_some(), abi::WRITES_DSCP),
        (rewrite.congested, abi::WRITES_CE),
        (rewrite.ttl.is_some(), abi::WRITES_TTL),
        (rewrite.mss.is_some(), abi::WRITES_MSS),
        (
            rewrite.set_flags | rewrite.clear_flags != 0,
            abi::WRITES_FLAGS,
        ),
        (rewrite.port.is_some(), abi::WRITES_PORT),
        (rewrite.patch.is_some(), abi::WRITES_PAYLOAD),
        (rewrite.replace.is_some(), abi::REPLACES),
    ];
    for (_, bit) in written.iter().filter(|(is_written, _)| *is_written) {
        out.what |= bit;
    }
    out
}

/// In words, padded with zeros, and how many bytes there were.
fn patch(bytes: &[u8]) -> (abi::Patch, u32) {
    let mut padded = [0; MAX_PATCH];
    let length = bytes.len().min(MAX_PATCH);
    padded[..length].copy_from_slice(&bytes[..length]);
    let mut words = abi::Patch::default();
    for (word, bytes) in words.iter_mut().zip(padded.as_chunks().0) {
        *word = u32::from_ne_bytes(*bytes);
    }
    (words, u32::try_from(length).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_written_is_named() {
        let rewrite = Rewrite {
            dscp: Some(46),
            congested: true,
            ttl: Some(3),
            mss: Some(500),
            set_flags: 1,
            clear_flags: 2,
            port: Some(81),
            address: Some(IpAddr::from([10, 0, 0, 1])),
            patch: Some(Patch {
                offset: 7,
                bytes: b"abcde".to_vec(),
            }),
            replace: Some(Replace {
                old: b"x".to_vec(),
                new: b"y".to_vec(),
                within: 9,
            }),
            ..Rewrite::default()
        };
        let out = in_kernel(&rewrite);
        assert_eq!(out.what, (1 << 9) - 1);
        assert_eq!(
            (out.patch_len, out.old_len, out.offset, out.within),
            (5, 1, 7, 9)
        );
        assert_eq!(out.patch[0].to_ne_bytes(), *b"abcd");
        assert_eq!(out.patch[1].to_ne_bytes(), [b'e', 0, 0, 0]);
        assert_eq!(out.address[3].to_ne_bytes(), [10, 0, 0, 1]);
        let v6 = Rewrite {
            address: Some(IpAddr::from([1; 16])),
            ..Rewrite::default()
        };
        assert_eq!(in_kernel(&v6).what, abi::WRITES_ADDRESS_V6);
    }
}
