//! Questions to DNS (RFC 1035): which packets ask one, of which name, and what an answer begins with.

use chaos_abi::dns::{DnsAnswer, HAS_V4, HAS_V6, OTHER, TYPE_A, TYPE_AAAA, WHOLE};

/// Length of the header.
pub const HEADER_LEN: usize = 12;
/// Behind the name: type and class.
pub const TAIL_LEN: usize = 4;
/// Length of the longest record: a name that points at the question, type, class, time to live, an address.
pub const RECORD_LEN: usize = 12 + 16;

/// Class of the Internet.
pub const CLASS_IN: u16 = 1;

const LONGEST_LABEL: u8 = 63;
/// Bits of the header's third byte: a response, and what is asked for when it is not an ordinary question.
const RESPONSE_AND_OPCODE: u8 = 0xf8;
const RESPONSE: u8 = 0x80;
const RECURSION_DESIRED: u8 = 0x01;
/// Bits of its fourth.
const RECURSION_AVAILABLE: u8 = 0x80;
const CHECKING_DISABLED: u8 = 0x10;
/// The name of the question, seen from a record.
const POINTER: [u8; 2] = [0xc0, HEADER_LEN as u8];

/// Whether a message with this header asks one ordinary question.
#[inline(always)]
pub const fn asks(header: &[u8; HEADER_LEN]) -> bool {
    header[2] & RESPONSE_AND_OPCODE == 0 && header[4] == 0 && header[5] == 1
}

/// What a byte of a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The length of a label; the next such byte comes so many bytes later.
    Length(u32),
    /// A letter, as the trie of names has it.
    Letter(u8),
    /// The end of the name.
    Root,
    /// A pointer, or what nobody knows.
    Unknown,
}

/// What the byte is, which is or is not where a label begins.
#[inline(always)]
pub const fn part(byte: u8, begins_label: bool) -> Part {
    match byte {
        0 if begins_label => Part::Root,
        1..=LONGEST_LABEL if begins_label => Part::Length(byte as u32 + 1),
        _ if begins_label => Part::Unknown,
        b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => Part::Letter(byte),
        b'A'..=b'Z' => Part::Letter(byte | 0x20),
        _ => Part::Letter(OTHER),
    }
}

/// In front of each label, in the trie of names.
pub const DOT: u8 = b'.';

/// Whether a name of this length is meant by what the trie of names has for it.
#[inline(always)]
pub const fn is_meant(found: u32, length: u32) -> bool {
    found == WHOLE || found != length
}

/// Whether the rule is about records of this type.
#[inline(always)]
pub const fn takes_type(rule: &DnsAnswer, kind: u16) -> bool {
    if rule.type_count == 0 {
        return true;
    }
    let mut index = 0;
    while index < rule.types.len() {
        if rule.types[index] == kind && (index as u32) < rule.type_count {
            return true;
        }
        index += 1;
    }
    false
}

/// How long the record of an answer is that goes with a question of this type; 0: there is none.
#[inline(always)]
pub const fn record_len(rule: &DnsAnswer, kind: u16) -> usize {
    match kind {
        TYPE_A if rule.flags & HAS_V4 != 0 => RECORD_LEN - 12,
        TYPE_AAAA if rule.flags & HAS_V6 != 0 => RECORD_LEN,
        _ => 0,
    }
}

/// The record of that length, zeros behind it.
#[inline(always)]
pub const fn record(rule: &DnsAnswer, kind: u16) -> [u8; RECORD_LEN] {
    let mut record = [0; RECORD_LEN];
    [record[0], record[1]] = POINTER;
    [record[2], record[3]] = kind.to_be_bytes();
    [record[4], record[5]] = CLASS_IN.to_be_bytes();
    [record[6], record[7], record[8], record[9]] = rule.ttl_s.to_be_bytes();
    if kind == TYPE_A {
        record[11] = 4;
        [record[12], record[13], record[14], record[15]] = rule.v4.to_ne_bytes();
        return record;
    }
    record[11] = 16;
    let mut word = 0;
    while word < 4 {
        let at = 12 + word * 4;
        [record[at], record[at + 1], record[at + 2], record[at + 3]] = rule.v6[word].to_ne_bytes();
        word += 1;
    }
    record
}

/// The header of an answer with so many records to a question with this one.
#[inline(always)]
pub const fn answered(
    question: &[u8; HEADER_LEN],
    rule: &DnsAnswer,
    records: u8,
) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    [header[0], header[1]] = [question[0], question[1]];
    header[2] = RESPONSE | question[2] & RECURSION_DESIRED;
    header[3] = RECURSION_AVAILABLE | question[3] & CHECKING_DISABLED | rule.rcode as u8 & 0x0f;
    header[5] = 1;
    header[7] = records;
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_questions_are_answered() {
        let mut header = [7, 7, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, 1];
        assert!(asks(&header));
        for (at, value) in [(2, 0x81), (2, 0x28), (5, 0), (5, 2), (4, 1)] {
            let kept = header[at];
            header[at] = value;
            assert!(!asks(&header), "byte {at} is {value}");
            header[at] = kept;
        }
    }

    #[test]
    fn bytes_are_told_apart_by_where_they_are() {
        assert_eq!(part(0, true), Part::Root);
        assert_eq!(part(63, true), Part::Length(64));
        for pointer in [0x40, 0x80, 0xc0, 0xff] {
            assert_eq!(part(pointer, true), Part::Unknown);
        }
        assert_eq!(part(b'X', false), Part::Letter(b'x'));
        // What would look like the borders of labels does not.
        for other in [0, b'.', b'*', b'@', b'[', 0x7f, 0xe4] {
            assert_eq!(part(other, false), Part::Letter(OTHER));
        }
    }

    #[test]
    fn a_name_is_not_below_itself() {
        assert!(is_meant(WHOLE, 12) && is_meant(12, 16));
        assert!(!is_meant(12, 12));
    }

    #[test]
    fn types_are_those_of_the_rule() {
        let mut rule = DnsAnswer::default();
        assert!(takes_type(&rule, 15));
        rule.types[..2].copy_from_slice(&[TYPE_A, 15]);
        rule.type_count = 1;
        assert!(takes_type(&rule, TYPE_A) && !takes_type(&rule, 15) && !takes_type(&rule, 0));
    }

    #[test]
    fn an_answer_says_what_the_question_said() {
        let rule = DnsAnswer {
            flags: HAS_V4,
            rcode: 3,
            ttl_s: 5,
            v4: u32::from_ne_bytes([10, 0, 0, 9]),
            ..DnsAnswer::default()
        };
        let question = [7, 8, 0x03, 0x30, 0, 1, 0, 1, 0, 2, 0, 3];
        assert_eq!(
            answered(&question, &rule, 1),
            [7, 8, 0x81, 0x93, 0, 1, 0, 1, 0, 0, 0, 0]
        );
        assert_eq!(record_len(&rule, TYPE_A), 16);
        assert_eq!(
            record(&rule, TYPE_A)[..16],
            [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 0, 0, 9]
        );
        assert_eq!(
            (record_len(&rule, TYPE_AAAA), record_len(&rule, 15)),
            (0, 0)
        );
    }
}
