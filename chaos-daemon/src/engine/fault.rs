//! What happens to the packets that a rule takes.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    dns::Dns,
    error::SpecError,
    filter::Filter,
    ramp::{self, Ramp, Share},
    reset::Reset,
    rewrite::Rewrite,
    service::{Grpc, Http},
};

/// Longest delay of one rule.
const LONGEST_DELAY: Duration = Duration::from_mins(1);
/// How many quantiles a measured distribution may have.
const QUANTILES: RangeInclusive<usize> = 2..=chaos_abi::rule::QUANTILE_STEPS + 1;
/// Counts of packets.
const COUNTS: RangeInclusive<u32> = 1..=1_000_000;
/// Bandwidths, in bytes per second.
const RATES: RangeInclusive<u64> = 1_000..=125_000_000_000;
/// Smallest burst that nobody asked for: two full frames.
pub(crate) const SMALLEST_BURST: u64 = 3000;
/// Largest burst of a bandwidth.
const LARGEST_BURST: u64 = 1 << 30;

/// Share in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ppm(pub u32);

/// What happens to a matched packet.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// It is held.
    Delay(Delay),
    /// Some are dropped.
    Loss(Choice),
    /// Some are sent twice.
    Duplicate(Choice),
    /// Some are held, and overtaken.
    Reorder {
        /// Which.
        choice: Choice,
        /// For how long.
        by: Duration,
    },
    /// Of some a bit is flipped, or what a receiver would discard is dropped.
    Corrupt {
        /// Which.
        choice: Choice,
        /// Whether they are dropped instead.
        drop: bool,
    },
    /// They wait for bandwidth.
    Rate(Rate),
    /// None passes, or a share does not.
    Partition {
        /// Whether their senders are told.
        reject: bool,
        /// How many do not.
        share: Share,
    },
    /// Their connections are ended.
    Reset(Reset),
    /// They are written to.
    Rewrite(Rewrite),
    /// The questions in them are answered.
    Dns(Dns),
    /// The HTTP requests in them are hit.
    Http(Box<Http>),
    /// The gRPC calls in them are hit.
    Grpc(Box<Grpc>),
}

/// How long packets are held.
#[derive(Clone, Debug, PartialEq)]
pub struct Delay {
    /// Middle.
    pub latency: Duration,
    /// Around it.
    pub jitter: Duration,
    /// What jitter means.
    pub distribution: Distribution,
    /// How much a delay repeats the one before.
    pub correlation: Ppm,
    /// Whether a packet may overtake its predecessor.
    pub reorder: bool,
    /// How the latency begins.
    pub ramp: Option<Ramp<Duration>>,
}

/// What a delay's jitter means.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Latency ± jitter, evenly.
    Uniform,
    /// Standard deviation.
    Normal,
    /// Standard deviation, of shape 3.
    Pareto,
    /// A quarter normal, three quarters Pareto.
    ParetoNormal,
    /// Nothing: delays as measured, as evenly spaced quantiles in nanoseconds.
    Measured(Vec<u64>),
}

/// Which of the matched packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// At random.
    Random {
        /// How many.
        share: Share,
        /// How much a decision follows the one before.
        correlation: Ppm,
        /// How many lie between two at least.
        gap: u32,
    },
    /// In bursts, by the Gilbert-Elliott model.
    GilbertElliott {
        /// From good to bad.
        to_bad: Ppm,
        /// From bad to good.
        to_good: Ppm,
        /// In the bad state.
        in_bad: Ppm,
        /// In the good state.
        in_good: Ppm,
    },
    /// In bursts and alone, by the four-state model: p13, p31, p32, p23, p14.
    FourStates([Ppm; 5]),
    /// Each so-manieth.
    Every(u32),
    /// The first of each connection.
    First(u32),
}

/// A bandwidth. Bytes are those on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes per second.
    pub bytes_per_second: u64,
    /// How it begins.
    pub ramp: Option<Ramp<u64>>,
    /// How many may pass at once after a pause; 0: some.
    pub burst_bytes: u64,
    /// How many may wait; 0: as much as a second.
    pub queue_bytes: u64,
    /// Whether each flow has it for itself.
    pub per_flow: bool,
}

impl Ppm {
    /// The whole.
    pub const ALL: Self = Self(1_000_000);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Above 0 and at most the whole; `what` it is a share of, for the sentence.
    pub(super) fn check(self, what: &'static str) -> Result<(), SpecError> {
        if self == Self::NONE || self.0 > Self::ALL.0 {
            return Err(SpecError::Share { what, ppm: self.0 });
        }
        Ok(())
    }
}

impl Fault {
    /// Whether it holds packets.
    pub const fn holds(&self) -> bool {
        matches!(self, Self::Delay(_) | Self::Reorder { .. } | Self::Rate(_))
    }

    /// Whether it does nothing to packets but drop them.
    pub const fn drops(&self) -> bool {
        matches!(
            self,
            Self::Loss(_)
                | Self::Corrupt { drop: true, .. }
                | Self::Partition { reject: false, .. }
        )
    }

    /// What each is called.
    pub const NAMES: [&str; 12] = [
        "delay",
        "loss",
        "duplicate",
        "reorder",
        "corrupt",
        "rate",
        "partition",
        "reset",
        "rewrite",
        "dns",
        "http",
        "grpc",
    ];

    /// Name of the fault, as the verb that asks for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Delay(_) => "delay",
            Self::Loss(_) => "loss",
            Self::Duplicate(_) => "duplicate",
            Self::Reorder { .. } => "reorder",
            Self::Corrupt { .. } => "corrupt",
            Self::Rate(_) => "rate",
            Self::Partition { .. } => "partition",
            Self::Reset(_) => "reset",
            Self::Rewrite(_) => "rewrite",
            Self::Dns(_) => "dns",
            Self::Http(_) => "http",
            Self::Grpc(_) => "grpc",
        }
    }

    /// Whether it makes sense, for packets that this filter takes.
    pub(super) fn check(&self, filter: &Filter) -> Result<(), SpecError> {
        match self {
            Self::Delay(delay) => delay.check(),
            Self::Loss(choice) => choice.check("a loss"),
            Self::Duplicate(choice) => choice.check("a duplication"),
            Self::Reorder { choice, by } => {
                latency(*by)?;
                choice.check("a reordering")
            }
            Self::Corrupt { choice, .. } => choice.check("a corruption"),
            Self::Rate(rate) => rate.check(),
            Self::Partition { share, .. } => share.check("a partition"),
            Self::Reset(reset) => reset.check(filter),
            Self::Rewrite(rewrite) => rewrite.check(filter),
            Self::Dns(dns) => dns.check(filter),
            Self::Http(http) => http.check(filter),
            Self::Grpc(grpc) => grpc.check(filter),
        }
    }
}

fn latency(latency: Duration) -> Result<(), SpecError> {
    if latency.is_zero() || latency > LONGEST_DELAY {
        return Err(SpecError::Latency(latency));
    }
    Ok(())
}

fn correlation(Ppm(ppm): Ppm) -> Result<(), SpecError> {
    if ppm >= Ppm::ALL.0 {
        return Err(SpecError::Correlation(ppm));
    }
    Ok(())
}

impl Delay {
    fn check(&self) -> Result<(), SpecError> {
        correlation(self.correlation)?;
        if let Distribution::Measured(quantiles) = &self.distribution {
            return self.check_measured(quantiles);
        }
        let from = self.ramp.map_or(Duration::ZERO, |ramp| ramp.from);
        latency(self.latency.max(from))?;
        if self.jitter > self.latency.max(from) {
            return Err(SpecError::Jitter {
                jitter: self.jitter,
                latency: self.latency,
            });
        }
        let Some(Ramp { from, over }) = self.ramp else {
            return Ok(());
        };
        if self.distribution != Distribution::Uniform {
            return Err(SpecError::RampOfDistribution);
        }
        if from > LONGEST_DELAY {
            return Err(SpecError::Ramp);
        }
        ramp::check(over)
    }

    fn check_measured(&self, quantiles: &[u64]) -> Result<(), SpecError> {
        if !QUANTILES.contains(&quantiles.len()) {
            return Err(SpecError::QuantileCount(quantiles.len()));
        }
        let longest = quantiles.last().map(|ns| Duration::from_nanos(*ns));
        if !quantiles.is_sorted() || longest.is_none_or(|longest| latency(longest).is_err()) {
            return Err(SpecError::Quantiles);
        }
        if self.ramp.is_some() {
            return Err(SpecError::RampOfDistribution);
        }
        Ok(())
    }
}

impl Choice {
    fn check(&self, what: &'static str) -> Result<(), SpecError> {
        let probabilities = |all: &[Ppm]| match all.iter().find(|ppm| ppm.0 > Ppm::ALL.0) {
            Some(ppm) => Err(SpecError::Probability(ppm.0)),
            None => Ok(()),
        };
        match *self {
            Self::Random {
                share,
                correlation: follows,
                gap,
            } => {
                if gap > *COUNTS.end() {
                    return Err(SpecError::Count(gap));
                }
                correlation(follows)?;
                share.check(what)
            }
            Self::GilbertElliott {
                to_bad,
                to_good,
                in_bad,
                in_good,
            } => {
                probabilities(&[to_bad, to_good, in_bad, in_good])?;
                if to_bad == Ppm::NONE || to_good == Ppm::NONE {
                    return Err(SpecError::Stuck);
                }
                Ok(())
            }
            Self::FourStates(all) => {
                let [p13, p31, p32, p23, p14] = all;
                probabilities(&all)?;
                probabilities(&[Ppm(p13.0 + p14.0), Ppm(p31.0 + p32.0)])?;
                let nothing = p13 == Ppm::NONE && p14 == Ppm::NONE;
                let stays_lost = p13 != Ppm::NONE && p31 == Ppm::NONE;
                if nothing || stays_lost || (p32 != Ppm::NONE && p23 == Ppm::NONE) {
                    return Err(SpecError::Stuck);
                }
                Ok(())
            }
            Self::Every(count) | Self::First(count) if !COUNTS.contains(&count) => {
                Err(SpecError::Count(count))
            }
            Self::Every(_) | Self::First(_) => Ok(()),
        }
    }
}

impl Rate {
    /// The burst, where none was asked for: what comes in 10 ms, and two full frames at least.
    pub fn burst(&self) -> u64 {
        match self.burst_bytes {
            0 => (self.bytes_per_second / 100).max(SMALLEST_BURST),
            bytes => bytes,
        }
    }

    /// The least that it ever is.
    fn slowest(&self) -> u64 {
        let from = self.ramp.map_or(u64::MAX, |ramp| ramp.from);
        self.bytes_per_second.min(from)
    }

    /// The longest that a packet waits.
    pub fn longest_wait(&self) -> Duration {
        match self.queue_bytes {
            0 => Duration::from_secs(1),
            bytes => Duration::from_nanos(
                u64::try_from(
                    u128::from(bytes) * 1_000_000_000 / u128::from(self.slowest().max(1)),
                )
                .unwrap_or(u64::MAX),
            ),
        }
    }

    fn check(&self) -> Result<(), SpecError> {
        let rates = [Some(self.bytes_per_second), self.ramp.map(|ramp| ramp.from)];
        if let Some(rate) = rates.iter().flatten().find(|rate| !RATES.contains(rate)) {
            return Err(SpecError::Rate(*rate));
        }
        self.ramp.map_or(Ok(()), |ramp| ramp::check(ramp.over))?;
        if self.burst_bytes > LARGEST_BURST {
            return Err(SpecError::Burst(self.burst_bytes));
        }
        if self.longest_wait() > LONGEST_DELAY {
            return Err(SpecError::Queue {
                bytes: self.queue_bytes,
                wait: self.longest_wait(),
            });
        }
        Ok(())
    }
}
