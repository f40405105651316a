//! The look that most packets of a target get: whether any rule may take them at all.

use chaos_abi::target::{WANTS_TCP, WANTS_UDP, Wanted};

use crate::flow::{Frame, NEXT_TCP, NEXT_UDP, transport};

/// Whether any of a target's rules may take the packet. It looks at plain headers only, which most packets have; of
/// others it says yes.
#[inline(always)]
pub fn may_take<F: Frame + ?Sized>(wanted: &Wanted, frame: &F) -> bool {
    let Some((protocol, ports_at)) = transport(frame) else {
        return true;
    };
    let bit = match protocol {
        NEXT_TCP => WANTS_TCP,
        NEXT_UDP => WANTS_UDP,
        _ => return true,
    };
    if wanted.protocols & bit == 0 {
        return false;
    }
    if wanted.ports == u64::MAX {
        return true;
    }
    match (frame.short(ports_at), frame.short(ports_at + 2)) {
        (Some(source), Some(destination)) => {
            wanted.ports & (Wanted::port(source) | Wanted::port(destination)) != 0
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use chaos_abi::rule::{
        EGRESS, INGRESS, PORT_OF_EITHER, PORT_OF_PEER, PORT_OF_TARGET, PROTOCOL_ANY, PROTOCOL_ICMP,
        PROTOCOL_TCP, PROTOCOL_UDP, PortRange, Rule,
    };

    use super::*;
    use crate::{
        chance::{self, MILLION},
        filter::{Direction, takes},
        flow::Flow,
    };

    /// Numbers below a bound, one after the other.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 += 1;
            chance::at(77, self.0) % bound
        }

        fn of<T: Copy>(&mut self, values: &[T]) -> T {
            values[self.below(values.len() as u64) as usize]
        }
    }

    /// Ports near each other, and some that are equal modulo 64.
    const PORTS: [u16; 8] = [0, 1, 53, 64, 3000, 3001, 3064, u16::MAX];

    fn rule(numbers: &mut Numbers) -> Rule {
        let mut rule = Rule {
            target: 4,
            directions: numbers.of(&[EGRESS, INGRESS, EGRESS | INGRESS]),
            protocol: numbers.of(&[PROTOCOL_ANY, PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMP, 132]),
            flows_ppm: MILLION,
            port_count: numbers.below(3) as u32,
            ..Rule::default()
        };
        for index in 0..rule.port_count as usize {
            let first = numbers.of(&PORTS);
            let side = numbers.of(&[PORT_OF_EITHER, PORT_OF_TARGET, PORT_OF_PEER]);
            rule.ports[index] = PortRange {
                first,
                last: first.saturating_add(numbers.of(&[0, 1, 62, 63, 64, 5000])),
                side,
                reserved: 0,
            };
            rule.port_sides |= u32::from(side);
        }
        rule
    }

    fn frame(numbers: &mut Numbers) -> [u8; 80] {
        let mut frame = [0; 80];
        let protocol = numbers.of(&[NEXT_TCP, NEXT_UDP, 1, 44, 58, 132]);
        let ports_at = if numbers.below(2) == 0 {
            frame[12..15].copy_from_slice(&[0x08, 0x00, numbers.of(&[0x45, 0x46])]);
            frame[20] = numbers.of(&[0, 0, 0x20, 0x01, 0x40]);
            frame[23] = protocol;
            if frame[14] == 0x45 { 34 } else { 38 }
        } else {
            frame[12..15].copy_from_slice(&[0x86, 0xdd, 0x60]);
            frame[20] = protocol;
            54
        };
        for at in [ports_at, ports_at + 2] {
            frame[at..at + 2].copy_from_slice(&numbers.of(&PORTS).to_be_bytes());
        }
        frame
    }

    #[test]
    fn what_a_rule_takes_is_never_passed_by() {
        let mut numbers = Numbers(0);
        let (mut taken, mut passed_by) = (0, 0);
        for _ in 0..200_000 {
            let rules: [Rule; 2] = core::array::from_fn(|_| rule(&mut numbers));
            let mut wanted = [Wanted::default(); 4];
            for rule in &rules {
                Wanted::add(&mut wanted, rule);
            }
            let whole = frame(&mut numbers);
            let frame = &whole[..numbers.of(&[80, 80, 80, 56, 40, 36, 20])];
            for (wanted, direction) in wanted.iter().zip([Direction::Egress, Direction::Ingress]) {
                let flow = Flow::parse(frame);
                let is_taken = flow
                    .is_some_and(|flow| rules.iter().any(|rule| takes(rule, 4, direction, &flow)));
                let may = may_take(wanted, frame);
                assert!(may || !is_taken, "{rules:?}, {direction:?}, {frame:x?}");
                taken += u32::from(is_taken);
                passed_by += u32::from(!may);
            }
        }
        // It is worth the look, and not because nothing is ever taken.
        assert!(taken > 20_000 && passed_by > 20_000, "{taken}, {passed_by}");
    }

    #[test]
    fn read_the_short_way_is_as_read_the_long_way() {
        let mut numbers = Numbers(0);
        let mut plain = 0;
        for _ in 0..200_000 {
            let mut whole = frame(&mut numbers);
            for _ in 0..4 {
                let at = numbers.below(80) as usize;
                // Not the bytes that make it IP.
                if !(12..=14).contains(&at) {
                    whole[at] = numbers.below(256) as u8;
                }
            }
            let frame = &whole[..numbers.of(&[80, 80, 80, 70, 66, 56, 46, 40, 36, 20])];
            if let Some(flow) = Flow::plain(frame) {
                assert_eq!(Some(flow), Flow::parse(frame), "{frame:x?}");
                plain += 1;
            }
        }
        assert!(plain > 20_000, "{plain}");
    }
}
