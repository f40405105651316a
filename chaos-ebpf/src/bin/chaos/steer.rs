//! Sends new connections elsewhere, and translates what is answered from there.

use aya_ebpf::{
    bindings::TC_ACT_UNSPEC, helpers::bpf_redirect_neigh, macros::map, maps::LruHashMap,
    programs::TcContext,
};
use chaos_abi::{
    line::returned,
    maps::{ACTION_EGRESS, ACTION_INGRESS, MAX_CONNECTIONS},
    rewrite::{Rewrite, Steered, SteeredKey, WRITES_ADDRESS_V4, WRITES_ADDRESS_V6, WRITES_PORT},
    rule::{PROTOCOL_TCP, PROTOCOL_UDP},
};
use chaos_ebpf::{
    filter::Direction,
    flow::Flow,
    rewrite::{answers, as_answer, can_steer, sum_of_words},
};

use crate::{
    actions,
    packet::{self, Linear},
    protection,
    rewrite::{OF_ADDRESSES, Page, RECOMPUTE},
    rules, targets,
    under_way::{self, Packet},
};

#[map]
static STEERED: LruHashMap<SteeredKey, Steered> = LruHashMap::with_max_entries(MAX_CONNECTIONS, 0);

/// Where addresses and ports are in their headers.
const IPV4_SOURCE: usize = 12;
const IPV4_DESTINATION: usize = 16;
const IPV6_SOURCE: usize = 8;
const IPV6_DESTINATION: usize = 24;
const SOURCE_PORT: usize = 0;
const DESTINATION_PORT: usize = 2;

/// Value of [`crate::under_way::Packet::steered`]: the packet goes elsewhere.
pub(crate) const ELSEWHERE: u32 = 1;
/// Bit of it: to another address.
pub(crate) const READDRESSED: u32 = 2;

/// Sends the packet elsewhere, if it opens a connection or belongs to one that was opened while the rule acted. Says so
/// when it now goes there.
#[inline(always)]
pub(crate) fn away(page: &Page<'_>, rewrite: &Rewrite, slot: u32) -> Option<u32> {
    let flow = page.flow;
    if !can_steer(rewrite, flow, page.is_ipv6) {
        return None;
    }
    let has_address = rewrite.what & (WRITES_ADDRESS_V4 | WRITES_ADDRESS_V6) != 0;
    let address = if has_address {
        rewrite.address
    } else {
        flow.destination
    };
    let port = if rewrite.what & WRITES_PORT != 0 {
        rewrite.port
    } else {
        flow.destination_port
    };
    let number = packet::target(page.ctx);
    let direction = under_way::packet()?.direction;
    if is_protected(page.ctx, direction, &flow.to(address, port)) {
        return None;
    }
    let rule = rules::rule(slot)?.identity;
    let key = answers(flow, number, address, port);
    // SAFETY: the values are plain integers.
    let known = unsafe { STEERED.get(key) }.filter(|known| known.rule == rule);
    if flow.protocol == PROTOCOL_TCP && known.is_none() && !flow.opens_connection() {
        return None;
    }
    let from = Steered {
        address: flow.destination,
        rule,
        port: flow.destination_port.into(),
        reserved: 0,
    };
    if known.is_none_or(|known| known.port != from.port || known.address != from.address) {
        // Where it cannot be remembered, answers would come from a stranger.
        STEERED.insert(key, from, 0).ok()?;
    }
    let at = if page.is_ipv6 {
        IPV6_DESTINATION
    } else {
        IPV4_DESTINATION
    };
    page.address(at, flow.destination, address)?;
    page.port(DESTINATION_PORT, flow.destination_port, port)?;
    Some(
        ELSEWHERE
            | if address == flow.destination {
                0
            } else {
                READDRESSED
            },
    )
}

/// Whether the agent was told to spare it: it is neither sent there nor taken for an answer from there.
#[inline(always)]
fn is_protected(ctx: &TcContext, direction: Direction, flow: &Flow) -> bool {
    let Some(target) = targets::target(packet::target(ctx)) else {
        return true;
    };
    protection::covers(target, direction, flow)
}

/// An answer from where a connection was sent gets the source that its receiver expects; then the packet goes on to the
/// classifier.
#[inline(always)]
pub(crate) fn back(ctx: &TcContext) -> i32 {
    let Some(seen) = under_way::packet() else {
        return TC_ACT_UNSPEC;
    };
    if let Some(flow) = Flow::parse(&Linear::of(ctx)) {
        translate(ctx, seen, &flow);
    }
    let classifier = match seen.direction {
        Direction::Egress => ACTION_EGRESS,
        Direction::Ingress | Direction::Arrival | Direction::Socket => ACTION_INGRESS,
    };
    seen.is_translated = 1;
    actions::call(ctx, classifier);
    seen.is_translated = 0;
    TC_ACT_UNSPEC
}

#[inline(always)]
fn translate(ctx: &TcContext, seen: &mut Packet, flow: &Flow) -> Option<()> {
    if flow.has_ports == 0 || flow.fragment != 0 {
        return None;
    }
    let number = packet::target(ctx);
    // What goes there by itself gets answers of its own.
    if flow.protocol == PROTOCOL_UDP || flow.opens_connection() {
        let there = answers(flow, number, flow.destination, flow.destination_port);
        let _ = STEERED.remove(there);
    }
    let key = as_answer(flow, number);
    // SAFETY: as above.
    let from = *unsafe { STEERED.get(key) }?;
    if !rules::acts_now(targets::target(number)?, from.rule, seen)?
        || is_protected(ctx, seen.direction, flow)
    {
        return None;
    }
    let page = Page::of(ctx, flow);
    let at = if page.is_ipv6 {
        IPV6_SOURCE
    } else {
        IPV4_SOURCE
    };
    page.address(at, flow.source, from.address)?;
    page.port(SOURCE_PORT, flow.source_port, from.port as u16)
}

/// Sends a packet to another address on the target's interface, with the hardware address that belongs to it.
#[inline(always)]
pub(crate) fn send(ctx: &TcContext, ifindex: u32) -> i32 {
    packet::set_tc_index(ctx, returned(packet::target(ctx)));
    // SAFETY: only notes the interface, for the kernel to act on; it asks its own tables who is next.
    unsafe { bpf_redirect_neigh(ifindex, core::ptr::null_mut(), 0, 0) as i32 }
}

impl Page<'_> {
    /// Writes an address, at this place in the header of IP.
    #[inline(always)]
    fn address(&self, place: usize, before: [u32; 4], after: [u32; 4]) -> Option<()> {
        if before == after {
            return Some(());
        }
        let at = usize::from(self.flow.network) + place;
        // What IPv4 addresses are mapped with counts nothing.
        let (from, to) = (sum_of_words(&before, 0), sum_of_words(&after, 0));
        self.checksum(from, to, OF_ADDRESSES)?;
        if self.is_ipv6 {
            // No checksum of the packet's own makes up for it, as that of IPv4 does.
            return self.ctx.store(at, &after, RECOMPUTE).ok();
        }
        self.header_checksum(from, to)?;
        self.ctx.store(at, &after[3], 0).ok()
    }

    /// Writes a port, at this place in what IP carries.
    #[inline(always)]
    fn port(&self, place: usize, before: u16, after: u16) -> Option<()> {
        if before == after {
            return Some(());
        }
        let at = usize::from(self.flow.transport) + place;
        self.checksum(before, after, 0)?;
        self.ctx.store(at, &after.to_be_bytes(), 0).ok()
    }
}
