//! Which names are a rule's.

use chaos_daemon::engine::Reply;
use chaos_tests::lab::Family;

use super::{A, answer, asking, classifier, dns, is_taken, sent, wire};

#[test]
fn names_are_matched_as_dns_does_it() {
    let all: &[&str] = &[];
    for (patterns, meant, others) in [
        (
            &["example.com"][..],
            &["example.com", "EXAMPLE.com"][..],
            &[
                "a.example.com",
                "xexample.com",
                "com",
                "",
                "example.com.x",
                "example-com",
            ][..],
        ),
        (
            &["*.example.com"],
            &[
                "a.example.com",
                "a.b.example.com",
                "A.Example.Com",
                "*.example.com",
            ],
            &["example.com", "xexample.com", "a.example.org", "com", ""],
        ),
        (
            &["*.com", "*.example.com", "b.a.example.com"],
            &[
                "example.com",
                "a.example.com",
                "b.a.example.com",
                "c.b.a.example.com",
                "x.com",
            ],
            &["com", "org", "com.org"],
        ),
        (
            &["example.com", "*.a.example.com"],
            &["example.com", "b.a.example.com"],
            &["a.example.com", "b.example.com"],
        ),
        (
            &["_ldap._tcp.dc-1"],
            &["_LDAP._tcp.DC-1"],
            &["ldap._tcp.dc-1"],
        ),
        (all, &["", "a", "xn--bcher-kva.example"], &[]),
    ] {
        let classifier = classifier(&dns(Reply::NoSuchName, patterns));
        for name in meant {
            let message = asking(&wire(name), A);
            assert!(is_taken(&classifier, &message), "{patterns:?}: {name}");
        }
        for name in others {
            let message = asking(&wire(name), A);
            assert!(!is_taken(&classifier, &message), "{patterns:?}: {name}");
        }
        let matched = classifier.counters(0).matched_packets;
        assert_eq!(matched, u64::try_from(meant.len()).unwrap());
    }
}

#[test]
fn a_label_that_looks_like_several_is_one() {
    let classifier = classifier(&dns(Reply::NoSuchName, &["*.example.com", "a.b", "c"]));
    let label = |label: &[u8], rest: &str| {
        let mut name = vec![u8::try_from(label.len()).unwrap()];
        name.extend(label);
        name.extend(wire(rest));
        name
    };
    for strange in [
        label(b"a.example", "com"),
        label(b"a\x07example", "com"),
        label(b"x.example.com", ""),
        label(b"a.b", ""),
        label(b"a\x01b", ""),
        label(b"\x00c", ""),
        label(b".c", ""),
        label(b"\xffc", ""),
    ] {
        assert!(!is_taken(&classifier, &asking(&strange, A)), "{strange:x?}");
    }
    let odd = label(b"\x00.\xff\x07", "example.com");
    assert!(is_taken(&classifier, &asking(&odd, A)));
}

/// A name of so many letters, with no label longer than 63.
fn name_of(letters: usize) -> String {
    let mut name = String::new();
    while name.len() < letters {
        let left = letters - name.len();
        if !name.is_empty() {
            name.push('.');
        }
        // A dot must not be the last.
        let label = match letters - name.len() {
            rest @ ..=63 => rest,
            64 => 62,
            _ => 63,
        };
        name.extend(
            "abcdefghijklmnopqrstuvwxyz0123456789"
                .chars()
                .cycle()
                .skip(left % 36)
                .take(label),
        );
    }
    name
}

#[test]
fn names_of_every_length_are_found() {
    let mut classifier = classifier(&dns(Reply::NoSuchName, &["longest"]));
    let mut expected = 0;
    for letters in 1..=253 {
        let name = name_of(letters);
        assert_eq!(name.len(), letters);
        let message = asking(&wire(&name), A);
        assert!(!is_taken(&classifier, &message), "{name} is not there yet");
        classifier.dns(0, &dns(Reply::NoSuchName, &[&name]));
        let sent = sent(Family::V6, &message);
        let answer = answer(&sent, &classifier.egress(&sent));
        assert_eq!(answer.queries[0].name().to_string(), format!("{name}."));
        expected += 1;
    }
    assert_eq!(classifier.counters(0).answered_packets, expected);
    // 255 bytes with the root are the most.
    let mut too_long = wire(&name_of(253));
    too_long[63 * 3 + 3] += 1;
    too_long.insert(63 * 3 + 4, b'x');
    classifier.dns(0, &dns(Reply::NoSuchName, &[]));
    assert!(!is_taken(&classifier, &asking(&too_long, A)));
}

#[test]
fn the_longest_name_below_another_is_found() {
    let longest = name_of(253);
    let (_, below) = longest.split_once('.').unwrap();
    let classifier = classifier(&dns(Reply::NoSuchName, &[&format!("*.{below}")]));
    assert!(is_taken(&classifier, &asking(&wire(&longest), A)));
    assert!(!is_taken(&classifier, &asking(&wire(below), A)));
}
