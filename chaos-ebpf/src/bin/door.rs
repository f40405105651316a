//! The door: when a network namespace looks for the socket of a new connection, gives it the agent's listener.
//!
//! One copy is attached to each namespace that has doors, with maps of its own. It never refuses a connection: whatever
//! it cannot do, the kernel then does as if nobody had been asked.
#![no_std]
#![no_main]
#![expect(
    clippy::cast_possible_truncation,
    clippy::inline_always,
    reason = "a port has 16 bits; a program is one function: calls cost stack, and the verifier forgets"
)]
#![expect(
    clippy::needless_pass_by_value,
    missing_docs,
    unreachable_pub,
    reason = "`#[sk_lookup]` makes public functions of its own"
)]

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{map, sk_lookup},
    maps::{
        Array, HashMap, PerCpuArray, SockMap,
        lpm_trie::{Key, LpmTrie},
    },
    programs::SkLookupContext,
};
use chaos_abi::door::{
    Door, DoorCounters, MAX_DOORS, MAX_PASSED, MAX_SPARED_PEERS, MAX_TAKEN, PASSED_OWN, Passed,
    REMEMBERS,
};
use chaos_ebpf::door::{Knock, acts, takes_from};

#[map]
static DOORS: HashMap<u32, Door> = HashMap::with_max_entries(MAX_DOORS, 0);
#[map]
static SOCKETS: SockMap = SockMap::with_max_entries(MAX_DOORS, 0);
/// Few of them are in use most of the time.
#[map]
static PASSED: HashMap<Passed, u32> = HashMap::with_max_entries(MAX_PASSED, BPF_F_NO_PREALLOC);
#[map]
static SPARED_PEERS: LpmTrie<[u32; 4], u32> =
    LpmTrie::with_max_entries(MAX_SPARED_PEERS, BPF_F_NO_PREALLOC);
#[map]
static TAKEN: HashMap<Passed, u32> = HashMap::with_max_entries(MAX_TAKEN, BPF_F_NO_PREALLOC);
#[map]
static DOOR_COUNTERS: PerCpuArray<DoorCounters> = PerCpuArray::with_max_entries(MAX_DOORS, 0);
#[map]
static LIVENESS: Array<u64> = Array::with_max_entries(1, 0);

const BPF_F_NO_PREALLOC: u32 = 1;
const ADDRESS_BITS: u32 = 128;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const IPPROTO_TCP: u32 = 6;
/// The kernel goes on with the socket that was given, or looks for one itself.
const SK_PASS: u32 = 1;

/// For every connection, or datagram, that no connected socket of the namespace takes.
#[sk_lookup]
pub fn chaos_door(ctx: SkLookupContext) -> u32 {
    let _left_alone = answer(&ctx);
    SK_PASS
}

/// Gives the connection to the listener of its port's door; nothing when there is none that takes it.
#[inline(always)]
fn answer(ctx: &SkLookupContext) -> Option<()> {
    let lookup = ctx.lookup;
    // SAFETY: the context is valid for the whole run; each field is read at its own width, as the verifier asks.
    let (protocol, local_port) = unsafe { ((*lookup).protocol, (*lookup).local_port) };
    if protocol != IPPROTO_TCP {
        return None;
    }
    // SAFETY: a door is written whole, by the agent only, and a stale one acts no longer than its deadline.
    let door = *unsafe { DOORS.get(local_port) }?;
    let alive_ns = *LIVENESS.get(0)?;
    // SAFETY: takes nothing and only reads a clock.
    if !acts(&door, unsafe { bpf_ktime_get_ns() }, alive_ns) {
        return None;
    }
    let knock = knock(ctx)?;
    if !takes_from(&door, &knock) {
        return None;
    }
    let counters = DOOR_COUNTERS.get_ptr_mut(door.place)?;
    match passed(&knock) {
        None => {}
        Some(PASSED_OWN) => return None,
        Some(_) => {
            // SAFETY: of this CPU, and programs at the look-up do not interrupt each other.
            unsafe { (*counters).spared += 1 };
            return None;
        }
    }
    if door.flags & REMEMBERS != 0 {
        // Where there is no room, one connection is closed that need not be.
        let _no_room = TAKEN.insert(knock.taken(), 1, 0);
    }
    SOCKETS.redirect_sk_lookup(ctx, door.place, 0).ok()?;
    // SAFETY: as above.
    unsafe { (*counters).taken += 1 };
    Some(())
}

/// Who asks, and for what.
#[inline(always)]
fn knock(ctx: &SkLookupContext) -> Option<Knock> {
    let lookup = ctx.lookup;
    // SAFETY: as in `answer`.
    let (family, peer_port, port, ifindex) = unsafe {
        (
            (*lookup).family,
            (*lookup).remote_port,
            (*lookup).local_port,
            (*lookup).ingress_ifindex,
        )
    };
    let (peer, own) = match family {
        AF_INET => {
            // SAFETY: as in `answer`.
            let (peer, own) = unsafe { ((*lookup).remote_ip4, (*lookup).local_ip4) };
            (Knock::mapped(peer), Knock::mapped(own))
        }
        // SAFETY: both are fields of the context.
        AF_INET6 => unsafe {
            (
                words(&raw const (*lookup).remote_ip6),
                words(&raw const (*lookup).local_ip6),
            )
        },
        _ => return None,
    };
    Some(Knock {
        peer,
        own,
        peer_port: u16::from_be(peer_port),
        port: port as u16,
        ifindex,
    })
}

/// An address of the context, word by word: a read that joins words into a wider one is refused.
#[inline(always)]
unsafe fn words(of: *const [u32; 4]) -> [u32; 4] {
    let first = of.cast::<u32>();
    // SAFETY: the caller's field has four words; volatile, so that they are not joined.
    unsafe {
        [
            core::ptr::read_volatile(first),
            core::ptr::read_volatile(first.add(1)),
            core::ptr::read_volatile(first.add(2)),
            core::ptr::read_volatile(first.add(3)),
        ]
    }
}

/// What is written of who asks; nothing when nothing is.
#[inline(always)]
fn passed(knock: &Knock) -> Option<u32> {
    for entry in knock.passed() {
        // SAFETY: the value is one word.
        if let Some(passed) = unsafe { PASSED.get(entry) } {
            return Some(*passed);
        }
    }
    SPARED_PEERS
        .get(Key::new(ADDRESS_BITS, knock.peer))
        .copied()
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier rejects a program that could get here.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
