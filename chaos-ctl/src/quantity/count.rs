//! Counts of packets and bytes, for a person to read.

/// A count with thousands apart: `1,234,567`.
pub fn packets(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in decimal units, three digits or so: `1.2 MB`.
pub fn bytes(count: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count} B");
    }
    // In tenths, rounded half up, so that no float is needed.
    let mut per_unit: u128 = 1000;
    let mut last = 0;
    let tenths = |per_unit: u128| (u128::from(count) * 10 + per_unit / 2) / per_unit;
    while tenths(per_unit) >= 10_000 && last + 1 < units.len() {
        per_unit *= 1000;
        last += 1;
    }
    let tenths = tenths(per_unit);
    if tenths >= 1000 {
        let rounded = (u128::from(count) + per_unit / 2) / per_unit;
        format!("{rounded} {}", units[last])
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, units[last])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_kept_apart() {
        assert_eq!(packets(0), "0");
        assert_eq!(packets(999), "999");
        assert_eq!(packets(1000), "1,000");
        assert_eq!(packets(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn bytes_are_rounded_to_their_unit() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_250, "1.3 kB"),
            (99_940, "99.9 kB"),
            (123_456, "123 kB"),
            (999_960, "1.0 MB"),
            (1_234_567, "1.2 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
