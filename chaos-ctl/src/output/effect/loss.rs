//! What a loss will feel like.

use chaos_proto::v1::loss::Model;
use chaos_proto::v1::{Filter, FourStates, GilbertElliott, Loss, Protocol};

use super::{WHOLE_PPM, Way, ramp::at_most, some};
use crate::quantity::{packets, share_in_words};

const TCP_REPEATS: &str = "TCP sends again after 0.2 s or more (a new connection after 1 s)";

/// The effect to expect of a loss.
pub(super) fn of(loss: &Loss, way: Way, filter: &Filter) -> String {
    let protocol = filter.protocol();
    match &loss.model {
        None => by_share(at_most(loss.share_ppm, loss.ramp.as_ref()), way, filter),
        Some(Model::GilbertElliott(model)) => bursts(
            lost_in_the_long_run(*model),
            one_in(model.to_good_ppm),
            way,
            protocol,
        ),
        Some(Model::FourStates(model)) => {
            bursts(lost_by_states(*model), one_in(model.p31_ppm), way, protocol)
        }
        Some(Model::Every(1)) => of_all(way, protocol),
        Some(Model::Every(number)) => format!(
            "1 of {} matching packets {} is dropped silently, the others pass: {}",
            packets((*number).into()),
            way.packets,
            repeats(protocol)
        ),
        Some(Model::First(number)) => {
            let which = match number {
                1 => "the first matching packet".to_owned(),
                number => format!("the first {} matching packets", packets((*number).into())),
            };
            format!(
                "{which} of each connection {} {} dropped silently: connections open late, TCP's after 1 s, 3 s, 7 s …",
                way.packets,
                if *number == 1 { "is" } else { "are" }
            )
        }
    }
}

/// The effect of dropping everything.
pub(super) fn of_all(way: Way, protocol: Protocol) -> String {
    let consequence = match protocol {
        Protocol::Unspecified | Protocol::Tcp => {
            "open connections stall, new ones fail by timeout, and nobody is told why"
        }
        Protocol::Udp => "no question is answered, and nobody is told why",
        Protocol::Icmp => "no ping is answered",
    };
    format!(
        "{} are dropped silently: {consequence}",
        some(WHOLE_PPM, way)
    )
}

/// The effect of dropping a share at random.
pub(super) fn by_share(share_ppm: u32, way: Way, filter: &Filter) -> String {
    let share_ppm = share_ppm.min(WHOLE_PPM);
    if filter.syn_only {
        let consequence = if share_ppm == WHOLE_PPM {
            "no connection opens, and nobody is told why"
        } else {
            "such connections open 1 s later, or 3 s, 7 s … if it happens again"
        };
        return format!(
            "{} that open a connection are dropped silently: {consequence}; open connections are not touched",
            some(share_ppm, way)
        );
    }
    let protocol = filter.protocol();
    if share_ppm == WHOLE_PPM {
        return of_all(way, protocol);
    }
    let unanswered = share_in_words(round_trips_lost(share_ppm, way.times));
    let consequence = match protocol {
        Protocol::Unspecified => {
            format!("{unanswered} of round trips lose a packet; {TCP_REPEATS}, UDP and ping do not")
        }
        Protocol::Tcp => format!(
            "{unanswered} of round trips lose a packet; {TCP_REPEATS}: slower rather than broken"
        ),
        Protocol::Udp => {
            format!("{unanswered} of questions get no answer unless the application asks again")
        }
        Protocol::Icmp => format!("{unanswered} of pings get no answer"),
    };
    format!(
        "{} are dropped silently: {consequence}",
        some(share_ppm, way)
    )
}

fn bursts(share_ppm: u32, length: Option<u32>, way: Way, protocol: Protocol) -> String {
    let series = match length {
        None => "and a burst never ends".to_owned(),
        Some(1) => "one at a time".to_owned(),
        Some(length) => format!("in bursts of {} packets on average", packets(length.into())),
    };
    format!(
        "about {} are dropped silently, {series}: {}",
        some(share_ppm, way),
        repeats(protocol)
    )
}

fn repeats(protocol: Protocol) -> String {
    match protocol {
        Protocol::Unspecified => format!("{TCP_REPEATS}, UDP and ping do not"),
        Protocol::Tcp => format!("{TCP_REPEATS}, and later each time"),
        Protocol::Udp => "these get no answer unless the application asks again".to_owned(),
        Protocol::Icmp => "these pings get no answer".to_owned(),
    }
}

/// How many packets it takes on average until something of this chance happens.
fn one_in(ppm: u32) -> Option<u32> {
    (WHOLE_PPM + ppm / 2).checked_div(ppm)
}

/// Gilbert and Elliott's model is bad for a share p / (p + r) of the packets.
fn lost_in_the_long_run(model: GilbertElliott) -> u32 {
    let [p, r] = [model.to_bad_ppm, model.to_good_ppm].map(u128::from);
    let bad = p * u128::from(model.lost_in_bad_ppm);
    let good = r * u128::from(model.lost_in_good_ppm);
    rounded(bad + good, p + r)
}

/// Of the four states the lost ones, 3 and 4. Seen from 1, in each state is as much as goes in and out of it:
/// of 3, p13 / p31; of 2, p32 / p23 of that; of 4, p14.
fn lost_by_states(model: FourStates) -> u32 {
    let whole = u128::from(WHOLE_PPM);
    let FourStates {
        p13_ppm,
        p31_ppm,
        p32_ppm,
        p23_ppm,
        p14_ppm,
    } = model;
    let [p13, p31, p32, p23, p14] = [p13_ppm, p31_ppm, p32_ppm, p23_ppm, p14_ppm].map(u128::from);
    if p13 == 0 {
        return rounded(p14 * whole, whole + p14);
    }
    if p31 == 0 && p32 == 0 {
        return WHOLE_PPM;
    }
    if p31 == 0 {
        return rounded(p23 * whole, p23 + p32);
    }
    if p32 > 0 && p23 == 0 {
        return 0;
    }
    // All multiplied by p31 p23, and by a million: nothing of it is larger than 10^30.
    let p23 = p23.max(1);
    let (one, three) = (p31 * p23 * whole, p13 * p23 * whole);
    let two = p13 * p32 * whole;
    let four = p14 * p31 * p23;
    rounded((three + four) * whole, one + two + three + four)
}

/// Parts per million, rounded to 0.1 % unless that is nothing.
fn rounded(part: u128, whole: u128) -> u32 {
    let exact = part.checked_div(whole).unwrap_or(0);
    let coarse = (exact + 500) / 1000 * 1000;
    u32::try_from(if coarse == 0 { exact } else { coarse }).unwrap_or(WHOLE_PPM)
}

/// A round trip survives when each passage does: 1 - (1 - p)^times, rounded to 0.01 % as far as that tells it from 0
/// and from all.
fn round_trips_lost(share_ppm: u32, times: u32) -> u32 {
    let whole = u64::from(WHOLE_PPM);
    let kept = whole - u64::from(share_ppm);
    let exact = match times {
        2 => whole - kept * kept / whole,
        _ => return share_ppm,
    };
    let rounded = (exact + 50) / 100 * 100;
    let shown = if rounded == 0 || rounded == whole {
        exact
    } else {
        rounded
    };
    u32::try_from(shown).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONCE: Way = Way {
        times: 1,
        packets: "that leave the target",
    };

    fn say(model: Model, protocol: Protocol) -> String {
        let loss = Loss {
            model: Some(model),
            ..Loss::default()
        };
        let filter = Filter {
            protocol: protocol.into(),
            ..Filter::default()
        };
        of(&loss, ONCE, &filter)
    }

    #[test]
    fn small_and_large_shares_are_not_rounded_away() {
        assert_eq!(round_trips_lost(1, 2), 2);
        assert_eq!(round_trips_lost(999_999, 2), 1_000_000);
        assert_eq!(round_trips_lost(333_333, 2), 555_600);
    }

    #[test]
    fn bursts_are_told_by_their_share_and_length() {
        let model = GilbertElliott {
            to_bad_ppm: 10_000,
            to_good_ppm: 100_000,
            lost_in_bad_ppm: 1_000_000,
            lost_in_good_ppm: 0,
        };
        assert_eq!(
            say(Model::GilbertElliott(model), Protocol::Udp),
            "about 9.1 % of matching packets that leave the target are dropped silently, \
             in bursts of 10 packets on average: these get no answer unless the application asks again"
        );
    }

    #[test]
    fn four_states_are_in_balance() {
        let of = |[p13_ppm, p31_ppm, p32_ppm, p23_ppm, p14_ppm]: [u32; 5]| {
            lost_by_states(FourStates {
                p13_ppm,
                p31_ppm,
                p32_ppm,
                p23_ppm,
                p14_ppm,
            })
        };
        // Without gaps and single losses it is Gilbert's: p / (p + r).
        assert_eq!(of([10_000, 100_000, 0, 1_000_000, 0]), 91_000);
        // Lost alone: 1 in 101 of them.
        assert_eq!(of([0, 0, 0, 0, 10_000]), 10_000);
        // A burst of which half is received: 1 : 0.1 : 0.1.
        assert_eq!(of([10_000, 100_000, 500_000, 500_000, 0]), 83_000);
        assert_eq!(of([10_000, 0, 0, 1_000_000, 0]), 1_000_000);
        assert_eq!(of([10_000, 0, 500_000, 500_000, 0]), 500_000);
        assert_eq!(of([10_000, 100_000, 500_000, 0, 0]), 0);
    }

    #[test]
    fn counted_losses_are_told_by_their_number() {
        assert!(
            say(Model::Every(100), Protocol::Icmp)
                .starts_with("1 of 100 matching packets that leave the target is dropped silently")
        );
        assert!(
            say(Model::Every(1), Protocol::Icmp).starts_with("all matching packets that leave")
        );
        assert_eq!(
            say(Model::First(3), Protocol::Tcp),
            "the first 3 matching packets of each connection that leave the target are dropped silently: \
             connections open late, TCP's after 1 s, 3 s, 7 s …"
        );
        assert!(
            say(Model::First(1), Protocol::Tcp).starts_with("the first matching packet of each")
        );
    }

    #[test]
    fn without_their_first_packet_connections_open_late() {
        let syn = Filter {
            syn_only: true,
            ..Filter::default()
        };
        assert_eq!(
            by_share(500_000, ONCE, &syn),
            "50 % of matching packets that leave the target that open a connection are dropped silently: \
             such connections open 1 s later, or 3 s, 7 s … if it happens again; open connections are not touched"
        );
        assert!(by_share(WHOLE_PPM, ONCE, &syn).contains("no connection opens"));
    }
}
