//! Frames as they come from a TAP line: offload header, label, perhaps a VLAN tag, then the frame itself.

use std::io::IoSlice;

use chaos_abi::line::{LABEL_ETHERTYPE, LABEL_LEN};

/// Length of `struct virtio_net_hdr` (`linux/virtio_net.h`).
const OFFLOAD_LEN: usize = 10;
/// In it: length of the headers, and start of the part that is yet to be summed.
const HEADER_LEN: std::ops::Range<usize> = 2..4;
const CHECKSUM_START: std::ops::Range<usize> = 6..8;
/// In it: a checksum is to be completed.
const FLAGS: usize = 0;
const NEEDS_CHECKSUM: u8 = 1;
/// In it: the kind of segmentation; 0 is none.
const SEGMENTATION: usize = 1;

const ADDRESSES_LEN: usize = 12;
const VLAN_LEN: usize = 4;

/// A frame without its label, ready to be written back.
#[derive(Debug)]
pub(super) struct Frame {
    /// What was read; the label is still inside, and is left out on writing.
    bytes: Box<[u8]>,
    /// Length of the VLAN tag that the kernel put into the label: a tag travels beside the packet, and the
    /// TAP writes it behind the first two addresses it sees. They are the label's.
    vlan_len: usize,
}

impl Frame {
    /// Takes what was read from a TAP; gives its departure time too. Nothing when it bears no label.
    pub(super) fn parse(read: &[u8]) -> Option<(u64, Self)> {
        let label = read.get(OFFLOAD_LEN..)?;
        let departure_ns = u64::from_ne_bytes(label.get(..8)?.try_into().ok()?);
        let ethertype_at = |at: usize| label.get(at..at + 2);
        let marked = LABEL_ETHERTYPE.to_ne_bytes();
        let vlan_len = if ethertype_at(ADDRESSES_LEN)? == marked {
            0
        } else if ethertype_at(ADDRESSES_LEN + VLAN_LEN)? == marked {
            VLAN_LEN
        } else {
            return None;
        };
        if label.len() < LABEL_LEN + vlan_len + ADDRESSES_LEN {
            return None;
        }
        let mut bytes: Box<[u8]> = read.into();
        if bytes[FLAGS] & NEEDS_CHECKSUM != 0 {
            subtract_label(&mut bytes[CHECKSUM_START]);
        }
        if bytes[SEGMENTATION] != 0 {
            subtract_label(&mut bytes[HEADER_LEN]);
        }
        Some((departure_ns, Self { bytes, vlan_len }))
    }

    /// What to write, in order.
    pub(super) fn parts(&self) -> [IoSlice<'_>; 4] {
        let (offload, rest) = self.bytes.split_at(OFFLOAD_LEN);
        let vlan = &rest[ADDRESSES_LEN..ADDRESSES_LEN + self.vlan_len];
        let (addresses, body) = rest[LABEL_LEN + self.vlan_len..].split_at(ADDRESSES_LEN);
        [offload, addresses, vlan, body].map(IoSlice::new)
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn memory(&self) -> usize {
        self.bytes.len() + 64
    }

    #[cfg(test)]
    pub(super) fn for_test(len: usize) -> Self {
        Self {
            bytes: vec![0; len].into(),
            vlan_len: 0,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is 14")]
const LABEL: u16 = LABEL_LEN as u16;

fn subtract_label(field: &mut [u8]) {
    // Native order: the header is not that of virtio 1.0.
    if let Ok(bytes) = <[u8; 2]>::try_from(&*field) {
        let value = u16::from_ne_bytes(bytes).saturating_sub(LABEL);
        field.copy_from_slice(&value.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

    fn labelled(offload: [u8; 10], vlan: &[u8], body: &[u8]) -> Vec<u8> {
        let mut read = offload.to_vec();
        read.extend(77_u64.to_ne_bytes());
        read.extend([0; 4]);
        read.extend(vlan);
        read.extend(LABEL_ETHERTYPE.to_ne_bytes());
        read.extend(ADDRESSES);
        read.extend(body);
        read
    }

    fn written(frame: &Frame) -> Vec<u8> {
        frame
            .parts()
            .iter()
            .flat_map(|part| part.to_vec())
            .collect()
    }

    #[test]
    fn label_comes_off() {
        let (departure_ns, frame) = Frame::parse(&labelled([0; 10], &[], &[8, 0, 0x45])).unwrap();
        assert_eq!(departure_ns, 77);
        let mut expected = vec![0; 10];
        expected.extend(ADDRESSES);
        expected.extend([8, 0, 0x45]);
        assert_eq!(written(&frame), expected);
    }

    #[test]
    fn tag_moves_behind_the_frames_own_addresses() {
        let (_, frame) = Frame::parse(&labelled([0; 10], &[0x81, 0, 0, 7], &[8, 0, 0x45])).unwrap();
        let mut expected = vec![0; 10];
        expected.extend(ADDRESSES);
        expected.extend([0x81, 0, 0, 7, 8, 0, 0x45]);
        assert_eq!(written(&frame), expected);
    }

    #[test]
    fn offload_offsets_shrink_by_the_label() {
        let mut offload = [0; 10];
        offload[FLAGS] = NEEDS_CHECKSUM;
        offload[SEGMENTATION] = 1;
        offload[HEADER_LEN].copy_from_slice(&80_u16.to_ne_bytes());
        offload[CHECKSUM_START].copy_from_slice(&48_u16.to_ne_bytes());
        let (_, frame) = Frame::parse(&labelled(offload, &[], &[8, 0])).unwrap();
        let out = written(&frame);
        assert_eq!(out[HEADER_LEN], 66_u16.to_ne_bytes());
        assert_eq!(out[CHECKSUM_START], 34_u16.to_ne_bytes());
    }

    #[test]
    fn offsets_that_mean_nothing_stay() {
        let mut offload = [0; 10];
        offload[CHECKSUM_START].copy_from_slice(&3_u16.to_ne_bytes());
        let (_, frame) = Frame::parse(&labelled(offload, &[], &[8, 0])).unwrap();
        assert_eq!(written(&frame)[..10], offload);
    }

    #[test]
    fn what_bears_no_label_is_nobodys() {
        let read = labelled([0; 10], &[], &[8, 0]);
        for len in 0..read.len() - 2 {
            assert!(Frame::parse(&read[..len]).is_none(), "cut at {len}");
        }
        assert!(Frame::parse(&[0; 60]).is_none());
    }
}
