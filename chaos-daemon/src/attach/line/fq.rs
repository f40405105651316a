//! Engine `fq`: a veth pair whose near end has the `fq` qdisc, which lets packets go at their timestamps.

use std::{os::fd::AsRawFd, time::Duration};

use super::{Kind, Line, LineError, MTU, Place, alias, attach_far_end};
use crate::{
    engine::Way,
    netlink::{self, FAR_END_ALIAS, Fq, LineLink},
};

/// Packets for which there is room, for each second of delay: more than a 10 Gbit/s link carries in full frames.
const PACKETS_PER_SECOND: u128 = 1_000_000;
/// Room for bursts of short delays.
const LEAST_PACKETS: u128 = 100_000;
/// Bounds the kernel memory that a long delay of a fast link can take.
const MOST_PACKETS: u128 = 4_000_000;

/// Makes a line in the calling thread's namespace.
///
/// The pair is born and signed in `scratch` and moved: if we die on the way, what is left can be known.
pub fn make(
    place: &Place<'_>,
    target: u32,
    way: Way,
    longest: Duration,
) -> Result<Line, LineError> {
    let near = format!("{}n", place.name);
    let far = format!("{}f", place.name);
    place.scratch.run(|| {
        netlink::with(async |netlink| {
            netlink.add_veth(&near, &far).await?;
            let ends = [(&near, alias()), (&far, alias() + FAR_END_ALIAS)];
            for (end, alias) in &ends {
                let index = netlink.index_of(end).await?;
                netlink.set_alias(index, alias).await?;
            }
            for (end, _) in &ends {
                let index = netlink.index_of(end).await?;
                let namespace = place.namespace.as_raw_fd();
                netlink.move_link(index, namespace).await?;
            }
            Ok(())
        })
    })??;
    let near = netlink::with(async |netlink| netlink.index_of(&near).await)?;
    let made = netlink::with(async |netlink| {
        let line = LineLink {
            mtu: MTU,
            queue_len: 1000,
        };
        netlink.set_fq(near, settings(longest)).await?;
        netlink
            .make_line(netlink.index_of(&far).await?, line)
            .await?;
        netlink.make_line(near, line).await
    });
    let made = made
        .map_err(LineError::from)
        .and_then(|()| attach_far_end(&far, way, place.target_ifindex, target));
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
