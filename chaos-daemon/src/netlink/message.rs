//! What the agent keeps of netlink's messages.

use netlink_packet_route::{
    link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage},
    tc::{TcAttribute, TcFilterBpfOption, TcMessage, TcOption},
};

/// An interface.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing that the kernel says"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Number in its namespace.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Alias: free text that we sign our own devices with.
    pub alias: String,
    /// Whether it is up.
    pub up: bool,
    /// Whether it is the loopback.
    pub loopback: bool,
    /// Whether its frames have Ethernet headers.
    pub ethernet: bool,
    /// Whether it is a TUN or TAP device.
    pub is_tun: bool,
}

impl Link {
    /// Whether it is a device of a delay line, of whichever agent.
    pub fn is_line(&self) -> bool {
        self.alias.starts_with(LINE_ALIAS)
    }
}

/// Start of the alias of delay lines' devices; the number of the agent's process follows.
pub const LINE_ALIAS: &str = "chaos-daemon delay line of process ";
/// End of the alias of a device that goes with its near end.
pub const FAR_END_ALIAS: &str = ", far end";

/// A BPF filter in `clsact`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Of leaving packets, else of arriving ones.
    pub egress: bool,
    /// Name of its program.
    pub name: String,
    /// Its priority.
    pub priority: u16,
    /// Its handle.
    pub handle: u32,
}

pub(super) fn bpf_filter(message: &TcMessage, egress: bool) -> Option<Filter> {
    let name = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            TcAttribute::Options(options) => options.iter().find_map(|option| match option {
                TcOption::Bpf(TcFilterBpfOption::ProgName(name)) => Some(name.clone()),
                _ => None,
            }),
            _ => None,
        })?;
    let handle = message.header.handle;
    Some(Filter {
        egress,
        name,
        // Upper half of tcm_info; the lower is the protocol.
        priority: (message.header.info >> 16) as u16,
        handle: u32::from(handle.major) << 16 | u32::from(handle.minor),
    })
}

pub(super) fn link(message: LinkMessage) -> Link {
    let mut name = String::new();
    let mut alias = String::new();
    let mut is_tun = false;
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = text,
            LinkAttribute::IfAlias(text) => alias = text,
            LinkAttribute::LinkInfo(infos) => {
                is_tun = infos.contains(&LinkInfo::Kind(InfoKind::Tun));
            }
            _ => {}
        }
    }
    Link {
        index: message.header.index,
        name,
        alias,
        up: message.header.flags.contains(LinkFlags::Up),
        loopback: message.header.flags.contains(LinkFlags::Loopback),
        ethernet: matches!(
            message.header.link_layer_type,
            LinkLayerType::Ether | LinkLayerType::Loopback
        ),
        is_tun,
    }
}
