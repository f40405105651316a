//! Questions to DNS: read from packets, looked up in the names of rules, and answered.

mod answer;

use core::{arch::asm, ffi::c_void};

use aya_ebpf::{
    helpers::{bpf_loop, bpf_skb_load_bytes},
    macros::map,
    maps::{
        Array, PerCpuArray,
        lpm_trie::{Key, LpmTrie},
    },
    programs::TcContext,
};
use chaos_abi::{
    dns::{DnsAnswer, DnsName, HAS_NAMES, LONGEST_NAME, NAME_SLOT_BITS},
    maps::{MAX_DNS_NAMES, MAX_RULES},
    rule::PROTOCOL_UDP,
};
use chaos_ebpf::dns::{self, CLASS_IN, DOT, HEADER_LEN, Part, RECORD_LEN, TAIL_LEN};

pub(crate) use self::answer::answer;
use crate::{
    answer::{ip_end, short},
    under_way::{self, Packet},
};

#[map]
static DNS_NAMES: LpmTrie<DnsName, u32> =
    LpmTrie::with_max_entries(MAX_DNS_NAMES, BPF_F_NO_PREALLOC);
#[map]
static DNS_ANSWERS: Array<DnsAnswer> = Array::with_max_entries(MAX_RULES, 0);
/// In a map and not on the stack, which has no room for it, and of which old verifiers assume too much in loops.
#[map]
static DNS_QUESTION: PerCpuArray<Question> = PerCpuArray::with_max_entries(1, 0);

/// The kernel takes no trie without it.
const BPF_F_NO_PREALLOC: u32 = 1;

/// Values of [`Packet::question`].
pub(crate) const NOT_LOOKED_AT: u32 = 0;
const NONE: u32 = 1;
const ONE: u32 = 2;

const UDP_LEN: usize = 8;
/// Where the name is in a datagram.
const NAME: usize = UDP_LEN + HEADER_LEN;
/// Longest name with its root, and what is behind it.
const LONGEST: usize = NAME + LONGEST_NAME + 1 + TAIL_LEN;
/// A power of two, so that a mask is a bound.
const DATAGRAM: usize = 512;
/// With room for a record, and for zeros up to a whole word, wherever a masked offset is.
type Datagram = [u8; DATAGRAM + RECORD_LEN + 4];
/// Likewise of a name.
const LETTERS: usize = 256;

/// The question of the packet under way on this CPU.
#[repr(C)]
pub(crate) struct Question {
    /// The key in the trie of names: its prefix length, the slot, and the name with room to spare.
    prefix_len: u32,
    slot: u16,
    reversed: [u8; LETTERS],
    /// The name from its beginning.
    letters: [u8; LETTERS],
    /// UDP's header and what it carries, up to the end of the question; then the answer.
    datagram: Datagram,
    /// Where the next label begins.
    next: u32,
    /// Length of the name without its root.
    length: u32,
    /// Whether the name has an end.
    ends: u32,
    kind: u16,
}

/// The pointer that a loop's callback gets.
struct Under {
    question: &'static mut Question,
}

#[inline(always)]
fn question() -> Option<&'static mut Question> {
    // SAFETY: the element belongs to this CPU, and the pointer is not kept beyond the program's run.
    DNS_QUESTION
        .get_ptr_mut(0)
        .map(|question| unsafe { &mut *question })
}

/// Whether the packet asks what the rule in this slot is about. What cannot be read asks nothing.
#[inline(never)]
pub(crate) fn takes(ctx: &TcContext, slot: u32) -> bool {
    let (Some(seen), Some(rule)) = (under_way::packet(), DNS_ANSWERS.get(slot)) else {
        return false;
    };
    if seen.question == NOT_LOOKED_AT {
        seen.question = if look(ctx, seen).is_some() { ONE } else { NONE };
    }
    if seen.question != ONE {
        return false;
    }
    let Some(question) = question() else {
        return false;
    };
    if !dns::takes_type(rule, question.kind) {
        return false;
    }
    rule.flags & HAS_NAMES == 0 || is_named(question, slot)
}

#[inline(always)]
fn is_named(question: &mut Question, slot: u32) -> bool {
    question.slot = slot as u16;
    // SAFETY: the key is laid out as `Key<DnsName>` is, and longer.
    let key = unsafe { &*(&raw const question.prefix_len).cast::<Key<DnsName>>() };
    match DNS_NAMES.get(key) {
        Some(&found) => dns::is_meant(found, question.length),
        None => false,
    }
}

/// Reads the question.
#[inline(always)]
fn look(ctx: &TcContext, seen: &Packet) -> Option<()> {
    let flow = &seen.flow;
    if flow.protocol != PROTOCOL_UDP || flow.fragment != 0 || seen.size.packets != 1 {
        return None;
    }
    let transport = usize::from(flow.transport);
    let carried = usize::from(short(ctx, transport + 4)?);
    if carried < NAME + 1 + TAIL_LEN || transport + carried > ip_end(ctx, flow)? {
        return None;
    }
    let question = question()?;
    let loaded = if carried < LONGEST { carried } else { LONGEST };
    load(ctx, transport, &mut question.datagram, loaded)?;
    if !dns::asks(&header(question)) {
        return None;
    }
    question.next = 0;
    question.length = 0;
    question.ends = 0;
    let mut under = Under { question };
    let mut letters = loaded - NAME - TAIL_LEN;
    repeat(letters, next_letter, &mut under)?;
    if under.question.ends == 0 {
        return None;
    }
    letters = bounded(under.question.length) % LETTERS;
    repeat(letters, from_the_end, &mut under)?;
    let question = under.question;
    question.reversed[letters] = 0;
    let bytes = if letters < LONGEST_NAME {
        letters + 1
    } else {
        LONGEST_NAME
    };
    question.prefix_len = NAME_SLOT_BITS + bytes as u32 * 8;
    let tail = NAME + letters + 1;
    let [a, b, c, d] = [0, 1, 2, 3].map(|at| question.datagram[tail + at]);
    question.kind = u16::from_be_bytes([a, b]);
    (u16::from_be_bytes([c, d]) == CLASS_IN).then_some(())
}

#[inline(always)]
fn header(question: &Question) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let mut at = 0;
    while at < HEADER_LEN {
        header[at] = question.datagram[UDP_LEN + at];
        at += 1;
    }
    header
}

type Callback = unsafe extern "C" fn(u32, *mut c_void) -> i64;

const CONTINUE: i64 = 0;
const STOP: i64 = 1;

#[inline(always)]
fn repeat(times: usize, callback: Callback, under: &mut Under) -> Option<()> {
    // SAFETY: the callback has the kernel's signature, and the state outlives the call.
    let done = unsafe {
        bpf_loop(
            times as u32,
            callback as *mut c_void,
            (&raw mut *under).cast(),
            0,
        )
    };
    (done >= 0).then_some(())
}

/// Reads one byte of the name.
unsafe extern "C" fn next_letter(index: u32, under: *mut c_void) -> i64 {
    // SAFETY: `look` gives a pointer to its state, which nothing else uses meanwhile.
    let question = unsafe { &mut *(*under.cast::<Under>()).question };
    let at = index as usize % LETTERS;
    let byte = question.datagram[NAME + at];
    match dns::part(byte, index == question.next) {
        Part::Length(length) => {
            question.letters[at] = DOT;
            question.next = index + length;
        }
        Part::Letter(letter) => question.letters[at] = letter,
        Part::Root => {
            question.length = index;
            question.ends = 1;
            return STOP;
        }
        Part::Unknown => return STOP,
    }
    CONTINUE
}

/// Puts one letter where the trie of names has it.
unsafe extern "C" fn from_the_end(index: u32, under: *mut c_void) -> i64 {
    // SAFETY: as above.
    let question = unsafe { &mut *(*under.cast::<Under>()).question };
    let from = question.length.wrapping_sub(index + 1);
    question.reversed[index as usize % LETTERS] = question.letters[from as usize % LETTERS];
    CONTINUE
}

/// The same number, of which the compiler knows nothing, so that it leaves a bound that follows where it is.
#[inline(always)]
fn bounded(number: u32) -> usize {
    let mut number = number as usize;
    // SAFETY: moves a register to itself.
    unsafe { asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack)) };
    number
}

/// Most bytes of a datagram, from 1 on.
#[inline(always)]
fn length(number: usize) -> u32 {
    (bounded(number as u32 - 1) % DATAGRAM) as u32 + 1
}

#[inline(always)]
fn load(ctx: &TcContext, offset: usize, to: &mut Datagram, bytes: usize) -> Option<()> {
    let bytes = length(bytes);
    // SAFETY: so many bytes have room there.
    let result = unsafe {
        bpf_skb_load_bytes(
            ctx.skb.skb.cast(),
            offset as u32,
            to.as_mut_ptr().cast(),
            bytes,
        )
    };
    (result == 0).then_some(())
}
