//! Engine `fq`: a veth pair whose near end has the `fq` qdisc, which lets packets go at their timestamps.

use std::{io, time::Duration};

use super::{Kind, Line, LineError, MTU, Place, alias, attach_far_end};
use crate::{
    engine::Way,
    netlink::{self, Batch, FAR_END_ALIAS, Fq, LineLink},
};

/// Packets for which there is room, for each second of delay: more than a 10 Gbit/s link carries in full frames.
const PACKETS_PER_SECOND: u128 = 1_000_000;
/// Room for bursts of short delays.
const LEAST_PACKETS: u128 = 100_000;
/// Bounds the kernel memory that a long delay of a fast link can take.
const MOST_PACKETS: u128 = 4_000_000;

/// Makes a line in the calling thread's namespace.
///
/// The pair is signed as it is born: if we die on the way, what is left can be known. It is not made elsewhere and moved,
/// because the kernel waits for all of RCU with each move, and has everybody who changes interfaces wait with it.
pub fn make(
    place: &Place<'_>,
    target: u32,
    way: Way,
    longest: Duration,
) -> Result<Line, LineError> {
    let near = format!("{}n", place.name);
    let far = format!("{}f", place.name);
    let born = Batch::default()
        .add_veth(&near, &far)
        .set_alias(&near, &alias())
        .set_alias(&far, &(alias() + FAR_END_ALIAS))
        .commit();
    if let Err(error) = born {
        // Nothing unsigned stays; what was there before is not ours.
        if error.kind() != io::ErrorKind::AlreadyExists {
            let _ = netlink::with(async |netlink| {
                netlink.delete_link(netlink.index_of(&near).await?).await
            });
        }
        return Err(error.into());
    }
    let near = netlink::with(async |netlink| netlink.index_of(&near).await)?;
    let made = finish(place, target, way, longest, (near, &far));
    match made {
        Ok(()) => Ok(Line {
            near,
            kind: Kind::Fq,
        }),
        Err(error) => {
            // It has its alias: the next start removes it, if we cannot.
            let _ = netlink::with(async |netlink| netlink.delete_link(near).await);
            Err(error)
        }
    }
}

fn finish(
    place: &Place<'_>,
    target: u32,
    way: Way,
    longest: Duration,
    (near, far): (u32, &str),
) -> Result<(), LineError> {
    let far_index = netlink::with(async |netlink| {
        let line = LineLink {
            mtu: MTU,
            queue_len: 1000,
        };
        let far_index = netlink.index_of(far).await?;
        netlink.set_fq(near, settings(longest)).await?;
        netlink.make_line(far_index, line).await?;
        netlink.make_line(near, line).await?;
        Ok(far_index)
    })?;
    // While it is down: the kernel stops an interface that is up when it gets a clsact.
    attach_far_end(far, way, place.target_ifindex, target)?;
    Ok(netlink::with(async |netlink| {
        netlink.set_up(far_index).await?;
        netlink.set_up(near).await
    })?)
}

/// Makes room for delays up to `longest` in an existing line.
pub fn resize(line: &Line, longest: Duration) -> std::io::Result<()> {
    netlink::with(async |netlink| netlink.set_fq(line.near, settings(longest)).await)
}

/// The defaults (10,000 packets, 100 of a flow, 10 s ahead) would drop what a network would hold.
fn settings(longest: Duration) -> Fq {
    let packets =
        (longest.as_millis() * PACKETS_PER_SECOND / 1000).clamp(LEAST_PACKETS, MOST_PACKETS);
    Fq {
        limit_packets: u32::try_from(packets).unwrap_or(u32::MAX),
        horizon_us: u32::try_from(longest.as_micros() * 2)
            .unwrap_or(u32::MAX)
            .max(1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_with_the_delay_and_is_bounded() {
        assert_eq!(
            settings(Duration::from_millis(1)),
            Fq {
                limit_packets: 100_000,
                horizon_us: 1_000_000
            }
        );
        assert_eq!(
            settings(Duration::from_secs(1)),
            Fq {
                limit_packets: 1_000_000,
                horizon_us: 2_000_000
            }
        );
        assert_eq!(
            settings(Duration::from_mins(16)),
            Fq {
                limit_packets: 4_000_000,
                horizon_us: 1_920_000_000
            }
        );
    }
}
