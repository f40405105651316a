//! Amounts that change while they act: as fast as was asked for, and no further.

use std::time::{Duration, Instant};

use chaos_tests::{
    lab::Family,
    requires,
    stats::median,
    traffic::{Series, StreamSample, UdpProbe, UdpStream},
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
        median(&report.rtts().undisturbed())
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

/// A bandwidth that goes evenly from one to another, in bytes per second of the wire. It began between two times.
struct Ramp {
    from: f64,
    to: f64,
    over: Duration,
    asked: Instant,
    told: Instant,
}

/// Of a datagram on the wire, Ethernet's header included, and of its payload.
const WIRE: usize = 1514;
const PAYLOAD: usize = WIRE - 14 - 20 - 8;

/// What a bandwidth that nobody gave another queue holds: a packet that would wait for longer is dropped.
const QUEUE: Duration = Duration::from_secs(1);

impl Ramp {
    /// At a time, at least and at most: as it shrinks, the later it began the more.
    fn at(&self, at: Instant) -> [f64; 2] {
        [self.asked, self.told].map(|began| {
            let part = at.saturating_duration_since(began).as_secs_f64() / self.over.as_secs_f64();
            self.from + (self.to - self.from) * part.min(1.0)
        })
    }

    /// Bytes that pass from the beginning until then, at least and at most.
    fn until(&self, at: Instant) -> [f64; 2] {
        [self.asked, self.told].map(|began| {
            let passed = at.saturating_duration_since(began).as_secs_f64();
            let over = self.over.as_secs_f64();
            let ramp = passed.min(over);
            let middle = self.from + (self.to - self.from) * ramp / (2.0 * over);
            middle * ramp + self.to * (passed - ramp)
        })
    }
}

/// UDP, because it sends at a constant rate whatever is dropped: how much of a bandwidth TCP finds depends on its mood.
#[test]
fn a_bandwidth_shrinks() {
    requires!(root);
    let scenario = Scenario::new("ramp-rate");
    // In Mbit/s.
    let (from, to) = if is_emulated() { (4, 1) } else { (40, 8) };
    let bytes = |mbit: u32| f64::from(mbit) * 1e6 / 8.0;
    let asked = Instant::now();
    let id = scenario.start(&format!("rate --ramp {from}mbit..{to}mbit/5s --proto udp"));
    let ramp = Ramp {
        from: bytes(from),
        to: bytes(to),
        over: Duration::from_secs(5),
        asked,
        told: Instant::now(),
    };
    // Twice what passes at first, so that the queue is full within a second, and again soon after the sender stood still.
    let rate = 2 * from * 1_000_000 / 8 / u32::try_from(WIRE).unwrap();
    let (target, peer) = (&scenario.target, &scenario.peer);
    let stream = UdpStream::start_of_size(target, peer, Family::V4, rate, PAYLOAD).unwrap();
    let_pass(Duration::from_secs(9));
    let samples = stream.finish(Duration::from_secs(3)).unwrap();
    let ended = scenario.stop(&id);
    let arrived = samples.iter().filter(|sample| sample.one_way.is_some());
    eprintln!("{} of {} arrived, {ended}", arrived.count(), samples.len());
    assert_admitted(&ramp, &samples);
    assert_held(&ramp, &samples);
}

/// Asserts that the queue took as much as the ramp makes room for. Where a datagram is dropped, the queue is full: to a
/// packet, what it holds takes its whole length. What it took between two drops therefore takes as long, each at the
/// bandwidth of its time, as passed between them. Lateness of the machine is in the times at which datagrams were sent.
fn assert_admitted(ramp: &Ramp, samples: &[StreamSample]) {
    let wire = number(WIRE);
    let first = samples[0].sent;
    // The first of each second, and one that another came after.
    let drops = (1..8).map(|second| {
        let since = first + Duration::from_secs(second);
        let is_dropped = |sample: &StreamSample| sample.one_way.is_none() && sample.sent >= since;
        let found = samples[..samples.len() - 1].iter().position(is_dropped);
        found.unwrap_or_else(|| panic!("nothing is dropped after {since:?}: too little is sent"))
    });
    let drops: Vec<usize> = drops.collect();
    for (second, between) in (1..).zip(drops.windows(2)) {
        let [begin, end] = [between[0], between[1]];
        // A datagram meets the queue after the time that was taken before it was sent, and before the next one's.
        let [soonest, latest] = [[begin + 1, end], [begin, end + 1]].map(|[since, until]| {
            let time = samples[until].sent.duration_since(samples[since].sent);
            time.as_secs_f64()
        });
        let took = |which: fn(&Ramp, &[StreamSample]) -> f64| {
            let pairs = samples[begin..=end].windows(2);
            let arrived = pairs.filter(|pair| pair[0].one_way.is_some());
            arrived.map(|pair| wire / which(ramp, pair)).sum::<f64>()
        };
        let most = took(|ramp, pair| ramp.at(pair[1].sent)[0]);
        let least = took(|ramp, pair| ramp.at(pair[0].sent)[1]);
        let one = wire / ramp.to;
        let idle = idle(ramp, &samples[begin..=end]);
        eprintln!(
            "second {second}: {least:.3} to {most:.3} s of the ramp in {soonest:.3} to {latest:.3} s, empty for {idle:.3} s"
        );
        assert!(
            least <= latest + one,
            "second {second}: {least} s in {latest} s is more than the ramp"
        );
        assert!(
            most >= soonest - one - idle,
            "second {second}: {most} s in {soonest} s is less than the ramp"
        );
    }
}

/// For how many seconds the queue was empty at most, because the machine had too little sent: that time is lost. At a drop it
/// is full; from there on what it takes leaves it as fast as may be, and the next comes as late as may be.
fn idle(ramp: &Ramp, samples: &[StreamSample]) -> f64 {
    let first = samples[0].sent;
    let since = |at: Instant| at.duration_since(first).as_secs_f64();
    let (mut empty_at, mut idle) = (0.0_f64, 0.0);
    for pair in samples.windows(2) {
        if pair[0].one_way.is_none() {
            let full = since(pair[0].sent) + QUEUE.as_secs_f64() - number(WIRE) / ramp.to;
            empty_at = empty_at.max(full);
        } else {
            let comes = since(pair[1].sent);
            idle += (comes - empty_at).max(0.0);
            empty_at = empty_at.max(comes) + number(WIRE) / ramp.at(pair[0].sent)[1];
        }
    }
    idle
}

/// Asserts that what the queue took left it at the ramp's bandwidth, too: none early, and not much late.
fn assert_held(ramp: &Ramp, samples: &[StreamSample]) {
    let wire = number(WIRE);
    let arrived = samples
        .iter()
        .filter_map(|sample| Some(sample.sent + sample.one_way?));
    let mut arrived: Vec<Instant> = arrived.collect();
    arrived.sort_unstable();
    // Since the beginning: a packet takes as long as the bandwidth was when it came, up to a second before it leaves, and
    // 10 ms' worth, the burst, leaves at once.
    let before = ramp.from * (QUEUE.as_secs_f64() + 0.01) + wire;
    for (place, at) in (1..).zip(&arrived) {
        let most = before + ramp.until(at.checked_sub(QUEUE).unwrap_or(ramp.asked))[1];
        assert!(
            number(place) * wire <= most,
            "{place} datagrams have arrived after {:?}, at most {}",
            at.duration_since(ramp.told),
            most / wire
        );
    }
    let first = samples[0].sent;
    let shares: Vec<f64> = (1..8)
        .map(|second| {
            let [since, until] =
                [second, second + 1].map(|second| first + Duration::from_secs(second));
            let came = arrived.partition_point(|at| *at < until)
                - arrived.partition_point(|at| *at < since);
            number(came) * wire / (ramp.until(until)[0] - ramp.until(since)[0])
        })
        .collect();
    eprintln!("of the ramp have arrived, by the second: {shares:.2?}");
    // A machine that stands still takes something away from a second, and gives it to the next.
    let least = if is_emulated() { 0.6 } else { 0.9 };
    for (what, part) in [("during", &shares[..4]), ("after", &shares[4..])] {
        let enough = part.iter().filter(|share| **share >= least).count();
        assert!(enough * 2 >= part.len(), "{what} the ramp: {shares:?}");
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a test are far below 2^52"
)]
fn number(count: usize) -> f64 {
    count as f64
}
