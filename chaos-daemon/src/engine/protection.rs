//! What no fault of this agent touches, whatever is asked of it.

use core::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use ipnet::IpNet;

/// Packets that every rule spares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protected {
    /// To and from these addresses, of all targets.
    Peers(IpNet),
    /// To and from this port of this address, of all targets.
    PeerPort(SocketAddr),
    /// To and from this port of this address, where the node is the target.
    NodesPeerPort(SocketAddr),
    /// To and from this port of the node, where the node is the target.
    OwnPort(u16),
}

/// An entry that says nothing of the kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProtectedError {
    /// It has none of the forms.
    #[error(
        "`{0}` protects nothing: give a CIDR such as 10.0.0.0/8, an address, ADDRESS:PORT such as 10.0.0.1:6443 or [fd00::1]:6443, or :PORT"
    )]
    Form(
        /// As written.
        String,
    ),
    /// A port that nobody has.
    #[error("`{0}` protects nothing: ports are 1 to 65535")]
    Port(
        /// As written.
        String,
    ),
    /// An address that nobody has.
    #[error("`{0}` protects nothing: no peer has this address; :PORT is this node's own port")]
    Unspecified(
        /// As written.
        String,
    ),
}

impl FromStr for Protected {
    type Err = ProtectedError;

    fn from_str(text: &str) -> Result<Self, ProtectedError> {
        let protected = parse(text).ok_or_else(|| ProtectedError::Form(text.to_owned()))?;
        match protected {
            Self::PeerPort(peer) if peer.ip().is_unspecified() => {
                Err(ProtectedError::Unspecified(text.to_owned()))
            }
            Self::PeerPort(peer) if peer.port() == 0 => Err(ProtectedError::Port(text.to_owned())),
            Self::OwnPort(0) => Err(ProtectedError::Port(text.to_owned())),
            Self::Peers(_) | Self::PeerPort(_) | Self::NodesPeerPort(_) | Self::OwnPort(_) => {
                Ok(protected)
            }
        }
    }
}

fn parse(text: &str) -> Option<Protected> {
    // Before the addresses: `::1` is one.
    let own_port = text.strip_prefix(':').and_then(|port| port.parse().ok());
    let net = || text.parse::<IpNet>().ok();
    let host = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let peer = || text.parse().ok();
    own_port
        .map(Protected::OwnPort)
        .or_else(|| net().or_else(host).map(Protected::Peers))
        .or_else(|| peer().map(Protected::PeerPort))
}

impl fmt::Display for Protected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peers(net) => net.fmt(f),
            Self::PeerPort(peer) | Self::NodesPeerPort(peer) => peer.fmt(f),
            Self::OwnPort(port) => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_told_from_the_others() {
        for (text, kind) in [
            ("10.0.0.0/8", "net"),
            ("10.0.0.1", "net"),
            ("fd00::/64", "net"),
            ("::1", "net"),
            ("10.0.0.1:6443", "peer"),
            ("[fd00::1]:6443", "peer"),
            (":22", "own"),
        ] {
            let seen = match text.parse().unwrap() {
                Protected::Peers(_) => "net",
                Protected::PeerPort(_) | Protected::NodesPeerPort(_) => "peer",
                Protected::OwnPort(_) => "own",
            };
            assert_eq!(seen, kind, "{text}");
        }
        assert_eq!(":22".parse::<Protected>().unwrap().to_string(), ":22");
    }

    #[test]
    fn what_protects_nothing_is_refused() {
        for text in [
            "",
            "22",
            "web",
            "10.0.0.0/33",
            ":",
            ":0",
            ":65536",
            "1.2.3.4:0",
            "0.0.0.0:80",
            "[::]:80",
            "web:80",
        ] {
            assert!(text.parse::<Protected>().is_err(), "{text}");
        }
    }
}
