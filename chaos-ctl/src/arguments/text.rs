//! How values of an experiment file are read: as the option of the same name would read them.

use std::fmt;

use chaos_proto::v1::{
    FourStates, GilbertElliott, Header, HeaderMatch, LengthRange, PayloadPatch, PayloadReplace,
    PortRange, RequestMatch,
};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use std::time::Duration;

use super::Distribution;
use crate::cluster::Mode;
use crate::quantity::{
    self, Body, DnsAnswer, Fraction, Frequency, Peers, Port, Pulse, Ramp, Share, TcpFlags,
};

/// A value as it would stand on the command line: a list has its parts joined by commas.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsText)
    }
}

struct AsText;

impl<'de> Visitor<'de> for AsText {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Text, E> {
        Ok(Text(yes.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text, A::Error> {
        let mut parts = Vec::new();
        while let Some(Text(part)) = list.next_element()? {
            parts.push(part);
        }
        Ok(Text(parts.join(",")))
    }
}

fn one<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    value: D,
    read: fn(&str) -> Result<T, E>,
) -> Result<Option<T>, D::Error> {
    let text = Option::<Text>::deserialize(value)?;
    text.map(|Text(text)| read(&text))
        .transpose()
        .map_err(de::Error::custom)
}

fn several<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    value: D,
    read: fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, D::Error> {
    match Option::<Text>::deserialize(value)? {
        None => Ok(Vec::new()),
        Some(Text(text)) => text
            .split(',')
            .map(|part| read(part.trim()))
            .collect::<Result<_, _>>()
            .map_err(de::Error::custom),
    }
}

macro_rules! one {
    ($($name:ident: $type:ty = $read:path;)*) => {$(
        pub(crate) fn $name<'de, D: Deserializer<'de>>(value: D) -> Result<Option<$type>, D::Error> {
            one(value, $read)
        }
    )*};
}

one! {
    abort: Fraction = quantity::abort;
    address: String = quantity::address;
    body: Body = quantity::body;
    burst: GilbertElliott = quantity::burst;
    byte_count: u64 = quantity::byte_count;
    by: Duration = quantity::by;
    correlation: Share = quantity::correlation;
    distribution: Distribution = super::distribution;
    dns_answer: DnsAnswer = quantity::dns_answer;
    drain: Duration = quantity::drain;
    dscp: u32 = quantity::dscp;
    duration: Duration = quantity::duration;
    every: u32 = quantity::every;
    first: u32 = quantity::first;
    four_state: FourStates = quantity::four_state;
    fraction: Fraction = quantity::fraction;
    frequency: Frequency = quantity::frequency;
    gap: u32 = quantity::gap;
    grace: Duration = quantity::grace;
    grpc_code: u32 = quantity::grpc_code;
    http_code: u32 = quantity::http_code;
    jitter: Duration = quantity::jitter;
    latency: Duration = quantity::latency;
    latency_ramp: Ramp<Duration> = quantity::latency_ramp;
    length: LengthRange = quantity::length;
    mode: Mode = super::mode;
    number: u32 = quantity::number;
    patch: PayloadPatch = quantity::patch;
    pause: Duration = quantity::pause;
    percent: Share = quantity::percent;
    port: u32 = quantity::port;
    pulse: Pulse = quantity::pulse;
    rate: u64 = quantity::rate;
    rate_ramp: Ramp<u64> = quantity::rate_ramp;
    replace: PayloadReplace = quantity::replace;
    request_count: u32 = quantity::request_count;
    share_ramp: Ramp<Share> = quantity::share_ramp;
    size: u64 = quantity::size;
    tcp_flags: TcpFlags = quantity::tcp_flags;
    throttle: u64 = quantity::throttle;
    ttl: Duration = quantity::ttl;
    variation: Duration = quantity::variation;
}

pub(crate) fn ports<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<PortRange>, D::Error> {
    several(value, quantity::read_ports)
}

pub(crate) fn named_ports<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<Port>, D::Error> {
    several(value, quantity::port_or_name)
}

/// Each of a list, or one alone: a comma in it is its own.
fn each<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    value: D,
    read: fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum OneOrMore {
        More(Vec<String>),
        One(String),
    }
    let texts = match Option::<OneOrMore>::deserialize(value)? {
        None => Vec::new(),
        Some(OneOrMore::One(text)) => vec![text],
        Some(OneOrMore::More(texts)) => texts,
    };
    let read = texts.iter().map(|text| read(text));
    read.collect::<Result<_, _>>().map_err(de::Error::custom)
}

macro_rules! each {
    ($($name:ident: $type:ty = $read:path;)*) => {$(
        pub(crate) fn $name<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<$type>, D::Error> {
            each(value, $read)
        }
    )*};
}

each! {
    headers: Header = quantity::header;
    header_matches: HeaderMatch = quantity::header_match;
    request_matches: RequestMatch = quantity::request_match;
}

/// Names of Kubernetes, one or several.
pub(crate) fn words<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<String>, D::Error> {
    several(value, |word| {
        Ok::<_, std::convert::Infallible>(word.to_owned())
    })
}

pub(crate) fn peers<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<Peers>, D::Error> {
    one(value, quantity::peers).map(|peers| peers.into_iter().collect())
}

pub(crate) fn exceptions<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<Peers>, D::Error> {
    one(value, quantity::exceptions).map(|peers| peers.into_iter().collect())
}

pub(crate) fn dns_names<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<String>, D::Error> {
    several(value, quantity::dns_name)
}

pub(crate) fn record_types<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<u32>, D::Error> {
    several(value, quantity::record_type)
}
