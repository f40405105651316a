//! Answers in the name of whoever a packet was for: the packet itself becomes one.

use aya_ebpf::{
    bindings::BPF_F_INGRESS,
    helpers::{bpf_redirect, bpf_skb_change_head, bpf_skb_change_tail},
    programs::TcContext,
};
use chaos_abi::{
    line::returned,
    rule::{FAULT_RESET, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP},
};
use chaos_ebpf::{
    answer::{
        self, Ends, ICMP_LEN, IPV4_LEN, QUOTED, Reset, Segment, Sum, TCP_CHECKSUM, TCP_LEN,
        UDP_CHECKSUM,
    },
    filter::Direction,
    flow::{ACK, FIRST_FRAGMENT, Flow, IPV6_LEN, LATER_FRAGMENT, RST},
};

use crate::{counters, packet, targets, under_way};

/// Length of a hardware address.
const ADDRESS: usize = 6;
/// Most words that an ICMP error quotes: the longest header of IPv4, or IPv6 with extensions.
const MAX_QUOTED_WORDS: usize = 24;
/// Size of a checksum, for the helper that changes it.
const CHECKSUM_SIZE: u64 = 2;

/// Answers this CPU's packet as its rule wants it, or drops it where that cannot be.
#[inline(always)]
pub(crate) fn answer(ctx: &TcContext) -> i32 {
    let (Some(seen), Some(target)) = (under_way::packet(), targets::target(packet::target(ctx)))
    else {
        return packet::discard();
    };
    // What is sent may meet another target below, whose packet is this CPU's from then on.
    let (flow, slot, size, direction) = (seen.flow, seen.answering, seen.size, seen.direction);
    let is_answered = if seen.answer == FAULT_RESET {
        end(ctx, &flow, target.ifindex, direction)
    } else {
        refuse(ctx, &flow)
    };
    if !is_answered {
        counters::dropped(slot, size);
        return packet::discard();
    }
    counters::answered(slot, size);
    send_back(ctx, target.ifindex, direction)
}

/// Tells the sender that nobody listens. False where nothing may or can be told; the packet is of no use then.
#[inline(never)]
fn refuse(ctx: &TcContext, flow: &Flow) -> bool {
    if flow.fragment == LATER_FRAGMENT || !is_to_one(ctx) {
        return false;
    }
    if flow.protocol == PROTOCOL_TCP {
        if flow.tcp_flags & RST != 0 || flow.fragment == FIRST_FRAGMENT {
            return false;
        }
        return reset_sender(ctx, flow).is_some();
    }
    unreachable(ctx, flow).is_some()
}

/// Ends the connection: a RST goes to the receiver, and the packet becomes one to the sender.
#[inline(never)]
fn end(ctx: &TcContext, flow: &Flow, ifindex: u32, direction: Direction) -> bool {
    let Some(segment) = segment(ctx, flow) else {
        return false;
    };
    let Some(left_to_card) = cut(ctx, flow) else {
        return false;
    };
    let ends = Ends::of(flow);
    let to_receiver = Reset::to_receiver(&segment).header(&ends, left_to_card);
    // Of a connection that is not there yet, the receiver knows nothing.
    if segment.flags & ACK != 0 && write(ctx, flow, &ends, &to_receiver).is_some() {
        packet::send_copy(ctx, packet::target(ctx), ifindex, direction);
    }
    turn(ctx, flow, &segment, left_to_card).is_some()
}

/// Sends what the packet has become back to where it came from.
#[inline(always)]
pub(crate) fn send_back(ctx: &TcContext, ifindex: u32, direction: Direction) -> i32 {
    packet::set_tc_index(ctx, returned(packet::target(ctx)));
    let flags = match direction {
        Direction::Egress => u64::from(BPF_F_INGRESS),
        Direction::Ingress | Direction::Arrival | Direction::Socket => 0,
    };
    // SAFETY: only notes the interface, for the kernel to act on.
    unsafe { bpf_redirect(ifindex, flags) as i32 }
}

#[inline(always)]
fn reset_sender(ctx: &TcContext, flow: &Flow) -> Option<()> {
    let segment = segment(ctx, flow)?;
    let left_to_card = cut(ctx, flow)?;
    turn(ctx, flow, &segment, left_to_card)
}

#[inline(always)]
fn segment(ctx: &TcContext, flow: &Flow) -> Option<Segment> {
    let transport = usize::from(flow.transport);
    let end = ip_end(ctx, flow)?;
    Some(Segment {
        sequence: u32::from_be(ctx.load(transport + 4).ok()?),
        acknowledged: u32::from_be(ctx.load(transport + 8).ok()?),
        flags: flow.tcp_flags,
        length: end.saturating_sub(usize::from(flow.payload)) as u32,
    })
}

/// Leaves room for headers without options, and drops what offloads knew of the packet. Gives whether the checksum is
/// left to a network card.
#[inline(always)]
fn cut(ctx: &TcContext, flow: &Flow) -> Option<bool> {
    let left_to_card = is_left_to_card(ctx, usize::from(flow.transport) + TCP_CHECKSUM)?;
    let transport = usize::from(flow.network) + ip_len(is_ipv6(ctx, flow));
    // A card looks for the header where it was.
    if left_to_card && transport != usize::from(flow.transport) {
        return None;
    }
    resize(ctx, transport + TCP_LEN)?;
    Some(left_to_card)
}

/// The packet becomes a RST to its sender.
#[inline(always)]
fn turn(ctx: &TcContext, flow: &Flow, segment: &Segment, left_to_card: bool) -> Option<()> {
    let back = Ends::of(flow).back();
    let to_sender = Reset::to_sender(segment).header(&back, left_to_card);
    write(ctx, flow, &back, &to_sender)?;
    swap_addresses(ctx)
}

#[inline(always)]
fn write(ctx: &TcContext, flow: &Flow, ends: &Ends, tcp: &[u8; TCP_LEN]) -> Option<()> {
    let network = usize::from(flow.network);
    let is_ipv6 = is_ipv6(ctx, flow);
    write_ip(ctx, is_ipv6, ends, network, PROTOCOL_TCP, TCP_LEN)?;
    ctx.store(network + ip_len(is_ipv6), tcp, 0).ok()
}

/// Writes a header of IP in front of so many bytes.
#[inline(always)]
fn write_ip(
    ctx: &TcContext,
    is_ipv6: bool,
    ends: &Ends,
    at: usize,
    protocol: u32,
    length: usize,
) -> Option<()> {
    if is_ipv6 {
        ctx.store(at, &ends.ipv6(protocol, length), 0).ok()
    } else {
        ctx.store(at, &ends.ipv4(protocol, length), 0).ok()
    }
}

/// The packet becomes an ICMP error to its sender, which quotes it.
#[inline(always)]
fn unreachable(ctx: &TcContext, flow: &Flow) -> Option<()> {
    let is_ipv6 = is_ipv6(ctx, flow);
    let (network, transport) = (usize::from(flow.network), usize::from(flow.transport));
    let quoted = (transport + QUOTED).checked_sub(network)?;
    if quoted > MAX_QUOTED_WORDS * 4 || (ctx.len() as usize) < transport + QUOTED {
        return None;
    }
    if flow.protocol == PROTOCOL_ICMP && answer::is_error(is_ipv6, ctx.load::<u8>(transport).ok()?)
    {
        return None;
    }
    let sum = sum_of_quoted(ctx, flow, network, transport)?;
    resize(ctx, transport + QUOTED)?;
    let back = Ends::of(flow).back();
    let room = ip_len(is_ipv6) + ICMP_LEN;
    // SAFETY: the context is the program's own; packet pointers are not used after this.
    if unsafe { bpf_skb_change_head(ctx.skb.skb, room as u32, 0) } != 0 {
        return None;
    }
    // The new header of Ethernet is the old one, and lies over it in part: from the front on.
    let mut at = 0;
    while at < MAX_ETHERNET && at < network {
        let two: [u8; 2] = ctx.load(room + at).ok()?;
        ctx.store(at, &two, 0).ok()?;
        at += 2;
    }
    swap_addresses(ctx)?;
    let length = ICMP_LEN + quoted;
    write_ip(ctx, is_ipv6, &back, network, PROTOCOL_ICMP, length)?;
    let icmp = answer::unreachable(&back, is_ipv6, sum, quoted);
    ctx.store(network + ip_len(is_ipv6), &icmp, 0).ok()
}

/// With two tags.
const MAX_ETHERNET: usize = 22;

/// The sum of what is quoted, as it is when a network card has seen to it.
#[inline(always)]
fn sum_of_quoted(ctx: &TcContext, flow: &Flow, network: usize, transport: usize) -> Option<Sum> {
    let checksum_at = transport + UDP_CHECKSUM;
    let left_to_card = flow.protocol == PROTOCOL_UDP && is_left_to_card(ctx, checksum_at)?;
    let end = if left_to_card {
        transport
    } else {
        transport + QUOTED
    };
    let mut sum = Sum(0);
    let mut words = 0;
    let mut at = network;
    while words < MAX_QUOTED_WORDS && at < end {
        sum = sum.and_word(ctx.load(at).ok()?);
        at += 4;
        words += 1;
    }
    if left_to_card {
        // The card adds up what is there, the field with what it began with included, and puts the complement into the
        // field: all of it then adds up to the complement of what the field had.
        sum = sum.and(!short(ctx, checksum_at)?);
    }
    Some(sum)
}

/// Whether the checksum at this place is yet to be computed, by a network card or by nobody. The kernel does not say so,
/// but of such a packet its helper leaves the field alone.
#[inline(always)]
pub(crate) fn is_left_to_card(ctx: &TcContext, at: usize) -> Option<bool> {
    let before = short(ctx, at)?;
    ctx.l4_csum_replace(at, 0, 1, CHECKSUM_SIZE).ok()?;
    let after = short(ctx, at)?;
    if before != after {
        ctx.store(at, &before.to_be_bytes(), 0).ok()?;
    }
    Some(before == after)
}

#[inline(always)]
pub(crate) fn resize(ctx: &TcContext, length: usize) -> Option<()> {
    // SAFETY: the context is the program's own; packet pointers are not used after this.
    (unsafe { bpf_skb_change_tail(ctx.skb.skb, length as u32, 0) } == 0).then_some(())
}

/// Swaps the hardware addresses.
#[inline(always)]
pub(crate) fn swap_addresses(ctx: &TcContext) -> Option<()> {
    let destination: [u8; ADDRESS] = ctx.load(0).ok()?;
    let source: [u8; ADDRESS] = ctx.load(ADDRESS).ok()?;
    ctx.store(0, &source, 0).ok()?;
    ctx.store(ADDRESS, &destination, 0).ok()
}

/// Nobody answers what goes to many.
#[inline(always)]
pub(crate) fn is_to_one(ctx: &TcContext) -> bool {
    matches!(ctx.load::<u8>(0), Ok(first) if first & 1 == 0)
}

#[inline(always)]
pub(crate) fn is_ipv6(ctx: &TcContext, flow: &Flow) -> bool {
    matches!(ctx.load::<u8>(flow.network.into()), Ok(first) if first >> 4 == 6)
}

/// Length of its header, without options.
#[inline(always)]
const fn ip_len(is_ipv6: bool) -> usize {
    if is_ipv6 { IPV6_LEN } else { IPV4_LEN }
}

#[inline(always)]
pub(crate) fn short(ctx: &TcContext, at: usize) -> Option<u16> {
    ctx.load::<[u8; 2]>(at).ok().map(u16::from_be_bytes)
}

/// Where the packet ends, by what IP says, if that much is there.
#[inline(always)]
pub(crate) fn ip_end(ctx: &TcContext, flow: &Flow) -> Option<usize> {
    let network = usize::from(flow.network);
    let end = if is_ipv6(ctx, flow) {
        network + IPV6_LEN + usize::from(short(ctx, network + 4)?)
    } else {
        network + usize::from(short(ctx, network + 2)?)
    };
    (end <= ctx.len() as usize).then_some(end)
}
