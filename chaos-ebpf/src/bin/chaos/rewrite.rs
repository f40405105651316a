//! Writes into packets, and keeps their checksums right: also those that a network card has yet to compute.

mod payload;

use core::ffi::c_void;

use aya_ebpf::{helpers::bpf_loop, macros::map, maps::Array, programs::TcContext};
use chaos_abi::{
    maps::MAX_RULES,
    rewrite::{
        REPLACES, Rewrite, STEERS, WRITES_CE, WRITES_DSCP, WRITES_FLAGS, WRITES_MSS,
        WRITES_PAYLOAD, WRITES_TTL,
    },
    rule::{PROTOCOL_TCP, PROTOCOL_UDP},
    target::{MAX_RULES_PER_TARGET, Target},
};
use chaos_ebpf::{
    answer::{TCP_CHECKSUM, TCP_LEN, UDP_CHECKSUM},
    flow::{Flow, LATER_FRAGMENT},
    rewrite::{sum_of, traffic_class},
};

use crate::{
    answer::{ip_end, is_ipv6},
    counters, steer,
    under_way::Packet,
};

#[map]
static REWRITES: Array<Rewrite> = Array::with_max_entries(MAX_RULES, 0);

/// Of `bpf_skb_store_bytes`: for what no checksum of the packet's own covers.
pub(crate) const RECOMPUTE: u64 = 1;
/// Of `bpf_l4_csum_replace`: a checksum of 0 means that there is none.
const MANGLED: u64 = 0x20;
/// Of `bpf_l4_csum_replace`: what the checksum covers, but the packet's part below IP has not.
pub(crate) const OF_ADDRESSES: u64 = 0x10;
const CHECKSUM_SIZE: u64 = 2;

/// Where the checksum is in a header of IPv4.
const IPV4_CHECKSUM: usize = 10;
const IPV4_CLASS: usize = 1;
const IPV4_TTL: usize = 8;
const IPV6_TTL: usize = 7;
const TCP_FLAGS: usize = 13;

const OPTION_END: u8 = 0;
const OPTION_NOTHING: u8 = 1;
const OPTION_MSS: u8 = 2;
/// Most options that a header has room for.
const MAX_OPTIONS: u32 = 40;

/// A packet that is written to, of which the offsets are known.
pub(crate) struct Page<'a> {
    pub(crate) ctx: &'a TcContext,
    pub(crate) flow: &'a Flow,
    pub(crate) is_ipv6: bool,
    /// Where it ends, by what IP says: padding may come behind.
    end: usize,
}

/// On the way through the rules that write into a packet.
struct Pass<'a> {
    page: Page<'a>,
    target: &'static Target,
    packet: &'a Packet,
    /// See [`Packet::steered`].
    steered: u32,
}

/// Does what all rules that rewrite this CPU's packet want, in their order.
#[inline(always)]
pub(crate) fn rewrite(ctx: &TcContext, packet: &mut Packet, target: &'static Target) {
    let mut pass = Pass {
        page: Page::of(ctx, &packet.flow),
        target,
        packet,
        steered: 0,
    };
    // SAFETY: the callback has the kernel's signature, and the state outlives the call. The verifier looks at a
    // callback once, however many rules there are.
    unsafe {
        bpf_loop(
            MAX_RULES_PER_TARGET as u32,
            next_rule as *mut c_void,
            (&raw mut pass).cast(),
            0,
        );
    }
    packet.steered = pass.steered;
}

/// What `bpf_loop` calls for each rule.
unsafe extern "C" fn next_rule(index: u32, pass: *mut c_void) -> i64 {
    // SAFETY: the caller gives its own state, which nothing else uses meanwhile.
    let pass = unsafe { &mut *pass.cast::<Pass<'_>>() };
    let slot = pass.target.rules[index as usize % MAX_RULES_PER_TARGET];
    if pass.packet.rewriting & (1 << (index % MAX_RULES_PER_TARGET as u32)) != 0
        && by_rule(&pass.page, slot, &mut pass.steered)
    {
        counters::rewritten(slot, pass.packet.size);
    }
    CONTINUE
}

/// What one rule wants; whether anything changed.
#[inline(always)]
fn by_rule(page: &Page<'_>, slot: u32, steered: &mut u32) -> bool {
    let Some(rewrite) = REWRITES.get(slot) else {
        return false;
    };
    let mut changed = page.header(rewrite).unwrap_or(false);
    // A later fragment has no header behind that of IP.
    if page.flow.fragment == LATER_FRAGMENT {
        return changed;
    }
    if page.flow.protocol == PROTOCOL_TCP && page.flow.has_ports != 0 {
        changed |= page.tcp(rewrite).unwrap_or(false);
    }
    if rewrite.what & WRITES_PAYLOAD != 0 {
        changed |= page.patch(rewrite).is_some();
    }
    if rewrite.what & REPLACES != 0 {
        changed |= page.replace(rewrite);
    }
    // What is elsewhere has other addresses than those that are known here.
    if rewrite.what & STEERS != 0
        && *steered == 0
        && let Some(how) = steer::away(page, rewrite, slot)
    {
        *steered = how;
        changed = true;
    }
    changed
}

impl<'a> Page<'a> {
    /// The packet, whose headers are as `flow` says.
    #[inline(always)]
    pub(crate) fn of(ctx: &'a TcContext, flow: &'a Flow) -> Self {
        Self {
            ctx,
            flow,
            is_ipv6: is_ipv6(ctx, flow),
            end: ip_end(ctx, flow).unwrap_or(0),
        }
    }
}

impl Page<'_> {
    /// Traffic class and time to live.
    #[inline(always)]
    fn header(&self, rewrite: &Rewrite) -> Option<bool> {
        let mut changed = false;
        if rewrite.what & (WRITES_DSCP | WRITES_CE) != 0 {
            let before = self.class_now()?;
            let dscp = (rewrite.what & WRITES_DSCP != 0).then_some(rewrite.dscp);
            let after = traffic_class(before, dscp, rewrite.what & WRITES_CE != 0);
            changed = before != after;
            if changed {
                self.class(before, after)?;
            }
        }
        if rewrite.what & WRITES_TTL != 0 {
            let at = if self.is_ipv6 { IPV6_TTL } else { IPV4_TTL };
            changed |= self.byte_of_header(at, rewrite.ttl)?;
        }
        Some(changed)
    }

    /// The traffic class, which an earlier rule may have changed.
    #[inline(always)]
    fn class_now(&self) -> Option<u8> {
        let [first, second]: [u8; 2] = self.ctx.load(self.flow.network.into()).ok()?;
        Some(if self.is_ipv6 {
            first << 4 | second >> 4
        } else {
            second
        })
    }

    /// In IPv6 it lies across two bytes, of which the other halves stay.
    #[inline(always)]
    fn class(&self, before: u8, after: u8) -> Option<()> {
        if !self.is_ipv6 {
            return self.byte_of_header(IPV4_CLASS, after).map(|_| ());
        }
        let [first, second]: [u8; 2] = self.ctx.load(self.flow.network.into()).ok()?;
        let swapped = before ^ after;
        self.byte_of_header(0, first ^ swapped >> 4)?;
        self.byte_of_header(1, second ^ swapped << 4)?;
        Some(())
    }

    /// Writes one byte of the header of IP; whether it was another.
    #[inline(always)]
    fn byte_of_header(&self, place: usize, after: u8) -> Option<bool> {
        let network = usize::from(self.flow.network);
        let before: u8 = self.ctx.load(network + place).ok()?;
        if before == after {
            return Some(false);
        }
        if self.is_ipv6 {
            self.ctx.store(network + place, &after, RECOMPUTE).ok()?;
            return Some(true);
        }
        let (from, to) = (sum_of(&[before, 0], place), sum_of(&[after, 0], place));
        self.ctx.store(network + place, &after, 0).ok()?;
        self.header_checksum(from, to)?;
        Some(true)
    }

    /// The checksum of a header of IPv4, after a change of what adds up to `from`.
    #[inline(always)]
    pub(crate) fn header_checksum(&self, from: u16, to: u16) -> Option<()> {
        let at = usize::from(self.flow.network) + IPV4_CHECKSUM;
        self.ctx
            .l3_csum_replace(at, from.to_be().into(), to.to_be().into(), CHECKSUM_SIZE)
            .ok()
    }

    /// The checksum of what IP carries, likewise.
    #[inline(always)]
    pub(crate) fn checksum(&self, from: u16, to: u16, flags: u64) -> Option<()> {
        let (at, flags) = match self.flow.protocol {
            PROTOCOL_TCP => (TCP_CHECKSUM, flags),
            PROTOCOL_UDP => (UDP_CHECKSUM, flags | MANGLED),
            // Of others, a wrong one is found by whoever checks it.
            _ => return Some(()),
        };
        let at = usize::from(self.flow.transport) + at;
        let (from, to) = (u64::from(from.to_be()), u64::from(to.to_be()));
        self.ctx
            .l4_csum_replace(at, from, to, flags | CHECKSUM_SIZE)
            .ok()
    }

    /// Flags, and what is announced when a connection opens.
    #[inline(always)]
    fn tcp(&self, rewrite: &Rewrite) -> Option<bool> {
        let transport = usize::from(self.flow.transport);
        let mut changed = false;
        if rewrite.what & WRITES_FLAGS != 0 {
            let before: u8 = self.ctx.load(transport + TCP_FLAGS).ok()?;
            let after = before & !rewrite.clear_flags | rewrite.set_flags;
            changed = before != after;
            if changed {
                let (from, to) = (
                    sum_of(&[before, 0], TCP_FLAGS),
                    sum_of(&[after, 0], TCP_FLAGS),
                );
                self.ctx.store(transport + TCP_FLAGS, &after, 0).ok()?;
                self.checksum(from, to, 0)?;
            }
        }
        if rewrite.what & WRITES_MSS != 0 && self.flow.tcp_flags & chaos_ebpf::flow::SYN != 0 {
            let mut clamp = Clamp {
                page: self,
                at: transport + TCP_LEN,
                most: rewrite.mss,
                changed: false,
            };
            // SAFETY: the callback has the kernel's signature, and the state outlives the call.
            unsafe {
                bpf_loop(
                    MAX_OPTIONS,
                    next_option as *mut c_void,
                    (&raw mut clamp).cast(),
                    0,
                );
            }
            changed |= clamp.changed;
        }
        Some(changed)
    }
}

/// On the way through TCP's options.
struct Clamp<'a> {
    page: &'a Page<'a>,
    at: usize,
    most: u16,
    changed: bool,
}

const CONTINUE: i64 = 0;
const STOP: i64 = 1;

/// What `bpf_loop` calls for each option.
unsafe extern "C" fn next_option(_index: u32, clamp: *mut c_void) -> i64 {
    // SAFETY: the caller gives its own state, which nothing else uses meanwhile.
    let clamp = unsafe { &mut *clamp.cast::<Clamp<'_>>() };
    let page = clamp.page;
    if clamp.at >= usize::from(page.flow.payload) {
        return STOP;
    }
    let Ok(kind) = page.ctx.load::<u8>(clamp.at) else {
        return STOP;
    };
    if kind == OPTION_END {
        return STOP;
    }
    if kind == OPTION_NOTHING {
        clamp.at += 1;
        return CONTINUE;
    }
    let Ok(length) = page.ctx.load::<u8>(clamp.at + 1) else {
        return STOP;
    };
    if kind != OPTION_MSS || length != 4 {
        clamp.at += usize::from(length);
        return if length < 2 { STOP } else { CONTINUE };
    }
    let at = clamp.at + 2;
    if let Ok(before) = page.ctx.load::<[u8; 2]>(at)
        && u16::from_be_bytes(before) > clamp.most
    {
        let after = clamp.most.to_be_bytes();
        let place = at - usize::from(page.flow.transport);
        let (from, to) = (sum_of(&before, place), sum_of(&after, place));
        clamp.changed =
            page.ctx.store(at, &after, 0).is_ok() && page.checksum(from, to, 0).is_some();
    }
    STOP
}
