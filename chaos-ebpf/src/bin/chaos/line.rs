//! The near end of the delay line: packets go in with a departure time. The far end is `bin/line.rs`.

use aya_ebpf::{
    helpers::{bpf_check_mtu, bpf_skb_change_head, bpf_skb_set_tstamp},
    macros::map,
    maps::Array,
    programs::TcContext,
};
use chaos_abi::line::{ENGINE_FQ, LABEL_ETHERTYPE, LABEL_LEN, Label, returned};

use crate::{act::MAX_COPIES, packet};

#[map]
static LINE_ENGINE: Array<u32> = Array::with_max_entries(1, 0);

const TSTAMP_UNSPEC: u32 = 0;
const TSTAMP_DELIVERY_MONO: u32 = 1;

/// What the line said.
#[derive(Clone, Copy)]
pub(crate) enum Sent {
    /// It has a copy; the original may go.
    Taken,
    /// It is gone; the original is as it was.
    Refused,
    /// It is full; the packet is lost, as in a full queue of a network.
    Lost,
}

/// Whether the packet has been held already. Takes the mark off: the next interface on its way may be a
/// target too.
#[inline(always)]
pub(crate) fn has_returned(ctx: &TcContext) -> bool {
    let has_returned = packet::tc_index(ctx) == returned(packet::target(ctx));
    if has_returned {
        packet::set_tc_index(ctx, 0);
    }
    has_returned
}

/// Sends a copy into the line with this number. A copy, because a packet that is held while it belongs to
/// a socket stops its sender (TCP Small Queues), and because a line that is gone must not cost the packet.
#[inline(always)]
pub(crate) fn send(ctx: &TcContext, line: u32, departure_ns: u64, copies: u32) -> Sent {
    if line == 0 {
        return Sent::Refused;
    }
    match LINE_ENGINE.get(0) {
        Some(&ENGINE_FQ) => send_stamped(ctx, line, departure_ns, copies),
        Some(_) => send_labelled(ctx, line, departure_ns, copies),
        None => Sent::Refused,
    }
}

/// The packet and its copies; whether the packet went in.
#[inline(always)]
fn push(ctx: &TcContext, line: u32, copies: u32) -> bool {
    let went_in = ctx.clone_redirect(line, 0).is_ok();
    let mut sent = 0;
    while went_in && sent < copies && sent < MAX_COPIES {
        // A line that is full loses it.
        let _ = ctx.clone_redirect(line, 0);
        sent += 1;
    }
    went_in
}

#[inline(always)]
fn send_stamped(ctx: &TcContext, line: u32, departure_ns: u64, copies: u32) -> Sent {
    let stamped =
        stamp(ctx, departure_ns) || (packet::tag_outside(ctx) && stamp(ctx, departure_ns));
    if !stamped {
        return Sent::Refused;
    }
    if push(ctx, line, copies) {
        return Sent::Taken;
    }
    // SAFETY: the context is the program's own; undoes it.
    unsafe { bpf_skb_set_tstamp(ctx.skb.skb, 0, TSTAMP_UNSPEC) };
    Sent::Refused
}

/// The kernel refuses what is not IP to its eyes, such as a tag among the bytes.
#[inline(always)]
fn stamp(ctx: &TcContext, departure_ns: u64) -> bool {
    // SAFETY: the context is the program's own.
    unsafe { bpf_skb_set_tstamp(ctx.skb.skb, departure_ns, TSTAMP_DELIVERY_MONO) == 0 }
}

#[inline(always)]
fn send_labelled(ctx: &TcContext, line: u32, departure_ns: u64, copies: u32) -> Sent {
    let mut mtu = 0;
    // A label cannot be taken off again, so ask first whether the line is there.
    // SAFETY: the context is the program's own, and the result goes to the stack.
    if unsafe { bpf_check_mtu(ctx.skb.skb.cast(), line, &raw mut mtu, 0, 0) } < 0 {
        return Sent::Refused;
    }
    // SAFETY: as above; packet pointers are not used after this. It changes nothing where it fails.
    if unsafe { bpf_skb_change_head(ctx.skb.skb, LABEL_LEN as u32, 0) } != 0 {
        return Sent::Refused;
    }
    let label = Label {
        departure_ns: departure_ns.to_ne_bytes(),
        reserved: [0; 4],
        ethertype: LABEL_ETHERTYPE,
    };
    if ctx.store(0, &label, 0).is_ok() && push(ctx, line, copies) {
        Sent::Taken
    } else {
        Sent::Lost
    }
}
