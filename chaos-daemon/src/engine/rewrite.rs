//! What a rule writes into packets.

use core::net::IpAddr;

use chaos_abi::rewrite::{MAX_PATCH, MAX_WITHIN};

use super::{
    error::SpecError,
    filter::{Connections, Direction, Filter, Protocol},
    ramp::Share,
};

/// Largest value of the six bits.
const LARGEST_DSCP: u8 = 63;
/// A segment is at least so large (RFC 879: 536 is what everybody takes; Linux refuses less than 88).
const SMALLEST_MSS: u16 = 88;

/// What is written; at least one of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// Differentiated services code point.
    pub dscp: Option<u8>,
    /// "Congestion experienced".
    pub congested: bool,
    /// Time to live, or hop limit.
    pub ttl: Option<u8>,
    /// Largest maximum segment size that is announced.
    pub mss: Option<u16>,
    /// TCP flags that are set.
    pub set_flags: u8,
    /// TCP flags that are cleared.
    pub clear_flags: u8,
    /// Destination port.
    pub port: Option<u16>,
    /// Destination address.
    pub address: Option<IpAddr>,
    /// Bytes at a place of the payload.
    pub patch: Option<Patch>,
    /// Bytes wherever they are in it.
    pub replace: Option<Replace>,
    /// Into how many of the packets.
    pub share: Share,
}

/// Bytes at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// From the payload's beginning.
    pub offset: u32,
    /// What is written.
    pub bytes: Vec<u8>,
}

/// Bytes for others of the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// What is looked for.
    pub old: Vec<u8>,
    /// What is written.
    pub new: Vec<u8>,
    /// In so many bytes of the payload.
    pub within: u32,
}

impl Rewrite {
    /// Whether connections go elsewhere.
    pub const fn steers(&self) -> bool {
        self.port.is_some() || self.address.is_some()
    }

    pub(super) fn check(&self, filter: &Filter) -> Result<(), SpecError> {
        let nothing = Self {
            share: self.share,
            ..Self::default()
        };
        if *self == nothing {
            return Err(SpecError::NothingToWrite);
        }
        self.share.check("a rewriting")?;
        if self.steers() && self.share != Share::ALL {
            return Err(SpecError::ShareOfSteered);
        }
        if let Some(dscp) = self.dscp.filter(|dscp| *dscp > LARGEST_DSCP) {
            return Err(SpecError::Dscp(dscp.into()));
        }
        if self.ttl == Some(0) || self.port == Some(0) {
            return Err(SpecError::ZeroWritten);
        }
        if self.mss.is_some_and(|mss| mss < SMALLEST_MSS) {
            return Err(SpecError::Mss {
                least: SMALLEST_MSS,
            });
        }
        if self.set_flags & self.clear_flags != 0 {
            return Err(SpecError::FlagBothWays);
        }
        let of_tcp = self.mss.is_some() || self.set_flags | self.clear_flags != 0;
        if of_tcp && filter.protocol.is_some_and(|other| other != Protocol::Tcp) {
            return Err(SpecError::OnlyTcpHasIt);
        }
        if self.steers() && filter.protocol == Some(Protocol::Icmp) {
            return Err(SpecError::PortsOfIcmp);
        }
        if self.address.is_some_and(|address| !is_of_one_host(address)) {
            return Err(SpecError::NotOneHost);
        }
        if self.steers() && filter.connections == Connections::Established {
            return Err(SpecError::SteersNewOnes);
        }
        if self.steers() && filter.direction == Direction::Both {
            return Err(SpecError::SteersBothWays);
        }
        if let Some(Patch { offset, bytes }) = &self.patch
            && !(is_writable(bytes) && *offset < MAX_WITHIN)
        {
            return Err(SpecError::Patch);
        }
        if let Some(Replace { old, new, within }) = &self.replace
            && !(is_writable(old)
                && old.len() == new.len()
                && (1..=MAX_WITHIN).contains(within)
                && old.len() <= *within as usize)
        {
            return Err(SpecError::Replacement);
        }
        Ok(())
    }
}

const fn is_of_one_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(is_broadcast || address.is_multicast() || address.is_unspecified() || address.is_loopback())
}

fn is_writable(bytes: &[u8]) -> bool {
    (1..=MAX_PATCH).contains(&bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rewrite: &Rewrite) -> Result<(), SpecError> {
        rewrite.check(&Filter::default())
    }

    #[test]
    fn nothing_is_not_enough() {
        assert_eq!(check(&Rewrite::default()), Err(SpecError::NothingToWrite));
        let marked = Rewrite {
            congested: true,
            ..Rewrite::default()
        };
        assert_eq!(check(&marked), Ok(()));
    }

    #[test]
    fn values_have_bounds() {
        let none = Rewrite::default();
        for wrong in [
            Rewrite {
                dscp: Some(64),
                ..none.clone()
            },
            Rewrite {
                ttl: Some(0),
                ..none.clone()
            },
            Rewrite {
                mss: Some(87),
                ..none.clone()
            },
            Rewrite {
                set_flags: 6,
                clear_flags: 2,
                ..none.clone()
            },
            Rewrite {
                patch: Some(Patch {
                    offset: 0,
                    bytes: vec![0; 33],
                }),
                ..none.clone()
            },
            Rewrite {
                replace: Some(Replace {
                    old: vec![1],
                    new: vec![1, 2],
                    within: 9,
                }),
                ..none.clone()
            },
        ] {
            assert!(check(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn connections_go_to_one_host() {
        for (address, is_one) in [("10.0.0.1", true), ("224.0.0.1", false), ("::1", false)] {
            let elsewhere = Rewrite {
                address: address.parse().ok(),
                ..Rewrite::default()
            };
            assert_eq!(check(&elsewhere).is_ok(), is_one, "{address}");
        }
    }

    #[test]
    fn connections_are_sent_elsewhere_one_way() {
        let elsewhere = Rewrite {
            port: Some(81),
            ..Rewrite::default()
        };
        let both = Filter {
            direction: Direction::Both,
            ..Filter::default()
        };
        assert_eq!(elsewhere.check(&both), Err(SpecError::SteersBothWays));
        assert_eq!(check(&elsewhere), Ok(()));
    }
}
