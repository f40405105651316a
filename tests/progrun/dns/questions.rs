//! What is no question, or none that is to be answered.

use std::env;

use chaos_daemon::engine::Reply;
use chaos_tests::{lab::Family, random::Random};

use super::{A, PORT, asking, classifier, dns, is_taken, sent, wire, with_edns};
use crate::{answers::frame, classifier::PASSED};

#[test]
fn what_asks_nothing_passes() {
    let classifier = classifier(&dns(Reply::NoSuchName, &[]));
    let good = asking(&wire("api.example.com"), A);
    let changed = |at: usize, value: u8| {
        let mut message = good.clone();
        message[at] = value;
        message
    };
    let end = good.len();
    let mut pointing = asking(&[3, b'a', b'p', b'i', 0xc0, 12], A);
    let strange = [
        ("an answer", changed(2, 0x81)),
        ("a status", changed(2, 0x10)),
        ("an update", changed(2, 0x28)),
        ("two questions", changed(5, 2)),
        ("257 questions", changed(4, 1)),
        ("no question", changed(5, 0)),
        ("class CH", changed(end - 1, 3)),
        ("class ANY", changed(end - 1, 255)),
        ("a pointer", changed(12, 0xc0)),
        ("an extended label", changed(12, 0x41)),
        ("a label beyond the end", changed(12, 63)),
        ("an empty datagram", Vec::new()),
    ];
    for (what, message) in strange {
        assert!(!is_taken(&classifier, &message), "{what}");
    }
    assert!(!is_taken(&classifier, &pointing));
    pointing.extend([0; 300]);
    assert!(!is_taken(&classifier, &pointing));

    let mut fragment = sent(Family::V4, &good);
    fragment[20] = 0x20;
    let mut short = sent(Family::V4, &good);
    short[39] += 1;
    // Behind what IP carries there is padding.
    let mut beyond = short.clone();
    beyond.extend([0; 10]);
    let jumbo = frame(Family::V4).tcp(PORT, 53, 0x18, &[&[0, 33], &good[..]].concat());
    for sent in [fragment, short, beyond, jumbo] {
        let run = classifier.egress(&sent);
        assert_eq!((run.verdict, &run.frame), (PASSED, &sent));
    }
    let segments = sent(Family::V4, &good);
    assert_eq!(classifier.egress_segments(&segments, 2).verdict, PASSED);
    assert_eq!(classifier.counters(0).matched_packets, 0);
    assert!(
        is_taken(&classifier, &good),
        "the rest of it would be taken"
    );
}

#[test]
fn questions_that_are_cut_short_pass() {
    let classifier = classifier(&dns(Reply::NoSuchName, &[]));
    let whole = asking(&wire("api.example.com"), A);
    for length in 0..whole.len() {
        assert!(!is_taken(&classifier, &whole[..length]), "{length}");
    }
    // Of what is behind the question, nothing is needed.
    let edns = with_edns(whole.clone());
    for length in whole.len()..=edns.len() {
        assert!(is_taken(&classifier, &edns[..length]), "{length}");
    }
    for family in Family::BOTH {
        let sent = sent(family, &whole);
        // The kernel runs no program on less than the headers of IP.
        for length in 54..sent.len() {
            let run = classifier.egress(&sent[..length]);
            assert_eq!((run.verdict, &run.frame[..]), (PASSED, &sent[..length]));
        }
    }
}

/// What a message asks, read in the simplest way.
fn asked(message: &[u8]) -> Option<(Vec<Vec<u8>>, u16)> {
    if message.get(2)? & 0xf8 != 0 || message.get(4..6)? != [0, 1] {
        return None;
    }
    let mut rest = message.get(12..)?;
    let mut labels = Vec::new();
    let mut length = 1;
    loop {
        let (&first, behind) = rest.split_first()?;
        rest = behind;
        if first == 0 {
            break;
        }
        if first > 63 {
            return None;
        }
        length += 1 + usize::from(first);
        labels.push(rest.get(..first.into())?.to_ascii_lowercase());
        rest = &rest[first.into()..];
    }
    let &[high, low, 0, 1, ..] = rest else {
        return None;
    };
    (length <= 255).then(|| (labels, u16::from_be_bytes([high, low])))
}

#[test]
fn no_bytes_mislead_it() {
    let patterns = ["a.b", "*.b", "*.b.b", "a", "*.a.b.a"];
    let classifier = classifier(&dns(Reply::NoSuchName, &patterns));
    let is_meant = |labels: &[Vec<u8>]| {
        patterns.iter().any(|pattern| {
            let whole = pattern.strip_prefix("*.");
            let name: Vec<_> = whole
                .unwrap_or(pattern)
                .split('.')
                .map(str::as_bytes)
                .collect();
            if whole.is_none() {
                return labels == name;
            }
            labels.len() > name.len() && labels[labels.len() - name.len()..] == name[..]
        })
    };
    let mut random = Random::new();
    eprintln!("seed {}", random.seed());
    let (mut meant, mut others) = (0, 0);
    // In an emulated machine each takes milliseconds.
    let rounds = if env::var_os("CHAOS_EMULATED").is_some() {
        1_000
    } else {
        20_000
    };
    for round in 0..rounds {
        let mut name = Vec::new();
        let mut pick = |below: u64| random.next_u64() % below;
        for _ in 0..pick(6) {
            let length = [1, 1, 1, 1, 2, 63][usize::try_from(pick(6)).unwrap()];
            name.push(length);
            for _ in 0..length {
                name.push(b"aabbAB.\x01\x00\x02"[usize::try_from(pick(10)).unwrap()]);
            }
        }
        name.push(0);
        let mut message = asking(&name, A);
        if pick(3) == 0 {
            for _ in 0..=pick(3) {
                let at = usize::try_from(pick(u64::try_from(message.len()).unwrap())).unwrap();
                message[at] = u8::try_from(pick(256)).unwrap();
            }
            let most = u64::try_from(message.len()).unwrap() + 1;
            message.truncate(usize::try_from(most - pick(3).min(1) * pick(most)).unwrap());
        }
        let expected = asked(&message).is_some_and(|(labels, _)| is_meant(&labels));
        let taken = is_taken(&classifier, &message);
        assert_eq!(
            taken,
            expected,
            "{round}, again {}: {message:x?}",
            is_taken(&classifier, &message)
        );
        *if expected { &mut meant } else { &mut others } += 1;
    }
    let counters = classifier.counters(0);
    assert_eq!(
        (counters.matched_packets, counters.answered_packets),
        (meant, meant)
    );
    assert!(
        meant.min(others) > rounds / 20,
        "{meant} meant, {others} not"
    );
}
