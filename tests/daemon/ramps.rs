//! Amounts that change while they act: as fast as was asked for, and no further.

use std::time::{Duration, Instant};

use chaos_tests::{
    lab::Family,
    requires,
    stats::median,
    traffic::{BulkTcp, Series, UdpProbe, UdpStream},
};

use crate::scenario::{Scenario, is_emulated, let_pass, rate};

#[test]
fn a_ramp_grows() {
    requires!(root);
    let scenario = Scenario::new("fault-ramp");
    let middle = || {
        let probe = UdpProbe {
            series: Series::new(40, 40),
            ..UdpProbe::default()
        };
        let report = probe.run(&scenario.target, &scenario.peer).unwrap();
        median(&report.rtts())
    };
    let mut before = middle();
    let id = scenario.start("delay --ramp 0..200ms/8s --proto udp");
    let_pass(Duration::from_millis(500));
    for _ in 0..4 {
        let now = middle();
        assert!(
            now > before + Duration::from_millis(10),
            "{now:?} after {before:?}"
        );
        before = now;
    }
    scenario.stop(&id);
    assert!(before < Duration::from_millis(200));
}

#[test]
fn a_loss_grows_and_shrinks() {
    requires!(root);
    let scenario = Scenario::new("ramp-loss");
    let over = Duration::from_secs(6);
    for (ramp, from, to) in [("0%..90%/6s", 0.0, 0.9), ("100%..0%/6s", 1.0, 0.0)] {
        let stream =
            UdpStream::start(&scenario.target, &scenario.peer, Family::V4, rate(500)).unwrap();
        let asked = Instant::now();
        let id = scenario.start(&format!("loss --ramp {ramp} --proto udp"));
        // It began between the two.
        let told = Instant::now();
        let_pass(over + Duration::from_secs(2));
        let ended = scenario.stop(&id);
        let samples = stream.finish(Duration::from_secs(2)).unwrap();
        let share_at = |at: Instant, began: Instant| {
            let passed = at.saturating_duration_since(began).as_secs_f64();
            from + (to - from) * (passed / over.as_secs_f64()).min(1.0)
        };
        // From when it acted for certain, by the second; the last is after the ramp.
        for second in 0..7 {
            let since = told + Duration::from_secs(second);
            let until = since + Duration::from_secs(1);
            let of_second: Vec<_> = samples
                .iter()
                .filter(|sample| (since..until).contains(&sample.sent))
                .collect();
            let lost = of_second.iter().filter(|sample| sample.one_way.is_none());
            let (n, lost) = (number(of_second.len()), number(lost.count()));
            let expect = |began| {
                let shares = of_second.iter().map(|sample| share_at(sample.sent, began));
                shares.sum::<f64>()
            };
            let both = [expect(asked), expect(told)];
            // A binomial's deviation is at most that of p = 1/2; five of them, and one packet to either side.
            let bound = 5.0 * (n / 4.0).sqrt() + 1.0;
            eprintln!("{ramp}, second {second}: {lost} of {n} lost, expected {both:.0?}");
            assert!(
                lost >= both[0].min(both[1]) - bound && lost <= both[0].max(both[1]) + bound,
                "{ramp}, second {second}: {lost} of {n}, expected {both:?} within {bound}, {ended}"
            );
        }
    }
}

#[test]
fn a_bandwidth_shrinks() {
    requires!(root);
    let scenario = Scenario::new("ramp-rate");
    let over = Duration::from_secs(5);
    // In Mbit/s.
    let (from, to): (f64, f64) = if is_emulated() {
        (8.0, 2.0)
    } else {
        (40.0, 8.0)
    };
    let asked = Instant::now();
    let id = scenario.start(&format!("rate --ramp {from}mbit..{to}mbit/5s --proto tcp"));
    let told = Instant::now();
    let bulk = BulkTcp::start(&scenario.target, &scenario.peer, Family::V4).unwrap();
    // It began between the two: the later, the more passes.
    // Bytes of payload, of which there are 1448 in each 1514 of the wire, that pass until `passed` after the beginning.
    let until = |passed: Duration| {
        let (passed, over) = (passed.as_secs_f64(), over.as_secs_f64());
        let ramp = passed.min(over);
        let mbit = from * ramp + (to - from) * ramp * ramp / (2.0 * over) + to * (passed - ramp);
        mbit * 1e6 / 8.0 * 1448.0 / 1514.0
    };
    let second_ago = |at: Instant| at.saturating_duration_since(told + Duration::from_secs(1));
    let mut before = (Instant::now(), bulk.received());
    let mut shares = Vec::new();
    for second in 0..8 {
        let_pass(Duration::from_secs(1));
        let now = (Instant::now(), bulk.received());
        let bytes = number(usize::try_from(now.1 - before.1).unwrap());
        let share = bytes / (until(now.0 - asked) - until(before.0 - asked));
        eprintln!(
            "second {second}: {bytes} bytes, {:.0} % of the ramp",
            share * 100.0
        );
        // Since the beginning: a packet takes as long as the bandwidth was when it came, and up to a second of them waits.
        // The burst passed at once, and a super-packet more.
        let most = until(second_ago(now.0)) + from * 1e6 / 8.0 * 1.01 + 65_536.0;
        let total = number(usize::try_from(now.1).unwrap());
        assert!(
            total <= most,
            "second {second}: {total} bytes, at most {most}"
        );
        shares.push(share);
        before = now;
    }
    drop(bulk);
    let ended = scenario.stop(&id);
    // TCP sends again what the full queue dropped, and a machine that stands still takes something away.
    for (what, part) in [("during", &shares[..4]), ("after", &shares[5..])] {
        let enough = part.iter().filter(|share| **share >= 0.6).count();
        assert!(
            enough * 2 >= part.len(),
            "{what} the ramp: {shares:?}, {ended}"
        );
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a test are far below 2^52"
)]
fn number(count: usize) -> f64 {
    count as f64
}
