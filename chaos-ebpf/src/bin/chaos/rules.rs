//! From a packet to its verdict, through the rules of its target.

use core::ffi::c_void;

use aya_ebpf::{helpers::bpf_loop, macros::map, maps::Array};
use chaos_abi::{
    maps::MAX_RULES,
    rule::{
        CHOICE_FIRST, FAULT_CORRUPT, FAULT_DELAY, FAULT_DNS, FAULT_DUPLICATE, FAULT_LOSS,
        FAULT_RATE, FAULT_REJECT, FAULT_RESET, FAULT_REWRITE, HAS_EXCEPTIONS, HAS_PEERS, Memory,
        NEW_CONNECTIONS, OLD_CONNECTIONS, REORDERS, Rule, SPARES, Window,
    },
    target::{ARRIVAL_PLACE, MAX_RULES_PER_TARGET, SOCKET_PLACE, Target},
};
use chaos_ebpf::{
    chance, choice, delay,
    filter::{self, Direction},
    flow::Flow,
    glance, reset, shape,
};

use crate::{
    act::MAX_COPIES,
    clock,
    context::Context,
    counters, fragments, hold, memory,
    packet::Linear,
    peers, protection,
    targets::way,
    under_way::{Packet, packet},
};

#[map]
static RULES: Array<Rule> = Array::with_max_entries(MAX_RULES, 0);
#[map]
static WINDOWS: Array<Window> = Array::with_max_entries(MAX_RULES, 0);

/// What becomes of a packet that matched.
pub(crate) enum Verdict {
    /// It never arrives.
    Drop,
    /// It never arrives, and somebody is told.
    Answer { slot: u32 },
    /// It goes on, perhaps with copies, a flipped bit or something else in it, or into a line: see [`Packet`].
    Pass,
}

/// A packet on its way through the rules of its target. It is on the stack, of which there is little.
struct Pass<'a, C> {
    ctx: &'a C,
    target: &'static Target,
    packet: &'static mut Packet,
}

/// What all rules of the target together make of a packet. Nothing: no rule took it.
#[inline(always)]
pub(crate) fn decide<C: Context>(
    ctx: &C,
    direction: Direction,
    number: u32,
    target: &'static Target,
) -> Option<(Verdict, &'static Packet)> {
    if target.rule_count == 0 {
        return None;
    }
    let place = match direction {
        Direction::Egress | Direction::Ingress => way(direction),
        Direction::Arrival => ARRIVAL_PLACE,
        Direction::Socket => SOCKET_PLACE,
    };
    let linear = Linear::of(ctx);
    if !glance::may_take(&target.wanted[place], &linear) {
        return None;
    }
    let packet = packet()?;
    match Flow::plain(&linear) {
        Some(flow) => packet.flow = flow,
        None if read(ctx, packet) => {}
        None => return None,
    }
    packet.begin(direction, number);
    let mut pass = Pass {
        ctx,
        target,
        packet,
    };
    // Most targets have one rule, which needs no call then.
    if one_rule(0, direction, &mut pass) == CONTINUE && target.rule_count > 1 {
        // SAFETY: the callback has the kernel's signature, and the state outlives the call. The verifier looks at a
        // callback once, however many rules there are.
        unsafe {
            bpf_loop(
                target.rule_count - 1,
                next_rule::<C> as *mut c_void,
                (&raw mut pass).cast(),
                0,
            );
        }
    }
    let Pass { packet, .. } = pass;
    if packet.drops != 0 {
        let verdict = match packet.answer {
            0 => Verdict::Drop,
            _ => Verdict::Answer {
                slot: packet.answering,
            },
        };
        return Some((verdict, packet));
    }
    if packet.acts == 0 {
        return None;
    }
    if packet.delaying != 0 {
        let mut departure_ns = packet.now + packet.hold_ns;
        if packet.ordered != 0 {
            departure_ns =
                memory::behind_predecessor(number, direction, &packet.flow, departure_ns);
        }
        packet.near = target.lines[way(direction)];
        packet.departure_ns = departure_ns;
    }
    Some((Verdict::Pass, packet))
}

/// The rule in a slot.
#[inline(always)]
pub(crate) fn rule(slot: u32) -> Option<&'static Rule> {
    RULES.get(slot)
}

/// Whether a rule of this identity is one of the target's, wherever its slot is, and acts.
#[inline(always)]
pub(crate) fn acts_now(target: &Target, identity: u64, packet: &mut Packet) -> Option<bool> {
    let now = clock::now_if_alive(packet, false)?;
    let mut index = 0;
    while index < MAX_RULES_PER_TARGET && index < target.rule_count as usize {
        let slot = target.rules[index];
        if RULES.get(slot)?.identity == identity {
            return Some(now < WINDOWS.get(slot)?.deadline_ns);
        }
        index += 1;
    }
    Some(false)
}

/// Reads the headers. By itself, for the sake of the stack, and because the verifier then does not remember each way
/// through the glance.
#[inline(never)]
fn read<C: Context>(ctx: &C, packet: &mut Packet) -> bool {
    let Some(mut flow) = Flow::parse(&Linear::as_it_is(ctx)) else {
        return false;
    };
    if flow.fragment != 0 {
        fragments::share_ports(&mut flow);
    }
    packet.flow = flow;
    true
}

const CONTINUE: i64 = 0;
const STOP: i64 = 1;

/// What `bpf_loop` calls for each rule but the first.
unsafe extern "C" fn next_rule<C: Context>(index: u32, pass: *mut c_void) -> i64 {
    // SAFETY: `decide` gives a pointer to its state, which nothing else uses meanwhile.
    let pass = unsafe { &mut *pass.cast::<Pass<'_, C>>() };
    one_rule(index + 1, pass.packet.direction, pass)
}

/// The rule at this place among those of the target.
#[inline(always)]
fn one_rule<C: Context>(index: u32, direction: Direction, pass: &mut Pass<'_, C>) -> i64 {
    // A mask, not a comparison: what was compared may be on the stack when it is used, where the verifier forgets.
    let slot = pass.target.rules[index as usize % MAX_RULES_PER_TARGET];
    match apply(slot, index, direction, pass) {
        Some(true) => {
            pass.packet.drops = 1;
            STOP
        }
        Some(false) => CONTINUE,
        // Something is missing, or the packet is protected: it passes.
        None => {
            pass.packet.acts = 0;
            STOP
        }
    }
}

/// One rule; true when it drops the packet.
#[inline(always)]
fn apply<C: Context>(
    slot: u32,
    index: u32,
    direction: Direction,
    pass: &mut Pass<'_, C>,
) -> Option<bool> {
    let rule = RULES.get(slot)?;
    let packet = &mut *pass.packet;
    if !filter::takes(rule, packet.number, direction, &packet.flow)
        || (rule.flags & (HAS_PEERS | HAS_EXCEPTIONS) != 0
            && !peers::is_peer(rule, direction.peer(&packet.flow)))
    {
        return Some(false);
    }
    if rule.flags & SPARES != 0 && peers::is_spared(slot, direction, &packet.flow) {
        return Some(false);
    }
    if rule.cgroup_id != 0 && pass.ctx.ancestor_cgroup(rule.cgroup_level) != rule.cgroup_id {
        return Some(false);
    }
    if packet.now == 0 {
        if protection::covers(pass.target, direction, &packet.flow) {
            return None;
        }
        packet.size = pass.ctx.size();
    }
    if packet.now == 0 || (packet.is_exact == 0 && rule.needs_exact_time()) {
        let exact = rule.needs_exact_time();
        packet.now = clock::now_if_alive(packet, exact)?;
        packet.is_exact = exact.into();
    }
    let window = WINDOWS.get(slot)?;
    if !shape::acts(rule, window, packet.now) || !filter::takes_length(rule, packet.size.of_one()) {
        return Some(false);
    }
    if rule.answers() && !may_answer(rule, slot, window, pass.ctx, direction, packet) {
        return Some(false);
    }
    let mut of_flow = 0;
    let mut is_due = true;
    if rule.flags & (NEW_CONNECTIONS | OLD_CONNECTIONS) != 0
        || rule.choice == CHOICE_FIRST
        || reset::waits(rule)
    {
        let known = memory::of_connection(rule, &packet.flow)?;
        let is_new = known.is_new != 0;
        if (rule.flags & NEW_CONNECTIONS != 0 && !is_new)
            || (rule.flags & OLD_CONNECTIONS != 0 && is_new)
        {
            return Some(false);
        }
        of_flow = if is_new { known.packets } else { u64::MAX };
        known.packets += 1;
        if packet.flow.opens_connection() {
            reset::begin(known);
        }
        let headers = packet.size.packets * u64::from(packet.flow.payload);
        let carried = packet.size.bytes.saturating_sub(headers);
        is_due = reset::is_due(rule, known, packet.now, carried);
    }
    let of_flow = packet.forget(of_flow);
    counters::matched(slot, packet.size);
    if packet.forget(is_due.into()) == 0 {
        return Some(false);
    }
    let memory = memory::of_rule(slot)?;
    if rule.fault == FAULT_RATE {
        return hold::limit(rule, window, slot, index, packet, way(direction), memory);
    }
    let mut another = 0;
    if !choice::is_certain(rule) {
        let position = memory::next_position(memory);
        let random = chance::at(rule.seed, position);
        let share_ppm = shape::share_ppm(rule, window, packet.now);
        let chosen = choice::chooses(rule, share_ppm, memory, random, of_flow);
        if packet.forget(chosen.into()) == 0 {
            return Some(false);
        }
        // A number that is independent of the choice.
        another = chance::at(!rule.seed, position);
    }
    Some(happens(rule, slot, index, packet, window, memory, another))
}

/// Whether the packet is one that a fault which answers is for.
#[inline(always)]
fn may_answer<C: Context>(
    rule: &Rule,
    slot: u32,
    window: &Window,
    ctx: &C,
    direction: Direction,
    packet: &Packet,
) -> bool {
    // Who answers for another host draws its packets to himself.
    if matches!(direction, Direction::Ingress) && ctx.is_for_another() {
        return false;
    }
    match rule.fault {
        FAULT_RESET => {
            let share_ppm = shape::connections_ppm(rule, window, packet.now);
            reset::may_end(rule, share_ppm, &packet.flow)
        }
        FAULT_DNS => ctx.asks(slot),
        _ => true,
    }
}

/// The fault itself; true when it drops the packet.
#[inline(always)]
fn happens(
    rule: &Rule,
    slot: u32,
    index: u32,
    packet: &mut Packet,
    window: &Window,
    memory: &mut Memory,
    random: u64,
) -> bool {
    match rule.fault {
        FAULT_LOSS => {
            counters::dropped(slot, packet.size);
            return true;
        }
        FAULT_REJECT | FAULT_RESET | FAULT_DNS => {
            packet.answer = rule.fault;
            packet.answering = slot;
            return true;
        }
        _ => packet.act(),
    }
    match rule.fault {
        FAULT_DELAY => {
            let hold_ns = hold::delay(rule, window, memory, packet.now, random);
            packet.hold_ns += delay::at_least(hold_ns, packet.now, rule.not_before_ns);
            packet.ordered |= u32::from(rule.flags & REORDERS == 0 && rule.varies());
            packet.delaying |= 1 << index;
        }
        FAULT_DUPLICATE if packet.copies < MAX_COPIES => {
            packet.duplicating |= 1 << index;
            packet.copies += 1;
        }
        FAULT_REWRITE => packet.rewriting |= 1 << index,
        FAULT_CORRUPT => {
            packet.corrupting |= 1 << index;
            packet.noise = random;
        }
        _ => {}
    }
    false
}
