//! Numbers as k6 writes them in its summary: cut, not rounded, so that 99.999 % is never 100 %.

/// Milliseconds, in the unit that reads best.
pub fn time(ms: f64) -> String {
    if ms == 0.0 {
        return "0s".to_owned();
    }
    if ms < 0.001 {
        return format!("{}ns", trimmed((ms * 1_000_000.0).trunc(), 0));
    }
    if ms < 1.0 {
        return format!("{}µs", cut(ms * 1_000.0, 2));
    }
    if ms < 1_000.0 {
        return format!("{}ms", cut(ms, 2));
    }
    let decimals = if ms > 60_000.0 { 0 } else { 2 };
    let seconds = cut((ms % 60_000.0) / 1_000.0, decimals);
    let minutes = (ms / 60_000.0).trunc();
    if minutes < 1.0 {
        return format!("{seconds}s");
    }
    let hours = (minutes / 60.0).trunc();
    let minutes = trimmed(minutes % 60.0, 0);
    if hours < 1.0 {
        return format!("{minutes}m{seconds}s");
    }
    format!("{}h{minutes}m{seconds}s", trimmed(hours, 0))
}

/// Bytes, in powers of 1,000.
pub fn data(bytes: f64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    if bytes < 10.0 {
        return format!("{} B", trimmed(bytes, 6));
    }
    let mut unit = 0;
    let mut value = bytes;
    while value >= 1_000.0 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let value = (value * 10.0 + 0.5).floor() / 10.0;
    let decimals = usize::from(value < 10.0);
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// A share of 1, in percent.
pub fn share(share: f64) -> String {
    format!("{:.2}%", (share * 10_000.0).trunc() / 100.0)
}

/// Anything else: at most six decimals.
pub fn number(value: f64) -> String {
    trimmed(value, 6)
}

fn cut(value: f64, decimals: i32) -> String {
    let scale = 10_f64.powi(decimals);
    trimmed((value * scale).trunc() / scale, 6)
}

/// Without the zeros at the end.
fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut() {
        for (ms, text) in [
            (0.0, "0s"),
            (0.000_25, "250ns"),
            (0.123_456, "123.45µs"),
            (20.9, "20.9ms"),
            (100.855, "100.85ms"),
            (999.999, "999.99ms"),
            (1_000.0, "1s"),
            (1_239.0, "1.23s"),
            (60_000.0, "1m0s"),
            (90_500.0, "1m30s"),
            (3_723_000.0, "1h2m3s"),
        ] {
            assert_eq!(time(ms), text, "{ms}");
        }
    }

    #[test]
    fn shares_never_round_up_to_all() {
        assert_eq!(share(0.999_99), "99.99%");
        assert_eq!(share(231.0 / 244.0), "94.67%");
        assert_eq!(share(1.0), "100.00%");
    }

    #[test]
    fn sizes_and_counts() {
        assert_eq!(data(0.0), "0 B");
        assert_eq!(data(26_233.0), "26 kB");
        assert_eq!(data(8_662.0), "8.7 kB");
        assert_eq!(data(4_355.955), "4.4 kB");
        assert_eq!(data(120.0), "120 B");
        assert_eq!(number(122.0), "122");
        assert_eq!(number(20.257_941_472), "20.257941");
    }
}
