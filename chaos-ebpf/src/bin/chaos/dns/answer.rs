//! The answer to a question: the packet itself, turned round.

use aya_ebpf::{
    helpers::{bpf_csum_diff, bpf_skb_store_bytes},
    programs::TcContext,
};
use chaos_abi::{
    dns::{DnsAnswer, SILENT},
    rule::PROTOCOL_UDP,
};
use chaos_ebpf::{
    answer::{Ends, Sum, UDP_CHECKSUM},
    dns::{self, HEADER_LEN, RECORD_LEN, TAIL_LEN},
    flow::{Flow, IPV6_LEN},
};

use super::{
    DATAGRAM, DNS_ANSWERS, Datagram, LETTERS, NAME, Question, UDP_LEN, bounded, header, length,
    question,
};
use crate::{
    answer::{is_ipv6, is_left_to_card, is_to_one, resize, send_back, swap_addresses},
    counters, packet, targets,
    under_way::{self, Packet},
};

const TIME_TO_LIVE: u8 = 64;

/// Answers this CPU's packet as its rule wants it, or drops it where that cannot be.
#[inline(always)]
pub(crate) fn answer(ctx: &TcContext) -> i32 {
    let (Some(seen), Some(target)) = (under_way::packet(), targets::target(packet::target(ctx)))
    else {
        return packet::discard();
    };
    if write(ctx, seen).is_none() {
        counters::dropped(seen.answering, seen.size);
        return packet::discard();
    }
    counters::answered(seen.answering, seen.size);
    send_back(ctx, target.ifindex, seen.direction)
}

/// The packet becomes its own answer. Nothing where there is none; the packet may be of no use then.
#[inline(always)]
fn write(ctx: &TcContext, seen: &Packet) -> Option<()> {
    let rule = DNS_ANSWERS.get(seen.answering)?;
    if rule.flags & SILENT != 0 || !is_to_one(ctx) {
        return None;
    }
    let flow = &seen.flow;
    let transport = usize::from(flow.transport);
    let left_to_card = is_left_to_card(ctx, transport + UDP_CHECKSUM)?;
    let question = question()?;
    let bytes = compose(question, rule);
    seal(question, &Ends::of(flow).back(), bytes, left_to_card)?;
    resize(ctx, transport + bytes)?;
    store(ctx, transport, &question.datagram, bytes)?;
    turn_ip(ctx, flow, transport + bytes - usize::from(flow.network))?;
    swap_addresses(ctx)
}

/// Writes the answer over the question, and gives the length of the datagram.
#[inline(always)]
fn compose(question: &mut Question, rule: &DnsAnswer) -> usize {
    let behind = NAME + bounded(question.length) % LETTERS + 1 + TAIL_LEN;
    let record_len = dns::record_len(rule, question.kind);
    let record = dns::record(rule, question.kind);
    let mut at = 0;
    while at < RECORD_LEN {
        question.datagram[behind + at] = if at < record_len { record[at] } else { 0 };
        at += 1;
    }
    let header = dns::answered(&header(question), rule, (record_len > 0).into());
    let mut at = 0;
    while at < HEADER_LEN {
        question.datagram[UDP_LEN + at] = header[at];
        at += 1;
    }
    let bytes = behind + record_len;
    // Sums are taken of words.
    let mut at = 0;
    while at < 4 {
        question.datagram[bounded(bytes as u32) % DATAGRAM + at] = 0;
        at += 1;
    }
    bytes
}

/// Writes UDP's header.
#[inline(always)]
fn seal(question: &mut Question, ends: &Ends, bytes: usize, left_to_card: bool) -> Option<()> {
    let datagram = &mut question.datagram;
    [datagram[0], datagram[1], datagram[2], datagram[3]] =
        [datagram[2], datagram[3], datagram[0], datagram[1]];
    [datagram[4], datagram[5]] = (bytes as u16).to_be_bytes();
    [datagram[6], datagram[7]] = [0, 0];
    let addresses = ends.sum(PROTOCOL_UDP as u8, bytes);
    let checksum = if left_to_card {
        addresses.folded()
    } else {
        let words = (bounded(bytes as u32 + 3) % DATAGRAM) & !3;
        // SAFETY: so many bytes are there.
        let sum = unsafe {
            bpf_csum_diff(
                core::ptr::null_mut(),
                0,
                datagram.as_mut_ptr().cast(),
                words as u32,
                0,
            )
        };
        let sum = u32::try_from(sum).ok()?;
        match Sum(addresses.0).and_word(sum).checksum() {
            // Zero would mean that there is none.
            0 => 0xffff,
            checksum => checksum,
        }
    };
    [datagram[6], datagram[7]] = checksum.to_be_bytes();
    Some(())
}

#[inline(always)]
fn store(ctx: &TcContext, offset: usize, from: &Datagram, bytes: usize) -> Option<()> {
    let bytes = length(bytes);
    // SAFETY: so many bytes are there.
    let result = unsafe {
        bpf_skb_store_bytes(
            ctx.skb.skb.cast(),
            offset as u32,
            from.as_ptr().cast(),
            bytes,
            0,
        )
    };
    (result == 0).then_some(())
}

/// IP the other way, around so many bytes with its header.
#[inline(always)]
fn turn_ip(ctx: &TcContext, flow: &Flow, bytes: usize) -> Option<()> {
    let network = usize::from(flow.network);
    if is_ipv6(ctx, flow) {
        let length = (bytes - IPV6_LEN) as u16;
        ctx.store(network + 4, &length.to_be_bytes(), 0).ok()?;
        let [next, _]: [u8; 2] = ctx.load(network + 6).ok()?;
        ctx.store(network + 6, &[next, TIME_TO_LIVE], 0).ok()?;
        ctx.store(network + 8, &flow.destination, 0).ok()?;
        return ctx.store(network + 24, &flow.source, 0).ok();
    }
    let length = (bytes as u16).to_be();
    let [before, life]: [u16; 2] = [ctx.load(network + 2).ok()?, ctx.load(network + 8).ok()?];
    let [_, protocol] = life.to_ne_bytes();
    let young = u16::from_ne_bytes([TIME_TO_LIVE, protocol]);
    for (at, old, new) in [(2, before, length), (8, life, young)] {
        ctx.l3_csum_replace(network + 10, old.into(), new.into(), 2)
            .ok()?;
        ctx.store(network + at, &new, 0).ok()?;
    }
    ctx.store(network + 12, &flow.destination[3], 0).ok()?;
    ctx.store(network + 16, &flow.source[3], 0).ok()
}
