//! Peers: addresses and CIDRs of the other side.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{InvalidQuantity, Problem};

/// Checks the form of an address or CIDR and hands it on as written.
pub fn peer(text: &str) -> Result<String, InvalidQuantity> {
    address("peer", text)
}

/// The same for one that is not to match.
pub fn exception(text: &str) -> Result<String, InvalidQuantity> {
    address("exception", text)
}

fn address(name: &'static str, text: &str) -> Result<String, InvalidQuantity> {
    let problem = if text.is_empty() {
        Problem::Empty
    } else if text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok() {
        return Ok(text.to_owned());
    } else {
        Problem::Malformed
    };
    Err(InvalidQuantity {
        name,
        value: text.to_owned(),
        problem,
        accepted: "give an address or CIDR, such as 10.0.0.7, 10.0.0.0/8 or fd00::/64",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_cidrs_pass() {
        for text in ["10.0.0.7", "10.0.0.0/8", "fd00::/64", "::1", "0.0.0.0/0"] {
            assert_eq!(peer(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0",
            "host.example",
            "10.0.0.0/8 ",
            "-1",
        ] {
            assert!(peer(text).is_err(), "{text}");
            assert_eq!(exception(text).map_err(|e| e.name), Err("exception"));
        }
    }
}
