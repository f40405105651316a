//! What the operator may insist on where the kernel offers several ways.

use clap::ValueEnum;

use super::Config;
use crate::{
    attach::features::Wishes,
    engine::{AttachMode, LineEngine, XdpMode},
};

/// Choice of the line engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LineEngineChoice {
    /// fq where it works, else tap
    Auto,
    /// A veth pair with an fq qdisc
    Fq,
    /// A TAP device and a helper process
    Tap,
}

/// Choice of the attach mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AttachModeChoice {
    /// tcx where it works, else clsact
    Auto,
    /// Links that end with the agent
    Tcx,
    /// Filters in the clsact qdisc
    Clsact,
}

/// Choice of the way to XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum XdpChoice {
    /// Native where the driver can, else generic
    Auto,
    /// By the driver
    Native,
    /// By the kernel's generic code
    Generic,
    /// Not at all
    Off,
}

/// Choice of how connections from before end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExistingChoice {
    /// One by one where the kernel does that, else with their next packet
    Auto,
    /// With their next packet
    Reset,
}

impl Config {
    /// What the operator insists on.
    pub const fn wishes(&self) -> Wishes {
        Wishes {
            attach_mode: match self.attach_mode {
                AttachModeChoice::Auto => None,
                AttachModeChoice::Tcx => Some(AttachMode::Tcx),
                AttachModeChoice::Clsact => Some(AttachMode::Clsact),
            },
            line_engine: match self.line_engine {
                LineEngineChoice::Auto => None,
                LineEngineChoice::Fq => Some(LineEngine::Fq),
                LineEngineChoice::Tap => Some(LineEngine::Tap),
            },
            xdp: match self.xdp {
                XdpChoice::Auto => &[XdpMode::Native, XdpMode::Generic],
                XdpChoice::Native => &[XdpMode::Native],
                XdpChoice::Generic => &[XdpMode::Generic],
                XdpChoice::Off => &[],
            },
            keep_sockets: matches!(self.existing, ExistingChoice::Reset),
        }
    }
}
